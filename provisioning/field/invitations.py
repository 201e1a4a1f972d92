"""Invitations: a customer may choose the time of a visit that nobody has booked yet. They hold no slot.

One run has one that counts, the newest; it is over with its visit, with its run's wait, or on its day.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Float, ForeignKeyConstraint, Index, String, Text, exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from typing_extensions import TypedDict

from provisioning.field.choice_errors import InvitationUnknown
from provisioning.field.tables import LIVE_STATES, Visit
from provisioning.field.travel import Place, place_of
from provisioning.intake import Clock
from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

COUNTS = text("superseded_at IS NULL")


class VisitInvitation(ProvisioningBase):
    """What the visit would be, and which one it has become."""

    __tablename__ = "visit_invitation"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        Index(
            "uq_visit_invitation_run", "tenant_id", "run_id", unique=True, sqlite_where=COUNTS, postgresql_where=COUNTS
        ),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    run_id: Mapped[Reference]
    customer_id: Mapped[Reference]
    order_id: Mapped[Reference]
    job: Mapped[str] = mapped_column(String(60))
    address: Mapped[str] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Float(53))
    longitude: Mapped[float | None] = mapped_column(Float(53))
    invited_by: Mapped[str] = mapped_column(Text)
    invited_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]
    visit_id: Mapped[Reference | None]


class InvitationRecord(TypedDict):
    """An invitation. ``visit_id``: what was chosen; ``superseded_at``: since when another one counts."""

    invitation_id: int
    run_id: int
    customer_id: int
    order_id: int
    job: str
    address: str
    location: str | None
    latitude: float | None
    longitude: float | None
    invited_by: str
    invited_at: datetime
    expires_at: datetime
    superseded_at: datetime | None
    visit_id: int | None


def place_of_invitation(invitation: InvitationRecord) -> Place | None:
    """Where the visit would be, if that is known."""
    return place_of(invitation["latitude"], invitation["longitude"])


class Invitations:
    """One ISP's. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def invite(
        self,
        *,
        run_id: int,
        customer_id: int,
        order_id: int,
        job: str,
        address: str,
        location: str | None,
        place: Place | None,
        expires_at: datetime,
        by: str,
    ) -> InvitationRecord:
        """Another one for this run counts no more."""
        former = update(VisitInvitation).where(
            VisitInvitation.tenant_id == self._tenant_id,
            VisitInvitation.run_id == run_id,
            VisitInvitation.superseded_at.is_(None),
        )
        await self._db.execute(former.values(superseded_at=self._now()))
        row = VisitInvitation(
            tenant_id=self._tenant_id,
            run_id=run_id,
            customer_id=customer_id,
            order_id=order_id,
            job=job,
            address=address,
            location=location,
            latitude=place.latitude if place else None,
            longitude=place.longitude if place else None,
            invited_by=by,
            invited_at=self._now(),
            expires_at=expires_at,
        )
        self._db.add(row)
        await self._db.flush()
        return _record(row)

    async def invitation(self, invitation_id: int, *, to_accept: bool = False) -> InvitationRecord:
        """``to_accept``: nobody else accepts it until the transaction ends. Raises: InvitationUnknown."""
        wanted = select(VisitInvitation).where(
            VisitInvitation.tenant_id == self._tenant_id, VisitInvitation.id == invitation_id
        )
        if to_accept:
            wanted = wanted.with_for_update().execution_options(populate_existing=True)
        row = await self._db.scalar(wanted)
        if row is None:
            raise InvitationUnknown(invitation_id)
        return _record(row)

    async def accepted(self, invitation_id: int, *, visit_id: int) -> None:
        """The customer has chosen a time, and this visit is booked."""
        row = update(VisitInvitation).where(
            VisitInvitation.tenant_id == self._tenant_id, VisitInvitation.id == invitation_id
        )
        await self._db.execute(row.values(visit_id=visit_id))

    async def invitations(
        self, *, only_open: bool = False, before_id: int | None = None, limit: int = 50
    ) -> Sequence[InvitationRecord]:
        """The newest first. ``only_open``: nobody has chosen or booked yet, and they still may."""
        query = select(VisitInvitation).where(VisitInvitation.tenant_id == self._tenant_id)
        if only_open:
            query = query.where(
                VisitInvitation.superseded_at.is_(None),
                VisitInvitation.visit_id.is_(None),
                VisitInvitation.expires_at > self._now(),
                ~exists().where(
                    Visit.tenant_id == self._tenant_id,
                    Visit.customer_id == VisitInvitation.customer_id,
                    Visit.order_id == VisitInvitation.order_id,
                    Visit.state.in_(LIVE_STATES),
                ),
            )
        if before_id is not None:
            query = query.where(VisitInvitation.id < before_id)
        rows = await self._db.scalars(query.order_by(VisitInvitation.id.desc()).limit(limit))
        return [_record(row) for row in rows]

    async def of_runs(self, run_ids: Collection[int]) -> dict[int, InvitationRecord]:
        """By run the one that counts, whether or not it still opens."""
        rows = await self._db.scalars(
            select(VisitInvitation).where(
                VisitInvitation.tenant_id == self._tenant_id,
                VisitInvitation.run_id.in_(run_ids),
                VisitInvitation.superseded_at.is_(None),
            )
        )
        return {row.run_id: _record(row) for row in rows}


def _record(row: VisitInvitation) -> InvitationRecord:
    return InvitationRecord(
        invitation_id=row.id,
        run_id=row.run_id,
        customer_id=row.customer_id,
        order_id=row.order_id,
        job=row.job,
        address=row.address,
        location=row.location,
        latitude=row.latitude,
        longitude=row.longitude,
        invited_by=row.invited_by,
        invited_at=row.invited_at,
        expires_at=row.expires_at,
        superseded_at=row.superseded_at,
        visit_id=row.visit_id,
    )
