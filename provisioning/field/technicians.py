"""Who visits customers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.errors import ChangeRaced
from provisioning.field.errors import TechnicianConflict, TechnicianUnknown
from provisioning.field.tables import Technician
from provisioning.intake import Faults


class TechnicianRecord(TypedDict):
    """One technician, and what may be asked of them."""

    technician_id: int
    name: str
    email: str | None
    skills: list[str]


class Technicians:
    """The ISP's technicians. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def register(
        self, *, technician_id: int, name: str, email: str | None = None, skills: Sequence[str] = ()
    ) -> TechnicianRecord:
        """Make this technician known under the ISP's number; a known one gets the e-mail and skills given now.

        Whether visits need a skill that goes, ``Planning.register`` looks first.

        Raises: InvalidRequest (all faults), TechnicianConflict (the number is somebody else's), ChangeRaced.
        """
        faults = Faults("The technician")
        number = faults.number("technician_id", technician_id)
        full_name = faults.line("name", name)
        address = faults.email("email", email) if email is not None else None
        known_skills = sorted({faults.line("skills", skill, longest=60) for skill in skills})
        faults.refuse_if_any()
        row = await self._row(number)
        if row is None:
            try:
                async with self._db.begin_nested():
                    row = await self._db.scalar(
                        insert(Technician)
                        .values(
                            tenant_id=self._tenant_id, id=number, name=full_name, email=address, skills=known_skills
                        )
                        .returning(Technician)
                    )
            except IntegrityError as exc:
                raise ChangeRaced from exc
        assert row is not None
        if row.name != full_name:
            raise TechnicianConflict(number, row.name)
        row.email, row.skills = address, known_skills
        await self._db.flush()  # a later question in this transaction must find them changed
        return _record(row)

    async def technician(self, technician_id: int) -> TechnicianRecord:
        """Raises: TechnicianUnknown."""
        row = await self._row(technician_id)
        if row is None:
            raise TechnicianUnknown(technician_id)
        return _record(row)

    async def technicians(self) -> list[TechnicianRecord]:
        """All of them, by name."""
        rows = await self._db.scalars(
            select(Technician).where(Technician.tenant_id == self._tenant_id).order_by(Technician.name, Technician.id)
        )
        return [_record(row) for row in rows]

    async def _row(self, technician_id: int) -> Technician | None:
        return await self._db.get(Technician, (self._tenant_id, technician_id))


async def hold_technician(db: AsyncSession, technician_id: int, *, tenant_id: str) -> Technician:
    """As they are planned at this moment: nobody books or plans them until this transaction ends. Two who book at once
    wait for each other here, instead of deadlocking in the exclusion.

    Raises: TechnicianUnknown.
    """
    row: Technician | None = await db.scalar(
        select(Technician)
        .where(Technician.tenant_id == tenant_id, Technician.id == technician_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise TechnicianUnknown(technician_id)
    return row


async def hold_technicians(db: AsyncSession, *, tenant_id: str) -> list[int]:
    """Every technician's number; until this transaction ends nobody else books any of them. In the order of their
    numbers, so that two who hold them all wait for each other instead of deadlocking."""
    rows = await db.scalars(
        select(Technician.id)
        .where(Technician.tenant_id == tenant_id)
        .order_by(Technician.id)
        .with_for_update(key_share=True)
    )
    return list(rows)


def _record(row: Technician) -> TechnicianRecord:
    return TechnicianRecord(technician_id=row.id, name=row.name, email=row.email, skills=list(row.skills))
