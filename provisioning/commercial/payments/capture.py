"""Taking the money, and giving it back: the part of payments that talks to a gateway.

Before a gateway is told anything that moves money, an attempt is written down; then the gateway's own number for the
payment, which it gives before it takes anything. So whatever dies, and whenever, there is a number to ask by, and what
was asked under the payment's key is never done twice. No transaction is open while a gateway is waited for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments.cards import CardsOnFile, Secrets
from provisioning.commercial.payments.errors import (
    GatewayError,
    GatewayMissing,
    PaymentDeclined,
    PaymentOutcomeUnknown,
    PaymentOver,
)
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    GatewayAnswer,
    PaymentGateway,
    PaymentRequest,
    Unknown,
)
from provisioning.commercial.payments.rows import locked_payment, move_on, outcome_of
from provisioning.commercial.payments.tables import (
    OVER,
    AttemptKind,
    AttemptOutcome,
    EventOutcome,
    Payment,
    PaymentAttempt,
)
from provisioning.commercial.payments.talks import OUTCOME_OF, WORD, Talk, refuse_mismatch, told, words_of
from provisioning.intake import Clock
from workflows.answers import PaymentOutcome

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

AUTHORISING = "prepare"
"""How that request's key has always ended: gateways keep keys, so it must not change."""

log = structlog.get_logger(__name__)


class PaymentCapture:
    """Talks to the payment gateways, and owns its short transactions before and after."""

    def __init__(
        self, begin: Begin, gateways: Mapping[str, PaymentGateway], *, tenant_id: str, now: Clock, secrets: Secrets
    ) -> None:
        self._begin = begin
        self._gateways = gateways
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def capture(self, payment_id: int) -> PaymentOutcome:
        """Take the money: *captured*, or what it waits for (*awaiting*, *requires_action*). Repeat it at will.

        Raises: PaymentUnknown, PaymentOver, PaymentMismatch, GatewayMissing; PaymentDeclined (final for this payment);
        PaymentOutcomeUnknown (transient: repeat); GatewayError, with nothing taken.
        """
        opened = await self._open_capture(payment_id)
        if not isinstance(opened, Talk):
            return opened
        return await self._talk(opened, lambda talk: self._take(opened.gateway, talk))

    async def probe(self, payment_id: int) -> PaymentOutcome | None:
        """What became of the payment, asked where it matters; None while nothing was taken and nobody was told to.

        Raises: as ``capture``, except that a declined payment is an answer here.
        """
        async with self._begin() as db:
            row = await locked_payment(db, self._tenant_id, payment_id)
            if row.state == "requested":
                return None
            if row.state in OVER or row.state == "captured":
                return outcome_of(row)
            request, gateway = self._request(row), self._gateway(row)
        answer = await gateway.get(request)
        if answer is None:
            return None
        if isinstance(answer, Unknown):
            raise PaymentOutcomeUnknown(payment_id, WORD["capture"], answer.sentence)
        async with self._begin() as db:
            row = await locked_payment(db, self._tenant_id, payment_id)
            believed = await move_on(db, row, answer, now=self._now())
            outcome = outcome_of(row)
        refuse_mismatch(row, answer, believed)
        return outcome

    async def refund(self, payment_id: int, *, reason: str) -> PaymentOutcome:
        """Take the payment back: what was taken is given back, what wasn't is cancelled at its gateway, also after a
        card was declined: its holder could still pay it there. Repeat it at will; one that is over stays as it is.

        Raises: PaymentUnknown, GatewayMissing; RefundAwaited (the money goes back later, or by a person's hand);
        PaymentOutcomeUnknown (transient: repeat); GatewayError, with nothing changed.
        """
        opened = await self._open_withdrawal(payment_id, reason)
        if not isinstance(opened, Talk):
            return opened
        ask = opened.gateway.refund if opened.kind == "refund" else opened.gateway.cancel
        outcome = await self._talk(opened, lambda talk: ask(talk.request, key=f"{talk.key}/{talk.kind}"))
        # The gateway was quicker, and has the money: then it goes back.
        return outcome if outcome["state"] in OVER else await self.refund(payment_id, reason=reason)

    async def _take(self, gateway: PaymentGateway, talk: Talk) -> GatewayAnswer:
        request = talk.request
        if talk.asked_before and request.reference is not None:
            found = await gateway.get(request)
            if found is not None:
                return found
        if request.reference is None:
            reference = await gateway.authorise(request, key=f"{talk.key}/{AUTHORISING}")
            if reference is not None:
                request = replace(request, reference=await self._keep_reference(talk, reference), card=None)
        return await gateway.capture(request, key=f"{talk.key}/capture")

    # -- before ------------------------------------------------------------------------------------------------------

    async def _open_capture(self, payment_id: int) -> Talk | PaymentOutcome:
        async with self._begin() as db:
            row = await locked_payment(db, self._tenant_id, payment_id)
            match row.state:
                case "captured" | "awaiting" | "requires_action":
                    return outcome_of(row)
                case "declined":
                    raise PaymentDeclined(payment_id, row.reason or "no reason given")
                case "cancelled" | "refunded":
                    raise PaymentOver(payment_id, row.state, row.reason)
            asked_before = row.state == "unknown"
            if not asked_before:
                row.state, row.asked_at = "unknown", self._now()
            talk = await self._attempt(db, row, "capture", asked_before=asked_before)
            if row.method == "card" and row.provider_ref is None:
                card = await self._cards(db).of_payment(payment_id)
                talk = replace(talk, request=replace(talk.request, card=card))
            return talk

    async def _open_withdrawal(self, payment_id: int, reason: str) -> Talk | PaymentOutcome:
        async with self._begin() as db:
            row = await locked_payment(db, self._tenant_id, payment_id)
            if row.state == "declined" and row.provider_ref is not None and not await self._let_go(db, row):
                return await self._attempt(db, row, "cancel")
            if row.state in OVER:
                return outcome_of(row)
            row.reason = reason
            if row.state == "captured":
                row.refund_asked_at = row.refund_asked_at or self._now()
                return await self._attempt(db, row, "refund")
            if row.provider_ref is not None:
                return await self._attempt(db, row, "cancel")
            # Nothing was authorised, so nothing is taken: whoever does that right now finds it cancelled first.
            await move_on(db, row, Cancelled(), now=self._now())
            await self._cards(db).forget_payment(payment_id)
            return outcome_of(row)

    async def _let_go(self, db: AsyncSession, row: Payment) -> bool:
        """Whether the gateway has said that it won't take the money any more."""
        cancelled = select(PaymentAttempt.id).where(
            PaymentAttempt.payment_id == row.id, PaymentAttempt.kind == "cancel", PaymentAttempt.outcome == "cancelled"
        )
        return await db.scalar(cancelled.limit(1)) is not None

    async def _attempt(
        self,
        db: AsyncSession,
        row: Payment,
        kind: AttemptKind,
        *,
        asked_before: bool = False,
    ) -> Talk:
        gateway = self._gateway(row)
        row.attempts += 1
        db.add(
            PaymentAttempt(
                tenant_id=self._tenant_id,
                payment_id=row.id,
                number=row.attempts,
                kind=kind,
                started_at=self._now(),
            )
        )
        return Talk(row.id, row.attempts, kind, row.idempotency_key, self._request(row), gateway, asked_before)

    async def _keep_reference(self, talk: Talk, reference: str) -> str:
        """Write the gateway's number down before any money moves; the card isn't needed any more then.

        Raises: PaymentOver if the payment was taken back meanwhile.
        """
        async with self._begin() as db:
            row = await locked_payment(db, self._tenant_id, talk.payment_id)
            if row.state in OVER:
                raise PaymentOver(row.id, row.state, row.reason)
            row.provider_ref = row.provider_ref or reference
            await self._cards(db).forget_payment(row.id)
            return row.provider_ref

    # -- after -------------------------------------------------------------------------------------------------------

    async def _talk(self, talk: Talk, ask: Callable[[Talk], Awaitable[GatewayAnswer]]) -> PaymentOutcome:
        try:
            answer = await ask(talk)
        except (GatewayError, PaymentOver) as error:
            await self._close_without_effect(talk, error)
            raise
        believed: EventOutcome = "applied"
        async with self._begin() as db:
            row = await self._close(db, talk, OUTCOME_OF[type(answer)], words_of(answer))
            if isinstance(answer, Unknown):
                log.warning("payment outcome unknown", payment_id=row.id, kind=talk.kind, reason=answer.sentence)
            if talk.kind == "capture" or not isinstance(answer, Unknown | Awaiting):
                believed = await move_on(db, row, answer, now=self._now())
            outcome = outcome_of(row)
        refuse_mismatch(row, answer, believed)
        return told(talk, answer, outcome, row)

    async def _close_without_effect(self, talk: Talk, error: GatewayError | PaymentOver) -> None:
        """The gateway did nothing. If an earlier attempt may have, that is still not known."""
        async with self._begin() as db:
            row = await self._close(db, talk, "nothing" if error.transient else "refused", str(error))
            if talk.kind == "capture" and row.state == "unknown" and not talk.asked_before:
                row.state = "unknown" if await self._asked_meanwhile(db, talk) else "requested"

    async def _asked_meanwhile(self, db: AsyncSession, talk: Talk) -> bool:
        """Whether another attempt, begun after this one, may take the money or has perhaps taken it."""
        later = select(PaymentAttempt.id).where(
            PaymentAttempt.payment_id == talk.payment_id,
            PaymentAttempt.number > talk.number,
            PaymentAttempt.outcome.is_(None) | (PaymentAttempt.outcome == "unknown"),
        )
        return await db.scalar(later.limit(1)) is not None

    async def _close(self, db: AsyncSession, talk: Talk, outcome: AttemptOutcome, reply: str) -> Payment:
        row = await locked_payment(db, self._tenant_id, talk.payment_id)
        attempt = await db.scalar(
            select(PaymentAttempt).where(
                PaymentAttempt.payment_id == talk.payment_id, PaymentAttempt.number == talk.number
            )
        )
        assert attempt is not None, "the attempt was committed before the gateway was asked"
        attempt.ended_at, attempt.outcome, attempt.reply = self._now(), outcome, reply
        return row

    def _request(self, row: Payment) -> PaymentRequest:
        what = f"order {row.order_id}" if row.order_id is not None else f"renewal quote {row.quote_id}"
        return PaymentRequest(
            payment=row.idempotency_key,
            amount_minor=row.amount_minor,
            currency=row.currency,
            method=row.method,
            description=f"Payment {row.id} of {what}",
            reference=row.provider_ref,
        )

    def _gateway(self, row: Payment) -> PaymentGateway:
        try:
            return self._gateways[row.provider]
        except KeyError as exc:
            raise GatewayMissing(row.provider) from exc

    def _cards(self, db: AsyncSession) -> CardsOnFile:
        return CardsOnFile(db, secrets=self._secrets, tenant_id=self._tenant_id)
