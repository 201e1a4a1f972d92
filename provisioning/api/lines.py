"""``/line-orders``: lines on their way to the OLT, and its answers by a person's hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import Field

from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.found_onts import FoundOnt
from provisioning.line import LineOrderRecord, line_order_as_it_is, line_orders
from provisioning.line.orders import as_line_order
from workflows.services import LineState

doors = Doors(prefix="/line-orders", tags=["line orders"])
found_doors = Doors(prefix="/found-onts", tags=["line orders"])


class Answer(WithReason):
    """The port the ONT came up at; its number there and the received power in dBm, where that was looked up."""

    actual_port: str
    onu_id: int | None = None
    received_power_dbm: float | None = Field(default=None, ge=-100, le=20)


class Refusal(Wish):
    """Why the OLT's side can't have this line."""

    reason: str


class OntAtAPort(WithReason):
    """An ONT that the OLT shows at a port and that nobody has let in."""

    serial: Annotated[str, Field(min_length=1, max_length=64)]
    access_node: Annotated[str, Field(min_length=1, max_length=100)]
    port: Annotated[str, Field(min_length=1, max_length=64)]


class AnsweredLine(Wish):
    """The line order as it stands, and the runs that were told."""

    line_order: LineOrderRecord
    runs: list[int]


@doors.get("", permission="lines.read")
async def list_(
    call: InCall,
    state: Annotated[list[LineState] | None, Query(description="Only orders in these states")] = None,
    customer: Wanted = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[LineOrderRecord]:
    """Line orders, the newest first."""
    found = await line_orders(
        call.db,
        call.tenant_id,
        states=state or (),
        customer_id=customer,
        before_id=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [order["line_order_id"] for order in found], limit)


@doors.get("/{line_order_id}", permission="lines.read")
async def show(call: InCall, line_order_id: Number) -> LineOrderRecord:
    """One line order."""
    return await _order(call, line_order_id)


@doors.post("/{line_order_id}/answer", permission="lines.answer")
async def answer(call: InCall, line_order_id: Number, wish: Answer) -> AnsweredLine:
    """The line is on the OLT: the run that waits for it goes on. The same answer again is one."""
    before, said = await _order(call, line_order_id), wish.model_dump(exclude={"reason"})
    runs = await call.appliance.line_desk(call.db).answer(line_order_id=line_order_id, by=call.by, **said)
    call.tells(reason=wish.reason)
    return await _told(call, before, runs)


@doors.post("/{line_order_id}/refused", permission="lines.answer")
async def refused(call: InCall, line_order_id: Number, wish: Refusal) -> AnsweredLine:
    """The OLT's side can't have the line: the run that waits for it is told why."""
    before = await _order(call, line_order_id)
    runs = await call.appliance.line_desk(call.db).refuse(line_order_id=line_order_id, reason=wish.reason, by=call.by)
    call.tells(reason=wish.reason)
    return await _told(call, before, runs)


@doors.post("/{line_order_id}/removed", permission="lines.answer")
async def removed(call: InCall, line_order_id: Number, wish: WithReason) -> AnsweredLine:
    """The line that was to be taken off is off the OLT: what has waited for it goes on."""
    before = await _order(call, line_order_id)
    runs = await call.appliance.line_desk(call.db).removed(line_order_id=line_order_id, by=call.by)
    call.tells(reason=wish.reason)
    return await _told(call, before, runs)


@found_doors.post("", permission="lines.answer")
async def found(call: InCall, wish: OntAtAPort) -> FoundOnt:
    """Binds the ONT to the one visit that is at work at that port, as a scan there would."""
    desk = call.appliance.found_ont_desk(call.db)
    bound = await desk.found(serial=wish.serial, access_node=wish.access_node, port=wish.port, by=call.by)
    call.tells(
        subject=subject_of("visit", bound["visit_id"]),
        customer_id=bound["customer_id"],
        run_id=bound["runs"][0] if bound["runs"] else None,
        reason=wish.reason,
        before={"state": "booked" if bound["is_new"] else "scanned"},
        after={"state": "scanned", "device_serial": bound["device_serial"], "port": bound["port"]},
    )
    return bound


async def _told(call: Call, before: LineOrderRecord, runs: list[int]) -> AnsweredLine:
    line_order_id = before["line_order_id"]
    call.tells(
        subject=subject_of("line_order", line_order_id),
        customer_id=before["customer_id"],
        run_id=runs[0] if runs else None,
        before={"state": before["state"], "port": before["port"]},
    )
    return AnsweredLine(line_order=await _order(call, line_order_id), runs=runs)


async def _order(call: Call, line_order_id: int) -> LineOrderRecord:
    return as_line_order(await line_order_as_it_is(call.db, call.tenant_id, line_order_id))
