"""Claims: for whose work a visit is needed, and whether it still is.

An order and the installation that belongs to it share one visit, and each lays a claim to it; so does dispatch to what
it books by hand. A visit is called off when the last claim that counts is gone. A claim keeps when the visit was and
who came as it was laid: what those were told who need it for this.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ChangeRaced
from provisioning.field.tables import Visit, VisitBooking, VisitPurpose
from provisioning.intake import Clock


@dataclass(frozen=True)
class Whose:
    """For whose work a visit is, and the order that this belongs to.

    ``visit_id``: the order's visit is to be joined as it stands. That one is meant; where the order has another by now,
    it is that, whatever time is named beside it: who was told of a visit has agreed on no other time. Of an
    installation without an order it is the visit that dispatch has booked for it.
    """

    purpose: VisitPurpose = "installation"
    order_id: int | None = None
    visit_id: int | None = None


class Claims:
    """The claims to one ISP's visits. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def lay(self, visit: Visit, whose: Whose, request_id: str | None) -> None:
        """From now on the visit is needed for this too; the database refuses it a second time."""
        await self._db.execute(
            insert(VisitBooking).values(
                tenant_id=self._tenant_id,
                visit_id=visit.id,
                purpose=whose.purpose,
                order_id=whose.order_id,
                request_id=request_id,
                technician_id=visit.technician_id,
                starts_at=visit.starts_at,
                ends_at=visit.ends_at,
                booked_at=self._now(),
            )
        )

    async def join(self, visit: Visit, whose: Whose, request_id: str | None = None) -> None:
        """From now on the visit is needed for this too. Raises: ChangeRaced if it was already."""
        try:
            async with self._db.begin_nested():
                await self.lay(visit, whose, request_id)
        except IntegrityError as exc:
            raise ChangeRaced from exc

    async def leave(self, visit: Visit, purpose: VisitPurpose, *, with_dispatchs: bool = True) -> bool:
        """The visit isn't needed for this any more; whether it is now needed for nothing. Once is enough.

        What dispatch has booked for an order, or for the line of none, goes with the last of that work, unless it is
        kept for it.
        """
        if not await self._release(visit, VisitBooking.purpose == purpose):
            return False
        is_for_work = visit.order_id is not None or purpose != "dispatch"
        is_last = is_for_work and not await self.is_open(visit.id, *_others_than_dispatch(visit))
        if is_last and with_dispatchs:
            await self._release(visit, VisitBooking.purpose == "dispatch", VisitBooking.order_id == visit.order_id)
        return not await self.is_needed(visit)

    async def is_needed(self, visit: Visit) -> bool:
        """An order needs somebody to come, and is content once they scan; a line needs them until it works."""
        return await self.is_open(visit.id, "dispatch", *_others_than_dispatch(visit))

    async def is_dispatchs_alone(self, visit: Visit) -> bool:
        """Whether dispatch needs it, and neither an order nor a line does."""
        return await self.is_open(visit.id, "dispatch") and not await self.is_open(
            visit.id, "installation", "deployment"
        )

    async def is_installations(self, visit: Visit) -> bool:
        """Whether an installation needs it, whose run is told of every change."""
        return await self.is_open(visit.id, "installation")

    async def is_promised(self, visit: Visit, purpose: VisitPurpose) -> bool:
        """Whether the visit is still as those who need it for this know it."""
        found = await self._db.scalar(
            select(VisitBooking.id).where(
                VisitBooking.visit_id == visit.id,
                VisitBooking.purpose == purpose,
                VisitBooking.released_at.is_(None),
                VisitBooking.technician_id == visit.technician_id,
                VisitBooking.starts_at == visit.starts_at,
            )
        )
        return found is not None

    async def is_open(self, visit_id: int, *purposes: VisitPurpose) -> bool:
        """Whether the visit is needed for one of these."""
        found = await self._db.scalar(
            select(VisitBooking.id)
            .where(
                VisitBooking.visit_id == visit_id,
                VisitBooking.purpose.in_(purposes),
                VisitBooking.released_at.is_(None),
            )
            .limit(1)
        )
        return found is not None

    async def is_requested(self, request_id: str | None) -> bool:
        """Whether this request has its visit already."""
        return await self.of_request(request_id) is not None

    async def of_request(self, request_id: str | None) -> VisitBooking | None:
        """The claim that this request has laid, also if it was given up since."""
        if request_id is None:
            return None
        found: VisitBooking | None = await self._db.scalar(
            select(VisitBooking)
            .where(VisitBooking.tenant_id == self._tenant_id, VisitBooking.request_id == request_id)
            .execution_options(populate_existing=True)
        )
        return found

    async def _release(self, visit: Visit, *which: ColumnElement[bool]) -> bool:
        """Whether there was such a claim."""
        left = await self._db.execute(
            update(VisitBooking)
            .where(VisitBooking.visit_id == visit.id, VisitBooking.released_at.is_(None), *which)
            .values(released_at=self._now())
            .returning(VisitBooking.id)
            .execution_options(synchronize_session=False)
        )
        return left.first() is not None


def _others_than_dispatch(visit: Visit) -> tuple[VisitPurpose, ...]:
    return ("installation", "deployment") if visit.state == "booked" else ("installation",)
