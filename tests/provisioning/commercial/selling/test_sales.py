"""Orders: one of each accepted quote, with the quote's lines, and an end that stays."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from provisioning.commercial import (
    LineWish,
    OrderCancelled,
    OrderOver,
    OrderUnknown,
    QuoteNotAccepted,
    QuoteUnknown,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.selling.selling_tables import SalesOrder, SalesOrderLine
from provisioning.errors import InvalidRequest, RequestConflict, TenantMismatch
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.shop import ADA, YEN, YEN_TERMS, Shop
from workflows.answers import OrderFromQuote


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


async def order(shop: Shop, quote_id: int, request_id: str | None = None) -> OrderFromQuote:
    async with shop.begin() as db:
        return await shop.sales(db).create_order_from_quote(quote_id=quote_id, tenant_id=TENANT, request_id=request_id)


async def test_an_accepted_quote_becomes_one_order_with_its_lines(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.accepted_quote()
    made = await order(shop, quote_id, "quote/1/order")
    assert made == {
        "order_id": made["order_id"],
        "quote_id": quote_id,
        "customer_id": ADA,
        "customer_email": "ada@example.com",
        "total_amount": Decimal("88.90"),
        "total_minor": 8890,
        "currency": "EUR",
        "state": "acknowledged",
        "payment_terms": "postpaid",
    }
    assert await order(shop, quote_id, "quote/1/order") == made
    assert await order(shop, quote_id) == made
    async with begin() as db:
        kept = await shop.sales(db).order(made["order_id"])
        assert kept["lines"] == (await shop.quotes(db).quote(quote_id))["lines"]
        lines = await shop.sales(db).order_lines(order_id=made["order_id"])
        assert [tuple(line.values()) for line in lines] == [
            (1, "Fibre 300", 1, 3990, "recurring", 3990),
            (1, "Setup: Fibre 300", 1, 4900, "once", 4900),
        ]
    assert (kept["ordered_at"], kept["ended_at"]) == (NOW, None)


async def test_a_total_has_its_currencys_own_decimals(shop: Shop) -> None:
    async with shop.begin() as db:
        await shop.offers(db).define(YEN, YEN_TERMS)
    made = await order(shop, await shop.accepted_quote(LineWish(YEN, 2)))
    assert (str(made["total_amount"]), made["total_minor"], made["currency"]) == ("9960", 9960, "JPY")


async def test_orders_of_one_quote_at_once_are_one_order(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.accepted_quote()
    found = await asyncio.gather(*(order(shop, quote_id, f"r/{n}") for n in range(5)))
    assert len({one["order_id"] for one in found}) == 1
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(SalesOrder)) == 1
        assert await db.scalar(select(func.count()).select_from(SalesOrderLine)) == 2


async def test_without_acceptance_there_is_no_order(shop: Shop) -> None:
    quote_id = await shop.sent_quote()
    with pytest.raises(QuoteNotAccepted, match=f"Quote {quote_id} is sent; only an accepted quote"):
        await order(shop, quote_id)
    with pytest.raises(QuoteUnknown):
        await order(shop, 99)
    with pytest.raises(InvalidRequest, match="quote_id is not a positive whole number"):
        await order(shop, -1)
    async with shop.begin() as db:
        with pytest.raises(TenantMismatch):
            await shop.sales(db).create_order_from_quote(quote_id=quote_id, tenant_id="south")


async def test_a_request_makes_one_order(shop: Shop) -> None:
    first, second = await shop.accepted_quote(), await shop.accepted_quote()
    made = await order(shop, first, "r")
    with pytest.raises(RequestConflict, match=f"r already made order {made['order_id']}"):
        await order(shop, second, "r")


async def test_undo_keeps_the_order_as_history_and_frees_its_quote(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.accepted_quote()
    made = await order(shop, quote_id, "r")
    async with begin() as db:
        sales = shop.sales(db)
        undone = await sales.cancel_order(order_id=made["order_id"], reason="rolled back")
        assert await sales.cancel_order(order_id=made["order_id"], reason="again") == undone
    assert (undone["state"], undone["reason"], undone["ended_at"]) == ("cancelled", "rolled back", NOW)
    with pytest.raises(OrderCancelled, match=rf"Order {made['order_id']}.*is cancelled \(rolled back\)"):
        await order(shop, quote_id, "r")
    anew = await order(shop, quote_id, "r/2")
    assert anew["order_id"] != made["order_id"]
    assert anew["total_minor"] == made["total_minor"]


async def test_an_order_moves_forward_and_ends_once(shop: Shop) -> None:
    done = (await order(shop, await shop.accepted_quote()))["order_id"]
    broken = (await order(shop, await shop.accepted_quote()))["order_id"]
    async with shop.begin() as db:
        sales = shop.sales(db)
        assert (await sales.begin_order(order_id=done))["state"] == "inProgress"
        assert (await sales.begin_order(order_id=done))["ended_at"] is None
        finished = await sales.complete_order(order_id=done)
        assert (finished["state"], finished["ended_at"]) == ("completed", NOW)
        assert await sales.complete_order(order_id=done) == finished
        failed = await sales.fail_order(order_id=broken, reason="duct collapsed")
        assert await sales.cancel_order(order_id=broken, reason="rolled back") == failed
        for act in (
            sales.cancel_order(order_id=done, reason="x"),
            sales.begin_order(order_id=done),
            sales.complete_order(order_id=broken),
        ):
            with pytest.raises(OrderOver, match="and can't become"):
                await act
        with pytest.raises(InvalidRequest, match="reason is missing"):
            await sales.fail_order(order_id=broken, reason="")
        for unknown in (sales.order(99), sales.begin_order(order_id=99)):
            with pytest.raises(OrderUnknown):
                await unknown


async def test_orders_are_listed_newest_first_a_page_at_a_time(shop: Shop) -> None:
    numbers = [(await order(shop, await shop.accepted_quote()))["order_id"] for _ in range(4)]
    async with shop.begin() as db:
        sales = shop.sales(db)
        await sales.begin_order(order_id=numbers[2])
        first = await sales.orders(limit=3)
        assert [one["order_id"] for one in first] == numbers[:0:-1]
        assert [one["order_id"] for one in await sales.orders(before_id=first[-1]["order_id"])] == numbers[:1]
        assert [one["order_id"] for one in await sales.orders(state="inProgress", customer_id=ADA)] == [numbers[2]]
        assert list(await sales.orders(customer_id=9)) == []
