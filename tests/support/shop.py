"""A laboratory that sells: offers paid in advance, a team that is told of orders, Stripe's double for the cards."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from provisioning.commercial import LineWish
from provisioning.commercial.bills.subscriptions import SubscriptionView, list_subscriptions, show_subscription
from provisioning.commercial.notices.notice_tables import Notice
from provisioning.commercial.payments import PaymentView, list_payments
from provisioning.commercial.payments.testing import StripeDouble
from provisioning.commercial.payments.testing.stripe_account import Webhook
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.field import Visit
from provisioning.visits import Outcome
from tests.support.estate import Household
from tests.support.lab import PATIENCE_SECONDS, Installation, JourneyLab
from workflows.answers import PaymentMethod

FIBRE_POSTPAID, FIBRE_PREPAID, PORTAL, PORTAL_POSTPAID = 1, 901, 902, 903  # offers
ORDER, RENEWAL = "quote_accepted_to_order", "customer_renewal_process"
HOLDER = "cus_ada"
EARLIEST_VISIT_DAYS = 60
"""Later than any installation of another test."""

ESTATE = """
[[offer]]
id = 901
title = "Fibre 300, paid ahead"
plan = "fiber-300"
price_minor = 3990
currency = "EUR"
setup_fee_minor = 4900
term_months = 24
payment_terms = "prepaid"
[[offer]]
id = 902
title = "Portal"
price_minor = 1500
currency = "EUR"
term_months = 1
payment_terms = "prepaid"
[[offer]]
id = 903
title = "Portal, paid later"
price_minor = 1500
currency = "EUR"
term_months = 1
payment_terms = "postpaid"
"""


@dataclass
class Shop:
    """Whoever sells, keeps the cards and counts the money."""

    lab: JourneyLab
    stripe: StripeDouble
    days: itertools.count[int]

    def visit_day(self) -> date:
        """A day on which no other test wants a visit."""
        return (self.lab.clock.now() + timedelta(days=EARLIEST_VISIT_DAYS + next(self.days))).date()

    async def quote(self, house: Household, *lines: LineWish | int) -> int:
        """A quote that the customer has; a number is one of that offer."""
        async with self.lab.appliance.database.begin() as db:
            quotes = self.lab.appliance.quotes(db)
            drafted = await quotes.draft(
                customer_id=house.customer_id,
                lines=[LineWish(line) if isinstance(line, int) else line for line in lines],
                valid_until=self.lab.clock.now() + timedelta(days=30),
            )
            await quotes.send(quote_id=drafted["quote_id"])
        return drafted["quote_id"]

    async def accept(self, quote_id: int, by: str = "Ada") -> list[int]:
        """At the desk; the runs that were told."""
        async with self.lab.appliance.database.begin() as db:
            _, told = await self.lab.appliance.quote_desk(db).accept(quote_id=quote_id, accepted_by=by, by="desk")
        return told

    async def order(self, house: Household, offer: int, **wishes: Any) -> Installation:
        """The customer accepts, and says with it how they pay and when they are at home."""
        quote_id = await self.quote(house, offer)
        data = {
            "quote_id": quote_id,
            "customer_id": house.customer_id,
            "accepted_by": "Ada",
            "accepted_at": self.lab.clock.now().isoformat(),
            "acceptance": 1,
            **wishes,
        }
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.publish(
                db, "quote.accepted", f"quote/{quote_id}", data, f"quote/{quote_id}/accepted", "api"
            )
        return await self.run_of(ORDER, f"quote/{quote_id}/accepted")

    async def run_of(self, journey: str, key: str) -> Installation:
        """The run that an event starts, once the worker has taken it up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with self.lab.appliance.database.begin() as db:
                    run_id = await self.lab.appliance.runs.find(db, journey, key)
                if run_id is not None:
                    return Installation(self.lab, run_id)
                await self.lab.happening()

    async def tell(self, run: Installation, signal: str, **payload: Any) -> None:
        async with self.lab.appliance.database.begin() as db:
            assert await self.lab.appliance.signal_desk(db).tell(run.id, signal, payload, by="desk")

    async def pay_by(self, run: Installation, method: PaymentMethod) -> None:
        """The customer chooses another way to pay; whoever sells keeps that at the order's desk."""
        order_id = (await run.result("create_order_from_quote"))["order_id"]
        async with self.lab.appliance.database.begin() as db:
            desk = self.lab.appliance.order_desk(db)
            assert (await desk.pay_by(order_id, method, key=method, by="desk"))[1] == run.id

    async def keep_card(self, house: Household, method: str = "pm_card_visa") -> None:
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.cards(db).keep(customer_id=house.customer_id, holder=HOLDER, method=method)

    async def settle(self, run: Installation, step: str, reference: str) -> list[int]:
        """Somebody sees the money of the run's payment on the bank's statement; the runs that were told."""
        payment_id = (await run.result(step))["payment_id"]
        async with self.lab.appliance.database.begin() as db:
            return await self.lab.appliance.payment_desk(db).settle(
                payment_id=payment_id, reference=reference, by="books"
            )

    async def hear(self, webhook: Webhook) -> list[int]:
        """Stripe's webhook comes in; the runs that were told."""
        event = self.lab.appliance.webhook_readers["stripe"].parse_webhook(webhook.body, webhook.headers)
        assert event is not None
        async with self.lab.appliance.database.begin() as db:
            return await self.lab.appliance.payment_desk(db).hear(event)

    async def payments(self, house: Household) -> list[PaymentView]:
        """The customer's payments, the oldest first."""
        async with self.lab.appliance.database.begin() as db:
            found = await list_payments(db, tenant_id=self.lab.appliance.tenant_id, customer_id=house.customer_id)
        return found[::-1]

    async def order_state(self, run: Installation) -> tuple[str, str | None]:
        """The state of the run's order, and why."""
        async with self.lab.appliance.database.begin() as db:
            order = await self.lab.appliance.sales(db).order((await run.result("create_order_from_quote"))["order_id"])
        return order["state"], order["reason"]

    async def quote_state(self, quote_id: int) -> str:
        async with self.lab.appliance.database.begin() as db:
            return (await self.lab.appliance.quotes(db).quote(quote_id))["state"]

    async def renewal_quotes(self, house: Household) -> list[str]:
        """The states of the customer's renewal quotes."""
        async with self.lab.appliance.database.begin() as db:
            query = select(Quote.state).where(Quote.customer_id == house.customer_id, Quote.kind == "renewal")
            return list(await db.scalars(query.order_by(Quote.id)))

    async def expire(self, sold: SubscriptionView) -> Installation:
        """Tells that the term ends, as the daily sweep does; its renewal."""
        number = sold.subscription_id
        key = f"subscription/{number}/ends/{sold.ends_on}"
        data = {
            "subscription_id": number,
            "customer_id": sold.customer_id,
            "ends_on": str(sold.ends_on),
            "renewal_term_months": sold.term_months,
        }
        async with self.lab.appliance.database.begin() as db:
            await self.lab.appliance.publish(db, "subscription.expiring", f"subscription/{number}", data, key, "api")
        return await self.run_of(RENEWAL, key)

    async def report(self, run: Installation, outcome: Outcome, **said: Any) -> None:
        """The technician reports from the order's visit."""
        visit_id = (await run.result("schedule_deployment"))["visit_id"]
        if outcome == "no_access":
            await self.lab.until_it_begins(visit_id)
        async with self.lab.appliance.database.begin() as db:
            desk = self.lab.appliance.visit_desk(db)
            _, told = await desk.report(visit_id=visit_id, outcome=outcome, by="technician", **said)
        assert told == [run.id]

    async def calendar(self, house: Household) -> list[tuple[str, datetime]]:
        """The customer's visits: the state and the start of each."""
        async with self.lab.appliance.database.begin() as db:
            query = select(Visit.state, Visit.starts_at).where(Visit.customer_id == house.customer_id)
            return [(state, starts_at) for state, starts_at in await db.execute(query.order_by(Visit.id))]

    async def notices(self, order_id: int) -> list[Notice]:
        """What teams were told of this order."""
        async with self.lab.appliance.database.begin() as db:
            found = await db.scalars(select(Notice).order_by(Notice.id))
            return [one for one in found if one.details.get("order_id") == order_id]

    async def subscribe(self, house: Household, offer: int = PORTAL) -> SubscriptionView:
        """Sells the customer a hosted product, from today, for a month."""
        async with self.lab.appliance.database.begin() as db:
            sold = await self.lab.appliance.services(db).billing_service.create_subscription(
                customer_id=house.customer_id, plan_id=offer, tenant_id=self.lab.appliance.tenant_id
            )
        return await self.subscription(sold["subscription_id"])

    async def bought(self, house: Household) -> list[SubscriptionView]:
        """The customer's subscriptions, the oldest first."""
        async with self.lab.appliance.database.begin() as db:
            found = await list_subscriptions(db, tenant_id=self.lab.appliance.tenant_id, customer_id=house.customer_id)
        return found[::-1]

    async def subscription(self, subscription_id: int) -> SubscriptionView:
        async with self.lab.appliance.database.begin() as db:
            return await show_subscription(db, subscription_id, tenant_id=self.lab.appliance.tenant_id)


def shop_settings(folder: Path, stripe: StripeDouble) -> dict[str, Any]:
    """What an ISP sets that sells; its secrets are written into files of this folder."""
    for name, value in (("key", stripe.account.api_key), ("signing", stripe.account.webhook_secret)):
        folder.joinpath(name).write_text(value)
    return {
        "stripe_api_key_file": folder / "key",
        "stripe_webhook_secret_file": folder / "signing",
        "stripe_url": stripe.url,
        "stripe_timeout_seconds": 1.0,
    }


@asynccontextmanager
async def open_shop(lab: JourneyLab, folder: Path) -> AsyncIterator[Shop]:
    """The laboratory with a shop in it, for the time of the block."""
    async with StripeDouble() as stripe:
        await lab.import_estate(folder / "shop.toml", ESTATE)
        async with lab.restarted_with(public_url="https://isp.example", **shop_settings(folder, stripe)):
            yield Shop(lab, stripe, itertools.count())
