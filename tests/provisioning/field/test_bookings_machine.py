"""Whatever is booked, moved, called off or taken as leave, by dispatch, for an order or by a customer: nobody is in two
places, or out of hours for no reason; and what is offered can be had."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from provisioning.commercial import invariants as commercial
from provisioning.database import Database
from provisioning.days import UTC_DAYS
from provisioning.errors import ChangeRaced, ProvisioningError
from provisioning.field import (
    LIVE_STATES,
    Asked,
    Jobs,
    OutsideHours,
    Override,
    Place,
    Planning,
    RosterCollides,
    Search,
    SkillMissing,
    Task,
    TechnicianBusy,
    Technicians,
    Visit,
    VisitNotBegun,
    VisitOver,
    VisitPurpose,
    Visits,
    Whose,
    place_of,
)
from provisioning.field.fitting import Fitting
from provisioning.field.tables import Technician
from tests.support.machines import walk

T = TypeVar("T")
TENANTS = itertools.count(1)
NOW = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 3, 0, 0, tzinfo=UTC)
PLACES = [None, Place(48.10, 11.50), Place(48.10, 11.58), Place(48.40, 11.50)]
WEEKS: list[dict[str, list[str]] | None] = [
    None,
    {"tue": ["08:00-12:00", "13:00-17:00"]},
    {"tue": ["00:00-24:00"], "wed": ["00:00-06:00"]},
]
WHY = Override("it must be", "dispatch")
whom = st.integers(1, 2)
quarters = st.integers(24, 88)  # from six in the morning to ten at night
lengths = st.sampled_from([15, 60, 120])
jobs = st.sampled_from(["plain", "splice"])
HOLIDAYS = [None, "BG"]
"""That Tuesday is Bulgaria's Liberation Day."""
ORDER = 7
WORK = ["installation", "deployment"]
OUTCOMES = ["cancelled", "no_access", "scanned", "completed"]
overrides = st.sampled_from([None, WHY])


def at(quarter: int) -> datetime:
    return TUESDAY + timedelta(minutes=15 * quarter)


class Calendar(RuleBasedStateMachine):
    """Two technicians and one long day; the model is the rules themselves, asked of every row."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.tenant_id = f"tenant {next(TENANTS)}"
        self.database = Database(self.database_url, tenant_id=self.tenant_id)
        self.booked: list[int] = []
        self.do(self.begin())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def begin(self) -> None:
        async with self.database.begin() as db:
            people = Technicians(db, tenant_id=self.tenant_id)
            await people.register(technician_id=1, name="Tom", skills=["splicing"])
            await people.register(technician_id=2, name="Uma")
            kinds = Jobs(db, tenant_id=self.tenant_id)
            await kinds.define(name="plain", duration_minutes=60)
            await kinds.define(name="splice", duration_minutes=60, buffer_minutes=30, skills=["splicing"])

    def attempt(self, act: Any, *refusals: type[ProvisioningError]) -> Any:
        """In a transaction of its own, which a refusal takes back whole."""

        async def once() -> Any:
            try:
                async with self.database.begin() as db:
                    return await act(db)
            except refusals:
                return None

        return self.do(once())

    @rule(who=whom, quarter=quarters, minutes=lengths, job=jobs, place=st.sampled_from(PLACES), override=overrides)
    def book(
        self, who: int, quarter: int, minutes: int, job: str, place: Place | None, override: Override | None
    ) -> None:
        async def act(db: Any) -> int:
            kind = await Jobs(db, tenant_id=self.tenant_id).job(job)
            visit = await Visits(db, tenant_id=self.tenant_id, now=lambda: NOW).book(
                customer_id=42,
                technician_id=who,
                starts_at=at(quarter),
                duration_minutes=minutes,
                address="1 High Street",
                task=Task(kind, place, override),
            )
            return visit["visit_id"]

        visit_id = self.attempt(act, TechnicianBusy, OutsideHours, SkillMissing)
        if visit_id is not None:
            self.booked.append(visit_id)

    @rule(index=st.integers(0, 9), who=whom, quarter=quarters, override=overrides)
    def move(self, index: int, who: int, quarter: int, override: Override | None) -> None:
        if index < len(self.booked):

            async def act(db: Any) -> None:
                await Visits(db, tenant_id=self.tenant_id, now=lambda: NOW).reschedule(
                    visit_id=self.booked[index],
                    technician_id=who,
                    starts_at=at(quarter),
                    reason="moved",
                    override=override,
                )

            self.attempt(act, TechnicianBusy, OutsideHours, SkillMissing, VisitOver)

    @rule(purpose=st.sampled_from(WORK), who=whom, quarter=quarters)
    def work_for_an_order(self, purpose: VisitPurpose, who: int, quarter: int) -> None:
        """The order and its line share one visit: whoever comes first books it, whoever comes second joins it."""

        async def act(db: Any) -> int:
            visits = Visits(db, tenant_id=self.tenant_id, now=lambda: NOW)
            there = await visits.of_order(customer_id=42, order_id=ORDER)
            whose = Whose(purpose, ORDER)
            if there is not None and purpose == "deployment":
                return (await visits.join(visit_id=there["visit_id"], whose=whose))["visit_id"]
            booked = await visits.book(
                customer_id=42,
                technician_id=who,
                starts_at=at(quarter),
                duration_minutes=60,
                address="1 High Street",
                whose=whose,
            )
            return booked["visit_id"]

        visit_id = self.attempt(act, TechnicianBusy, OutsideHours, SkillMissing, ChangeRaced)
        if visit_id is not None and visit_id not in self.booked:
            self.booked.append(visit_id)

    @rule(index=st.integers(0, 9), purpose=st.sampled_from(WORK), stays=st.booleans())
    def need_it_no_more(self, index: int, purpose: VisitPurpose, stays: bool) -> None:
        if index < len(self.booked):

            async def act(db: Any) -> None:
                visits = Visits(db, tenant_id=self.tenant_id, now=lambda: NOW)
                await visits.leave(visit_id=self.booked[index], purpose=purpose, reason="undone", stays=stays)

            self.attempt(act)

    @rule(index=st.integers(0, 9), choice=st.integers(0, 20))
    def let_the_customer_choose(self, index: int, choice: int) -> None:
        """Another time of those that are offered, with whoever has the least way then: it is never refused."""
        if index < len(self.booked):

            async def act(db: Any) -> None:
                visits = Visits(db, tenant_id=self.tenant_id, now=lambda: NOW)
                visit = await visits.visit(self.booked[index])
                if visit["state"] != "booked":
                    return
                job = await Jobs(db, tenant_id=self.tenant_id).of_visit(visit)
                place = place_of(visit["latitude"], visit["longitude"])
                asked = Asked.of(job, place, at(0), besides=visit["visit_id"])
                search = Search(db, tenant_id=self.tenant_id, now=lambda: NOW, zone=UTC_DAYS)
                offers = await search.times(replace(asked, but_not_at=visit["starts_at"], each_time_once=True), days=2)
                for offer in offers[choice : choice + 1]:
                    who, when = offer["technician_id"], offer["starts_at"]
                    await visits.reschedule(
                        visit_id=visit["visit_id"], technician_id=who, starts_at=when, reason="chosen", seen=visit
                    )

            self.attempt(act)

    @rule(index=st.integers(0, 9), outcome=st.sampled_from(OUTCOMES), is_over=st.booleans())
    def report(self, index: int, outcome: Any, is_over: bool) -> None:
        if index < len(self.booked):

            async def act(db: Any) -> None:
                await Visits(db, tenant_id=self.tenant_id, now=lambda: at(200) if is_over else NOW).report(
                    visit_id=self.booked[index],
                    outcome=outcome,
                    serial="HWTC12345678" if outcome == "scanned" else None,
                    note="because" if outcome == "cancelled" else None,
                )

            self.attempt(act, VisitOver, VisitNotBegun)

    @rule(who=whom, week=st.sampled_from(WEEKS), holidays=st.sampled_from(HOLIDAYS), override=overrides)
    def plan(
        self, who: int, week: dict[str, list[str]] | None, holidays: str | None, override: Override | None
    ) -> None:
        async def act(db: Any) -> None:
            await Planning(db, tenant_id=self.tenant_id, now=lambda: NOW).plan(
                technician_id=who, week=week, time_zone="UTC", holidays=holidays, override=override
            )

        self.attempt(act, RosterCollides)

    @rule(who=whom, quarter=quarters, hours=st.integers(1, 4), override=overrides)
    def be_away(self, who: int, quarter: int, hours: int, override: Override | None) -> None:
        async def act(db: Any) -> None:
            await Planning(db, tenant_id=self.tenant_id, now=lambda: NOW).take_leave(
                technician_id=who,
                starts_at=at(quarter),
                ends_at=at(quarter + 4 * hours),
                reason="ill",
                override=override,
            )

        self.attempt(act, RosterCollides)

    @invariant()
    def nobody_is_in_two_places_or_out_of_hours_without_a_reason(self) -> None:
        assert self.do(self.faults()) == {"overlapping": [], "outside": [], "missed": [], "of the order": []}

    async def faults(self) -> dict[str, list[Any]]:
        """All rules in one look. Nobody was missed before a visit began; an order has one visit to come."""
        async with self.database.read() as db:
            overlapping = await commercial.overlapping_visits(db, self.tenant_id)
            people = (await db.scalars(select(Technician).where(Technician.tenant_id == self.tenant_id))).all()
            rosters = await Fitting(db, tenant_id=self.tenant_id).rosters(people)
            visits = list(await db.scalars(select(Visit).where(Visit.tenant_id == self.tenant_id)))
        live = [visit for visit in visits if visit.state in LIVE_STATES]
        outside = [
            visit.id
            for visit in live
            if visit.override_reason is None
            and rosters[visit.technician_id].refusal(visit.starts_at, visit.ends_at) is not None
        ]
        missed = [visit.id for visit in visits if visit.state == "no_access" and _when(visit) < visit.starts_at]
        of_the_order = [visit.id for visit in live if visit.order_id == ORDER]
        return {"overlapping": overlapping, "outside": outside, "missed": missed, "of the order": of_the_order[1:]}

    def teardown(self) -> None:
        self.do(self.database.close())
        self.runner.close()


def _when(visit: Visit) -> datetime:
    assert visit.outcome_at is not None, "what came of it was told at some time"
    return visit.outcome_at


@pytest.mark.both_databases
def test_nobody_is_in_two_places_whatever_is_booked_moved_and_called_off(database_url: str) -> None:
    walk(Calendar, database_url=database_url, walks=6, steps=25)
