"""Kinds of jobs: how long each takes, what is kept free after it, and what a technician must be able to do for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.errors import ChangeRaced
from provisioning.field.errors import JobUnknown
from provisioning.field.planning_tables import VisitJob
from provisioning.field.records import VisitRecord
from provisioning.intake import Faults

LONGEST_NAME = 60
MINUTE = timedelta(minutes=1)
MINUTES = {"duration_minutes": (5, 1440), "buffer_minutes": (0, 240), "window_minutes": (0, 480)}


class JobRecord(TypedDict):
    """One kind of job. The technician may arrive until ``window_minutes`` after the start."""

    name: str
    duration_minutes: int
    buffer_minutes: int
    window_minutes: int
    skills: list[str]


class Jobs:
    """The ISP's kinds of jobs. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def define(
        self,
        *,
        name: str,
        duration_minutes: int,
        buffer_minutes: int = 0,
        window_minutes: int = 0,
        skills: Sequence[str] = (),
    ) -> JobRecord:
        """Make this kind of job known, or another one of it; visits that are booked stay as they are.

        Raises: InvalidRequest (all faults), ChangeRaced.
        """
        faults = Faults("The job")
        plain = faults.line("name", name, longest=LONGEST_NAME)
        minutes = {"duration_minutes": duration_minutes, "buffer_minutes": buffer_minutes}
        minutes["window_minutes"] = window_minutes
        for field, value in minutes.items():
            least, most = MINUTES[field]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                faults.add(field, f"is not from {least} to {most}")
        needed = sorted({faults.line("skills", skill, longest=60) for skill in skills})
        faults.refuse_if_any()
        row = await self._db.get(VisitJob, (self._tenant_id, plain))
        if row is None:
            try:
                async with self._db.begin_nested():
                    values = {"tenant_id": self._tenant_id, "name": plain, "skills": needed, **minutes}
                    row = await self._db.scalar(insert(VisitJob).values(values).returning(VisitJob))
            except IntegrityError as exc:
                raise ChangeRaced from exc
        assert row is not None
        for field, value in minutes.items():
            setattr(row, field, value)
        row.skills = needed
        await self._db.flush()
        return _record(row)

    async def job(self, name: str) -> JobRecord:
        """Raises: JobUnknown."""
        row = await self._db.get(VisitJob, (self._tenant_id, name))
        if row is None:
            raise JobUnknown(name)
        return _record(row)

    async def of_visit(self, visit: VisitRecord) -> JobRecord:
        """What a visit is, as far as a search for another time has to know: as long as it was booked, whatever its job
        takes by now. Raises: JobUnknown."""
        minutes = int((visit["ends_at"] - visit["starts_at"]) / MINUTE)
        window = int((visit["arrives_until"] - visit["starts_at"]) / MINUTE)
        kind = JobRecord(name="visit", duration_minutes=minutes, buffer_minutes=0, window_minutes=window, skills=[])
        if visit["job"] is None:
            return kind
        job = await self.job(visit["job"])
        return {**kind, "name": job["name"], "buffer_minutes": job["buffer_minutes"], "skills": job["skills"]}

    async def jobs(self) -> list[JobRecord]:
        """All of them, by name."""
        query = select(VisitJob).where(VisitJob.tenant_id == self._tenant_id).order_by(VisitJob.name)
        return [_record(row) for row in await self._db.scalars(query)]


def _record(row: VisitJob) -> JobRecord:
    return JobRecord(
        name=row.name,
        duration_minutes=row.duration_minutes,
        buffer_minutes=row.buffer_minutes,
        window_minutes=row.window_minutes,
        skills=list(row.skills),
    )
