"""Which event starts which journey: each through the same door as everybody else's wish for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import PartnerOrderedOtherwise
from provisioning.commercial.bills.expiry import EXPIRING
from provisioning.commercial.selling.leads import QUALIFIED as LEAD_QUALIFIED
from provisioning.errors import InvalidRequest
from provisioning.onboarding import OnboardingDesk
from provisioning.orders import OrderDesk
from provisioning.partners import PARTNER_CUSTOMER_CREATED
from provisioning.quotes import ACCEPTED as QUOTE_ACCEPTED
from provisioning.renewals import RenewalDesk
from provisioning.terminations import TERMINATION_REQUESTED, TerminationDesk
from provisioning.tickets import INSTALLATION_APPROVED, InstallationDesk
from workflows import EventRefused

T = TypeVar("T")
Begun = tuple[int, bool]
"""A run's number, and whether it is new."""


@dataclass(frozen=True)
class Starters:
    """The doors, each bound to a transaction when it is needed. ``said_of_orders``: how this ISP carries orders out,
    where an acceptance doesn't say so.

    Each of the methods starts what an event is about. Raises: EventRefused with what its door says.
    """

    installations: Callable[[AsyncSession], InstallationDesk]
    onboardings: Callable[[AsyncSession], OnboardingDesk]
    orders: Callable[[AsyncSession], OrderDesk]
    renewals: Callable[[AsyncSession], RenewalDesk]
    terminations: Callable[[AsyncSession], TerminationDesk]
    said_of_orders: Mapping[str, Any]

    def by_event(self) -> dict[str, Callable[[AsyncSession, Any, str], Awaitable[Begun]]]:
        return {
            INSTALLATION_APPROVED: self.installation,
            LEAD_QUALIFIED: self.onboarding,
            PARTNER_CUSTOMER_CREATED: self.partners_customer,
            QUOTE_ACCEPTED: self.order,
            EXPIRING: self.renewal,
            TERMINATION_REQUESTED: self.termination,
        }

    async def installation(self, db: AsyncSession, data: Any, by: str) -> Begun:
        begun = await _unless_refused(self.installations(db).accept(data, by=by, is_told=True))
        return begun.run_id, begun.is_new

    async def onboarding(self, db: AsyncSession, data: Any, by: str) -> Begun:
        return await _unless_refused(self.onboardings(db).lead_qualified(data, by=by))

    async def partners_customer(self, db: AsyncSession, data: Any, by: str) -> Begun:
        return await _unless_refused(self.onboardings(db).partner_customer_created(data, by=by))

    async def order(self, db: AsyncSession, data: Any, by: str) -> Begun:
        return await _unless_refused(self.orders(db).begin(data, unless_said=dict(self.said_of_orders), by=by))

    async def renewal(self, db: AsyncSession, data: Any, by: str) -> Begun:
        return await _unless_refused(self.renewals(db).expiring(data, by=by))

    async def termination(self, db: AsyncSession, data: Any, by: str) -> Begun:
        begun = await _unless_refused(self.terminations(db).accept(data, by=by, is_told=True))
        return begun.run_id, begun.is_new


async def _unless_refused(starting: Awaitable[T]) -> T:
    try:
        return await starting
    except (InvalidRequest, PartnerOrderedOtherwise) as refusal:
        raise EventRefused(str(refusal)) from refusal
