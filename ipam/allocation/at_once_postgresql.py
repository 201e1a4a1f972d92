"""A new service by one call of PostgreSQL's function (``ipam.allocation.at_once_ddl``)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ipam.allocation.given import WROTE, Given
from ipam.allocation.orders import Order
from ipam.allocation.places import PLACE_COLUMNS, PLAN_COLUMNS, Place, Plan
from ipam.answers import Held
from ipam.errors import UsernameTaken

# In the driver's own words: what SQLAlchemy does about a statement's shape takes longer than the statement.
_CALL = "SELECT ipam_give_at_once(%s::text, %s::bigint, %s::text, %s::text, %s::text, %s::text, %s::timestamptz)"
_OF_PLACE, _OF_PLAN = len(PLACE_COLUMNS), len(PLAN_COLUMNS)


async def give_at_once(
    connection: AsyncConnection, order: Order, *, tenant_id: str, realm: str, at: datetime
) -> Given | None:
    """None: nothing was done.

    Raises:
        UsernameTaken: by somebody who was not given it by us.
    """
    asked = (
        tenant_id,
        order.customer_id,
        order.service_location.strip(),
        order.bandwidth_plan,
        order.request_id,
        f"@{realm}" if realm else "",
        at,
    )
    answer: str | None = (await connection.exec_driver_sql(_CALL, asked)).scalar_one()
    if answer is None:
        return None
    told = json.loads(answer)
    if "taken" in told:
        raise UsernameTaken(told["taken"], customer_id=order.customer_id)
    connection.info[WROTE] = True
    return _given(told)


def _given(told: dict[str, Any]) -> Given:
    asked = list(told["asked"].values())
    held = [
        Held(
            told["kinds"][each],
            unit,
            _bytes(told["bases"][each]),
            told["unit_lengths"][each],
            told["lengths"][each],
            _bytes(told["gateways"][each]),
            told["vids"][each],
            told["framed"][each],
        )
        for each, unit in zip((number - 1 for number in told["chosen"]), told["units"], strict=True)
    ]
    place, plan = Place(*asked[:_OF_PLACE]), Plan(*asked[_OF_PLACE : _OF_PLACE + _OF_PLAN])
    return Given(told["service_id"], told["username"], place, plan, held)


def _bytes(written: str | None) -> bytes | None:
    """Of PostgreSQL's hex format: ``\\x0a000000``."""
    return None if written is None else bytes.fromhex(written[2:])
