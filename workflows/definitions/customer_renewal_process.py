"""From a term that ends soon to its next one: offered, accepted by the customer, paid, and only then extended.

Nothing is charged before the customer has said yes, by the link in the mail or to somebody at the desk. Until then they
are reminded at intervals; when the offer's time is over the run ends as rejected, and the subscription on its day.
"""

from __future__ import annotations

from datetime import timedelta

from workflows.definitions.renewal.offer import (
    ExpiringSubscription,
    acceptance,
    check_renewal_eligibility,
    create_renewal_quote,
    deliver_email,
    deliver_reminder,
    key_of_end,
    see_acceptance,
    send_reminder,
    send_template_email,
)
from workflows.definitions.renewal.term import (
    capture_payment,
    extend_subscription,
    payment_settled,
    process_renewal_payment,
)
from workflows.engine.definition import Definition

CUSTOMER_RENEWAL_PROCESS = Definition(
    name="customer_renewal_process",
    version=1,
    input=ExpiringSubscription,
    steps=(
        check_renewal_eligibility,
        create_renewal_quote,
        send_template_email,
        deliver_email,
        see_acceptance,
        send_reminder,
        deliver_reminder,
        acceptance,
        process_renewal_payment,
        capture_payment,
        payment_settled,
        extend_subscription,
    ),
    key=lambda expiring: key_of_end(expiring.subscription_id, expiring.ends_on, expiring.number),
    customer_id=lambda expiring: expiring.customer_id,
    started_by="subscription.expiring",
    back_with={
        deliver_email: send_template_email,
        deliver_reminder: send_reminder,
        capture_payment: process_renewal_payment,
    },
    patience={"reminder": timedelta(days=10), "payment": timedelta(days=14)},
)
