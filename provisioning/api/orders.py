"""``/orders``: what customers have bought, and how far each order is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.idempotency import key_of
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial import OrderRecord
from provisioning.commercial.sales import OrderWithLines
from workflows.answers import OrderState, PaymentMethod

doors = Doors(prefix="/orders", tags=["orders"])


class WayToPay(Wish):
    """Invoice, cash, bank, or the customer's card on file."""

    payment_method: PaymentMethod


class ChosenWay(WayToPay):
    """The run that was told of it."""

    order_id: int
    run_id: int


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


@doors.post("/{order_id}/payment-method", permission="payments.choose")
async def pay_by(call: InCall, order_id: Number, wish: WayToPay) -> ChosenWay:
    """Another way to pay, until the order is paid: what was asked for before is taken back first."""
    key = f"{call.caller.token_id}/{key_of(call.request)}"
    order, run_id = await call.appliance.order_desk(call.db).pay_by(order_id, wish.payment_method, key=key, by=call.by)
    call.tells(subject=f"order/{order_id}", customer_id=order.customer_id, run_id=run_id)
    return ChosenWay(order_id=order_id, run_id=run_id, payment_method=wish.payment_method)
