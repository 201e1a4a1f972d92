"""One ticket taken from paper to its end in the laboratory, watched as it happens, with everybody in it played."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from provisioning.bootstrap import Appliance
from provisioning.field import Technicians
from provisioning.lab.demo import Lab, Say
from provisioning.lab.errors import DemoFailed
from provisioning.tickets import read_ticket
from radius.testing import LoginReply
from workflows import ENDED, RunView, StepView, show_run

LOOK_EVERY_SECONDS = 0.1
FIRST_VISIT_HOUR_UTC = 9


async def install(lab: Lab, ticket: Path, say: Say) -> tuple[RunView, LoginReply]:
    """Takes one ticket to its end, playing dispatch and the technician; returns the run and what a login got before
    the scan.

    Raises: InvalidRequest if the ticket is refused; DemoFailed if the run stops before its end, or waits for what
    nobody here can tell it.
    """
    appliance = lab.appliance
    data = read_ticket(ticket)
    async with appliance.database.begin() as db:
        started = await appliance.desk(db).accept(data, by="demo")
    say(f"ticket {data['ticket_id']} is run {started.run_id}")
    seen: dict[tuple[str, int], str] = {}
    people = _People(lab, say)
    while True:
        view = await look(appliance, started.run_id)
        _tell(view, seen, say)
        summary = view.summary
        if summary.state in ENDED and people.before_scan is not None:
            return view, people.before_scan
        if summary.state in ENDED or summary.state == "held":
            raise DemoFailed(f"run {summary.id} is {summary.state} in {summary.current_step}: {summary.reason}")
        await people.answer(view)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def look(appliance: Appliance, run_id: int) -> RunView:
    """The run as it is now."""
    async with appliance.database.read() as db:
        return await show_run(db, run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)


def result_of(view: RunView, step: str) -> Any:
    """The result of a step of a run."""
    return next(one.result for one in view.steps if one.name == step)


class _People:
    """Whom an installation may wait for: dispatch, the technician, and, where the CPE is a real one, the NAS."""

    def __init__(self, lab: Lab, say: Say) -> None:
        self._lab = lab
        self._say = say
        self._appointed = False
        self.before_scan: LoginReply | None = None

    async def answer(self, view: RunView) -> None:
        """Does what the run waits for, once; what the world does by itself is left to it.

        Raises: DemoFailed if nobody here can do it.
        """
        match view.summary.waiting_for:
            case "appointment" if not self._appointed:
                await self._dispatch_appoints(view)
                self._appointed = True
            case "visit" if self.before_scan is None:
                self.before_scan = await self._login_before_scan(view)
                await self._technician_scans(view)
            case "session_started" if not self._lab.has_lab_acs and not self._lab.world.dial_ins:
                await self._nas_dials(view)
            case None | "retry" | "device_informed" | "session_started":
                pass
            case other:
                raise DemoFailed(
                    f"run {view.summary.id} waits for {other} in {view.summary.current_step}, which the demo can't"
                    f" tell it: {view.summary.reason}"
                )

    async def _dispatch_appoints(self, view: RunView) -> None:
        """The first technician of the estate, tomorrow morning."""
        appliance = self._lab.appliance
        async with appliance.database.begin() as db:
            known = await Technicians(db, tenant_id=appliance.tenant_id).technicians()
            if not known:
                raise DemoFailed(f"run {view.summary.id} needs an appointment, and the estate has no technician")
            visit_at = _tomorrow_morning(appliance.clock())
            appointment = {"technician_id": known[0]["technician_id"], "scheduled_date": visit_at}
            key = f"appointment/{visit_at.isoformat()}"
            await appliance.runs.signal(db, view.summary.id, "appointment", appointment, key=key, by="dispatch")
        self._say(f"  dispatch sends {known[0]['name']} on {visit_at:%Y-%m-%d at %H:%M} UTC")

    async def _login_before_scan(self, view: RunView) -> LoginReply:
        """The right name and password, before anybody was there: it must be refused."""
        subscriber, password = await self._account(view)
        assert self._lab.world.nas is not None
        reply = await self._lab.world.nas.login(subscriber["username"], password)
        self._say(f"  a login before the scan is answered {reply.code}: {reply.first('Reply-Message') or ''}")
        return reply

    async def _nas_dials(self, view: RunView) -> None:
        """A real CPE has no way to the laboratory's NAS, so the NAS logs in by itself with what the CPE was given."""
        subscriber, password = await self._account(view)
        serial = result_of(view, "provision_device")["device_serial"]
        await self._lab.world.log_in(serial, subscriber["username"], password)
        self._say("  the laboratory's NAS logs in in the CPE's place")

    async def _account(self, view: RunView) -> tuple[dict[str, Any], str]:
        subscriber = result_of(view, "create_subscriber")
        async with self._lab.appliance.database.begin() as db:
            return subscriber, await self._lab.appliance.vault.reveal(db, subscriber["password"])

    async def _technician_scans(self, view: RunView) -> None:
        appliance, data = self._lab.appliance, view.input
        serial = data["device_serial"] or "HWTC00000001"
        port = result_of(view, "allocate_resources")["port"]
        visit = result_of(view, "schedule_installation")
        if self._lab.has_lab_acs:
            model = appliance.templates.get(data["config_template"]).data_model
            await self._lab.world.plug(serial, port=port or "0/1/0", data_model=model)
            self._say(f"  {visit['technician_name']} plugs in {serial} and scans it")
        else:
            where = appliance.settings.genieacs_nbi_url
            self._say(f"  {serial} is scanned; now switch that CPE on, so that it informs {where}")
        async with appliance.database.begin() as db:
            await appliance.visit_desk(db).report(
                visit_id=visit["visit_id"], outcome="scanned", serial=serial, port=port, by=visit["technician_name"]
            )


def _tomorrow_morning(now: datetime) -> datetime:
    return (now + timedelta(days=1)).replace(hour=FIRST_VISIT_HOUR_UTC, minute=0, second=0, microsecond=0)


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
