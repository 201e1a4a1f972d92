"""``/orders``: what customers have bought, and how far each order is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.commercial import OrderRecord
from provisioning.commercial.sales import OrderWithLines
from workflows.answers import OrderState

doors = Doors(prefix="/orders", tags=["orders"])


@doors.get("", permission="orders.read")
async def list_(
    call: InCall,
    state: Annotated[OrderState | None, Query()] = None,
    customer: Wanted = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[OrderRecord]:
    """Orders, the newest first."""
    sales = call.appliance.sales(call.db)
    found = await sales.orders(state=state, customer_id=customer, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [order["order_id"] for order in found], limit)


@doors.get("/{order_id}", permission="orders.read")
async def show(call: InCall, order_id: Number) -> OrderWithLines:
    """One order with its lines."""
    return await call.appliance.sales(call.db).order(order_id)
