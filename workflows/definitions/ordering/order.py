"""The order, and its payment if it is paid in advance."""

from __future__ import annotations

from typing_extensions import TypedDict

from workflows.answers import OrderFromQuote, PaymentMethod, RequestedPayment
from workflows.definitions.charging import ASKED_ANEW, payment_steps
from workflows.definitions.input_types import Frozen
from workflows.definitions.kit import step
from workflows.definitions.ordering.acceptance import UNDONE, Order
from workflows.engine.routes import Hold
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import NothingToUndo
from workflows.services import Services


class WayToPay(Frozen):
    """How the customer pays."""

    payment_method: PaymentMethod


async def cancel_order(services: Services, run: Order, order: OrderFromQuote) -> None:
    await services.sales_service.cancel_order(order_id=order["order_id"], reason=UNDONE)


@step.transactional(undo=cancel_order)
async def create_order_from_quote(services: Services, run: Order) -> OrderFromQuote:
    return await services.sales_service.create_order_from_quote(
        quote_id=run.input.quote_id, tenant_id=run.tenant_id, request_id=run.key(create_order_from_quote)
    )


def is_paid_in_advance(run: Order) -> bool:
    order = run[create_order_from_quote]
    return order["payment_terms"] == "prepaid" and order["total_minor"] > 0


payment_method = wait_for(
    "payment_method",
    signal="payment_method",
    payload=WayToPay,
    says="the order is paid in advance: how the customer pays has to be said",
    deadline=lambda run: run.now + run.patience("payment"),
    on_deadline=lambda run: Hold(
        f"nobody has said within {run.within('payment')} how order {run[create_order_from_quote]['order_id']} is "
        "paid: ask the customer, say so (`firstlight orders pay-by`) and retry, or roll back"
    ),
    when=lambda run: run.is_told("payment_method") or (is_paid_in_advance(run) and run.input.payment_method is None),
    otherwise="how it is paid is known already, or it is not paid in advance",
    patience=("payment",),
)


def way_to_pay(run: Order) -> PaymentMethod:
    """What was said last, or else what the order came with."""
    if run.done(payment_method) or run.input.payment_method is None:
        return run[payment_method].payment_method
    return run.input.payment_method


def why_not_paid(run: Order) -> str:
    """What a payment that is taken back was given up for: the order goes on, unless all of it is undone."""
    if run.is_told("payment_method"):
        return "another way to pay was chosen"
    return ASKED_ANEW if run.is_going_back else UNDONE


async def void_payment(services: Services, run: Order, payment: RequestedPayment) -> None:
    await services.billing_service.void_payment(payment_id=payment["payment_id"], reason=why_not_paid(run))


@step.transactional(
    undo=void_payment,
    when=is_paid_in_advance,
    otherwise="nothing is paid in advance: the order is post-paid, or comes to nothing",
)
async def process_payment(services: Services, run: Order) -> RequestedPayment:
    order = run[create_order_from_quote]
    return await services.billing_service.process_payment(
        order_id=order["order_id"],
        amount=order["total_amount"],
        payment_method=way_to_pay(run),
        request_id=run.key(process_payment),
    )


class BegunOrder(TypedDict):
    """An order that is worked on: what had to be paid in advance is paid."""

    order_id: int


capture_payment, payment_settled = payment_steps(
    process_payment,
    undone_because=why_not_paid,
    instead="choose another way to pay (`firstlight orders pay-by`), or roll back",
)


@step.transactional(undo=NothingToUndo("the order's own end tells what became of it"))
async def begin_order(services: Services, run: Order) -> BegunOrder:
    """From here on another way to pay comes too late."""
    order_id = run[create_order_from_quote]["order_id"]
    await services.sales_service.begin_order(order_id=order_id)
    return {"order_id": order_id}
