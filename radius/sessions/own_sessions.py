"""The sessions of one subscriber, whoever else has, or had, its names: what a run ends, waits for or takes as proof."""

from __future__ import annotations

from collections.abc import Mapping

from radius.errors import SubscriberUnknown
from radius.ports import Begin
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers import subscribers
from radius.subscribers.name_holders import HeldName, names_of_each


class OwnSessions:
    """Of the subscribers of one tenant. Nothing here writes."""

    def __init__(self, read: Begin, reader: SessionReader, *, tenant_id: str) -> None:
        """``read`` opens a transaction in our own database."""
        self._read = read
        self._reader = reader
        self._tenant_id = tenant_id

    async def open_of(self, subscriber_id: int) -> list[Session]:
        """Its sessions that have started and not stopped, the newest first: also those that go on under a name which it
        has given up, and none of somebody else who has, or had, such a name.

        Raises:
            SubscriberUnknown
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            UsernameRefused: FreeRADIUS writes no session under such a name.
        """
        names = await self._held(subscriber_id)
        found = await self._reader.open_sessions(*names)
        if not found:
            return []
        held = await self._held(subscriber_id)  # asked again: who has taken a name meanwhile may be among the sessions
        return [each for each in found if not held[each.username].is_anothers(each.label, each.started_at)]

    async def open_under(self, username: str) -> list[Session]:
        """The same of whoever has this name now; none where nobody here has it.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit, UsernameRefused
        """
        try:
            async with self._read() as db:
                subscriber_id = (await subscribers.owner_of(db, self._tenant_id, username)).id
        except SubscriberUnknown:
            return []
        return await self.open_of(subscriber_id)

    async def _held(self, subscriber_id: int) -> Mapping[str, HeldName]:
        """By name, its present one first."""
        async with self._read() as db:
            every = await names_of_each(db, self._tenant_id, [subscriber_id])
        if subscriber_id not in every:
            raise SubscriberUnknown(subscriber_id)
        return {each.username: each for each in every[subscriber_id]}
