"""``/orders``: what customers have bought, and how far each order is."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.idempotency import key_of
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.commercial import OrderRecord
from provisioning.commercial.payments import list_payments
from provisioning.commercial.selling.sales import OrderWithLines
from workflows.answers import OrderState, PaymentMethod

doors = Doors(prefix="/orders", tags=["orders"])


class WayToPay(WithReason):
    """Invoice, cash, bank, or the customer's card on file."""

    payment_method: PaymentMethod


class ChosenWay(Wish):
    """The run that was told of it."""

    order_id: int
    payment_method: PaymentMethod
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
async def show(call: InCall, order_id: Number, response: Response) -> OrderWithLines:
    """One order with its lines; its ETag goes with a word about how it is paid."""
    order = await call.appliance.sales(call.db).order(order_id)
    response.headers["ETag"] = await _etag(call, order)
    return order


@doors.post("/{order_id}/payment-method", permission="payments.choose", if_match=True)
async def pay_by(call: InCall, order_id: Number, wish: WayToPay, response: Response) -> ChosenWay:
    """Another way to pay, until the order is paid: what was asked for before is taken back first."""
    key = f"{call.caller.token_id}/{key_of(call.request)}"
    await _seen(call, order_id, reason=wish.reason)
    order, run_id = await call.appliance.order_desk(call.db).pay_by(order_id, wish.payment_method, key=key, by=call.by)
    call.tells(subject=f"order/{order_id}", customer_id=order.customer_id, run_id=run_id)
    response.headers["ETag"] = await _etag(call, await call.appliance.sales(call.db).order(order_id))
    return ChosenWay(order_id=order_id, run_id=run_id, payment_method=wish.payment_method)


async def _seen(call: Call, order_id: int, *, reason: str | None) -> None:
    """Nobody else says how it is paid from here on, and it is as the caller has seen it."""
    await call.appliance.order_desk(call.db).times_told(order_id, hold=True)
    order = await call.appliance.sales(call.db).order(order_id)
    call.require_match(await _etag(call, order))
    asked = await list_payments(call.db, tenant_id=call.tenant_id, order_id=order_id, limit=1)
    payments = [{"payment_id": each.payment_id, "method": each.method, "state": each.state} for each in asked]
    before = {"state": order["state"], "payment": payments[0] if payments else None}
    call.tells(subject=f"order/{order_id}", before=before, reason=reason)


async def _etag(call: Call, order: OrderRecord) -> str:
    told = await call.appliance.order_desk(call.db).times_told(order["order_id"])
    return etag_of("order", order["order_id"], order["state"], told)
