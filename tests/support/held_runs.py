"""Runs that are held in ways the healthy estate has none of: while they go back, and at a payment."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import RunNote, RunRow, StepRow

AT_AN_UNDO, PAYING = 3, 77
UNDO_HELD_IN, BACK_TO = "authorise_line", "allocate_resources"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REASON = (
    "payment 7 of 49.90 EUR by bank has not come within 14 days: ask the customer, then confirm it by"
    " `firstlight payments settle 7 --reference WHERE` and retry"
)
ORDERED = {
    "order_id": 9,
    "quote_id": 5,
    "customer_id": 1003,
    "customer_email": "ada@example.org",
    "total_amount": "49.90",
    "total_minor": 4990,
    "currency": "EUR",
    "state": "acknowledged",
    "payment_terms": "prepaid",
}
ASKED = {
    "payment_id": 7,
    "order_id": 9,
    "quote_id": None,
    "customer_id": 1003,
    "amount": "49.90",
    "amount_minor": 4990,
    "currency": "EUR",
    "payment_method": "bank",
    "provider": "by hand",
    "state": "requested",
    "idempotency_key": "payment/7",
}


async def hold_in_its_undo(db: AsyncSession, direction: str) -> None:
    """The estate's held run goes back by now (`back`, `undo`), and is held where the line is to be taken off."""
    back_to = BACK_TO if direction == "back" else None
    held = {"direction": direction, "back_to": back_to, "current_step": UNDO_HELD_IN, "reason": "the OLT is silent"}
    await db.execute(update(RunRow).where(RunRow.id == AT_AN_UNDO).values(**held))
    steps = update(StepRow).where(StepRow.run_id == AT_AN_UNDO)
    later = ("hand_over_line", "see_open_sessions", "line_answer", "confirm_port")
    await db.execute(steps.where(StepRow.step.in_(later)).values(state="undone"))
    await db.execute(steps.where(StepRow.step == UNDO_HELD_IN).values(state="held", note="the OLT is silent"))


async def hold_at_a_payment(db: AsyncSession, tenant_id: str) -> None:
    """An order whose customer has not paid: the amount stands in its reason, rounds, log and results."""
    told = {"quote_id": 5, "customer_id": 1003, "accepted_by": "Ada", "accepted_at": NOW.isoformat()}
    db.add(
        RunRow(
            id=PAYING,
            tenant_id=tenant_id,
            journey="quote_accepted_to_order",
            version=1,
            business_key="quote/5/accepted",
            customer_id=1003,
            input=json.dumps({**told, "acceptance": 1, "priority": "normal"}),
            input_digest="0" * 64,
            state="held",
            current_step="payment_settled",
            waiting_for="operator",
            reason=REASON,
            reason_code="workflow.needs_a_person",
            created_at=NOW,
            updated_at=NOW,
        )
    )
    await db.flush()
    for step, state, result, note in (
        ("create_order_from_quote", "completed", ORDERED, None),
        ("process_payment", "completed", ASKED, None),
        ("payment_settled", "undone", None, "The gateway says that 12.50 EUR was taken for payment 7"),
        ("payment_settled", "held", None, REASON),
    ):
        db.add(
            StepRow(
                run_id=PAYING,
                step=step,
                round=2 if state == "held" else 1,
                state=state,
                effect="wait" if step == "payment_settled" else "transactional",
                key=f"order/9/{step}",
                result=None if result is None else json.dumps(result),
                note=note,
                started_at=NOW,
            )
        )
    db.add(RunNote(run_id=PAYING, at=NOW, by="engine", step="payment_settled", text=f"held: {REASON}"))
    await db.flush()
