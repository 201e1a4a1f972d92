"""What the commercial services refuse, and how mail fails. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar

from provisioning.errors import ProvisioningError


class CustomerError(ProvisioningError):
    """Something is wrong with this customer's record."""

    code = "customer.error"


class CustomerUnknown(CustomerError):
    """No such customer."""

    code = "customer.unknown"

    def __init__(self, customer_id: int) -> None:
        self.customer_id = customer_id
        super().__init__(f"Customer {customer_id} is not registered; register the customer first.")


class CustomerConflict(CustomerError):
    """The customer number already belongs to somebody else."""

    code = "customer.conflict"

    def __init__(self, customer_id: int, differing: Iterable[str]) -> None:
        self.customer_id = customer_id
        self.differing = tuple(differing)
        super().__init__(
            f"Customer {customer_id} is already registered with another {', '.join(self.differing)}; "
            "use the number that belongs to this customer."
        )


class SurveyError(ProvisioningError):
    """The site survey doesn't allow an installation."""

    code = "crm.survey_error"

    def __init__(self, customer_id: int, message: str) -> None:
        self.customer_id = customer_id
        super().__init__(message)


class SurveyMissing(SurveyError):
    """No completed site survey."""

    code = "crm.survey_missing"

    def __init__(self, customer_id: int, service_location: str | None = None) -> None:
        where = f" of {service_location}" if service_location else ""
        how = f"`firstlight customers survey {customer_id} {service_location or 'LOCATION'} --result ...`"
        super().__init__(
            customer_id,
            f"Customer {customer_id} has no completed site survey{where}; record one before installing, by {how}.",
        )


class SurveyNotFeasible(SurveyError):
    """The site survey says that the place can't be served."""

    code = "crm.survey_not_feasible"

    def __init__(self, customer_id: int, service_location: str, surveyed_at: datetime, notes: str) -> None:
        self.service_location = service_location
        self.surveyed_at = surveyed_at
        self.notes = notes
        because = f": {notes}" if notes else ""
        super().__init__(
            customer_id,
            f"The survey of {surveyed_at:%Y-%m-%d} at {service_location} for customer {customer_id} says not "
            f"feasible{because}; survey again when that has changed.",
        )


class BillingError(ProvisioningError):
    """Billing could not do what was asked."""

    code = "billing.error"


class ServiceBilledAlready(BillingError):
    """The service already has a running bill."""

    code = "billing.service_billed_already"

    def __init__(self, service_id: int, subscription_id: int, customer_id: int, plan: str | None) -> None:
        self.service_id = service_id
        self.subscription_id = subscription_id
        self.customer_id = customer_id
        self.plan = plan
        on_plan = f" on plan {plan}" if plan else ""
        super().__init__(
            f"Service {service_id} is already billed to customer {customer_id}{on_plan} "
            f"(subscription {subscription_id}); stop that bill before starting another."
        )


class SubscriptionStopped(BillingError):
    """This bill was stopped, and the same request doesn't start it again."""

    code = "billing.subscription_stopped"

    def __init__(
        self, subscription_id: int, service_id: int | None, stopped_at: datetime | None, reason: str | None
    ) -> None:
        self.subscription_id = subscription_id
        self.service_id = service_id
        self.stopped_at = stopped_at
        when = f" at {stopped_at:%Y-%m-%d %H:%M} UTC" if stopped_at else ""
        of = f" of service {service_id}" if service_id is not None else ""
        super().__init__(
            f"Subscription {subscription_id}{of} was stopped{when} "
            f"({reason or 'no reason given'}); activate the service under a new request id to bill it again."
        )


class SubscriptionInstalled(BillingError):
    """The subscription carries a line by now, and doesn't end by being dropped."""

    code = "billing.subscription_installed"

    def __init__(self, subscription_id: int, service_id: int) -> None:
        self.subscription_id = subscription_id
        self.service_id = service_id
        super().__init__(
            f"Subscription {subscription_id} bills service {service_id}, which is installed: "
            "end that service, and its bill ends with it."
        )


class SubscriptionNotExtendable(BillingError):
    """The subscription has no term that could be extended."""

    code = "billing.subscription_not_extendable"

    def __init__(self, subscription_id: int, because: str) -> None:
        self.subscription_id = subscription_id
        super().__init__(f"Subscription {subscription_id} can't be extended: {because}.")


class ExtensionUnknown(BillingError):
    """No such extension of a subscription."""

    code = "billing.extension_unknown"

    def __init__(self, extension_id: int) -> None:
        self.extension_id = extension_id
        super().__init__(f"There is no extension {extension_id} of a subscription.")


class ExtensionNotLast(BillingError):
    """Another extension begins where this one ends."""

    code = "billing.extension_not_last"

    def __init__(self, extension_id: int, later_id: int) -> None:
        self.extension_id = extension_id
        self.later_id = later_id
        super().__init__(f"Extension {later_id} begins where extension {extension_id} ends: withdraw that one first.")


class SubscriptionUnknown(BillingError):
    """No such subscription."""

    code = "billing.subscription_unknown"

    def __init__(self, subscription_id: int, customer_id: int | None = None) -> None:
        self.subscription_id = subscription_id
        nobody = "There is" if customer_id is None else f"Customer {customer_id} has"
        super().__init__(f"{nobody} no subscription {subscription_id}.")


class MailError(ProvisioningError):
    """A mail could not be delivered."""

    code = "mail.error"

    def __init__(self, email_id: int, message: str) -> None:
        self.email_id = email_id
        super().__init__(message)


class MailUnknown(MailError):
    """No such mail in the outbox."""

    code = "mail.unknown"

    def __init__(self, email_id: int) -> None:
        super().__init__(email_id, f"There is no mail {email_id} in the outbox.")


class MailWithdrawn(MailError):
    """The mail was withdrawn before it was sent."""

    code = "mail.withdrawn"

    def __init__(self, email_id: int, reason: str | None) -> None:
        self.reason = reason
        super().__init__(email_id, f"Mail {email_id} was withdrawn and isn't sent: {reason or 'no reason given'}.")


class MailAlreadySent(MailError):
    """A mail that has been sent can't be withdrawn."""

    code = "mail.already_sent"

    def __init__(self, email_id: int, recipient: str) -> None:
        super().__init__(email_id, f"Mail {email_id} is with {recipient} already and can't be withdrawn.")


class DeliveryFailed(MailError):
    """An attempt to hand the mail over ended without a receipt."""

    code = "mail.delivery_failed"
    sentence: ClassVar[str] = "could not be handed to {server}: {reason}."

    def __init__(
        self, email_id: int, *, recipient: str, server: str, reason: str, reply_code: int | None = None
    ) -> None:
        self.recipient = recipient
        self.server = server
        self.reason = reason
        self.reply_code = reply_code
        what_happened = self.sentence.format(server=server, reason=reason)
        super().__init__(email_id, f"Mail {email_id} to {recipient} {what_happened}")


class MailRefused(DeliveryFailed):
    """The mail server refuses this mail for good."""

    code = "mail.refused"
    sentence = "was refused for good by {server}: {reason}; correct the address or the mail, then retry."


class MailServerUntrusted(DeliveryFailed):
    """The mail server and these settings don't agree on TLS, certificate or login."""

    code = "mail.server_untrusted"
    sentence = "was not given to {server}: {reason}; correct the SMTP settings (TLS, certificate, login), then retry."


class MailDeferred(DeliveryFailed):
    """The mail server asks to try again later."""

    code = "mail.deferred"
    transient = True
    sentence = "was put off by {server}: {reason}; it is tried again."


class MailServerUnreachable(DeliveryFailed):
    """The mail server can't be reached."""

    code = "mail.server_unreachable"
    transient = True
    sentence = "did not reach {server}: {reason}; it is tried again."


class DeliveryUnknown(DeliveryFailed):
    """The connection ended after the mail was given: it may or may not have arrived."""

    code = "mail.delivery_unknown"
    transient = True
    sentence = (
        "was given to {server}, which never said whether it took it ({reason}); "
        "it may have arrived, and is sent again under the same Message-ID."
    )


class DeliveryDoubtful(DeliveryFailed):
    """Whether the mail arrived is not known, and sending it once more would be guessing."""

    code = "mail.delivery_doubtful"
    sentence = (
        "was offered to {server} twice, and neither time is it known whether it took it ({reason}); it is not sent "
        "again. Ask the recipient, then skip this step with what they said."
    )
