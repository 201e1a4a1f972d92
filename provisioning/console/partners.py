"""``/partners`` and ``/licences``: who sells for the ISP, what they have left and earned, and which licences were
given. A partner sees themselves, and nobody else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.own import require_own_partner
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial import Partners, PartnerService
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer

ON_A_PAGE = 50
NEWEST = 50

doors = ConsoleDoors(name="partners")


@doors.page("/partners", permission="partners.read")
async def partners(call: InCall, after: After = None) -> Response:
    """Partners by their numbers."""
    desk = Partners(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    found = await desk.partners(among=call.caller.partner_id, after_id=row_of(after) or 0, limit=ON_A_PAGE + 1)
    page = page_of(call, found, [partner["partner_id"] for partner in found], ON_A_PAGE)
    return show(call, "partners.html.j2", "Partners", partners=page.items, next=page.next)


@doors.page("/partners/{partner_id}", permission="partners.read")
async def partner(call: InCall, partner_id: Number, after: After = None) -> Response:
    """One partner: what was agreed, whom they have brought, their host names, their pool, what they have earned."""
    require_own_partner(call, partner_id)
    service = PartnerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    shown = await service.partner(partner_id)
    found = await service.customers(partner_id, after_id=row_of(after) or 0, limit=ON_A_PAGE + 1)
    page = page_of(call, found, [customer["customer_id"] for customer in found], ON_A_PAGE)
    return show(
        call,
        "partner.html.j2",
        f"Partner {shown['name']}",
        partner=shown,
        customers=page.items,
        next=page.next,
        host_names=await call.appliance.partner_domains(call.db).domains(partner_id, limit=NEWEST),
        ledger=await service.ledger(partner_id, after_id=0, limit=NEWEST),
        commissions=await service.commissions(partner_id, after_id=0, limit=NEWEST),
        most=NEWEST,
    )


@doors.page("/licences", permission="partners.read")
async def licences(call: InCall, customer: Annotated[str, Query(max_length=20)] = "", after: After = None) -> Response:
    """Licences in the order in which they were given, without their keys."""
    found = await call.appliance.licences(call.db).licenses(
        customer_id=read_customer(customer),
        partner_id=call.caller.partner_id,
        after_id=row_of(after) or 0,
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [licence["license_id"] for licence in found], ON_A_PAGE)
    names = await names_of(call, [licence["customer_id"] for licence in page.items])
    wanted = {"customer": customer}
    return show(call, "licences.html.j2", "Licences", licences=page.items, names=names, next=page.next, wanted=wanted)
