"""The sessions of subscribers as the NASes told them to FreeRADIUS (radacct), the same on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, cast, func, select

from radius.encoder import safe_username
from radius.lists import among
from radius.ports import Begin
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.tables import radius_session_archive
from radius.subscribers.name_holders import HeldName


@dataclass(frozen=True)
class Session:
    """One session. Times are aware UTC; ``input_octets`` came from the subscriber, ``output_octets`` went to it
    (RFC 2866 s5.3, s5.4, seen from the NAS), both over the whole session. ``stopped_at`` is None while it is open.

    ``radacct_id`` is the number of its row, and later rows have higher ones: with it a session is told from an older
    one that nobody closed, also where two have one ``session_id`` or started in the same second.
    """

    radacct_id: int
    session_id: str
    username: str
    nas_address: str
    nas_port: str | None
    calling_station: str | None
    framed_ip_address: str | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    started_at: datetime | None
    updated_at: datetime | None
    stopped_at: datetime | None
    duration_seconds: int
    input_octets: int
    output_octets: int
    terminate_cause: str | None
    label: str | None = None
    """Its Class (RFC 2865 s5.25), by which the login that it began with is known."""


ADDRESSES = ("nasipaddress", "framedipaddress", "framedipv6address")
PREFIXES = ("framedipv6prefix", "delegatedipv6prefix")
_OF_OPEN = (
    *("radacctid", "acctsessionid", "username", "nasipaddress", "nasportid", "callingstationid"),
    *("framedipaddress", "framedipv6prefix", "delegatedipv6prefix"),
    *("acctstarttime", "acctupdatetime", "acctsessiontime"),
    *("acctinputoctets", "acctoutputoctets", "class"),
)
"""What is read of open ones, in the order of ``OF_ANY``."""
_NOT_OVER = (None, None, None)
"""What is not read of them."""
OF_ANY = (*_OF_OPEN, "framedipv6address", "acctstoptime", "acctterminatecause")
"""What ``session_of`` reads, in its order."""
OF_ONE_NAME = 50
"""So many of the newest sessions of a name are looked at for one that is its owner's."""
LONGEST_SECONDS = 2**31 - 1
"""68 years: a NAS that says more has counted below zero, and what it says is kept in columns of that width."""


class SessionReader:
    """Reads radacct. Nothing here writes: FreeRADIUS does. ``radius_look`` opens what a statement is asked in; each may
    see a moment of its own."""

    def __init__(self, radius_look: Begin) -> None:
        self._radius_look = radius_look

    async def open_sessions(self, username: str, *former: str) -> list[Session]:
        """The sessions that have started and not stopped, the newest first. More than one is a double login or a ghost.
        ``former`` are other names that count as this one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            UsernameRefused: FreeRADIUS writes no session under such a name.
        """
        [sessions] = await self.open_sessions_of_each([(username, *former)])
        return sessions

    async def open_sessions_of_each(self, lines: Sequence[Sequence[str]]) -> list[list[Session]]:
        """The same of several lines, each with all names that count as its own.

        Raises: as ``open_sessions``.
        """
        spelt = [[safe_username(name) for name in names] for names in lines]
        found: dict[str, list[Session]] = {name: [] for names in spelt for name in names}
        async with radius_transaction(self._radius_look) as db:
            theirs = select(*as_read(radacct, _OF_OPEN)).where(
                among(db, radacct.c.username, found), radacct.c.acctstoptime.is_(None)
            )
            for row in await db.execute(theirs):
                session = session_of((*row, *_NOT_OVER))
                found[session.username].append(session)
        return [_newest_first([one for name in dict.fromkeys(names) for one in found[name]]) for names in spelt]

    async def last_session(self, username: str) -> Session | None:
        """The session that started last, open or over; None before the first login. Says when, why and after how many
        octets a subscriber went offline, which ``open_sessions`` cannot.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            UsernameRefused: FreeRADIUS writes no session under such a name.
        """
        for table in (radacct, radius_session_archive):
            async with radius_transaction(self._radius_look) as db:
                mine = select(*as_read(table)).where(table.c.username == safe_username(username))
                newest = mine.order_by(table.c.acctstarttime.desc(), table.c.radacctid.desc()).limit(1)
                for row in await db.execute(newest):
                    return session_of(row)
        return None

    async def last_session_of(self, held: HeldName) -> Session | None:
        """The same of a name that others may have had as well: the last one that is its owner's.

        Raises: as ``last_session``.
        """
        if not held.is_shared:
            return await self.last_session(held.username)
        spans = [*reversed(held.spans)]
        for table, (since, until) in product((radacct, radius_session_archive), spans):
            mine = select(*as_read(table)).where(table.c.username == safe_username(held.username))
            if since is not None:
                mine = mine.where(table.c.acctstarttime >= since)
            if until is not None:
                mine = mine.where(table.c.acctstarttime <= until)
            newest = mine.order_by(table.c.acctstarttime.desc(), table.c.radacctid.desc()).limit(OF_ONE_NAME)
            async with radius_transaction(self._radius_look) as db:
                found = [session_of(row) for row in await db.execute(newest)]
            own = (one for one in found if not held.is_anothers(one.label, one.started_at))
            if (last := next(own, None)) is not None:
                return last
        return None

    async def how_many_open_at(self, nas_address: str) -> int:
        """How many sessions have started at a NAS' address and not stopped.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        open_there = (radacct.c.acctstoptime.is_(None), radacct.c.nasipaddress == nas_address)
        async with radius_transaction(self._radius_look) as db:
            return await db.scalar(select(func.count()).select_from(radacct).where(*open_there)) or 0

    async def sharing_an_id(self, sessions: Sequence[Session]) -> set[int]:
        """The numbers of those of these sessions whose id another open session at their NAS has as well: a NAS that has
        begun to count anew gives ids again while accounting has a former session open that nobody closed.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        at_each: dict[str, list[Session]] = {}
        for one in sessions:
            at_each.setdefault(one.nas_address, []).append(one)
        shared: set[int] = set()
        async with radius_transaction(self._radius_look) as db:
            for address, theirs in at_each.items():
                ids = among(db, radacct.c.acctsessionid, {one.session_id for one in theirs})
                there = (radacct.c.acctstoptime.is_(None), radacct.c.nasipaddress == address, ids)
                having: dict[str, set[int]] = {}
                for number, session_id in await db.execute(
                    select(radacct.c.radacctid, radacct.c.acctsessionid).where(*there)
                ):
                    having.setdefault(session_id, set()).add(number)
                shared |= {one.radacct_id for one in theirs if having.get(one.session_id, set()) - {one.radacct_id}}
        return shared

    async def highest_number(self) -> int:
        """The ``radacct_id`` that was given last: a session that turns up later has a higher one. 0: there was none.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_look) as db:
            return await db.scalar(select(func.max(radacct.c.radacctid))) or 0


def as_read(sessions: FromClause, names: Sequence[str] = OF_ANY) -> list[ColumnElement[Any]]:
    """These columns of radacct or of the archive, which have twice as many. Addresses and prefixes as text: of each
    PostgreSQL's driver would make an object."""
    columns = (sessions.c[name] for name in names)
    return [cast(one, Text).label(one.key) if one.key in ADDRESSES + PREFIXES else one for one in columns]


def _newest_first(sessions: list[Session]) -> list[Session]:
    """One of which nobody knows when it began is the first, as PostgreSQL has it."""
    unknown = datetime.max.replace(tzinfo=UTC)
    return sorted(sessions, key=lambda one: (one.started_at or unknown, one.radacct_id), reverse=True)


def session_of(row: Sequence[Any]) -> Session:
    """A row of radacct, or of the archive, as ``OF_ANY`` has it. Thousands are read, and a value is unpacked far
    quicker than it is named."""
    number, session_id, username, nas, port, station, framed, wan, delegated, *more = row
    began, updated, seconds, received, sent, label, _ipv6, stopped, cause = more
    return Session(
        radacct_id=number,
        session_id=session_id,
        username=username,
        nas_address=host(nas),
        nas_port=port,
        calling_station=station,
        framed_ip_address=host(framed) if framed else None,
        ipv6_wan_prefix=wan,
        delegated_prefix=delegated,
        started_at=began,
        updated_at=updated,
        stopped_at=stopped,
        duration_seconds=min(seconds or 0, LONGEST_SECONDS),
        input_octets=received or 0,
        output_octets=sent or 0,
        terminate_cause=None if stopped is None else cause or None,
        label=label,
    )


def host(address: str) -> str:
    """An address without the length that some drivers write behind a single host."""
    return address.removesuffix("/32").removesuffix("/128")
