"""``firstlight licences``: what was issued, and the proof of a key, also where there is no database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance, utc_now
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, guarded, run
from provisioning.commercial import (
    LicenseClaims,
    LicenseService,
    SigningKeys,
    public_key_pem,
    public_keys,
    read_public_keys,
    require_valid_license,
    verify_license_key,
)

app = typer.Typer(no_args_is_help=True, help="Licences: list them, prove a key, hand out the public key.")


@app.command("list")
def list_(
    customer: Annotated[int | None, typer.Option(help="Only this customer's.")] = None,
    partner: Annotated[int | None, typer.Option(help="Only those out of this partner's pool.")] = None,
    after: Annotated[int, typer.Option(help="Only those after this licence; a list has 500 at most.")] = 0,
    json_: AsJson = False,
) -> None:
    """List licences in the order in which they were issued: whose, how many seats, how long; with --json the keys."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            service = LicenseService(db, tenant_id=appliance.tenant_id, now=appliance.clock, secrets=appliance.vault)
            found = await service.licenses(customer_id=customer, partner_id=partner, after_id=after)
        if json_:
            print_json(found)
            return
        if not found:
            say("no licences")
            return
        entries = [
            Entry(
                (
                    str(licence["license_id"]),
                    str(licence["customer_id"]),
                    str(licence["partner_id"] or ""),
                    str(licence["seats"]),
                    str(licence["valid_until"] or "without end"),
                    state_text(licence["state"]),
                ),
                licence["revoke_reason"] or "",
            )
            for licence in found
        ]
        print_list(("licence", "customer", "partner", "seats", "valid until", "state"), entries)

    run(act, as_json=json_)


@app.command()
def verify(
    key: Annotated[str, typer.Argument(help="The licence key: FL1.payload.signature.")],
    public_key: Annotated[
        Path | None,
        typer.Option(help="File with the public key: it alone is asked then, no database."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Prove a licence key: that we signed it and that it has not ended; here also that it was not revoked."""

    def offline() -> None:
        assert public_key is not None
        keys = read_public_keys(public_key.read_text(encoding="utf-8", errors="replace"))
        _tell(verify_license_key(key, keys, now=utc_now()), "proven by the public key alone", json_)

    async def online(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            claims = verify_license_key(key, await public_keys(db, appliance.tenant_id), now=appliance.clock())
            await require_valid_license(
                db, appliance.tenant_id, key, customer_id=claims.customer, now=appliance.clock, lock=False
            )
        _tell(claims, "proven, and not revoked", json_)

    if public_key is not None:
        guarded(offline, as_json=json_)
    else:
        run(online, as_json=json_)


@app.command("public-key")
def public_key_(json_: AsJson = False) -> None:
    """Print the public keys that prove our licences, as PEM; anybody may have them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            keys = await public_keys(db, appliance.tenant_id)
        if json_:
            print_json([{"kid": kid, "pem": public_key_pem(key)} for kid, key in keys.items()])
        elif not keys:
            say("no licence was issued yet; the first one makes the key")
        else:
            say("".join(f"# {kid}\n{public_key_pem(key)}" for kid, key in keys.items()).rstrip("\n"))

    run(act, as_json=json_)


@app.command("new-key")
def new_key(json_: AsJson = False) -> None:
    """Sign licences with a new key from now on, when the old one was lost or seen. What it signed stays provable."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            kid = await SigningKeys(
                db, tenant_id=appliance.tenant_id, now=appliance.clock, secrets=appliance.vault
            ).replace()
            tells(subject=subject_of("licence key", kid))
        print_json({"kid": kid}) if json_ else say(f"licences are signed by {kid} from now on")

    run(act, as_json=json_)


def _tell(claims: LicenseClaims, how: str, as_json: bool) -> None:
    told: dict[str, Any] = {**claims.model_dump(exclude={"v"}), "valid_until": claims.valid_until, "verdict": how}
    if as_json:
        print_json(told)
        return
    end = claims.valid_until or "without end"
    say(f"licence {claims.license} of customer {claims.customer} ({claims.tenant}): {how}")
    say(f"  template {claims.template}, {claims.seats} seats, valid until {end}, signed by {claims.kid}")
