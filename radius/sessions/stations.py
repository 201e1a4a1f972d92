"""Which CPEs have logged in under which usernames, by MAC address: read off radacct as sessions begin.

radacct has a MAC address in the spelling of each NAS, and a row for each session; to look there for half of one would
mean to read it all, and an index for it would be written at every Start. So what is new in radacct is read now and
then, and a list is kept of who has had which address: as many rows as there are CPEs.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.ports import Begin, Now
from radius.projection.freeradius_tables import nas, radacct
from radius.projection.radius_database import dialect_of, radius_transaction
from radius.sessions.aliveness import in_accounting, ours
from radius.sessions.sessions import host
from radius.sessions.tables import insert_into, radius_read_up_to, radius_station
from radius.sessions.usage_count import BETWEEN_BATCHES_SECONDS
from radius.subscribers.line_identity import LineIdentity
from radius.subscribers.name_holders import HeldName

AT_ONCE = 5_000
"""Sessions that one commit reads."""
READ_AGAIN = 2_000
"""So many of the newest are read once more: on PostgreSQL a session may be committed after one with a higher number."""
MAC_DIGITS = 12
_DIGITS = re.compile(r"[0-9a-f]{1,12}")
_READER = "stations"


class StationView(TypedDict):
    """Who has logged in from a MAC address (twelve hexadecimal digits), and when they began to last."""

    username: str
    station: str
    seen_at: datetime


class OnlineView(TypedDict):
    """An open session of a line, the newest: under which name it goes on, where it is, and since when."""

    username: str
    station: str | None
    ipv4: str | None
    nas: str
    started_at: datetime | None


def mac_of(station: str | None) -> str | None:
    """The MAC address in a Calling-Station-Id, as twelve hexadecimal digits; None: it is something else."""
    digits = None if station is None else LineIdentity(station).in_one_spelling.station
    return digits if digits is not None and len(digits) == MAC_DIGITS and _DIGITS.fullmatch(digits) else None


class StationBook:
    """Keeps the list. Reads everybody's sessions; may be repeated, also at the same time. ``kept``: how long an address
    stays that is seen no more; None: for ever.
    """

    def __init__(self, radius_begin: Begin, *, now: Now, kept: timedelta | None, at_once: int = AT_ONCE) -> None:
        self._radius_begin = radius_begin
        self._now = now
        self._kept = kept
        self._at_once = max(at_once, 2 * READ_AGAIN)
        self._newest = 0

    async def note(self) -> int:
        """Reads what is new, in batches of one commit each. How many sessions were read.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: what was read before stays noted.
        """
        read, is_full = 0, True
        while is_full:
            async with radius_transaction(self._radius_begin) as db:
                batch = await self._batch(db)
            read, is_full = read + batch, batch >= self._at_once
            if is_full:
                await asyncio.sleep(BETWEEN_BATCHES_SECONDS)
        return read

    async def forget(self) -> None:
        """What was seen too long ago.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        if self._kept is None:
            return
        async with radius_transaction(self._radius_begin) as db:
            await db.execute(delete(radius_station).where(radius_station.c.seen_at < self._now() - self._kept))

    async def _batch(self, db: AsyncSession) -> int:
        mark = radius_read_up_to.c
        behind = await db.scalar(select(mark.radacctid).where(mark.reader == _READER)) or 0
        new = select(radacct.c.radacctid, radacct.c.username, radacct.c.callingstationid, radacct.c.acctstarttime)
        page = new.where(radacct.c.radacctid > behind).order_by(radacct.c.radacctid).limit(self._at_once)
        rows = list(await db.execute(page))
        if not rows or rows[-1].radacctid == self._newest:
            return 0
        await _note(db, rows)
        self._newest = rows[-1].radacctid
        if (read := self._newest - READ_AGAIN) > behind:
            at = insert_into(db, radius_read_up_to).values(reader=_READER, radacctid=read)
            excluded = at.excluded.radacctid
            await db.execute(at.on_conflict_do_update(index_elements=[mark.reader], set_={"radacctid": excluded}))
        return len(rows)


class StationLooks:
    """Finds the subscribers of one tenant by their CPEs' MAC addresses, and says who of them is online."""

    def __init__(self, radius_read: Begin, *, tenant_id: str) -> None:
        self._radius_read = radius_read
        self._tenant_id = tenant_id

    async def with_mac(self, digits: str, *, limit: int) -> list[StationView]:
        """Those whose MAC address begins or ends with these hexadecimal digits.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        if not _DIGITS.fullmatch(digits):
            return []
        at = radius_station.c
        sides = [at.station.between(*_bounds(digits)), at.from_its_end.between(*_bounds(digits[::-1]))]
        found: dict[tuple[str, str], StationView] = {}
        async with radius_transaction(self._radius_read) as db:
            for side, order in zip(sides, (at.station, at.from_its_end), strict=True):
                page = select(at.username, at.station, at.seen_at).where(
                    side, ours(radius_station.c.username, self._tenant_id)
                )
                for row in await db.execute(page.order_by(order).limit(limit)):
                    view = StationView(username=row.username, station=row.station, seen_at=row.seen_at)
                    found.setdefault((row.username, row.station), view)
        return sorted(found.values(), key=lambda one: one["seen_at"], reverse=True)[:limit]

    async def online(self, lines: Mapping[str, Sequence[HeldName]]) -> dict[str, OnlineView]:
        """Of each of these lines, by what it is called here, that has an open session of its own under one of its
        names: the newest one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        names = list({in_accounting(held.username) for theirs in lines.values() for held in theirs})
        async with radius_transaction(self._radius_read) as db:
            rows: list[Any] = []
            for some in [names] if dialect_of(db) == "postgresql" else [[name] for name in names]:
                rows += await db.execute(_open_of(some))  # of several SQLite would read all open sessions
            known = await _names_of(db, {host(row.nasipaddress) for row in rows})
        by_name: dict[str, list[Any]] = {}
        for row in rows:
            by_name.setdefault(row.username, []).append(row)
        newest = {line: _newest_of(theirs, by_name) for line, theirs in lines.items()}
        return {line: _online(row, known) for line, row in newest.items() if row is not None}


def _newest_of(held: Sequence[HeldName], by_name: Mapping[str, Sequence[Any]]) -> Any:
    """Of their owner's open sessions; None: there is none."""
    own = [
        row
        for each in held
        for row in by_name.get(in_accounting(each.username), ())
        if not each.is_anothers(row.label, row.acctstarttime)
    ]
    return max(own, key=lambda row: row.radacctid, default=None)


def _open_of(usernames: Sequence[str]) -> Any:
    columns = ("radacctid", "username", "callingstationid", "framedipaddress", "nasipaddress", "acctstarttime")
    mine = and_(radacct.c.acctstoptime.is_(None), radacct.c.username.in_(usernames))
    return select(*(radacct.c[name] for name in columns), radacct.c["class"].label("label")).where(mine)


async def _names_of(db: AsyncSession, addresses: set[str]) -> dict[str, str]:
    if not addresses:
        return {}
    known = select(nas.c.nasname, nas.c.shortname).where(nas.c.nasname.in_(addresses))
    return {address: name for address, name in await db.execute(known)}


def _online(row: Any, names: dict[str, str]) -> OnlineView:
    address = host(row.nasipaddress)
    return OnlineView(
        username=row.username,
        station=mac_of(row.callingstationid) or row.callingstationid,
        ipv4=host(row.framedipaddress) if row.framedipaddress else None,
        nas=names.get(address, address),
        started_at=row.acctstarttime,
    )


async def _note(db: AsyncSession, rows: list[Any]) -> None:
    seen: dict[tuple[str, str], datetime] = {}
    for row in rows:
        station = mac_of(row.callingstationid)
        if station is None or not row.username or row.acctstarttime is None:
            continue
        pair = station, row.username
        seen[pair] = max(seen.get(pair, row.acctstarttime), row.acctstarttime)
    if not seen:
        return
    table = radius_station
    noted = insert_into(db, table)
    later = noted.on_conflict_do_update(
        index_elements=[table.c.station, table.c.username],
        set_={"seen_at": noted.excluded.seen_at},
        where=table.c.seen_at < noted.excluded.seen_at,
    )
    in_one_order = sorted(seen.items())  # so that two who note at once wait for one another, and no more
    await db.execute(
        later,
        [
            {"station": station, "username": username, "from_its_end": station[::-1], "seen_at": at}
            for (station, username), at in in_one_order
        ],
    )


def _bounds(digits: str) -> tuple[str, str]:
    return digits.ljust(MAC_DIGITS, "0"), digits.ljust(MAC_DIGITS, "f")
