"""What the catalogue, leads and their conversion refuse. The tree is drawn in ``provisioning.errors``."""

from __future__ import annotations

from provisioning.commercial.errors import CustomerError
from provisioning.errors import ProvisioningError
from workflows import BusinessRefusal


class OfferError(ProvisioningError):
    """Something is wrong with this offer."""

    code = "offer.error"

    def __init__(self, offer_id: int, message: str) -> None:
        self.offer_id = offer_id
        super().__init__(message)


class OfferUnknown(OfferError):
    """No such offer."""

    code = "offer.unknown"

    def __init__(self, offer_id: int) -> None:
        super().__init__(offer_id, f"There is no offer {offer_id}; `firstlight offers list` shows those there are.")


class OfferNotSold(OfferError):
    """The offer isn't sold any more."""

    code = "offer.not_sold"

    def __init__(self, offer_id: int, title: str) -> None:
        super().__init__(offer_id, f"Offer {offer_id} ({title}) isn't sold any more; choose one that is.")


class OfferConflict(OfferError):
    """The offer's number already stands for something else."""

    code = "offer.conflict"

    def __init__(self, offer_id: int, differing: list[str]) -> None:
        self.differing = tuple(differing)
        super().__init__(
            offer_id,
            f"Offer {offer_id} is already defined with another {', '.join(differing)}, and may have been sold so; "
            "give the new one a number of its own and set this one to inactive.",
        )


class LeadError(ProvisioningError):
    """The lead doesn't allow what was asked."""

    code = "lead.error"

    def __init__(self, lead_id: int, message: str) -> None:
        self.lead_id = lead_id
        super().__init__(message)


class LeadUnknown(LeadError):
    """No such lead."""

    code = "lead.unknown"

    def __init__(self, lead_id: int) -> None:
        super().__init__(lead_id, f"There is no lead {lead_id}.")


class LeadNotQualified(LeadError, BusinessRefusal):
    """The lead is not qualified, and only a qualified one becomes a customer."""

    code = "lead.not_qualified"

    def __init__(self, lead_id: int) -> None:
        super().__init__(lead_id, f"Lead {lead_id} is not qualified yet; qualify it before it becomes a customer.")


class LeadDisqualified(LeadNotQualified):
    """The lead was disqualified."""

    code = "lead.disqualified"

    def __init__(self, lead_id: int, reason: str | None) -> None:
        self.reason = reason
        LeadError.__init__(
            self,
            lead_id,
            f"Lead {lead_id} was disqualified ({reason or 'no reason given'}); register a new one if that has changed.",
        )


class LeadConverted(LeadError, BusinessRefusal):
    """The lead is a customer already."""

    code = "lead.converted"

    def __init__(self, lead_id: int, customer_id: int) -> None:
        self.customer_id = customer_id
        super().__init__(lead_id, f"Lead {lead_id} has already become customer {customer_id}.")


class LeadConversionWithdrawn(LeadError):
    """This conversion was taken back, and the same request doesn't repeat it."""

    code = "lead.conversion_withdrawn"

    def __init__(self, lead_id: int, reason: str | None) -> None:
        self.reason = reason
        super().__init__(
            lead_id,
            f"The customer that this request made of lead {lead_id} was withdrawn ({reason or 'no reason given'}); "
            "convert the lead under a new request id.",
        )


class LeadOfKnownCustomer(LeadError):
    """The lead's mail address is that of a customer, and the lead doesn't say that it is theirs."""

    code = "lead.of_known_customer"

    def __init__(self, lead_id: int, email: str, customer_id: int) -> None:
        self.customer_id = customer_id
        super().__init__(
            lead_id,
            f"Lead {lead_id} has the mail address of customer {customer_id} ({email}): qualify it with --customer "
            f"{customer_id} if it is the same customer, or correct the address in a new lead.",
        )


class LeadOfAnotherCustomer(LeadError):
    """This customer was not made from this lead."""

    code = "lead.of_another_customer"

    def __init__(self, lead_id: int, customer_id: int) -> None:
        self.customer_id = customer_id
        super().__init__(lead_id, f"Customer {customer_id} was not made from lead {lead_id}; nothing was withdrawn.")


class CustomerWithdrawn(CustomerError):
    """The customer was taken back."""

    code = "customer.withdrawn"

    def __init__(self, customer_id: int, reason: str | None) -> None:
        self.customer_id = customer_id
        self.reason = reason
        super().__init__(
            f"Customer {customer_id} was withdrawn ({reason or 'no reason given'}) and is sold nothing more; "
            "convert the lead again, or register the customer anew."
        )


class CustomerInUse(CustomerError):
    """The customer has a running bill or an open order and can't be withdrawn."""

    code = "customer.in_use"

    def __init__(self, customer_id: int, what: str) -> None:
        self.customer_id = customer_id
        super().__init__(f"Customer {customer_id} has {what} and can't be withdrawn; end that first, then try again.")
