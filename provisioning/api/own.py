"""What of it is the caller's: a partner knows only their own customers and runs, a technician only their own visits.

What belongs to somebody else is answered like what doesn't exist.
"""

from __future__ import annotations

from sqlalchemy import Select

from provisioning.api.calls import Call
from provisioning.commercial import PartnerUnknown
from provisioning.field import VisitRecord, VisitUnknown
from provisioning.sight import Sight
from workflows import Among, RunUnknown, knows_run


def own_sight(call: Call) -> Sight:
    """What the caller sees of what is found for everybody."""
    return call.appliance.sight(call.db, call.caller)


def own_customers(call: Call) -> Select[int] | None:
    """The query for the numbers that a partner may know; None: everybody."""
    return own_sight(call).customers


def own_runs(call: Call) -> Among | None:
    """Runs for a partner's customers, and those that are about to make one; None: every run."""
    return own_sight(call).runs


async def require_own_run(call: Call, run_id: int) -> None:
    """Raises: RunUnknown."""
    among = own_runs(call)
    if among is not None and not await knows_run(call.db, run_id, tenant_id=call.tenant_id, among=among):
        raise RunUnknown(run_id)


def require_own_partner(call: Call, partner_id: int) -> None:
    """Raises: PartnerUnknown."""
    if call.caller.partner_id not in (None, partner_id):
        raise PartnerUnknown(partner_id)


def require_own_visit(call: Call, visit: VisitRecord) -> None:
    """Raises: VisitUnknown."""
    if call.caller.technician_id not in (None, visit["technician_id"]):
        raise VisitUnknown(visit["visit_id"])
