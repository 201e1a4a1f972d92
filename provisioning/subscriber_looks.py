"""Which subscriber is meant, and what is known of it; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from radius import HeldName, RadiusService, SubscriberRenamed, SubscriberUnknown, SubscriberView, UntoldPlan


@dataclass(frozen=True)
class ExternalId:
    """The ISP's own number of a subscriber, in its username's place."""

    value: str


@dataclass(frozen=True)
class LastKnownAs:
    """The same, also of the last one that had it and was terminated: who asks for its end may ask again."""

    value: str


@dataclass(frozen=True)
class SubscriberNumber:
    """Our own number of a subscriber, in its username's place."""

    value: int


LONGEST_NUMBER = 19


def subscriber_number(word: str) -> SubscriberNumber:
    """
    Raises: SubscriberUnknown, of what is no number.
    """
    if not (word.isascii() and word.isdigit() and len(word) <= LONGEST_NUMBER):
        raise SubscriberUnknown(word)
    return SubscriberNumber(int(word))


Who = str | ExternalId | LastKnownAs | SubscriberNumber
"""A username, or what stands in its place."""


class SubscriberLooks:
    """Finds subscribers within the caller's transaction, by whatever somebody says of them."""

    def __init__(self, *, radius: RadiusService) -> None:
        self._radius = radius

    async def named(self, who: Who) -> SubscriberView:
        """The subscriber as it shall be now. Raises: SubscriberUnknown; of a name that was given up, SubscriberRenamed,
        which says the present one."""
        if isinstance(who, ExternalId):
            return await self._radius.subscriber_known_as(external_id=who.value)
        if isinstance(who, LastKnownAs):
            return await self._radius.subscriber_last_known_as(external_id=who.value)
        if isinstance(who, SubscriberNumber):
            return await self._radius.subscriber(subscriber_id=who.value)
        return await self._radius.subscriber_named(username=who)

    async def names(self, who: Who) -> list[str]:
        """A subscriber's name, and those it gave up that nobody has taken since: sessions stand under the one they
        logged in with. A name that nobody has is one of its own, whoever had it.

        Raises: SubscriberUnknown, unless it is a username.
        """
        try:
            found = await self.named(who)
        except SubscriberUnknown:
            if isinstance(who, str):
                return [who]
            raise
        return [found["username"], *await self._radius.former_names(subscriber_id=found["subscriber_id"])]

    async def held_names(self, who: Who) -> list[HeldName]:
        """The same for its sessions and what was used: also names that others have taken since, each with whose it was
        when. Raises: as ``names``."""
        try:
            found = await self.named(who)
        except SubscriberUnknown:
            if isinstance(who, str):
                return [HeldName(who)]
            raise
        return await self._radius.held_names(subscriber_id=found["subscriber_id"])

    async def to_be_renamed(self, who: Who, username: str) -> SubscriberView:
        """The subscriber, also if the same was asked for before and it has the new name already.

        Raises: as ``named``.
        """
        try:
            return await self.named(who)
        except SubscriberRenamed as renamed:
            if renamed.present != username:
                raise
            return await self.named(username)

    async def untold(self, plan: str, over: str | None) -> list[UntoldPlan]:
        """The NASes where nobody of this plan is let in, and why; ``over``: nobody whom that plan serves instead."""
        return await self._radius.untold_plans(plan=plan, over=over)
