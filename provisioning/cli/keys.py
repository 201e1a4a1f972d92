"""``firstlight keys``: the sealing key's life, as ``docs/sealing-key.md`` tells it."""

from __future__ import annotations

from typing import Annotated

import typer
import uvloop

from provisioning.bootstrap import Appliance, utc_now
from provisioning.cli.audited import tells
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, By, guarded, run
from provisioning.database import EVERY_TENANT, Database
from provisioning.logs import configure_logs
from provisioning.reveals import reveal_with_reason
from provisioning.settings import load_settings
from provisioning.vault import create_keyring, rotate

app = typer.Typer(no_args_is_help=True, help="The sealing key: create it, rotate it.")


@app.command()
def create(json_: AsJson = False) -> None:
    """Make the keyring with its first key; an existing one is never overwritten."""

    def act() -> None:
        path = load_settings().sealing_key_file
        path.parent.mkdir(parents=True, exist_ok=True)
        key_id = create_keyring(path, now=utc_now)
        print_json({"file": str(path), "key": key_id}) if json_ else say(f"{path} holds the new key {key_id}")

    guarded(act, as_json=json_)


@app.command("rotate")
def rotate_(json_: AsJson = False) -> None:
    """Seal every secret under a new key; safe to repeat, also after a crash. Services may go on running."""

    async def act() -> None:
        settings = load_settings()
        configure_logs(level="warning", form=settings.log_format)
        database = Database(settings.database_url, tenant_id=EVERY_TENANT)
        try:
            done = await rotate(database.begin, settings.sealing_key_file, now=utc_now)
        finally:
            await database.close()
        if json_:
            print_json(done)
        else:
            say(f"{done.resealed} secrets are sealed under the new key")
            for ref in done.unreadable:
                say(f"  {ref} does not open under any key and was left as it is")

    guarded(lambda: uvloop.run(act()), as_json=json_)


@app.command()
def reveal(
    ref: Annotated[str, typer.Argument(help="The reference: secret:nas/1, secret:subscriber/42, ...")],
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Tell one secret, and keep who asked for it and why."""

    async def act(appliance: Appliance) -> None:
        tells(subject=ref)
        async with appliance.database.begin() as db:
            value = await reveal_with_reason(
                db, appliance.vault, ref, tenant_id=appliance.tenant_id, by=by, reason=reason, at=appliance.clock()
            )
        print_json({"ref": ref, "value": value}) if json_ else say(value)

    run(act, as_json=json_)
