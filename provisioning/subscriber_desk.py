"""The door for what is done by hand, or by another system, to a subscriber that is served.

What is decided here is committed with what open sessions are still to be told. The worker carries that over, and a
command does so at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from typing_extensions import TypedDict

from radius import RadiusService, SessionChangeView, SubscriberVerbs, SubscriberView


class ChangedSubscriber(TypedDict):
    """What is committed, and how far the sessions that are open have followed."""

    subscriber: SubscriberView
    change: SessionChangeView


class SubscriberDesk:
    """Changes plans, suspends, resumes and rotates passwords within the caller's transaction, by username.

    Each raises ServiceUnderWay while the subscriber's installation has more to do: it would lift a suspension, or fail
    to take itself back.
    """

    def __init__(self, *, radius: RadiusService, verbs: SubscriberVerbs) -> None:
        self._radius = radius
        self._verbs = verbs

    async def named(self, username: str) -> SubscriberView:
        """The subscriber as it shall be now. Raises: SubscriberUnknown."""
        return await self._radius.subscriber_named(username=username)

    async def change_plan(self, username: str, *, plan: str, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.change_plan``."""
        return await self._done(
            username, lambda number: self._verbs.change_plan(subscriber_id=number, plan=plan, request_id=request_id)
        )

    async def suspend(
        self, username: str, *, garden: str | None = None, request_id: str | None = None
    ) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.suspend``."""
        return await self._done(
            username, lambda number: self._verbs.suspend(subscriber_id=number, garden=garden, request_id=request_id)
        )

    async def resume(self, username: str, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.resume``."""
        return await self._done(
            username, lambda number: self._verbs.resume(subscriber_id=number, request_id=request_id)
        )

    async def rotate_password(self, username: str, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.rotate_password``."""
        return await self._done(
            username, lambda number: self._verbs.rotate_password(subscriber_id=number, request_id=request_id)
        )

    async def _done(self, username: str, act: Callable[[int], Awaitable[SessionChangeView]]) -> ChangedSubscriber:
        number = (await self.named(username))["subscriber_id"]
        change = await act(number)
        return ChangedSubscriber(subscriber=await self._radius.subscriber(subscriber_id=number), change=change)
