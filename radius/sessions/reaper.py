"""Closes the sessions that nobody will close: their NAS accounts for others, and for them it has missed three interims.

A session is closed as of its last sign of life, never as of now, and under a cause by which FreeRADIUS knows that its
next interim opens it again and its Stop corrects it. While a NAS is silent as a whole nothing of it is closed: then
accounting is what is broken. It has to be heard again for three intervals of a session, without a pause, before that
session's silence means anything.

Two things more must be known: that the NAS sends interims at all, so a session is compared with the newest interim
there and not with a Start; and that an interim would open the session again, so it must have been written by our
accounting queries (``deploy/freeradius``), which an existing server may not have.

A NAS says by its own clock when it was heard of. So sessions are compared with the newest word of their own NAS, and
whether a NAS goes on talking is seen by looking again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, Select, case, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.coa.treatment import MISSED_INTERIMS
from radius.ports import Begin, Now
from radius.projection.freeradius_tables import nas, radacct
from radius.projection.radius_database import all_ledger_names, dialect_of, radius_transaction
from radius.sessions.aliveness import REAPED, REOPENS, interval_of, silent_at, worth_a_look_after
from radius.sessions.sessions import host
from radius.sessions.tables import insert_into, radius_nas_heard

AT_ONCE = 1000
"""How many sessions one statement closes: others wait for its locks."""
SILENT_AFTER_INTERVALS = 2
"""A NAS with a session that lives is heard once in its interval. Twice that, and one lost packet is no silence."""
LOOKED_AWAY = timedelta(minutes=10)
"""Who has not looked for so long cannot say whether a NAS was heard all the time."""
CLOCKS_AHEAD = timedelta(hours=1)
"""A session whose last word is further in the future says nothing about when its NAS was heard."""
UNKNOWN_INTERVAL_SECONDS = 600
"""Of a NAS with no session whose interval is known."""

log = structlog.get_logger(__name__)


class NasGuard(TypedDict):
    """Whether a NAS that has open sessions is heard. ``silent_since`` is when it was heard last, by our clock; None: it
    is heard. ``heard_at`` is the newest word of one of its sessions, by its own clock. ``sends_interims``: one of them
    was heard after its Start; where none is, none is closed.
    """

    nas: str | None
    nas_address: str
    open_sessions: int
    heard_at: datetime
    heard_since: datetime | None
    silent_since: datetime | None
    sends_interims: bool
    sentence: str


@dataclass(frozen=True)
class Reaped:
    """What a sweep did: how many sessions it closed, and at how many NASes it closed none, since they are silent."""

    sessions: int
    silent_nases: int


@dataclass(frozen=True)
class _Heard:
    """What is open at a NAS, its newest word, and its newest interim (None: no session was heard after its Start)."""

    address: str
    heard_at: datetime
    interim_at: datetime | None
    open_sessions: int


class Reaper:
    """Sweeps the sessions at one tenant's NASes, and at those of an existing server that nobody has taken over. May be
    repeated, also at the same time.
    """

    def __init__(self, radius_begin: Begin, *, tenant_id: str, now: Now, at_once: int = AT_ONCE) -> None:
        self._radius_begin = radius_begin
        self._tenant_id = tenant_id
        self._now = now
        self._at_once = at_once

    async def sweep(self) -> Reaped:
        """Look which NASes are heard, and close what has missed three interims at those.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: what was closed before stays closed.
        """
        reaped = silent = 0
        async with radius_transaction(self._radius_begin) as db:
            at_least = await worth_a_look_after(db)
        for heard in await self._note_heard():
            async with radius_transaction(self._radius_begin) as db:
                row = (await db.execute(_known().where(radius_nas_heard.c.nasipaddress == heard.address))).one_or_none()
            if row is None or row.heard_since is None:
                silent += row is not None
                continue
            if heard.interim_at is None:
                continue
            closed = self._at_once
            while closed == self._at_once:
                async with radius_transaction(self._radius_begin) as db:
                    closed = await self._close(db, heard, row.heard_since, at_least)
                reaped += closed
        if reaped:
            log.warning("sessions closed that had missed three interims", sessions=reaped)
        return Reaped(reaped, silent)

    async def _note_heard(self) -> list[_Heard]:
        async with radius_transaction(self._radius_begin) as db:
            now, heard = self._now(), await _heard(db, self._now())
            others = {name for name, owner in (await all_ledger_names(db, "nas")).items() if owner != self._tenant_id}
            known = {host(row.nasipaddress): row for row in await db.execute(_known())}
            mine = [one for one in heard if one.address not in others]
            for one in mine:
                await self._note(db, one, known.get(one.address), now)
            return mine

    async def _note(self, db: AsyncSession, heard: _Heard, known: Any, now: datetime) -> None:
        values: dict[str, Any] = {
            "heard_at": heard.heard_at,
            "looked_at": now,
            "open_sessions": heard.open_sessions,
            "changed_at": now,
            "heard_since": now,
        }
        if known is not None and now - known.looked_at <= LOOKED_AWAY:
            values["heard_since"] = known.heard_since or now
            if known.heard_at == heard.heard_at:
                values["changed_at"] = known.changed_at
                if now - known.changed_at > await _patience(db, heard.address):
                    values["heard_since"] = None
                    if known.heard_since is not None:
                        log.warning("a nas is silent, its sessions stay open", nas_address=heard.address)
        which = radius_nas_heard.c.nasipaddress == heard.address
        if known is None:
            inserted = insert_into(db, radius_nas_heard).values(nasipaddress=heard.address, **values)
            await db.execute(inserted.on_conflict_do_nothing())
        else:
            await db.execute(update(radius_nas_heard).where(which).values(values))

    async def _close(self, db: AsyncSession, heard: _Heard, heard_since: datetime, at_least: timedelta) -> int:
        """The next batch: overdue by the NAS' own newest interim, and as long as it is heard by our clock. What was
        heard of ``at_least`` so shortly before is not worth a closer look.
        """
        assert heard.interim_at is not None, "else nothing is overdue"
        dialect = dialect_of(db)
        heard_for = (self._now() - heard_since).total_seconds()
        overdue = (
            radacct.c.acctstoptime.is_(None),
            radacct.c.nasipaddress == heard.address,
            func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime) < heard.interim_at - at_least,
            radacct.c.connectinfo_stop == REOPENS,
            silent_at(radacct, heard.interim_at.timestamp(), dialect),
            MISSED_INTERIMS * interval_of(radacct, dialect) <= heard_for,
        )
        numbers = select(radacct.c.radacctid).where(*overdue).order_by(radacct.c.radacctid).limit(self._at_once)
        last = func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime)
        closed = await db.execute(
            update(radacct)
            # asked again at the row itself: an interim may have come meanwhile
            .where(radacct.c.radacctid.in_(numbers), *overdue[:4])
            .values(acctstoptime=last, acctterminatecause=REAPED)
        )
        return cast("CursorResult[Any]", closed).rowcount


async def guards(
    db: AsyncSession, *, now: datetime, tenant_id: str | None = None, without_sessions: bool = False
) -> list[NasGuard]:
    """Every NAS that has open sessions and was looked at, and whether accounting comes from it; the silent ones first.

    ``db`` is a transaction in the radius database; without ``tenant_id`` everybody's. ``without_sessions``: also those
    that had some when they were looked at, and have none any more.
    """
    owners = (await all_ledger_names(db, "nas")).items()
    others = {name for name, owner in owners if tenant_id is not None and owner != tenant_id}
    names = {address: name for address, name in await db.execute(select(nas.c.nasname, nas.c.shortname))}
    found = []
    looked_at = _known().where(radius_nas_heard.c.looked_at >= now - LOOKED_AWAY)
    if not without_sessions:
        looked_at = looked_at.where(radius_nas_heard.c.open_sessions > 0)
    for row in await db.execute(looked_at):
        address = host(row.nasipaddress)
        if address not in others:
            found.append(_guard(row, address, names.get(address), await _sends_interims(db, row)))
    return sorted(found, key=lambda one: (one["silent_since"] is None, one["nas"] or "", one["nas_address"]))


def _known() -> Select[Any]:
    return select(radius_nas_heard)


async def _heard(db: AsyncSession, now: datetime) -> list[_Heard]:
    word = radacct.c.acctupdatetime
    newest = func.coalesce(
        func.max(case((word <= now + CLOCKS_AHEAD, word))), func.max(word), func.max(radacct.c.acctstarttime)
    )
    after_start = (word <= now + CLOCKS_AHEAD) & (word > radacct.c.acctstarttime)
    at_each = (
        select(
            radacct.c.nasipaddress,
            newest.label("heard_at"),
            func.max(case((after_start, word))).label("interim_at"),
            func.count().label("open_sessions"),
        )
        .where(radacct.c.acctstoptime.is_(None))
        .group_by(radacct.c.nasipaddress)
    )
    rows = await db.execute(at_each)
    return [
        _Heard(host(row.nasipaddress), row.heard_at, row.interim_at, row.open_sessions) for row in rows if row.heard_at
    ]


async def _sends_interims(db: AsyncSession, known: Any) -> bool:
    """False: no session that is open there was heard after its Start, though one is open for long."""
    mine = (radacct.c.acctstoptime.is_(None), radacct.c.nasipaddress == host(known.nasipaddress))
    heard_after_start = select(radacct.c.radacctid).where(*mine, radacct.c.acctupdatetime > radacct.c.acctstarttime)
    long_ago = known.looked_at - MISSED_INTERIMS * timedelta(seconds=UNKNOWN_INTERVAL_SECONDS)
    began_long_ago = select(radacct.c.radacctid).where(*mine, radacct.c.acctstarttime < long_ago)
    for found in (heard_after_start, began_long_ago):
        if await db.scalar(found.limit(1)) is not None:
            return found is heard_after_start
    return True


async def _patience(db: AsyncSession, address: str) -> timedelta:
    """How long a NAS may say nothing: by the session of it that accounts most often."""
    shortest = select(func.min(interval_of(radacct, dialect_of(db)))).where(
        radacct.c.acctstoptime.is_(None), radacct.c.nasipaddress == address
    )
    interval_seconds = await db.scalar(shortest) or UNKNOWN_INTERVAL_SECONDS
    return SILENT_AFTER_INTERVALS * timedelta(seconds=interval_seconds)


def _guard(row: Any, address: str, name: str | None, sends_interims: bool) -> NasGuard:
    many = row.open_sessions != 1
    stay = f"{row.open_sessions} open session{'s stay' if many else ' stays'} open"
    called = address if name is None else f"{name} ({address})"
    silent_since = row.changed_at if row.heard_since is None else None
    if not sends_interims:
        sentence = (
            f"NAS {called} sends no interims: its {stay} until {'their' if many else 'its'} Stop, and"
            " one whose Stop is lost for ever. Let it account every few minutes (Acct-Interim-Interval)."
        )
    elif silent_since is None:
        sentence = f"Accounting comes from NAS {called}."
    else:
        sentence = (
            f"Nothing has come from NAS {called} since {silent_since:%Y-%m-%d %H:%M} UTC: its {stay},"
            f" whatever became of {'them' if many else 'it'}. Look whether it runs, and whether its accounting reaches"
            f" FreeRADIUS; if it is gone for good, `firstlight sessions close {address} --reason ...`."
        )
    return NasGuard(
        nas=name,
        nas_address=address,
        open_sessions=row.open_sessions,
        heard_at=row.heard_at,
        heard_since=row.heard_since,
        silent_since=silent_since,
        sends_interims=sends_interims,
        sentence=sentence,
    )
