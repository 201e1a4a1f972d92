"""Delivery of messages: a tick of the clock starts what is due, each webhook for itself, at least once and in order.

A delivery is claimed in a transaction of its own, sent while none is open, and closed in a third. A process that dies
in between leaves a claim that runs out; then another sends it again, under the same number. Of one subject a webhook
is told one message after the other: the next is due when the one before was taken, or given up after about three days.
Webhooks don't wait for one another.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.intake import Clock
from provisioning.lanes import Lanes, claim_for, each_to_its_end
from provisioning.signatures import sign
from provisioning.vault import SecretVault, VaultError
from provisioning.webhooks.messages import Told, body_of
from provisioning.webhooks.retrying import MOST_ATTEMPTS, Outcome, delay_after
from provisioning.webhooks.secrets import secrets_of
from provisioning.webhooks.sending import TIMEOUT_SECONDS, WebhookSender
from provisioning.webhooks.tables import Webhook, WebhookDelivery, WebhookMessage

log = structlog.get_logger(__name__)

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

CLAIM = claim_for(TIMEOUT_SECONDS)
AT_ONCE = 10


@dataclass(frozen=True)
class _Claimed:
    """A delivery in the hands of this process. Without ``secrets``, ``unsendable`` says why."""

    delivery_id: int
    webhook_id: int
    attempt: int
    claim: int
    url: str
    message: Told
    secrets: tuple[str, ...] = ()
    unsendable: str = ""

    def __repr__(self) -> str:
        return f"_Claimed(delivery_id={self.delivery_id}, attempt={self.attempt})"  # the others are secret


def is_due(now: datetime) -> ColumnElement[bool]:
    """Of deliveries joined with their webhooks: those that may be sent now."""
    earlier = aliased(WebhookDelivery)
    return and_(
        Webhook.state == "enabled",
        or_(Webhook.resting_until.is_(None), Webhook.resting_until <= now),
        WebhookDelivery.state == "queued",
        WebhookDelivery.next_try_at <= now,
        or_(WebhookDelivery.claimed_until.is_(None), WebhookDelivery.claimed_until <= now),
        ~exists().where(
            earlier.webhook_id == WebhookDelivery.webhook_id,
            earlier.subject == WebhookDelivery.subject,
            earlier.state == "queued",
            earlier.message_row < WebhookDelivery.message_row,
        ),
    )


class Deliveries:
    """Sends what is due."""

    def __init__(
        self,
        begin: Begin,
        *,
        tenant_id: str,
        now: Clock,
        vault: SecretVault,
        sender: WebhookSender,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._vault = vault
        self._sender = sender
        self._chance = chance
        self._lanes = Lanes(self._serve, what="webhooks")

    async def start_due(self) -> None:
        """Begins with each webhook that has something due, and waits for none of them.

        Raises: ExceptionGroup of what went wrong with those that have ended since.
        """
        self._lanes.start(await self._webhooks_due())

    async def deliver_due(self) -> None:
        """Sends all that is due now to its end.

        Raises: ExceptionGroup of what went wrong.
        """
        await self.start_due()
        await self._lanes.drain()

    async def stop(self) -> None:
        """Gives up what is under way; its claims run out."""
        await self._lanes.stop()

    async def _webhooks_due(self) -> list[int]:
        async with self._begin() as db:
            found = await db.scalars(
                select(WebhookDelivery.webhook_id)
                .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
                .where(WebhookDelivery.tenant_id == self._tenant_id, is_due(self._now()))
                .distinct()
            )
            return list(found)

    async def _serve(self, webhook_id: int) -> int:
        sent = 0
        while claimed := await self._claim(webhook_id):
            sent += await each_to_its_end(self._deliver, claimed)
        return sent

    async def _claim(self, webhook_id: int) -> list[_Claimed]:
        now = self._now()
        async with self._begin() as db:
            due = await db.execute(
                select(WebhookDelivery, WebhookMessage, Webhook)
                .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
                .join(WebhookMessage, WebhookMessage.id == WebhookDelivery.message_row)
                .where(
                    WebhookDelivery.tenant_id == self._tenant_id,
                    WebhookDelivery.webhook_id == webhook_id,
                    is_due(now),
                )
                .order_by(WebhookDelivery.message_row)
                .limit(AT_ONCE)
                .with_for_update(of=WebhookDelivery, skip_locked=True)
            )
            claimed, died = list[_Claimed](), 0
            for delivery, message, webhook in due.all():
                if delivery.attempts >= MOST_ATTEMPTS:  # whoever made the last attempt has died in it
                    delivery.state, delivery.claimed_until = "failed", None
                    delivery.last_error = "its last attempt never ended; it may have arrived"
                    died += 1
                else:
                    delivery.claimed_until = now + CLAIM
                    delivery.attempts += 1
                    delivery.claims += 1
                    claimed.append(await self._in_hand(db, delivery, message, webhook))
        return claimed or (await self._claim(webhook_id) if died else [])

    async def _in_hand(
        self, db: AsyncSession, delivery: WebhookDelivery, message: WebhookMessage, webhook: Webhook
    ) -> _Claimed:
        told = Told(
            row=message.id,
            tenant_id=message.tenant_id,
            message_id=message.message_id,
            type=message.type,
            subject=message.subject,
            data=message.data,
            occurred_at=message.occurred_at,
        )
        mine = (delivery.id, webhook.id, delivery.attempts, delivery.claims, webhook.url, told)
        try:
            return _Claimed(*mine, secrets=await secrets_of(db, self._vault, webhook, now=self._now()))
        except VaultError as error:
            return _Claimed(*mine, unsendable=error.message)

    async def _deliver(self, claimed: _Claimed) -> None:
        outcome = await self._send(claimed) if claimed.secrets else Outcome(claimed.unsendable)
        async with self._begin() as db:
            webhook = await self._webhook_first(db, claimed.webhook_id, outcome)
            delivery = (
                await db.scalars(
                    select(WebhookDelivery)
                    .where(WebhookDelivery.tenant_id == self._tenant_id, WebhookDelivery.id == claimed.delivery_id)
                    .with_for_update()
                )
            ).one()
            self._close(delivery, webhook, claimed.claim, outcome)
            if delivery.state != "queued":
                await self._next_of_subject(db, delivery)
        log.info(
            "webhook attempt ended",
            webhook_id=webhook.id,
            message_id=claimed.message.message_id,
            state=delivery.state,
            attempt=claimed.attempt,
            why_not=outcome.why_not,
        )

    async def _webhook_first(self, db: AsyncSession, webhook_id: int, outcome: Outcome) -> Webhook:
        """Its row is locked before its deliveries', as an operator's change of it does: neither waits for the other in
        a ring. Deliveries share it, unless they change it."""
        changes = outcome.gone or outcome.rest is not None
        found = await db.scalars(
            select(Webhook)
            .where(Webhook.tenant_id == self._tenant_id, Webhook.id == webhook_id)
            .with_for_update(read=not changes, key_share=changes)
        )
        return found.one()

    async def _send(self, claimed: _Claimed) -> Outcome:
        content_type, body = body_of(claimed.message)
        signed = sign(claimed.message.message_id, body, claimed.secrets, now=self._now())
        return await self._sender.send(claimed.url, body, {**signed, "Content-Type": content_type})

    async def _next_of_subject(self, db: AsyncSession, ended: WebhookDelivery) -> None:
        """Its turn comes now, whenever it was written."""
        now = self._now()
        await db.execute(
            update(WebhookDelivery)
            .where(
                WebhookDelivery.webhook_id == ended.webhook_id,
                WebhookDelivery.subject == ended.subject,
                WebhookDelivery.state == "queued",
                WebhookDelivery.next_try_at < now,
            )
            .values(next_try_at=now)
            .execution_options(synchronize_session=False)
        )

    def _close(self, delivery: WebhookDelivery, webhook: Webhook, claim: int, outcome: Outcome) -> None:
        """Meanwhile it may have been replayed by an operator, or sent by another process whose claim had begun after
        this one's ran out. That it was taken outlives every doubt; a failure counts only for the attempt that had it.
        """
        now = self._now()
        if outcome.why_not is None:
            if delivery.state != "delivered":
                delivery.state, delivery.delivered_at = "delivered", now
            delivery.claimed_until = delivery.last_error = None
            delivery.last_status = outcome.status
            return
        if outcome.gone and webhook.state == "enabled":
            webhook.state, webhook.disabled_at, webhook.disable_reason = "disabled", now, outcome.why_not
            log.warning("webhook disabled", webhook_id=webhook.id, reason=outcome.why_not)
        if outcome.rest is not None:
            webhook.resting_until = max(webhook.resting_until or now, now + outcome.rest)
        if delivery.claims != claim:
            return
        delivery.last_error, delivery.last_status, delivery.claimed_until = outcome.why_not, outcome.status, None
        if delivery.state != "queued":
            return
        if outcome.gone or delivery.attempts >= MOST_ATTEMPTS:
            delivery.state = "failed"
        else:
            delivery.next_try_at = now + max(delay_after(delivery.attempts, self._chance), outcome.rest or timedelta())
