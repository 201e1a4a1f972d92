"""A customer's yes to a quote: the first one counts, and it can be taken back while no order rests on it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.money import to_decimal
from provisioning.commercial.selling.quote_errors import (
    QuoteAcceptanceWithdrawn,
    QuoteExpired,
    QuoteNotOpen,
    QuoteOrdered,
)
from provisioning.commercial.selling.quote_rows import QuoteRecord, as_quote, change, lock_quote
from provisioning.commercial.selling.quotes import EXPIRED
from provisioning.commercial.selling.selling_tables import ENDED_ORDERS, Quote, SalesOrder
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock
from workflows.answers import AcceptedQuote


class Acceptances:
    """Accepts quotes, for ``CrmService``. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def accept(self, quote_id: int, accepted_by: str, request_id: str | None) -> AcceptedQuote:
        """Raises: as ``CrmService.accept_quote``."""
        row = await lock_quote(self._db, self._tenant_id, quote_id)
        await self._refuse_other_request(row, accepted_by, request_id)
        if row.state == "accepted":
            return answer_of(row)
        if row.state == "expired" or (row.state == "sent" and row.valid_until < self._now()):
            raise QuoteExpired(quote_id, row.valid_until)
        if row.state != "sent":
            raise QuoteNotOpen(quote_id, row.state, "accepted", row.reason)
        await require_customer(self._db, self._tenant_id, row.customer_id)
        try:
            async with self._db.begin_nested():
                await change(
                    self._db,
                    row,
                    state="accepted",
                    accepted_at=self._now(),
                    accepted_by=accepted_by,
                    acceptances=row.acceptances + 1,
                    reason=None,
                    acceptance_request_id=request_id,
                )
        except IntegrityError as exc:  # the same request id, at the same moment, for another quote
            await self._db.refresh(row)
            await self._refuse_other_request(row, accepted_by, request_id)
            raise ChangeRaced from exc
        return answer_of(row)

    async def take_back(self, quote_id: int, reason: str) -> QuoteRecord:
        """Raises: as ``CrmService.withdraw_acceptance``."""
        row = await lock_quote(self._db, self._tenant_id, quote_id)
        if row.state != "accepted":
            return as_quote(row)
        order = await self._db.scalar(
            select(SalesOrder).where(
                SalesOrder.tenant_id == self._tenant_id,
                SalesOrder.quote_id == quote_id,
                SalesOrder.state.not_in(ENDED_ORDERS),
            )
        )
        if order is not None:
            raise QuoteOrdered(quote_id, order.id, order.state)
        in_time = row.valid_until >= self._now()
        await change(
            self._db,
            row,
            state="sent" if in_time else "expired",
            accepted_at=None,
            accepted_by=None,
            reason=reason if in_time else f"{EXPIRED}; an acceptance was withdrawn: {reason}",
        )
        return as_quote(row)

    async def _refuse_other_request(self, row: Quote, accepted_by: str, request_id: str | None) -> None:
        """A request says one thing about one quote, and is not repeated once that was taken back."""
        if request_id is None:
            return
        earlier = await self._db.scalar(
            select(Quote).where(Quote.tenant_id == self._tenant_id, Quote.acceptance_request_id == request_id)
        )
        if earlier is None:
            return
        if earlier.id != row.id or (earlier.accepted_by not in (None, accepted_by)):
            raise RequestConflict(request_id, f"an acceptance of quote {earlier.id}")
        if row.state != "accepted":
            raise QuoteAcceptanceWithdrawn(row.id, row.reason)


def answer_of(row: Quote) -> AcceptedQuote:
    """An accepted quote, as the contract tells it."""
    assert row.accepted_at is not None and row.accepted_by is not None, "an accepted quote says by whom, by constraint"
    return AcceptedQuote(
        quote_id=row.id,
        customer_id=row.customer_id,
        state="accepted",
        accepted_at=row.accepted_at,
        accepted_by=row.accepted_by,
        total_amount=to_decimal(row.total_minor, row.currency),
        total_minor=row.total_minor,
        currency=row.currency,
        payment_terms=row.payment_terms,
    )
