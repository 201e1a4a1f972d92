"""``/leads``: who may become a customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.misfits import as_read
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Number, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.commercial import LeadRecord
from provisioning.commercial.selling.selling_tables import LeadState

doors = Doors(prefix="/leads", tags=["leads"])


class Register(Wish):
    """Who it is, where they come from, and what they want."""

    name: str
    email: str
    source: str
    phone: str | None = None
    language: str | None = Field(default=None, description="Such as de or de-AT; the ISP's own without one")
    company: str | None = None
    address: str | None = None
    service_location: str | None = None
    offer_id: int | None = None
    existing_customer_id: int | None = None


class Qualify(WithReason):
    """Which customer it is, if they are one already."""

    existing_customer_id: int | None = None


class Disqualify(Wish):
    """Why it leads nowhere."""

    reason: str


async def _misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of a new lead."""
    found = await call.appliance.leads(call.db).faults_in(as_read(Register, sound))
    return [(fault.field, fault.reason) for fault in found]


@doors.get("", permission="leads.read")
async def list_(
    call: InCall, state: Annotated[LeadState | None, Query()] = None, after: After = None, limit: Limit = 50
) -> Page[LeadRecord]:
    """Leads, the newest first."""
    found = await call.appliance.leads(call.db).leads(state=state, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [lead["lead_id"] for lead in found], limit)


@doors.post("", permission="leads.write", status_code=201, responses={404: problem(WORDS[404])}, misfits=_misfits)
async def register(call: InCall, wish: Register, response: Response) -> LeadRecord:
    """Keeps a lead."""
    lead = await call.appliance.leads(call.db).register(**wish.model_dump())
    response.headers["Location"] = call.address(f"leads/{lead['lead_id']}")
    return _told(call, lead, response)


@doors.get("/{lead_id}", permission="leads.read")
async def show(call: InCall, lead_id: Number, response: Response) -> LeadRecord:
    """One lead; its ETag goes with a decision about it."""
    found = await call.appliance.leads(call.db).lead(lead_id)
    response.headers["ETag"] = _etag(found)
    return found


@doors.post("/{lead_id}/qualify", permission="leads.write", if_match=True)
async def qualify(call: InCall, lead_id: Number, wish: Qualify, response: Response) -> LeadRecord:
    """Says that a lead is worth a customer; its onboarding starts from that."""
    leads = call.appliance.leads(call.db)
    await _seen(call, lead_id, reason=wish.reason)
    said = wish.model_dump(exclude={"reason"})
    return _told(call, await leads.qualify(lead_id=lead_id, by=call.by, **said), response)


@doors.post("/{lead_id}/disqualify", permission="leads.write", if_match=True)
async def disqualify(call: InCall, lead_id: Number, wish: Disqualify, response: Response) -> LeadRecord:
    """Says that a lead leads nowhere."""
    leads = call.appliance.leads(call.db)
    await _seen(call, lead_id, reason=wish.reason)
    return _told(call, await leads.disqualify(lead_id=lead_id, reason=wish.reason), response)


async def _seen(call: Call, lead_id: int, *, reason: str | None) -> None:
    """Nobody changes it from here on, and it is as the caller has seen it."""
    before = await call.appliance.leads(call.db).lead(lead_id, hold=True)
    call.require_match(_etag(before))
    call.tells(before=before, reason=reason)


def _told(call: Call, lead: LeadRecord, response: Response) -> LeadRecord:
    response.headers["ETag"] = _etag(lead)
    call.tells(subject=f"lead/{lead['lead_id']}", customer_id=lead["customer_id"] or lead["existing_customer_id"])
    return lead


def _etag(lead: LeadRecord) -> str:
    return etag_of("lead", *lead.values())
