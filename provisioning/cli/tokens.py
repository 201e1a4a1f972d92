"""``firstlight tokens``: who may call the HTTP API, and what they may do."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.access import ROLES, Tokens, TokenView, subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, clock_minute, plain, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.days import minute

app = typer.Typer(no_args_is_help=True, help="Tokens of the HTTP API: create, list, revoke.")


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it; it stands in the audit and in runs' logs.")],
    role: Annotated[str, typer.Option(help=f"What they do: {', '.join(ROLES)}.")],
    days: Annotated[int, typer.Option(help="For how many days it is good.")] = 90,
    scope: Annotated[
        list[str] | None, typer.Option(help="Only this of what the role may do; may be given several times.")
    ] = None,
    partner: Annotated[int | None, typer.Option(help="Which partner, for the role partner.")] = None,
    technician: Annotated[int | None, typer.Option(help="Which technician, for the role technician.")] = None,
    json_: AsJson = False,
) -> None:
    """Make a token. It is shown this once; only its hash is kept."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            made = await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).create(
                name=name,
                role=role,
                days=days,
                scopes=scope or (),
                partner_id=partner,
                technician_id=technician,
            )
            tells(subject=subject_of("token", made.token.token_id))
        if json_:
            print_json({"token": made.secret, **plain(made.token)})
            return
        say(made.secret)
        say(f"token {made.token.token_id} of {made.token.name}, good until {minute(made.token.expires_at)}")

    run(act, as_json=json_)


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List tokens, the newest first: whose, what for, until when, and when they were last used."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).tokens()
        if json_:
            print_json(found)
        elif not found:
            say("no tokens")
        else:
            print_list(("token", "role", "until", "last used", "name"), [_entry(token) for token in found])

    run(act, as_json=json_)


@app.command()
def revoke(token: Annotated[int, typer.Argument(help="The token's number.")], json_: AsJson = False) -> None:
    """End a token at once."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            ended = await Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock).revoke(token)
        print_json(ended) if json_ else say(f"token {token} of {ended.name} is revoked")

    run(act, as_json=json_)


def _entry(token: TokenView) -> Entry:
    whose = token.partner_id or token.technician_id
    return Entry(
        (
            str(token.token_id),
            token.role + (f" {whose}" if whose else ""),
            "revoked" if token.revoked_at else clock_minute(token.expires_at),
            clock_minute(token.last_used_at) if token.last_used_at else "never",
            token.name,
        )
    )
