"""What can go wrong on the provisioning floor, as one tree. (t) marks what a retry may cure by itself.

The branches stand with their packages: ``provisioning.commercial.errors``, ``.licence_errors``, ``.partner_errors``,
``.tenant_errors`` and ``provisioning.field.errors``.

ProvisioningError
|-- InvalidRequest                the words given can't be meant: every fault named at once
|-- RequestConflict               a request id came again with other input
|-- TenantMismatch                what was asked is another tenant's business
|-- ChangeRaced               (t) another change came in between and is gone again: simply try again
|-- FileUnusable                  a file or folder can't be read or written
|-- DatabaseError                 in ``provisioning.database_errors``
|   |-- DatabaseNotMigrated       its tables are missing, or of an older release
|   `-- DatabaseUnreachable   (t) nobody answers there, or not in time
|-- CustomerError
|   |-- CustomerUnknown
|   `-- CustomerConflict          the customer number already belongs to somebody else
|-- SurveyError
|   |-- SurveyMissing
|   `-- SurveyNotFeasible
|-- BillingError
|   |-- ServiceBilledAlready
|   |-- SubscriptionStopped
|   `-- SubscriptionUnknown
|-- MailError
|   |-- MailUnknown
|   |-- MailWithdrawn
|   |-- MailAlreadySent
|   `-- DeliveryFailed
|       |-- MailRefused               5xx: this mail will never be accepted as it is
|       |-- MailServerUntrusted       TLS, certificate or login: the settings must change first
|       |-- MailDeferred          (t) 4xx: the server asks to come again
|       |-- MailServerUnreachable (t) refused, timed out or cut before the message was given
|       |-- DeliveryUnknown       (t) cut after the message was given: it may or may not have arrived
|       `-- DeliveryDoubtful          twice so: whether it arrived has to be asked
|-- LicenseError
|   |-- LicenseTemplateUnknown
|   |-- LicenseTemplateConflict
|   |-- LicenseUnknown
|   |-- LicenseRevoked
|   |-- LicenseExpired
|   |-- LicenseOfAnother
|   |-- LicenseInUse
|   |-- LicenseMissing            the customer holds none that could be used
|   |-- LicenseKeyInvalid         not a licence key, or one that was changed
|   |-- LicenseSignerUnknown
|   `-- PublicKeyUnusable
|-- PartnerError
|   |-- PartnerUnknown
|   |-- PartnerConflict
|   |-- PartnerSuspended
|   |-- QuotaExhausted
|   |-- AllocationUnknown
|   |-- AllocationReturned
|   |-- CustomerOfAnotherPartner
|   |-- PartnerCustomerUnknown
|   |-- PartnerCustomerWithdrawn
|   |-- CommissionUnknown
|   |-- CommissionNotAgreed       another type or amount than the partner was promised
|   |-- CommissionRecorded
|   |-- CommissionReversed
|   `-- CommissionPaid
|-- TenantError
|   |-- TenantUnknown
|   |-- TenantWithdrawn
|   |-- PublicUrlMissing          the setting
|   |-- DomainTaken
|   |-- TenantNotAnswering    (t)
|   `-- TenantPageWrong
|-- DeploymentError
|   |-- DeploymentUnknown
|   |-- DeploymentReleased
|   |-- OrderScheduled
|   |-- PlaceUnknown
|   |-- NoTechnicians
|   |-- DayFull
|   `-- SlotTaken
`-- FieldError
    |-- TechnicianUnknown
    |-- TechnicianConflict        the technician's number already belongs to somebody else
    |-- TechnicianBusy
    |-- VisitUnknown
    `-- VisitOver                 the visit's state doesn't allow what was asked
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


class ProvisioningError(Exception):
    """Provisioning could not do what was asked."""

    code: ClassVar[str] = "provisioning.error"
    transient: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)

    @property
    def message(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one field, in a plain phrase."""

    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.field} {self.reason}"


class InvalidRequest(ProvisioningError):
    """The request can't be carried out as it is written."""

    code = "provisioning.invalid_request"

    def __init__(self, what: str, faults: Iterable[Fault]) -> None:
        self.what = what
        self.faults = tuple(faults)
        super().__init__(f"{what} was refused, nothing was written: {'; '.join(str(fault) for fault in self.faults)}.")


class RequestConflict(ProvisioningError):
    """This request id was used before with other input."""

    code = "provisioning.request_conflict"

    def __init__(self, request_id: str, earlier: str) -> None:
        self.request_id = request_id
        self.earlier = earlier
        super().__init__(
            f"Request {request_id} already made {earlier} from other input; "
            "repeat it unchanged, or use a new request id for a new wish."
        )


class TenantMismatch(ProvisioningError):
    """What was asked is another tenant's business."""

    code = "provisioning.tenant_mismatch"

    def __init__(self, asked: str, bound_to: str) -> None:
        self.asked = asked
        super().__init__(f"This was asked for tenant {asked}, but {bound_to} is served here; nothing was written.")


class FileUnusable(ProvisioningError):
    """A file or folder can't be used."""

    code = "provisioning.file_unusable"

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} can't be used: {reason}.")


class ChangeRaced(ProvisioningError):
    """Another change to the same record came in between and is gone again; try again."""

    code = "provisioning.change_raced"
    transient = True
