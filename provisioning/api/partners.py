"""``/partners``: who sells for the ISP. A partner sees themselves, and nobody else."""

from __future__ import annotations

from typing import Any

from pydantic import RootModel

from provisioning.api.calls import Call, InCall
from provisioning.api.own import require_own_partner
from provisioning.api.pages import After, Limit, Number, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial import DomainRecord, Partners, PartnerService
from provisioning.commercial.partners.partner import PoolRecord
from provisioning.partners import SubmittedOrder
from workflows.answers import PartnerCustomer, PartnerRecord, RecordedCommission

doors = Doors(prefix="/partners", tags=["partners"])


class Order(RootModel[dict[str, Any]]):
    """``order_ref``, ``customer_data``, ``license_count``, ``white_label_config``; with a share, ``offer_id``.

    Whoever isn't the partner may tell ``sale_amount`` instead of it.
    """


class Grant(Wish):
    """How many licences more, and why."""

    licenses: int
    note: str


class Claim(Wish):
    """The host name, such as ``portal.example.net``; what is below it is meant as well."""

    domain: str


@doors.get("", permission="partners.read")
async def list_(call: InCall, after: After = None, limit: Limit = 50) -> Page[PartnerRecord]:
    """Partners by their numbers."""
    partners = Partners(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    found = await partners.partners(among=call.caller.partner_id, after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [partner["partner_id"] for partner in found], limit)


@doors.get("/{partner_id}", permission="partners.read")
async def show(call: InCall, partner_id: Number) -> PartnerRecord:
    """One partner: what they have left, and what was agreed."""
    return await _own(call, partner_id)


@doors.get("/{partner_id}/customers", permission="partners.read")
async def customers(call: InCall, partner_id: Number, after: After = None, limit: Limit = 50) -> Page[PartnerCustomer]:
    """The customers whom a partner has brought."""
    await _own(call, partner_id)
    found = await _service(call).customers(partner_id, after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [customer["customer_id"] for customer in found], limit)


@doors.get("/{partner_id}/ledger", permission="partners.read")
async def ledger(call: InCall, partner_id: Number, after: After = None, limit: Limit = 50) -> Page[PoolRecord]:
    """What moved a partner's pool of licences, in order."""
    await _own(call, partner_id)
    found = await _service(call).ledger(partner_id, after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [entry["entry_id"] for entry in found], limit)


@doors.get("/{partner_id}/commissions", permission="partners.read")
async def commissions(
    call: InCall, partner_id: Number, after: After = None, limit: Limit = 50
) -> Page[RecordedCommission]:
    """What a partner has earned, reversals among it, in order."""
    await _own(call, partner_id)
    found = await _service(call).commissions(partner_id, after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [each["commission_id"] for each in found], limit)


@doors.get("/{partner_id}/domains", permission="partners.read")
async def domains(call: InCall, partner_id: Number, after: After = None, limit: Limit = 50) -> Page[DomainRecord]:
    """The host names that a partner has claimed: what the DNS of each must hold, and whether it does. One that is
    *missing* it still counts as proven until ``proven_until``; a *lost* one is looked for again once claimed anew."""
    await _own(call, partner_id)
    found = await call.appliance.partner_domains(call.db).domains(
        partner_id, after_id=row_of(after) or 0, limit=limit + 1
    )
    return page_of(call, found, [each["domain_id"] for each in found], limit)


@doors.post("/{partner_id}/domains", permission="partners.order", status_code=201)
async def claim(call: InCall, partner_id: Number, wish: Claim) -> DomainRecord:
    """Claims a host name for a partner's customers' pages. The worker looks for its proof until
    ``looked_for_until``; the same again is the same claim, and after that time it is looked for anew."""
    await _own(call, partner_id)
    claimed = await call.appliance.partner_domains(call.db).claim(partner_id=partner_id, domain=wish.domain, by=call.by)
    call.tells(subject=f"partner/{partner_id}")
    return claimed


@doors.post("/{partner_id}/orders", permission="partners.order", status_code=201)
async def order(call: InCall, partner_id: Number, wish: Order) -> SubmittedOrder:
    """Orders a partner's new customer; the same ``order_ref`` again is the same order."""
    await _own(call, partner_id)
    themselves, desk = call.caller.partner_id is not None, call.appliance.partner_desk(call.db)
    submitted = await desk.submit(partner_id, wish.root, by=call.by, themselves=themselves)
    call.tells(subject=f"partner/{partner_id}", reason=f"order {submitted['order_ref']}")
    return submitted


@doors.post("/{partner_id}/grants", permission="partners.grant", status_code=201)
async def grant(call: InCall, partner_id: Number, wish: Grant) -> PartnerRecord:
    """Puts more licences into a partner's pool."""
    before = await _own(call, partner_id)
    call.tells(subject=f"partner/{partner_id}", reason=wish.note, before={"quota_remaining": before["quota_remaining"]})
    return await _service(call).grant(partner_id=partner_id, licenses=wish.licenses, note=wish.note, by=call.by)


async def _own(call: Call, partner_id: int) -> PartnerRecord:
    """Raises: PartnerUnknown, also for somebody else."""
    require_own_partner(call, partner_id)
    return await _service(call).partner(partner_id)


def _service(call: Call) -> PartnerService:
    return PartnerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
