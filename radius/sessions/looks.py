"""What operators ask about sessions: who is online, what a subscriber had, who had an address. Reads radacct and the
archive of what went out of it; each question by an index of its own, whatever stands in the tables.

Nothing is counted, and a page begins behind a session's number, so that sessions which come and go shift nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.coa.treatment import MISSED_INTERIMS
from radius.errors import LookRefused
from radius.escapes import shown
from radius.ports import Begin, Now
from radius.projection.projection import plan_group
from radius.projection.radius_database import dialect_of, radius_transaction
from radius.sessions.aliveness import OBSERVED_AT_LEAST_SECONDS, in_accounting, worth_a_look_after
from radius.sessions.containing import prefixes_that_contain
from radius.sessions.look_statements import ENDED_AT_LAST_WORD, UNHEARD_FOR, holders, online_page, users_page
from radius.sessions.reaper import NasGuard, guards
from radius.sessions.sessions import LONGEST_SECONDS, host
from radius.subscribers.name_holders import HeldName

SessionState = Literal["online", "doubtful", "closed"]
OF_SEVERAL_AT_ONCE = 500
"""So many sessions under names that several have had are looked through at once."""


PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))


class SessionView(TypedDict):
    """One session; octets and times as in ``Session``.

    ``state``: *online*; *doubtful*, which has missed three interims, so that its Stop may be lost; or *closed*.
    ``interval_seconds`` is how often it accounts; None, where nobody has said it: then only its end makes it doubtful.
    ``nas`` is the name of its NAS, where that is known here. ``uncertain``: whoever asked who had an address asked for
    a time after this session's last word, and nobody knows when it ended: it was closed for want of a Stop. ``label``
    is its Class (RFC 2865 s5.25), which tells whose it is.
    """

    number: int
    session_id: str
    username: str
    state: SessionState
    nas: str | None
    nas_address: str
    nas_port: str | None
    calling_station: str | None
    ipv4: str | None
    ipv6: str | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    started_at: datetime | None
    updated_at: datetime | None
    stopped_at: datetime | None
    duration_seconds: int
    input_octets: int
    output_octets: int
    terminate_cause: str | None
    interval_seconds: int | None
    uncertain: bool
    label: str | None


class SessionLooks:
    """Questions about the sessions of one tenant's subscribers, and of those of an existing server that nobody has
    taken over. ``radius_read`` opens a transaction in the radius database that only reads; ``radius_look`` is for
    questions whose statements may see a moment each, and find what they ask for by an index, whatever that is.
    """

    def __init__(self, radius_read: Begin, radius_look: Begin, *, tenant_id: str, now: Now) -> None:
        self._radius_read = radius_read
        self._radius_look = radius_look
        self._tenant_id = tenant_id
        self._now = now

    async def online(
        self,
        *,
        nas_address: str | None = None,
        plan: str | None = None,
        doubtful: bool = False,
        before: int | None = None,
        limit: int = 50,
    ) -> list[SessionView]:
        """The sessions that have not stopped, the newest first; ``before`` is the number that the page begins behind.
        ``plan``: only of those whom FreeRADIUS serves by it now.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            LookRefused: the NAS' address is none.
        """
        asked: dict[str, Any] = {"limit": limit}
        if nas_address is not None:
            asked["nas_address"] = str(_network(nas_address).network_address)
        if plan is not None:
            asked["group"] = plan_group(self._tenant_id, plan)
        if before is not None:
            asked["before"] = before
        # Whether few or nearly all are wanted depends on what is asked, so then a plan is made for that.
        some = doubtful or plan is not None or nas_address is not None
        async with radius_transaction(self._radius_read if some else self._radius_look) as db:
            now = self._now()
            if doubtful:
                asked["not_since"] = now - await worth_a_look_after(db)
                asked["moment"] = now.timestamp()
            page = online_page(dialect_of(db), frozenset(asked))
            return [_view(row, now) for row in await db.execute(page, {**asked, "tenant_id": self._tenant_id})]

    async def of_user(
        self, username: str, *former: str, before: int | None = None, limit: int = 50
    ) -> list[SessionView]:
        """Every session that is known of a username, as it stands in accounting, the one that began last first.
        ``former`` are other names that count as this one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        names = dict.fromkeys(in_accounting(each) for each in (username, *former))
        asked: dict[str, Any] = {f"username{number}": name for number, name in enumerate(names)}
        asked |= {"tenant_id": self._tenant_id, "limit": limit}
        if before is not None:
            asked["before"] = before
        async with radius_transaction(self._radius_look) as db:
            page = users_page(dialect_of(db), len(names), is_first=before is None)
            now = self._now()
            return [_view(row, now) for row in await db.execute(page, asked)]

    async def of_subscriber(
        self, held: Sequence[HeldName], *, before: int | None = None, limit: int = 50
    ) -> list[SessionView]:
        """The same of all names of a subscriber, without the sessions of others who have, or had, such a name.

        Raises: as ``of_user``.
        """
        by_name = {each.username: each for each in held}
        if not any(each.is_shared for each in held):
            return await self.of_user(*by_name, before=before, limit=limit)
        found: list[SessionView] = []
        while len(found) < limit:
            some = await self.of_user(*by_name, before=before, limit=OF_SEVERAL_AT_ONCE)
            found += [
                each for each in some if not by_name[each["username"]].is_anothers(each["label"], each["started_at"])
            ]
            if len(some) < OF_SEVERAL_AT_ONCE:
                break
            before = some[-1]["number"]
        return found[:limit]

    async def who_had(self, address: str, *, at: datetime) -> list[SessionView]:
        """The sessions that had an address or prefix at that moment, as far as accounting tells: usually one. A prefix
        that contains the address counts. Of an address that several have at once (private ones of several sites) a
        thousand are told at most. One that was closed without its Stop may have lasted up to three intervals past its
        last word: for such a time it is told, as uncertain.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            LookRefused: it is no address or prefix.
        """
        network = _network(address)
        async with radius_transaction(self._radius_look) as db:
            given = await _as_given(db, network)
            if not given:
                return []
            columns = tuple(column for column, _ in given)
            asked: dict[str, Any] = {f"given{number}": value for number, (_, value) in enumerate(given)}
            asked |= {"tenant_id": self._tenant_id, "at": at}
            if not _is_private(network):
                had = await self._holders(db, holders(dialect_of(db), columns), asked)
                if sum(not session["uncertain"] for session in had) < 2:
                    return had
            # Several may have it at once, as several sites have private ones: somebody else may have begun long before.
            asked["unheard_since"] = at - UNHEARD_FOR
            return await self._holders(db, holders(dialect_of(db), columns, every=True), asked)

    async def _holders(self, db: AsyncSession, statement: Select[Any], asked: Mapping[str, Any]) -> list[SessionView]:
        now, at = self._now(), asked["at"]
        had: dict[tuple[int, datetime | None], SessionView] = {}
        for row in await db.execute(statement, asked):
            session = _view(row, now)
            session["uncertain"] = _is_uncertain(session, at)
            if session["uncertain"] or session["stopped_at"] is None or session["stopped_at"] >= at:
                had[session["number"], session["started_at"]] = session
        return list(had.values())

    async def guards(self) -> list[NasGuard]:
        """Every NAS with open sessions, and whether accounting comes from it; the silent ones first.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_read) as db:
            return await guards(db, now=self._now(), tenant_id=self._tenant_id)


def _is_private(network: IPv4Network | IPv6Network) -> bool:
    """RFC 1918 s3, RFC 4193 s3.1."""
    return any(each.version == network.version and network.subnet_of(each) for each in PRIVATE)  # type: ignore[arg-type]


def _is_uncertain(session: SessionView, at: datetime) -> bool:
    """Its end is its last word, in the place of a Stop that nobody has heard."""
    ended = session["stopped_at"]
    if ended is None or session["terminate_cause"] not in ENDED_AT_LAST_WORD:
        return False
    patience = MISSED_INTERIMS * timedelta(seconds=session["interval_seconds"] or OBSERVED_AT_LEAST_SECONDS)
    return ended < at <= ended + patience


async def _as_given(db: AsyncSession, asked: IPv4Network | IPv6Network) -> list[tuple[str, str]]:
    """The columns of sessions that may say that one had it, each with what then stands there."""
    address = str(asked.network_address)
    if isinstance(asked, IPv4Network):
        return [("framedipaddress", address)]
    given = await prefixes_that_contain(db, asked)
    if asked.prefixlen == asked.max_prefixlen:
        spellings = [address] if dialect_of(db) == "postgresql" else [address, str(asked)]
        given += [("framedipv6address", spelling) for spelling in spellings]
    return given


def _network(text: str) -> IPv4Network | IPv6Network:
    """An IPv4-mapped address is the IPv4 one that it stands for (RFC 4291 s2.5.5.2): servers log it like that."""
    try:
        network = ip_network(text.strip(), strict=False)
        if "%" in text:
            raise ValueError("a zone is of no use elsewhere")
    except ValueError:
        raise LookRefused([f"{text[:80]!r} is no address or prefix"]) from None
    if isinstance(network, IPv4Network) and network.prefixlen < network.max_prefixlen:
        raise LookRefused([f"{text[:80]!r} is an IPv4 prefix, and sessions have single addresses"])
    if isinstance(network, IPv6Network) and network.prefixlen == network.max_prefixlen:
        mapped = network.network_address.ipv4_mapped
        return network if mapped is None else IPv4Network(mapped)
    return network


def _view(row: Sequence[Any], now: datetime) -> SessionView:
    """A row as the statements of looks tell it: unpacked, since a value is named at many times the cost."""
    number, session_id, username, nas_address, port, station, ipv4, wan, delegated, *more = row
    began, updated, seconds, received, sent, label, ipv6, stopped, cause, interval_seconds, nas = more
    return SessionView(
        number=number,
        session_id=shown(session_id),
        username=username,
        state=_state(stopped, updated or began, interval_seconds, now),
        nas=nas,
        nas_address=host(nas_address),
        nas_port=port and shown(shown(port)),  # escaped once more where it is one of two attributes (queries.conf)
        calling_station=station and shown(station),
        ipv4=host(ipv4) if ipv4 else None,
        ipv6=host(ipv6) if ipv6 else None,
        ipv6_wan_prefix=wan,
        delegated_prefix=delegated,
        started_at=began,
        updated_at=updated,
        stopped_at=stopped,
        duration_seconds=min(seconds or 0, LONGEST_SECONDS),
        input_octets=received or 0,
        output_octets=sent or 0,
        terminate_cause=None if stopped is None else cause or None,
        interval_seconds=interval_seconds,
        uncertain=False,
        label=label and shown(label),
    )


def _state(
    stopped: datetime | None, last: datetime | None, interval_seconds: int | None, now: datetime
) -> SessionState:
    if stopped is not None:
        return "closed"
    if interval_seconds is None or last is None:
        return "online"
    return "doubtful" if now - last > MISSED_INTERIMS * timedelta(seconds=interval_seconds) else "online"
