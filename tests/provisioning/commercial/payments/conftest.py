"""Customers with cards on file, what was sold to them, and the double of Stripe that takes their money."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import BillingService, CustomerService
from provisioning.commercial.facts import OfferFacts, OrderFacts, QuoteFacts
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.payments import CardsOnFile, PaymentCapture, StripeSettings, payment_gateways
from provisioning.commercial.payments.tables import Payment, PaymentAttempt
from provisioning.commercial.payments.testing import StripeDouble
from provisioning.configured import trusted_authorities
from provisioning.database import Database
from provisioning.vault import SecretVault, create_keyring, load_keyring
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.support.appliances import Original
from workflows.answers import PaymentState

PATIENCE_SECONDS = 60.0
IMPATIENCE_SECONDS = 2.0
"""For a call whose answer never comes: long enough for whatever the double does before it falls silent."""
CARD = ("cus_ada", "pm_card_visa")


@dataclass
class Sold:
    """A sales side in memory: what the tests say was offered, quoted, ordered."""

    offers: dict[int, OfferFacts] = field(default_factory=dict)
    quotes: dict[int, QuoteFacts] = field(default_factory=dict)
    orders: dict[int, OrderFacts] = field(default_factory=dict)
    withdrawn: set[int] = field(default_factory=set)

    async def offer(self, offer_id: int) -> OfferFacts | None:
        return self.offers.get(offer_id)

    async def quote(self, quote_id: int) -> QuoteFacts | None:
        return self.quotes.get(quote_id)

    async def order(self, order_id: int) -> OrderFacts | None:
        return self.orders.get(order_id)

    async def customer_withdrawn(self, customer_id: int) -> bool:
        return customer_id in self.withdrawn

    async def open_terminations(self, customer_id: int, service_id: int) -> list[int]:
        return []


@dataclass
class Shop:
    """All that a payment needs, on one database."""

    begin: Begin
    vault: SecretVault
    sold: Sold
    double: StripeDouble
    http: httpx.AsyncClient

    def stripe(self, patience_seconds: float = PATIENCE_SECONDS) -> StripeSettings:
        account = self.double.account
        return StripeSettings(account.api_key, (account.webhook_secret,), self.double.url, patience_seconds)

    def capture(self, begin: Begin | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> PaymentCapture:
        return PaymentCapture(
            begin or self.begin,
            payment_gateways(self.http, stripe=self.stripe(patience_seconds)),
            tenant_id=TENANT,
            now=lambda: NOW,
            secrets=self.vault,
        )

    def cards(self, db: AsyncSession) -> CardsOnFile:
        return CardsOnFile(db, secrets=self.vault, tenant_id=TENANT)

    def billing(self, db: AsyncSession) -> BillingService:
        return BillingService(db, tenant_id=TENANT, now=lambda: NOW, sales=self.sold, cards=self.cards(db))

    async def pay(self, order_id: int = 3, method: str = "card", request_id: str | None = None) -> int:
        """Asks for the order's payment; the number of the payment."""
        order = self.sold.orders[order_id]
        amount = order.total_minor
        async with self.begin() as db:
            asked = await self.billing(db).process_payment(
                order_id=order_id, amount=as_decimal(amount), payment_method=method, request_id=request_id
            )
        return asked["payment_id"]

    async def state(self, payment_id: int) -> PaymentState:
        return (await self.row(payment_id)).state

    async def row(self, payment_id: int) -> Payment:
        async with self.begin() as db:
            return await db.get_one(Payment, payment_id)

    async def attempts(self, payment_id: int) -> list[tuple[str, str | None]]:
        async with self.begin() as db:
            query = PaymentAttempt.__table__.select().order_by(PaymentAttempt.number)
            rows = (await db.execute(query)).mappings().all()
        return [(row["kind"], row["outcome"]) for row in rows if row["payment_id"] == payment_id]


def as_decimal(minor_eur: int) -> Decimal:
    return Decimal(minor_eur) / 100


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with StripeDouble() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=trusted_authorities(), trust_env=False) as client:
        yield client


@pytest.fixture
def vault(tmp_path: Path) -> SecretVault:
    create_keyring(tmp_path / "sealing-key.json", now=lambda: NOW)
    return SecretVault(load_keyring(tmp_path / "sealing-key.json"), tenant_id=TENANT)


async def make_shop(begin: Begin, vault: SecretVault, double: StripeDouble, http: httpx.AsyncClient) -> Shop:
    sold = Sold(orders={3: OrderFacts(3, 42, 1250, "EUR", "prepaid", "acknowledged")})
    shop = Shop(begin, vault, sold, double, http)
    async with begin() as db:
        for customer_id in (42, 43):
            await CustomerService(db, tenant_id=TENANT, now=lambda: NOW).register(
                name="Ada", email="ada@example.com", customer_id=customer_id
            )
        await shop.cards(db).keep(customer_id=42, holder=CARD[0], method=CARD[1])
    return shop


@pytest.fixture
async def shop(
    migrated_sqlite: Original, tmp_path: Path, vault: SecretVault, double: StripeDouble, http: httpx.AsyncClient
) -> AsyncIterator[Shop]:
    """On SQLite, where only one writes at a time: no transaction may be open while a gateway is waited for."""
    database = Database(migrated_sqlite.copy_database(tmp_path))
    yield await make_shop(database.begin, vault, double, http)
    await database.close()


@pytest.fixture
async def any_shop(begin: Begin, vault: SecretVault, double: StripeDouble, http: httpx.AsyncClient) -> Shop:
    """The same on SQLite and on PostgreSQL."""
    return await make_shop(begin, vault, double, http)
