"""The main job on real parts, watched as it happens, and proven at the end by asking the other sides."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acs.testing import Clock, WallClock
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.estate import import_estate
from provisioning.lab.database import empty_lab_database
from provisioning.lab.errors import DemoFailed
from provisioning.lab.world import LabWorld, open_world
from provisioning.migrations import migrate
from provisioning.settings import Settings, load_settings
from provisioning.tickets import read_ticket
from provisioning.vault import create_keyring
from radius.testing import LoginReply
from workflows import ENDED, RunView, StepView, show_run

LOOK_EVERY_SECONDS = 0.1
LAB_REALM = "isp.example"

Say = Callable[[str], None]
"""Hears one sentence at a time of what is happening."""


@dataclass
class Lab:
    """A world and an appliance in it, ready for tickets."""

    world: LabWorld
    appliance: Appliance

    @property
    def has_lab_acs(self) -> bool:
        """False when the environment names a GenieACS: its CPEs are real, and so is who plugs them in."""
        return self.appliance.settings.genieacs_nbi_url == self.world.acs.url


@asynccontextmanager
async def open_lab(
    home: Path, estate: Path, say: Say, *, clock: Clock | None = None, **overrides: Any
) -> AsyncIterator[Lab]:
    """An empty database, the world, FreeRADIUS on its tables, the estate imported. Nothing moves runs yet.

    ``clock`` is the time of the appliance and of the ACS, ``overrides`` are settings that win over everything.
    """
    clock = clock or WallClock()
    await asyncio.to_thread(_end_what_was_left, home)
    await asyncio.to_thread(_empty_folder, home)
    async with open_world(home, clock=clock) as world:
        settings = lab_settings(home, world, **overrides)
        await empty_lab_database(settings)
        await asyncio.to_thread(create_keyring, settings.sealing_key_file, now=utc_now)
        async with open_appliance(settings, clock=clock.now) as appliance:
            await migrate(appliance.database, appliance.radius_database)
            say(f"the tables are made in {_where(appliance, home)}")
            server = await asyncio.to_thread(
                world.start_freeradius,
                home / "freeradius",
                settings.radius_database_url,
                settings.radius_database_schema,
            )
            say(f"FreeRADIUS answers on 127.0.0.1:{server.auth_port}, the ACS on {settings.genieacs_nbi_url}")
            counts = await import_estate(appliance, estate)
            say("the estate is imported: " + ", ".join(f"{kind} {count}" for kind, count in counts.items() if count))
            await _connect_nas(world, appliance)
            yield Lab(world, appliance)


def lab_settings(home: Path, world: LabWorld, **overrides: Any) -> Settings:
    """The environment's settings, and the world's addresses where the environment names none."""
    given = load_settings()
    own = world.settings()
    if given.genieacs_nbi_url is not None:
        own["genieacs_nbi_url"] = given.genieacs_nbi_url
    if "database_url" not in given.model_fields_set:
        own["database_url"] = f"sqlite+aiosqlite:///{home.absolute()}/firstlight.db"
    return load_settings(**{"data_dir": home.absolute(), "username_realm": LAB_REALM, **own, **overrides})


async def install(lab: Lab, ticket: Path, say: Say) -> tuple[RunView, LoginReply]:
    """Takes one ticket to its end, playing the technician; returns the run and what a login got before the scan.

    Raises: InvalidRequest if the ticket is refused; DemoFailed if the run stops before its end.
    """
    appliance = lab.appliance
    data = read_ticket(ticket)
    async with appliance.database.begin() as db:
        started = await appliance.desk(db).accept(data, by="demo")
    say(f"ticket {data['ticket_id']} is run {started.run_id}")
    seen: dict[tuple[str, int], str] = {}
    before_scan: LoginReply | None = None
    while True:
        view = await look(appliance, started.run_id)
        _tell(view, seen, say)
        summary = view.summary
        if summary.state in ENDED and before_scan is not None:
            return view, before_scan
        if summary.state in ENDED or summary.state == "held":
            raise DemoFailed(f"run {summary.id} is {summary.state} in {summary.current_step}: {summary.reason}")
        if summary.waiting_for == "visit" and before_scan is None:
            before_scan = await _login_before_scan(lab, view, say)
            await _technician_scans(lab, view, say)
        if summary.waiting_for == "session_started" and not lab.has_lab_acs and not lab.world.dial_ins:
            await _dial_for(lab, view, say)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def look(appliance: Appliance, run_id: int) -> RunView:
    """The run as it is now."""
    async with appliance.database.read() as db:
        return await show_run(db, run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)


def result_of(view: RunView, step: str) -> Any:
    """The result of a step of a run."""
    return next(one.result for one in view.steps if one.name == step)


async def _connect_nas(world: LabWorld, appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        nas = (await appliance.services(db).radius_service.nas_list())[0]
        secret = await appliance.vault.reveal(db, nas["secret"])
    world.connect_nas(nas["name"], secret)


async def _login_before_scan(lab: Lab, view: RunView, say: Say) -> LoginReply:
    """The right name and password, before anybody was there: it must be refused."""
    subscriber = result_of(view, "create_subscriber")
    async with lab.appliance.database.begin() as db:
        password = await lab.appliance.vault.reveal(db, subscriber["password"])
    assert lab.world.nas is not None
    reply = await lab.world.nas.login(subscriber["username"], password)
    say(f"  a login before the scan is answered {reply.code}: {reply.first('Reply-Message') or ''}")
    return reply


async def _dial_for(lab: Lab, view: RunView, say: Say) -> None:
    """A real CPE has no way to the laboratory's NAS, so the NAS logs in by itself with what the CPE was given."""
    subscriber = result_of(view, "create_subscriber")
    async with lab.appliance.database.begin() as db:
        password = await lab.appliance.vault.reveal(db, subscriber["password"])
    serial = result_of(view, "provision_device")["device_serial"]
    await lab.world.log_in(serial, subscriber["username"], password)
    say("  the laboratory's NAS logs in in the CPE's place")


async def _technician_scans(lab: Lab, view: RunView, say: Say) -> None:
    appliance, data = lab.appliance, view.input
    serial = data["device_serial"] or "HWTC00000001"
    port = result_of(view, "allocate_resources")["port"]
    visit = result_of(view, "schedule_installation")
    if lab.has_lab_acs:
        model = appliance.templates.get(data["config_template"]).data_model
        await lab.world.plug(serial, port=port or "0/1/0", data_model=model)
        say(f"  {visit['technician_name']} plugs in {serial} and scans it")
    else:
        say(f"  {serial} is scanned; now switch that CPE on, so that it informs {appliance.settings.genieacs_nbi_url}")
    async with appliance.database.begin() as db:
        await appliance.visit_desk(db).report(
            visit_id=visit["visit_id"], outcome="scanned", serial=serial, port=port, by=visit["technician_name"]
        )


def _tell(view: RunView, seen: dict[tuple[str, int], str], say: Say) -> None:
    for step in view.steps:
        if step.state != "planned" and seen.get((step.name, step.round)) != step.state:
            seen[step.name, step.round] = step.state
            say(f"  {step.state:<11} {step.name:<22} {_gist(step)}".rstrip())


def _gist(step: StepView) -> str:
    """The part of a result that a person wants to read in passing."""
    if step.note:
        return step.note
    if not isinstance(step.result, dict):
        return ""
    shown = ("ip_address", "delegated_prefix", "username", "state", "technician_name", "actual_port", "revision")
    wanted = (*shown, "framed_ip_address", "nas_address", "recipient", "smtp_reply", "received_power_dbm")
    return ", ".join(f"{name} {step.result[name]}" for name in wanted if step.result.get(name) not in (None, ""))


def _where(appliance: Appliance, home: Path) -> str:
    if appliance.database.is_postgresql:
        return f"PostgreSQL, database {appliance.database.url.database}"
    return f"SQLite, {home / 'firstlight.db'}"


def _end_what_was_left(home: Path) -> None:
    """A demo that was killed leaves its FreeRADIUS behind; the configuration it was started with tells which it is."""
    configuration = str(home.absolute() / "freeradius" / "raddb").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if configuration in command:
            os.kill(int(process.name), signal.SIGTERM)


def _empty_folder(home: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
