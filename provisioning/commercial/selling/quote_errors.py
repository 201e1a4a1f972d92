"""What quotes, renewals and orders refuse. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from provisioning.commercial.errors import BillingError
from provisioning.errors import ProvisioningError


class QuoteError(ProvisioningError):
    """The quote doesn't allow what was asked."""

    code = "quote.error"

    def __init__(self, quote_id: int, message: str) -> None:
        self.quote_id = quote_id
        super().__init__(message)


class QuoteUnknown(QuoteError):
    """No such quote."""

    code = "quote.unknown"

    def __init__(self, quote_id: int) -> None:
        super().__init__(quote_id, f"There is no quote {quote_id}.")


class QuoteNotOpen(QuoteError):
    """The quote's state doesn't allow this."""

    code = "quote.not_open"

    def __init__(self, quote_id: int, state: str, act: str, reason: str | None = None) -> None:
        self.state = state
        because = f" ({reason})" if reason else ""
        super().__init__(quote_id, f"Quote {quote_id} is {state}{because} and can't be {act}.")


class QuoteExpired(QuoteError):
    """The quote's time is over."""

    code = "quote.expired"

    def __init__(self, quote_id: int, valid_until: datetime) -> None:
        self.valid_until = valid_until
        super().__init__(
            quote_id,
            f"Quote {quote_id} was valid until {valid_until:%Y-%m-%d %H:%M} UTC and can't be accepted any more; "
            "send the customer a new one.",
        )


class QuoteChanged(QuoteError):
    """Somebody else has changed the quote in the meantime."""

    code = "quote.changed"

    def __init__(self, quote_id: int, version: int, expected: int) -> None:
        self.version = version
        super().__init__(
            quote_id,
            f"Quote {quote_id} has changed since you looked (version {version}, yours is {expected}); look again.",
        )


class QuoteAcceptanceWithdrawn(QuoteError):
    """This acceptance was taken back, and the same request doesn't repeat it."""

    code = "quote.acceptance_withdrawn"

    def __init__(self, quote_id: int, reason: str | None) -> None:
        self.reason = reason
        super().__init__(
            quote_id,
            f"This request's acceptance of quote {quote_id} was withdrawn ({reason or 'no reason given'}); "
            "accept it under a new request id.",
        )


class QuoteAcceptedOtherwise(QuoteError):
    """This acceptance stands already, and said otherwise how its order is to be carried out."""

    code = "quote.accepted_otherwise"

    def __init__(self, quote_id: int, wanted: Mapping[str, object], said: Mapping[str, object], order_id: int | None):
        """``wanted``: what is wished now and was ``said`` otherwise, or not at all; ``order_id``: none is made yet."""
        self.order_id = order_id
        differs = "; ".join(f"{name} is {said.get(name) or 'not said'}, not {wish}" for name, wish in wanted.items())
        number = "ORDER" if order_id is None else order_id
        means = []
        if "payment_method" in wanted:
            means.append(f"how it is paid with `firstlight orders pay-by {number} {wanted['payment_method']}`")
        if "scheduled_date" in wanted:
            means.append("when somebody comes with `firstlight visits book` or `firstlight visits move`")
        order = f"Order {order_id} follows it" if order_id else "Its order, once it is made, follows it"
        change = f"; change {' and '.join(means)}" if means else ""
        super().__init__(quote_id, f"Quote {quote_id} is accepted already ({differs}). {order}{change}.")


class QuoteOrdered(QuoteError):
    """The quote has an order."""

    code = "quote.ordered"

    def __init__(self, quote_id: int, order_id: int, state: str) -> None:
        self.order_id = order_id
        super().__init__(quote_id, f"Quote {quote_id} has become order {order_id} ({state}); cancel the order first.")


class QuoteNotAccepted(QuoteError):
    """The quote isn't accepted, so there is nothing to deliver."""

    code = "quote.not_accepted"

    def __init__(self, quote_id: int, state: str) -> None:
        self.state = state
        super().__init__(quote_id, f"Quote {quote_id} is {state}; only an accepted quote becomes an order.")


class QuoteOfRenewal(QuoteError):
    """A renewal goes on with a subscription and makes no order."""

    code = "quote.of_renewal"

    def __init__(self, quote_id: int, subscription_id: int | None) -> None:
        super().__init__(
            quote_id, f"Quote {quote_id} renews subscription {subscription_id}; a renewal is paid, not ordered."
        )


class RenewalQuoteOpen(QuoteError):
    """The end of this subscription's term has a renewal quote already."""

    code = "quote.renewal_open"

    def __init__(self, quote_id: int, subscription_id: int, state: str) -> None:
        self.subscription_id = subscription_id
        super().__init__(
            quote_id,
            f"Quote {quote_id} ({state}) already offers to go on with subscription {subscription_id}; "
            "withdraw it before offering that otherwise.",
        )


class SubscriptionEnded(BillingError):
    """The subscription's term is over, so there is nothing to go on with."""

    code = "billing.subscription_ended"

    def __init__(self, subscription_id: int, ended: str) -> None:
        self.subscription_id = subscription_id
        super().__init__(f"Subscription {subscription_id} ended on {ended} and can't be renewed; sell a new one.")


class OrderError(ProvisioningError):
    """The order doesn't allow what was asked."""

    code = "order.error"

    def __init__(self, order_id: int, message: str) -> None:
        self.order_id = order_id
        super().__init__(message)


class OrderUnknown(OrderError):
    """No such order."""

    code = "order.unknown"

    def __init__(self, order_id: int) -> None:
        super().__init__(order_id, f"There is no order {order_id}.")


class OrderCancelled(OrderError):
    """This request's order was cancelled, and the same request doesn't revive it."""

    code = "order.cancelled"

    def __init__(self, order_id: int, state: str, reason: str | None) -> None:
        self.state = state
        self.reason = reason
        super().__init__(
            order_id,
            f"Order {order_id}, which this request made, is {state} ({reason or 'no reason given'}); "
            "order under a new request id.",
        )


class OrderOver(OrderError):
    """The order's state doesn't allow this."""

    code = "order.over"

    def __init__(self, order_id: int, state: str, wanted: str) -> None:
        self.state = state
        super().__init__(order_id, f"Order {order_id} is {state} and can't become {wanted}.")
