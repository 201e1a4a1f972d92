"""``/payments``: what is paid and what isn't, and the word of whoever saw the money come."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import Call, InCall
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial.payments import PaymentHistory, PaymentView, list_payments, show_payment
from workflows.answers import PaymentState

doors = Doors(prefix="/payments", tags=["payments"])


class Seen(Wish):
    """Where it can be looked up: a bank statement, a receipt."""

    reference: str


class SettledPayment(Wish):
    """The payment as it stands, and the runs that were told."""

    payment: PaymentView
    runs: list[int]


@doors.get("", permission="payments.read")
async def list_(
    call: InCall,
    state: Annotated[list[PaymentState] | None, Query()] = None,
    customer: Wanted = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[PaymentView]:
    """Payments, the newest first."""
    found = await list_payments(
        call.db,
        tenant_id=call.tenant_id,
        states=state or (),
        customer_id=customer,
        before_id=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [payment.payment_id for payment in found], limit)


@doors.get("/{payment_id}", permission="payments.read")
async def show(call: InCall, payment_id: Number) -> PaymentHistory:
    """One payment, with every talk with its gateway."""
    return await show_payment(call.db, payment_id, tenant_id=call.tenant_id)


@doors.post("/{payment_id}/settle", permission="payments.settle")
async def settle(call: InCall, payment_id: Number, wish: Seen) -> SettledPayment:
    """The money of an invoice, cash or bank payment has come; the run that waits for it goes on."""
    await _before(call, payment_id, wish)
    desk = call.appliance.payment_desk(call.db)
    runs = await desk.settle(payment_id=payment_id, reference=wish.reference, by=call.by)
    call.tells(run_id=runs[0] if runs else None)
    return SettledPayment(payment=await _payment(call, payment_id), runs=runs)


@doors.post("/{payment_id}/refunded", permission="payments.settle")
async def refunded(call: InCall, payment_id: Number, wish: Seen) -> SettledPayment:
    """Money that has to go back was paid back by hand; then the held undo can be retried."""
    await _before(call, payment_id, wish)
    desk = call.appliance.payment_desk(call.db)
    await desk.paid_back(payment_id=payment_id, reference=wish.reference, by=call.by)
    return SettledPayment(payment=await _payment(call, payment_id), runs=[])


async def _before(call: Call, payment_id: int, wish: Seen) -> None:
    payment = await _payment(call, payment_id)
    call.tells(
        subject=f"payment/{payment_id}",
        customer_id=payment.customer_id,
        reason=wish.reference,
        before={"state": payment.state, "reference": payment.reference},
    )


async def _payment(call: Call, payment_id: int) -> PaymentView:
    await call.db.flush()
    return (await show_payment(call.db, payment_id, tenant_id=call.tenant_id)).payment
