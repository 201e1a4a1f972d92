"""``firstlight migrate | import | worker | carry-logins | serve | check``: what keeps it running and honest."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.text import Text

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.check_records import MOST_OF_ONE
from provisioning.checking import check_and_record
from provisioning.cli.audited import carrying, tells
from provisioning.cli.printing import print_indented, print_json, say
from provisioning.cli.running import AsJson, guarded, run
from provisioning.clock import Clock, Tick
from provisioning.database import Database
from provisioning.errors import Fault
from provisioning.estate import import_estate
from provisioning.logs import configure_logs
from provisioning.migrations import migrate as migrate_databases
from provisioning.settings import SettingsRefused, load_settings
from provisioning.vault import create_keyring
from provisioning.worker import Pace, open_worker
from radius import LoginCarrier

CPE_PLANS = (
    "what a [[cpe_plan]] says counts for CPEs bound from now on; to those that are bound a campaign brings it:"
    " firstlight campaigns plan NAME --template TEMPLATE --of-template TEMPLATE"
)


def add_to(app: typer.Typer) -> None:
    """Adds the commands that are no noun's."""
    app.command()(migrate)
    app.command("import")(import_)
    app.command()(worker)
    app.command()(serve)
    app.command("carry-logins")(carry_logins)
    app.command()(check)


def migrate(json_: AsJson = False) -> None:
    """Create or migrate every table, and the sealing key where there is none yet."""

    async def act() -> None:
        settings = load_settings()
        configure_logs(level="warning", form=settings.log_format)
        if not settings.sealing_key_file.exists():
            settings.sealing_key_file.parent.mkdir(parents=True, exist_ok=True)
            create_keyring(settings.sealing_key_file, now=utc_now)
        async with open_appliance(settings) as appliance:
            notices = await migrate_databases(appliance.database, appliance.radius_database)
        if json_:
            print_json({"migrated": True, "notices": notices})
            return
        say("every table has this release's shape")
        for notice in notices:
            say(notice)

    guarded(lambda: uvloop.run(act()), as_json=json_)


def import_(
    file: Annotated[Path, typer.Argument(help="TOML file of the estate.")],
    leave_sessions: Annotated[
        bool,
        typer.Option(
            "--leave-sessions",
            help="A NAS may get another address though sessions are open under its own: no CoA reaches them any more.",
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Write an estate: network, rates, NASes, offers, teams, technicians, customers, partners. All of it or nothing."""

    async def act(appliance: Appliance) -> None:
        tells(subject=subject_of("estate", appliance.tenant_id))
        imported = await import_estate(appliance, file, leave_sessions=leave_sessions)
        counts = imported.counts
        if json_:
            network = [asdict(each) for each in imported.network or ()]
            kept = [asdict(each) for each in imported.unserved]
            told = [asdict(each) for each in imported.told_before]
            carried = {"not_carried_over": imported.not_carried_over}
            print_json({"imported": counts, "network": network, "unserved": kept, "told_before": told, **carried})
        else:
            say("imported: " + (", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing"))
            if imported.network == []:
                say("nothing changed in the network")
            for each in imported.network or ():
                print_indented(str(each))
            for kept_on in (*imported.unserved, *imported.told_before):
                print_indented(str(kept_on))
            if counts["cpe_plans"]:
                say(CPE_PLANS)
            for what, why in imported.not_carried_over.items():
                print_indented(why, first=f"committed, FreeRADIUS is not told yet: {what}: ")

    run(act, as_json=json_)


def worker() -> None:
    """Move runs until told to stop (SIGTERM, Ctrl-C); segments under way come to rest first."""

    async def act() -> None:
        settings = load_settings()
        configure_logs(level=settings.log_level, form=settings.log_format)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with open_appliance(settings) as appliance, open_worker(appliance):
            await stop.wait()

    guarded(lambda: uvloop.run(act()), as_json=False)


def carry_logins(
    once: Annotated[
        bool,
        typer.Option(
            "--once",
            help="Carry what has been written until now, and end. `carried` in JSON is null if another process does.",
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Carry logins from the files in which FreeRADIUS writes them on this machine into the radius database: until told
    to stop (SIGTERM, Ctrl-C), for a machine where no worker runs."""

    async def act() -> None:
        settings = load_settings()
        configure_logs(level=settings.log_level, form=settings.log_format)
        folder = settings.radius_login_dir
        if folder is None:
            raise SettingsRefused([Fault("FIRSTLIGHT_RADIUS_LOGIN_DIR", "is needed: where FreeRADIUS writes logins")])
        database = Database(settings.radius_database_url, schema=settings.radius_database_schema)
        carrier = LoginCarrier(folder, database.begin, now=utc_now)
        try:
            if once:
                carried = await carrier.carry()
                if json_:
                    print_json({"carried": carried})
                elif carried is None:
                    say(f"another process carries what is in {folder}; this one has carried nothing")
                else:
                    say(f"{carried} logins carried")
            else:
                await _carry_until_stopped(carrier)
        finally:
            await database.close()

    guarded(lambda: uvloop.run(act()), as_json=json_)


async def _carry_until_stopped(carrier: LoginCarrier) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = Clock([Tick("logins in files", Pace.login_files_every_seconds, carrier.carry, at_once=True)])
    clock.start()
    await stop.wait()
    await clock.stop()


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen; another address than this machine's own needs TLS: --certificate, or a proxy."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8080,
    certificate: Annotated[
        Path | None,
        typer.Option(help="PEM file of the certificate to answer TLS with, its chain behind it; else plain HTTP."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file of its private key, which nobody else on this machine may read.")
    ] = None,
    with_worker: Annotated[
        bool | None,
        typer.Option(
            "--with-worker/--no-worker",
            help="Whether to move runs too; left out: on SQLite, unless a worker runs already.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes answer; the first of them moves runs, if any does.")
    ] = 1,
) -> None:
    """Answer HTTP until told to stop (SIGTERM, Ctrl-C): the console at /, the API under /api/v1, described at /docs."""

    from provisioning.serving import (  # a web framework, which no other command waits for
        Seat,
        run_serving,
        serve_in,
        serve_in_processes,
        tls_files,
    )
    from provisioning.serving import serve as serve_here

    def one_of_several(seat: Seat, number: int) -> None:
        async def act() -> None:
            async with open_appliance(settings) as appliance:
                first = number == 0
                await serve_in(
                    seat, appliance, with_worker=with_worker if first else False, tls=tls, tell=say if first else None
                )

        try:
            guarded(lambda: run_serving(act()), as_json=False)
        except typer.Exit as end:
            raise SystemExit(end.exit_code) from end

    async def alone() -> None:
        async with open_appliance(settings) as appliance:
            await serve_here(appliance, host=host, port=port, with_worker=with_worker, tls=tls, tell=say)

    def act() -> int:
        if processes == 1:
            run_serving(alone())
            return 0
        return serve_in_processes(one_of_several, host=host, port=port, count=processes)

    settings = guarded(load_settings, as_json=False)
    configure_logs(level=settings.log_level, form=settings.log_format)
    tls = guarded(lambda: tls_files(certificate, key, now=utc_now()), as_json=False)
    if status := guarded(act, as_json=False):
        raise typer.Exit(status)


def check(
    all_: Annotated[bool, typer.Option("--all", help="Show every finding, not the first few of each kind.")] = False,
    json_: AsJson = False,
) -> None:
    """Ask whether everything that must always hold does hold; exit status 1 if anything doesn't."""

    async def act(appliance: Appliance) -> int:
        with carrying(appliance):  # that it was asked is kept with what was found, and nothing was decided
            result = await check_and_record(appliance)
        if json_:
            print_json(result)
        else:
            for name, found in groupby(result.findings, key=lambda finding: finding.invariant):
                every = list(found)
                for finding in every if all_ else every[:MOST_OF_ONE]:
                    say(Text.assemble(("✗ ", "bold red"), f"{name}  {finding.subject}"))
                    print_indented(finding.message, indent=4)
                more = 0 if all_ else len(every) - MOST_OF_ONE
                if more > 0:
                    print_indented(f"{more} more of {name}: --all shows them", indent=4)
            verdict = ("all hold", "green") if not result.findings else (f"{result.failed} broken", "bold red")
            say(Text.assemble(f"{result.asked} invariants asked: ", verdict))
        return result.failed

    if run(act, as_json=json_):
        raise typer.Exit(1)
