"""What has to do with a line: subscribers, their CPEs, their sessions. Each clue is a question or two, by index."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeGuard, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceRecord, DeviceSearch
from provisioning.days import minute
from provisioning.intake import Clock
from provisioning.search.hits import ASIDE, BEGINS, NEARLY, PAST, WHOLE, Hit, NotAsked
from provisioning.search.recognise import LONGEST_MAC, Clue, ClueKind, network_of
from provisioning.sight import Sight
from radius import (
    RadiusDatabaseUnavailable,
    RadiusDatabaseUnfit,
    SessionLooks,
    SessionMark,
    StationLooks,
    StationView,
    SubscriberSearch,
    SubscriberView,
)

T = TypeVar("T")


class Lines:
    """Finds what has to do with lines, within the caller's transaction and one of the radius database."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        sight: Sight,
        stations: StationLooks,
        sessions: SessionLooks,
        limit: int,
    ) -> None:
        self._now = now
        self._sight = sight
        self._stations = stations
        self._sessions = sessions
        self._subscribers = SubscriberSearch(db, tenant_id=tenant_id)
        self._devices = DeviceSearch(db, tenant_id=tenant_id)
        self._limit = limit
        self.not_asked: list[NotAsked] = []
        """What the radius database could not be asked."""

    async def with_mac(self, clue: Clue) -> list[Hit]:
        """Who has logged in from such a MAC address, and whose line it is."""
        if not self._sight.may("subscribers.read"):
            return []
        score = WHOLE if len(clue.value) == LONGEST_MAC else BEGINS
        asked = self._stations.with_mac(clue.value, limit=self._limit)
        seen = await self._of_radius(asked, "who has logged in from such a MAC address") or []
        marks = [SessionMark(each["username"], None, each["seen_at"]) for each in seen]
        known = await self._subscribers.of_sessions(marks)
        hits = [_logged_in(each, subscriber, score) for each, subscriber in zip(seen, known, strict=True)]
        bound = await self._subscribers.bound_to(clue.value, limit=self._limit)
        return hits + [
            subscriber_hit(each, f"its line is {spelt(each['line']['station'])}", "mac", score) for each in bound
        ]

    async def with_address(self, clue: Clue) -> list[Hit]:
        """Whose session has it, and to whom RADIUS gives it."""
        if not self._sight.may("subscribers.read"):
            return []
        network, hits = network_of(clue.value), list[Hit]()
        is_one = network.prefixlen == network.max_prefixlen
        if network.version == 6 or is_one:
            asked = self._sessions.who_had(clue.value, at=self._now())
            had = await self._of_radius(asked, f"whose session has {clue.value}") or []
            marks = [SessionMark(each["username"], each["label"], each["started_at"]) for each in had]
            whose = await self._subscribers.of_sessions(marks)
            hits += [_having(clue.value, mark, owner) for mark, owner in zip(marks, whose, strict=True)]
        if network.version == 4 and is_one:
            given = await self._subscribers.given(str(network.network_address), limit=self._limit)
            hits += [subscriber_hit(each, f"it is given {clue.value}", "address", NEARLY) for each in given]
        return hits

    async def with_serial(self, clue: Clue) -> list[Hit]:
        """CPEs with such a serial number."""
        if not self._sight.may("devices.read"):
            return []
        devices = await self._devices.bound(clue.value, limit=self._limit)
        services = {each["service_id"] for each in devices if each["service_id"] and each["state"] != "withdrawn"}
        names: dict[int, str] = {}
        if self._sight.may("subscribers.read"):
            lines = await self._subscribers.of_services(services)
            names = {each["service_id"]: each["username"] for each in reversed(lines) if each["service_id"] is not None}
        hits = [_device_hit(each, clue.value, names) for each in devices]
        for each in await self._devices.unbound(clue.value, limit=self._limit):
            maker = " ".join(part for part in (each["oui"], each["product_class"]) if part)
            about = f"reports to the ACS as {each['device_id']} and serves nobody"
            score = ASIDE if each["serial"] != clue.value else NEARLY
            hits.append(
                Hit("device", each["serial"], each["serial"], about, [f"serial number, {maker}"], ["serial"], score)
            )
        return hits

    async def named(self, clue: Clue) -> list[Hit]:
        """Subscribers whose username begins so, and who had that very name before."""
        if not self._sight.may("subscribers.read"):
            return []
        found = await self._subscribers.named(clue.value, limit=self._limit)
        formerly = await self._subscribers.formerly_named(clue.value)
        return [subscriber_hit(each, f"it was {clue.value} before", "username", NEARLY) for each in formerly] + [
            subscriber_hit(each, "its username" if whole else "its username begins so", "username", score)
            for each in found
            for whole in [each["username"].lower() == clue.value]
            for score in [WHOLE if whole else BEGINS]
        ]

    async def known_as(self, clue: Clue) -> list[Hit]:
        """Subscribers under that number of the ISP's own."""
        if not self._sight.may("subscribers.read"):
            return []
        found = await self._subscribers.known_as(clue.value)
        return [subscriber_hit(each, f"it is {clue.value} to you", "external_id", WHOLE) for each in found]

    async def of_service(self, number: int, score: int) -> list[Hit]:
        """Who logs in to that service."""
        if not self._sight.may("subscribers.read"):
            return []
        found = await self._subscribers.of_services([number])
        return [subscriber_hit(each, f"it is of service {number}", "number", score) for each in found]

    async def usernames_of(self, customers: Sequence[int]) -> dict[int, str]:
        """Of each of these customers that has one line in service, who logs in to it."""
        if not self._sight.may("subscribers.read"):
            return {}
        by_customer: dict[int, list[str]] = {}
        for each in await self._subscribers.of_customers(customers, limit=10 * self._limit):
            if each["state"] != "terminated":
                by_customer.setdefault(each["customer_id"], []).append(each["username"])
        return {customer: names[0] for customer, names in by_customer.items() if len(names) == 1}

    async def sessions_of(self, usernames: Iterable[str]) -> dict[str, str] | None:
        """Of those who are online, under whichever of their names: since when and where, in words; None: nobody
        knows."""
        names = await self._subscribers.names_of(set(usernames))
        online = await self._of_radius(self._stations.online(names), "who is online")
        if online is None:
            return None
        return {
            username: f"online since {moment(each['started_at'])} at {each['nas']} with {each['ipv4'] or 'no IPv4'}"
            for username, each in online.items()
        }

    async def _of_radius(self, asked: Coroutine[Any, Any, T], what: str) -> T | None:
        """What the radius database answers; None, and noted, if it can't be read. Once it couldn't, nothing more is
        asked there: each question would wait as long as the first."""
        if self.not_asked:
            asked.close()
            self.not_asked.append(NotAsked(what, self.not_asked[0].why))
            return None
        try:
            return await asked
        except (RadiusDatabaseUnavailable, RadiusDatabaseUnfit) as error:
            self.not_asked.append(NotAsked(what, str(error)))
            return None


def subscriber_hit(subscriber: SubscriberView, why: str, kind: ClueKind, score: int) -> Hit:
    """A subscriber; one that was terminated is told after all others."""
    is_over = subscriber["state"] == "terminated"
    return Hit(
        noun="subscriber",
        id=subscriber["username"],
        title=subscriber["username"],
        about=f"{subscriber['state']}, {subscriber['plan']}",
        why=[why],
        matched=[kind],
        score=PAST if is_over else score,
        customer_id=subscriber["customer_id"],
        username=None if is_over else subscriber["username"],
    )


def spelt(digits: str) -> str:
    """A MAC address as most labels have it."""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2)) if len(digits) == LONGEST_MAC else digits


def moment(at: datetime | None) -> str:
    return "a time that nobody told" if at is None else minute(at)


def _of_name(username: str, subscriber: SubscriberView | None, why: str, kind: ClueKind, score: int) -> Hit:
    """A name in accounting; one that is no subscriber of ours leads to its sessions."""
    if subscriber is not None:
        return subscriber_hit(subscriber, why, kind, score)
    about = "in accounting, and no subscriber here"
    return Hit("session", username, username, about, [why], [kind], min(score, ASIDE), username=username)


def _having(address: str, session: SessionMark, subscriber: SubscriberView | None) -> Hit:
    has = f"has {address} since {moment(session.began)}"
    if _is_over(subscriber):
        why = f"a session of {_over(subscriber)} {has}"
    else:
        why = f"its session{_under(' under ', session.username, subscriber)} {has}"
    return _of_name(session.username, subscriber, why, "address", WHOLE)


def _logged_in(seen: StationView, subscriber: SubscriberView | None, score: int) -> Hit:
    who = _over(subscriber) if _is_over(subscriber) else "it"
    why = f"{who} has logged in{_under(' as ', seen['username'], subscriber)} from {spelt(seen['station'])}"
    return _of_name(seen["username"], subscriber, f"{why}, last at {moment(seen['seen_at'])}", "mac", score)


def _is_over(subscriber: SubscriberView | None) -> TypeGuard[SubscriberView]:
    return subscriber is not None and subscriber["state"] == "terminated"


def _over(subscriber: SubscriberView) -> str:
    """Said by its number, since somebody else may have its name by now and be found by the same."""
    return f"subscriber {subscriber['subscriber_id']}, which was terminated,"


def _under(word: str, username: str, subscriber: SubscriberView | None) -> str:
    """The name that a session has, where its owner has another one by now."""
    return "" if subscriber is None or subscriber["username"] == username else f"{word}{username}"


def _device_hit(device: DeviceRecord, beginning: str, names: Mapping[int, str]) -> Hit:
    serial, is_history = device["device_serial"], device["state"] == "withdrawn"
    whole = serial == beginning
    service = "no service" if device["service_id"] is None else f"service {device['service_id']}"
    return Hit(
        noun="device",
        id=serial,
        title=serial,
        about=f"{device['state']}, {'was ' if is_history else ''}bound to {service}",
        why=["its serial number" if whole else "its serial number begins so"],
        matched=["serial"],
        score=PAST if is_history else (WHOLE if whole else BEGINS),
        customer_id=device["customer_id"],
        username=None if is_history else names.get(device["service_id"] or 0),
    )
