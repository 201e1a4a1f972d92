"""Reading a line order's row: locked for a change, and as the answer that others see."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import cast

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.line.errors import LineBusy, LineOrderUnknown, LineRaced
from provisioning.line.tables import LIVE_STATES, LineOrderRecord, LineOrderRow
from workflows.services import LineState

_SERVICES_AT_ONCE = 500


async def locked_order(db: AsyncSession, tenant_id: str, line_order_id: int) -> LineOrderRow:
    """The row, locked until the transaction ends, so that two answers take turns.

    Raises:
        LineOrderUnknown: there is none of this number.
    """
    row = await db.scalar(
        select(LineOrderRow)
        .where(LineOrderRow.tenant_id == tenant_id, LineOrderRow.id == line_order_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise LineOrderUnknown(line_order_id)
    return row


async def line_order_as_it_is(db: AsyncSession, tenant_id: str, line_order_id: int) -> LineOrderRow:
    """The row without a lock, for a door that locks the run first.

    Raises:
        LineOrderUnknown: there is none of this number.
    """
    row = await db.scalar(
        select(LineOrderRow)
        .where(LineOrderRow.tenant_id == tenant_id, LineOrderRow.id == line_order_id)
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise LineOrderUnknown(line_order_id)
    return row


async def line_orders(
    db: AsyncSession,
    tenant_id: str,
    *,
    states: Sequence[LineState] = (),
    customer_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[LineOrderRecord]:
    """The newest line orders first, a page at a time (``before_id``)."""
    query = select(LineOrderRow).where(LineOrderRow.tenant_id == tenant_id)
    if states:
        query = query.where(LineOrderRow.state.in_(states))
    if customer_id is not None:
        query = query.where(LineOrderRow.customer_id == customer_id)
    if before_id is not None:
        query = query.where(LineOrderRow.id < before_id)
    return [as_line_order(row) for row in await db.scalars(query.order_by(LineOrderRow.id.desc()).limit(limit))]


async def live_line_orders(
    db: AsyncSession, tenant_id: str, service_ids: Collection[int]
) -> dict[int, LineOrderRecord]:
    """By service the one line order that an OLT carries, or is about to carry, for it."""
    wanted, found = sorted(service_ids), dict[int, LineOrderRecord]()
    for start in range(0, len(wanted), _SERVICES_AT_ONCE):
        rows = await db.scalars(
            select(LineOrderRow)
            .where(
                LineOrderRow.tenant_id == tenant_id,
                LineOrderRow.state.in_(LIVE_STATES),
                LineOrderRow.service_id.in_(wanted[start : start + _SERVICES_AT_ONCE]),
            )
            .execution_options(populate_existing=True)
        )
        found |= {row.service_id: as_line_order(row) for row in rows}
    return found


async def busy(db: AsyncSession, tenant_id: str, *, device_serial: str, service_id: int) -> LineBusy | LineRaced:
    """Why a constraint refused a second live order: the error that names who holds the serial or the service."""
    holder = await db.scalar(
        select(LineOrderRow)
        .where(
            LineOrderRow.tenant_id == tenant_id,
            LineOrderRow.state.in_(LIVE_STATES),
            or_(LineOrderRow.device_serial == device_serial, LineOrderRow.service_id == service_id),
        )
        .order_by(LineOrderRow.id)
        .limit(1)
    )
    if holder is None:
        return LineRaced()
    return LineBusy(
        device_serial=device_serial,
        service_id=service_id,
        holder_id=holder.id,
        held_for=f"{holder.device_serial} of service {holder.service_id}",
    )


def as_line_order(row: LineOrderRow) -> LineOrderRecord:
    return LineOrderRecord(
        line_order_id=row.id,
        state=cast(LineState, row.state),
        customer_id=row.customer_id,
        service_id=row.service_id,
        device_serial=row.device_serial,
        access_node=row.access_node,
        port=row.port,
        svlan=row.svlan,
        cvlan=row.cvlan,
        management_vlan=row.management_vlan,
        line_profile=row.line_profile,
        actual_port=row.actual_port,
        onu_id=row.onu_id,
        received_power_dbm=row.received_power_dbm,
        refusal=row.refusal,
        requested_at=row.requested_at,
        handed_over_at=row.handed_over_at,
        answered_at=row.answered_at,
        withdrawn_at=row.withdrawn_at,
    )
