"""Who writes the customer of a visit that was booked or moved, so that each change is written once.

A run that joins the visit writes when it has joined it as it stands now (``provisioning.order_visits`` tells it). Where
no run does - the visit belongs to no order, its order is over or another system's, its run is held for a person -
whoever has booked or moved it writes at once. Of a visit without an order the run that waits for it goes on waiting, so
that is always so.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.field import JOINING, VisitBooking, VisitRecord
from workflows import GO_ON_BY_THEMSELVES, inputs_of, runs_before, runs_of_keys
from workflows.definitions.installation import visit_letter
from workflows.services import Services


class VisitMail:
    """Writes within the caller's transaction, through the outbox."""

    def __init__(self, db: AsyncSession, *, services: Services, tenant_id: str) -> None:
        self._db = db
        self._services = services
        self._tenant_id = tenant_id

    async def tell(self, visit: VisitRecord) -> None:
        """Writes the customer when and who comes, unless a run will. The same change of a visit is one mail."""
        if visit["order_id"] is not None and await self._will_a_run(visit, visit["order_id"]):
            return
        letter = await visit_letter(self._services, visit, customer_id=visit["customer_id"], address=visit["address"])
        await self._services.communications_service.send_template_email(
            template=letter.template,
            recipient=letter.recipient,
            language=letter.language,
            variables=letter.variables,
            unattended=True,
            request_id=f"visit/{visit['visit_id']}/{visit['sequence']}/scheduled",
        )

    async def _will_a_run(self, visit: VisitRecord, order_id: int) -> bool:
        return await self._has_one_joined(visit["visit_id"]) or await self._will_one_join(visit, order_id)

    async def _has_one_joined(self, visit_id: int) -> bool:
        """Then it is told of another time, goes back, and joins anew."""
        keys = await self._db.scalars(
            select(VisitBooking.request_id).where(
                VisitBooking.tenant_id == self._tenant_id,
                VisitBooking.visit_id == visit_id,
                VisitBooking.purpose.in_(JOINING),
                VisitBooking.released_at.is_(None),
                VisitBooking.request_id.is_not(None),
            )
        )
        used = [key for key in keys if key is not None]
        runs = await runs_of_keys(self._db, tenant_id=self._tenant_id, keys=used)
        return any(state in GO_ON_BY_THEMSELVES for _, state in runs.values())

    async def _will_one_join(self, visit: VisitRecord, order_id: int) -> bool:
        """A run of the order that soon schedules a visit takes the one that there is. One that comes to it in days
        writes only if the customer has not read of that very time by then."""
        of_order = select(SalesOrder.quote_id).where(
            SalesOrder.tenant_id == self._tenant_id,
            SalesOrder.customer_id == visit["customer_id"],
            SalesOrder.id == order_id,
        )
        known_as = {"order_id": order_id, "quote_id": await self._db.scalar(of_order)}
        for joining in JOINING.values():
            runs = await runs_before(
                self._db,
                tenant_id=self._tenant_id,
                journey=joining.journey,
                step=joining.step,
                customer_id=visit["customer_id"],
                told_of_by=joining.signal,
            )
            inputs = await inputs_of(self._db, tenant_id=self._tenant_id, run_ids=runs)
            mine = known_as[joining.known_by]
            if mine is not None and any(said.get(joining.known_by) == mine for said in inputs.values()):
                return True
        return False
