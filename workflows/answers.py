"""What the commercial services answer: the contract's keys and types, and ours beside them.

Amounts stand twice: as a Decimal with the currency's own number of decimals, and in minor units (``*_minor``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from typing_extensions import TypedDict

PaymentTerms = Literal["prepaid", "postpaid"]
QuoteState = Literal["draft", "sent", "accepted", "withdrawn", "expired"]
OrderState = Literal["acknowledged", "inProgress", "completed", "cancelled", "failed"]
"""TMF622's words for a product order's state."""


class CustomerFromLead(TypedDict):
    """The customer whom a lead has become."""

    customer_id: int
    name: str
    email: str
    phone: str | None
    lead_id: int


class AcceptedQuote(TypedDict):
    """A quote that its customer has accepted, and who did so first."""

    quote_id: int
    customer_id: int
    state: Literal["accepted"]
    accepted_at: datetime
    accepted_by: str
    total_amount: Decimal
    total_minor: int
    currency: str
    payment_terms: PaymentTerms


class RenewalQuote(TypedDict):
    """An offer to go on: open for acceptance, or (asked again) accepted since."""

    quote_id: int
    customer_id: int
    subscription_id: int
    renewal_term_months: int
    total_amount: Decimal
    total_minor: int
    currency: str
    payment_terms: PaymentTerms
    valid_until: datetime
    state: Literal["sent", "accepted"]


class QuoteStanding(TypedDict):
    """Where a quote stands now; ``reason`` is why it was withdrawn or has ended."""

    quote_id: int
    state: QuoteState
    accepted_at: datetime | None
    accepted_by: str | None
    reason: str | None


class OrderedLine(TypedDict):
    """One line of an order: so many of this, and what they come to.

    ``offer_id`` None: it is in words only. ``charge``: due once, or recurring with every billing period.
    """

    offer_id: int | None
    description: str
    quantity: int
    unit_price_minor: int
    charge: Literal["recurring", "once"]
    amount_minor: int


class OrderFromQuote(TypedDict):
    """The order that an accepted quote has become."""

    order_id: int
    quote_id: int
    customer_id: int
    customer_email: str
    total_amount: Decimal
    total_minor: int
    currency: str
    state: OrderState
    payment_terms: PaymentTerms


SubscriptionState = Literal["pending_installation", "active", "cancelled"]
PaymentMethod = Literal["invoice", "cash", "bank", "card"]
PaymentState = Literal[
    "requested", "unknown", "requires_action", "awaiting", "captured", "declined", "cancelled", "refunded"
]
NotRenewable = Literal[
    "cancelled",
    "customer_withdrawn",
    "no_end_date",
    "not_started",
    "already_renewed",
    "too_early",
    "to_be_ended",
    "open_debt",
]


class CreatedSubscription(TypedDict):
    """What a customer subscribed to. ``plan`` is the network plan, or the offer's title where it needs no line.

    ``price_minor`` is due per billing period of the offer. The term is ``starts_on`` up to, not including, ``ends_on``;
    neither is known before a line is installed, and an offer without a term has no end.
    """

    subscription_id: int
    customer_id: int
    plan_id: int
    plan: str
    state: SubscriptionState
    term_months: int | None
    starts_on: date | None
    ends_on: date | None
    price_minor: int
    currency: str


class RenewalEligibility(TypedDict):
    """Whether a subscription can be renewed now; if not, ``reason`` is a sentence and ``reason_code`` a fixed word.

    ``plan``: as in ``CreatedSubscription``; None for a bill that was never sold as an offer.
    """

    eligible: bool
    reason: str | None
    reason_code: NotRenewable | None
    subscription_id: int
    customer_id: int
    plan: str | None
    ends_on: date | None
    renewal_term_months: int | None


class ExtendedSubscription(TypedDict):
    """A term that was made longer by calendar months: ``extended_from`` up to, not including, ``ends_on``."""

    extension_id: int
    subscription_id: int
    customer_id: int
    extended_from: date
    ends_on: date
    extension_months: int


class EndedBilling(TypedDict):
    """A bill that has ended with its service, and when."""

    subscription_id: int
    service_id: int
    customer_id: int
    billing_started_at: datetime
    billing_stopped_at: datetime
    reason: str


class RequestedPayment(TypedDict):
    """A payment that is to be taken. ``idempotency_key`` is what its gateway knows it by, for ever."""

    payment_id: int
    order_id: int | None
    quote_id: int | None
    customer_id: int
    amount: Decimal
    amount_minor: int
    currency: str
    payment_method: PaymentMethod
    provider: str
    state: PaymentState
    idempotency_key: str


class PaymentOutcome(TypedDict):
    """Where a payment stands. ``reference`` is the gateway's number or the settlement's, ``reason`` why it was declined
    or taken back."""

    payment_id: int
    state: PaymentState
    reference: str | None
    reason: str | None
    captured_at: datetime | None


class PaymentSettled(TypedDict):
    """What a run that waits for ``payment_settled`` is told."""

    state: PaymentState
    reference: str | None


# -- licences, partners, tenants, deployments --------------------------------------------------------------------------

PartnerState = Literal["active", "suspended"]
PoolMovement = Literal["granted", "allocated", "returned"]
CommissionType = Literal["percentage", "fixed"]
CommissionState = Literal["accrued", "reversed", "paid"]
DeploymentType = Literal["hosted", "white_label"]
HostedState = Literal["active", "withdrawn"]
DeploymentPriority = Literal["low", "normal", "high", "urgent"]
DeploymentState = Literal["scheduled", "released"]


class PartnerCustomer(TypedDict):
    """A customer whom a partner has brought."""

    customer_id: int
    partner_id: int
    name: str
    email: str


class IssuedLicense(TypedDict):
    """A licence and its key: a signed claim that anybody can prove offline, and that opens nothing by itself."""

    license_key: str
    license_id: int
    customer_id: int
    seats: int
    valid_until: date | None


class AllocatedLicenses(TypedDict):
    """Licences out of a partner's pool; ``quota_remaining`` is what was left of it then."""

    allocation_id: int
    partner_id: int
    customer_id: int
    license_count: int
    quota_remaining: int
    license_ids: list[int]


class LicenseQuota(TypedDict):
    """Whether a partner may give so many licences out. Only an allocation takes them."""

    available: bool
    quota_remaining: int
    partner_id: int
    requested: int


class PartnerRecord(TypedDict):
    """A partner and the terms agreed with them; basis points are hundredths of a percent."""

    partner_id: int
    name: str
    email: str
    state: PartnerState
    license_template_id: int
    license_quota: int
    quota_remaining: int
    commission_type: CommissionType
    commission_basis_points: int | None
    commission_fixed_minor: int | None
    currency: str


class RecordedCommission(TypedDict):
    """What a partner has earned with a customer."""

    commission_id: int
    partner_id: int
    customer_id: int
    commission_type: CommissionType
    amount: Decimal
    amount_minor: int
    currency: str
    state: CommissionState


class ProvisionedTenant(TypedDict):
    """A customer's page; ``tenant_id`` is the name in its address, ``deployment_id`` its number."""

    tenant_url: str
    tenant_id: str
    deployment_id: int


class ScheduledDeployment(TypedDict):
    """A deployment and the technician's visit for it."""

    deployment_id: int
    order_id: int
    customer_id: int
    priority: DeploymentPriority
    technician_id: int
    visit_id: int
    starts_at: datetime
    ends_at: datetime
    state: DeploymentState


class TenantAnswer(TypedDict):
    """A customer's page answered, and it was the right one."""

    tenant_url: str
    status: int
    checked_at: datetime


# -- notices, tickets, links ------------------------------------------------------------------------------------------

LinkPurpose = Literal["accept_quote", "reveal_wifi"]
NoticeState = Literal["queued", "sent", "failed", "withdrawn"]
TicketPriority = Literal["low", "normal", "high", "urgent"]
TicketState = Literal["open", "inProgress", "resolved", "closed", "cancelled"]


@dataclass(frozen=True)
class LinkTo:
    """What a one-time link is for: as a variable of a mail it becomes the link's address when the mail is written.

    ``subject``: the quote's number, the device's serial. ``expires_at``: when it no longer
    opens; take it from what is offered, so that a mail that is asked for twice is the same mail.
    """

    purpose: LinkPurpose
    subject: str
    expires_at: datetime


class QueuedNotice(TypedDict):
    """A notice to a team, in the outbox; delivered by the clock, not by the run."""

    notice_id: int
    team: str
    channel: str
    state: NoticeState


class CreatedTicket(TypedDict):
    """A ticket, and until when it is to be dealt with."""

    ticket_id: int
    customer_id: int | None
    title: str
    priority: TicketPriority
    assigned_team: str
    state: TicketState
    due_at: datetime
