"""``firstlight users``: who signs in at the console, and what they may do there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import ROLES, Invitations, MadeInvitation, Users, UserView, subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.account import account
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, clock_minute, plain, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.days import minute

HERE = "http://127.0.0.1:8080"
"""Where `firstlight serve` answers, unless it is told otherwise."""

app = typer.Typer(no_args_is_help=True, help="People who sign in at the console: add, list, link, role, disable.")

LoginName = Annotated[str, typer.Argument(help="The name they sign in with.")]
Role = Annotated[str, typer.Option(help=f"What they do: {', '.join(ROLES)}.")]
Partner = Annotated[int | None, typer.Option(help="Which partner, for the role partner.")]
Technician = Annotated[int | None, typer.Option(help="Which technician, for the role technician.")]


@app.command()
def add(
    login_name: LoginName,
    role: Role,
    name: Annotated[str, typer.Option(help="Their own name; the login name, if left out.")] = "",
    partner: Partner = None,
    technician: Technician = None,
    json_: AsJson = False,
) -> None:
    """Add a person and make the link at which they choose a password. It opens once, and is shown this once."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            users = Users(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            added = await users.add(
                login_name=login_name,
                display_name=name or login_name,
                role=role,
                partner_id=partner,
                technician_id=technician,
            )
            tells(subject=subject_of("console user", added.user_id))
            made = await _invitations(appliance, db).make(user_id=added.user_id, by=account())
        _print_link(appliance, added, made, as_json=json_)

    run(act, as_json=json_)


@app.command()
def link(login_name: LoginName, json_: AsJson = False) -> None:
    """Make a new link at which a person chooses a password, also for a forgotten one; older links open nothing more."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            user = await Users(db, tenant_id=appliance.tenant_id, now=appliance.clock).user(login_name)
            tells(subject=subject_of("console user", user.user_id))
            made = await _invitations(appliance, db).make(user_id=user.user_id, by=account())
        _print_link(appliance, user, made, as_json=json_)

    run(act, as_json=json_)


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List who can sign in, who could, and when they last did."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await Users(db, tenant_id=appliance.tenant_id, now=appliance.clock).users()
        if json_:
            print_json(found)
        elif not found:
            say("no users; `firstlight serve` shows the link at which the first one signs up")
        else:
            print_list(("login name", "role", "state", "last signed in", "name"), [_entry(user) for user in found])

    run(act, as_json=json_)


@app.command()
def role(
    login_name: LoginName,
    role_: Annotated[str, typer.Argument(metavar="ROLE", help=f"What they do: {', '.join(ROLES)}.")],
    partner: Partner = None,
    technician: Technician = None,
    json_: AsJson = False,
) -> None:
    """Give a person another role; it counts from their next click on."""
    _change(
        lambda users: users.give_role(login_name, role_, partner_id=partner, technician_id=technician),
        lambda user: f"{user.login_name} is {user.role} now",
        as_json=json_,
    )


@app.command()
def disable(login_name: LoginName, json_: AsJson = False) -> None:
    """Sign a person out everywhere and let them in no more."""
    _change(
        lambda users: users.disable(login_name),
        lambda user: f"{user.login_name} can't sign in any more",
        as_json=json_,
    )


@app.command()
def enable(login_name: LoginName, json_: AsJson = False) -> None:
    """Let a person in again who was disabled, with the password that they had."""
    _change(lambda users: users.enable(login_name), lambda user: f"{user.login_name} can sign in again", as_json=json_)


def _change(act: Callable[[Users], Awaitable[UserView]], said: Callable[[UserView], str], *, as_json: bool) -> None:
    """Commits what is done to one person, and says it."""

    async def change(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            changed = await act(Users(db, tenant_id=appliance.tenant_id, now=appliance.clock))
            tells(subject=subject_of("console user", changed.user_id))
        print_json(changed) if as_json else say(said(changed))

    run(change, as_json=as_json)


def _print_link(appliance: Appliance, user: UserView, made: MadeInvitation, *, as_json: bool) -> None:
    address = str(appliance.settings.public_url or HERE).rstrip("/") + made.path
    if as_json:
        print_json({"link": address, "ends_at": made.ends_at, **plain(user)})
        return
    say(address)
    say(f"for {user.login_name}, {user.role}; opens once, until {minute(made.ends_at)}")


def _entry(user: UserView) -> Entry:
    whose = user.partner_id or user.technician_id
    state = "disabled" if user.disabled_at else "can sign in" if user.has_password else "has not opened the link"
    return Entry(
        (
            user.login_name,
            user.role + (f" {whose}" if whose else ""),
            state,
            clock_minute(user.signed_in_at) if user.signed_in_at else "never",
            user.display_name,
        )
    )


def _invitations(appliance: Appliance, db: AsyncSession) -> Invitations:
    return Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
