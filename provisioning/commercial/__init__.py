"""The commercial side of a journey: customers, site surveys, bills, mails and the technician's appointment.

One service a file, named as in the contract: ``customer``, ``crm``, ``billing``, ``license``, ``deployment``,
``communications``, ``ticketing``, ``partner``. What they answer is declared in ``workflows.services``. Each is made for
one transaction (``BillingService(db, tenant_id=..., now=...)``), writes only that ``db`` and never commits. Two talk to
the outside: ``MailDelivery`` hands the outbox to a mail server, in transactions of its own, and ``TenantProbe`` looks
whether a customer's page answers. The lab's mail server is in ``provisioning.commercial.testing``, what must always be
true in ``.invariants`` and ``.partner_invariants``.

To add a mail: three files in ``mail_templates/``, ``<name>.subject.j2``, ``<name>.text.j2`` and ``<name>.html.j2``;
whatever variables they use become required. To add a service: one file, its class beside the others here, its rows in
``tables``, its refusals in ``errors`` (and in the tree of ``provisioning.errors``).
"""

from provisioning.commercial.billing import BillingService, StoppedBilling
from provisioning.commercial.communications import CommunicationsService
from provisioning.commercial.crm import CrmService
from provisioning.commercial.customer import CustomerService
from provisioning.commercial.delivery import MailDelivery
from provisioning.commercial.deployment import DeploymentService
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
from provisioning.commercial.hosted_tenants import HostedTenants, tenant_url
from provisioning.commercial.licence_errors import (
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
from provisioning.commercial.licence_keys import (
    LicenseClaims,
    public_key_pem,
    read_public_keys,
    verify_license_key,
)
from provisioning.commercial.licence_signing import SigningKeys, public_keys, require_valid_license
from provisioning.commercial.licence_templates import LicenseTemplates
from provisioning.commercial.license import LARGEST_ALLOCATION, LicenseService
from provisioning.commercial.partner import PartnerService
from provisioning.commercial.partner_customers import read_customer_data
from provisioning.commercial.partner_errors import (
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
    PartnerSuspended,
    PartnerUnknown,
    QuotaExhausted,
)
from provisioning.commercial.partner_list import CommissionTerms, Partners
from provisioning.commercial.rendering import MailTemplates, RenderedMail
from provisioning.commercial.smtp import SmtpSettings
from provisioning.commercial.tenant_directory import TenantDirectory
from provisioning.commercial.tenant_errors import (
    DayFull,
    DeploymentError,
    DeploymentReleased,
    DeploymentUnknown,
    DomainTaken,
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
from provisioning.commercial.tenant_page import (
    BRAND_STYLESHEET,
    COMMON_STYLESHEET,
    TenantPage,
    common_stylesheet,
    render_brand_stylesheet,
    render_tenant_page,
)
from provisioning.commercial.tenant_probe import TenantProbe
from provisioning.commercial.ticketing import TicketingService
from provisioning.commercial.white_label import WhiteLabel, read_white_label

__all__ = [
    "BRAND_STYLESHEET",
    "COMMON_STYLESHEET",
    "LARGEST_ALLOCATION",
    "AllocationReturned",
    "AllocationUnknown",
    "BillingError",
    "BillingService",
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
    "CustomerOfAnotherPartner",
    "CustomerService",
    "CustomerUnknown",
    "DayFull",
    "DeliveryDoubtful",
    "DeliveryFailed",
    "DeliveryUnknown",
    "DeploymentError",
    "DeploymentReleased",
    "DeploymentService",
    "DeploymentUnknown",
    "DomainTaken",
    "HostedTenants",
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
    "NoTechnicians",
    "OrderScheduled",
    "PartnerConflict",
    "PartnerCustomerUnknown",
    "PartnerCustomerWithdrawn",
    "PartnerError",
    "PartnerService",
    "PartnerSuspended",
    "PartnerUnknown",
    "Partners",
    "PlaceUnknown",
    "PublicKeyUnusable",
    "PublicUrlMissing",
    "QuotaExhausted",
    "RenderedMail",
    "ServiceBilledAlready",
    "SigningKeys",
    "SlotTaken",
    "SmtpSettings",
    "StoppedBilling",
    "SubscriptionStopped",
    "SubscriptionUnknown",
    "SurveyError",
    "SurveyMissing",
    "SurveyNotFeasible",
    "TenantDirectory",
    "TenantError",
    "TenantNotAnswering",
    "TenantPage",
    "TenantPageWrong",
    "TenantProbe",
    "TenantUnknown",
    "TenantWithdrawn",
    "TicketingService",
    "WhiteLabel",
    "common_stylesheet",
    "public_key_pem",
    "public_keys",
    "read_customer_data",
    "read_public_keys",
    "read_white_label",
    "render_brand_stylesheet",
    "render_tenant_page",
    "require_valid_license",
    "tenant_url",
    "verify_license_key",
]
