"""What the customer of an order has read of its visit, so that they are written once of each change.

The order's journey writes when it has scheduled the visit: first the confirmation, later when and who comes now. An
installation that needs the visit, too, writes of every change of it.
"""

from __future__ import annotations

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.tables import Mail
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.field import JOINING, Visit, VisitBooking, VisitRecord

SCHEDULED_BY = f"/{JOINING['deployment'].step}"
"""The step in the key of an order's deployment."""
TELL_OF_A_VISIT = ("order_confirmation", "installation_scheduled")


class Announcements:
    """Looks at one ISP's mails. Only reads ``db``."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def is_read(self, deployment: Deployment) -> bool:
        """Whether a mail of the journey that has scheduled it was sent since: what its steps ask for bears the key of
        the order. Of one that waits, or may have been lost, nobody knows: one too many is the lesser harm."""
        order, scheduled, _ = (deployment.request_id or "").rpartition(SCHEDULED_BY)
        if not scheduled:
            return False
        mail = await self._db.scalar(
            select(Mail.id)
            .where(
                Mail.tenant_id == self._tenant_id,
                Mail.state == "sent",
                Mail.queued_at >= deployment.scheduled_at,
                Mail.template.in_(TELL_OF_A_VISIT),
                Mail.request_id.startswith(f"{order}/", autoescape=True),
            )
            .limit(1)
        )
        return mail is not None

    async def was_read_before(self, deployment: Deployment, visit: VisitRecord) -> bool:
        """Whether the order was scheduled for the same time, technician and address just before, and its customer has
        read of that."""
        mine = and_(Deployment.tenant_id == self._tenant_id, Deployment.order_id == deployment.order_id)
        former: Deployment | None = await self._db.scalar(
            select(Deployment).where(mine, Deployment.id < deployment.id).order_by(Deployment.id.desc()).limit(1)
        )
        if former is None or former.request_id is None:
            return False
        promised = await self._db.scalar(
            select(VisitBooking.id)
            .join(Visit, Visit.id == VisitBooking.visit_id)
            .where(
                Visit.address == visit["address"],
                VisitBooking.tenant_id == self._tenant_id,
                VisitBooking.request_id == former.request_id,
                VisitBooking.technician_id == visit["technician_id"],
                VisitBooking.starts_at == visit["starts_at"],
            )
        )
        return promised is not None and await self.is_read(former)
