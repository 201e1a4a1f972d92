"""``/technicians``: when they work or are away, what their vans hold; and ``/visit-jobs``, what there is to do."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import Field

from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Moment, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.field import (
    IN_A_VAN,
    JobRecord,
    Jobs,
    LeaveRecord,
    Override,
    PlannedTechnician,
    StockHistory,
    StockItem,
    StockState,
    StockUnknown,
    TechnicianRecord,
    Technicians,
    TechnicianUnknown,
)

doors = Doors(prefix="/technicians", tags=["technicians"])
job_doors = Doors(prefix="/visit-jobs", tags=["visit-jobs"])

WHY = Field(default=None, min_length=1, max_length=500, description="Why visits outside these hours are made anyway")


class Known(Wish):
    """Somebody who visits customers, under the ISP's own number, and what they are able to do."""

    technician_id: int
    name: str
    email: str | None = None
    skills: list[str] = Field(default_factory=list)
    override_reason: str | None = Field(
        default=None, min_length=1, max_length=500, description="Why visits that need a skill that goes are made anyway"
    )


class TechnicianPlan(Wish):
    """How a technician works, as a whole: what is left out isn't known any more.

    ``week``: by weekday (``mon`` to ``sun``) the periods of work, as ``08:00-12:00``; a day that is left out is free.
    ``holidays``: whose public holidays, as ``DE`` or ``DE-BY``.
    """

    team: str | None = None
    van: str | None = None
    home_latitude: float | None = None
    home_longitude: float | None = None
    week: dict[str, list[str]] | None = None
    time_zone: str | None = None
    holidays: str | None = None
    override_reason: str | None = WHY


class Away(Wish):
    """A time in which a technician isn't there."""

    starts_at: Moment
    ends_at: Moment
    reason: str
    override_reason: str | None = WHY


class BookIn(Wish):
    """What goes into a van; why, where one is installed at a customer's by what is known."""

    serials: list[str] = Field(min_length=1, max_length=500)
    reason: str | None = None


class BookOut(Wish):
    """What comes out of it again, and why."""

    serials: list[str] = Field(min_length=1, max_length=500)
    reason: str


class Job(Wish):
    """A kind of job. The technician may arrive until ``window_minutes`` after the start."""

    name: str
    duration_minutes: int
    buffer_minutes: int = 0
    window_minutes: int = 0
    skills: list[str] = Field(default_factory=list)


@doors.get("", permission="technicians.read")
async def list_(call: InCall) -> Page[PlannedTechnician]:
    """All technicians, by name."""
    return Page(items=await call.appliance.planning(call.db).technicians())


@doors.post("", permission="technicians.write", status_code=201)
async def register(call: InCall, wish: Known, response: Response) -> TechnicianRecord:
    """Makes a technician known; one who is known gets the e-mail and the skills given now. Visits that need a skill
    that goes are named, and refuse it."""
    registered = await call.appliance.planning(call.db).register(
        **wish.model_dump(exclude={"override_reason"}), override=override_of(call, wish.override_reason)
    )
    response.headers["Location"] = call.address(f"technicians/{wish.technician_id}")
    call.tells(subject=f"technician/{wish.technician_id}")
    return registered


@doors.get("/leave", permission="technicians.read")
async def leave(call: InCall, technician: Wanted = None) -> Page[LeaveRecord]:
    """Who is away, or will be."""
    return Page(items=await call.appliance.planning(call.db).leave(technician_id=technician))


@doors.get("/stock/{serial}", permission="visits.read")
async def stock_of_serial(call: InCall, serial: Annotated[str, Path(max_length=64)]) -> StockHistory:
    """Where one CPE or ONT is by the stock, and how it came there. A technician sees what is of their own van."""
    found, own = await call.appliance.van_stock(call.db).history(serial), call.caller.technician_id
    if own is None:
        return found
    if found["item"]["technician_id"] != own:
        raise StockUnknown(found["item"]["serial"])
    return StockHistory(
        item=found["item"], movements=[each for each in found["movements"] if each["technician_id"] == own]
    )


@doors.get("/{technician_id}/stock", permission="visits.read")
async def stock(
    call: InCall,
    technician_id: Number,
    state: Annotated[list[StockState] | None, Query(description="In the van, if none is given")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[StockItem]:
    """What is in a technician's van, owned and returned; or what was installed out of it, or booked out."""
    if call.caller.technician_id not in (None, technician_id):
        raise TechnicianUnknown(technician_id)
    await Technicians(call.db, tenant_id=call.tenant_id).technician(technician_id)
    found = await call.appliance.van_stock(call.db).stock(
        technician_id, states=state or IN_A_VAN, after=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [each["item_id"] for each in found], limit)


@doors.post("/{technician_id}/stock", permission="technicians.write")
async def book_in(call: InCall, technician_id: Number, wish: BookIn) -> Page[StockItem]:
    """Books serials into a technician's van, all or none; what is in another one, or without a ``reason`` at a
    customer's, is refused."""
    call.tells(subject=f"technician/{technician_id}", reason=wish.reason)
    items = await call.appliance.van_stock(call.db).book_in(
        technician_id=technician_id, serials=wish.serials, reason=wish.reason, by=call.by
    )
    return Page(items=items)


@doors.post("/{technician_id}/stock/out", permission="technicians.write")
async def book_out(call: InCall, technician_id: Number, wish: BookOut) -> Page[StockItem]:
    """Books serials out of a technician's van, all or none: they were handed back."""
    call.tells(subject=f"technician/{technician_id}", reason=wish.reason)
    items = await call.appliance.van_stock(call.db).book_out(
        technician_id=technician_id, serials=wish.serials, reason=wish.reason, by=call.by
    )
    return Page(items=items)


@doors.get("/{technician_id}", permission="technicians.read")
async def show(call: InCall, technician_id: Number) -> PlannedTechnician:
    """One technician."""
    return await call.appliance.planning(call.db).technician(technician_id)


@doors.post("/{technician_id}/plan", permission="technicians.write")
async def plan(call: InCall, technician_id: Number, wish: TechnicianPlan) -> PlannedTechnician:
    """Says when and from where a technician works. Visits that would lie outside are named, and refuse it."""
    planning = call.appliance.planning(call.db)
    call.tells(subject=f"technician/{technician_id}", before=await planning.technician(technician_id))
    said = wish.model_dump(exclude={"override_reason"})
    return await planning.plan(technician_id=technician_id, override=override_of(call, wish.override_reason), **said)


@doors.post("/{technician_id}/leave", permission="technicians.write", status_code=201)
async def take_leave(call: InCall, technician_id: Number, wish: Away) -> LeaveRecord:
    """A technician isn't there. Visits that are booked then are named, and refuse it."""
    call.tells(subject=f"technician/{technician_id}", reason=wish.reason)
    return await call.appliance.planning(call.db).take_leave(
        technician_id=technician_id,
        starts_at=wish.starts_at,
        ends_at=wish.ends_at,
        reason=wish.reason,
        override=override_of(call, wish.override_reason),
    )


@doors.post("/leave/{leave_id}/withdraw", permission="technicians.write")
async def withdraw_leave(call: InCall, leave_id: Number) -> LeaveRecord:
    """The technician is there after all."""
    withdrawn = await call.appliance.planning(call.db).withdraw_leave(leave_id)
    call.tells(subject=f"technician/{withdrawn['technician_id']}", before=withdrawn)
    return withdrawn


@job_doors.get("", permission="technicians.read")
async def jobs(call: InCall) -> Page[JobRecord]:
    """The kinds of jobs, by name."""
    return Page(items=await Jobs(call.db, tenant_id=call.tenant_id).jobs())


@job_doors.post("", permission="technicians.write", status_code=201, responses={404: problem(WORDS[404])})
async def define_job(call: InCall, wish: Job, response: Response) -> JobRecord:
    """Makes a kind of job known, or another one of it; visits that are booked stay as they are."""
    defined = await Jobs(call.db, tenant_id=call.tenant_id).define(**wish.model_dump())
    response.headers["Location"] = call.address("visit-jobs")
    call.tells(subject=f"visit-job/{defined['name']}")
    return defined


def override_of(call: Call, reason: str | None) -> Override | None:
    """Why it is done against the rules, if the caller may. Raises: AccessForbidden."""
    if reason is None:
        return None
    call.caller.require("visits.override")
    call.tells(reason=reason)
    return Override(reason, call.by)
