"""``firstlight devices converge | sweep | unknown | fleet``: all CPEs of an ACS, and many of them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    AcsUnknown,
    FleetOverview,
    FleetProgress,
    NbiError,
    SweepOutcome,
    UnboundDevice,
    fleet_overview,
    resume_devices,
    unbound_devices,
)
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying
from provisioning.cli.each_acs import end_without, of_each_acs
from provisioning.cli.printing import Entry, at_second, clock_time, err, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.configured import acs_fleet, acs_names
from provisioning.errors import Fault, InvalidRequest
from provisioning.fleet import fleet_convergence, fleet_sweep


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (converge, sweep, unknown, fleet):
        app.command()(command)


def converge(
    serial: Annotated[list[str] | None, typer.Argument(help="The CPEs' serial numbers.")] = None,
    all_not_converged: Annotated[
        bool, typer.Option("--all-not-converged", help="All that are bound and do not have what they should.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Why, for the audit. Needed with serials: it resumes a repair given up.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Give CPEs their settings and read them back. One that cannot be called gets them at its next Inform."""

    async def act(appliance: Appliance) -> tuple[FleetProgress, dict[str, str]]:
        _require_one(serial, all_not_converged, reason)
        wanted: list[str] | None = None
        if serial:
            async with appliance.database.begin() as db:
                wanted = await resume_devices(db, serial, tenant_id=appliance.tenant_id, now=appliance.clock())
                await _require_known_acs(appliance, db, wanted)
        async with acs_fleet(appliance.settings) as acses:
            whole = FleetProgress(total=0)

            async def at(name: str) -> None:
                many = fleet_convergence(appliance, acses[name], acs_name=name, sleep=asyncio.sleep)
                with carrying(appliance), _bar(shown=not json_) as moved:
                    mine = None if wanted is None else await many.own(wanted)
                    if mine is None or mine:
                        whole.add(await many.converge_many(mine, on_progress=moved))

            return whole, await of_each_acs(acses, at)

    progress, trouble = run(act, as_json=json_)
    print_json({**_as_json(progress), "without": trouble}) if json_ else _print_progress(progress)
    if all_not_converged and not json_:
        run(_say_waiting, as_json=False)
    end_without(trouble)
    if progress.converged < progress.done:
        raise typer.Exit(1)


def sweep(json_: AsJson = False) -> None:
    """Look at all CPEs of the ACS: who is new, reset, changed, silent or back. The worker repairs what is found."""

    async def act(appliance: Appliance) -> tuple[SweepOutcome, dict[str, str]]:
        async with acs_fleet(appliance.settings) as acses:
            whole = SweepOutcome()

            async def at(name: str) -> None:
                whole.add(await fleet_sweep(appliance, acses[name], acs_name=name).everything())

            with carrying(appliance):
                return whole, await of_each_acs(acses, at)

    found, trouble = run(act, as_json=json_)
    if json_:
        print_json({**{name: getattr(found, name) for name in SweepOutcome.__dataclass_fields__}, "without": trouble})
    else:
        _print_sweep(found)
    end_without(trouble)


def _print_sweep(found: SweepOutcome) -> None:
    say(f"{found.devices} CPEs in {found.pages} pages: {found.unbound} serve nobody ({found.new_unbound} of them new)")
    say(
        f"{found.first_informs} reported for the first time, {found.resets} were reset, {found.drifted} changed,"
        f" {found.rebooted} booted since they were read back, {found.silent} silent, {found.back} back"
    )
    if found.ambiguous:
        say(f"{found.ambiguous} left alone: several CPEs report their serial number (`firstlight devices fleet`)")
    if found.elsewhere:
        say(
            f"{found.elsewhere} left to the other ACS that they are bound to; one that reports here from now on:"
            " `firstlight devices move SERIAL --acs NAME --reason ...`"
        )
    for sentence in found.left:
        say(sentence)
    for serial in found.handed_over:
        say(f"{serial}: handed over to a person")
    if found.due:
        say(
            f"{len(found.due)} are due; the worker converges them, or `firstlight devices converge --all-not-converged`"
        )


def unknown(
    before: Annotated[int | None, typer.Option(help="Only those behind this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the CPEs that the ACS knows and that serve nobody, the newest first."""

    async def act(appliance: Appliance) -> list[UnboundDevice]:
        async with appliance.database.read() as db:
            return await unbound_devices(db, tenant_id=appliance.tenant_id, before=before, limit=limit)

    found = run(act, as_json=json_)
    if json_:
        print_json(found)
    elif not found:
        say("every CPE that was seen at the ACS serves somebody")
    else:
        print_list(("#", "serial", "product class", "seen first", "last inform"), [_entry(each) for each in found])
        bind = "`firstlight devices provision SERIAL USERNAME --template ... --reason ...`"
        say(f"{bind} binds one, `devices import` those of a list")


def fleet(json_: AsJson = False) -> None:
    """Count the CPEs by state, with the oldest in each, say why some are not reached, and how the ACS is."""

    async def act(appliance: Appliance) -> tuple[FleetOverview, dict[str, str]]:
        async with appliance.database.read() as db:
            found = await fleet_overview(db, tenant_id=appliance.tenant_id)
        return found, await _health(appliance)

    found, health = run(act, as_json=json_)
    if json_:
        print_json({**found, "acs": health})
        return
    for state in found["states"]:
        since = at_second(state["oldest_since"])
        say(f"{state['devices']:>8}  {state['state']}, the longest {state['oldest_serial']}, since {since}")
    for cause in found["unreached"]:
        say(f"{cause['devices']:>8}  not reached: {cause['words']} (first {cause['oldest_serial']}). {cause['remedy']}")
    say(f"{found['handed_over']:>8}  handed over to a person")
    if found["refused"]:
        say(f"{found['refused']:>8}  told nothing in their first session (`firstlight devices list --refused`)")
    say(f"{found['unbound']:>8}  at the ACS and nobody's (`firstlight devices unknown`)")
    for name, said in health.items():
        say(f"ACS {name}: {said}")
    if not health:
        say("no ACS: FIRSTLIGHT_GENIEACS_NBI_URL is not set")


async def _say_waiting(appliance: Appliance) -> None:
    """Those that it passes over: nobody has seen them at the ACS since they were bound."""
    async with appliance.database.read() as db:
        found = await fleet_overview(db, tenant_id=appliance.tenant_id)
    waiting = sum(each["devices"] for each in found["states"] if each["state"] == "awaiting_first_inform")
    if waiting:
        say(f"{waiting} more await their first Inform; `firstlight devices sweep` looks who has reported meanwhile")


async def _require_known_acs(appliance: Appliance, db: AsyncSession, serials: list[str]) -> None:
    """Else nothing would be done to a CPE, and nobody told. Raises: AcsUnknown."""
    known, service = acs_names(appliance.settings), appliance.services(db).genieacs_service
    for serial in serials:
        acs_name = (await service.device(device_serial=serial))["acs_name"]
        if acs_name not in known:
            raise AcsUnknown(acs_name, known)


def _require_one(serials: list[str] | None, all_not_converged: bool, reason: str | None) -> None:
    faults: list[Fault] = []
    if bool(serials) == all_not_converged:
        faults.append(Fault("serial", "give serial numbers, or --all-not-converged"))
    if serials and not (reason or "").strip():
        faults.append(Fault("reason", "is needed: what is known of these CPEs is set aside"))
    if faults:
        raise InvalidRequest("The request", faults)


async def _health(appliance: Appliance) -> dict[str, str]:
    """By the ACS's name."""
    if appliance.settings.genieacs_nbi_url is None:
        return {}
    health: dict[str, str] = {}
    async with acs_fleet(appliance.settings) as acses:
        for name, nbi in acses.items():
            try:
                devices = await nbi.count("devices", {})
                tasks, faults = await nbi.count("tasks", {}), await nbi.count("faults", {})
            except NbiError as error:
                health[name] = str(error)
                continue
            version = nbi.genieacs_version or "of unknown version"
            health[name] = f"GenieACS {version}, {devices} CPEs, {tasks} tasks, {faults} faults"
    return health


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[FleetProgress], None]]:
    """A bar on standard error, for as long as a person looks."""
    if not (shown and err.is_terminal):
        yield lambda _progress: None
        return
    columns = (TextColumn("CPEs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda progress: bar.update(task, total=progress.total, completed=progress.done)


def _as_json(progress: FleetProgress) -> dict[str, object]:
    return {
        "total": progress.total,
        "done": progress.done,
        "converged": progress.converged,
        "states": dict(progress.by_state),
        "why": dict(progress.by_why),
        "errors": dict(progress.errors),
    }


def _print_progress(progress: FleetProgress) -> None:
    say(f"{progress.converged} of {progress.done} CPEs have what they should")
    for state, count in sorted(progress.by_state.items()):
        say(state_text(state).append(f": {count}"))
    for why, count in sorted(progress.by_why.items()):
        say(f"  {why}: {count}")
    for code, count in sorted(progress.errors.items()):
        say(f"{code}: {count}")


def _entry(device: UnboundDevice) -> Entry:
    refused = device["first_session_refused"]
    return Entry(
        (
            str(device["number"]),
            device["serial"],
            device["product_class"] or "",
            clock_time(device["first_seen_at"]),
            clock_time(device["last_inform_at"]),
        ),
        "" if refused is None else f"{at_second(refused['refused_at'])}: {refused['words']} {refused['remedy']}",
    )
