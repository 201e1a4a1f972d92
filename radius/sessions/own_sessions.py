"""The sessions of one subscriber, whoever else has, or had, its names: what a run ends, waits for or takes as proof."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from radius.errors import SubscriberUnknown
from radius.ports import Begin
from radius.sessions.sessions import Session, SessionReader
from radius.subscribers import subscribers
from radius.subscribers.name_holders import HeldName, holders_of, names_of_each


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

    async def open_under_each(self, usernames: Collection[str]) -> Mapping[str, list[Session]]:
        """By name the open sessions under it of whoever has it now, the newest first; a name under which that one has
        none, or that nobody here has, is left out. As many statements for a thousand names as for one, and where none
        of them has a session open only the one that accounting is asked.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            UsernameRefused: FreeRADIUS writes no session under one of these names.
        """
        names = list(dict.fromkeys(usernames))
        answers = await self._reader.open_sessions_of_each([(name,) for name in names])
        found = {name: sessions for name, sessions in zip(names, answers, strict=True) if sessions}
        if not found:
            return {}
        async with self._read() as db:  # after accounting: who has taken a name meanwhile may be among the sessions
            owners = await subscribers.owners_of_each(db, self._tenant_id, found)
            holders = await holders_of(db, self._tenant_id, owners)
        held = [HeldName(name, owner, holders[name]) for name, owner in owners.items()]
        own = {
            each.username: [one for one in found[each.username] if not each.is_anothers(one.label, one.started_at)]
            for each in held
        }
        return {name: sessions for name, sessions in own.items() if sessions}

    async def _held(self, subscriber_id: int) -> Mapping[str, HeldName]:
        """By name, its present one first."""
        async with self._read() as db:
            every = await names_of_each(db, self._tenant_id, [subscriber_id])
        if subscriber_id not in every:
            raise SubscriberUnknown(subscriber_id)
        return {each.username: each for each in every[subscriber_id]}
