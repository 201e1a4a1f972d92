"""The commercial side of a journey: leads, customers, quotes, orders, bills, mails and the technician's appointment.

One service a file, named as in the contract: ``customer``, ``crm``, ``sales``, ``billing``, ``communications``,
``ticketing``. Before them come the catalogue (``offers``), ``leads`` and ``quotes``; ``money`` is how all of it counts.
Billing's larger parts stand beside it: ``subscriptions``, ``renewals`` (their quotes in ``renewal_quotes``) and the
package ``payments``; what it must know of offers, quotes and orders it asks of ``facts.SalesFacts``. What the services
answer is declared in ``workflows.services`` and ``workflows.answers``. Each is made for one transaction
(``BillingService(db, tenant_id=..., now=...)``), writes only that ``db`` and never commits. Only ``MailDelivery`` and
``payments.PaymentCapture`` talk to the outside: they hand the outbox to a mail server and payments to their gateways,
in transactions of their own. The lab's mail server is in ``provisioning.commercial.testing``, what must always be true
in ``.invariants``.

To add a mail: three files in ``mail_templates/``, ``<name>.subject.j2``, ``<name>.text.j2`` and ``<name>.html.j2``;
whatever variables they use become required. To add a service: one file, its class beside the others here, its rows in
``tables``, its refusals in ``errors`` (and in the tree of ``provisioning.errors``).
"""

from provisioning.commercial.billing import BillingService, StoppedBilling, WithdrawnActivation
from provisioning.commercial.communications import CommunicationsService
from provisioning.commercial.crm import CrmService
from provisioning.commercial.customer import CustomerService
from provisioning.commercial.delivery import MailDelivery
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
from provisioning.commercial.leads import LeadRecord, Leads
from provisioning.commercial.offers import OfferCatalogue, OfferRecord, OfferTerms
from provisioning.commercial.publishing import PublishEvent
from provisioning.commercial.quote_errors import (
    OrderCancelled,
    OrderError,
    OrderOver,
    OrderUnknown,
    QuoteAcceptanceWithdrawn,
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
from provisioning.commercial.quote_rows import QuoteRecord, QuoteWithLines
from provisioning.commercial.quotes import Quotes
from provisioning.commercial.rendering import MailTemplates, RenderedMail
from provisioning.commercial.renewals import announce_expiring
from provisioning.commercial.sales import OrderRecord, OrderWithLines, SalesService
from provisioning.commercial.selling_errors import (
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
from provisioning.commercial.smtp import SmtpSettings
from provisioning.commercial.sold_lines import LineRecord, LineWish
from provisioning.commercial.ticketing import TicketingService

__all__ = [
    "BillingError",
    "BillingService",
    "CommunicationsService",
    "CrmService",
    "CustomerConflict",
    "CustomerError",
    "CustomerInUse",
    "CustomerService",
    "CustomerUnknown",
    "CustomerWithdrawn",
    "DeliveryDoubtful",
    "DeliveryFailed",
    "DeliveryUnknown",
    "ExtensionNotLast",
    "ExtensionUnknown",
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
    "LineRecord",
    "LineWish",
    "MailAlreadySent",
    "MailDeferred",
    "MailDelivery",
    "MailError",
    "MailRefused",
    "MailServerUnreachable",
    "MailServerUntrusted",
    "MailTemplates",
    "MailUnknown",
    "MailWithdrawn",
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
    "OrderUnknown",
    "OrderWithLines",
    "PublishEvent",
    "QuoteAcceptanceWithdrawn",
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
    "TicketingService",
    "WithdrawnActivation",
    "announce_expiring",
]
