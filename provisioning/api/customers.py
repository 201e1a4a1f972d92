"""``/customers``: who buys, under the numbers the ISP knows them by."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import AwareDatetime

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.own import own_customers
from provisioning.api.pages import After, Limit, Number, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import WithReason
from provisioning.commercial import CustomerRecord, CustomerUnknown
from workflows.services import SiteSurvey, SurveyResult

doors = Doors(prefix="/customers", tags=["customers"])


class CustomerChange(WithReason):
    """The language as BCP 47 writes it, such as de or de-AT; null for the ISP's own."""

    language: str | None


class Survey(WithReason):
    """What a completed survey found at a premise, by its ``LOC-...`` id or an alias; now, unless it says when."""

    service_location: str
    result: SurveyResult
    surveyed_at: AwareDatetime | None = None
    notes: str = ""


@doors.get("", permission="customers.read")
async def list_(
    call: InCall,
    email: Annotated[str | None, Query(max_length=254, description="Only those with this very mail address")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[CustomerRecord]:
    """Customers, the highest number first. A partner sees their own."""
    found = await call.appliance.customers(call.db).customers(
        email=email, among=own_customers(call), before_id=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [customer["customer_id"] for customer in found], limit)


@doors.get("/{customer_id}", permission="customers.read")
async def show(call: InCall, customer_id: Number, response: Response) -> CustomerRecord:
    """One customer, also one who was taken back; the ETag goes with a change."""
    found = await _one(call, customer_id)
    response.headers["ETag"] = _etag(found)
    return found


@doors.patch("/{customer_id}", permission="customers.write", if_match=True)
async def change(call: InCall, customer_id: Number, wish: CustomerChange, response: Response) -> CustomerRecord:
    """Says in which language a customer is written to from now on, and their page speaks."""
    await call.appliance.customers(call.db).hold(customer_id)
    before = await _one(call, customer_id)
    call.require_match(_etag(before))
    call.tells(before=before, reason=wish.reason, subject=f"customer/{customer_id}", customer_id=customer_id)
    await call.appliance.customers(call.db).speak(customer_id=customer_id, language=wish.language)
    changed = await _one(call, customer_id)
    response.headers["ETag"] = _etag(changed)
    return changed


@doors.get("/{customer_id}/site-surveys", permission="customers.read")
async def site_surveys(call: InCall, customer_id: Number, after: After = None, limit: Limit = 50) -> Page[SiteSurvey]:
    """What surveyors found for this customer, the one that was recorded last first."""
    await _one(call, customer_id)
    found = await call.appliance.surveys(call.db).surveys(customer_id, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [survey["survey_id"] for survey in found], limit)


@doors.post("/{customer_id}/site-surveys", permission="installations.order", status_code=201)
async def record_site_survey(call: InCall, customer_id: Number, wish: Survey) -> SiteSurvey:
    """Keeps a completed survey: an installation needs one that says the place can be served. The newest counts."""
    survey = await call.appliance.surveys(call.db).record(
        customer_id=customer_id,
        service_location=wish.service_location,
        result=wish.result,
        surveyed_at=wish.surveyed_at or call.appliance.clock(),
        notes=wish.notes,
    )
    call.tells(
        reason=wish.reason,
        subject=f"customer/{customer_id}",
        customer_id=customer_id,
        after={"site_survey": survey["survey_id"], "result": survey["result"]},
    )
    return survey


async def _one(call: Call, customer_id: int) -> CustomerRecord:
    found = await call.appliance.customers(call.db).customers(
        customer_id=customer_id, among=own_customers(call), limit=1
    )
    if not found:
        raise CustomerUnknown(customer_id)
    return found[0]


def _etag(customer: CustomerRecord) -> str:
    return etag_of("customer", *customer.values())
