"""What is asked for when a service is to get its resources, before anything of it is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from ipam.allocation.static_requests import StaticResources
from ipam.errors import RequestInvalid

LARGEST_CUSTOMER = 2**63 - 1
LONGEST_REQUEST_ID = 200


@dataclass(frozen=True)
class Order:
    """``static`` is checked, and None if nothing is named."""

    customer_id: int
    service_location: str
    bandwidth_plan: str
    request_id: str | None = None
    static: StaticResources | None = None

    @property
    def static_text(self) -> str | None:
        return self.static.as_text() if self.static else None


def check_order(order: Order) -> None:
    """
    Raises:
        RequestInvalid: a number or text that can't be meant.
    """
    check_customer(order.customer_id)
    check_request_id(order.request_id)
    check_text("service_location", order.service_location)
    check_text("bandwidth_plan", order.bandwidth_plan)


def check_customer(customer_id: int) -> None:
    """
    Raises:
        RequestInvalid: no customer has this number.
    """
    if not 1 <= customer_id <= LARGEST_CUSTOMER:
        why = f"is {customer_id}; customers are numbered from 1 to {LARGEST_CUSTOMER}"
        raise RequestInvalid("customer_id", why)


def check_request_id(request_id: str | None) -> None:
    """
    Raises:
        RequestInvalid: it is empty or too long.
    """
    if request_id is None:
        return
    length = len(request_id) if request_id.strip() else 0
    if not 0 < length <= LONGEST_REQUEST_ID:
        raise RequestInvalid("request_id", f"has {length} characters; it takes 1 to {LONGEST_REQUEST_ID}")
    check_text("request_id", request_id)


def check_text(where: str, text: str) -> str:
    """The same.

    Raises:
        RequestInvalid: no database keeps it, and so nothing is named so.
    """
    if "\0" in text or not _is_unicode(text):
        raise RequestInvalid(where, "holds a NUL character or half of a surrogate pair, which is no text")
    return text


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
