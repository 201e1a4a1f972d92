"""How van stock reads to everybody outside this package."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from provisioning.field.stock_tables import StockState, VanItem, VanMovement


class StockItem(TypedDict):
    """One CPE or ONT. ``technician_id``: whose van it is in, or was in last."""

    item_id: int
    serial: str
    technician_id: int
    state: StockState
    visit_id: int | None
    since: datetime


class StockMovement(TypedDict):
    """What became of it once, by whom, and why, where that was said. ``at``: when it was done, as far as is known."""

    technician_id: int
    state: StockState
    visit_id: int | None
    reason: str | None
    by: str
    at: datetime


class StockHistory(TypedDict):
    """One serial, and its movements, the oldest first."""

    item: StockItem
    movements: list[StockMovement]


def as_item(row: VanItem) -> StockItem:
    return StockItem(
        item_id=row.id,
        serial=row.serial,
        technician_id=row.technician_id,
        state=row.state,
        visit_id=row.visit_id,
        since=row.since,
    )


def as_movement(row: VanMovement) -> StockMovement:
    return StockMovement(
        technician_id=row.technician_id,
        state=row.state,
        visit_id=row.visit_id,
        reason=row.reason,
        by=row.by,
        at=row.at,
    )
