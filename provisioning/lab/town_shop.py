"""What the town has bought: quotes, orders and payments of the last weeks, and some of today's.

The services make them all. What is over was made at a clock that is set back to when it happened; today's sales come in
at the desk, and of them one card is declined on purpose, one waits for its holder, and two for money by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance
from provisioning.commercial import LineWish
from provisioning.commercial.payments import PaymentCapture, payment_gateways
from provisioning.lab.demo import Lab, Say
from provisioning.lab.neighbours import Neighbours
from provisioning.lab.settling import PastClock, set_back
from provisioning.lab.town import WERE_THERE_BEFORE, Home
from provisioning.lab.town_orders import LOOK_EVERY_SECONDS, PATIENCE_SECONDS, until
from provisioning.orders import JOURNEY
from provisioning.worker import outgoing_http
from workflows.answers import PaymentMethod
from workflows.definitions.ordering import acceptance_key

Fate = Literal["paid", "given back", "drafted", "offered", "withdrawn"]

MESH, TELEVISION, FIBRE_1000, BUSINESS_500 = 2, 6, 4, 5
"""Offers of the estate; the first two are paid in advance and need no line."""
GOOD, EMPTY, ASKS = "pm_card_visa", "pm_card_chargeDeclinedInsufficientFunds", "pm_card_threeDSecure2Required"
"""Stripe's test cards (docs.stripe.com/testing)."""
VALID, PAID_AFTER = timedelta(days=14), timedelta(days=2)
WITHIN_A_TERM_DAYS = 28
"""What is sold by the month and longer ago is over by now."""
BUYERS_APART = 37
"""Of neighbours so many live between two who buy."""


@dataclass(frozen=True)
class Sale:
    """Something that was sold, or offered, so many days ago, and what came of it."""

    days_ago: float
    offer_id: int
    fate: Fate
    method: PaymentMethod = "invoice"


@dataclass(frozen=True)
class Purchase:
    """Something that is bought today, and by which of Stripe's cards."""

    method: PaymentMethod
    card: str | None = None


def past_sales() -> list[Sale]:
    """The oldest first."""
    ways: tuple[PaymentMethod, ...] = ("invoice", "card", "bank", "cash")
    paid = [
        Sale(days, TELEVISION if days < WITHIN_A_TERM_DAYS and number % 2 else MESH, "paid", ways[number % len(ways)])
        for number, days in enumerate(range(86, 3, -4))
    ]
    others = [
        Sale(60, MESH, "given back", "card"),
        Sale(33, FIBRE_1000, "offered"),  # nobody accepted it in time
        Sale(20, FIBRE_1000, "withdrawn"),
        Sale(6, FIBRE_1000, "offered"),
        Sale(3, BUSINESS_500, "offered"),
        Sale(1, FIBRE_1000, "drafted"),
    ]
    return sorted([*paid, *others], key=lambda sale: -sale.days_ago)


TODAY = (
    Purchase("card", GOOD),
    Purchase("card", EMPTY),
    Purchase("card", ASKS),
    Purchase("bank"),
    Purchase("invoice"),
)


def buyers(everybody: Sequence[Home], many: int) -> list[Home]:
    """So many of those who have been there for longest; of few some buy again."""
    settled = everybody[: max(int(len(everybody) * WERE_THERE_BEFORE), 1)]
    return [settled[number * BUYERS_APART % len(settled)] for number in range(many)]


async def write_sales(lab: Lab, neighbours: Neighbours, everybody: Sequence[Home]) -> None:
    """The quotes, orders and payments of the last weeks."""
    now, sales = lab.appliance.clock(), past_sales()
    async with set_back(lab.appliance) as (then, clock), outgoing_http() as http:
        capture = PaymentCapture(
            then.database.begin,
            payment_gateways(http, stripe=then.stripe),
            tenant_id=then.tenant_id,
            now=then.clock,
            secrets=then.vault,
        )
        till = _Till(then, clock, capture, neighbours)
        for sale, home in zip(sales, buyers(everybody, len(sales)), strict=True):
            clock.moment = now - timedelta(days=sale.days_ago)
            await till.sell(sale, home)
        clock.moment = now
        await then.expire_quotes()


class _Till:
    """Sells at the clock's moment."""

    def __init__(self, then: Appliance, clock: PastClock, capture: PaymentCapture, neighbours: Neighbours) -> None:
        self._then = then
        self._clock = clock
        self._capture = capture
        self._neighbours = neighbours

    async def sell(self, sale: Sale, home: Home) -> None:
        """The offer and the yes are one transaction: the worker, whose time is now, ends quotes that were open then."""
        async with self._then.database.begin() as db:
            quote_id = await _offer(self._then, db, home, sale.offer_id, sends=sale.fate != "drafted")
            if sale.fate == "withdrawn":
                await self._then.quotes(db).withdraw(quote_id=quote_id, reason="The customer wants another one.")
            if sale.fate not in ("paid", "given back"):
                return
            order_id, payment_id = await self._order(db, quote_id, sale, home)
        await self._pay(payment_id, sale)
        if sale.fate == "paid":
            await self._deliver(order_id, sale, home)
        else:
            await self._take_back(quote_id, order_id, payment_id)

    async def _order(self, db: AsyncSession, quote_id: int, sale: Sale, home: Home) -> tuple[int, int]:
        if sale.method == "card":
            await _keep_card(self._then, self._neighbours, db, home, GOOD)
        services = self._then.services(db)
        await services.crm_service.accept_quote(quote_id=quote_id, accepted_by=home.name)
        order = await services.sales_service.create_order_from_quote(quote_id=quote_id, tenant_id=self._then.tenant_id)
        asked = await services.billing_service.process_payment(
            order_id=order["order_id"], amount=order["total_amount"], payment_method=sale.method
        )
        return order["order_id"], asked["payment_id"]

    async def _pay(self, payment_id: int, sale: Sale) -> None:
        await self._capture.capture(payment_id)
        if sale.method == "card":
            return
        self._clock.moment += PAID_AFTER
        async with self._then.database.begin() as db:
            reference = f"{sale.method} of {self._clock.moment:%Y-%m-%d}, {payment_id}"
            await self._then.payment_desk(db).settle(payment_id=payment_id, reference=reference, by="books")

    async def _deliver(self, order_id: int, sale: Sale, home: Home) -> None:
        async with self._then.database.begin() as db:
            services = self._then.services(db)
            await services.billing_service.create_subscription(
                customer_id=home.customer_id, plan_id=sale.offer_id, tenant_id=self._then.tenant_id
            )
            await services.sales_service.complete_order(order_id=order_id)

    async def _take_back(self, quote_id: int, order_id: int, payment_id: int) -> None:
        """As the journey undoes it: the money goes back, the order is cancelled, and the yes no longer counts."""
        why = "The customer does not want it any more."
        await self._capture.refund(payment_id, reason=why)
        async with self._then.database.begin() as db:
            services = self._then.services(db)
            await services.sales_service.cancel_order(order_id=order_id, reason=why)
            await services.crm_service.withdraw_acceptance(quote_id=quote_id, reason=why)


async def sell_today(lab: Lab, neighbours: Neighbours, everybody: Sequence[Home]) -> list[int]:
    """Customers accept at the desk and say how they pay; the quotes. The worker carries out what that sets going."""
    appliance, accepted = lab.appliance, list[int]()
    homes = buyers(everybody, len(past_sales()) + len(TODAY))[-len(TODAY) :]
    for purchase, home in zip(TODAY, homes, strict=True):
        async with appliance.database.begin() as db:
            if purchase.card is not None:
                await _keep_card(appliance, neighbours, db, home, purchase.card)
            quote_id = await _offer(appliance, db, home, MESH)
            await appliance.quote_desk(db).accept(
                quote_id=quote_id, accepted_by=home.name, by="demo", wishes={"payment_method": purchase.method}
            )
        accepted.append(quote_id)
    return accepted


async def carried_out(lab: Lab, quotes: Sequence[int], say: Say) -> None:
    """Until each of these orders has ended, is held, or waits for money."""
    for quote_id in quotes:
        run_id = await _run_of(lab.appliance, quote_id)
        await until(lab, run_id, "payment_settled")
    say(f"  {len(quotes)} customers have bought something today; one card was declined")


async def _offer(appliance: Appliance, db: AsyncSession, home: Home, offer_id: int, *, sends: bool = True) -> int:
    """A quote for one of that offer, which the customer has if it is sent; its number."""
    quotes = appliance.quotes(db)
    drafted = await quotes.draft(
        customer_id=home.customer_id, lines=[LineWish(offer_id)], valid_until=appliance.clock() + VALID
    )
    if sends:
        await quotes.send(quote_id=drafted["quote_id"])
    return drafted["quote_id"]


async def _keep_card(appliance: Appliance, neighbours: Neighbours, db: AsyncSession, home: Home, card: str) -> None:
    holder = neighbours.open_account(home.customer_id)
    await appliance.cards(db).keep(customer_id=home.customer_id, holder=holder, method=card)


async def _run_of(appliance: Appliance, quote_id: int) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with appliance.database.read() as db:
                run_id = await appliance.runs.find(db, JOURNEY, acceptance_key(quote_id, 1))
            if run_id is not None:
                return run_id
            await asyncio.sleep(LOOK_EVERY_SECONDS)
