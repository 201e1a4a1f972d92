"""The commercial side of a journey: customers, site surveys, bills, mails and the technician's appointment.

One service a file, named as in the contract: ``customer``, ``crm``, ``billing``, ``communications``, ``ticketing``.
Billing's larger parts stand beside it: ``subscriptions``, ``renewals`` and the package ``payments``; what it must know
of offers, quotes and orders is handed to it as ``facts.SalesFacts``. What the services answer is declared in
``workflows.services`` and ``workflows.answers``. Each is made for one transaction (``BillingService(db, tenant_id=...,
now=...)``), writes only that ``db`` and never commits. Only ``MailDelivery`` and ``payments.PaymentCapture`` talk to
the outside: they hand the outbox to a mail server and payments to their gateways, in transactions of their own. The
lab's mail server is in ``provisioning.commercial.testing``, what must always be true in ``.invariants``.

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
from provisioning.commercial.rendering import MailTemplates, RenderedMail
from provisioning.commercial.smtp import SmtpSettings
from provisioning.commercial.ticketing import TicketingService

__all__ = [
    "BillingError",
    "BillingService",
    "CommunicationsService",
    "CrmService",
    "CustomerConflict",
    "CustomerError",
    "CustomerService",
    "CustomerUnknown",
    "DeliveryDoubtful",
    "DeliveryFailed",
    "DeliveryUnknown",
    "ExtensionNotLast",
    "ExtensionUnknown",
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
    "RenderedMail",
    "ServiceBilledAlready",
    "SmtpSettings",
    "StoppedBilling",
    "SubscriptionInstalled",
    "SubscriptionNotExtendable",
    "SubscriptionStopped",
    "SubscriptionUnknown",
    "SurveyError",
    "SurveyMissing",
    "SurveyNotFeasible",
    "TicketingService",
    "WithdrawnActivation",
]
