"""What operators ask about sessions: who is online, what a subscriber had, who had an address. Reads radacct and the
archive of what went out of it; each question by an index of its own, whatever stands in the tables.

Nothing is counted, and a page begins behind a session's number, so that sessions which come and go shift nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal

from sqlalchemy import Row, Table, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.coa.treatment import MISSED_INTERIMS
from radius.errors import LookRefused
from radius.ports import Begin, Now
from radius.projection.freeradius_tables import nas, radacct
from radius.projection.projection import plan_group
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import (
    OBSERVED_AT_LEAST_SECONDS,
    REAPED,
    REPLACED,
    dialect_of,
    in_accounting,
    worth_a_look_after,
)
from radius.sessions.look_statements import last_begun, numbered, online_page, users_page
from radius.sessions.reaper import NasGuard, guards
from radius.sessions.sessions import Session, host, session_of
from radius.sessions.tables import radius_session_archive

SessionState = Literal["online", "doubtful", "closed"]

BOTH = (radacct, radius_session_archive)
ENDED_AT_LAST_WORD = (REAPED, REPLACED)
SHORTEST_PREFIX = 32
"""No line is given a shorter IPv6 prefix."""


class SessionView(TypedDict):
    """One session; octets and times as in ``Session``.

    ``state``: *online*; *doubtful*, which has missed three interims, so that its Stop may be lost; or *closed*.
    ``interval_seconds`` is how often it accounts; None, where nobody has said it: then only its end makes it doubtful.
    ``nas`` is the name of its NAS, where that is known here. ``uncertain``: whoever asked who had an address asked for
    a time after this session's last word, and nobody knows when it ended: it was closed for want of a Stop.
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


class SessionLooks:
    """Questions about the sessions of one tenant's subscribers, and of those of an existing server that nobody has
    taken over. ``radius_read`` opens a transaction in the radius database that only reads.
    """

    def __init__(self, radius_read: Begin, *, tenant_id: str, now: Now) -> None:
        self._radius_read = radius_read
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
        async with radius_transaction(self._radius_read) as db:
            if doubtful:
                now = self._now()
                asked["not_since"] = now - await worth_a_look_after(db)
                asked["moment"] = now.timestamp()
            page = online_page(dialect_of(db), frozenset(asked))
            return await self._views(db, list(await db.execute(page, {**asked, "tenant_id": self._tenant_id})))

    async def of_user(
        self, username: str, *former: str, before: int | None = None, limit: int = 50
    ) -> list[SessionView]:
        """Every session that is known of a username, as it stands in accounting, the one that began last first.
        ``former`` are other names that count as this one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        names = [in_accounting(each) for each in (username, *former)]
        async with radius_transaction(self._radius_read) as db:
            began = None if before is None else await _began(db, names, before)
            if before is not None and began is None:
                return []
            asked = {"tenant_id": self._tenant_id, "limit": limit}
            if began is not None:
                asked |= {"began": began, "before": before}
            rows: list[Row[Any]] = []
            for table in BOTH:
                page = users_page(table, dialect_of(db), is_first=began is None)
                for name in names:  # each by the index of its own newest ones
                    rows += await db.execute(page, {**asked, "username": name})
            rows.sort(key=_newness, reverse=True)
            return await self._views(db, rows[:limit])

    async def who_had(self, address: str, *, at: datetime) -> list[SessionView]:
        """The sessions that had an address or prefix at that moment, as far as accounting tells: usually one. A prefix
        that contains the address counts. One that was closed without its Stop may have lasted up to three intervals
        past its last word: for such a time it is told, as uncertain.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            LookRefused: it is no address or prefix.
        """
        asked = _network(address)
        async with radius_transaction(self._radius_read) as db:
            rows: list[Row[Any]] = []
            uncertain: set[int] = set()
            for table in BOTH:
                keys: set[tuple[int, datetime]] = set()
                for column, values in _given(asked):
                    for held in await self._held(db, table, column, values, at):
                        keys.add((held.radacctid, held.acctstarttime))
                        uncertain |= {held.radacctid} if _is_uncertain(held, at) else set()
                if keys:
                    rows += await db.execute(numbered(table, dialect_of(db)), {"keys": list(keys)})
            return await self._views(db, sorted(rows, key=_newness, reverse=True), uncertain)

    async def _held(
        self, db: AsyncSession, table: Table, column: str, values: list[str], at: datetime
    ) -> list[Row[Any]]:
        """Number, beginning and end of the sessions that had it then, or may have had it."""
        is_one = len(values) == 1
        asked = {"tenant_id": self._tenant_id, "at": at, **({"value": values[0]} if is_one else {"values": values})}
        rows = await db.execute(last_begun(table, dialect_of(db), column, is_one=is_one), asked)
        return [row for row in rows if row.acctstoptime is None or row.acctstoptime >= at or _is_uncertain(row, at)]

    async def guards(self) -> list[NasGuard]:
        """Every NAS with open sessions, and whether accounting comes from it; the silent ones first.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_read) as db:
            return await guards(db, now=self._now(), tenant_id=self._tenant_id)

    async def _views(
        self, db: AsyncSession, rows: Sequence[Row[Any]], uncertain: Collection[int] = ()
    ) -> list[SessionView]:
        addresses = {host(row.nasipaddress) for row in rows}
        names: dict[str, str] = {}
        if addresses:
            known = select(nas.c.nasname, nas.c.shortname).where(nas.c.nasname.in_(addresses))
            names = {address: name for address, name in await db.execute(known)}
        return [_view(row, names, self._now(), row.radacctid in uncertain) for row in rows]


def _newness(row: Row[Any]) -> tuple[datetime, int]:
    return row.acctstarttime, row.radacctid


async def _began(db: AsyncSession, usernames: Sequence[str], number: int) -> datetime | None:
    for table in BOTH:
        which = select(table.c.acctstarttime).where(table.c.username.in_(usernames), table.c.radacctid == number)
        began: datetime | None = await db.scalar(which)
        if began is not None:
            return began
    return None


def _is_uncertain(row: Row[Any], at: datetime) -> bool:
    """Its end is its last word, in the place of a Stop that nobody has heard."""
    if row.acctstoptime is None or row.acctterminatecause not in ENDED_AT_LAST_WORD:
        return False
    patience = MISSED_INTERIMS * timedelta(seconds=row.interval_seconds or OBSERVED_AT_LEAST_SECONDS)
    return bool(row.acctstoptime < at <= row.acctstoptime + patience)


def _given(asked: IPv4Network | IPv6Network) -> Iterator[tuple[str, list[str]]]:
    """The columns that may say it, and by which values."""
    if isinstance(asked, IPv4Network):
        yield "framedipaddress", [str(asked.network_address)]
        return
    shortest = min(SHORTEST_PREFIX, asked.prefixlen)
    containing = [str(asked.supernet(new_prefix=length)) for length in range(shortest, asked.prefixlen + 1)]
    yield "framedipv6prefix", containing
    yield "delegatedipv6prefix", containing
    if asked.prefixlen == asked.max_prefixlen:
        yield "framedipv6address", [str(asked.network_address), str(asked)]


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text.strip(), strict=False)
        if "%" in text:
            raise ValueError("a zone is of no use elsewhere")
    except ValueError:
        raise LookRefused([f"{text[:80]!r} is no address or prefix"]) from None
    if isinstance(network, IPv4Network) and network.prefixlen < network.max_prefixlen:
        raise LookRefused([f"{text[:80]!r} is an IPv4 prefix, and sessions have single addresses"])
    return network


def _view(row: Row[Any], names: Mapping[str, str], now: datetime, uncertain: bool) -> SessionView:
    session = session_of(row)
    return SessionView(
        number=session.radacct_id,
        session_id=session.session_id,
        username=session.username,
        state=_state(session, row.interval_seconds, now),
        nas=names.get(session.nas_address),
        nas_address=session.nas_address,
        nas_port=session.nas_port,
        calling_station=session.calling_station,
        ipv4=session.framed_ip_address,
        ipv6=host(row.framedipv6address) if row.framedipv6address else None,
        ipv6_wan_prefix=session.ipv6_wan_prefix,
        delegated_prefix=session.delegated_prefix,
        started_at=session.started_at,
        updated_at=session.updated_at,
        stopped_at=session.stopped_at,
        duration_seconds=session.duration_seconds,
        input_octets=session.input_octets,
        output_octets=session.output_octets,
        terminate_cause=session.terminate_cause,
        interval_seconds=row.interval_seconds,
        uncertain=uncertain,
    )


def _state(session: Session, interval_seconds: int | None, now: datetime) -> SessionState:
    if session.stopped_at is not None:
        return "closed"
    last = session.updated_at or session.started_at
    if interval_seconds is None or last is None:
        return "online"
    return "doubtful" if now - last > MISSED_INTERIMS * timedelta(seconds=interval_seconds) else "online"
