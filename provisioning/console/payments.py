"""``/payments``: what is paid and what isn't, and of each every talk with its gateway."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial.payments import list_payments, show_payment
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of, one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from workflows.answers import PaymentState

ON_A_PAGE = 50
STATES: tuple[PaymentState, ...] = get_args(PaymentState)

doors = ConsoleDoors(name="payments")

Word = Annotated[str, Query(max_length=30)]


@doors.page("/payments", permission="payments.read")
async def payments(call: InCall, state: Word = "", customer: Word = "", after: After = None) -> Response:
    """Payments, the newest first."""
    wanted = one_of(STATES, state)
    found = await list_payments(
        call.db,
        tenant_id=call.tenant_id,
        states=[wanted] if wanted else (),
        customer_id=read_customer(customer),
        before_id=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [payment.payment_id for payment in found], ON_A_PAGE)
    return show(
        call,
        "payments.html.j2",
        "Payments",
        payments=page.items,
        names=await names_of(call, [payment.customer_id for payment in page.items]),
        next=page.next,
        states=STATES,
        wanted={"state": state, "customer": customer},
    )


@doors.page("/payments/{payment_id}", permission="payments.read")
async def payment(call: InCall, payment_id: Number) -> Response:
    """One payment, whole."""
    found = await show_payment(call.db, payment_id, tenant_id=call.tenant_id)
    names = await names_of(call, [found.payment.customer_id])
    title = f"Payment {payment_id}"
    return show(call, "payment.html.j2", title, payment=found.payment, history=found.history, names=names)
