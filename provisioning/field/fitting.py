"""Whether a visit fits into a technician's day: hours, skills, the way there and on, and what is kept free after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.days import UTC_DAYS
from provisioning.field.errors import OutsideHours, SkillMissing
from provisioning.field.jobs import JobRecord
from provisioning.field.planning_tables import TechnicianLeave
from provisioning.field.rosters import Leave, Roster
from provisioning.field.tables import LIVE_STATES, Technician, Visit
from provisioning.field.travel import Place, place_of
from provisioning.field.ways import AS_THE_CROW_FLIES, Asking, Ways

LONGEST_WAY = timedelta(hours=8)
"""Who was elsewhere longer ago than this has had the time to get anywhere."""


@dataclass(frozen=True)
class Override:
    """Why a technician is sent all the same, and who says so."""

    reason: str
    by: str


@dataclass(frozen=True)
class Task:
    """What is to be done, as far as a booking has to know: a kind of job, where, and why against the rules."""

    job: JobRecord | None = None
    place: Place | None = None
    override: Override | None = None


@dataclass(frozen=True)
class Asked:
    """The slot that somebody wanted, as far as a search for another one has to know. ``skills``: all are needed.

    ``besides``: a visit that is to be moved, and is in nobody's way. ``technician_id``: nobody else will do.
    ``not_before`` and ``not_after``: when it may begin at the earliest, and must be over. ``each_time_once``: who comes
    doesn't matter. ``but_not_at``: when the visit is already. ``but_not_as``: with whom and when it is already; with
    somebody else then, or with them at another time, it would be moved.
    """

    starts_at: datetime
    duration_minutes: int
    buffer_minutes: int = 0
    window_minutes: int = 0
    skills: frozenset[str] = frozenset()
    place: Place | None = None
    besides: int | None = None
    technician_id: int | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    each_time_once: bool = False
    but_not_at: datetime | None = None
    but_not_as: tuple[int, datetime] | None = None

    @classmethod
    def of(cls, job: JobRecord, place: Place | None, starts_at: datetime, besides: int | None = None) -> Asked:
        """This job, there, then."""
        return cls(
            starts_at,
            job["duration_minutes"],
            job["buffer_minutes"],
            job["window_minutes"],
            frozenset(job["skills"]),
            place,
            besides,
        )

    @property
    def job(self) -> JobRecord:
        """What there is to do."""
        return JobRecord(
            name="visit",
            duration_minutes=self.duration_minutes,
            buffer_minutes=self.buffer_minutes,
            window_minutes=self.window_minutes,
            skills=sorted(self.skills),
        )


@dataclass(frozen=True)
class Fit:
    """What a visit holds of its technician's time, and whose way to the next visit it changes.

    ``override``: the one that was needed; None where nothing stood in the way.
    """

    held_from: datetime | None = None
    held_to: datetime | None = None
    override: Override | None = None
    next_id: int | None = None
    next_held_from: datetime | None = field(default=None)


class Fitting:
    """Looks at technicians' days. Only reads ``db``; the caller holds the technician."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, ways: Ways = AS_THE_CROW_FLIES) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._ways = ways

    async def fit(
        self, technician: Technician, starts_at: datetime, ends_at: datetime, task: Task, *, besides: int | None = None
    ) -> Fit:
        """Raises: OutsideHours, SkillMissing, unless the task says why it must be so."""
        override = await self._override(technician, starts_at, ends_at, task)
        before, after = await self._neighbours(technician.id, starts_at, besides)
        way = None if before is None else self._ways.minutes(_place(before), task.place)
        onward = None if after is None else self._ways.minutes(task.place, _place(after))
        buffer = task.job["buffer_minutes"] if task.job else 0
        return Fit(
            held_from=starts_at - timedelta(minutes=way) if way else None,
            held_to=ends_at + timedelta(minutes=buffer) if buffer else None,
            override=override,
            next_id=after.id if after is not None and onward is not None else None,
            next_held_from=after.starts_at - timedelta(minutes=onward) if after is not None and onward else None,
        )

    async def ways_around(
        self, technician_id: int, starts_at: datetime, place: Place | None, *, besides: int | None = None
    ) -> Asking | None:
        """Asks for the ways to and from a visit there, before anybody is held for it; None: nothing is to be asked."""
        if not self._ways.asks or place is None:
            return None
        neighbours = await self._neighbours(technician_id, starts_at, besides)
        return self._ways.to_ask([_place(each) for each in neighbours if each is not None], around=place)

    async def rosters(self, technicians: Iterable[Technician], *, zone: ZoneInfo = UTC_DAYS) -> dict[int, Roster]:
        """When each of them works; ``zone`` of those who have none of their own."""
        people = list(technicians)
        leave = await self._leave([each.id for each in people])
        return {each.id: roster_of(each, leave.get(each.id, ()), zone=zone) for each in people}

    async def _override(
        self, technician: Technician, starts_at: datetime, ends_at: datetime, task: Task
    ) -> Override | None:
        roster = (await self.rosters([technician]))[technician.id]
        why = roster.refusal(starts_at, ends_at)
        missing = sorted(set(task.job["skills"]) - set(technician.skills)) if task.job else []
        if why is None and not missing:
            return None
        if task.override is not None:
            return task.override
        if why is not None:
            raise OutsideHours(technician.name, why)
        assert task.job is not None, "only a job needs skills"
        raise SkillMissing(technician.name, task.job["name"], missing)

    async def _neighbours(
        self, technician_id: int, starts_at: datetime, besides: int | None
    ) -> tuple[Visit | None, Visit | None]:
        """The technician's visits before and after this moment, as far as the way to or from them counts."""
        theirs = select(Visit).where(
            Visit.tenant_id == self._tenant_id,
            Visit.technician_id == technician_id,
            Visit.state.in_(LIVE_STATES),
            Visit.id != (besides or 0),
        )
        before: Visit | None = await self._db.scalar(
            theirs.where(Visit.starts_at < starts_at, Visit.starts_at > starts_at - 3 * LONGEST_WAY)
            .order_by(Visit.starts_at.desc())
            .limit(1)
        )
        after: Visit | None = await self._db.scalar(
            theirs.where(Visit.starts_at >= starts_at, Visit.starts_at < starts_at + 3 * LONGEST_WAY)
            .order_by(Visit.starts_at)
            .limit(1)
        )
        return before, after

    async def _leave(self, technicians: Sequence[int]) -> dict[int, tuple[Leave, ...]]:
        if not technicians:
            return {}
        rows = await self._db.scalars(
            select(TechnicianLeave)
            .where(
                TechnicianLeave.tenant_id == self._tenant_id,
                TechnicianLeave.technician_id.in_(technicians),
                TechnicianLeave.withdrawn_at.is_(None),
            )
            .order_by(TechnicianLeave.starts_at)
        )
        leave: dict[int, tuple[Leave, ...]] = {}
        for row in rows:
            known = leave.get(row.technician_id, ())
            leave[row.technician_id] = (*known, Leave(row.starts_at, row.ends_at, row.reason))
        return leave


def roster_of(technician: Technician, leave: Sequence[Leave], *, zone: ZoneInfo = UTC_DAYS) -> Roster:
    """When this technician works."""
    own = ZoneInfo(technician.time_zone) if technician.time_zone else zone
    return Roster(week=technician.week, zone=own, holidays=technician.holidays, leave=tuple(leave))


def _place(visit: Visit) -> Place | None:
    return place_of(visit.latitude, visit.longitude)
