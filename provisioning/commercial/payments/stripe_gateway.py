"""Cards through Stripe, charged while their holder isn't there (``off_session``).

The PaymentIntent is made first and confirmed when its number is written down. It is a state machine that takes the
money at most once, so whatever happened to a call, retrieving it by its number says what became of it; the idempotency
key only spares it work. (Searching PaymentIntents by metadata is eventually consistent, so nothing rests on it.)

Source: docs.stripe.com/api/payment_intents, docs.stripe.com/payments/paymentintents/lifecycle,
docs.stripe.com/webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import stripe

from provisioning.commercial.payments.errors import GatewayBusy, GatewayRefused, WebhookRefused
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    Captured,
    Declined,
    GatewayAnswer,
    GatewayEvent,
    PaymentRequest,
    Refunded,
    RequiresAction,
    Unknown,
)
from provisioning.commercial.payments.stripe_amounts import from_stripe, to_stripe
from provisioning.commercial.payments.stripe_http import GATEWAY, HttpxTransport, answered, plain
from provisioning.commercial.payments.stripe_settings import StripeSettings

TOLERANCE_SECONDS: Final = 300
OUR_NAME: Final = "firstlight_payment"
"""The key in a PaymentIntent's metadata under which our own name for the payment stands."""

INTENT_EVENTS: Final = frozenset(
    f"payment_intent.{what}" for what in ("succeeded", "processing", "requires_action", "payment_failed", "canceled")
)


class StripeWebhooks:
    """Tells Stripe's events from forged ones. ``Stripe-Signature`` is at most five minutes old."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> GatewayEvent | None:
        signature = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), None)
        if signature is not None and not signature.isascii():  # the SDK would fail at comparing it
            raise WebhookRefused(GATEWAY, "its signature is not in ASCII")
        event = self._verified(body, signature)
        try:
            return _event(event.to_dict())
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise WebhookRefused(GATEWAY, "the event lacks what its type should tell") from exc

    def _verified(self, body: bytes, signature: str | None) -> stripe.Event:
        """The event, signed under one of the secrets; what is said of a refusal is said of the one in force."""
        refusals = list[stripe.SignatureVerificationError]()
        for secret in self._secrets:
            try:
                event: stripe.Event = stripe.Webhook.construct_event(body, signature, secret, TOLERANCE_SECONDS)
                return event
            except stripe.SignatureVerificationError as exc:
                refusals.append(exc)
            except (AttributeError, ValueError) as exc:
                raise WebhookRefused(GATEWAY, "it is not an event in JSON") from exc
        raise WebhookRefused(GATEWAY, plain(refusals[0])) from refusals[0]


class StripeGateway(StripeWebhooks):
    """The adapter ``stripe``: one PaymentIntent a payment, in the account of the API key."""

    def __init__(self, settings: StripeSettings, http: httpx.AsyncClient) -> None:
        super().__init__(settings.webhook_secrets)
        self._api = stripe.StripeClient(
            settings.api_key,
            base_addresses={"api": settings.url},
            max_network_retries=0,
            http_client=HttpxTransport(http, timeout_seconds=settings.timeout_seconds),
        ).v1

    async def authorise(self, request: PaymentRequest, *, key: str) -> str:
        assert request.card is not None, "a card payment has its card until it is authorised"
        try:
            amount = to_stripe(request.amount_minor, request.currency)
            made = await answered(
                self._api.payment_intents.create_async(
                    {
                        "amount": amount,
                        "currency": request.currency.lower(),
                        "customer": request.card.holder,
                        "payment_method": request.card.method,
                        "allowed_payment_method_types": ["card"],
                        "description": request.description,
                        "metadata": {OUR_NAME: request.payment},
                    },
                    {"idempotency_key": key},
                )
            )
        except (stripe.CardError, stripe.InvalidRequestError) as exc:
            raise GatewayRefused(GATEWAY, plain(exc)) from None  # its body may hold the intent's client secret
        except ValueError as exc:
            raise GatewayRefused(GATEWAY, str(exc)) from exc
        if isinstance(made, Unknown):  # whether there is an intent or not, nobody has told it to take anything
            raise GatewayBusy(GATEWAY, made.sentence)
        return str(made.id)

    async def capture(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        confirming = self._api.payment_intents.confirm_async(
            _number(request), {"off_session": True}, {"idempotency_key": key}
        )
        try:
            said = await answered(confirming)
        except stripe.CardError as exc:
            return Declined(request.reference, _decline_code(exc), plain(exc))
        except stripe.InvalidRequestError as exc:
            return await self._found_or_refused(request, plain(exc))
        return said if isinstance(said, Unknown) else await self._found_or_refused(request, "it didn't confirm", said)

    async def get(self, request: PaymentRequest) -> GatewayAnswer | None:
        if request.reference is None:
            return None
        try:
            found = await answered(self._api.payment_intents.retrieve_async(request.reference))
        except stripe.InvalidRequestError as exc:
            raise GatewayRefused(GATEWAY, plain(exc)) from None
        return found if isinstance(found, Unknown) else _answer(found.to_dict())

    async def cancel(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        cancelling = self._api.payment_intents.cancel_async(_number(request), {}, {"idempotency_key": key})
        try:
            said = await answered(cancelling)
        except stripe.InvalidRequestError as exc:  # it was too late, or done before
            return await self._found_or_refused(request, plain(exc))
        return said if isinstance(said, Unknown) else await self._found_or_refused(request, "it didn't cancel", said)

    async def refund(self, request: PaymentRequest, *, key: str) -> GatewayAnswer:
        """Asked first: after a day the key would not keep a second refund from being tried."""
        if (given_back := await self._given_back(request)) is not None:
            return given_back
        try:
            made = await answered(
                self._api.refunds.create_async(
                    {"payment_intent": _number(request), "metadata": {OUR_NAME: request.payment}},
                    {"idempotency_key": key},
                )
            )
        except (stripe.CardError, stripe.InvalidRequestError) as exc:
            if (given_back := await self._given_back(request)) is not None:
                return given_back
            raise GatewayRefused(GATEWAY, plain(exc)) from None
        if isinstance(made, Unknown):
            return made
        return await self._given_back(request) or Unknown(f"its refund {made.id} is {made.status}")

    async def _given_back(self, request: PaymentRequest) -> GatewayAnswer | None:
        """What the refunds of this payment come to; None while there is something left to give back."""
        try:
            listed = await answered(self._api.refunds.list_async({"payment_intent": _number(request), "limit": 100}))
        except stripe.InvalidRequestError as exc:
            raise GatewayRefused(GATEWAY, plain(exc)) from None
        if isinstance(listed, Unknown):
            return listed
        refunds = listed.to_dict()["data"]
        done = sum(one["amount"] for one in refunds if one["status"] == "succeeded")
        if done == to_stripe(request.amount_minor, request.currency):
            return Refunded(request.reference)
        under_way = any(one["status"] in ("pending", "requires_action") for one in refunds)
        return Awaiting(request.reference) if under_way else None

    async def _found_or_refused(self, request: PaymentRequest, why: str, said: Any = None) -> GatewayAnswer:
        answer = await self.get(request) if said is None else _answer(said.to_dict())
        if answer is None:
            raise GatewayRefused(GATEWAY, why)
        return answer


def _number(request: PaymentRequest) -> str:
    assert request.reference is not None, "the intent's number is written down before anything is done with it"
    return request.reference


def _answer(intent: Mapping[str, Any]) -> GatewayAnswer | None:
    """What an intent's status means; None: it was never confirmed."""
    number, currency = str(intent["id"]), str(intent["currency"]).upper()
    match intent["status"]:
        case "succeeded":
            return Captured(number, from_stripe(int(intent["amount_received"]), currency), currency)
        case "processing" | "requires_capture":
            return Awaiting(number)
        case "requires_action":
            return RequiresAction(number, _redirect(intent.get("next_action")))
        case "canceled":
            return Cancelled(number)
        case "requires_payment_method" if intent.get("last_payment_error"):
            error = intent["last_payment_error"]
            code = error.get("decline_code") or error.get("code") or "declined"
            return Declined(number, str(code), str(error.get("message") or "the card was declined").rstrip("."))
        case "requires_payment_method" | "requires_confirmation":
            return None
        case status:
            return Unknown(f"intent {number} is {status}, which is not known here")


def _redirect(action: Mapping[str, Any] | None) -> str | None:
    url = ((action or {}).get("redirect_to_url") or {}).get("url")
    return None if url is None else str(url)


def _decline_code(exc: stripe.CardError) -> str:
    return str(getattr(exc.error, "decline_code", None) or exc.code or "declined")


def _event(event: Mapping[str, Any]) -> GatewayEvent | None:
    kind, told = str(event["type"]), event["data"]["object"]
    if kind in INTENT_EVENTS:
        answer, reference = _answer(told), told["id"]
    elif kind == "charge.refunded" and told["refunded"]:
        answer, reference = Refunded(told["payment_intent"]), told["payment_intent"]
    else:
        return None
    if answer is None:
        return None
    return GatewayEvent(
        provider=GATEWAY,
        event_id=str(event["id"]),
        type=kind,
        occurred_at=datetime.fromtimestamp(int(event["created"]), UTC),
        payment=(told.get("metadata") or {}).get(OUR_NAME),
        reference=None if reference is None else str(reference),
        answer=answer,
    )
