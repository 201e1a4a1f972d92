"""When technicians are free: the gaps between their visits, within their working hours.

Whose week nobody has told works from 8 to 18 o'clock, every day, in the ISP's own time zone (``rosters``). A slot
begins at a quarter of an hour, so that it can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.days import day_of
from provisioning.field.fitting import Fitting
from provisioning.field.jobs import Jobs
from provisioning.field.rosters import Period, Roster
from provisioning.field.tables import LIVE_STATES, Technician, Visit
from provisioning.intake import Clock

OPENS, CLOSES = time(8), time(18)
GRID_SECONDS = 15 * 60


@dataclass(frozen=True, order=True)
class Slot:
    """A time at which a technician is free; the earliest first, then whoever has least to do that day."""

    starts_at: datetime
    visits_that_day: int
    technician_id: int


class Slots:
    """The free times of one ISP's technicians."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def hold_technicians(self) -> list[int]:
        """Every technician's number; until this transaction ends nobody else books any of them.

        In the order of their numbers, so that two who hold them all wait for each other instead of deadlocking.
        """
        rows = await self._db.scalars(
            select(Technician.id)
            .where(Technician.tenant_id == self._tenant_id)
            .order_by(Technician.id)
            .with_for_update(key_share=True)
        )
        return list(rows)

    def day_of(self, moment: datetime) -> date:
        """The day that it is there then."""
        return day_of(moment, self._zone)

    async def on(
        self, day: date, technicians: Sequence[int], *, minutes: int, besides: int | None = None
    ) -> list[Slot]:
        """The free times on a day, of each gap the first one, in the order in which they should be taken.

        ``besides``: a visit that is to be moved, and is in nobody's way.
        """
        rosters = await self._rosters(technicians)
        return self._free(await self._busy(*self._around(day), besides), rosters, day, minutes)

    async def at(
        self, starts_at: datetime, technicians: Sequence[int], *, minutes: int, besides: int | None = None
    ) -> list[Slot]:
        """Who is free from then on and works then, in the order in which they should be asked.

        Whose week nobody has told may be asked at any hour.
        """
        ends_at = starts_at + timedelta(minutes=minutes)
        opens, closes = working_hours(self.day_of(starts_at), self._zone)
        busy = await self._busy(min(opens, starts_at), max(closes, ends_at), besides)
        slots = []
        for technician, roster in (await self._rosters(technicians)).items():
            visits = busy.get(technician, [])
            if roster.refusal(starts_at, ends_at) is None and not any(
                begins < ends_at and starts_at < ends for begins, ends in visits
            ):
                slots.append(Slot(starts_at, len(visits), technician))
        return sorted(slots)

    async def able(self, technicians: Sequence[int], *, job: str | None) -> list[int]:
        """Those of them who have the skills that this kind of job needs. Raises: JobUnknown."""
        if job is None:
            return list(technicians)
        needed = set((await Jobs(self._db, tenant_id=self._tenant_id).job(job))["skills"])
        rows = await self._db.scalars(
            select(Technician).where(Technician.tenant_id == self._tenant_id, Technician.id.in_(technicians))
        )
        able = {each.id for each in rows if needed <= set(each.skills)}
        return [each for each in technicians if each in able]

    async def next_after(
        self, day: date, technicians: Sequence[int], *, minutes: int, days: int, besides: int | None = None
    ) -> Slot | None:
        """The first free time on the ``days`` days after this one."""
        later = [day + timedelta(days=number) for number in range(1, days + 1)]
        rosters = await self._rosters(technicians)
        busy = await self._busy(self._around(later[0])[0], self._around(later[-1])[1], besides)
        for each in later:
            if free := self._free(busy, rosters, each, minutes):
                return free[0]
        return None

    async def _rosters(self, technicians: Sequence[int]) -> dict[int, Roster]:
        """In the order in which they are named."""
        rows = await self._db.scalars(
            select(Technician).where(Technician.tenant_id == self._tenant_id, Technician.id.in_(technicians))
        )
        found = await Fitting(self._db, tenant_id=self._tenant_id).rosters(rows, zone=self._zone)
        return {each: found[each] for each in technicians if each in found}

    def _around(self, day: date) -> Period:
        """Within this lies that day, in every time zone."""
        midnight = datetime.combine(day, time(), UTC)
        return midnight - timedelta(days=1), midnight + timedelta(days=2)

    def _free(self, busy: dict[int, list[Period]], rosters: dict[int, Roster], day: date, minutes: int) -> list[Slot]:
        slots = []
        for technician, roster in rosters.items():
            if not (periods := roster.periods(day)):
                continue
            opens, closes = periods[0][0], periods[-1][1]
            visits = [visit for visit in busy.get(technician, []) if visit[0] < closes and opens < visit[1]]
            for begins, ends in periods:
                starts = free_starts((max(begins, self._now()), ends), visits, minutes=minutes)
                slots += [Slot(start, len(visits), technician) for start in starts]
        return sorted(slots)

    async def _busy(self, begin: datetime, end: datetime, besides: int | None = None) -> dict[int, list[Period]]:
        """By technician, the visits that need them in this period, in order."""
        query = (
            select(
                Visit.technician_id,
                func.coalesce(Visit.held_from, Visit.starts_at),
                func.coalesce(Visit.held_to, Visit.ends_at),
            )
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.state.in_(LIVE_STATES),
                func.coalesce(Visit.held_from, Visit.starts_at) < end,
                func.coalesce(Visit.held_to, Visit.ends_at) > begin,
            )
            .order_by(Visit.starts_at)
        )
        rows = await self._db.execute(query if besides is None else query.where(Visit.id != besides))
        busy: dict[int, list[Period]] = {}
        for technician, starts_at, ends_at in rows:
            busy.setdefault(technician, []).append((starts_at, ends_at))
        return busy


def working_hours(day: date, zone: ZoneInfo) -> Period:
    """From when to when technicians work on that day, in UTC."""
    return tuple(datetime.combine(day, hour, zone).astimezone(UTC) for hour in (OPENS, CLOSES))  # type: ignore[return-value]


def free_starts(hours: Period, visits: Sequence[Period], *, minutes: int) -> list[datetime]:
    """Of each gap between these visits (in order) that holds so many minutes, the first quarter of an hour."""
    length = timedelta(minutes=minutes)
    starts = []
    free_from, closes = hours
    for begins, ends in [*visits, (closes, closes)]:
        start = _next_quarter(free_from)
        if start + length <= min(begins, closes):
            starts.append(start)
        free_from = max(free_from, ends)
    return starts


def _next_quarter(moment: datetime) -> datetime:
    """That moment or the next full quarter; every time zone in use is off UTC by whole quarters."""
    seconds = moment.timestamp()
    return datetime.fromtimestamp(-(-seconds // GRID_SECONDS) * GRID_SECONDS, UTC)
