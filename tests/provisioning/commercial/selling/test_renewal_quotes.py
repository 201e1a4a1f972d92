"""Renewal quotes: at the subscription's price, one for each end, open to the end of its last day."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    CustomerUnknown,
    QuoteNotOpen,
    QuoteOfRenewal,
    RenewalQuoteOpen,
    SubscriptionEnded,
    SubscriptionNotExtendable,
    SubscriptionUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import TENANT
from tests.provisioning.commercial.shop import ADA, FIBRE, FIBRE_TERMS, Shop
from workflows.answers import RenewalQuote

ENDS = datetime(2028, 3, 2, tzinfo=UTC)
"""24 months after the bill began, on 2026-03-02."""


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


async def renew(shop: Shop, subscription_id: int, months: int = 12, **changes: Any) -> RenewalQuote:
    wish: dict[str, Any] = {"customer_id": ADA, "subscription_id": subscription_id, "renewal_term": months}
    async with shop.begin() as db:
        return await shop.crm(db).create_renewal_quote(**wish | changes)


async def quotes_of(shop: Shop) -> int:
    async with shop.begin() as db:
        return await db.scalar(select(func.count()).select_from(Quote)) or 0


async def test_a_renewal_costs_so_many_periods_and_is_open_to_the_end_of_the_last_day(begin: Begin) -> None:
    shop = await Shop(begin).open()
    subscription_id = await shop.subscription()
    offered = await renew(shop, subscription_id, 12, request_id="renewal/1")
    assert offered == {
        "quote_id": offered["quote_id"],
        "customer_id": ADA,
        "subscription_id": subscription_id,
        "renewal_term_months": 12,
        "total_amount": Decimal("478.80"),
        "total_minor": 47880,
        "payment_terms": "postpaid",
        "currency": "EUR",
        "valid_until": ENDS + timedelta(days=1),
        "state": "sent",
    }
    async with begin() as db:
        quote = await shop.quotes(db).quote(offered["quote_id"])
    assert [tuple(line.values()) for line in quote["lines"]] == [(FIBRE, "Fibre 300", 12, 3990, "recurring", 47880)]
    assert (quote["kind"], quote["renews_from"], quote["payment_terms"]) == ("renewal", ENDS.date(), "postpaid")
    assert await renew(shop, subscription_id, 12, request_id="renewal/1") == offered
    assert await renew(shop, subscription_id, 12) == offered, "the same offer, whoever asks"
    assert await quotes_of(shop) == 1


async def test_renewals_of_one_end_at_once_are_one_quote(begin: Begin) -> None:
    shop = await Shop(begin).open()
    subscription_id = await shop.subscription()
    found = await asyncio.gather(*(renew(shop, subscription_id, request_id=f"r/{n % 2}") for n in range(6)))
    assert len({one["quote_id"] for one in found}) == 1
    assert await quotes_of(shop) == 1


async def test_an_open_renewal_stands_in_the_way_of_another_one(shop: Shop) -> None:
    subscription_id = await shop.subscription()
    first = await renew(shop, subscription_id, 12, request_id="a")
    with pytest.raises(RenewalQuoteOpen, match=rf"Quote {first['quote_id']} \(sent\) already offers to go on"):
        await renew(shop, subscription_id, 24)
    with pytest.raises(RequestConflict, match=f"a already made quote {first['quote_id']}"):
        await renew(shop, subscription_id, 24, request_id="a")
    async with shop.begin() as db:
        await shop.crm(db).accept_quote(quote_id=first["quote_id"], accepted_by="Ada")
    with pytest.raises(RenewalQuoteOpen, match=r"\(accepted\)"):
        await renew(shop, subscription_id, 12, request_id="b")
    assert (await renew(shop, subscription_id, 12, request_id="a"))["state"] == "accepted"


async def test_undo_withdraws_a_renewal_that_was_accepted_or_not_and_makes_room(shop: Shop) -> None:
    subscription_id = await shop.subscription()
    for accepted in (False, True):
        offered = await renew(shop, subscription_id, request_id=f"r/{accepted}")
        async with shop.begin() as db:
            crm = shop.crm(db)
            if accepted:
                await crm.accept_quote(quote_id=offered["quote_id"], accepted_by="Ada")
            undone = await crm.withdraw_renewal_quote(quote_id=offered["quote_id"], reason="rolled back")
            assert await crm.withdraw_renewal_quote(quote_id=offered["quote_id"], reason="again") == undone
        assert (undone["state"], undone["accepted_by"], undone["reason"]) == ("withdrawn", None, "rolled back")
        with pytest.raises(QuoteNotOpen, match=r"withdrawn .* can't be offered again by the same request"):
            await renew(shop, subscription_id, request_id=f"r/{accepted}")
    assert (await renew(shop, subscription_id, 24))["total_minor"] == 24 * 3990


async def test_a_renewal_makes_no_order_and_a_new_quote_is_no_renewal(shop: Shop) -> None:
    offered = await renew(shop, await shop.subscription())
    new = await shop.sent_quote()
    async with shop.begin() as db:
        await shop.crm(db).accept_quote(quote_id=offered["quote_id"], accepted_by="Ada")
        with pytest.raises(QuoteOfRenewal, match="a renewal is paid, not ordered"):
            await shop.sales(db).create_order_from_quote(quote_id=offered["quote_id"], tenant_id=TENANT)
        with pytest.raises(QuoteNotOpen, match=f"Quote {new} is no renewal"):
            await shop.crm(db).withdraw_renewal_quote(quote_id=new, reason="x")


async def test_a_subscription_whose_last_day_is_over_is_not_renewed(shop: Shop) -> None:
    subscription_id = await shop.subscription()
    shop.now = ENDS + timedelta(days=1)
    with pytest.raises(SubscriptionEnded, match="ended on 2028-03-02"):
        await renew(shop, subscription_id)


async def test_what_nobody_knows_is_not_guessed(shop: Shop) -> None:
    subscription_id = await shop.subscription(None)
    with pytest.raises(SubscriptionNotExtendable, match="without an offer and its price"):
        await renew(shop, subscription_id)
    with pytest.raises(SubscriptionUnknown):
        await renew(shop, 99)
    with pytest.raises(CustomerUnknown):
        await renew(shop, subscription_id, customer_id=9)
    with pytest.raises(InvalidRequest) as refused:
        await renew(shop, 0, 121, customer_id=True)
    assert [fault.field for fault in refused.value.faults] == ["customer_id", "subscription_id", "renewal_term"]
    assert await quotes_of(shop) == 0


async def test_a_renewal_is_for_its_own_customer_and_whole_periods(shop: Shop) -> None:
    subscription_id = await shop.subscription()
    async with shop.begin() as db:
        await shop.customers(db).register(name="Eve", email="eve@example.com", customer_id=7)
        await shop.offers(db).define(
            FIBRE, replace(FIBRE_TERMS, billing_period_months=6, price_minor=4990, active=False)
        )
    with pytest.raises(InvalidRequest, match=f"customer_id 7 is not the customer of subscription {subscription_id}"):
        await renew(shop, subscription_id, customer_id=7)
    with pytest.raises(InvalidRequest, match="renewal_term of 8 months is no multiple of the billing period"):
        await renew(shop, subscription_id, 8)
    offered = await renew(shop, subscription_id, 12)
    assert offered["total_minor"] == 2 * 3990, "what isn't sold any more goes on, and at the price that was agreed"
