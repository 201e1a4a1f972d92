"""What payments refuse, and how gateways fail. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from typing import ClassVar

from provisioning.errors import ProvisioningError
from workflows.answers import PaymentState


class PaymentError(ProvisioningError):
    """A payment could not be done as asked."""

    code = "payment.error"


class PaymentUnknown(PaymentError):
    """No such payment."""

    code = "payment.unknown"

    def __init__(self, payment_id: int) -> None:
        self.payment_id = payment_id
        super().__init__(f"There is no payment {payment_id}.")


class NothingToPay(PaymentError):
    """This order or quote isn't paid, not in its state or not in advance."""

    code = "payment.nothing_to_pay"

    def __init__(self, what: str, reason: str) -> None:
        self.what = what
        self.reason = reason
        super().__init__(f"No payment is taken for {what}: {reason}.")


class PaymentStands(PaymentError):
    """The order or quote has another payment already."""

    code = "payment.stands"

    def __init__(self, what: str, payment_id: int, method: str, state: PaymentState) -> None:
        self.payment_id = payment_id
        super().__init__(
            f"Payment {payment_id} of {what} ({method}) is {state}; take that one back before asking for another."
        )


class PaymentOver(PaymentError):
    """The payment was taken back, and nothing is taken for it any more."""

    code = "payment.over"

    def __init__(self, payment_id: int, state: PaymentState, reason: str | None) -> None:
        self.payment_id = payment_id
        self.state = state
        super().__init__(
            f"Payment {payment_id} is {state} ({reason or 'no reason given'}): ask for a new one to be paid after all."
        )


class PaymentWithGateway(PaymentError):
    """The gateway may have taken the money, so the payment can't be dropped without asking it."""

    code = "payment.with_gateway"

    def __init__(self, payment_id: int, state: PaymentState) -> None:
        self.payment_id = payment_id
        super().__init__(f"Payment {payment_id} is {state} at its gateway: take it back there before dropping it here.")


class PaymentDeclined(PaymentError):
    """The gateway declined the payment; nothing was taken."""

    code = "payment.declined"

    def __init__(self, payment_id: int, reason: str) -> None:
        self.payment_id = payment_id
        self.reason = reason
        super().__init__(
            f"Payment {payment_id} was declined, nothing was taken: {reason}; ask the customer for another way to pay."
        )


class PaymentOutcomeUnknown(PaymentError):
    """The gateway never said whether it did what it was asked; it is asked again."""

    code = "payment.outcome_unknown"
    transient = True

    def __init__(self, payment_id: int, what: str, reason: str) -> None:
        self.payment_id = payment_id
        super().__init__(
            f"Whether payment {payment_id} was {what} is not known ({reason}); the gateway is asked again."
        )


class PaymentMismatch(PaymentError):
    """The gateway took another amount than was asked for."""

    code = "payment.mismatch"

    def __init__(self, payment_id: int, asked: str, taken: str) -> None:
        self.payment_id = payment_id
        super().__init__(
            f"The gateway says that {taken} was taken for payment {payment_id}, but {asked} was asked for; "
            "put that right with the gateway."
        )


class RefundAwaited(PaymentError):
    """The money has to go back, and hasn't yet."""

    code = "payment.refund_awaited"

    def __init__(self, payment_id: int, amount: str, how: str) -> None:
        self.payment_id = payment_id
        super().__init__(f"{amount} of payment {payment_id} has to go back to the customer: {how}, then retry.")


class SettlementConflict(PaymentError):
    """The payment was settled with another reference before."""

    code = "payment.settlement_conflict"

    def __init__(self, payment_id: int, reference: str | None, by: str | None) -> None:
        self.payment_id = payment_id
        super().__init__(
            f"Payment {payment_id} was settled with {reference} by {by or 'its gateway'} already; "
            "look whether the customer has paid twice."
        )


class NotSettledByHand(PaymentError):
    """This payment's gateway says by itself when it is settled."""

    code = "payment.not_settled_by_hand"

    def __init__(self, payment_id: int, provider: str, state: PaymentState) -> None:
        self.payment_id = payment_id
        super().__init__(f"Payment {payment_id} ({state}) is taken by {provider}, which says itself what became of it.")


class RefundNotAsked(PaymentError):
    """Nobody asked for this money to go back."""

    code = "payment.refund_not_asked"

    def __init__(self, payment_id: int, state: PaymentState) -> None:
        self.payment_id = payment_id
        super().__init__(f"Payment {payment_id} is {state}, and nobody has asked for its money to go back.")


class GatewayMissing(PaymentError):
    """The payment's gateway isn't set up here."""

    code = "payment.gateway_missing"

    def __init__(self, provider: str) -> None:
        self.provider = provider
        super().__init__(f"The payment gateway {provider} isn't set up; give its settings, then retry.")


class WebhookRefused(PaymentError):
    """What claims to come from a payment gateway doesn't, or can't be understood."""

    code = "payment.webhook_refused"

    def __init__(self, provider: str, reason: str) -> None:
        self.provider = provider
        super().__init__(f"A webhook in the name of {provider} is refused, nothing was changed: {reason}.")


class GatewayError(PaymentError):
    """A payment gateway could not be used; it did nothing."""

    code = "payment.gateway_error"
    sentence: ClassVar[str] = "{gateway} could not be used: {reason}."

    def __init__(self, gateway: str, reason: str) -> None:
        self.gateway = gateway
        self.reason = reason
        super().__init__(self.sentence.format(gateway=gateway, reason=reason))


class GatewayUnreachable(GatewayError):
    """The payment gateway can't be reached; it was asked nothing."""

    code = "payment.gateway_unreachable"
    transient = True
    sentence = "{gateway} can't be reached ({reason}), so nothing was taken; it is tried again."


class GatewayBusy(GatewayError):
    """The payment gateway asks to come again later; it did nothing."""

    code = "payment.gateway_busy"
    transient = True
    sentence = "{gateway} asks to come again later ({reason}), nothing was taken; it is tried again."


class GatewayUntrusted(GatewayError):
    """The payment gateway doesn't accept our key."""

    code = "payment.gateway_untrusted"
    sentence = "{gateway} doesn't accept our key: {reason}; correct the settings, then retry."


class GatewayConflict(GatewayError):
    """The payment gateway knows this key from another request."""

    code = "payment.gateway_conflict"
    sentence = "{gateway} knows this payment's key from another request ({reason}), so it did nothing; ask for it anew."


class GatewayRefused(GatewayError):
    """The payment gateway doesn't take such a request; it did nothing."""

    code = "payment.gateway_refused"
    sentence = "{gateway} refuses the request: {reason}; correct what it names, then retry."
