"""The accepted renewal: paid, and only then the term is longer."""

from __future__ import annotations

from workflows.answers import ExtendedSubscription, RequestedPayment
from workflows.definitions.charging import ASKED_ANEW, payment_steps
from workflows.definitions.kit import step
from workflows.definitions.renewal.offer import (
    UNDONE,
    Renewal,
    RenewalNotEligible,
    create_renewal_quote,
    refuse_who_leaves,
)
from workflows.engine.routes import Reject
from workflows.services import Services


def why_not_paid(run: Renewal) -> str:
    """What a payment that is taken back was given up for."""
    return ASKED_ANEW if run.is_going_back else UNDONE


async def void_payment(services: Services, run: Renewal, payment: RequestedPayment) -> None:
    await services.billing_service.void_payment(payment_id=payment["payment_id"], reason=why_not_paid(run))


def is_paid_in_advance(run: Renewal) -> bool:
    """Who pays after delivery goes on paying so: the renewal is billed as the term before it was."""
    quote = run[create_renewal_quote]
    return quote["total_minor"] > 0 and quote["payment_terms"] == "prepaid"


@step.transactional(
    undo=void_payment,
    when=is_paid_in_advance,
    otherwise="nothing is paid in advance: the renewal is post-paid, or comes to nothing",
    leads={RenewalNotEligible: lambda run, reason: Reject(reason)},
)
async def process_renewal_payment(services: Services, run: Renewal) -> RequestedPayment:
    """Raises: RenewalNotEligible if there is nothing to go on with any more: nobody pays for that."""
    await refuse_who_leaves(services, run)  # it may have been cancelled while the customer thought about it
    return await services.billing_service.process_renewal_payment(
        customer_id=run.customer_id,
        quote_id=run[create_renewal_quote]["quote_id"],
        request_id=run.key(process_renewal_payment),
    )


capture_payment, payment_settled = payment_steps(
    process_renewal_payment,
    undone_because=why_not_paid,
    instead="keep another card (`firstlight payments keep-card`) and retry from process_renewal_payment, or roll back",
)


async def withdraw_extension(services: Services, run: Renewal, extended: ExtendedSubscription) -> None:
    await services.billing_service.withdraw_extension(extension_id=extended["extension_id"], reason=UNDONE)


@step.transactional(undo=withdraw_extension)
async def extend_subscription(services: Services, run: Renewal) -> ExtendedSubscription:
    return await services.billing_service.extend_subscription(
        subscription_id=run.input.subscription_id,
        extension_period=run[create_renewal_quote]["renewal_term_months"],
        request_id=run.key(extend_subscription),
    )
