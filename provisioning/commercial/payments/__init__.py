"""Payments: an order or a renewal is paid once, whatever happens on the way.

``PaymentRequests`` writes down what is to be paid, in the caller's transaction. ``PaymentCapture`` talks to the other
side through a *gateway* and may be repeated at will: first an attempt is written down, then the gateway's own number of
the payment, and only then is the gateway told to take the money, always under the payment's key. ``Settlements`` takes
down what people and gateways say by themselves. A payment goes requested -> unknown (while a gateway is told) ->
requires_action, awaiting -> captured, and never back; declined, cancelled and refunded are its other ends.

Recipe, another gateway: one module with a class that fulfils ``ports.PaymentGateway``, one line in
``payment_gateways``, its methods in ``requests.PROVIDERS``, its settings in ``provisioning.settings``, a double in
``testing/``. Recipe, another way to pay by hand: its word in ``workflows.answers.PaymentMethod`` and in ``PROVIDERS``,
and a migration of ``ck_payment_method``.
"""

from __future__ import annotations

import httpx

from provisioning.commercial.payments.capture import PaymentCapture
from provisioning.commercial.payments.cards import CardsOnFile
from provisioning.commercial.payments.errors import (
    GatewayBusy,
    GatewayConflict,
    GatewayError,
    GatewayMissing,
    GatewayRefused,
    GatewayUnreachable,
    GatewayUntrusted,
    NothingToPay,
    NotSettledByHand,
    PaymentDeclined,
    PaymentError,
    PaymentMismatch,
    PaymentOutcomeUnknown,
    PaymentOver,
    PaymentStands,
    PaymentUnknown,
    PaymentWithGateway,
    RefundAwaited,
    RefundNotAsked,
    SettlementConflict,
    WebhookRefused,
)
from provisioning.commercial.payments.manual import ManualGateway
from provisioning.commercial.payments.ports import GatewayEvent, PaymentGateway, WebhookReader
from provisioning.commercial.payments.reading import (
    PaymentHistory,
    PaymentView,
    list_payments,
    payments_referred_to,
    show_payment,
)
from provisioning.commercial.payments.requests import PaymentRequests
from provisioning.commercial.payments.settlement import Settlements
from provisioning.commercial.payments.stripe_settings import StripeSettings

__all__ = [
    "CardsOnFile",
    "GatewayBusy",
    "GatewayConflict",
    "GatewayError",
    "GatewayEvent",
    "GatewayMissing",
    "GatewayRefused",
    "GatewayUnreachable",
    "GatewayUntrusted",
    "ManualGateway",
    "NotSettledByHand",
    "NothingToPay",
    "PaymentCapture",
    "PaymentDeclined",
    "PaymentError",
    "PaymentGateway",
    "PaymentHistory",
    "PaymentMismatch",
    "PaymentOutcomeUnknown",
    "PaymentOver",
    "PaymentRequests",
    "PaymentStands",
    "PaymentUnknown",
    "PaymentView",
    "PaymentWithGateway",
    "RefundAwaited",
    "RefundNotAsked",
    "SettlementConflict",
    "Settlements",
    "StripeSettings",
    "WebhookReader",
    "WebhookRefused",
    "list_payments",
    "payment_gateways",
    "payments_referred_to",
    "show_payment",
    "webhook_readers",
]


def payment_gateways(http: httpx.AsyncClient, *, stripe: StripeSettings | None) -> dict[str, PaymentGateway]:
    """Every gateway that is set up, by the name that a payment's ``provider`` has for it."""
    table: dict[str, PaymentGateway] = {"manual": ManualGateway()}
    if stripe is not None:
        # The SDK takes its time to load, which a command that takes no money needn't wait for.
        from provisioning.commercial.payments.stripe_gateway import StripeGateway

        table["stripe"] = StripeGateway(stripe, http)
    return table


def webhook_readers(*, stripe: StripeSettings | None) -> dict[str, WebhookReader]:
    """Whoever can verify what a gateway tells by itself, by the same name; a door needs nothing more of a gateway."""
    if stripe is None:
        return {}
    from provisioning.commercial.payments.stripe_gateway import StripeWebhooks

    return {"stripe": StripeWebhooks(stripe.webhook_secrets)}
