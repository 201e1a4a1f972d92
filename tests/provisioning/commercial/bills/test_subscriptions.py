"""Subscriptions: sold once, one bill with or without a line, renewed in calendar months, announced once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    BillingService,
    CustomerService,
    CustomerUnknown,
    ExtensionNotLast,
    ExtensionUnknown,
    ServiceBilledAlready,
    SubscriptionInstalled,
    SubscriptionNotExtendable,
    SubscriptionStopped,
    SubscriptionUnknown,
)
from provisioning.commercial.bills.expiry import announce_expiring
from provisioning.commercial.bills.subscriptions import RenewalTerms, list_subscriptions, renewal_terms
from provisioning.commercial.facts import OfferFacts, OrderFacts
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.tables import Subscription, SubscriptionExtension
from provisioning.errors import InvalidRequest, RequestConflict, TenantMismatch
from tests.provisioning.commercial.conftest import TENANT
from tests.support.nothing_sold import NothingSold
from workflows import EventConflict

HOSTED = OfferFacts(1, None, "Business mail", 990, "EUR", 1, 12)
FIBRE = OfferFacts(2, "fiber-300", "Fibre 300", 3990, "EUR", 1, 24)
OPEN_END = OfferFacts(3, None, "Domain", 150, "EUR", 1, None)
SOLD_ON = date(2026, 1, 31)


@dataclass
class Sold(NothingSold):
    """Three offers."""

    withdrawn: set[int] = field(default_factory=set)
    orders: dict[int, OrderFacts] = field(default_factory=dict)

    async def offer(self, offer_id: int) -> OfferFacts | None:
        return {offer.offer_id: offer for offer in (HOSTED, FIBRE, OPEN_END)}.get(offer_id)

    async def order(self, order_id: int) -> OrderFacts | None:
        return self.orders.get(order_id)

    async def customer_withdrawn(self, customer_id: int) -> bool:
        return customer_id in self.withdrawn


@dataclass
class Counter:
    """Where things are sold; its calendar can be turned."""

    begin: Begin
    sold: Sold = field(default_factory=Sold)
    today: date = SOLD_ON

    def billing(self, db: AsyncSession) -> BillingService:
        return BillingService(db, tenant_id=TENANT, now=self.now, sales=self.sold)

    def now(self) -> datetime:
        return datetime(self.today.year, self.today.month, self.today.day, 9, tzinfo=UTC)

    async def ask(self, method: str, **words: Any) -> dict[str, Any]:
        async with self.begin() as db:
            return dict(await getattr(self.billing(db), method)(**words))

    async def sell(self, offer: OfferFacts = HOSTED, **changed: Any) -> dict[str, Any]:
        words = {"customer_id": 42, "plan_id": offer.offer_id, "tenant_id": TENANT} | changed
        return await self.ask("create_subscription", **words)

    async def row(self, subscription_id: int) -> Subscription:
        async with self.begin() as db:
            return await db.get_one(Subscription, subscription_id)

    async def against(self, subscription_id: int) -> tuple[str | None, str | None]:
        told = await self.ask("check_renewal_eligibility", customer_id=42, subscription_id=subscription_id)
        assert told["eligible"] == (told["reason"] is None)
        return told["reason_code"], told["reason"]


@pytest.fixture
async def counter(begin: Begin) -> Counter:
    made = Counter(begin)
    async with begin() as db:
        for customer_id in (42, 43):
            await CustomerService(db, tenant_id=TENANT, now=made.now).register(
                name="Ada", email="ada@example.com", customer_id=customer_id
            )
    return made


# -- selling -----------------------------------------------------------------------------------------------------------


async def test_a_hosted_product_runs_from_today_for_its_term(counter: Counter) -> None:
    made = await counter.sell(request_id="lead/1/subscription")
    assert made == {
        "subscription_id": made["subscription_id"],
        "customer_id": 42,
        "plan_id": 1,
        "plan": "Business mail",
        "state": "active",
        "term_months": 12,
        "starts_on": SOLD_ON,
        "ends_on": date(2027, 1, 31),
        "price_minor": 990,
        "currency": "EUR",
    }
    assert await counter.sell(request_id="lead/1/subscription") == made
    assert await counter.sell() != made, "without a request each call sells another"
    open_end = await counter.sell(OPEN_END)
    assert (open_end["state"], open_end["term_months"], open_end["ends_on"]) == ("active", None, None)


async def test_a_sold_line_waits_for_its_installation_and_becomes_its_one_bill(counter: Counter) -> None:
    made = await counter.sell(FIBRE)
    assert (made["state"], made["plan"], made["starts_on"], made["ends_on"]) == (
        "pending_installation",
        "fiber-300",
        None,
        None,
    )
    counter.today = date(2026, 2, 10)
    wish = {"customer_id": 42, "service_id": 7, "plan": "fiber-300", "request_id": "ticket/1/activate"}
    activated = await counter.ask("activate_service", **wish)
    assert activated["subscription_id"] == made["subscription_id"]
    assert await counter.ask("activate_service", **wish) == activated
    row = await counter.row(made["subscription_id"])
    assert (row.state, row.service_id, row.starts_on, row.ends_on, row.price_minor) == (
        "active",
        7,
        date(2026, 2, 10),
        date(2028, 2, 10),
        3990,
    )
    another = await counter.ask("activate_service", **wish | {"service_id": 8, "request_id": "ticket/2/activate"})
    assert another["subscription_id"] != made["subscription_id"], "nothing waits any more: a bill of its own"
    with pytest.raises(SubscriptionInstalled, match="bills service 7, which is installed"):
        await counter.ask("cancel_subscription", subscription_id=made["subscription_id"], reason="lead withdrawn")
    with pytest.raises(ServiceBilledAlready):
        await counter.ask("activate_service", customer_id=43, service_id=7)


async def test_two_lines_activated_at_once_take_one_of_two_sales_each(counter: Counter) -> None:
    sold = {(await counter.sell(FIBRE))["subscription_id"] for _ in range(2)}
    activated = await asyncio.gather(
        *(
            counter.ask("activate_service", customer_id=42, service_id=service_id, plan="fiber-300")
            for service_id in (7, 8, 7, 8)
        )
    )
    assert {one["subscription_id"] for one in activated} == sold
    async with counter.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Subscription)) == 2


async def test_an_installation_that_is_undone_leaves_the_sale_waiting_and_any_other_bill_stopped(
    counter: Counter,
) -> None:
    made = await counter.sell(FIBRE)
    wish = {"customer_id": 42, "service_id": 7, "plan": "fiber-300", "request_id": "ticket/1/activate"}
    activated = await counter.ask("activate_service", **wish)
    undo = {"subscription_id": activated["subscription_id"], "reason": "the installation was undone"}
    for _ in range(2):
        assert (await counter.ask("withdraw_activation", **undo))["state"] == "pending_installation"
    row = await counter.row(made["subscription_id"])
    assert (row.service_id, row.billing_started_at, row.starts_on, row.ends_on) == (None, None, None, None)
    assert (await counter.ask("activate_service", **wish))["subscription_id"] == made["subscription_id"]
    await counter.ask("stop_billing", subscription_id=made["subscription_id"], reason="terminated")
    with pytest.raises(SubscriptionStopped, match="of service 7 was stopped"):
        await counter.ask("activate_service", **wish)
    plain = await counter.ask("activate_service", customer_id=42, service_id=9, plan="fiber-300")
    stopped = await counter.ask("withdraw_activation", subscription_id=plain["subscription_id"], reason="undone")
    assert stopped["state"] == "cancelled"


async def test_a_cancelled_sale_stays_as_history_and_its_request_takes_it_up_again(counter: Counter) -> None:
    made = await counter.sell(request_id="lead/1/subscription")
    cancelled = await counter.ask("cancel_subscription", subscription_id=made["subscription_id"], reason="undone")
    counter.today = date(2026, 2, 1)
    assert (
        await counter.ask("cancel_subscription", subscription_id=made["subscription_id"], reason="again") == cancelled
    )
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "undone")
    again = await counter.sell(request_id="lead/1/subscription")
    assert (again["subscription_id"], again["state"], again["starts_on"]) == (
        made["subscription_id"],
        "active",
        date(2026, 2, 1),
    )


async def test_what_cannot_be_sold_is_refused_with_every_fault(counter: Counter) -> None:
    counter.sold.withdrawn.add(43)
    with pytest.raises(InvalidRequest) as refused:
        await counter.sell(customer_id=43, plan_id=9)
    assert [fault.field for fault in refused.value.faults] == ["plan_id", "customer_id"]
    with pytest.raises(TenantMismatch, match="for tenant south, but north is served here"):
        await counter.sell(tenant_id="south")
    with pytest.raises(CustomerUnknown):
        await counter.sell(customer_id=99)
    await counter.sell(request_id="a")
    with pytest.raises(RequestConflict):
        await counter.sell(FIBRE, request_id="a")


async def test_the_database_refuses_a_bill_for_nothing(counter: Counter) -> None:
    with pytest.raises(IntegrityError):
        async with counter.begin() as db:
            db.add(
                Subscription(
                    tenant_id=TENANT,
                    customer_id=42,
                    plan="fiber-300",
                    offer_id=2,
                    price_minor=3990,
                    currency="EUR",
                    state="active",
                    billing_started_at=counter.now(),
                )
            )


# -- renewing ----------------------------------------------------------------------------------------------------------


async def test_a_term_grows_by_calendar_months_once_per_request(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    wish = {"subscription_id": number, "extension_period": 1, "request_id": "renewal/1/extend"}
    first = await counter.ask("extend_subscription", **wish)
    assert first == {
        "extension_id": first["extension_id"],
        "subscription_id": number,
        "customer_id": 42,
        "extended_from": date(2027, 1, 31),
        "ends_on": date(2027, 2, 28),
        "extension_months": 1,
    }
    second = await counter.ask("extend_subscription", subscription_id=number, extension_period=1)
    assert second["ends_on"] == date(2027, 3, 31), "the day it began on is kept"
    assert await counter.ask("extend_subscription", **wish) == first
    with pytest.raises(RequestConflict, match=f"extension {first['extension_id']} of subscription {number}"):
        await counter.ask("extend_subscription", **wish | {"extension_period": 2})
    row = await counter.row(number)
    assert (row.ends_on, row.renewed_at) == (date(2027, 3, 31), counter.now())


async def test_the_same_request_at_the_same_moment_extends_once(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    wish = {"subscription_id": number, "extension_period": 12, "request_id": "renewal/1/extend"}
    made = await asyncio.gather(*(counter.ask("extend_subscription", **wish) for _ in range(5)))
    assert {one["extension_id"] for one in made} == {made[0]["extension_id"]}
    assert (await counter.row(number)).ends_on == date(2028, 1, 31)


async def test_an_extension_is_taken_back_the_last_one_first(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    wish = {"subscription_id": number, "extension_period": 1}
    first = await counter.ask("extend_subscription", **wish, request_id="a")
    second = await counter.ask("extend_subscription", **wish)
    undo = {"extension_id": first["extension_id"], "reason": "payment refunded"}
    with pytest.raises(ExtensionNotLast, match="withdraw that one first"):
        await counter.ask("withdraw_extension", **undo)
    await counter.ask("withdraw_extension", extension_id=second["extension_id"], reason="payment refunded")
    withdrawn = await counter.ask("withdraw_extension", **undo)
    assert await counter.ask("withdraw_extension", **undo) == withdrawn
    row = await counter.row(number)
    assert (withdrawn["ends_on"], row.ends_on, row.renewed_at) == (date(2027, 1, 31), date(2027, 1, 31), None)
    again = await counter.ask("extend_subscription", **wish, request_id="a")
    assert (again["extension_id"] != first["extension_id"], again["ends_on"]) == (True, date(2027, 2, 28))
    async with counter.begin() as db:
        assert await db.scalar(select(func.count()).select_from(SubscriptionExtension)) == 3
    with pytest.raises(ExtensionUnknown):
        await counter.ask("withdraw_extension", extension_id=99, reason="x")


async def test_what_has_no_term_is_not_extended(counter: Counter) -> None:
    numbers = [(await counter.sell(offer))["subscription_id"] for offer in (OPEN_END, FIBRE, HOSTED)]
    await counter.ask("cancel_subscription", subscription_id=numbers[2], reason="undone")
    for number, words in zip(numbers, ("until further notice", "pending_installation", "cancelled"), strict=True):
        with pytest.raises(SubscriptionNotExtendable, match=words):
            await counter.ask("extend_subscription", subscription_id=number, extension_period=1)
    for months in (0, 121):
        with pytest.raises(InvalidRequest, match="extension_period"):
            await counter.ask("extend_subscription", subscription_id=numbers[0], extension_period=months)
    with pytest.raises(SubscriptionUnknown):
        await counter.ask("extend_subscription", subscription_id=99, extension_period=1)


async def test_who_may_renew_is_an_answer_with_a_reason(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    assert await counter.against(number) == (
        "too_early",
        f"Subscription {number} ends on 2027-01-31; it can be renewed from 2026-12-02 on.",
    )
    counter.today = date(2026, 12, 2)
    told = await counter.ask("check_renewal_eligibility", customer_id=42, subscription_id=number)
    assert told == {
        "eligible": True,
        "reason": None,
        "reason_code": None,
        "subscription_id": number,
        "customer_id": 42,
        "plan": "Business mail",
        "ends_on": date(2027, 1, 31),
        "renewal_term_months": 12,
    }
    await counter.ask("extend_subscription", subscription_id=number, extension_period=1)
    assert await counter.against(number) == (
        "already_renewed",
        f"Subscription {number} is renewed already, from 2027-01-31 until 2027-02-28.",
    )
    counter.today = date(2027, 2, 1)
    assert await counter.against(number) == (None, None), "the month that was renewed has begun"
    counter.sold.withdrawn.add(42)
    assert (await counter.against(number))[0] == "customer_withdrawn"
    counter.sold.withdrawn.clear()
    others = [(await counter.sell(offer))["subscription_id"] for offer in (OPEN_END, FIBRE)]
    assert [(await counter.against(other))[0] for other in others] == ["no_end_date", "not_started"]
    await counter.ask("cancel_subscription", subscription_id=number, reason="moved away")
    assert await counter.against(number) == ("cancelled", f"Subscription {number} is cancelled (moved away).")
    for customer_id, subscription_id in ((43, number), (42, 99)):
        with pytest.raises(SubscriptionUnknown, match=f"Customer {customer_id} has no subscription"):
            await counter.ask("check_renewal_eligibility", customer_id=customer_id, subscription_id=subscription_id)


async def test_who_has_not_paid_yet_may_not_renew(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    counter.today = date(2027, 1, 1)
    counter.sold.orders[3] = OrderFacts(3, 42, 100, "EUR", "prepaid", "acknowledged")
    payment = await counter.ask("process_payment", order_id=3, amount=Decimal(1), payment_method="invoice")
    assert await counter.against(number) == (
        "open_debt",
        f"Customer 42 has not paid yet: payment {payment['payment_id']} is requested.",
    )
    await counter.ask("void_payment", payment_id=payment["payment_id"], reason="order undone")
    assert await counter.against(number) == (None, None)


async def test_a_renewal_is_quoted_from_what_was_sold(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    bill = await counter.ask("activate_service", customer_id=42, service_id=9)
    async with counter.begin() as db:
        terms = await renewal_terms(db, TENANT, number)
        assert terms == RenewalTerms(42, 1, 990, "EUR", date(2027, 1, 31), 12)
        with pytest.raises(SubscriptionNotExtendable, match="without an offer"):
            await renewal_terms(db, TENANT, bill["subscription_id"])
        with pytest.raises(SubscriptionUnknown):
            await renewal_terms(db, "south", number)


# -- coming to an end --------------------------------------------------------------------------------------------------


async def sweep(counter: Counter) -> list[tuple[str, Mapping[str, Any]]]:
    """(key, data) of what is published today for the next thirty days."""
    told: list[tuple[str, Mapping[str, Any]]] = []

    async def publish(db: AsyncSession, kind: str, subject: str, data: Mapping[str, Any], key: str, by: str) -> None:
        assert (kind, by, subject) == ("subscription.expiring", "clock", f"subscription/{data['subscription_id']}")
        told.append((key, data))

    async with counter.begin() as db:
        count = await announce_expiring(
            db,
            tenant_id=TENANT,
            until=counter.today + timedelta(days=30),
            now=counter.now(),
            publish=publish,
            by="clock",
        )
    assert count == len(told)
    return told


async def test_an_end_is_announced_once_thirty_days_ahead(counter: Counter) -> None:
    number = (await counter.sell())["subscription_id"]
    await counter.sell(OPEN_END)
    await counter.sell(FIBRE)
    counter.today = date(2026, 12, 31)
    assert await sweep(counter) == []
    counter.today = date(2027, 1, 1)
    ((key, data),) = await sweep(counter)
    assert key == f"subscription/{number}/ends/2027-01-31"
    assert data == {
        "subscription_id": number,
        "customer_id": 42,
        "ends_on": "2027-01-31",
        "renewal_term_months": 12,
    }
    assert await sweep(counter) == []
    await counter.ask("extend_subscription", subscription_id=number, extension_period=1)
    assert await sweep(counter) == [], "the next month is paid for, and has not begun"
    counter.today = date(2027, 1, 31)
    assert [key for key, _ in await sweep(counter)] == [f"subscription/{number}/ends/2027-02-28"]


async def test_a_sweep_that_fails_has_told_nobody(counter: Counter) -> None:
    await counter.sell()
    counter.today = date(2027, 1, 31)

    async def fails(*_words: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        async with counter.begin() as db:
            await announce_expiring(
                db, tenant_id=TENANT, until=counter.today, now=counter.now(), publish=fails, by="clock"
            )
    assert len(await sweep(counter)) == 1


async def test_an_end_that_was_told_of_with_other_words_does_not_stop_the_others(counter: Counter) -> None:
    spent, other = [(await counter.sell())["subscription_id"] for _ in range(2)]
    counter.today = date(2027, 1, 31)
    told = []

    async def publish(db: AsyncSession, kind: str, subject: str, *_words: Any) -> None:
        if subject == f"subscription/{spent}":
            raise EventConflict(subject, 7)
        told.append(subject)

    for looked_at in (2, 0):
        async with counter.begin() as db:
            count = await announce_expiring(
                db, tenant_id=TENANT, until=counter.today, now=counter.now(), publish=publish, by="clock"
            )
        assert count == looked_at
    assert told == [f"subscription/{other}"]
    assert (await counter.row(spent)).expiry_told_for == counter.today


async def test_lists_are_filtered_and_paged(counter: Counter) -> None:
    numbers = [(await counter.sell(offer))["subscription_id"] for offer in (HOSTED, FIBRE, OPEN_END)]
    await counter.sell(customer_id=43)

    async def listed(**filters: Any) -> list[int]:
        async with counter.begin() as db:
            return [each.subscription_id for each in await list_subscriptions(db, tenant_id=TENANT, **filters)]

    assert await listed(customer_id=42) == numbers[::-1]
    assert await listed(customer_id=42, limit=1, before_id=numbers[2]) == [numbers[1]]
    assert await listed(state="pending_installation") == [numbers[1]]
    assert await listed(ends_by=date(2027, 1, 31), customer_id=42) == [numbers[0]]
