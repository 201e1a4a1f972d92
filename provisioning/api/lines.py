"""``/line-orders``: lines on their way to the OLT, and its answers by a person's hand."""

from __future__ import annotations

from pydantic import Field

from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.pages import Number
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.line import LineOrderRecord, LineService

doors = Doors(prefix="/line-orders", tags=["line orders"])


class Answer(Wish):
    """The port the ONT came up at; its number there and the received power in dBm, where that was looked up."""

    actual_port: str
    onu_id: int | None = None
    received_power_dbm: float | None = Field(default=None, ge=-100, le=20)


class AnsweredLine(Wish):
    """The line order as it stands, and the runs that were told."""

    line_order: LineOrderRecord
    runs: list[int]


@doors.get("/{line_order_id}", permission="lines.read")
async def show(call: InCall, line_order_id: Number) -> LineOrderRecord:
    """One line order."""
    return await _order(call, line_order_id)


@doors.post("/{line_order_id}/answer", permission="lines.answer")
async def answer(call: InCall, line_order_id: Number, wish: Answer) -> AnsweredLine:
    """The line is on the OLT: the run that waits for it goes on. The same answer again is one."""
    before = await _order(call, line_order_id)
    runs = await call.appliance.line_desk(call.db).answer(line_order_id=line_order_id, by=call.by, **wish.model_dump())
    call.tells(
        subject=subject_of("line_order", line_order_id),
        customer_id=before["customer_id"],
        run_id=runs[0] if runs else None,
        before={"state": before["state"], "port": before["port"]},
    )
    return AnsweredLine(line_order=await _order(call, line_order_id), runs=runs)


async def _order(call: Call, line_order_id: int) -> LineOrderRecord:
    lines = LineService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    return await lines.get_line_order(line_order_id=line_order_id)
