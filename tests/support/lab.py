"""A whole ISP in one process for the journeys' tests: real FreeRADIUS and SMTP, lab ACS, OLT and CPEs, one worker.

Opening it takes seconds, so many tests share it, each with a household of its own. Its clock is the real one, moved on
where a test would have to wait: days until a deadline, minutes until a retry.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import inspect, text

from acs import DeviceRecord
from acs.testing import LabCpe
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.check import check_everything
from provisioning.commercial.testing import KeptMail
from provisioning.estate import import_estate
from provisioning.field import Visits
from provisioning.lab.demo import Lab, open_lab
from provisioning.lab.world import LabWorld
from provisioning.visits import Outcome
from provisioning.worker import Pace, Worker, open_worker
from radius import Retransmission
from radius.testing import LabNas, LoginReply
from tests.support.clock import MovableClock
from tests.support.customer_pages import PageServer
from tests.support.estate import AT_THE_TIGHT_OLT, Household, estate_toml, tomorrow
from tests.support.http_receiver import HttpReceiver
from workflows import EventView, RunView, list_events, show_run
from workflows.definitions.installation import Appointment
from workflows.engine.tables import ENDED, RunRow

DESK = "desk"
NOC = "operator"
PATIENCE_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 0.1
OF_THE_NAS_CLOCK = "radius.nas_heard"
NOTICE_TURNS = 60
LATE = ("session_count", "workflow_output")
"""Tables in which something may still be written that a test has not asked for."""


class JourneyLab:
    """The ISP, and the people in it: the desk that takes tickets, dispatch, technicians, operators."""

    def __init__(self, lab: Lab, clock: MovableClock, pages: PageServer | None = None) -> None:
        self.world: LabWorld = lab.world
        self.appliance: Appliance = lab.appliance
        self.clock = clock
        self.pages = pages or PageServer()
        self.worker: Worker
        self.line_receiver: HttpReceiver  # of an ISP whose OLTs are driven by a system of its own
        self._worker_stack = AsyncExitStack()
        self._numbers = iter(n for n in itertools.count(1) if n not in AT_THE_TIGHT_OLT)
        self.last_household = 0
        self._moved = asyncio.Event()

    @property
    def is_postgresql(self) -> bool:
        return self.appliance.database.is_postgresql

    def household(self) -> Household:
        """One that no other test has."""
        self.last_household = next(self._numbers)
        return Household(self.last_household)

    # -- the appliance -------------------------------------------------------------------------------------------------

    async def start_worker(self) -> None:
        pace = Pace(
            look_every_seconds=0.2,
            visits_every_seconds=0.25,
            nas_retransmission=Retransmission(sends=3, first_wait_seconds=0.2),
            sleep=self.clock.sleep,
        )
        opened = open_worker(self.appliance, at=self._something_happened, pace=pace)
        self.worker = await self._worker_stack.enter_async_context(opened)

    async def stop_worker(self) -> None:
        await self._worker_stack.aclose()

    @asynccontextmanager
    async def restarted_with(self, **settings: Any) -> AsyncIterator[None]:
        """An operator changes settings and restarts the worker; afterwards everything is as it was."""
        before = self.appliance
        await self.stop_worker()
        try:
            changed = before.settings.model_copy(update=settings)
            async with open_appliance(changed, clock=self.clock.now) as self.appliance:
                await self.start_worker()
                try:
                    yield
                finally:
                    await self.stop_worker()
        finally:
            self.appliance = before
            await self.start_worker()

    async def import_estate(self, file: Path, text: str) -> None:
        """What an operator does with ``firstlight import``."""
        await asyncio.to_thread(file.write_text, text)
        await import_estate(self.appliance, file)

    async def broken_invariants(self) -> list[str]:
        """What ``firstlight check`` finds, as a person reads it, once terms that are over by now have been swept.

        A notice whose time the clock has just skipped gets its turn first. What is said of accounting is left out: it
        is as old as the clock was moved, since the NAS goes by its own.
        """
        await self.appliance.end_terms()
        for _ in range(NOTICE_TURNS):
            result = await check_everything(self.appliance)
            findings = [found for found in result.findings if found.invariant != OF_THE_NAS_CLOCK]
            if {found.invariant for found in findings} != {"notice.not_stuck"}:
                break
            await self.happening()
        assert result.asked >= 20
        return [f"{found.invariant}: {found.subject}: {found.message}" for found in findings]

    async def reveal_nas_secret(self) -> str:
        async with self.appliance.database.begin() as db:
            [nas] = await self.appliance.services(db).radius_service.nas_list()
            return await self.appliance.vault.reveal(db, nas["secret"])

    async def row_counts(self) -> dict[str, int]:
        """Every table and how many rows it has; but for those that tell other systems of all the others, what the clock
        writes down by itself, and DBOS' word that a segment has ended, which comes after ours: one that begins is a row
        of ``workflow_status``."""
        async with self.appliance.database.begin() as db:
            found = await db.run_sync(lambda sync: inspect(sync.connection()).get_table_names())
            names = [name for name in found if not name.startswith("webhook") and name not in LATE]
            return {name: await db.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0 for name in names}

    def activation_mails(self, house: Household) -> list[KeptMail]:
        """What the mail server took for this customer to say that the line works."""
        return self.mails_to(house, "your service is live")

    def mails_to(self, house: Household, subject: str = "") -> list[KeptMail]:
        """What the mail server took for this customer, with this in the subject."""
        return [mail for mail in self.mails_at(house.email) if subject in str(mail.message["Subject"])]

    def mails_at(self, address: str) -> list[KeptMail]:
        """What the mail server took for this address."""
        return [mail for mail in self.world.mail.mails() if mail.message["To"] == address]

    async def publish(self, event_type: str, data: dict[str, Any], *, key: str) -> EventView:
        """Another system tells an event; what has become of it once it was taken up."""
        async with self.appliance.database.begin() as db:
            await self.appliance.publish(db, event_type, "a test", data, key, "another system")
        return await self.event(key)

    async def event(self, key: str) -> EventView:
        """The event of this key, once the worker has taken it up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with self.appliance.database.read() as db:
                    found = await list_events(db, tenant_id=self.appliance.tenant_id, limit=500)
                [event] = [each for each in found if each.key == key]
                if event.state != "pending":
                    return event
                await self.happening()

    async def run_of(self, key: str) -> Installation:
        """The run that the event of this key has started."""
        event = await self.event(key)
        assert event.run_id is not None, event.reason
        return Installation(self, event.run_id)

    async def happening(self) -> None:
        """Returns after the worker's next commit, or soon."""
        self._moved.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), LOOK_AGAIN_SECONDS)

    def _something_happened(self, point: str) -> None:
        if point.endswith(".committed"):
            self._moved.set()

    # -- people --------------------------------------------------------------------------------------------------------

    async def submit(self, ticket: dict[str, Any]) -> Installation:
        """The desk hands a ticket in."""
        async with self.appliance.database.begin() as db:
            started = await self.appliance.desk(db).accept(ticket, by=DESK)
        return Installation(self, started.run_id)

    async def order(self, house: Household, **changes: Any) -> Installation:
        """A ticket for a household, with an appointment tomorrow."""
        return await self.submit(house.ticket(tomorrow(self.clock.now()), **changes))

    async def until_it_begins(self, visit_id: int) -> None:
        """The time of the visit comes."""
        async with self.appliance.database.read() as db:
            visit = await Visits(db, tenant_id=self.appliance.tenant_id, now=self.clock.now).visit(visit_id)
        self.clock.skip_to(visit["starts_at"])

    async def device(self, serial: str) -> DeviceRecord:
        """What is known of a CPE."""
        async with self.appliance.database.read() as db:
            return await self.appliance.services(db).genieacs_service.device(device_serial=serial)

    async def plug(self, serial: str, house: Household, data_model: Literal["TR-181", "TR-098"] = "TR-181") -> LabCpe:
        """The technician connects an ONT to the household's fibre; it stays dark until the OLT lets it in."""
        return await self.world.plug(serial, port=house.port, data_model=data_model)

    @property
    def nas(self) -> LabNas:
        """The BNG."""
        assert self.world.nas is not None
        return self.world.nas

    @asynccontextmanager
    async def no_dialling(self) -> AsyncIterator[LabNas]:
        """Nobody's PPPoE gets through to the BNG for the time of the block."""
        nas, self.world.nas = self.nas, None
        try:
            yield nas
        finally:
            self.world.nas = nas

    async def login(self, run: Installation) -> LoginReply:
        """The NAS asks FreeRADIUS with the subscriber's right name and password."""
        subscriber = await run.result("create_subscriber")
        async with self.appliance.database.begin() as db:
            password = await self.appliance.vault.reveal(db, subscriber["password"])
        return await self.nas.login(subscriber["username"], password)


@dataclass(frozen=True)
class Installation:
    """One run, as the people see it who have to do with it."""

    lab: JourneyLab
    id: int

    async def view(self) -> RunView:
        appliance = self.lab.appliance
        async with appliance.database.begin() as db:
            return await show_run(db, self.id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)

    async def result(self, step: str) -> Any:
        """The result of a step in its latest round."""
        return next(one.result for one in (await self.view()).steps if one.name == step)

    async def states(self) -> dict[str, str]:
        """Step by step, in which state it is."""
        return {one.name: one.state for one in (await self.view()).steps}

    # -- waiting for it ------------------------------------------------------------------------------------------------

    async def until_waiting_for(self, signal: str | None, code: str = "") -> RunView:
        """None: for nothing but its time. ``code``: what keeps everybody from looking for it."""
        return await self._until(signal or "its time", code=code)

    async def until_retrying(self, step: str = "", code: str = "") -> RunView:
        """An outside call (of this step, with this error) has failed, and the next try has its time."""
        return await self._until("retry", step, code)

    async def until_held(self) -> RunView:
        return await self._until("held")

    async def until_ended(self) -> RunView:
        return await self._until("ended")

    async def _until(self, wanted: str, step: str = "", code: str = "") -> RunView:
        """Until it stands there; retries come at once. Anything else where it would stand still is a failure."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                run = await self._row()
                here = {"held": "held"}.get(run.state) or ("ended" if run.state in ENDED else run.waiting_for)
                if run.state == "pending" and here is None:
                    here = "its time"
                if here == wanted and step in ("", run.current_step) and code in ("", run.reason_code):
                    return await self.view()
                if here in ("held", "ended"):
                    raise AssertionError(f"run {run.id} is {run.state} in {run.current_step}: {run.reason}")
                if here == "retry" and run.wake_at is not None:
                    self.lab.clock.skip_to(run.wake_at)
                await self.lab.happening()

    async def _row(self) -> RunRow:
        """What costs less to look at than the whole run."""
        async with self.lab.appliance.database.read() as db:
            return await db.get_one(RunRow, self.id)

    # -- people --------------------------------------------------------------------------------------------------------

    async def report(
        self,
        outcome: Outcome,
        *,
        serial: str | None = None,
        port: str | None = None,
        note: str | None = None,
        next_appointment: dict[str, Any] | None = None,
    ) -> None:
        """The technician reports from the visit that is booked."""
        appliance = self.lab.appliance
        visit_id = (await self.result("schedule_installation"))["visit_id"]
        if outcome == "no_access":
            await self.lab.until_it_begins(visit_id)
        async with appliance.database.begin() as db:
            again = Appointment.model_validate(next_appointment) if next_appointment else None
            _, told = await appliance.visit_desk(db).report(
                visit_id=visit_id,
                outcome=outcome,
                serial=serial,
                port=port,
                note=note,
                next_appointment=again,
                by="technician",
            )
        assert told == [self.id]

    async def plug_and_scan(self, house: Household, serial: str | None = None) -> LabCpe:
        """The technician connects an ONT (the planned one) where it is planned, and scans it."""
        chosen = serial or house.serial
        cpe = await self.lab.plug(chosen, house)
        await self.report("scanned", serial=chosen, port=house.port)
        return cpe

    async def appoint(self, house: Household, at: datetime) -> None:
        """Dispatch makes the appointment."""
        runs = self.lab.appliance.runs
        async with self.lab.appliance.database.begin() as db:
            appointment = house.appointment(at)
            await runs.signal(db, self.id, "appointment", appointment, key=f"at/{at.isoformat()}", by="dispatch")

    async def retry(self, from_step: str | None = None) -> None:
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.runs.retry(db, self.id, by=NOC, from_step=from_step)

    async def skip(self, reason: str) -> None:
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.runs.skip(db, self.id, by=NOC, reason=reason)

    async def roll_back(self, reason: str) -> None:
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.runs.roll_back(db, self.id, by=NOC, reason=reason)

    async def cancel(self, reason: str) -> None:
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.runs.cancel(db, self.id, by=NOC, reason=reason)


@asynccontextmanager
async def open_journey_lab(
    home: Path, *, clock: MovableClock | None = None, **settings: Any
) -> AsyncIterator[JourneyLab]:
    """The lab with its worker running; ``settings`` win over the laboratory's own."""
    estate = home.with_suffix(".toml")
    estate.write_text(estate_toml())
    clock = clock or MovableClock()
    own = {"olt_http_timeout_seconds": 1.0, "smtp_timeout_seconds": 2.0}
    async with (
        PageServer() as pages,
        open_lab(home, estate, lambda _: None, clock=clock, **{**own, "public_url": pages.url, **settings}) as opened,
    ):
        pages.serve(opened.appliance)
        lab = JourneyLab(opened, clock, pages)
        await lab.start_worker()
        try:
            yield lab
        finally:
            await lab.stop_worker()
