"""Quotes: totals are their lines, prices stay as they were quoted, and a state says what may still be done."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from provisioning.commercial import CustomerUnknown, LineWish, QuoteChanged, QuoteExpired, QuoteNotOpen, QuoteUnknown
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.money import LARGEST_AMOUNT_MINOR
from provisioning.commercial.selling.offers import OfferRecord
from provisioning.commercial.selling.selling_tables import Quote, QuoteLine
from provisioning.commercial.selling.sold_lines import MOST_LINES, price_lines, total_of
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.intake import Faults
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.shop import ADA, FIBRE, FIBRE_TERMS, IN_TIME, MESH, YEN, YEN_TERMS, Shop


@pytest.fixture
async def shop(quick: Begin) -> Shop:
    return await Shop(quick).open()


WISH: dict[str, Any] = {
    "customer_id": ADA,
    "lines": (LineWish(FIBRE), LineWish(description="Cable in the cellar, metres", quantity=12, unit_price_minor=250)),
    "valid_until": IN_TIME,
}


async def test_a_quote_has_the_offers_prices_and_its_total_is_its_lines(begin: Begin) -> None:
    shop = await Shop(begin).open()
    async with begin() as db:
        drafted = await shop.quotes(db).draft(**WISH)
    async with begin() as db:
        assert await shop.quotes(db).quote(drafted["quote_id"]) == drafted
    assert [tuple(line.values()) for line in drafted["lines"]] == [
        (FIBRE, "Fibre 300", 1, 3990, "recurring", 3990),
        (FIBRE, "Setup: Fibre 300", 1, 4900, "once", 4900),
        (None, "Cable in the cellar, metres", 12, 250, "once", 3000),
    ]
    assert (drafted["total_minor"], drafted["currency"], drafted["payment_terms"]) == (11890, "EUR", "postpaid")
    assert (drafted["state"], drafted["version"], drafted["valid_until"]) == ("draft", 1, IN_TIME)
    assert (drafted["kind"], drafted["subscription_id"], drafted["drafted_at"]) == ("new", None, NOW)


async def test_a_price_may_be_agreed_and_terms_may_be_said(shop: Shop) -> None:
    async with shop.begin() as db:
        quote = await shop.quotes(db).draft(
            customer_id=ADA,
            lines=[LineWish(MESH, quantity=3, unit_price_minor=500, description="Mesh, as agreed"), LineWish(FIBRE)],
            valid_until=IN_TIME,
            payment_terms="prepaid",
            currency="EUR",
        )
    assert quote["lines"][0]["description"] == "Mesh, as agreed"
    assert (quote["lines"][0]["amount_minor"], quote["total_minor"]) == (1500, 1500 + 3990 + 4900)
    assert quote["payment_terms"] == "prepaid"


async def test_a_quote_keeps_its_prices_and_the_same_request_is_the_same_quote(shop: Shop) -> None:
    async with shop.begin() as db:
        first = await shop.quotes(db).draft(**WISH, request_id="crm/1")
        await shop.offers(db).define(FIBRE, replace(FIBRE_TERMS, price_minor=9990, active=False))
        shop.now = IN_TIME + timedelta(days=1)
        assert await shop.quotes(db).draft(**WISH, request_id="crm/1") == first
        with pytest.raises(RequestConflict, match=f"crm/1 already made quote {first['quote_id']}"):
            await shop.quotes(db).draft(**WISH | {"lines": (LineWish(FIBRE, 2),)}, request_id="crm/1")


async def test_the_same_request_at_the_same_moment_is_one_quote(begin: Begin) -> None:
    shop = await Shop(begin).open()

    async def draft() -> int:
        async with begin() as db:
            return (await shop.quotes(db).draft(**WISH, request_id="crm/1"))["quote_id"]

    assert len(set(await asyncio.gather(*(draft() for _ in range(5))))) == 1
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(QuoteLine)) == 3


async def test_all_faults_of_a_quote_are_named_at_once(shop: Shop) -> None:
    async with shop.begin() as db:
        await shop.offers(db).define(YEN, YEN_TERMS)
        await shop.offers(db).define(9, replace(FIBRE_TERMS, active=False))
        with pytest.raises(InvalidRequest) as refused:
            await shop.quotes(db).draft(
                customer_id=0,
                lines=[
                    LineWish(FIBRE, quantity=0),
                    LineWish(MESH),
                    LineWish(YEN, charge="once"),
                    LineWish(9),
                    LineWish(77),
                    LineWish(description=" ", charge=cast(Any, "twice")),
                    LineWish(description="x", unit_price_minor=1, quantity=10**6),
                ],
                valid_until=NOW,
            )
        assert await db.scalar(select(func.count()).select_from(Quote)) == 0
    found = {fault.field: fault.reason for fault in refused.value.faults}
    assert found["lines.3.offer_id"].startswith("Offer 9 (Fibre 300) isn't sold any more")
    assert found["lines.4.offer_id"].startswith("There is no offer 77")
    assert found["currency"] == "differs from offer to offer: EUR, JPY"
    assert found["payment_terms"] == "differs from offer to offer: say which it is"
    assert set(found) - {"lines.3.offer_id", "lines.4.offer_id", "currency", "payment_terms"} == {
        "customer_id",
        "valid_until",
        "lines.0.quantity",
        "lines.2.charge",
        "lines.5.description",
        "lines.5.unit_price_minor",
        "lines.5.charge",
        "lines.6.quantity",
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lines": ()}, "lines are 0; a quote has 1 to 100"),
        ({"lines": (LineWish(FIBRE),) * (MOST_LINES + 1)}, "lines are 101"),
        ({"lines": (LineWish(description="x", unit_price_minor=1),)}, "currency is missing; payment_terms is missing"),
        ({"currency": "USD"}, "currency is USD, but there are offers in EUR"),
        ({"currency": "DEM"}, "currency is no currency of ISO 4217: DEM"),
        ({"payment_terms": "barter"}, "payment_terms is neither prepaid nor postpaid: barter"),
        ({"valid_until": datetime(2026, 4, 1)}, "valid_until has no time zone"),  # noqa: DTZ001 - the fault under test
        (
            {"lines": (LineWish(FIBRE, unit_price_minor=LARGEST_AMOUNT_MINOR, quantity=2),)},
            "lines come to more than any bill: EUR 20000000000098.00",
        ),
    ],
)
async def test_what_no_quote_can_say_is_refused(shop: Shop, changes: dict[str, Any], told: str) -> None:
    async with shop.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await shop.quotes(db).draft(**WISH | changes)
    assert told in refused.value.message


async def test_of_an_offer_that_is_not_sold_only_that_is_told_and_not_what_it_would_have_said(shop: Shop) -> None:
    async with shop.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await shop.quotes(db).draft(**WISH | {"lines": (LineWish(77),)})
    assert [fault.field for fault in refused.value.faults] == ["lines.0.offer_id"]


async def test_a_quote_for_nobody_is_refused(shop: Shop) -> None:
    async with shop.begin() as db:
        with pytest.raises(CustomerUnknown):
            await shop.quotes(db).draft(**WISH | {"customer_id": 9})
        with pytest.raises(InvalidRequest, match=r"lines are 0.* customer_id Customer 9 is not registered"):
            await shop.quotes(db).draft(**WISH | {"customer_id": 9, "lines": ()})
        with pytest.raises(QuoteUnknown):
            await shop.quotes(db).quote(9)


async def test_a_quote_is_sent_once_and_withdrawn_once(shop: Shop) -> None:
    async with shop.begin() as db:
        quotes = shop.quotes(db)
        quote_id = (await quotes.draft(**WISH))["quote_id"]
        sent = await quotes.send(quote_id=quote_id, version=1)
        assert (sent["state"], sent["sent_at"], sent["version"]) == ("sent", NOW, 2)
        assert await quotes.send(quote_id=quote_id) == sent
        with pytest.raises(QuoteChanged, match="version 2, yours is 1"):
            await quotes.withdraw(quote_id=quote_id, reason="typo", version=1)
        gone = await quotes.withdraw(quote_id=quote_id, reason="typo", version=2)
        assert (gone["state"], gone["reason"], gone["version"]) == ("withdrawn", "typo", 3)
        assert await quotes.withdraw(quote_id=quote_id, reason="other") == gone
        with pytest.raises(QuoteNotOpen, match=rf"Quote {quote_id} is withdrawn \(typo\) and can't be sent"):
            await quotes.send(quote_id=quote_id)


async def test_an_accepted_quote_is_not_withdrawn(shop: Shop) -> None:
    quote_id = await shop.accepted_quote()
    async with shop.begin() as db:
        with pytest.raises(QuoteNotOpen, match="is accepted and can't be withdrawn"):
            await shop.quotes(db).withdraw(quote_id=quote_id, reason="x")


async def test_time_ends_drafts_and_sent_quotes_and_nothing_else(begin: Begin) -> None:
    shop = await Shop(begin).open()
    sent, accepted = await shop.sent_quote(), await shop.accepted_quote()
    async with begin() as db:
        draft = (await shop.quotes(db).draft(**WISH))["quote_id"]
        later = await shop.quotes(db).draft(**WISH | {"valid_until": IN_TIME + timedelta(days=9)})
    shop.now = IN_TIME
    async with begin() as db:
        assert await shop.quotes(db).expire_overdue() == [], "until then includes that moment"
    shop.now = IN_TIME + timedelta(seconds=1)
    async with begin() as db:
        quotes = shop.quotes(db)
        with pytest.raises(QuoteExpired, match="was valid until 2026-04-01 09:00 UTC"):
            await quotes.send(quote_id=draft)
        assert await quotes.expire_overdue() == sorted([sent, draft])
        assert await quotes.expire_overdue() == []
        states = {quote["quote_id"]: quote["state"] for quote in await quotes.quotes()}
    assert states == {sent: "expired", draft: "expired", accepted: "accepted", later["quote_id"]: "draft"}


async def test_quotes_are_listed_newest_first_a_page_at_a_time(shop: Shop) -> None:
    numbers = [await shop.sent_quote() for _ in range(4)]
    async with shop.begin() as db:
        quotes = shop.quotes(db)
        await quotes.withdraw(quote_id=numbers[1], reason="x")
        first = await quotes.quotes(limit=3)
        assert [quote["quote_id"] for quote in first] == numbers[:0:-1]
        assert [q["quote_id"] for q in await quotes.quotes(before_id=first[-1]["quote_id"])] == numbers[:1]
        assert [q["quote_id"] for q in await quotes.quotes(state="withdrawn", customer_id=ADA)] == [numbers[1]]
        assert await quotes.quotes(customer_id=9) == []


async def test_the_database_itself_refuses_a_line_that_does_not_multiply(begin: Begin) -> None:
    shop = await Shop(begin).open()
    quote_id = await shop.sent_quote()
    with pytest.raises(IntegrityError):
        async with begin() as db:
            db.add(
                QuoteLine(
                    tenant_id=TENANT,
                    quote_id=quote_id,
                    position=9,
                    description="x",
                    quantity=2,
                    unit_price_minor=100,
                    charge="once",
                    amount_minor=100,
                )
            )


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 10**7), st.integers(0, 10**5)), min_size=1, max_size=8))
@settings(max_examples=60)
def test_a_total_is_the_sum_of_what_every_line_says(lines: list[tuple[int, int, int]]) -> None:
    offers = {
        number: OfferRecord(
            offer_id=number,
            title="x",
            plan=None,
            price_minor=price,
            currency="EUR",
            billing_period_months=1,
            setup_fee_minor=fee,
            term_months=12,
            license_template_id=None,
            payment_terms="prepaid",
            active=True,
        )
        for number, (_, price, fee) in enumerate(lines, start=1)
    }
    faults = Faults("The quote")
    priced = price_lines([LineWish(n, quantity) for n, (quantity, _, _) in enumerate(lines, start=1)], offers, faults)
    faults.refuse_if_any()
    assert total_of(priced, "EUR", faults) == sum(quantity * (price + fee) for quantity, price, fee in lines)
    assert all(line.unit_price_minor for line in priced if line.charge == "once")
