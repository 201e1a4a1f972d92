"""What is asked for when a service is to get its resources, before anything of it is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from ipam.allocation.static_requests import StaticResources
from ipam.errors import RequestInvalid

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
    if order.customer_id < 1:
        raise RequestInvalid("customer_id", f"is {order.customer_id}; customers are numbered from 1")
    check_request_id(order.request_id)


def check_request_id(request_id: str | None) -> None:
    """
    Raises:
        RequestInvalid: it is empty or too long.
    """
    if request_id is not None and not 0 < len(request_id) <= LONGEST_REQUEST_ID:
        raise RequestInvalid("request_id", f"has {len(request_id)} characters; it takes 1 to {LONGEST_REQUEST_ID}")
