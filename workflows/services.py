"""The contract: what a journey may ask for, service by service, method by method.

Two faces, strictly apart. `Services` are bound to the one commit that also records the step's result: they read and
write our database, never commit, never touch the network. `Outside` is everything that talks to the other side:
FreeRADIUS' tables, the ACS, the OLT, the mail server, the payment gateways; each of its methods is safe to repeat.

``network_service``, ``radius_service`` and ``genieacs_service`` are the classes of their packages. The commercial
services are protocols, so that an ISP can plug its own BSS in; ``provisioning/commercial`` is ours. `line_service` is
beyond the contract: whoever drives the OLT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, Protocol

from typing_extensions import Doc, TypedDict

from acs import ConvergenceBySite, GenieAcsService
from ipam import NetworkService
from radius import OwnSessions, RadiusProjector, RadiusService, SessionControl
from workflows.answers import (
    AcceptedQuote,
    AllocatedLicenses,
    CommissionType,
    CreatedSubscription,
    CreatedTicket,
    CustomerFromLead,
    DeploymentPriority,
    EndedBilling,
    ExtendedSubscription,
    IssuedLicense,
    LicenseQuota,
    LinkTo,
    OrderedLine,
    OrderFromQuote,
    PartnerCustomer,
    PartnerRecord,
    PaymentMethod,
    PaymentOutcome,
    ProvisionedTenant,
    QueuedNotice,
    QuoteStanding,
    RecordedCommission,
    RenewalEligibility,
    RenewalQuote,
    RequestedPayment,
    ScheduledDeployment,
    TenantAnswer,
    TicketPriority,
)
from workflows.payloads import CustomerData, WhiteLabelConfig

VisitState = Literal["booked", "scanned", "no_access", "not_feasible", "cancelled", "completed"]
SurveyResult = Literal["feasible", "not_feasible"]
Variables = Annotated[Mapping[str, Any], Doc("the variables that this mail asks for, see [mails](mails.md)")]
Metadata = Annotated[Mapping[str, Any], Doc("texts, numbers, true or false by name, told below the message")]
MailName = Annotated[str, Doc("the name of a mail, see [mails](mails.md)")]
TeamName = Annotated[str, Doc("the name of a team of the estate")]
ChannelName = Annotated[str, Doc("`email`, or the name of one of the team's channels")]
PlanName = Annotated[str, Doc("the name of a network plan")]
Premise = Annotated[str, Doc("the number or an alias of a location")]
Line = Annotated[str, Doc("one line")]
Months = Annotated[int, Doc("calendar months")]
MailState = Literal["queued", "unknown", "sent", "refused", "withdrawn"]
LineState = Literal["requested", "handed_over", "authorised", "refused", "withdrawn"]


class RegisteredCustomer(TypedDict):
    """A customer, in the commercial sense. ``language``: as BCP 47 writes it; None: the ISP's own."""

    customer_id: int
    name: str
    email: str
    phone: str | None
    language: str | None


class SiteSurvey(TypedDict):
    """What the surveyor found at the premise."""

    survey_id: int
    customer_id: int
    service_location: str
    result: SurveyResult
    surveyed_at: datetime
    notes: str


class ScheduledInstallation(TypedDict):
    """A technician's appointment; ``is_announced``: the order's confirmation names this very time."""

    visit_id: int
    technician_id: int
    technician_name: str
    starts_at: datetime
    ends_at: datetime
    state: VisitState
    is_announced: NotRequired[bool]


class ActivatedService(TypedDict):
    """A bill that runs."""

    service_id: int
    customer_id: int
    subscription_id: int
    state: Literal["active"]
    billing_started_at: datetime


class QueuedEmail(TypedDict):
    """A mail in the outbox; not sent yet."""

    email_id: int
    message_id: str
    template: str
    recipient: str
    state: MailState


class DeliveredEmail(TypedDict):
    """A mail that the mail server took."""

    email_id: int
    message_id: str
    recipient: str
    smtp_reply: str
    attempts: int
    sent_at: datetime


class LineOrder(TypedDict):
    """A line to be put on the OLT."""

    line_order_id: int
    device_serial: str
    access_node: str
    port: str | None
    state: LineState


class LineAnswer(TypedDict):
    """What the OLT's side said. ``answered``: it has the line, came up there, sees so much light (dBm); else that comes
    later, and ``snippet`` is what a person is to paste meanwhile. ``refusal``: what came later was a no, and why."""

    answered: bool
    onu_id: int | None
    actual_port: str | None
    received_power_dbm: float | None
    snippet: str | None
    refusal: NotRequired[str]


class LineRemoval(TypedDict):
    """Whether the line is off the OLT; if a person has to take it off, what to paste there."""

    answered: bool
    snippet: str | None


class CustomerService(Protocol):
    """customer_service"""

    async def customer(self, customer_id: int) -> RegisteredCustomer: ...

    async def create_from_lead(
        self, *, lead_id: int, tenant_id: str, request_id: str | None = None
    ) -> CustomerFromLead: ...

    async def withdraw_from_lead(self, *, customer_id: int, lead_id: int, reason: str) -> Any: ...

    async def create_partner_customer(
        self,
        *,
        partner_id: int,
        customer_data: Annotated[Mapping[str, Any], CustomerData],
        request_id: str | None = None,
    ) -> PartnerCustomer: ...

    async def withdraw_partner_customer(self, *, customer_id: int, reason: str) -> Any: ...


class CrmService(Protocol):
    """crm_service"""

    async def get_site_survey(self, *, customer_id: int, service_location: Premise | None = None) -> SiteSurvey: ...

    async def accept_quote(
        self, *, quote_id: int, accepted_by: Line, request_id: str | None = None
    ) -> AcceptedQuote: ...

    async def withdraw_acceptance(self, *, quote_id: int, reason: str) -> Any: ...

    async def create_renewal_quote(
        self, *, customer_id: int, subscription_id: int, renewal_term: Months, request_id: str | None = None
    ) -> RenewalQuote: ...

    async def withdraw_renewal_quote(self, *, quote_id: int, reason: str) -> Any: ...

    async def quote_standing(self, *, quote_id: int) -> QuoteStanding: ...


class SalesService(Protocol):
    """sales_service"""

    async def create_order_from_quote(
        self, *, quote_id: int, tenant_id: str, request_id: str | None = None
    ) -> OrderFromQuote: ...

    async def order_lines(self, *, order_id: int) -> list[OrderedLine]: ...

    async def begin_order(self, *, order_id: int) -> Any: ...

    async def complete_order(self, *, order_id: int) -> Any: ...

    async def fail_order(self, *, order_id: int, reason: str) -> Any: ...

    async def cancel_order(self, *, order_id: int, reason: str) -> Any: ...


class BillingService(Protocol):
    """billing_service"""

    async def activate_service(
        self, *, customer_id: int, service_id: int, plan: PlanName | None = None, request_id: str | None = None
    ) -> ActivatedService: ...

    async def withdraw_activation(self, *, subscription_id: int, reason: str) -> Any: ...

    async def stop_billing(self, *, subscription_id: int, reason: str) -> Any: ...

    async def end_billing(self, *, service_id: int, ended_at: datetime, reason: str) -> EndedBilling | None: ...

    async def create_subscription(
        self,
        *,
        customer_id: int,
        plan_id: Annotated[int, Doc("the number of an offer")],
        tenant_id: str,
        price_minor: int | None = None,
        request_id: str | None = None,
    ) -> CreatedSubscription: ...

    async def cancel_subscription(self, *, subscription_id: int, reason: str) -> Any: ...

    async def check_renewal_eligibility(self, *, customer_id: int, subscription_id: int) -> RenewalEligibility: ...

    async def extend_subscription(
        self, *, subscription_id: int, extension_period: Months, request_id: str | None = None
    ) -> ExtendedSubscription: ...

    async def withdraw_extension(self, *, extension_id: int, reason: str) -> Any: ...

    async def process_payment(
        self, *, order_id: int, amount: Decimal, payment_method: PaymentMethod, request_id: str | None = None
    ) -> RequestedPayment: ...

    async def process_renewal_payment(
        self, *, customer_id: int, quote_id: int, request_id: str | None = None
    ) -> RequestedPayment: ...

    async def void_payment(self, *, payment_id: int, reason: str) -> Any: ...


class LicenseService(Protocol):
    """license_service"""

    async def issue_license(
        self, *, customer_id: int, license_template_id: int, tenant_id: str, request_id: str | None = None
    ) -> IssuedLicense: ...

    async def revoke_license(self, *, license_id: int, reason: str) -> Any: ...

    async def allocate_from_partner(
        self, *, partner_id: int, customer_id: int, license_count: int, request_id: str | None = None
    ) -> AllocatedLicenses: ...

    async def return_allocation(self, *, allocation_id: int, reason: str) -> Any: ...


class DeploymentService(Protocol):
    """deployment_service"""

    async def provision_tenant(
        self,
        *,
        customer_id: int,
        license_key: Annotated[str, Doc("a licence's key, as `issue_license` answers it")],
        deployment_type: Literal["hosted"],
        request_id: str | None = None,
    ) -> ProvisionedTenant: ...

    async def provision_partner_tenant(
        self,
        *,
        customer_id: int,
        partner_id: int,
        white_label_config: Annotated[Mapping[str, Any], WhiteLabelConfig],
        request_id: str | None = None,
    ) -> ProvisionedTenant: ...

    async def withdraw_tenant(self, *, deployment_id: int, reason: str) -> Any: ...

    async def schedule_deployment(
        self,
        *,
        order_id: int,
        customer_id: int,
        priority: DeploymentPriority,
        scheduled_date: date | datetime,
        installation_address: Line | None = None,
        moves_visit: Annotated[bool, Doc("whether a visit that the order has already is moved there")] = False,
        request_id: str | None = None,
    ) -> ScheduledDeployment: ...

    async def complete_deployment(self, *, deployment_id: int, request_id: str | None = None) -> Any: ...

    async def release_deployment(
        self,
        *,
        deployment_id: int,
        reason: str,
        stays: Annotated[bool, Doc("the visit goes on: the order joins it anew")] = False,
    ) -> Any: ...


class CommunicationsService(Protocol):
    """communications_service"""

    async def send_template_email(
        self,
        *,
        template: MailName,
        recipient: Annotated[str, Doc("a mail address")],
        variables: Variables,
        language: Annotated[str, Doc("a language as BCP 47 writes it, such as `de-AT`")] | None = None,
        unattended: Annotated[bool, Doc("no run waits for its delivery: the worker sends it")] = False,
        request_id: str | None = None,
    ) -> QueuedEmail: ...

    async def has_links(self) -> bool: ...

    async def withdraw_unsent_email(self, *, email_id: int, reason: str) -> Any: ...


class NotificationsService(Protocol):
    """notifications_service"""

    async def notify_team(
        self,
        *,
        team: TeamName,
        channel: ChannelName,
        subject: Line,
        message: str,
        metadata: Metadata | None = None,
        request_id: str | None = None,
    ) -> QueuedNotice: ...

    async def withdraw_notice(self, *, notice_id: int) -> Any: ...


class TicketingService(Protocol):
    """ticketing_service"""

    async def create_ticket(
        self,
        *,
        title: Line,
        description: str,
        customer_id: int | None,
        priority: TicketPriority,
        assigned_team: TeamName,
        request_id: str | None = None,
    ) -> CreatedTicket: ...

    async def close_ticket(self, *, ticket_id: int, reason: str) -> Any: ...

    async def schedule_installation(
        self,
        *,
        customer_id: int,
        installation_address: Line,
        technician_id: int,
        scheduled_date: datetime,
        service_location: Premise | None = None,
        planned_port: str | None = None,
        order_id: Annotated[int, Doc("the customer's order, whose visit to come is joined")] | None = None,
        visit_id: Annotated[int, Doc("that visit, if it is joined as it stands")] | None = None,
        request_id: str | None = None,
    ) -> ScheduledInstallation: ...

    async def move_link(self, *, visit_id: int) -> LinkTo | None: ...

    async def complete_visit(self, *, visit_id: int, note: str | None = None, request_id: str | None = None) -> Any: ...

    async def release_visit(
        self,
        *,
        visit_id: int,
        reason: str,
        stays: Annotated[bool, Doc("the visit goes on: the installation joins it anew")] = False,
    ) -> Any: ...


class PartnerService(Protocol):
    """partner_service"""

    async def partner(self, partner_id: int) -> PartnerRecord: ...

    async def check_license_quota(self, *, partner_id: int, requested_licenses: int) -> LicenseQuota: ...

    async def record_commission(
        self,
        *,
        partner_id: int,
        customer_id: int,
        commission_type: CommissionType,
        amount: Decimal,
        request_id: str | None = None,
    ) -> RecordedCommission: ...

    async def reverse_commission(self, *, commission_id: int, reason: str) -> Any: ...


class LineService(Protocol):
    """line_service"""

    async def authorise_line(  # noqa: PLR0913 - each is a fact that the OLT needs
        self,
        *,
        customer_id: int,
        service_id: int,
        device_serial: str,
        access_node: str,
        port: str | None,
        svlan: int,
        cvlan: int | None,
        management_vlan: int | None,
        line_profile: str,
        request_id: str,
    ) -> LineOrder: ...

    async def find_live_line_order(self, *, service_id: int) -> LineOrder | None: ...

    async def withdraw_line(self, *, line_order_id: int) -> Any: ...


@dataclass(frozen=True)
class Services:
    """The services, bound to one commit."""

    customer_service: CustomerService
    crm_service: CrmService
    sales_service: SalesService
    billing_service: BillingService
    license_service: LicenseService
    deployment_service: DeploymentService
    communications_service: CommunicationsService
    notifications_service: NotificationsService
    ticketing_service: TicketingService
    partner_service: PartnerService
    line_service: LineService
    network_service: NetworkService
    radius_service: RadiusService
    genieacs_service: GenieAcsService


class LineHandOver(Protocol):
    """Whoever drives the OLT, reached through an adapter."""

    async def hand_over(self, line_order_id: int) -> LineAnswer: ...

    async def withdraw(self, line_order_id: int) -> LineRemoval: ...


class MailDelivery(Protocol):
    """The way from the outbox to the mail server."""

    async def deliver(self, email_id: int) -> DeliveredEmail: ...


class PaymentCapture(Protocol):
    """Whoever takes the money, reached through a gateway."""

    async def capture(self, payment_id: int) -> PaymentOutcome: ...

    async def probe(self, payment_id: int) -> PaymentOutcome | None: ...

    async def refund(self, payment_id: int, *, reason: str) -> PaymentOutcome: ...


class TenantProbe(Protocol):
    """A look at a customer's page from outside."""

    async def answers(self, tenant_url: str) -> TenantAnswer: ...


class WaysAhead(Protocol):
    """Knows how long the ways to a visit take before its booking holds anybody.

    Where nobody can be asked, or not in time, straight lines stand in.
    """

    async def to_installation(
        self, *, customer_id: int, order_id: int | None, technician_id: int, scheduled_date: datetime
    ) -> None: ...

    async def to_deployment(self, *, customer_id: int, order_id: int, scheduled_date: date | datetime) -> None: ...


@dataclass(frozen=True)
class Outside:
    """Everything that talks to the other side."""

    radius: RadiusProjector
    acs: ConvergenceBySite
    line: LineHandOver
    mail: MailDelivery
    sessions: OwnSessions
    sessions_control: SessionControl
    payments: PaymentCapture
    tenants: TenantProbe
    ways: WaysAhead
