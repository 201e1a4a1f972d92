"""``firstlight devices acs codes | rotate-codes | end-codes``: by what CPEs prove who they are."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Annotated

import typer

from acs import FIRST_SESSION_KEY, CodeKeyRecord, ProvisioningCodes, canonical_serial, is_serial, provisioning_code
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import at_second, print_json, say
from provisioning.cli.running import AsJson, By, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.intake import Faults
from provisioning.reveals import reveal_with_reason

Reason = Annotated[str, typer.Option(help="Why; it is kept.")]
LONGEST_KEPT_DAYS = 366


def add_to(app: typer.Typer) -> None:
    """These commands, of the group that they belong to."""
    app.command()(codes)
    app.command()(rotate_codes)
    app.command()(end_codes)


def codes(
    reason: Reason,
    serials: Annotated[
        list[str] | None, typer.Argument(help="Serial numbers; they need not be bound yet.", show_default=False)
    ] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="All CPEs that are bound and may yet ask in their first session.")
    ] = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Tell the provisioning codes by which CPEs prove who they are in their very first session, one a line; and keep
    who asked for them and why."""

    async def act(appliance: Appliance) -> list[dict[str, str]]:
        given = serials or []
        wrong = [Fault("serials", f"holds {serial!r}, which is none") for serial in given if not is_serial(serial)]
        if bool(given) == waiting:
            wrong.append(Fault("serials", "are to be named, or --waiting; one of the two"))
        if wrong:
            raise InvalidRequest("The list", wrong)
        whose = appliance.tenant_id
        async with appliance.database.begin() as db:
            found = await appliance.provisioning_codes(db).waiting() if waiting else given
            plain = [canonical_serial(serial) for serial in found]
            tells(subject=FIRST_SESSION_KEY, after={"serials": plain})
            await appliance.vault.seal_if_missing(db, FIRST_SESSION_KEY, secrets.token_hex(32))
            key = await reveal_with_reason(
                db, appliance.vault, FIRST_SESSION_KEY, tenant_id=whose, by=by, reason=reason, at=appliance.clock()
            )
        return [
            {
                "device_serial": serial,
                "provisioning_code": provisioning_code(key, tenant_id=whose, serial=serial),
            }
            for serial in plain
        ]

    made = run(act, as_json=json_)
    if json_:
        print_json(made)
        return
    for each in made:
        say(f"{each['device_serial']}  {each['provisioning_code']}")


def rotate_codes(
    reason: Reason,
    keep_days: Annotated[
        int,
        typer.Option(
            min=0, max=LONGEST_KEPT_DAYS, help="How long codes of the key before are good as well; 0: they end at once."
        ),
    ] = 30,
    request: Annotated[str | None, typer.Option(help="The same again rotates nothing.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to.")] = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Give the provisioning codes another key, so that CPEs get other codes; the former ones go on for a while."""
    keep = timedelta(days=keep_days)

    async def preview(appliance: Appliance) -> CodeKeyRecord:
        async with appliance.database.read() as db:
            codes: ProvisioningCodes = appliance.provisioning_codes(db)
            await codes.check_rotation(keep=keep)
            return await codes.record()

    async def act(appliance: Appliance) -> CodeKeyRecord:
        request_id = _checked(request, by, reason)
        async with appliance.database.begin() as db:
            tells(subject=FIRST_SESSION_KEY)
            codes: ProvisioningCodes = appliance.provisioning_codes(db)
            return await codes.rotate(keep=keep, request_id=request_id)

    found = run(preview if dry_run else act, as_json=json_)
    if json_:
        print_json({**found, "dry_run": dry_run})
        return
    if dry_run:
        say("There would be another key, and with it another code for each CPE; nothing is changed.")
        good = f"for {keep_days} days more" if keep_days else "no more"
        say(f"Codes that were told until now would be good {good}.")
    else:
        say("There is another key now." if found["rotated"] else "That was done before; nothing is changed.")
        _say_former(found)
    _say_waiting(found)


def end_codes(reason: Reason, by: By = "", json_: AsJson = False) -> None:
    """End the codes of the key before the present one, once nobody needs them."""

    async def act(appliance: Appliance) -> CodeKeyRecord:
        _checked(None, by, reason)
        async with appliance.database.begin() as db:
            tells(subject=FIRST_SESSION_KEY)
            codes: ProvisioningCodes = appliance.provisioning_codes(db)
            return await codes.end_former()

    found = run(act, as_json=json_)
    if json_:
        print_json(found)
        return
    _say_former(found)


def _checked(request: str | None, by: str, reason: str) -> str | None:
    """Raises: InvalidRequest."""
    faults = Faults("The rotation")
    faults.line("by", by)
    faults.line("reason", reason, longest=500)
    request_id = faults.request_id(request)
    faults.refuse_if_any()
    return request_id


def _say_former(found: CodeKeyRecord) -> None:
    if found["former_until"] is None:
        say("No code was told before that would be good.")
        return
    until = at_second(found["former_until"])
    say(
        f"Codes of the key before are good until {until}."
        if found["former_is_good"]
        else f"Codes of the key before ended {until}."
    )
    if found["former_used_at"] is not None:
        say(f"One of them was last used {at_second(found['former_used_at'])}, by {found['former_used_by']}.")


def _say_waiting(found: CodeKeyRecord) -> None:
    cpes = f"{found['waiting']} {'CPE' if found['waiting'] == 1 else 'CPEs'}"
    say(
        f"{cpes} may yet ask in their first session: `firstlight devices acs codes --waiting --reason ...`"
        " tells their codes. One whose code is good no more gets its settings by a task instead."
    )
