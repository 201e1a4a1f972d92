"""What an operator does to a subscriber that is served: each act once per request id, and never half.

The new wish and what open sessions are still to be told of it are one transaction. Nothing here talks to anybody:
``SessionChanges`` carries it to FreeRADIUS and to the NASes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius import subscribers
from radius.change_tables import Act, SessionChange
from radius.changes_of_sessions import (
    FormerTerms,
    add_change,
    change_of,
    fingerprint,
    former_of,
    made_before,
    newest,
    views,
)
from radius.errors import IllegalMove, SubscriberTerminated
from radius.plans import find_plan, random_password
from radius.ports import Now, Secrets
from radius.projection import withholds_addresses
from radius.results import SessionChangeView
from radius.states import may_become
from radius.tables import Plan, Subscriber
from radius.terms import terms_of

ServiceGuard = Callable[[int], Awaitable[None]]
"""Raises when nothing may be done to the subscriber of this service by hand now."""


class SubscriberVerbs:
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

    async def change_plan(self, *, subscriber_id: int, plan: str, request_id: str | None = None) -> SessionChangeView:
        """Give another plan: to every login from now on, and to the sessions that are open.

        Raises:
            IllegalMove: it is not in service; what installs it says its plan.
            SubscriberUnknown, SubscriberTerminated, PlanUnknown, RequestRefused, RequestConflict
        """
        mark = fingerprint("change_plan", subscriber_id, plan=plan)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        _in_service(subscriber, "gets another plan once it is in service")
        wanted = await find_plan(self._db, self._tenant_id, plan)
        before = await former_of(self._db, subscriber)
        changes = subscriber.plan_id != wanted.id
        subscriber.plan_id = wanted.id
        return await self._end(subscriber, "change_plan", before, (request_id, mark), changes=changes)

    async def suspend(
        self, *, subscriber_id: int, garden: str | None = None, request_id: str | None = None
    ) -> SessionChangeView:
        """Refuse every login and end the open sessions; with a ``garden``, the name of a plan, serve by that plan.

        The password and the plan stay as they are. Again with another garden moves it there.

        Raises:
            IllegalMove: it is not in service.
            SubscriberUnknown, SubscriberTerminated, PlanUnknown, RequestRefused, RequestConflict
        """
        mark = fingerprint("suspend", subscriber_id, garden=garden)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        if not may_become(subscriber.state, "suspended"):
            raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="suspended")
        plan = None if garden is None else await find_plan(self._db, self._tenant_id, garden)
        before, was_withheld = await former_of(self._db, subscriber), await self._withheld(subscriber)
        garden_id = None if plan is None else plan.id
        changes = (subscriber.state, subscriber.garden_plan_id) != ("suspended", garden_id)
        subscriber.state, subscriber.garden_plan_id = "suspended", garden_id
        must_end = was_withheld != await self._withheld(subscriber)
        return await self._end(subscriber, "suspend", before, (request_id, mark), changes=changes, must_end=must_end)

    async def resume(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """End a suspension: the same password, plan and addresses as before.

        Raises:
            IllegalMove: it is not suspended, nor active.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        mark = fingerprint("resume", subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        if subscriber.state not in ("suspended", "active"):
            raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="active")
        before, was_withheld = await former_of(self._db, subscriber), await self._withheld(subscriber)
        changes = subscriber.state != "active"
        subscriber.state, subscriber.garden_plan_id = "active", None
        return await self._end(subscriber, "resume", before, (request_id, mark), changes=changes, must_end=was_withheld)

    async def rotate_password(self, *, subscriber_id: int, request_id: str | None = None) -> SessionChangeView:
        """A new random password, sealed where the former one was. Sessions that are open go on.

        Without a request id every call makes another one.

        Raises:
            IllegalMove: it is not in service; a CPE that is being installed is told the password it has.
            SubscriberUnknown, SubscriberTerminated, RequestRefused, RequestConflict
        """
        mark = fingerprint("rotate_password", subscriber_id)
        subscriber, done = await self._begin(subscriber_id, request_id, mark)
        if done is not None:
            return done
        _in_service(subscriber, "gets another password once it is in service")
        password = random_password(subscribers.PASSWORD_LENGTH)
        await self._secrets.seal(self._db, subscriber.password_ref, password)
        # sessions go on with what they have, also where their plan was changed since
        before = replace(await former_of(self._db, subscriber), since=None)
        return await self._end(subscriber, "rotate_password", before, (request_id, mark), changes=True)

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
        former: FormerTerms,
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

    async def _withheld(self, subscriber: Subscriber) -> bool:
        if subscriber.garden_plan_id is None:
            return False
        return withholds_addresses(terms_of(await self._db.get_one(Plan, subscriber.garden_plan_id)))


def _in_service(subscriber: Subscriber, says: str) -> None:
    if subscriber.state not in ("active", "suspended"):
        raise IllegalMove(subscriber.id, subscriber.username, state=subscriber.state, wanted="active", says=says)
