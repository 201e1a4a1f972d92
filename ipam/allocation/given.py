"""What a service was given, before it is told in the contract's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipam.allocation.places import Place, Plan
from ipam.answers import AllocatedResources, Held, describe

WROTE = "firstlight_wrote"
"""Of a connection's ``info``: its transaction has written, also where no statement that SQLAlchemy sees says so."""


@dataclass(frozen=True)
class Given:
    """A service that has all it needs."""

    service_id: int
    username: str
    place: Place
    plan: Plan
    held: Sequence[Held]

    def described(self) -> AllocatedResources:
        return describe(
            service_id=self.service_id, username=self.username, place=self.place, plan=self.plan, held=self.held
        )
