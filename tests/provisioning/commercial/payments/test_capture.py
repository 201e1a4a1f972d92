"""Taking the money exactly once, whatever dies, hangs or says no; and giving it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments import (
    GatewayMissing,
    GatewayRefused,
    GatewayUnreachable,
    PaymentCapture,
    PaymentDeclined,
    PaymentMismatch,
    PaymentOutcomeUnknown,
    PaymentOver,
    PaymentUnknown,
    RefundAwaited,
    Settlements,
    payment_gateways,
)
from provisioning.commercial.payments.testing import Quirk
from provisioning.vault import SecretMissing
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.payments.conftest import IMPATIENCE_SECONDS, Shop


class Killed(BaseException):
    """The process is gone."""


def dying(shop: Shop, instant: str) -> PaymentCapture:
    """A capture whose process dies before or after one call of its gateway."""
    capture = shop.capture()
    gateway = capture._gateways["stripe"]
    when, _, name = instant.partition(" ")
    call: Callable[..., Awaitable[Any]] = getattr(gateway, name)

    async def killed(*words: Any, **named: Any) -> Any:
        if when == "after":
            await call(*words, **named)
        raise Killed

    setattr(gateway, name, killed)
    return capture


async def test_a_card_payment_is_captured_once_and_then_only_read(shop: Shop) -> None:
    payment_id = await shop.pay()
    captured = await shop.capture().capture(payment_id)
    (intent,) = shop.double.account.captured()
    assert captured == {
        "payment_id": payment_id,
        "state": "captured",
        "reference": intent["id"],
        "reason": None,
        "captured_at": NOW,
    }
    calls = len(shop.double.account.calls)
    assert await shop.capture().capture(payment_id) == captured == await shop.capture().probe(payment_id)
    assert len(shop.double.account.calls) == calls, "what is known is not asked for"
    assert intent["metadata"]["firstlight_payment"] == (await shop.row(payment_id)).idempotency_key
    assert await shop.attempts(payment_id) == [("capture", "captured")]


@pytest.mark.parametrize(
    "instant", ["before authorise", "after authorise", "before capture", "after capture"], ids=lambda name: name[:9]
)
async def test_whenever_the_process_dies_the_money_is_taken_once(any_shop: Shop, instant: str) -> None:
    payment_id = await any_shop.pay()
    with pytest.raises(Killed):
        await dying(any_shop, instant).capture(payment_id)
    assert await any_shop.state(payment_id) == "unknown", "that is what an operator sees meanwhile"
    assert await any_shop.attempts(payment_id) == [("capture", None)]
    found = await any_shop.capture().probe(payment_id)
    assert (found is not None) == (instant == "after capture")
    assert (await any_shop.capture().capture(payment_id))["state"] == "captured"
    assert len(any_shop.double.account.captured()) == 1
    assert len(any_shop.double.account.intents) == 1


async def test_a_commit_that_is_lost_after_the_money_was_taken_takes_no_more(shop: Shop) -> None:
    payment_id = await shop.pay()
    transactions = 0

    @asynccontextmanager
    async def loses_the_last_one() -> AsyncIterator[AsyncSession]:
        nonlocal transactions
        transactions += 1
        async with shop.begin() as db:
            yield db
            if transactions == 3:
                raise Killed

    with pytest.raises(Killed):
        await shop.capture(loses_the_last_one).capture(payment_id)
    assert (len(shop.double.account.captured()), await shop.state(payment_id)) == (1, "unknown")
    assert (await shop.capture().capture(payment_id))["state"] == "captured"
    assert len(shop.double.account.captured()) == 1


async def test_six_workers_at_once_take_the_money_once(any_shop: Shop) -> None:
    payment_id = await any_shop.pay()
    outcomes = await asyncio.gather(*(any_shop.capture().capture(payment_id) for _ in range(6)))
    assert {outcome["state"] for outcome in outcomes} == {"captured"}
    assert len(any_shop.double.account.captured()) == 1


async def test_a_time_out_after_the_money_was_taken_is_unknown_until_stripe_is_asked(shop: Shop) -> None:
    payment_id = await shop.pay()
    shop.double.account.misbehave("confirm", Quirk.HANG_AFTER_EFFECT)
    with pytest.raises(PaymentOutcomeUnknown, match=f"payment {payment_id} was taken is not known") as unknown:
        await shop.capture(patience_seconds=IMPATIENCE_SECONDS).capture(payment_id)
    assert unknown.value.transient
    assert await shop.state(payment_id) == "unknown"
    shop.double.account.forget_keys()
    assert (await shop.capture().capture(payment_id))["state"] == "captured"
    assert await shop.attempts(payment_id) == [("capture", "unknown"), ("capture", "captured")]
    assert len(shop.double.account.captured()) == 1


async def test_no_transaction_is_open_while_the_gateway_is_waited_for(shop: Shop) -> None:
    payment_id = await shop.pay()
    shop.double.account.misbehave("confirm", Quirk.HANG_BEFORE_EFFECT)
    waiting = asyncio.create_task(shop.capture().capture(payment_id))
    await shop.double.hung.wait()
    async with shop.begin() as db:  # on SQLite an open transaction anywhere would keep this one out
        await shop.cards(db).keep(customer_id=43, holder="cus_bob", method="pm_card_visa")
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await shop.state(payment_id) == "unknown"


async def test_a_declined_card_takes_nothing_and_another_attempt_may_follow(shop: Shop) -> None:
    await keep_card(shop, "pm_card_chargeDeclinedInsufficientFunds")
    first = await shop.pay(request_id="order/3/pay")
    for _ in range(2):
        with pytest.raises(PaymentDeclined, match=r"Your card has insufficient funds \(insufficient_funds\)") as said:
            await shop.capture().capture(first)
    assert not said.value.transient
    await keep_card(shop, "pm_card_visa")
    second = await shop.pay(request_id="order/3/pay")
    assert second != first, "the same request asks anew, since the first payment is over"
    assert (await shop.capture().capture(second))["state"] == "captured"
    assert (await shop.state(first), len(shop.double.account.captured())) == ("declined", 1)


async def test_a_card_stored_meanwhile_does_not_change_what_was_asked_for(shop: Shop) -> None:
    payment_id = await shop.pay()
    await keep_card(shop, "pm_card_chargeDeclined")
    assert (await shop.capture().capture(payment_id))["state"] == "captured"
    async with shop.begin() as db:
        with pytest.raises(SecretMissing):
            await shop.cards(db).of_payment(payment_id)


async def test_no_number_of_a_card_or_its_holder_stands_in_the_database_in_clear(shop: Shop, tmp_path: Path) -> None:
    payment_id = await shop.pay()
    await shop.capture().capture(payment_id)
    kept = await asyncio.to_thread(all_bytes, tmp_path)
    assert b"pi_00000001" in kept, "the look finds what is there"
    for secret in (b"pm_card_visa", b"cus_ada", b"secret_never_shown", b"sk_test"):
        assert secret not in kept


async def test_an_unreachable_gateway_leaves_the_payment_as_it_was(shop: Shop) -> None:
    payment_id = await shop.pay()
    nowhere = replace(shop.stripe(), url="http://127.0.0.1:9")
    capture = PaymentCapture(
        shop.begin,
        payment_gateways(shop.http, stripe=nowhere),
        tenant_id=TENANT,
        now=lambda: NOW,
        secrets=shop.vault,
    )
    with pytest.raises(GatewayUnreachable):
        await capture.capture(payment_id)
    assert (await shop.state(payment_id), await shop.attempts(payment_id)) == ("requested", [("capture", "nothing")])
    assert await shop.capture().probe(payment_id) is None
    shop.double.account.misbehave("confirm", Quirk.DROP_AFTER_EFFECT)
    with pytest.raises(PaymentOutcomeUnknown):
        await shop.capture().capture(payment_id)
    with pytest.raises(GatewayUnreachable):
        await capture.capture(payment_id)
    assert await shop.state(payment_id) == "unknown", "what an earlier attempt did is still not known"


async def test_a_gateway_that_refuses_or_is_not_there_is_told(shop: Shop) -> None:
    await keep_card(shop, "pm_gone")
    payment_id = await shop.pay()
    with pytest.raises(GatewayRefused, match="No such payment_method"):
        await shop.capture().capture(payment_id)
    assert (await shop.state(payment_id), await shop.attempts(payment_id)) == ("requested", [("capture", "refused")])
    manual_only = PaymentCapture(
        shop.begin, payment_gateways(shop.http, stripe=None), tenant_id=TENANT, now=lambda: NOW, secrets=shop.vault
    )
    with pytest.raises(GatewayMissing, match="stripe isn't set up"):
        await manual_only.capture(payment_id)
    with pytest.raises(PaymentUnknown):
        await shop.capture().capture(99)


async def test_another_amount_than_was_asked_for_is_never_a_success(shop: Shop) -> None:
    payment_id = await shop.pay()
    with pytest.raises(Killed):
        await dying(shop, "after capture").capture(payment_id)
    shop.double.account.captured()[0]["amount_received"] = 125
    for ask in (shop.capture().capture, shop.capture().probe):
        with pytest.raises(PaymentMismatch, match=r"1\.25 EUR was taken .* 12\.50 EUR was asked for"):
            await ask(payment_id)
    assert await shop.state(payment_id) == "unknown"


async def test_what_takes_time_is_awaited_and_found_when_asked_for(shop: Shop) -> None:
    await keep_card(shop, "pm_card_bypassPending")
    payment_id = await shop.pay()
    assert (await shop.capture().capture(payment_id))["state"] == "awaiting"
    assert (await shop.capture().capture(payment_id))["state"] == "awaiting"
    shop.double.account.settle(str((await shop.row(payment_id)).provider_ref), "succeeded")
    found = await shop.capture().probe(payment_id)
    assert found is not None and found["state"] == "captured"


# -- taking it back ----------------------------------------------------------------------------------------------------


async def test_a_captured_payment_is_refunded_once(shop: Shop) -> None:
    payment_id = await shop.pay()
    await shop.capture().capture(payment_id)
    shop.double.account.misbehave("refund", Quirk.DROP_AFTER_EFFECT)
    with pytest.raises(PaymentOutcomeUnknown, match="was refunded is not known"):
        await shop.capture().refund(payment_id, reason="order undone")
    assert await shop.state(payment_id) == "captured"
    shop.double.account.forget_keys()
    for _ in range(2):
        refunded = await shop.capture().refund(payment_id, reason="order undone")
        assert (refunded["state"], refunded["reason"]) == ("refunded", "order undone")
    assert len(shop.double.account.refunds) == 1
    with pytest.raises(PaymentOver, match=r"is refunded \(order undone\)"):
        await shop.capture().capture(payment_id)
    assert await shop.pay() != payment_id, "whoever got the money back may pay anew"


@pytest.mark.parametrize("quirk", [Quirk.DROP_AFTER_EFFECT, Quirk.DROP_BEFORE_EFFECT])
async def test_an_unknown_payment_is_taken_back_whatever_it_was(shop: Shop, quirk: Quirk) -> None:
    payment_id = await shop.pay()
    shop.double.account.misbehave("confirm", quirk)
    with pytest.raises(PaymentOutcomeUnknown):
        await shop.capture().capture(payment_id)
    back = await shop.capture().refund(payment_id, reason="order undone")
    was_taken = quirk is Quirk.DROP_AFTER_EFFECT
    assert back["state"] == ("refunded" if was_taken else "cancelled")
    assert [one["amount"] for one in shop.double.account.refunds] == ([1250] if was_taken else [])
    with pytest.raises(PaymentOver):
        await shop.capture().capture(payment_id)
    assert [one["status"] for one in shop.double.account.intents.values()] == (
        ["succeeded"] if was_taken else ["canceled"]
    )


async def test_a_declined_card_that_is_not_paid_by_any_more_is_let_go_at_its_gateway_once(any_shop: Shop) -> None:
    await keep_card(any_shop, "pm_card_chargeDeclinedInsufficientFunds")
    payment_id = await any_shop.pay()
    with pytest.raises(PaymentDeclined):
        await any_shop.capture().capture(payment_id)
    account = any_shop.double.account
    account.misbehave("cancel", Quirk.DROP_AFTER_EFFECT)
    with pytest.raises(PaymentOutcomeUnknown, match="was cancelled is not known"):
        await any_shop.capture().refund(payment_id, reason="another way to pay")
    account.forget_keys()
    for _ in range(2):
        back = await any_shop.capture().refund(payment_id, reason="another way to pay")
        assert (back["state"], "insufficient_funds" in str(back["reason"])) == ("declined", True)
    assert [intent["status"] for intent in account.intents.values()] == ["canceled"]
    assert [operation for operation, _ in account.calls].count("cancel") == 2
    assert (await any_shop.attempts(payment_id))[1:] == [("cancel", "unknown"), ("cancel", "cancelled")]


async def test_what_the_holder_of_a_declined_card_has_paid_after_all_goes_back(shop: Shop) -> None:
    await keep_card(shop, "pm_card_chargeDeclined")
    payment_id = await shop.pay()
    with pytest.raises(PaymentDeclined):
        await shop.capture().capture(payment_id)
    shop.double.account.settle(str((await shop.row(payment_id)).provider_ref), "succeeded")
    back = await shop.capture().refund(payment_id, reason="another way to pay")
    assert back["state"] == "refunded"
    assert [one["amount"] for one in shop.double.account.refunds] == [1250]


async def test_a_payment_taken_back_while_it_is_authorised_takes_nothing(shop: Shop) -> None:
    payment_id = await shop.pay()
    capture = shop.capture()
    gateway: Any = capture._gateways["stripe"]
    authorise = gateway.authorise

    async def authorise_slowly(*words: Any, **named: Any) -> Any:
        reference = await authorise(*words, **named)
        assert (await shop.capture().refund(payment_id, reason="order undone"))["state"] == "cancelled"
        return reference

    gateway.authorise = authorise_slowly
    with pytest.raises(PaymentOver):
        await capture.capture(payment_id)
    assert shop.double.account.captured() == []
    assert await shop.state(payment_id) == "cancelled"


async def test_by_invoice_a_person_says_that_it_came_and_that_it_went_back(shop: Shop) -> None:
    payment_id = await shop.pay(method="invoice")
    assert (await shop.capture().capture(payment_id))["state"] == "awaiting"
    async with shop.begin() as db:
        settlements = Settlements(db, tenant_id=TENANT, now=lambda: NOW)
        await settlements.record_settlement(payment_id=payment_id, reference="statement 7", by="nora")
    with pytest.raises(RefundAwaited, match=r"12\.50 EUR of payment .*firstlight payments refunded"):
        await shop.capture().refund(payment_id, reason="order undone")
    assert await shop.state(payment_id) == "captured"
    async with shop.begin() as db:
        settlements = Settlements(db, tenant_id=TENANT, now=lambda: NOW)
        await settlements.record_refund(payment_id=payment_id, reference="transfer 9", by="nora")
    back = await shop.capture().refund(payment_id, reason="order undone")
    assert (back["state"], back["reason"]) == ("refunded", "order undone; paid back by nora: transfer 9")


@pytest.mark.parametrize("captured_before", [False, True])
async def test_an_invoice_that_nobody_has_paid_is_cancelled(shop: Shop, captured_before: bool) -> None:
    payment_id = await shop.pay(method="invoice")
    if captured_before:
        await shop.capture().capture(payment_id)
    back = await shop.capture().refund(payment_id, reason="order undone")
    assert (back["state"], back["reason"]) == ("cancelled", "order undone")
    assert await shop.capture().refund(payment_id, reason="again") == back


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("firstlight.db*"))


async def keep_card(shop: Shop, card: str) -> None:
    async with shop.begin() as db:
        await shop.cards(db).keep(customer_id=42, holder="cus_ada", method=card)
