"""A service in full, as the API and the commands tell it alike."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

from ipam import AllocatedResources, ServiceFacts


class ServiceHeld(AllocatedResources):
    """A live service: whose it is, where and on which plan, and all that it holds."""

    customer_id: int
    location: str
    plan: str
    state: Literal["active"]
    released_at: None


class ServiceGone(TypedDict):
    """A service that was released: whose it was and where. It holds nothing, so nothing of that is named."""

    service_id: int
    customer_id: int
    username: str
    location: str
    plan: str
    state: Literal["released"]
    released_at: datetime


def in_full(facts: ServiceFacts, held: AllocatedResources) -> ServiceHeld:
    """A live service with what it holds."""
    customer_id, location, plan = facts["customer_id"], facts["location"], facts["plan"]
    return ServiceHeld(**held, customer_id=customer_id, location=location, plan=plan, state="active", released_at=None)


def gone(facts: ServiceFacts, released_at: datetime) -> ServiceGone:
    """One that was released then."""
    return ServiceGone(
        service_id=facts["service_id"],
        customer_id=facts["customer_id"],
        username=facts["username"],
        location=facts["location"],
        plan=facts["plan"],
        state="released",
        released_at=released_at,
    )
