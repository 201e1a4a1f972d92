"""A journey's payment: taken through its gateway, and waited for where somebody else has to say that the money came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflows.answers import PaymentOutcome, PaymentSettled, PaymentState, RequestedPayment
from workflows.definitions.kit import step
from workflows.engine.routes import Hold, Proceed, Route
from workflows.engine.run import Run
from workflows.engine.step_kit import wait_for
from workflows.engine.steps import Act, RetryPolicy, Wait
from workflows.services import Outside

# A gateway that doesn't answer is asked for three quarters of an hour; then a person looks what became of the money.
GATEWAY_PATIENCE = RetryPolicy(attempts=12)

TAKEN: frozenset[PaymentState] = frozenset({"captured", "awaiting", "requires_action"})
"""With these an attempt has succeeded: the money is there, or somebody else will say so."""

ASKED_ANEW = "the payment is asked for anew"
"""Why a payment is over of which the journey isn't: it goes back, and asks for it once more."""


def payment_steps(
    asked: Act[Any, RequestedPayment], *, undone_because: Callable[[Run[Any]], str], instead: str
) -> tuple[Act[Any, PaymentOutcome], Wait[Any, PaymentSettled]]:
    """The two steps after ``asked``, which has asked for the payment: it is captured, and settled.

    Without a payment that was asked for, both are skipped. ``instead`` tells an operator what else there is to do about
    a payment that failed; ``undone_because`` says the reason that one which is taken back carries.
    """

    async def already_taken(outside: Outside, run: Run[Any]) -> PaymentOutcome | None:
        """What the gateway says. One that is over is left to the capture, which refuses with the reason."""
        outcome = await outside.payments.probe(run[asked]["payment_id"])
        return outcome if outcome is not None and outcome["state"] in TAKEN else None

    async def take_back(outside: Outside, run: Run[Any], outcome: PaymentOutcome | None) -> None:
        await outside.payments.refund(run[asked]["payment_id"], reason=undone_because(run))

    @step.probeable(
        probe=already_taken,
        undo=take_back,
        when=lambda run: run.done(asked),
        otherwise="no payment was asked for",
        retry=GATEWAY_PATIENCE,
        timeout_seconds=480,  # a gateway may take two minutes, and is asked up to three times
    )
    async def capture_payment(outside: Outside, run: Run[Any]) -> PaymentOutcome:
        return await outside.payments.capture(run[asked]["payment_id"])

    def after_settlement(run: Run[Any], told: PaymentSettled) -> Route:
        if told["state"] == "captured":
            return Proceed()
        return Hold(f"payment {run[asked]['payment_id']} is {told['state']}, nothing is kept of it: {instead}")

    def not_in_time(run: Run[Any]) -> Route:
        payment = run[asked]
        return Hold(
            f"payment {payment['payment_id']} of {payment['amount']} {payment['currency']} by "
            f"{payment['payment_method']} has not come within {run.within('payment')}: ask the customer, then "
            f"confirm it by `firstlight payments settle {payment['payment_id']} --reference WHERE` and retry; or"
            f" {instead}"
        )

    payment_settled = wait_for(
        "payment_settled",
        signal="payment_settled",
        payload=PaymentSettled,
        says="the payment is awaited: `firstlight payments settle` confirms an invoice, cash or a transfer; a card is"
        " confirmed by its holder (`firstlight payments show` has the address) and then by its gateway",
        subject=lambda run: str(run[asked]["payment_id"]),
        deadline=lambda run: run.now + run.patience("payment"),
        on_deadline=not_in_time,
        route=after_settlement,
        when=lambda run: run.done(capture_payment) and run[capture_payment]["state"] != "captured",
        otherwise="there is nothing to wait for: the payment is captured, or none was asked for",
        patience=("payment",),
    )
    return capture_payment, payment_settled
