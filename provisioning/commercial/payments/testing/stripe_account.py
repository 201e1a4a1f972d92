"""What stands behind the double of Stripe's API: one account's intents, refunds, saved answers and events.

It behaves as documented at docs.stripe.com/api: an intent takes its money once; an answer is saved under its
idempotency key, a 500 and a declined card too; the same key with other input is an error; 409 and 429 are saved by
nobody. Cards are Stripe's own test numbers (docs.stripe.com/testing).
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import stripe

Reply = tuple[int, dict[str, Any]]

DECLINES = {
    "pm_card_chargeDeclined": ("card_declined", "generic_decline", "Your card was declined."),
    "pm_card_chargeDeclinedInsufficientFunds": (
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    "pm_card_authenticationRequired": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}
SLOW = "pm_card_bypassPending"  # here: stays processing until `settle` is called
REDIRECTED = "pm_card_threeDSecure2Required"
CARDS = {"pm_card_visa", SLOW, REDIRECTED, *DECLINES}
CREATE_PARAMETERS = {
    "amount",
    "currency",
    "customer",
    "payment_method",
    "allowed_payment_method_types[0]",
    "description",
}
CANCELLABLE = {"requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"}
EVENT_OF = {
    "succeeded": "payment_intent.succeeded",
    "processing": "payment_intent.processing",
    "requires_action": "payment_intent.requires_action",
    "requires_payment_method": "payment_intent.payment_failed",
    "canceled": "payment_intent.canceled",
}


class Quirk(Enum):
    """One bad moment."""

    HANG_BEFORE_EFFECT = auto()
    HANG_AFTER_EFFECT = auto()
    DROP_BEFORE_EFFECT = auto()
    DROP_AFTER_EFFECT = auto()
    FAIL_BEFORE_EFFECT = auto()
    FAIL_AFTER_EFFECT = auto()
    TOO_MANY = auto()
    KEY_IN_USE = auto()
    RUBBISH = auto()


DOES_NOTHING = {
    Quirk.HANG_BEFORE_EFFECT,
    Quirk.DROP_BEFORE_EFFECT,
    Quirk.FAIL_BEFORE_EFFECT,
    Quirk.TOO_MANY,
    Quirk.KEY_IN_USE,
}
ANSWER_OF: dict[Quirk, Reply] = {
    Quirk.FAIL_BEFORE_EFFECT: (500, {"error": {"type": "api_error", "message": "An unknown error occurred"}}),
    Quirk.FAIL_AFTER_EFFECT: (500, {"error": {"type": "api_error", "message": "An unknown error occurred"}}),
    Quirk.TOO_MANY: (429, {"error": {"type": "invalid_request_error", "code": "rate_limit", "message": "Too many"}}),
    Quirk.KEY_IN_USE: (
        409,
        {"error": {"type": "idempotency_error", "message": "There is currently another in-progress request"}},
    ),
}


@dataclass(frozen=True)
class Webhook:
    """What Stripe posts to a webhook's address."""

    type: str
    body: bytes
    headers: Mapping[str, str]


@dataclass
class StripeAccount:
    """One account. ``misbehave`` arms quirks for the next calls of one operation: create, confirm, cancel, refund..."""

    api_key: str = "sk_test_double"
    webhook_secret: str = "whsec_double"
    customers: set[str] = field(default_factory=lambda: {"cus_ada", "cus_bob"})
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    refund_status: str = "succeeded"
    _saved: dict[str, tuple[str, Reply]] = field(default_factory=dict)
    _quirks: dict[str, deque[Quirk]] = field(default_factory=dict)

    def misbehave(self, operation: str, *quirks: Quirk) -> None:
        self._quirks.setdefault(operation, deque()).extend(quirks)

    def captured(self) -> list[dict[str, Any]]:
        """The intents whose money was taken."""
        return [intent for intent in self.intents.values() if intent["status"] == "succeeded"]

    def forget_keys(self) -> None:
        """A day has passed: nothing is known of any key."""
        self._saved.clear()

    def settle(self, number: str, status: str) -> None:
        """What was processing, or waited for its customer, is decided."""
        intent = self.intents[number]
        intent["status"] = status
        intent["amount_received"] = intent["amount"] if status == "succeeded" else 0
        if status == "requires_payment_method":
            intent["last_payment_error"] = {"code": "card_declined", "message": "Your card was declined."}
        self._tell(EVENT_OF[status], intent)

    def signed(self, body: bytes, *, secret: str | None = None, at: int | None = None) -> dict[str, str]:
        """The headers with which Stripe would send this body."""
        made = stripe.WebhookSignature.generate_signature_header(body.decode(), secret or self.webhook_secret, at)
        return {"Stripe-Signature": made, "Content-Type": "application/json"}

    def answer(self, method: str, path: str, key: str, form: dict[str, str]) -> tuple[Reply | None, Quirk | None]:
        """The reply, and how it goes wrong on its way. None: none is given."""
        operation = _operation(method, path)
        if operation is None:
            return (404, _error("invalid_request_error", f"Unrecognized request URL ({method}: {path})")), None
        self.calls.append((operation, key))
        words = json.dumps([method, path, form], sort_keys=True)
        if method == "POST" and key in self._saved:
            earlier, saved = self._saved[key]
            return (saved if earlier == words else (400, _error("idempotency_error", "Keys can't be reused."))), None
        waiting = self._quirks.get(operation)
        quirk = waiting.popleft() if waiting else None
        done = None if quirk in DOES_NOTHING else self._act(operation, path, form)
        reply = ANSWER_OF.get(quirk, done) if quirk is not None else done
        if method == "POST" and reply is not None and reply[0] not in (400, 404, 409, 429):
            self._saved[key] = (words, reply)
        return reply, quirk

    def _act(self, operation: str, path: str, form: dict[str, str]) -> Reply:
        number = path.split("/")[3] if path.startswith("/v1/payment_intents/") else form.get("payment_intent", "")
        if operation == "create":
            return self._create(form)
        if operation == "refunds":
            mine = [refund for refund in self.refunds if refund["payment_intent"] == number]
            return 200, {"object": "list", "data": mine, "has_more": False, "url": "/v1/refunds"}
        intent = self.intents.get(number)
        if intent is None:
            return 404, _error("invalid_request_error", f"No such payment_intent: '{number}'", code="resource_missing")
        match operation:
            case "confirm":
                return self._confirm(intent, form)
            case "cancel":
                return self._cancel(intent)
            case "refund":
                return self._refund(intent, form)
            case _:
                return 200, dict(intent)

    def _create(self, form: dict[str, str]) -> Reply:
        unknown = {name for name in form if name not in CREATE_PARAMETERS and not name.startswith("metadata[")}
        if unknown:
            words = f"Received unknown parameter: {sorted(unknown)[0]}"
            return 400, _error("invalid_request_error", words, code="parameter_unknown")
        for name, known in (("customer", self.customers), ("payment_method", CARDS)):
            if form.get(name) not in known:
                return 400, _error(
                    "invalid_request_error", f"No such {name}: '{form.get(name)}'", code="resource_missing"
                )
        number = f"pi_{len(self.intents) + 1:08d}"
        self.intents[number] = {
            "id": number,
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "amount_received": 0,
            "currency": form["currency"],
            "customer": form["customer"],
            "payment_method": form["payment_method"],
            "description": form.get("description"),
            "metadata": {name[9:-1]: value for name, value in form.items() if name.startswith("metadata[")},
            "client_secret": f"{number}_secret_never_shown",
            "last_payment_error": None,
            "next_action": None,
            "status": "requires_confirmation",
        }
        return 200, dict(self.intents[number])

    def _confirm(self, intent: dict[str, Any], form: dict[str, str]) -> Reply:
        card = intent["payment_method"]
        if intent["status"] != "requires_confirmation" or card is None:
            return self._unexpected(intent, "confirm")
        if form.get("off_session") != "true":
            return 400, _error("invalid_request_error", "A return_url is needed while the customer is there.")
        if card in DECLINES:
            code, decline_code, message = DECLINES[card]
            error = {"type": "card_error", "code": code, "decline_code": decline_code, "message": message}
            intent |= {"status": "requires_payment_method", "last_payment_error": error, "payment_method": None}
            self._tell(EVENT_OF[intent["status"]], intent)
            return 402, {"error": {**error, "payment_intent": dict(intent)}}
        if card == SLOW:
            intent["status"] = "processing"
        elif card == REDIRECTED:
            url = f"https://hooks.stripe.com/redirect/authenticate/{intent['id']}"
            intent |= {"status": "requires_action", "next_action": {"redirect_to_url": {"url": url}}}
        else:
            intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        self._tell(EVENT_OF[intent["status"]], intent)
        return 200, dict(intent)

    def _cancel(self, intent: dict[str, Any]) -> Reply:
        if intent["status"] not in CANCELLABLE:
            return self._unexpected(intent, "cancel")
        intent["status"] = "canceled"
        self._tell(EVENT_OF["canceled"], intent)
        return 200, dict(intent)

    def _refund(self, intent: dict[str, Any], form: dict[str, str]) -> Reply:
        given_back = sum(one["amount"] for one in self.refunds if one["payment_intent"] == intent["id"])
        if intent["status"] != "succeeded":
            return 400, _error("invalid_request_error", f"{intent['id']} has no successful charge to refund.")
        if given_back >= intent["amount"]:
            return 400, _error("invalid_request_error", "Charge has been refunded.", code="charge_already_refunded")
        refund = {
            "id": f"re_{len(self.refunds) + 1:08d}",
            "object": "refund",
            "amount": intent["amount"] - given_back,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": self.refund_status,
        }
        self.refunds.append(refund)
        charge = {"id": f"ch_{intent['id'][3:]}", "object": "charge", "refunded": True, "payment_intent": intent["id"]}
        self._tell("charge.refunded", {**charge, "metadata": dict(intent["metadata"])})
        return 200, dict(refund)

    def _unexpected(self, intent: dict[str, Any], verb: str) -> Reply:
        words = f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}."
        error = _error("invalid_request_error", words, code="payment_intent_unexpected_state")
        error["error"]["payment_intent"] = dict(intent)
        return 400, error

    def _tell(self, kind: str, about: Mapping[str, Any]) -> None:
        event = {
            "id": f"evt_{len(self.webhooks) + 1:08d}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "created": int(time.time()),
            "type": kind,
            "data": {"object": dict(about)},
        }
        body = json.dumps(event).encode()
        self.webhooks.append(Webhook(kind, body, self.signed(body)))


def _operation(method: str, path: str) -> str | None:
    parts = path.strip("/").split("/")
    match method, parts:
        case "POST", ["v1", "payment_intents"]:
            return "create"
        case "GET", ["v1", "payment_intents", _]:
            return "retrieve"
        case "POST", ["v1", "payment_intents", _, "confirm" | "cancel" as verb]:
            return verb
        case "POST", ["v1", "refunds"]:
            return "refund"
        case "GET", ["v1", "refunds"]:
            return "refunds"
        case _:
            return None


def _error(kind: str, message: str, *, code: str | None = None) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message} | ({"code": code} if code else {})}
