"""Asking for payments: one live payment an order or renewal, its exact amount, and no card number anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from provisioning.commercial import BillingService
from provisioning.commercial.facts import OrderFacts, QuoteFacts
from provisioning.commercial.payments import NothingToPay, PaymentStands, PaymentUnknown, PaymentWithGateway
from provisioning.commercial.payments.tables import Payment
from provisioning.errors import InvalidRequest, RequestConflict
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.payments.conftest import Shop

TOTAL = Decimal("12.50")
RENEWAL = QuoteFacts(8, 42, 5, 9900, "EUR", "accepted", 12)


async def asked(shop: Shop, **changed: Any) -> dict[str, Any]:
    words: dict[str, Any] = {"order_id": 3, "amount": TOTAL, "payment_method": "invoice"} | changed
    async with shop.begin() as db:
        return dict(await shop.billing(db).process_payment(**words))


async def renewed(shop: Shop, **changed: Any) -> dict[str, Any]:
    words: dict[str, Any] = {"customer_id": 42, "quote_id": 8} | changed
    async with shop.begin() as db:
        return dict(await shop.billing(db).process_renewal_payment(**words))


async def test_a_payment_is_asked_for_with_the_orders_total(shop: Shop) -> None:
    payment = await asked(shop)
    key = payment.pop("idempotency_key")
    assert key.startswith("payment/north/")
    assert len(key.rpartition("/")[2]) == 32, "two databases never share a key"
    assert payment == {
        "payment_id": payment["payment_id"],
        "order_id": 3,
        "quote_id": None,
        "customer_id": 42,
        "amount": TOTAL,
        "amount_minor": 1250,
        "currency": "EUR",
        "payment_method": "invoice",
        "provider": "manual",
        "state": "requested",
    }


@pytest.mark.parametrize("request_id", [None, "order/3/pay"])
async def test_asked_again_it_is_the_same_payment(shop: Shop, request_id: str | None) -> None:
    assert await asked(shop, request_id=request_id) == await asked(shop, request_id=request_id)


async def test_askers_at_the_same_moment_get_one_payment(any_shop: Shop) -> None:
    payments = await asyncio.gather(*(asked(any_shop, request_id="order/3/pay") for _ in range(6)))
    assert len({payment["payment_id"] for payment in payments}) == 1


async def test_the_same_request_for_another_order_and_another_way_to_pay_are_conflicts(shop: Shop) -> None:
    shop.sold.orders[4] = replace(shop.sold.orders[3], order_id=4)
    first = await asked(shop, request_id="a")
    with pytest.raises(RequestConflict, match=f"Request a already made payment {first['payment_id']}"):
        await asked(shop, order_id=4, request_id="a")
    with pytest.raises(PaymentStands, match=r"of order 3 \(invoice\) is requested; take that one back"):
        await asked(shop, payment_method="cash")


async def test_all_faults_are_named_at_once_and_no_number_of_a_card_is_repeated(shop: Shop) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await asked(shop, amount=Decimal("12.51"), payment_method="4242424242424242")
    assert "4242" not in str(refused.value)
    assert [(fault.field, fault.reason) for fault in refused.value.faults] == [
        ("payment_method", "is none of invoice, cash, bank, card"),
        ("amount", "is 12.51, but order 3 comes to 12.50 EUR"),
    ]
    for amount in (12.5, Decimal("NaN"), Decimal("sNaN")):
        with pytest.raises(InvalidRequest, match="amount is not a decimal amount"):
            await asked(shop, amount=amount)
    with pytest.raises(InvalidRequest, match="order_id names no order: 9"):
        await asked(shop, order_id=9)
    async with shop.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Payment)) == 0


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"payment_terms": "postpaid"}, "it is paid after delivery, by invoice"),
        ({"state": "cancelled"}, "it is cancelled"),
        ({"state": "rejected"}, "it is rejected"),
        ({"total_minor": 0}, r"it comes to 0\.00 EUR"),
    ],
)
async def test_an_order_that_is_not_paid_in_advance_or_not_at_all_is_refused(
    shop: Shop, changed: dict[str, Any], why: str
) -> None:
    order: OrderFacts = replace(shop.sold.orders[3], **changed)
    shop.sold.orders[3] = order
    with pytest.raises(NothingToPay, match=f"No payment is taken for order 3: {why}"):
        await asked(shop, amount=Decimal(order.total_minor) / 100)


async def test_a_card_needs_a_gateway_and_a_card_on_file(shop: Shop) -> None:
    shop.sold.orders[4] = replace(shop.sold.orders[3], order_id=4, customer_id=43)
    with pytest.raises(InvalidRequest, match="customer 43 has no card on file"):
        await asked(shop, order_id=4, payment_method="card")
    async with shop.begin() as db:
        without_gateway = BillingService(db, tenant_id=TENANT, now=lambda: NOW, sales=shop.sold)
        with pytest.raises(InvalidRequest, match="no gateway that takes cards is set up"):
            await without_gateway.process_payment(order_id=3, amount=TOTAL, payment_method="card")
    assert (await asked(shop, payment_method="card"))["provider"] == "stripe"


async def test_a_cards_own_number_is_never_kept_nor_repeated(shop: Shop) -> None:
    async with shop.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await shop.cards(db).keep(customer_id=43, holder="Ada Byron", method="4242424242424242")
    assert [fault.field for fault in refused.value.faults] == ["holder", "method"]
    assert "4242" not in str(refused.value)


async def test_a_renewal_is_paid_by_the_card_on_file_else_by_invoice(shop: Shop) -> None:
    shop.sold.quotes = {8: RENEWAL, 9: replace(RENEWAL, quote_id=9, customer_id=43)}
    by_card, by_invoice = await renewed(shop), await renewed(shop, customer_id=43, quote_id=9)
    assert (by_card["payment_method"], by_card["amount"], by_card["quote_id"]) == ("card", Decimal("99.00"), 8)
    assert (by_invoice["payment_method"], by_invoice["state"]) == ("invoice", "requested")
    async with shop.begin() as db:
        await shop.cards(db).keep(customer_id=43, holder="cus_bob", method="pm_card_visa")
    assert await renewed(shop, customer_id=43, quote_id=9) == by_invoice, "it stands as it was asked for"


async def test_askers_for_one_renewal_at_the_same_moment_get_one_payment(any_shop: Shop) -> None:
    any_shop.sold.quotes = {8: RENEWAL, 9: replace(RENEWAL, quote_id=9)}
    payments = await asyncio.gather(*(renewed(any_shop, request_id="renewal/8/pay") for _ in range(6)))
    assert {(payment["payment_id"], payment["quote_id"]) for payment in payments} == {(payments[0]["payment_id"], 8)}
    with pytest.raises(RequestConflict, match=f"already made payment {payments[0]['payment_id']}"):
        await renewed(any_shop, quote_id=9, request_id="renewal/8/pay")
    async with any_shop.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Payment)) == 1


@pytest.mark.parametrize("state", ["sent", "expired", "withdrawn"])
async def test_only_an_accepted_renewal_is_charged(shop: Shop, state: str) -> None:
    shop.sold.quotes[8] = replace(RENEWAL, state=state)
    with pytest.raises(NothingToPay, match=f"quote 8: it is {state}, and only an accepted renewal is paid"):
        await renewed(shop)


async def test_somebody_elses_quote_and_one_that_renews_nothing_are_faults(shop: Shop) -> None:
    shop.sold.quotes = {8: RENEWAL, 9: replace(RENEWAL, quote_id=9, subscription_id=None)}
    for quote_id, customer_id, words in (
        (8, 43, "names no quote of customer 43"),
        (7, 42, "names no quote of customer 42"),
        (9, 42, "renews nothing"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            await renewed(shop, quote_id=quote_id, customer_id=customer_id)


async def test_what_nobody_was_told_of_is_voided_and_asked_for_anew(shop: Shop) -> None:
    payment = await asked(shop, payment_method="card", request_id="a")
    async with shop.begin() as db:
        voided = await shop.billing(db).void_payment(payment_id=payment["payment_id"], reason="order undone")
        assert await shop.billing(db).void_payment(payment_id=payment["payment_id"], reason="again") == voided
    assert (voided["state"], voided["reason"]) == ("cancelled", "order undone")
    anew = await asked(shop, payment_method="card", request_id="a")
    assert (anew["payment_id"] != payment["payment_id"], anew["state"]) == (True, "requested")
    await shop.capture().capture(anew["payment_id"])
    async with shop.begin() as db:
        with pytest.raises(PaymentWithGateway, match="is captured at its gateway"):
            await shop.billing(db).void_payment(payment_id=anew["payment_id"], reason="order undone")
        with pytest.raises(PaymentUnknown):
            await shop.billing(db).void_payment(payment_id=99, reason="order undone")


async def test_the_database_itself_refuses_a_second_live_payment(any_shop: Shop) -> None:
    await asked(any_shop)
    with pytest.raises(IntegrityError):
        async with any_shop.begin() as db:
            db.add(
                Payment(
                    tenant_id=TENANT,
                    order_id=3,
                    customer_id=42,
                    amount_minor=1,
                    currency="EUR",
                    method="cash",
                    provider="manual",
                    state="requested",
                    idempotency_key="another",
                    requested_at=NOW,
                )
            )
