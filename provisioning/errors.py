"""What can go wrong on the provisioning floor, as one tree. (t) marks what a retry may cure by itself.

What is no class of this file stands with its package or module: the branches of customers, surveys, bills and mails
in ``provisioning.commercial.errors``, what is sold in its ``.selling_errors``, ``.quote_errors``, ``.money`` and
``.payments.errors``, licences, partners and pages in its ``.licence_errors``, ``.partner_errors`` and
``.tenant_errors``, notices and tickets in its ``.notice_errors`` and ``.ticket_errors``; links in
``provisioning.links``, ONTs that were found in ``provisioning.found_onts``, that of field work in
``provisioning.field.errors``, its ``.work_errors`` and ``.choice_errors``, of a live service's addresses in
``provisioning.address_errors``; those of the HTTP API's doors in ``provisioning.access.errors`` and
``provisioning.api.errors``.

ProvisioningError
|-- InvalidRequest                the words given can't be meant: every fault named at once
|   `-- CpeListRefused            in ``provisioning.device_files``: lines of a list of CPEs are wrong
|-- RequestConflict               a request id came again with other input
|-- TenantMismatch                asked for another tenant than the services are bound to
|-- ChangeRaced               (t) another change came in between and is gone again: simply try again
|-- FileUnusable                  a file or folder can't be read or written
|-- SettingsRefused               in ``provisioning.settings``: the environment or a file says what can't be meant
|-- WorkerRunning                 in ``provisioning.sole_worker``: SQLite has its one worker already
|-- DatabaseError                 in ``provisioning.database_errors``
|   |-- ChangesCollided       (t) one of two that waited for each other was taken back
|   |-- DatabaseNotMigrated       its tables are missing, or of an older release
|   `-- DatabaseUnreachable   (t) nobody answers there, or not in time
|-- CustomerError
|   |-- CustomerUnknown
|   |-- CustomerConflict          the customer number already belongs to somebody else
|   |-- CustomerWithdrawn         made by a journey, and taken back since
|   `-- CustomerInUse             a running bill or an open order is in the way of taking them back
|-- SurveyError
|   |-- SurveyMissing
|   `-- SurveyNotFeasible
|-- BillingError
|   |-- ServiceBilledAlready
|   |-- SubscriptionStopped
|   |-- SubscriptionUnknown
|   |-- SubscriptionInstalled     it carries a line by now: end the service
|   |-- SubscriptionNotExtendable no term, or over
|   |-- ExtensionUnknown
|   |-- ExtensionNotLast          a later one begins where it ends
|   `-- SubscriptionEnded         too late to renew it
|-- MoneyError
|   |-- CurrencyUnknown
|   `-- AmountRefused             no number, negative, too large, or more decimals than the currency has
|-- OfferError
|   |-- OfferUnknown
|   |-- OfferNotSold              inactive
|   `-- OfferConflict             the number already stands for another plan or currency
|-- LeadError
|   |-- LeadUnknown
|   |-- LeadNotQualified
|   |   `-- LeadDisqualified
|   |-- LeadConverted             a customer already
|   |-- LeadConversionWithdrawn   the same request doesn't repeat what was taken back
|   |-- LeadOfKnownCustomer       its mail address is a customer's
|   `-- LeadOfAnotherCustomer
|-- QuoteError
|   |-- QuoteUnknown
|   |-- QuoteNotOpen              the state doesn't allow what was asked
|   |-- QuoteExpired
|   |-- QuoteChanged              somebody else was quicker
|   |-- QuoteAcceptanceWithdrawn  the same request doesn't repeat what was taken back
|   |-- QuoteAcceptedOtherwise    accepted already, and that wished otherwise
|   |-- QuoteOrdered              its order is in the way
|   |-- QuoteNotAccepted          no order without acceptance
|   |-- QuoteOfRenewal            a renewal makes no order
|   `-- RenewalQuoteOpen          another renewal of the same term is on offer
|-- OrderError
|   |-- OrderUnknown
|   |-- OrderCancelled            the same request doesn't revive it
|   `-- OrderOver                 the state doesn't allow what was asked
|-- PaymentError                  in ``provisioning.commercial.payments.errors``
|   |-- PaymentUnknown
|   |-- NothingToPay              post-paid, cancelled, not accepted, or free
|   |-- PaymentStands             the order or quote has another payment
|   |-- PaymentOver               taken back: nothing is taken for it any more
|   |-- PaymentWithGateway        its gateway must be asked before it is dropped
|   |-- PaymentDeclined           the gateway said no, and took nothing
|   |-- PaymentOutcomeUnknown (t) the gateway never said what it did: it is asked again
|   |-- PaymentMismatch           another amount was taken
|   |-- RefundAwaited             the money goes back later, or by a person's hand
|   |-- RefundNotAsked
|   |-- SettlementConflict        settled with another reference before
|   |-- NotSettledByHand          its gateway says by itself
|   |-- GatewayMissing            its settings are not there
|   |-- WebhookRefused            forged, too old, or not to be understood
|   `-- GatewayError              it did nothing
|       |-- GatewayUnreachable (t)
|       |-- GatewayBusy       (t)
|       |-- GatewayUntrusted      our key: the settings must change first
|       |-- GatewayConflict       the key came with another request before
|       `-- GatewayRefused        it doesn't take such a request
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
|   |-- DomainUnknown
|   |-- PartnerOrderedOtherwise   the order of this reference was taken with other content
|   |-- DomainUnproven            its DNS doesn't say that it is the partner's
|   |-- DomainOfAnother           another partner's, proven
|   |-- DomainClaimsTooMany       prove some, or drop them
|   |-- DomainUnresolved      (t)
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
|   |-- NobodyAble
|   |-- DayFull
|   `-- SlotTaken
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
|-- SignatureRefused              in ``provisioning.signatures``: forged, too old, or not signed at all
|-- WebhookError                  in ``provisioning.webhooks.errors``
|   |-- WebhookUnknown
|   |-- WebhookDisabled           nothing could be sent to it
|   |-- MessageUnknown
|   |-- TargetRefused             it leads where nothing may be sent
|   `-- TargetUnresolved      (t) its host has no address at present
|-- FieldError
|   |-- TechnicianUnknown
|   |-- TechnicianConflict        the technician's number already belongs to somebody else
|   |-- SlotRefused               the technician can't be sent at that time
|   |   |-- TechnicianBusy
|   |   |-- OutsideHours
|   |   |-- NobodyFree
|   |   `-- SkillMissing
|   |-- JobUnknown
|   |-- LeaveUnknown
|   |-- PhotoUnknown
|   |-- PhotosFull                as many as are kept of one visit
|   |-- FeedUnknown
|   |-- RosterCollides            visits are booked when the technician would not work any more
|   |-- SkillsNeeded              visits are booked that need what the technician would not be able to do any more
|   |-- HoldEnds                  the run gives its addresses back before the visit would be
|   |-- VisitUnknown
|   |-- VisitOver                 the visit's state doesn't allow what was asked
|   |-- VisitNotBegun             that nobody is there can't be told before
|   |-- CancelRefused             only dispatch calls a visit off
|   |-- VisitChanged              somebody else was quicker
|   |-- VisitMoving               another appointment was made, and the run has yet to hear of it
|   |-- NoTimeChosen              by the customer; or the one that the visit has
|   |-- InvitationUnknown
|   |-- InvitationOver            nothing is to be chosen by it any more
|   |-- NoTimeAwaited             no customer can choose a time for this run
|   |-- NoVisitAwaited            nothing is to be booked for this run
|   |-- VisitNotMovable           not by its customer: too soon, too often, or over
|   |-- StockElsewhere            a serial is in somebody else's van
|   |-- StockInstalled            a serial is at a customer's, by what is known
|   |-- StockMissing              a serial isn't in this van
|   |-- StockUnknown
|   |-- SheetChanged              somebody else has written into the visit's record meanwhile
|   `-- NotDone                   not everything has been seen to work yet
|-- PhotoRefused                  in ``provisioning.photo_files``: no picture that is taken here
|-- PhotoMissing                  in ``provisioning.photo_files``: its file is gone, or another one
|-- AddressError                  a live service's addresses; drawn in ``provisioning.address_errors``
|-- RunMoved                      in ``provisioning.run_desk``: somebody else was quicker with the run
|-- RunHandedOver                 there too: a team has it already as it stands
|-- ServiceUnderWay               in ``provisioning.under_way``: a run goes on with the service
|-- CpeHoldsUsername              in ``provisioning.subscriber_cpes``: a CPE logs in under the name that is to change
|-- SubscriberMoved               in ``provisioning.truth``: somebody else was quicker with the subscriber
|-- OltHasOldCpe                  in ``provisioning.device_desk``: the OLT lets in the CPE that is to be replaced
|-- RunLooksAfter                 in ``provisioning.subscriber_desk``: a run begins and ends this subscriber
|-- AccessError                   tokens and permissions; drawn in ``provisioning.access.errors``
|-- ConsoleError                  in ``provisioning.console.errors``: what the console's pages load is missing
|-- ApiError                      a request as HTTP; drawn in ``provisioning.api.errors``
|-- OntNotBound                   in ``provisioning.found_onts``: an ONT was found, and whose it is, is not known
|   |-- OntNotAwaited
|   |-- OntAmbiguous
|   `-- OntServes
|-- LineError                     the OLT's side; drawn in ``provisioning.line.errors``
`-- VaultError                    secrets and their keys; drawn in ``provisioning.vault.errors``
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
        return f"{self.field} {self.reason.removesuffix('.')}".lstrip()  # a reason may be another error's sentence


class InvalidRequest(ProvisioningError):
    """The request can't be carried out as it is written."""

    code = "provisioning.invalid_request"

    def __init__(self, what: str, faults: Iterable[Fault], *, left: str = "nothing was written") -> None:
        self.what = what
        self.left = left
        """What there is of it all the same."""
        self.faults = tuple(faults)
        super().__init__(f"{what} was refused, {left}: {'; '.join(str(fault) for fault in self.faults)}.")


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

    def __init__(self, path: str, reason: str, *, act: str = "used", is_done: bool = False) -> None:
        """``act``: what can't be done with it. ``is_done``: what was asked for had been done by then."""
        self.path = path
        done = " The change was made before that, and stays: look at what it did, don't repeat it." if is_done else ""
        super().__init__(f"{path} can't be {act}: {reason}.{done}")


class ChangeRaced(ProvisioningError):
    """Another change to the same record came in between and is gone again; try again."""

    code = "provisioning.change_raced"
    transient = True
