"""Who looks, and what of it they may see: what search and attention show is narrowed by it, at every door.

A partner sees their own customers and the runs for them, a technician their own visits, everybody what their
permissions say. What may not be seen is not asked for at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import PERMISSIONS, Caller, Permission
from provisioning.commercial import PartnerService
from provisioning.intake import Clock
from workflows import Among

PARTNERS_JOURNEY = "partner_customer_provisioning"


@dataclass(frozen=True)
class Sight:
    """``customers``: the query for the numbers of those who may be seen, ``runs``: which runs; None: everybody, every
    run. ``technician_id``: whose visits alone may be seen; ``partner_id``: what is a partner's own, whose alone.
    """

    permissions: frozenset[Permission]
    customers: Select[int] | None = None
    runs: Among | None = None
    technician_id: int | None = None
    partner_id: int | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.permissions

    @property
    def sees_money(self) -> bool:
        """Whether amounts are their business: whoever may read payments, and a partner of their own customers."""
        return "payments.read" in self.permissions or self.customers is not None


ALL_SIGHT = Sight(PERMISSIONS)
"""The command line's: whoever may open the databases sees everything."""


def sight_of(caller: Caller, db: AsyncSession, *, tenant_id: str, now: Clock) -> Sight:
    """What a caller sees, as queries of this transaction."""
    if caller.partner_id is None:
        return Sight(caller.permissions, technician_id=caller.technician_id)
    partners = PartnerService(db, tenant_id=tenant_id, now=now)
    customers = partners.customer_numbers(caller.partner_id)
    own = Among(customers, PARTNERS_JOURNEY, f"partner/{caller.partner_id}/")
    return Sight(caller.permissions, customers, own, caller.technician_id, caller.partner_id)


def sees_money(caller: Caller) -> bool:
    """As ``Sight.sees_money``, of a caller about whom nothing else is asked."""
    return "payments.read" in caller.permissions or caller.partner_id is not None
