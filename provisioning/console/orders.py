"""``/orders``: what customers have bought, and how far each order is; its amounts belong to it for whoever may
read orders, dispatch as well, while payments are shown to who may read those."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial.payments import list_payments
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of, one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from workflows.answers import OrderState

ON_A_PAGE = 50
MOST_PAYMENTS = 10
STATES: tuple[OrderState, ...] = get_args(OrderState)

doors = ConsoleDoors(name="orders")

Word = Annotated[str, Query(max_length=30)]


@doors.page("/orders", permission="orders.read")
async def orders(call: InCall, state: Word = "", customer: Word = "", after: After = None) -> Response:
    """Orders, the newest first."""
    found = await call.appliance.sales(call.db).orders(
        state=one_of(STATES, state), customer_id=read_customer(customer), before_id=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [order["order_id"] for order in found], ON_A_PAGE)
    return show(
        call,
        "orders.html.j2",
        "Orders",
        orders=page.items,
        names=await names_of(call, [order["customer_id"] for order in page.items]),
        next=page.next,
        states=STATES,
        wanted={"state": state, "customer": customer},
    )


@doors.page("/orders/{order_id}", permission="orders.read")
async def order(call: InCall, order_id: Number) -> Response:
    """One order: what was bought, how it stands, and what was asked for it, for who may see payments."""
    found = await call.appliance.sales(call.db).order(order_id)
    payments = []
    if "payments.read" in call.caller.permissions:
        payments = await list_payments(call.db, tenant_id=call.tenant_id, order_id=order_id, limit=MOST_PAYMENTS)
    names = await names_of(call, [found["customer_id"]])
    return show(call, "order.html.j2", f"Order {order_id}", order=found, payments=payments, names=names)
