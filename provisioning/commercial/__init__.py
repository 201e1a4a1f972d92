"""The commercial side of a journey: leads, customers, quotes, orders, bills, mails, notices, tickets and appointments.

One folder a noun, and in it one service a file, named as in the contract: ``customers/customer``, ``selling/crm`` and
``selling/sales``, ``bills/billing``, ``licences/license``, ``tenants`` and ``scheduling/deployment``,
``mails/communications``, ``notices/notifications``, ``helpdesk/ticketing``, ``partners/partner``. Before them come the
catalogue (``selling/offers``), ``leads`` and ``quotes``; ``money`` is how all of it counts. Billing's larger parts
stand beside it: ``activations``, ``subscriptions``, ``renewals`` (their quotes in ``selling/renewal_quotes``) and the
package ``payments``; what it must know of offers, quotes and orders it asks of ``facts.SalesFacts``. What the services
are given and answer is declared in ``workflows.services``, ``workflows.payloads`` and ``workflows.answers``. Each is
made for one transaction (``BillingService(db, tenant_id=..., now=...)``), writes only that ``db`` and never commits.
Four talk to the outside, in transactions of their own: ``MailDelivery`` and ``NoticeDelivery`` hand the outboxes over,
``payments.PaymentCapture`` payments to their gateways, and ``TenantProbe`` looks whether a customer's page answers.
The lab's mail server is in ``provisioning.commercial.testing``, what must always be true in ``.invariants`` and the
modules of that name in the folders.

To add a mail: in every language's folder of ``mails/mail_templates/`` three files, ``<name>.subject.j2``,
``<name>.text.j2`` and ``<name>.html.j2``, and ``samples/<name>.json``; whatever variables they use become required,
the filters they may go through stand in ``mails/wording``. ``make mails`` writes what the tests compare. To add a
language: a folder with all of them. To add a service: one file, its class beside the others here, its rows in
``tables`` of its folder, its refusals in ``errors`` (and in the tree of ``provisioning.errors``).
"""

from provisioning.commercial.bills.activations import StoppedBilling, WithdrawnActivation
from provisioning.commercial.bills.billing import BillingService
from provisioning.commercial.bills.expiry import announce_expiring
from provisioning.commercial.customers.customer import CustomerRecord, CustomerService
from provisioning.commercial.customers.customer_keys import CustomerSearch, FoundCustomer
from provisioning.commercial.customers.customer_rows import unregistered
from provisioning.commercial.customers.words import words_of
from provisioning.commercial.errors import (
    BillingError,
    CustomerConflict,
    CustomerError,
    CustomerUnknown,
    DeliveryDoubtful,
    DeliveryFailed,
    DeliveryUnknown,
    ExtensionNotLast,
    ExtensionUnknown,
    MailAlreadySent,
    MailDeferred,
    MailError,
    MailRefused,
    MailServerUnreachable,
    MailServerUntrusted,
    MailUnknown,
    MailWithdrawn,
    ServiceBilledAlready,
    SubscriptionInstalled,
    SubscriptionNotExtendable,
    SubscriptionStopped,
    SubscriptionUnknown,
    SurveyError,
    SurveyMissing,
    SurveyNotFeasible,
)
from provisioning.commercial.helpdesk.ticket_desk import MOVES as TICKET_MOVES
from provisioning.commercial.helpdesk.ticket_desk import TicketDesk, TicketRecord
from provisioning.commercial.helpdesk.ticket_errors import (
    TicketCancelled,
    TicketChanged,
    TicketError,
    TicketMoveRefused,
    TicketUnknown,
)
from provisioning.commercial.helpdesk.ticketing import TicketingService
from provisioning.commercial.licences.licence_errors import (
    LicenseError,
    LicenseExpired,
    LicenseInUse,
    LicenseKeyInvalid,
    LicenseMissing,
    LicenseOfAnother,
    LicenseRevoked,
    LicenseSignerUnknown,
    LicenseTemplateConflict,
    LicenseTemplateUnknown,
    LicenseUnknown,
    PublicKeyUnusable,
)
from provisioning.commercial.licences.licence_keys import (
    LicenseClaims,
    public_key_pem,
    read_public_keys,
    verify_license_key,
)
from provisioning.commercial.licences.licence_signing import SigningKeys, public_keys, require_valid_license
from provisioning.commercial.licences.licence_templates import LicenseTemplates
from provisioning.commercial.licences.license import LARGEST_ALLOCATION, LicenseService
from provisioning.commercial.mails.communications import CommunicationsService
from provisioning.commercial.mails.delivery import MailDelivery
from provisioning.commercial.mails.failing import FailingMessages, failing_messages
from provisioning.commercial.mails.mail_samples import MailPreview, MailTemplate
from provisioning.commercial.mails.outbox import Outbox
from provisioning.commercial.mails.rendering import MailTemplates, RenderedMail
from provisioning.commercial.mails.smtp import SmtpSettings
from provisioning.commercial.mails.unattended import UnattendedMails
from provisioning.commercial.notices.notice_delivery import NoticeDelivery
from provisioning.commercial.notices.notice_errors import (
    ChannelUnknown,
    NoticeError,
    NoticeSent,
    NoticeUnknown,
    NoticeWithdrawn,
    TeamError,
    TeamUnknown,
)
from provisioning.commercial.notices.notifications import NotificationsService
from provisioning.commercial.notices.teams import Teams
from provisioning.commercial.partners.domain_errors import (
    DomainClaimsTooMany,
    DomainOfAnother,
    DomainUnknown,
    DomainUnproven,
    DomainUnresolved,
)
from provisioning.commercial.partners.domain_proofs import DomainProofs, txt_records
from provisioning.commercial.partners.domain_records import DomainPatience, DomainRecord
from provisioning.commercial.partners.partner import PartnerService
from provisioning.commercial.partners.partner_customers import read_customer_data
from provisioning.commercial.partners.partner_domains import PartnerDomains
from provisioning.commercial.partners.partner_errors import (
    AllocationReturned,
    AllocationUnknown,
    CommissionNotAgreed,
    CommissionPaid,
    CommissionRecorded,
    CommissionReversed,
    CommissionUnknown,
    CustomerOfAnotherPartner,
    PartnerConflict,
    PartnerCustomerUnknown,
    PartnerCustomerWithdrawn,
    PartnerError,
    PartnerOrderedOtherwise,
    PartnerSuspended,
    PartnerUnknown,
    QuotaExhausted,
)
from provisioning.commercial.partners.partner_list import CommissionTerms, Partners
from provisioning.commercial.publishing import PublishEvent
from provisioning.commercial.scheduling.deployment import DeploymentService
from provisioning.commercial.selling.crm import CrmService
from provisioning.commercial.selling.leads import LeadRecord, Leads
from provisioning.commercial.selling.offers import OfferCatalogue, OfferRecord, OfferTerms
from provisioning.commercial.selling.quote_errors import (
    OrderCancelled,
    OrderError,
    OrderOver,
    OrderUnknown,
    QuoteAcceptanceWithdrawn,
    QuoteAcceptedOtherwise,
    QuoteChanged,
    QuoteError,
    QuoteExpired,
    QuoteNotAccepted,
    QuoteNotOpen,
    QuoteOfRenewal,
    QuoteOrdered,
    QuoteUnknown,
    RenewalQuoteOpen,
    SubscriptionEnded,
)
from provisioning.commercial.selling.quote_rows import QuoteRecord, QuoteWithLines
from provisioning.commercial.selling.quotes import Quotes
from provisioning.commercial.selling.sales import OrderRecord, OrderWithLines, SalesService
from provisioning.commercial.selling.selling_errors import (
    CustomerInUse,
    CustomerWithdrawn,
    LeadConversionWithdrawn,
    LeadConverted,
    LeadDisqualified,
    LeadError,
    LeadNotQualified,
    LeadOfAnotherCustomer,
    LeadOfKnownCustomer,
    LeadUnknown,
    OfferConflict,
    OfferError,
    OfferNotSold,
    OfferUnknown,
)
from provisioning.commercial.selling.sold_lines import LineRecord, LineWish
from provisioning.commercial.tenants.brand import WhiteLabel, read_white_label
from provisioning.commercial.tenants.hosted_tenants import HostedTenants, tenant_url
from provisioning.commercial.tenants.tenant_directory import TenantDirectory
from provisioning.commercial.tenants.tenant_errors import (
    DayFull,
    DeploymentError,
    DeploymentReleased,
    DeploymentUnknown,
    DomainTaken,
    NobodyAble,
    NoTechnicians,
    OrderScheduled,
    PlaceUnknown,
    PublicUrlMissing,
    SlotTaken,
    TenantError,
    TenantNotAnswering,
    TenantPageWrong,
    TenantUnknown,
    TenantWithdrawn,
)
from provisioning.commercial.tenants.tenant_page import (
    BRAND_STYLESHEET,
    COMMON_STYLESHEET,
    TenantPage,
    common_stylesheet,
    render_brand_stylesheet,
    render_tenant_page,
)
from provisioning.commercial.tenants.tenant_probe import TenantProbe

__all__ = [
    "BRAND_STYLESHEET",
    "COMMON_STYLESHEET",
    "LARGEST_ALLOCATION",
    "TICKET_MOVES",
    "AllocationReturned",
    "AllocationUnknown",
    "BillingError",
    "BillingService",
    "ChannelUnknown",
    "CommissionNotAgreed",
    "CommissionPaid",
    "CommissionRecorded",
    "CommissionReversed",
    "CommissionTerms",
    "CommissionUnknown",
    "CommunicationsService",
    "CrmService",
    "CustomerConflict",
    "CustomerError",
    "CustomerInUse",
    "CustomerOfAnotherPartner",
    "CustomerRecord",
    "CustomerSearch",
    "CustomerService",
    "CustomerUnknown",
    "CustomerWithdrawn",
    "DayFull",
    "DeliveryDoubtful",
    "DeliveryFailed",
    "DeliveryUnknown",
    "DeploymentError",
    "DeploymentReleased",
    "DeploymentService",
    "DeploymentUnknown",
    "DomainClaimsTooMany",
    "DomainOfAnother",
    "DomainPatience",
    "DomainProofs",
    "DomainRecord",
    "DomainTaken",
    "DomainUnknown",
    "DomainUnproven",
    "DomainUnresolved",
    "ExtensionNotLast",
    "ExtensionUnknown",
    "FailingMessages",
    "FoundCustomer",
    "HostedTenants",
    "LeadConversionWithdrawn",
    "LeadConverted",
    "LeadDisqualified",
    "LeadError",
    "LeadNotQualified",
    "LeadOfAnotherCustomer",
    "LeadOfKnownCustomer",
    "LeadRecord",
    "LeadUnknown",
    "Leads",
    "LicenseClaims",
    "LicenseError",
    "LicenseExpired",
    "LicenseInUse",
    "LicenseKeyInvalid",
    "LicenseMissing",
    "LicenseOfAnother",
    "LicenseRevoked",
    "LicenseService",
    "LicenseSignerUnknown",
    "LicenseTemplateConflict",
    "LicenseTemplateUnknown",
    "LicenseTemplates",
    "LicenseUnknown",
    "LineRecord",
    "LineWish",
    "MailAlreadySent",
    "MailDeferred",
    "MailDelivery",
    "MailError",
    "MailPreview",
    "MailRefused",
    "MailServerUnreachable",
    "MailServerUntrusted",
    "MailTemplate",
    "MailTemplates",
    "MailUnknown",
    "MailWithdrawn",
    "NoTechnicians",
    "NobodyAble",
    "NoticeDelivery",
    "NoticeError",
    "NoticeSent",
    "NoticeUnknown",
    "NoticeWithdrawn",
    "NotificationsService",
    "OfferCatalogue",
    "OfferConflict",
    "OfferError",
    "OfferNotSold",
    "OfferRecord",
    "OfferTerms",
    "OfferUnknown",
    "OrderCancelled",
    "OrderError",
    "OrderOver",
    "OrderRecord",
    "OrderScheduled",
    "OrderUnknown",
    "OrderWithLines",
    "Outbox",
    "PartnerConflict",
    "PartnerCustomerUnknown",
    "PartnerCustomerWithdrawn",
    "PartnerDomains",
    "PartnerError",
    "PartnerOrderedOtherwise",
    "PartnerService",
    "PartnerSuspended",
    "PartnerUnknown",
    "Partners",
    "PlaceUnknown",
    "PublicKeyUnusable",
    "PublicUrlMissing",
    "PublishEvent",
    "QuotaExhausted",
    "QuoteAcceptanceWithdrawn",
    "QuoteAcceptedOtherwise",
    "QuoteChanged",
    "QuoteError",
    "QuoteExpired",
    "QuoteNotAccepted",
    "QuoteNotOpen",
    "QuoteOfRenewal",
    "QuoteOrdered",
    "QuoteRecord",
    "QuoteUnknown",
    "QuoteWithLines",
    "Quotes",
    "RenderedMail",
    "RenewalQuoteOpen",
    "SalesService",
    "ServiceBilledAlready",
    "SigningKeys",
    "SlotTaken",
    "SmtpSettings",
    "StoppedBilling",
    "SubscriptionEnded",
    "SubscriptionInstalled",
    "SubscriptionNotExtendable",
    "SubscriptionStopped",
    "SubscriptionUnknown",
    "SurveyError",
    "SurveyMissing",
    "SurveyNotFeasible",
    "TeamError",
    "TeamUnknown",
    "Teams",
    "TenantDirectory",
    "TenantError",
    "TenantNotAnswering",
    "TenantPage",
    "TenantPageWrong",
    "TenantProbe",
    "TenantUnknown",
    "TenantWithdrawn",
    "TicketCancelled",
    "TicketChanged",
    "TicketDesk",
    "TicketError",
    "TicketMoveRefused",
    "TicketRecord",
    "TicketUnknown",
    "TicketingService",
    "UnattendedMails",
    "WhiteLabel",
    "WithdrawnActivation",
    "announce_expiring",
    "common_stylesheet",
    "failing_messages",
    "public_key_pem",
    "public_keys",
    "read_customer_data",
    "read_public_keys",
    "read_white_label",
    "render_brand_stylesheet",
    "render_tenant_page",
    "require_valid_license",
    "tenant_url",
    "txt_records",
    "unregistered",
    "verify_license_key",
    "words_of",
]
