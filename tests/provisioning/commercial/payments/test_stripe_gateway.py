"""The adapter for Stripe over real HTTP, with the real SDK: every way a call can end, and what became of the money."""

from __future__ import annotations

import socket
from dataclasses import replace

import httpx
import pytest

from provisioning.commercial.payments import (
    GatewayBusy,
    GatewayConflict,
    GatewayRefused,
    GatewayUnreachable,
    GatewayUntrusted,
    StripeSettings,
)
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    Captured,
    Declined,
    PaymentRequest,
    Refunded,
    RequiresAction,
    StoredCard,
    Unknown,
)
from provisioning.commercial.payments.stripe_amounts import from_stripe, to_stripe
from provisioning.commercial.payments.stripe_gateway import StripeGateway
from provisioning.commercial.payments.testing import Quirk, StripeDouble
from tests.provisioning.commercial.payments.conftest import IMPATIENCE_SECONDS, PATIENCE_SECONDS

KEY = "payment/north/1"
REQUEST = PaymentRequest(
    payment=KEY,
    amount_minor=1250,
    currency="EUR",
    method="card",
    description="Payment 1 of order 3",
    card=StoredCard("cus_ada", "pm_card_visa"),
)


def gateway(
    double: StripeDouble,
    http: httpx.AsyncClient,
    *,
    api_key: str = "sk_test_double",
    url: str | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> StripeGateway:
    return StripeGateway(StripeSettings(api_key, ("whsec_double",), url or double.url, patience_seconds), http)


async def authorised(stripe: StripeGateway, card: str = "pm_card_visa") -> PaymentRequest:
    """The payment with its number, as it is once that is written down."""
    request = replace(REQUEST, card=StoredCard("cus_ada", card))
    return replace(request, reference=await stripe.authorise(request, key=f"{KEY}/prepare"), card=None)


async def test_a_card_is_charged_while_its_holder_is_away(double: StripeDouble, http: httpx.AsyncClient) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    assert double.account.captured() == [], "authorising takes nothing"
    assert await stripe.get(request) is None
    captured = await stripe.capture(request, key=f"{KEY}/capture")
    (intent,) = double.account.captured()
    assert captured == Captured(intent["id"], 1250, "EUR") == await stripe.get(request)
    assert (intent["amount"], intent["currency"], intent["customer"]) == (1250, "eur", "cus_ada")
    assert intent["metadata"] == {"firstlight_payment": KEY}
    assert double.account.calls == [
        ("create", f"{KEY}/prepare"),
        ("retrieve", ""),
        ("confirm", f"{KEY}/capture"),
        ("retrieve", ""),
    ]


@pytest.mark.parametrize(
    ("card", "code", "sentence"),
    [
        ("pm_card_chargeDeclined", "generic_decline", "Your card was declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", "Your card has insufficient funds"),
        (
            "pm_card_authenticationRequired",
            "authentication_required",
            "Your card was declined. This transaction requires authentication",
        ),
    ],
)
async def test_a_declined_card_is_an_answer_that_stays(
    double: StripeDouble, http: httpx.AsyncClient, card: str, code: str, sentence: str
) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe, card)
    declined = await stripe.capture(request, key=f"{KEY}/capture")
    assert declined == Declined(request.reference, code, sentence) == await stripe.get(request)
    double.account.forget_keys()
    assert await stripe.capture(request, key=f"{KEY}/capture") == declined, "a second try is not a second charge"
    assert double.account.captured() == []


async def test_what_takes_time_is_no_success_yet(double: StripeDouble, http: httpx.AsyncClient) -> None:
    stripe = gateway(double, http)
    slow = await authorised(stripe, "pm_card_bypassPending")
    assert await stripe.capture(slow, key="a") == Awaiting(slow.reference) == await stripe.get(slow)
    double.account.settle(str(slow.reference), "succeeded")
    assert await stripe.get(slow) == Captured(str(slow.reference), 1250, "EUR")
    double.account.forget_keys()
    redirected = await authorised(stripe, "pm_card_threeDSecure2Required")
    action = await stripe.capture(redirected, key="b")
    assert action == RequiresAction(
        str(redirected.reference), f"https://hooks.stripe.com/redirect/authenticate/{redirected.reference}"
    )


@pytest.mark.parametrize(
    ("quirk", "taken"),
    [
        (Quirk.HANG_AFTER_EFFECT, True),
        (Quirk.DROP_BEFORE_EFFECT, False),
        (Quirk.DROP_AFTER_EFFECT, True),
        (Quirk.FAIL_BEFORE_EFFECT, False),
        (Quirk.FAIL_AFTER_EFFECT, True),
        (Quirk.RUBBISH, True),
    ],
)
async def test_without_a_word_the_outcome_is_unknown_until_it_is_asked_for(
    double: StripeDouble, http: httpx.AsyncClient, quirk: Quirk, taken: bool
) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    double.account.misbehave("confirm", quirk)
    impatient = gateway(double, http, patience_seconds=IMPATIENCE_SECONDS)
    assert isinstance(await impatient.capture(request, key=f"{KEY}/capture"), Unknown)
    captured = Captured(str(request.reference), 1250, "EUR")
    assert await stripe.get(request) == (captured if taken else None)
    double.account.forget_keys()  # as a day later: the intent itself is what keeps the money from being taken twice
    assert await stripe.capture(request, key=f"{KEY}/capture") == captured
    assert len(double.account.captured()) == 1


@pytest.mark.parametrize("quirk", [Quirk.TOO_MANY, Quirk.KEY_IN_USE])
async def test_a_stripe_that_is_busy_has_done_nothing(
    double: StripeDouble, http: httpx.AsyncClient, quirk: Quirk
) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    double.account.misbehave("confirm", quirk)
    with pytest.raises(GatewayBusy) as busy:
        await stripe.capture(request, key=f"{KEY}/capture")
    assert busy.value.transient
    assert double.account.captured() == []
    assert isinstance(await stripe.capture(request, key=f"{KEY}/capture"), Captured)


async def test_authorising_without_an_answer_is_repeated_and_takes_nothing(
    double: StripeDouble, http: httpx.AsyncClient
) -> None:
    stripe = gateway(double, http)
    double.account.misbehave("create", Quirk.DROP_AFTER_EFFECT)
    with pytest.raises(GatewayBusy):
        await authorised(stripe)
    request = await authorised(stripe)
    assert list(double.account.intents) == [request.reference]


async def test_an_intent_is_cancelled_for_good_or_it_was_too_late(
    double: StripeDouble, http: httpx.AsyncClient
) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    assert await stripe.cancel(request, key=f"{KEY}/cancel") == Cancelled(request.reference)
    double.account.forget_keys()
    assert await stripe.cancel(request, key=f"{KEY}/cancel") == Cancelled(request.reference)
    assert await stripe.capture(request, key=f"{KEY}/capture") == Cancelled(request.reference)
    other = await authorised(stripe)
    await stripe.capture(other, key="b")
    assert await stripe.cancel(other, key="c") == Captured(str(other.reference), 1250, "EUR")


async def test_money_goes_back_once(double: StripeDouble, http: httpx.AsyncClient) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    await stripe.capture(request, key=f"{KEY}/capture")
    double.account.misbehave("refund", Quirk.DROP_AFTER_EFFECT)
    assert isinstance(await stripe.refund(request, key=f"{KEY}/refund"), Unknown)
    double.account.forget_keys()
    for _ in range(2):
        assert await stripe.refund(request, key=f"{KEY}/refund") == Refunded(request.reference)
    assert [refund["amount"] for refund in double.account.refunds] == [1250]


async def test_a_refund_under_way_is_awaited(double: StripeDouble, http: httpx.AsyncClient) -> None:
    stripe = gateway(double, http)
    request = await authorised(stripe)
    await stripe.capture(request, key=f"{KEY}/capture")
    double.account.refund_status = "pending"
    assert await stripe.refund(request, key=f"{KEY}/refund") == Awaiting(request.reference)
    double.account.refunds[0]["status"] = "succeeded"
    assert await stripe.refund(request, key=f"{KEY}/refund") == Refunded(request.reference)
    assert len(double.account.refunds) == 1


async def test_what_stripe_refuses_is_told_without_its_secrets(double: StripeDouble, http: httpx.AsyncClient) -> None:
    stripe = gateway(double, http)
    with pytest.raises(GatewayRefused, match=r"No such payment_method: 'pm_gone'; correct what it names"):
        await authorised(stripe, "pm_gone")
    request = await authorised(stripe)
    with pytest.raises(GatewayConflict, match="knows this payment's key from another request"):
        await stripe.authorise(replace(REQUEST, amount_minor=99), key=f"{KEY}/prepare")
    with pytest.raises(GatewayUntrusted, match="doesn't accept our key: Invalid API Key provided") as untrusted:
        await gateway(double, http, api_key="sk_test_other").get(request)
    assert "sk_test_other" not in str(untrusted.value)
    shown = repr(StripeSettings("sk_test_double", ("whsec_double",), double.url, 1)) + repr(REQUEST)
    assert "sk_test" not in shown
    assert "whsec" not in shown
    assert "pm_card" not in shown


async def test_a_stripe_that_nobody_reaches_was_asked_nothing(http: httpx.AsyncClient, double: StripeDouble) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(GatewayUnreachable) as away:
        await authorised(gateway(double, http, url=f"http://127.0.0.1:{port}"))
    assert away.value.transient


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [(1250, "EUR", 1250), (500, "JPY", 500), (5, "ISK", 500), (5, "UGX", 500), (5120, "KWD", 5120), (500, "MGA", 5)],
)
def test_amounts_are_counted_as_stripe_counts_them(minor: int, currency: str, amount: int) -> None:
    assert to_stripe(minor, currency) == amount
    assert from_stripe(amount, currency) == minor


def test_an_amount_that_stripe_cannot_take_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match=r"5\.124 KWD must end on a zero"):
        to_stripe(5124, "KWD")
    with pytest.raises(ValueError, match=r"5\.50 ISK has decimals, and this currency has none"):
        from_stripe(550, "ISK")
