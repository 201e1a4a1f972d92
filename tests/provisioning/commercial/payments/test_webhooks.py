"""What Stripe tells by itself: verified, heard once, and never leading a payment back."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from provisioning.commercial.payments import (
    GatewayEvent,
    Settlements,
    StripeSettings,
    WebhookReader,
    WebhookRefused,
    webhook_readers,
)
from provisioning.commercial.payments.ports import Awaiting, Captured, Declined
from provisioning.commercial.payments.tables import PaymentEvent
from provisioning.commercial.payments.testing import StripeAccount, Webhook
from tests.provisioning.commercial.conftest import NOW, TENANT
from tests.provisioning.commercial.payments.conftest import Shop


async def heard(shop: Shop, event: GatewayEvent) -> tuple[str, str | None] | None:
    """(state afterwards, what was made of the event); None if it isn't about ours."""
    async with shop.begin() as db:
        settlements = Settlements(db, tenant_id=TENANT, now=lambda: NOW)
        payment_id = await settlements.payment_of(event)
        if payment_id is None:
            return None
        outcome, change = await settlements.record_event(payment_id, event)
    return outcome["state"], change


def parsed(shop: Shop, webhook: Webhook) -> GatewayEvent:
    event = webhook_readers(stripe=shop.stripe())["stripe"].parse_webhook(webhook.body, webhook.headers)
    assert event is not None
    return event


async def slow_payment(shop: Shop) -> int:
    async with shop.begin() as db:
        await shop.cards(db).keep(customer_id=42, holder="cus_ada", method="pm_card_bypassPending")
    payment_id = await shop.pay()
    await shop.capture().capture(payment_id)
    return payment_id


async def test_an_event_settles_the_payment_once_however_often_it_comes(any_shop: Shop) -> None:
    payment_id = await slow_payment(any_shop)
    account = any_shop.double.account
    account.settle(str((await any_shop.row(payment_id)).provider_ref), "succeeded")
    processing, succeeded = (parsed(any_shop, webhook) for webhook in account.webhooks)
    assert await heard(any_shop, succeeded) == ("captured", "applied")
    assert await heard(any_shop, succeeded) == ("captured", None)
    assert await heard(any_shop, processing) == ("captured", "late"), "out of order, and nothing goes back"
    async with any_shop.begin() as db:
        kept = [(row.type, row.outcome) for row in await db.scalars(select(PaymentEvent).order_by(PaymentEvent.id))]
    assert kept == [("payment_intent.succeeded", "applied"), ("payment_intent.processing", "late")]


async def test_an_event_that_comes_before_the_answer_is_not_undone_by_it(shop: Shop) -> None:
    payment_id = await slow_payment(shop)
    row = await shop.row(payment_id)
    event = GatewayEvent("stripe", "evt_1", "t", NOW, row.idempotency_key, row.provider_ref, Awaiting("pi_1"))
    captured = Captured(str(row.provider_ref), 1250, "EUR")
    assert await heard(shop, replace(event, answer=captured)) == ("captured", "applied")
    declined = Declined(row.provider_ref, "card_declined", "no")
    assert await heard(shop, replace(event, event_id="evt_2", answer=declined)) == ("captured", "late")


async def test_money_that_nobody_asked_for_is_kept_and_shown_and_never_called_captured(shop: Shop) -> None:
    first = await slow_payment(shop)
    row = await shop.row(first)
    event = GatewayEvent("stripe", "e1", "t", NOW, row.idempotency_key, row.provider_ref, Declined("pi", "c", "no"))
    assert await heard(shop, event) == ("declined", "applied")
    await shop.pay()
    captured = Captured(str(row.provider_ref), 1250, "EUR")
    assert await heard(shop, replace(event, event_id="e2", answer=captured)) == ("declined", "surplus")
    async with shop.begin() as db:
        reason = await db.scalar(select(PaymentEvent.reason).where(PaymentEvent.outcome == "surplus"))
    assert reason == f"the money was taken, but payment {first} is declined"


async def test_a_declined_payment_that_was_charged_after_all_is_captured(shop: Shop) -> None:
    payment_id = await slow_payment(shop)
    row = await shop.row(payment_id)
    event = GatewayEvent("stripe", "e1", "t", NOW, row.idempotency_key, row.provider_ref, Declined("pi", "c", "no"))
    await heard(shop, event)
    captured = Captured(str(row.provider_ref), 1250, "EUR")
    assert await heard(shop, replace(event, event_id="e2", answer=captured)) == ("captured", "applied")


async def test_another_amount_is_kept_and_shown_and_changes_nothing(shop: Shop) -> None:
    payment_id = await slow_payment(shop)
    row = await shop.row(payment_id)
    captured = Captured(str(row.provider_ref), 1250, "CHF")
    event = GatewayEvent("stripe", "e1", "t", NOW, row.idempotency_key, row.provider_ref, captured)
    assert await heard(shop, event) == ("awaiting", "mismatch")
    async with shop.begin() as db:
        assert await db.scalar(select(PaymentEvent.reason)) == "12.50 CHF was taken, 12.50 EUR was asked for"


async def test_a_refund_made_at_stripe_is_heard_and_somebody_elses_payment_is_not(shop: Shop) -> None:
    payment_id = await shop.pay()
    await shop.capture().capture(payment_id)
    await shop.capture().refund(payment_id, reason="order undone")
    refunded = parsed(shop, shop.double.account.webhooks[-1])
    assert (refunded.type, await heard(shop, refunded)) == ("charge.refunded", ("refunded", "applied"))
    by_number = replace(refunded, event_id="e2", payment=None)
    assert await heard(shop, by_number) == ("refunded", "applied")
    assert await heard(shop, replace(refunded, event_id="e3", payment="payment/south/1")) is None
    assert await heard(shop, replace(by_number, event_id="e4", reference="pi_of_a_shop")) is None


def webhook(account: StripeAccount, **changed: object) -> bytes:
    intent = {"id": "pi_1", "status": "succeeded", "currency": "eur", "amount_received": 5, "metadata": {}}
    event = {"id": "evt_1", "object": "event", "created": 1, "type": "payment_intent.succeeded"}
    return json.dumps(event | {"data": {"object": intent}} | changed).encode()


def test_forged_old_and_mangled_events_are_refused() -> None:
    account = StripeAccount()
    ours = reader(account)
    body = webhook(account)
    good = account.signed(body)
    long_ago = account.signed(body, at=int(time.time()) - 301)
    forged = account.signed(body, secret="whsec_guessed")
    for sent, headers, words in (
        (body, {}, "No Stripe-Signature header"),
        (body, {"stripe-signature": "rubbish"}, "Unable to extract timestamp"),
        (body, {"stripe-signature": good["Stripe-Signature"] + "\xe4"}, "its signature is not in ASCII"),
        (body, forged, "No signatures found matching"),
        (body.replace(b"succeeded", b"succeeDed"), good, "No signatures found matching"),
        (body, long_ago, "outside the tolerance"),
        (b"[1]", account.signed(b"[1]"), "not an event in JSON"),
        (b"{", account.signed(b"{"), "not an event in JSON"),
        (b"\xff", good, "not an event in JSON"),
    ):
        with pytest.raises(WebhookRefused, match=words) as refused:
            ours.parse_webhook(sent, headers)
        assert "whsec" not in str(refused.value)
    lacking = webhook(account, data={"object": {"id": "pi_1"}})
    with pytest.raises(WebhookRefused, match="lacks what its type should tell"):
        ours.parse_webhook(lacking, account.signed(lacking))


def test_a_signed_event_is_read_and_one_of_another_kind_left_alone() -> None:
    account = StripeAccount()
    body = webhook(account)
    event = reader(account).parse_webhook(body, {"STRIPE-SIGNATURE": account.signed(body)["Stripe-Signature"]})
    assert event is not None
    assert (event.event_id, event.payment, event.answer) == ("evt_1", None, Captured("pi_1", 5, "EUR"))
    other = webhook(account, type="customer.updated")
    assert reader(account).parse_webhook(other, account.signed(other)) is None


def test_while_the_signing_secret_is_replaced_both_count() -> None:
    account = StripeAccount()
    both = StripeSettings(account.api_key, ("whsec_new", account.webhook_secret), "http://127.0.0.1:9", 1)
    reading = webhook_readers(stripe=both)["stripe"]
    body = webhook(account)
    for secret in ("whsec_new", account.webhook_secret):
        event = reading.parse_webhook(body, account.signed(body, secret=secret))
        assert event is not None
        assert event.event_id == "evt_1"
    with pytest.raises(WebhookRefused, match="No signatures found matching"):
        reading.parse_webhook(body, account.signed(body, secret="whsec_before_that"))


def reader(account: StripeAccount) -> WebhookReader:
    settings = StripeSettings(account.api_key, (account.webhook_secret,), "http://127.0.0.1:9", 1)
    return webhook_readers(stripe=settings)["stripe"]
