"""Who is told of what: webhooks are added, looked at, replaced in their secret, disabled, enabled and told again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy import exists as exists_
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.intake import Clock, Faults
from provisioning.signatures import new_secret
from provisioning.vault import SecretVault
from provisioning.webhooks.errors import MessageUnknown, WebhookDisabled, WebhookUnknown
from provisioning.webhooks.messages import EVENT_TYPES
from provisioning.webhooks.records import DeliveryRecord, WebhookRecord, WebhookWithSecret, delivery_of, record_of
from provisioning.webhooks.secrets import replace_secret, secret_mark, secret_ref
from provisioning.webhooks.tables import DeliveryState, Webhook, WebhookDelivery, WebhookMessage
from provisioning.webhooks.targets import LONGEST_URL, Targets

LONGEST_REASON = 500
LONGEST_OVERLAP = timedelta(days=30)
MOST_AT_ONCE = 500


class Webhooks:
    """One tenant's webhooks. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, vault: SecretVault, targets: Targets) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._vault = vault
        self._targets = targets

    async def add(self, *, url: str, event_types: Sequence[str], by: str) -> WebhookWithSecret:
        """Tell this address of what happens from now on. The answer has its secret, which is never shown again.

        Raises: InvalidRequest (all faults), VaultError.
        """
        faults = Faults("The webhook")
        address = faults.line("url", url, longest=LONGEST_URL)
        if address and (reason := self._targets.fault_of(address)) is not None:
            faults.add("url", reason)
        types = list(dict.fromkeys(event_types))
        if not types:
            faults.add("event_types", f"names none; there are: {', '.join(EVENT_TYPES)}")
        for unknown in (each for each in types if each not in EVENT_TYPES):
            faults.add("event_types", f"has {unknown}, which nothing is told of; there are: {', '.join(EVENT_TYPES)}")
        who = faults.line("by", by)
        faults.refuse_if_any()
        row = await self._db.scalar(
            insert(Webhook)
            .values(
                tenant_id=self._tenant_id,
                url=address,
                event_types=types,
                state="enabled",
                added_at=self._now(),
                added_by=who,
            )
            .returning(Webhook)
        )
        assert row is not None
        secret = new_secret()
        await self._vault.seal(self._db, secret_ref(row.id), secret)
        return WebhookWithSecret(**record_of(row), secret=secret)

    async def webhooks(self, *, after_id: int = 0, limit: int = MOST_AT_ONCE) -> list[WebhookRecord]:
        """The oldest first, a page at a time (``after_id``)."""
        rows = await self._db.scalars(
            select(Webhook)
            .where(Webhook.tenant_id == self._tenant_id, Webhook.id > after_id)
            .order_by(Webhook.id)
            .limit(min(limit, MOST_AT_ONCE))
        )
        return [record_of(row) for row in rows]

    async def webhook(self, *, webhook_id: int, hold: bool = False) -> WebhookRecord:
        """``hold``: nobody else changes it until the transaction ends. Raises: WebhookUnknown."""
        if hold:
            return record_of(await self._held(webhook_id))
        row = await self._db.scalar(
            select(Webhook).where(Webhook.tenant_id == self._tenant_id, Webhook.id == webhook_id)
        )
        if row is None:
            raise WebhookUnknown(webhook_id)
        return record_of(row)

    async def secret_mark(self, *, webhook_id: int) -> str:
        """Differs for two operators of whom one has replaced the secret meanwhile; tells nothing of it."""
        return await secret_mark(self._db, self._tenant_id, webhook_id)

    async def rotate(self, *, webhook_id: int, keep: timedelta) -> WebhookWithSecret:
        """A new secret, shown this once. For as long as ``keep`` messages are signed with the one before as well.

        Raises: InvalidRequest, WebhookUnknown, VaultError.
        """
        faults = Faults("The rotation")
        if not timedelta() <= keep <= LONGEST_OVERLAP:
            faults.add("keep", f"is not from 0 to {LONGEST_OVERLAP.days} days")
        faults.refuse_if_any()
        row = await self._held(webhook_id)
        secret = await replace_secret(self._db, self._vault, row, now=self._now(), keep=keep)
        await self._db.flush()
        return WebhookWithSecret(**record_of(row), secret=secret)

    async def disable(self, *, webhook_id: int, reason: str) -> WebhookRecord:
        """Send it nothing from now on. What waits for it, and what happens meanwhile, is kept as long as what was told
        is: until then it is sent after `enable`, or replayed.

        Raises: InvalidRequest, WebhookUnknown.
        """
        faults = Faults("The reason")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._held(webhook_id)
        if row.state != "disabled":
            row.state, row.disabled_at, row.disable_reason = "disabled", self._now(), why
            await self._db.flush()
        return record_of(row)

    async def enable(self, *, webhook_id: int) -> WebhookRecord:
        """Send it what waits for it, and what happens from now on; ``replay`` what happened meanwhile.

        Raises: WebhookUnknown.
        """
        row = await self._held(webhook_id)
        row.state, row.disabled_at, row.disable_reason, row.resting_until = "enabled", None, None, None
        await self._db.flush()
        await self._db.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.state == "queued")
            .values(next_try_at=self._now())
            .execution_options(synchronize_session=False)
        )
        return record_of(row)

    async def replay(
        self,
        *,
        webhook_id: int,
        message_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        only_failed: bool = False,
    ) -> int:
        """Send it a message once more, or all of its types that happened from ``since`` to before ``until``, taken or
        not, under their own numbers; returns how many are queued by that. ``only_failed``: of those, what it didn't
        take.

        Raises: InvalidRequest, WebhookUnknown, WebhookDisabled, MessageUnknown.
        """
        row = await self._held(webhook_id)
        wanted = [
            WebhookMessage.tenant_id == self._tenant_id,
            WebhookMessage.type.in_(row.event_types),
            *self._span(message_id, since, until),
        ]
        if row.state != "enabled":
            raise WebhookDisabled(webhook_id, row.disable_reason)
        if message_id is not None and await self._db.scalar(select(WebhookMessage.id).where(*wanted)) is None:
            raise MessageUnknown(message_id, webhook_id)
        return await self._again(webhook_id, wanted, only_failed) + (
            0 if only_failed else await self._for_the_first_time(webhook_id, wanted)
        )

    async def would_replay(self, *, webhook_id: int, since: datetime, only_failed: bool) -> int:
        """How many messages a replay of all that happened from ``since`` to now would queue. Raises: WebhookUnknown."""
        types = (await self.webhook(webhook_id=webhook_id))["event_types"]
        wanted = [
            WebhookMessage.tenant_id == self._tenant_id,
            WebhookMessage.type.in_(types),
            *self._span(None, since, None),
        ]
        told = select(func.count()).select_from(WebhookDelivery)
        again = await self._db.scalar(told.where(*self._told_before(webhook_id, wanted, only_failed))) or 0
        if only_failed:
            return again
        missing = select(func.count()).select_from(WebhookMessage)
        return again + (await self._db.scalar(missing.where(*wanted, ~_was_told(webhook_id))) or 0)

    async def waiting(self, *, webhook_id: int) -> int:
        """How many messages are queued for it."""
        mine = (WebhookDelivery.tenant_id == self._tenant_id, WebhookDelivery.webhook_id == webhook_id)
        queued = select(func.count()).select_from(WebhookDelivery).where(*mine, WebhookDelivery.state == "queued")
        return await self._db.scalar(queued) or 0

    async def deliveries(
        self,
        *,
        webhook_id: int | None = None,
        states: Sequence[DeliveryState] = (),
        before: int | None = None,
        limit: int = 50,
    ) -> list[DeliveryRecord]:
        """What was told to whom, the newest first, a page at a time (``before`` a ``delivery_id``)."""
        query = (
            select(WebhookDelivery, WebhookMessage)
            .join(WebhookMessage, WebhookMessage.id == WebhookDelivery.message_row)
            .where(WebhookDelivery.tenant_id == self._tenant_id)
            .order_by(WebhookDelivery.id.desc())
            .limit(min(limit, MOST_AT_ONCE))
        )
        if webhook_id is not None:
            query = query.where(WebhookDelivery.webhook_id == webhook_id)
        if states:
            query = query.where(WebhookDelivery.state.in_(states))
        if before is not None:
            query = query.where(WebhookDelivery.id < before)
        return [delivery_of(delivery, message) for delivery, message in await self._db.execute(query)]

    def _span(
        self, message_id: str | None, since: datetime | None, until: datetime | None
    ) -> list[ColumnElement[bool]]:
        faults = Faults("The replay")
        if (message_id is None) == (since is None):
            faults.add("since", "or a message is needed, and not both")
        if since is not None:
            faults.moment("since", since)
        end = self._now() if until is None else faults.moment("until", until)
        faults.refuse_if_any()
        if message_id is not None:
            return [WebhookMessage.message_id == message_id]
        return [WebhookMessage.occurred_at >= since, WebhookMessage.occurred_at < end]

    async def _again(self, webhook_id: int, wanted: list[ColumnElement[bool]], only_failed: bool) -> int:
        queued = await self._db.scalars(
            update(WebhookDelivery)
            .where(*self._told_before(webhook_id, wanted, only_failed))
            .values(
                state="queued",
                attempts=0,
                next_try_at=self._now(),
                claimed_until=None,
                delivered_at=None,
                last_status=None,
                last_error=None,
            )
            .returning(WebhookDelivery.id)
            .execution_options(synchronize_session=False)
        )
        return len(queued.all())

    async def _for_the_first_time(self, webhook_id: int, wanted: list[ColumnElement[bool]]) -> int:
        """What happened while it was disabled."""
        missing = (
            await self._db.execute(
                select(WebhookMessage.id, WebhookMessage.subject).where(*wanted, ~_was_told(webhook_id))
            )
        ).all()
        delivery = {"tenant_id": self._tenant_id, "webhook_id": webhook_id, "state": "queued", "attempts": 0}
        if missing:
            await self._db.execute(
                insert(WebhookDelivery),
                [
                    {**delivery, "message_row": each.id, "subject": each.subject, "next_try_at": self._now()}
                    for each in missing
                ],
            )
        return len(missing)

    def _told_before(
        self, webhook_id: int, wanted: list[ColumnElement[bool]], only_failed: bool
    ) -> list[ColumnElement[bool]]:
        """Of these messages what it was told, or was told in vain."""
        states = ("failed",) if only_failed else ("failed", "delivered")
        return [
            WebhookDelivery.tenant_id == self._tenant_id,
            WebhookDelivery.webhook_id == webhook_id,
            WebhookDelivery.state.in_(states),
            WebhookDelivery.message_row.in_(select(WebhookMessage.id).where(*wanted)),
        ]

    async def _held(self, webhook_id: int) -> Webhook:
        """The webhook, held until the transaction ends, so that two changes take turns; what is told to it goes on."""
        row = await self._db.scalar(
            select(Webhook)
            .where(Webhook.tenant_id == self._tenant_id, Webhook.id == webhook_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise WebhookUnknown(webhook_id)
        return row


def _was_told(webhook_id: int) -> ColumnElement[bool]:
    return exists_().where(WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.message_row == WebhookMessage.id)
