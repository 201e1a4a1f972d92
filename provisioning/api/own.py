"""What of it is the caller's: a partner knows only their own customers and runs, a technician only their own visits.

What belongs to somebody else is answered like what doesn't exist.
"""

from __future__ import annotations

from sqlalchemy import Select

from provisioning.api.calls import Call
from provisioning.commercial import PartnerService, PartnerUnknown
from provisioning.field import VisitRecord, VisitUnknown
from workflows import Among, RunUnknown, knows_run

PARTNERS_JOURNEY = "partner_customer_provisioning"


def own_customers(call: Call) -> Select[int] | None:
    """The query for the numbers that a partner may know; None: everybody."""
    if call.caller.partner_id is None:
        return None
    partners = PartnerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    return partners.customer_numbers(call.caller.partner_id)


def own_runs(call: Call) -> Among | None:
    """Runs for a partner's customers, and those that are about to make one; None: every run."""
    customers = own_customers(call)
    return None if customers is None else Among(customers, PARTNERS_JOURNEY, f"partner/{call.caller.partner_id}/")


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
