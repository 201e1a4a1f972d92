"""Who technicians are and when they work, told by who plans them: skills, van and home, their week, and their leave.

A visit that is booked into a time in which its technician would not work any more, or that needs a skill that they
would not have any more, is named and refuses the change, unless it is said why it is made all the same: then that
stands at the visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.field.departures import change_team
from provisioning.field.errors import LeaveUnknown, RosterCollides, SkillsNeeded, TechnicianUnknown
from provisioning.field.fitting import Fitting, Override
from provisioning.field.planning_tables import TechnicianLeave, VisitJob
from provisioning.field.rosters import Roster, read_holidays, read_week, read_zone
from provisioning.field.tables import LIVE_STATES, Technician, Visit
from provisioning.field.technicians import TechnicianRecord, Technicians, hold_technician
from provisioning.field.travel import read_place
from provisioning.intake import Clock, Faults

LONGEST_REASON = 200
LONGEST_LEAVE = timedelta(days=366)


class PlannedTechnician(TypedDict):
    """One technician, and when and from where they work. ``week`` None: nobody has told, 8 to 18 o'clock is offered."""

    technician_id: int
    name: str
    email: str | None
    skills: list[str]
    team: str | None
    van: str | None
    home_latitude: float | None
    home_longitude: float | None
    week: dict[str, list[str]] | None
    time_zone: str | None
    holidays: str | None


class LeaveRecord(TypedDict):
    """A time in which a technician isn't there."""

    leave_id: int
    technician_id: int
    starts_at: datetime
    ends_at: datetime
    reason: str


class Planning:
    """The plans of one ISP's technicians. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._fitting = Fitting(db, tenant_id=tenant_id)

    async def register(
        self,
        *,
        technician_id: int,
        name: str,
        email: str | None = None,
        skills: Sequence[str] = (),
        override: Override | None = None,
    ) -> TechnicianRecord:
        """Make this technician known under the ISP's number; a known one gets the e-mail and skills given now.

        Raises: InvalidRequest (all faults), TechnicianConflict (the number is somebody else's), SkillsNeeded (visits
        that are booked need a skill that goes), ChangeRaced.
        """
        before = await self._skills_held(technician_id)
        registered = await Technicians(self._db, tenant_id=self._tenant_id).register(
            technician_id=technician_id, name=name, email=email, skills=skills
        )
        if lost := before - set(registered["skills"]):
            await self._settle_skills(registered, lost, override)
        return registered

    async def plan(
        self,
        *,
        technician_id: int,
        team: str | None = None,
        van: str | None = None,
        home_latitude: float | None = None,
        home_longitude: float | None = None,
        week: object = None,
        time_zone: str | None = None,
        holidays: str | None = None,
        override: Override | None = None,
    ) -> PlannedTechnician:
        """How this technician works from now on, as a whole: what is left out isn't known any more.

        Raises: InvalidRequest (all faults), TechnicianUnknown, RosterCollides.
        """
        faults = Faults("The plan of a technician")
        home = read_place(faults, home_latitude, home_longitude, prefix="home_")
        values: dict[str, Any] = {
            "team": faults.optional_line("team", team, longest=60),
            "van": faults.optional_line("van", van, longest=60),
            "home_latitude": home.latitude if home else None,
            "home_longitude": home.longitude if home else None,
            "week": read_week(faults, week),
            "time_zone": read_zone(faults, time_zone),
            "holidays": read_holidays(faults, holidays),
        }
        if week is not None and time_zone is None:
            faults.add("time_zone", "is missing beside the week whose hours it tells")
        faults.refuse_if_any()
        row = await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        before, former_team = await self._roster(row), row.team
        for name, value in values.items():
            setattr(row, name, value)
        await self._db.flush()
        await self._settle(row, before, override)
        if row.team != former_team:
            await change_team(self._db, row, former_team, now=self._now())
        return planned(row)

    async def technician(self, technician_id: int) -> PlannedTechnician:
        """Raises: TechnicianUnknown."""
        row = await self._db.get(Technician, (self._tenant_id, technician_id))
        if row is None:
            raise TechnicianUnknown(technician_id)
        return planned(row)

    async def technicians(self) -> list[PlannedTechnician]:
        """All of them, by name."""
        query = select(Technician).where(Technician.tenant_id == self._tenant_id)
        return [planned(row) for row in await self._db.scalars(query.order_by(Technician.name, Technician.id))]

    async def take_leave(
        self,
        *,
        technician_id: int,
        starts_at: datetime,
        ends_at: datetime,
        reason: str,
        override: Override | None = None,
    ) -> LeaveRecord:
        """The technician isn't there then. The same leave again is the same one.

        Raises: InvalidRequest (all faults), TechnicianUnknown, RosterCollides.
        """
        faults = Faults("The leave")
        begins, ends = faults.moment("starts_at", starts_at), faults.moment("ends_at", ends_at)
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        if begins and ends and not begins < ends <= begins + LONGEST_LEAVE:
            faults.add("ends_at", "is not after starts_at, or more than a year after it")
        faults.refuse_if_any()
        assert begins is not None and ends is not None, "a missing time has left a fault"
        technician = await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        for known in await self.leave(technician_id=technician_id):
            if (known["starts_at"], known["ends_at"], known["reason"]) == (begins, ends, why):
                return known
        before = await self._roster(technician)
        values = {"tenant_id": self._tenant_id, "technician_id": technician_id, "reason": why}
        row = await self._db.scalar(
            insert(TechnicianLeave).values(**values, starts_at=begins, ends_at=ends).returning(TechnicianLeave),
            execution_options={"populate_existing": True},  # SQLite gives the number of one taken back anew
        )
        assert row is not None
        await self._settle(technician, before, override)
        return _leave(row)

    async def withdraw_leave(self, leave_id: int) -> LeaveRecord:
        """The technician is there after all. Once is enough. Raises: LeaveUnknown."""
        row: TechnicianLeave | None = await self._db.scalar(
            select(TechnicianLeave)
            .where(TechnicianLeave.tenant_id == self._tenant_id, TechnicianLeave.id == leave_id)
            .with_for_update()
        )
        if row is None:
            raise LeaveUnknown(leave_id)
        row.withdrawn_at = row.withdrawn_at or self._now()
        await self._db.flush()
        return _leave(row)

    async def leave(self, *, technician_id: int | None = None) -> list[LeaveRecord]:
        """What is to come, and what goes on, in the order of its beginning."""
        query = select(TechnicianLeave).where(
            TechnicianLeave.tenant_id == self._tenant_id,
            TechnicianLeave.withdrawn_at.is_(None),
            TechnicianLeave.ends_at > self._now(),
        )
        if technician_id is not None:
            query = query.where(TechnicianLeave.technician_id == technician_id)
        rows = await self._db.scalars(query.order_by(TechnicianLeave.starts_at, TechnicianLeave.id))
        return [_leave(row) for row in rows]

    async def _roster(self, technician: Technician) -> Roster:
        return (await self._fitting.rosters([technician]))[technician.id]

    async def _settle(self, technician: Technician, before: Roster, override: Override | None) -> None:
        """Visits to make that this puts outside the technician's hours are refused, or bear why they stay.

        A reason that stands at a visit already was for what it was outside of then, and covers nothing new.
        """
        now = await self._roster(technician)
        outside = [visit for visit in await self._to_come(technician.id) if _is_put_outside(visit, before, now)]
        if outside and override is None:
            raise RosterCollides(technician.name, [visit.id for visit in outside])
        await self._bear(outside, override)

    async def _skills_held(self, technician_id: int) -> set[str]:
        """None of somebody new; of a number that can be nobody's neither, which is told with all other faults."""
        faults = Faults("The technician")
        number = faults.number("technician_id", technician_id)
        if faults.count:
            return set()
        try:
            return set((await hold_technician(self._db, number, tenant_id=self._tenant_id)).skills)
        except TechnicianUnknown:
            return set()

    async def _settle_skills(self, technician: TechnicianRecord, lost: set[str], override: Override | None) -> None:
        """As with hours: visits to make that need what is lost refuse it, or bear why they stay."""
        kinds = await self._db.scalars(select(VisitJob).where(VisitJob.tenant_id == self._tenant_id))
        needed = {kind.name: lost.intersection(kind.skills) for kind in kinds}
        found = await self._to_come(technician["technician_id"])
        hit = [visit for visit in found if visit.job is not None and needed.get(visit.job)]
        if hit and override is None:
            missing = set().union(*(needed[visit.job] for visit in hit if visit.job is not None))
            raise SkillsNeeded(technician["name"], sorted(missing), [visit.id for visit in hit])
        await self._bear(hit, override)

    async def _bear(self, visits: Sequence[Visit], override: Override | None) -> None:
        for visit in visits:
            assert override is not None, "else it was refused"
            visit.override_reason = "; ".join(filter(None, (visit.override_reason, override.reason)))
            visit.override_by = override.by
            visit.sequence, visit.changed_at = visit.sequence + 1, self._now()
        await self._db.flush()

    async def _to_come(self, technician_id: int) -> Sequence[Visit]:
        found = await self._db.scalars(
            select(Visit)
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.technician_id == technician_id,
                Visit.state.in_(LIVE_STATES),
                Visit.ends_at > self._now(),
            )
            .order_by(Visit.starts_at)
        )
        return found.all()


def _is_put_outside(visit: Visit, before: Roster, now: Roster) -> bool:
    when = (visit.starts_at, visit.ends_at)
    if now.refusal(*when) is None:
        return False
    is_new = before.refusal(*when) is None or (now.is_away(*when) and not before.is_away(*when))
    return is_new or visit.override_reason is None


def planned(row: Technician) -> PlannedTechnician:
    """A technician as it is planned with them."""
    return PlannedTechnician(
        technician_id=row.id,
        name=row.name,
        email=row.email,
        skills=list(row.skills),
        team=row.team,
        van=row.van,
        home_latitude=row.home_latitude,
        home_longitude=row.home_longitude,
        week=row.week,
        time_zone=row.time_zone,
        holidays=row.holidays,
    )


def _leave(row: TechnicianLeave) -> LeaveRecord:
    return LeaveRecord(
        leave_id=row.id,
        technician_id=row.technician_id,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        reason=row.reason,
    )
