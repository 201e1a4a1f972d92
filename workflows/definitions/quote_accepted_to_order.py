"""From a quote's acceptance to a delivered order.

The customer's yes -> order -> payment, if it is paid in advance -> subscriptions -> technician's visit booked -> team
told -> mail -> the visit itself, and only then is the order complete. Until then it can be cancelled: money that was
taken goes back, the subscriptions end, the technician is free again, and the quote can be accepted anew while it is
valid.
"""

from __future__ import annotations

from datetime import timedelta

from workflows.definitions.ordering.acceptance import AcceptedOffer, accept_quote, acceptance_key
from workflows.definitions.ordering.delivery import (
    complete_order,
    deliver_email,
    deployment_date,
    notify_team,
    schedule_deployment,
    send_template_email,
    visit,
)
from workflows.definitions.ordering.order import (
    begin_order,
    capture_payment,
    create_order_from_quote,
    payment_method,
    payment_settled,
    process_payment,
)
from workflows.definitions.ordering.subscriptions import create_subscriptions
from workflows.engine.definition import Definition

QUOTE_ACCEPTED_TO_ORDER = Definition(
    name="quote_accepted_to_order",
    version=1,
    input=AcceptedOffer,
    steps=(
        accept_quote,
        create_order_from_quote,
        payment_method,
        process_payment,
        capture_payment,
        payment_settled,
        begin_order,
        create_subscriptions,
        deployment_date,
        schedule_deployment,
        notify_team,
        send_template_email,
        deliver_email,
        visit,
        complete_order,
    ),
    key=lambda offer: acceptance_key(offer.quote_id, offer.acceptance),
    customer_id=lambda offer: offer.customer_id,
    started_by="quote.accepted",
    reopens={
        "payment_method": (payment_method, begin_order),
        "deployment_date": (deployment_date, visit),
    },
    back_with={capture_payment: process_payment, deliver_email: send_template_email},
    patience={
        "payment": timedelta(days=14),
        "dispatch": timedelta(days=7),
        "report": timedelta(days=2),
    },
)
