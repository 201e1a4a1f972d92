"""What every act on a subscriber has in common: once per request id, never half, and what open sessions are still to be
told of it in the same transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.outbox import add_change, change_of, made_before, newest, views
from radius.coa.tables import Act, SessionChange
from radius.errors import IllegalMove, SubscriberTerminated
from radius.plans.history import FormerTerms
from radius.ports import Now, Secrets
from radius.results import SessionChangeView
from radius.subscribers import subscribers
from radius.tables import Subscriber

ServiceGuard = Callable[[int], Awaitable[None]]
"""Raises when nothing may be done to the subscriber of this service by hand now."""


class Acts:
    """Acts on one tenant's subscribers, in the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        guard: ServiceGuard | None = None,
    ) -> None:
        """``guard`` is asked of a subscriber that is held, before each act that was not done before."""
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._guard = guard

    async def change(self, change_id: int) -> SessionChangeView:
        """One change and how far it is, or ``SessionChangeUnknown``."""
        return (await views(self._db, [await change_of(self._db, self._tenant_id, change_id)]))[0]

    async def changes(
        self, *, subscriber_id: int | None = None, pending: bool = False, before_id: int | None = None, limit: int = 50
    ) -> list[SessionChangeView]:
        """Changes, the newest first, a page at a time; ``pending``: those that some session has not followed yet."""
        found = select(SessionChange).where(SessionChange.tenant_id == self._tenant_id)
        if subscriber_id is not None:
            found = found.where(SessionChange.subscriber_id == subscriber_id)
        if pending:
            found = found.where(SessionChange.state == "pending")
        if before_id is not None:
            found = found.where(SessionChange.id < before_id)
        rows = await self._db.scalars(found.order_by(SessionChange.id.desc()).limit(limit))
        return await views(self._db, list(rows))

    async def _begin(
        self, subscriber_id: int, request_id: str | None, mark: str
    ) -> tuple[Subscriber, SessionChangeView | None]:
        """The subscriber, held, and what the same request has done already: two at once come one after the other."""
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        earlier = await made_before(self._db, self._tenant_id, request_id, mark)
        if earlier is not None:
            return subscriber, (await views(self._db, [earlier]))[0]
        if subscriber.state == "terminated":
            raise SubscriberTerminated(subscriber.username)
        if self._guard is not None and subscriber.service_id is not None:
            await self._guard(subscriber.service_id)
        return subscriber, None

    async def _end(
        self,
        subscriber: Subscriber,
        act: Act,
        former: Sequence[FormerTerms],
        request: tuple[str | None, str],
        *,
        changes: bool,
        must_end: bool = False,
    ) -> SessionChangeView:
        now = self._now()
        if changes:
            subscriber.version += 1
            subscriber.updated_at = now
        elif request[0] is None:
            last = await newest(self._db, subscriber)
            if last is not None and last.act == act:
                return (await views(self._db, [last]))[0]
        await self._db.flush()
        change = await add_change(self._db, subscriber, act, former=former, must_end=must_end, request=request, now=now)
        return (await views(self._db, [change]))[0]


def in_service(subscriber: Subscriber, says: str) -> None:
    """Raises: IllegalMove unless it is; ``says`` is the act in words."""
    if subscriber.state not in ("active", "suspended"):
        raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="active", says=says)
