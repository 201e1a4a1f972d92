"""The log of logins in words: who asked, from where, and why not; and who asked that nobody knows.

FreeRADIUS writes it (``deploy/freeradius/raddb/login_log.conf``); here it is read, and what is old is forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.logins.tables import radius_login, radius_login_folder, radius_unknown_nas, radius_unknown_user
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radcheck, radius_projection
from radius.projection.radius_database import radius_transaction

REASONS: Mapping[str, str] = {
    "wrong_password": "wrong password",
    "no_such_user": "no such user",
    "password_as_name": "a password was sent as the name, which was not kept: the CPE has its two fields mixed up",
    "suspended": "suspended",
    "not_in_service": "not yet in service",
    "expired": "its test is over",
    "already_online": "already online",
    "no_rate": "no rate is known for it at this NAS",
    "row_unreadable": "a row of this user does not parse",
    "other_line": "it came from another line than the one it is bound to",
    "uncheckable": "its password is kept in a way that this method cannot be checked against",
    "eap_failed": "its EAP came to nothing before a password was asked for",
    "no_password": "no password was sent, or none is known",
    "refused_by_row": "a row of this user refuses it (Auth-Type := Reject)",
    "other": "refused for a reason that is in FreeRADIUS' own log alone",
}
"""Why a login is refused, by the word that FreeRADIUS writes for it."""

WITHHELD = ":withheld:"
"""Stands in the place of a name that was a password."""
AT_ONCE = 5000
LOOKED_BACK = 100_000
CARRIED_WITHIN = timedelta(minutes=2)
"""Logins that FreeRADIUS writes to files are in the table by then, if anybody carries them."""
MOST_UNKNOWN: Mapping[str, int] = {"radius_unknown_user": 5000, "radius_unknown_nas": 1000}
"""How many rows FreeRADIUS makes of each at most (``sql/login_log.conf``, ``sites/nas.conf``)."""

_ESCAPED = re.compile(r"(?:=[0-9A-F]{2})+")


class LoginView(TypedDict):
    """One answer to a login. ``nas_address`` is where the packet came from, ``nas_said_address`` and ``nas_identifier``
    what the NAS says of itself; ``reason`` is a word of ``REASONS`` and ``words`` the same for a reader, both None of
    an accept. ``about`` is the NAS (its name or address) where a refused one is online already, ``circuit`` the
    Agent-Circuit-Id of the access node (RFC 4679 s3.3.1)."""

    login_id: int
    username: str
    accepted: bool
    reason: str | None
    words: str | None
    about: str | None
    method: str
    nas_address: str
    nas_said_address: str | None
    nas_identifier: str | None
    calling_station: str | None
    nas_port: str | None
    circuit: str | None
    happened_at: datetime


class LoginsAlike(TypedDict):
    """A login, or refusals of the same kind that came one after another with nothing in between: ``times`` of them, the
    ``newest`` whole, of the oldest its number and when it was."""

    newest: LoginView
    times: int
    first_id: int
    first_at: datetime


class UnknownUser(TypedDict):
    """A name that nobody has, at a NAS where it was tried."""

    username: str
    nas_address: str
    words: str
    method: str
    calling_station: str | None
    nas_port: str | None
    circuit: str | None
    first_at: datetime
    last_at: datetime
    times: int


class UnknownNas(TypedDict):
    """An address that asked and is no NAS. ``times``: in how many seconds, at least."""

    address: str
    first_at: datetime
    last_at: datetime
    times: int


class LateLogins(TypedDict):
    """A machine and a folder from which not all logins since then are in the log. ``is_carried``: somebody is about
    it."""

    place: str
    since: datetime
    is_carried: bool


@dataclass(frozen=True)
class Heard:
    """When a login came last, by address of NASes; ``looked_back``: among so many latest ones, None: all that are
    kept."""

    at: Mapping[str, datetime]
    looked_back: int | None


class LoginLog:
    """Reads what FreeRADIUS wrote of logins, and forgets what is old."""

    def __init__(self, radius_read: Begin, radius_begin: Begin) -> None:
        """Who only reads holds up no login, so that is another way into the radius database than the writing one."""
        self._radius_read = radius_read
        self._radius_begin = radius_begin

    async def logins_of(
        self, username: str, *former: str, before_id: int | None = None, limit: int = 50
    ) -> list[LoginView]:
        """Answers to logins of this name, the newest first, a page at a time. ``former`` are other names that count as
        this one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        found = select(radius_login).where(radius_login.c.username.in_((username, *former)))
        if before_id is not None:
            found = found.where(radius_login.c.id < before_id)
        async with radius_transaction(self._radius_read) as db:
            return [_login(row) for row in await db.execute(found.order_by(radius_login.c.id.desc()).limit(limit))]

    async def logins_alike(
        self, username: str, *former: str, before_id: int | None = None, limit: int = 50
    ) -> list[LoginsAlike]:
        """As ``logins_of``, but what was refused again and again for the same reason at the same NAS is one answer: a
        CPE with a wrong password asks twice a minute, for weeks.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        mine = radius_login.c.username.in_((username, *former))
        found: list[LoginsAlike] = []
        async with radius_transaction(self._radius_read) as db:
            while len(found) < limit:
                some = select(radius_login).where(mine)
                if before_id is not None:
                    some = some.where(radius_login.c.id < before_id)
                rows = list(await db.execute(some.order_by(radius_login.c.id.desc()).limit(limit + 1)))
                alike = [list(each) for _, each in groupby(rows, _kind_of)]
                if len(rows) <= limit:
                    found += map(_alike, alike)
                    break
                found += map(_alike, alike[:-1])
                found.append(await _whole(db, mine, alike[-1][0]))  # how far back it goes is not seen yet
                before_id = found[-1]["first_id"]
        return found[:limit]

    async def last_accept(self, username: str, *former: str) -> LoginView | None:
        """The newest login of this name that was accepted, as far as is kept.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        mine = select(radius_login).where(radius_login.c.username.in_((username, *former)), radius_login.c.accepted)
        async with radius_transaction(self._radius_read) as db:
            found = (await db.execute(mine.order_by(radius_login.c.id.desc()).limit(1))).first()
            return None if found is None else _login(found)

    async def newest_id(self) -> int:
        """The number of the newest login, 0 of none: by how much it grows, so many came.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_read) as db:
            return await db.scalar(select(func.max(radius_login.c.id))) or 0

    async def wrong_in_a_row(self, nas_address: str) -> int:
        """How many users had a wrong password by PAP at that NAS since one was accepted by PAP there, among the latest
        few thousand logins.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        latest = select(radius_login).order_by(radius_login.c.id.desc()).limit(AT_ONCE).subquery().c
        there = (latest.nas_address == nas_address, latest.method == "pap")
        newest = (latest.happened_at.desc(), latest.id.desc())  # logins of files may come later than they were
        accepted = select(latest.happened_at, latest.id).where(*there, latest.accepted).order_by(*newest).limit(1)
        wrong = select(func.count(latest.username.distinct())).where(*there, latest.reason == "wrong_password")
        async with radius_transaction(self._radius_read) as db:
            last = (await db.execute(accepted)).first()
            if last is not None:
                since, number = last
                later = or_(latest.happened_at > since, and_(latest.happened_at == since, latest.id > number))
                wrong = wrong.where(later)
            return await db.scalar(wrong) or 0

    async def heard(self, addresses: Collection[str]) -> Heard:
        """When a login came from each of these NASes last, by the latest hundred thousand logins: there is no index by
        NAS, which each login would pay for.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        number = radius_login.c.id
        async with radius_transaction(self._radius_read) as db:
            first, last = (await db.execute(select(func.min(number), func.max(number)))).one()
            if last is None:
                return Heard({}, None)
            behind = last - LOOKED_BACK
            each = select(radius_login.c.nas_address, func.max(radius_login.c.happened_at))
            each = each.where(number > behind, radius_login.c.nas_address.in_(addresses))
            rows = await db.execute(each.group_by(radius_login.c.nas_address))
            return Heard({address: at for address, at in rows}, None if first > behind else LOOKED_BACK)

    async def unknown_users(self, tenant_id: str, *, limit: int = 50, known_since: bool = False) -> list[UnknownUser]:
        """Names that nobody has, tried at NASes of this tenant, who tried last first; ``known_since``: also those that
        FreeRADIUS knows by now.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        mine = select(radius_projection.c.name).where(
            radius_projection.c.kind == "nas", radius_projection.c.tenant_id == tenant_id
        )
        found = select(radius_unknown_user).where(radius_unknown_user.c.nas_address.in_(mine))
        if not known_since:
            found = found.where(~exists().where(radcheck.c.username == radius_unknown_user.c.username))
        newest = (radius_unknown_user.c.last_at.desc(), radius_unknown_user.c.id.desc())
        async with radius_transaction(self._radius_read) as db:
            rows = await db.execute(found.order_by(*newest).limit(limit))
            return [_unknown_user(row) for row in rows]

    async def unknown_nases(self) -> list[UnknownNas]:
        """Addresses that asked and are still no NAS, who asked last first.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        became_one = exists().where(nas.c.nasname == radius_unknown_nas.c.address)
        found = select(radius_unknown_nas).where(~became_one)
        found = found.order_by(radius_unknown_nas.c.last_at.desc(), radius_unknown_nas.c.address)
        async with radius_transaction(self._radius_read) as db:
            return [
                UnknownNas(address=row.address, first_at=row.first_at, last_at=row.last_at, times=row.times)
                for row in await db.execute(found)
            ]

    async def late(self, now: datetime) -> list[LateLogins]:
        """Where FreeRADIUS writes logins to files that are not carried in time: what it wrote since then is not in the
        log yet.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_read) as db:
            return await late_logins(db, now)

    async def purge(self, before: datetime) -> int:
        """Forget what is older, in transactions of a few thousand rows, and make room where FreeRADIUS has none to
        write: how many rows went.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        gone, some = 0, AT_ONCE
        while some == AT_ONCE:
            some = await self._forget_logins(before)
            gone += some
        return gone + await self._forget_unknown(before)

    async def _forget_logins(self, before: datetime) -> int:
        """The rows come nearly in the order of time, so the first are looked at and no index is needed. What was
        carried late goes with those that came before it."""
        oldest = select(radius_login.c.id, radius_login.c.happened_at).order_by(radius_login.c.id).limit(AT_ONCE)
        async with radius_transaction(self._radius_read) as db:
            ids = [number for number, at in await db.execute(oldest) if at < before]
        if ids:
            between = radius_login.c.id.between(min(ids), max(ids))
            async with radius_transaction(self._radius_begin) as db:
                await db.execute(delete(radius_login).where(between, radius_login.c.happened_at < before))
        return len(ids)

    async def _forget_unknown(self, before: datetime) -> int:
        gone = 0
        async with radius_transaction(self._radius_begin) as db:
            for table in (radius_unknown_user, radius_unknown_nas):
                old = await db.execute(delete(table).where(table.c.last_at < before).returning(table.c.first_at))
                gone += len(old.all())
                gone += await _make_room(db, table)
            await db.execute(delete(radius_login_folder).where(radius_login_folder.c.alive_at < before))
        return gone


async def late_logins(db: AsyncSession, now: datetime) -> list[LateLogins]:
    """As ``LoginLog.late``."""
    folder = radius_login_folder.c
    late = select(folder.place, folder.carried_at, folder.alive_at).where(folder.carried_at < now - CARRIED_WITHIN)
    return [
        LateLogins(place=place, since=carried_at, is_carried=alive_at >= now - CARRIED_WITHIN)
        for place, carried_at, alive_at in await db.execute(late.order_by(folder.place))
    ]


async def _make_room(db: Any, table: Table) -> int:
    """A list that is full is halved: whoever filled it with names of no meaning hides nobody who comes after."""
    most = MOST_UNKNOWN[table.name]
    if (await db.scalar(select(func.count()).select_from(table)) or 0) < most:
        return 0
    [key] = table.primary_key.columns
    kept = select(key).order_by(table.c.last_at.desc()).limit(most // 2)
    gone = await db.execute(delete(table).where(key.not_in(kept)).returning(key))
    return len(gone.all())


def shown(text: str) -> str:
    """What came over the wire, as it was sent: FreeRADIUS writes characters that could do harm as =XX. What cannot be
    seen stays escaped, as \\xXX, so that a name can neither move a cursor nor end a line."""
    plain = _ESCAPED.sub(_unescaped, text)
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in plain)


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[0].replace("=", "")).decode("utf-8", errors="backslashreplace")


def _login(row: Row[Any]) -> LoginView:
    return LoginView(
        login_id=row.id,
        username=shown(row.username),
        accepted=row.accepted,
        reason=row.reason,
        words=None if row.reason is None else in_words(row.reason),
        about=row.about,
        method=row.method,
        nas_address=row.nas_address,
        nas_said_address=row.nas_said_address,
        nas_identifier=_shown(row.nas_identifier),
        calling_station=_shown(row.calling_station),
        nas_port=_shown(row.nas_port),
        circuit=_shown(row.circuit),
        happened_at=row.happened_at,
    )


def _kind_of(row: Row[Any]) -> object:
    """The same of refusals that are told as one; of a login that was accepted its own."""
    return row.id if row.accepted else (row.reason, row.about, row.nas_address, row.nas_identifier)


def _alike(rows: Sequence[Row[Any]]) -> LoginsAlike:
    """The newest first."""
    oldest = rows[-1]
    return LoginsAlike(newest=_login(rows[0]), times=len(rows), first_id=oldest.id, first_at=oldest.happened_at)


async def _whole(db: AsyncSession, mine: ColumnElement[bool], newest: Row[Any]) -> LoginsAlike:
    """All refusals like this one, back to the login that was another one."""
    if newest.accepted:
        return _alike([newest])
    told = radius_login.c
    alike = ("reason", "about", "nas_address", "nas_identifier")
    other = or_(told.accepted, *(told[name].is_distinct_from(getattr(newest, name)) for name in alike))
    before = select(told.id).where(mine, told.id < newest.id, other).order_by(told.id.desc()).limit(1)
    behind = await db.scalar(before) or 0
    counted = select(func.count(), func.min(told.id)).where(mine, told.id > behind, told.id <= newest.id)
    times, first_id = (await db.execute(counted)).one()
    first_at = await db.scalar(select(told.happened_at).where(told.id == first_id))
    assert first_at is not None, "it was counted in this transaction"
    return LoginsAlike(newest=_login(newest), times=times, first_id=first_id, first_at=first_at)


def _unknown_user(row: Row[Any]) -> UnknownUser:
    return UnknownUser(
        username=row.username if row.username == WITHHELD else shown(row.username),
        nas_address=row.nas_address,
        words=in_words(row.reason),
        method=row.method,
        calling_station=_shown(row.calling_station),
        nas_port=_shown(row.nas_port),
        circuit=_shown(row.circuit),
        first_at=row.first_at,
        last_at=row.last_at,
        times=row.times,
    )


def _shown(text: str | None) -> str | None:
    return None if text is None else shown(text)


def in_words(reason: str) -> str:
    """The reason for a reader; a word that a later raddb writes stands for itself."""
    return REASONS.get(reason, reason)
