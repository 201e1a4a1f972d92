"""The door for settlements: the payment's row and the run that waits for it change in one commit."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments import GatewayEvent, Settlements, show_payment
from provisioning.intake import Clock
from workflows import RunNotOpenFor, Runs
from workflows.answers import PaymentOutcome, PaymentSettled, PaymentState

SIGNAL = "payment_settled"
SETTLED: frozenset[PaymentState] = frozenset({"captured", "declined", "cancelled", "refunded"})
"""States a run needn't wait on any longer."""


class PaymentDesk:
    """Accepts what people and gateways say of payments, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, runs: Runs, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._runs = runs
        self._tenant_id = tenant_id
        self._settlements = Settlements(db, tenant_id=tenant_id, now=now)

    async def settle(self, *, payment_id: int, reference: str, by: str) -> list[int]:
        """The money has come: keeps that and tells the runs that wait for it; returns their numbers.

        Raises: InvalidRequest, PaymentUnknown, NotSettledByHand, SettlementConflict, PaymentOver.
        """
        about = await self._lock(payment_id)
        outcome = await self._settlements.record_settlement(payment_id=payment_id, reference=reference, by=by)
        return await self._tell(about, outcome, by=by)

    async def paid_back(self, *, payment_id: int, reference: str, by: str) -> PaymentOutcome:
        """The money that was to go back has gone back; then the held undo can be retried.

        Raises: InvalidRequest, PaymentUnknown, NotSettledByHand, RefundNotAsked.
        """
        await self._lock(payment_id)
        return await self._settlements.record_refund(payment_id=payment_id, reference=reference, by=by)

    async def hear(self, event: GatewayEvent) -> list[int]:
        """What a gateway has told by itself, its signature verified (``parse_webhook``): kept once, and the runs that
        wait for it are told; returns their numbers. An event about somebody else's payment is none of our business.
        """
        payment_id = await self._settlements.payment_of(event)
        if payment_id is None:
            return []
        about = await self._lock(payment_id)
        outcome, change = await self._settlements.record_event(payment_id, event)
        return await self._tell(about, outcome, by=event.provider) if change == "applied" else []

    async def about(self, event: GatewayEvent) -> tuple[int, int, PaymentState] | None:
        """(the payment that a gateway speaks of, whose it is, how it stands); None: it isn't one of ours."""
        payment_id = await self._settlements.payment_of(event)
        if payment_id is None:
            return None
        payment = (await show_payment(self._db, payment_id, tenant_id=self._tenant_id)).payment
        return payment_id, payment.customer_id, payment.state

    async def _lock(self, payment_id: int) -> list[int]:
        about = await self._runs.about(self._db, SIGNAL, str(payment_id))
        await self._runs.lock(self._db, about)
        return about

    async def _tell(self, about: list[int], outcome: PaymentOutcome, *, by: str) -> list[int]:
        if outcome["state"] not in SETTLED:
            return []
        payload = PaymentSettled(state=outcome["state"], reference=outcome["reference"])
        subject = str(outcome["payment_id"])
        key = f"payment/{subject}/{outcome['state']}"
        told = []
        for run_id in about:
            try:
                if await self._runs.signal(self._db, run_id, SIGNAL, payload, key=key, by=by, subject=subject):
                    told.append(run_id)
            except RunNotOpenFor:  # it is being undone: that takes the payment back, whatever became of it
                continue
        return told
