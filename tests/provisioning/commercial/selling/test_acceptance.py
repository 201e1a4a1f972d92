"""A customer's yes: the first one stands, too late is too late, and it can be taken back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from provisioning.commercial import (
    LineWish,
    QuoteAcceptanceWithdrawn,
    QuoteExpired,
    QuoteNotOpen,
    QuoteOrdered,
    QuoteUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.shop import ADA, FIBRE, IN_TIME, Shop
from workflows.answers import AcceptedQuote


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


async def accept(shop: Shop, quote_id: int, by: str = "Ada", request_id: str | None = None) -> AcceptedQuote:
    async with shop.begin() as db:
        return await shop.crm(db).accept_quote(quote_id=quote_id, accepted_by=by, request_id=request_id)


async def take_back(shop: Shop, quote_id: int) -> dict[str, Any]:
    async with shop.begin() as db:
        return dict(await shop.crm(db).withdraw_acceptance(quote_id=quote_id, reason="rolled back"))


async def test_accepting_twice_is_the_same_acceptance_and_the_first_stands(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.sent_quote()
    accepted = await accept(shop, quote_id)
    assert accepted == {
        "quote_id": quote_id,
        "customer_id": ADA,
        "state": "accepted",
        "accepted_at": NOW,
        "accepted_by": "Ada",
        "total_amount": Decimal("88.90"),
        "total_minor": 8890,
        "currency": "EUR",
        "payment_terms": "postpaid",
    }
    assert str(accepted["total_amount"]) == "88.90"
    shop.now = IN_TIME + timedelta(days=1)
    assert await accept(shop, quote_id, "Eve", "r/2") == accepted, "also when its time is over by now"


async def test_acceptances_at_once_are_one(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.sent_quote()
    found = await asyncio.gather(*(accept(shop, quote_id, f"person {n}", f"r/{n}") for n in range(5)))
    assert len({one["accepted_by"] for one in found}) == 1
    async with begin() as db:
        quote = await shop.quotes(db).quote(quote_id)
    assert (quote["accepted_by"], quote["version"]) == (found[0]["accepted_by"], 3)


async def test_too_late_is_refused_and_the_last_moment_is_not(shop: Shop) -> None:
    late, last = await shop.sent_quote(), await shop.sent_quote()
    shop.now = IN_TIME
    assert (await accept(shop, last))["accepted_at"] == IN_TIME
    shop.now = IN_TIME + timedelta(microseconds=1)
    for _ in range(2):
        with pytest.raises(QuoteExpired, match=rf"Quote {late} was valid until 2026-04-01 09:00 UTC"):
            await accept(shop, late)
        async with shop.begin() as db:
            await shop.quotes(db).expire_overdue()


async def test_drafts_withdrawn_and_unknown_quotes_are_refused(shop: Shop) -> None:
    gone = await shop.sent_quote()
    async with shop.begin() as db:
        await shop.quotes(db).withdraw(quote_id=gone, reason="too dear")
        draft = await shop.quotes(db).draft(customer_id=ADA, lines=[LineWish(FIBRE)], valid_until=IN_TIME)
    with pytest.raises(QuoteNotOpen, match=rf"Quote {gone} is withdrawn \(too dear\) and can't be accepted"):
        await accept(shop, gone)
    with pytest.raises(QuoteNotOpen, match="is draft and can't be accepted"):
        await accept(shop, draft["quote_id"])
    with pytest.raises(QuoteUnknown, match="There is no quote 99"):
        await accept(shop, 99)
    with pytest.raises(InvalidRequest, match="quote_id is not a positive whole number; accepted_by is missing"):
        await accept(shop, 0, " ")


async def test_a_request_says_one_thing_about_one_quote(shop: Shop) -> None:
    first, second = await shop.sent_quote(), await shop.sent_quote()
    accepted = await accept(shop, first, request_id="r")
    assert await accept(shop, first, request_id="r") == accepted
    with pytest.raises(RequestConflict, match=f"r already made an acceptance of quote {first}"):
        await accept(shop, first, "Eve", request_id="r")
    with pytest.raises(RequestConflict):
        await accept(shop, second, request_id="r")


async def test_one_request_for_two_quotes_at_once_accepts_one(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quotes = [await shop.sent_quote(), await shop.sent_quote()]
    found = await asyncio.gather(*(accept(shop, one, request_id="r") for one in quotes), return_exceptions=True)
    assert sorted(type(one).__name__ for one in found) == ["RequestConflict", "dict"]


async def test_undo_opens_the_quote_again_and_the_same_request_is_not_repeated(shop: Shop) -> None:
    quote_id = await shop.sent_quote()
    await accept(shop, quote_id, request_id="r")
    undone = await take_back(shop, quote_id)
    assert (undone["state"], undone["accepted_by"], undone["reason"]) == ("sent", None, "rolled back")
    assert await take_back(shop, quote_id) == undone
    with pytest.raises(QuoteAcceptanceWithdrawn, match=r"withdrawn \(rolled back\)"):
        await accept(shop, quote_id, request_id="r")
    assert (await accept(shop, quote_id, "Eve", "r/2"))["accepted_by"] == "Eve"


async def test_undo_of_an_acceptance_whose_time_is_over_leaves_it_expired(shop: Shop) -> None:
    quote_id = await shop.accepted_quote()
    shop.now = IN_TIME + timedelta(days=1)
    undone = await take_back(shop, quote_id)
    assert undone["state"] == "expired"
    assert undone["reason"].endswith("an acceptance was withdrawn: rolled back")
    with pytest.raises(QuoteExpired):
        await accept(shop, quote_id)


async def test_undo_waits_for_the_order_to_be_cancelled(shop: Shop) -> None:
    quote_id = await shop.accepted_quote()
    async with shop.begin() as db:
        order = await shop.sales(db).create_order_from_quote(quote_id=quote_id, tenant_id=TENANT)
    with pytest.raises(QuoteOrdered, match=rf"become order {order['order_id']} \(acknowledged\); cancel the order"):
        await take_back(shop, quote_id)
    async with shop.begin() as db:
        await shop.sales(db).cancel_order(order_id=order["order_id"], reason="rolled back")
    assert (await take_back(shop, quote_id))["state"] == "sent"
