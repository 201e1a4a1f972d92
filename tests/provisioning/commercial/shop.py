"""A shop for the tests: two offers, one customer, and every service of selling on one database and one clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    BillingService,
    CrmService,
    CustomerService,
    Leads,
    LineWish,
    OfferCatalogue,
    OfferTerms,
    Quotes,
    SalesService,
)
from provisioning.commercial.mails.delivery import Begin
from tests.provisioning.commercial.conftest import NOW, TENANT

FIBRE, MESH, YEN = 1, 2, 3
FIBRE_TERMS = OfferTerms(
    title="Fibre 300",
    plan="fiber-300",
    price_minor=3990,
    currency="EUR",
    setup_fee_minor=4900,
    term_months=24,
    payment_terms="postpaid",
)
MESH_TERMS = OfferTerms(title="Mesh WiFi", price_minor=590, currency="EUR", term_months=12, payment_terms="prepaid")
YEN_TERMS = OfferTerms(title="Hikari", price_minor=4980, currency="JPY", term_months=12, payment_terms="prepaid")
ADA = 42
IN_TIME = NOW + timedelta(days=30)


class Shop:
    """``now`` may be moved; ``events`` are those that were published."""

    def __init__(self, begin: Begin) -> None:
        self.begin = begin
        self.now = NOW
        self.events: list[tuple[str, str, dict[str, Any], str, str]] = []

    def clock(self) -> datetime:
        return self.now

    async def publish(
        self, db: AsyncSession, type_: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        assert db.in_transaction()
        self.events.append((type_, subject, dict(data), key, by))

    def offers(self, db: AsyncSession) -> OfferCatalogue:
        return OfferCatalogue(db, tenant_id=TENANT)

    def leads(self, db: AsyncSession) -> Leads:
        return Leads(db, tenant_id=TENANT, now=self.clock, publish=self.publish)

    def customers(self, db: AsyncSession) -> CustomerService:
        return CustomerService(db, tenant_id=TENANT, now=self.clock)

    def quotes(self, db: AsyncSession) -> Quotes:
        return Quotes(db, tenant_id=TENANT, now=self.clock)

    def crm(self, db: AsyncSession) -> CrmService:
        return CrmService(db, tenant_id=TENANT, now=self.clock)

    def sales(self, db: AsyncSession) -> SalesService:
        return SalesService(db, tenant_id=TENANT, now=self.clock)

    def billing(self, db: AsyncSession) -> BillingService:
        return BillingService(db, tenant_id=TENANT, now=self.clock)

    async def open(self) -> Shop:
        """Two offers and one customer."""
        async with self.begin() as db:
            await self.offers(db).define(FIBRE, FIBRE_TERMS)
            await self.offers(db).define(MESH, MESH_TERMS)
            await self.customers(db).register(name="Ada Byron", email="ada@example.com", customer_id=ADA)
        return self

    async def qualified_lead(self, **changes: Any) -> int:
        facts: dict[str, Any] = {"source": "web", "name": "Bob Hill", "email": "bob@example.com", "offer_id": FIBRE}
        customer = changes.pop("qualified_as", None)
        async with self.begin() as db:
            lead = await self.leads(db).register(**facts | changes)
            await self.leads(db).qualify(lead_id=lead["lead_id"], by="nora", existing_customer_id=customer)
        return lead["lead_id"]

    async def sent_quote(self, *lines: LineWish) -> int:
        async with self.begin() as db:
            quote = await self.quotes(db).draft(customer_id=ADA, lines=lines or (LineWish(FIBRE),), valid_until=IN_TIME)
            await self.quotes(db).send(quote_id=quote["quote_id"])
        return quote["quote_id"]

    async def accepted_quote(self, *lines: LineWish) -> int:
        quote_id = await self.sent_quote(*lines)
        async with self.begin() as db:
            await self.crm(db).accept_quote(quote_id=quote_id, accepted_by="Ada")
        return quote_id

    async def subscription(self, offer_id: int | None = FIBRE) -> int:
        """A bill of Ada's that runs since now, of what was sold or (None) of an installation alone."""
        async with self.begin() as db:
            plan = None
            if offer_id is not None:
                sold = await self.billing(db).create_subscription(customer_id=ADA, plan_id=offer_id, tenant_id=TENANT)
                plan = sold["plan"]
            active = await self.billing(db).activate_service(customer_id=ADA, service_id=7, plan=plan)
        return active["subscription_id"]
