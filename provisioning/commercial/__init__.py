"""The commercial side of a journey: customers, site surveys, bills, mails, notices, tickets and appointments.

One service a file, named as in the contract: ``customer``, ``crm``, ``billing``, ``communications``, ``notifications``,
``ticketing``.
What they answer is declared in ``workflows.services``. Each is made for one transaction (``BillingService(db,
tenant_id=..., now=...)``), writes only that ``db`` and never commits. Only ``MailDelivery`` and
``NoticeDelivery`` talk to the outside: they hand the outboxes over, in transactions of their own. The lab's mail server
is in ``provisioning.commercial.testing``, what must always be true in ``.invariants``.

To add a mail: in every language's folder of ``mail_templates/`` three files, ``<name>.subject.j2``, ``<name>.text.j2``
and ``<name>.html.j2``, and ``samples/<name>.json``; whatever variables they use become required, the filters they may
go through stand in ``wording``. ``make mails`` writes what the tests compare. To add a language: a folder with all of
them. To add a service: one file, its class beside the others here, its rows in
``tables``, its refusals in ``errors`` (and in the tree of ``provisioning.errors``).
"""

from provisioning.commercial.billing import BillingService, StoppedBilling
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
    MailAlreadySent,
    MailDeferred,
    MailError,
    MailRefused,
    MailServerUnreachable,
    MailServerUntrusted,
    MailUnknown,
    MailWithdrawn,
    ServiceBilledAlready,
    SubscriptionStopped,
    SubscriptionUnknown,
    SurveyError,
    SurveyMissing,
    SurveyNotFeasible,
)
from provisioning.commercial.mail_samples import MailPreview
from provisioning.commercial.notice_delivery import NoticeDelivery
from provisioning.commercial.notice_errors import (
    ChannelUnknown,
    NoticeError,
    NoticeSent,
    NoticeUnknown,
    NoticeWithdrawn,
    TeamError,
    TeamUnknown,
)
from provisioning.commercial.notifications import NotificationsService
from provisioning.commercial.outbox import Outbox
from provisioning.commercial.rendering import MailTemplates, RenderedMail
from provisioning.commercial.smtp import SmtpSettings
from provisioning.commercial.teams import Teams
from provisioning.commercial.ticket_desk import TicketDesk, TicketRecord
from provisioning.commercial.ticket_errors import (
    TicketCancelled,
    TicketChanged,
    TicketError,
    TicketMoveRefused,
    TicketUnknown,
)
from provisioning.commercial.ticketing import TicketingService

__all__ = [
    "BillingError",
    "BillingService",
    "ChannelUnknown",
    "CommunicationsService",
    "CrmService",
    "CustomerConflict",
    "CustomerError",
    "CustomerService",
    "CustomerUnknown",
    "DeliveryDoubtful",
    "DeliveryFailed",
    "DeliveryUnknown",
    "MailAlreadySent",
    "MailDeferred",
    "MailDelivery",
    "MailError",
    "MailPreview",
    "MailRefused",
    "MailServerUnreachable",
    "MailServerUntrusted",
    "MailTemplates",
    "MailUnknown",
    "MailWithdrawn",
    "NoticeDelivery",
    "NoticeError",
    "NoticeSent",
    "NoticeUnknown",
    "NoticeWithdrawn",
    "NotificationsService",
    "Outbox",
    "RenderedMail",
    "ServiceBilledAlready",
    "SmtpSettings",
    "StoppedBilling",
    "SubscriptionStopped",
    "SubscriptionUnknown",
    "SurveyError",
    "SurveyMissing",
    "SurveyNotFeasible",
    "TeamError",
    "TeamUnknown",
    "Teams",
    "TicketCancelled",
    "TicketChanged",
    "TicketDesk",
    "TicketError",
    "TicketMoveRefused",
    "TicketRecord",
    "TicketUnknown",
    "TicketingService",
]
