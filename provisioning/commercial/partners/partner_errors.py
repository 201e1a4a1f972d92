"""What partners, their pools and their commissions refuse. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from provisioning.errors import ProvisioningError
from workflows import BusinessRefusal


class PartnerError(ProvisioningError):
    """Something is wrong with a partner's business."""

    code = "partner.error"


class PartnerUnknown(PartnerError):
    """No such partner."""

    code = "partner.unknown"

    def __init__(self, partner_id: int) -> None:
        self.partner_id = partner_id
        super().__init__(f"There is no partner {partner_id}; import one with the estate.")


class PartnerConflict(PartnerError):
    """The partner is known otherwise."""

    code = "partner.conflict"

    def __init__(self, partner_id: int, known: str) -> None:
        self.partner_id = partner_id
        super().__init__(f"Partner {partner_id} is already {known}.")


class PartnerSuspended(PartnerError, BusinessRefusal):
    """The partner may not sell at present."""

    code = "partner.suspended"

    def __init__(self, partner_id: int) -> None:
        self.partner_id = partner_id
        super().__init__(f"Partner {partner_id} is suspended; make them active in the estate, then try again.")


class QuotaExhausted(PartnerError, BusinessRefusal):
    """The partner has fewer licences left than are wanted."""

    code = "partner.quota_exhausted"

    def __init__(self, partner_id: int, wanted: int, remaining: int) -> None:
        self.partner_id = partner_id
        self.wanted = wanted
        self.remaining = remaining
        super().__init__(
            f"Partner {partner_id} has {remaining} licence(s) left and {wanted} are wanted; once more are granted, the "
            "order can be handed in anew."
        )


class PartnerOrderedOtherwise(PartnerError):
    """The partner's order of this reference was taken with other content."""

    code = "partner.ordered_otherwise"

    def __init__(self, partner_id: int, order_ref: str, differs: Mapping[str, tuple[object, object]]) -> None:
        """``differs``: of each part that differs, what was taken and what is told now; None: it isn't said."""
        self.partner_id = partner_id
        self.order_ref = order_ref
        words = "; ".join(_in_words(part, *both) for part, both in differs.items())
        super().__init__(
            f"Order {order_ref} of partner {partner_id} was taken otherwise ({words}), and stays as it is. Another "
            "customer needs another order_ref; to change this order while it is under way, have its run undone and "
            "hand it in again."
        )


def _in_words(part: str, taken: object, told: object) -> str:
    if taken is None:
        return f"{part} was not said, and is {told} now"
    return f"{part} is {taken}, " + ("and is not said now" if told is None else f"not {told}")


class AllocationUnknown(PartnerError):
    """No such allocation."""

    code = "partner.allocation_unknown"

    def __init__(self, allocation_id: int) -> None:
        self.allocation_id = allocation_id
        super().__init__(f"There is no allocation {allocation_id} out of a partner's pool.")


class AllocationReturned(PartnerError):
    """The allocation was returned, and the same request doesn't make it again."""

    code = "partner.allocation_returned"

    def __init__(self, allocation_id: int, returned_at: datetime) -> None:
        self.allocation_id = allocation_id
        super().__init__(
            f"Allocation {allocation_id} was returned at {returned_at:%Y-%m-%d %H:%M} UTC; "
            "allocate under a new request id."
        )


class CustomerOfAnotherPartner(PartnerError):
    """The customer isn't this partner's."""

    code = "partner.customer_of_another"

    def __init__(self, partner_id: int, customer_id: int) -> None:
        self.partner_id = partner_id
        self.customer_id = customer_id
        super().__init__(f"Customer {customer_id} is no customer of partner {partner_id}.")


class PartnerCustomerUnknown(PartnerError):
    """No partner has brought this customer."""

    code = "partner.customer_unknown"

    def __init__(self, customer_id: int) -> None:
        self.customer_id = customer_id
        super().__init__(f"No partner has brought customer {customer_id}.")


class PartnerCustomerWithdrawn(PartnerError):
    """The customer was withdrawn from the partner, and the same request doesn't bring them again."""

    code = "partner.customer_withdrawn"

    def __init__(self, partner_id: int, customer_id: int, ended_at: datetime, reason: str | None) -> None:
        self.partner_id = partner_id
        self.customer_id = customer_id
        super().__init__(
            f"Customer {customer_id} was withdrawn from partner {partner_id} at {ended_at:%Y-%m-%d %H:%M} UTC "
            f"({reason or 'no reason given'}); bring them under a new request id."
        )


class CommissionUnknown(PartnerError):
    """No such commission."""

    code = "partner.commission_unknown"

    def __init__(self, commission_id: int) -> None:
        self.commission_id = commission_id
        super().__init__(f"There is no commission {commission_id}.")


class CommissionNotAgreed(PartnerError):
    """This isn't the commission that was agreed with the partner."""

    code = "partner.commission_not_agreed"

    def __init__(self, partner_id: int, agreed: str, wanted: str) -> None:
        self.partner_id = partner_id
        super().__init__(f"Partner {partner_id} was promised {agreed}, not {wanted}; record what was agreed.")


class CommissionRecorded(PartnerError):
    """The partner has this commission already."""

    code = "partner.commission_recorded"

    def __init__(self, commission_id: int, customer_id: int, amount: str) -> None:
        self.commission_id = commission_id
        super().__init__(
            f"Commission {commission_id} of {amount} was recorded for customer {customer_id} already; "
            "reverse that one first if it is wrong."
        )


class CommissionReversed(PartnerError):
    """The commission was reversed, and the same request doesn't record it again."""

    code = "partner.commission_reversed"

    def __init__(self, commission_id: int, reason: str | None) -> None:
        self.commission_id = commission_id
        super().__init__(
            f"Commission {commission_id} was reversed ({reason or 'no reason given'}); "
            "record it under a new request id."
        )


class CommissionPaid(PartnerError):
    """The commission was paid and can't be reversed."""

    code = "partner.commission_paid"

    def __init__(self, commission_id: int, paid_at: datetime | None, reference: str | None) -> None:
        self.commission_id = commission_id
        when = f" at {paid_at:%Y-%m-%d %H:%M} UTC" if paid_at else ""
        super().__init__(
            f"Commission {commission_id} was paid{when} ({reference or 'no reference given'}) and stays; "
            "agree with the partner how the money comes back."
        )
