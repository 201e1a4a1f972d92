"""What billing asks of the sales side, read from the tables of offers, quotes, orders and customers."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.facts import OfferFacts, OrderFacts, QuoteFacts
from provisioning.commercial.selling.selling_tables import Offer, Quote, SalesOrder
from provisioning.commercial.tables import Customer
from workflows import ENDED, RunState, list_runs

TERMINATION = "service_termination"
OPEN_STATES = tuple(state for state in RunState if state not in ENDED)


class SalesRecords:
    """The ``SalesFacts`` of one tenant, as they stand in the database now."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def offer(self, offer_id: int) -> OfferFacts | None:
        row = await self._db.get(Offer, (self._tenant_id, offer_id), populate_existing=True)
        if row is None:
            return None
        return OfferFacts(
            offer_id=row.id,
            plan=row.plan,
            title=row.title,
            price_minor=row.price_minor,
            currency=row.currency,
            billing_period_months=row.billing_period_months,
            term_months=row.term_months,
        )

    async def quote(self, quote_id: int) -> QuoteFacts | None:
        row = await self._db.scalar(
            select(Quote)
            .where(Quote.tenant_id == self._tenant_id, Quote.id == quote_id)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        return QuoteFacts(
            quote_id=row.id,
            customer_id=row.customer_id,
            subscription_id=row.subscription_id,
            total_minor=row.total_minor,
            currency=row.currency,
            state=row.state,
            renewal_term_months=row.renewal_term_months,
        )

    async def order(self, order_id: int) -> OrderFacts | None:
        row = await self._db.scalar(
            select(SalesOrder)
            .where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.id == order_id)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        return OrderFacts(
            order_id=row.id,
            customer_id=row.customer_id,
            total_minor=row.total_minor,
            currency=row.currency,
            payment_terms=row.payment_terms,
            state=row.state,
        )

    async def customer_withdrawn(self, customer_id: int) -> bool:
        state = await self._db.scalar(
            select(Customer.state).where(Customer.tenant_id == self._tenant_id, Customer.id == customer_id)
        )
        return state == "withdrawn"

    async def open_terminations(self, customer_id: int, service_id: int) -> list[int]:
        return await open_terminations(self._db, self._tenant_id, customer_id, service_id)


async def open_terminations(db: AsyncSession, tenant_id: str, customer_id: int, service_id: int) -> list[int]:
    """The runs that end this service, now or on a day ahead."""
    key = f"service/{service_id}/termination/"
    runs = await list_runs(
        db, tenant_id=tenant_id, journey=TERMINATION, customer_id=customer_id, states=OPEN_STATES, limit=1000
    )
    return [run.id for run in runs if run.business_key.startswith(key)]
