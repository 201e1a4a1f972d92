"""What can go wrong on the provisioning floor, as one tree. (t) marks what a retry may cure by itself.

The branches stand with their packages: ``provisioning.commercial.errors``, ``.notice_errors`` and ``.ticket_errors``,
``provisioning.links`` and ``provisioning.field.errors``.

ProvisioningError
|-- InvalidRequest                the words given can't be meant: every fault named at once
|-- RequestConflict               a request id came again with other input
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
|-- TeamError
|   |-- TeamUnknown
|   `-- ChannelUnknown
|-- NoticeError
|   |-- NoticeUnknown
|   |-- NoticeWithdrawn
|   `-- NoticeSent
|-- TicketError
|   |-- TicketUnknown
|   |-- TicketCancelled
|   |-- TicketMoveRefused         the ticket's state doesn't allow what was asked
|   `-- TicketChanged             somebody else was quicker
|-- LinkError
|   |-- LinkForged                not made here, or changed on its way
|   |-- LinkExpired
|   `-- LinkUsed
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
