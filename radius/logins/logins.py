"""The log of logins in words: who asked, from where, and why not; and who asked that nobody knows.

FreeRADIUS writes it (``deploy/freeradius/raddb/login_log.conf``); here it is read, and what is old is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from radius.logins.forgetting import forget
from radius.logins.late import LateLogins, late_logins
from radius.logins.tables import radius_login, radius_unknown_nas, radius_unknown_user
from radius.logins.views import LoginsAlike, LoginView, UnknownNas, UnknownUser, login_view, unknown_user
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radcheck, radius_projection
from radius.projection.radius_database import radius_transaction
from radius.subscribers.name_holders import HeldName

LATEST = 5000
OUT_OF_TURN = 200
"""Logins of files may come into the log later than they were, so of that many latest ones the newest is looked for."""
LOOKED_BACK = 100_000


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
        self, username: str | HeldName, *former: str | HeldName, before_id: int | None = None, limit: int = 50
    ) -> list[LoginView]:
        """Answers to logins of this name, the newest first, a page at a time. ``former`` are other names that count as
        this one; of a name that several had, one after the other, those of its owner's time count.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        found = select(radius_login).where(_of((username, *former)))
        if before_id is not None:
            found = found.where(radius_login.c.id < before_id)
        async with radius_transaction(self._radius_read) as db:
            return [login_view(row) for row in await db.execute(found.order_by(radius_login.c.id.desc()).limit(limit))]

    async def logins_alike(
        self, username: str | HeldName, *former: str | HeldName, before_id: int | None = None, limit: int = 50
    ) -> list[LoginsAlike]:
        """As ``logins_of``, but what was refused again and again for the same reason at the same NAS is one answer: a
        CPE with a wrong password asks twice a minute, for weeks.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        mine = _of((username, *former))
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

    async def last_accept(self, username: str | HeldName, *former: str | HeldName) -> LoginView | None:
        """The newest login of this name that was accepted, as far as is kept.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        mine = select(radius_login).where(_of((username, *former)))
        latest = mine.order_by(radius_login.c.id.desc()).limit(OUT_OF_TURN).subquery()
        by_time = select(latest).where(latest.c.accepted).order_by(latest.c.happened_at.desc(), latest.c.id.desc())
        before = mine.where(radius_login.c.accepted).order_by(radius_login.c.id.desc())
        async with radius_transaction(self._radius_read) as db:
            found = (await db.execute(by_time.limit(1))).first() or (await db.execute(before.limit(1))).first()
            return None if found is None else login_view(found)

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
        latest = select(radius_login).order_by(radius_login.c.id.desc()).limit(LATEST).subquery().c
        there = (latest.nas_address == nas_address, latest.method == "pap")
        newest = (latest.happened_at.desc(), latest.id.desc())
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
            return [unknown_user(row) for row in rows]

    async def unknown_nases(self, besides: Sequence[UnknownNas] = ()) -> list[UnknownNas]:
        """Addresses that asked and are still no NAS, who asked last first. ``besides``: what else is known of such, as
        from FreeRADIUS' own log, where alone those outside of its network of NASes stand.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        became_one = exists().where(nas.c.nasname == radius_unknown_nas.c.address)
        asked = select(radius_unknown_nas).where(~became_one)
        async with radius_transaction(self._radius_read) as db:
            seen = {
                row.address: UnknownNas(
                    address=row.address, first_at=row.first_at, last_at=row.last_at, times=row.times
                )
                for row in await db.execute(asked)
            }
            others = {each["address"]: each for each in besides if each["address"] not in seen}
            known = await db.scalars(select(nas.c.nasname).where(nas.c.nasname.in_(others))) if others else ()
            seen |= {address: others[address] for address in others.keys() - set(known)}
        return sorted(seen.values(), key=lambda each: (-each["last_at"].timestamp(), each["address"]))

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
        return await forget(self._radius_read, self._radius_begin, before)


def _of(names: Sequence[str | HeldName]) -> ColumnElement[bool]:
    told = radius_login.c
    held = [HeldName(each) if isinstance(each, str) else each for each in names]
    mine: ColumnElement[bool] = told.username.in_([each.username for each in held])
    for each in held:
        if each.is_shared:
            mine &= or_(told.username != each.username, *(_within(*span) for span in each.spans))
    return mine


def _within(since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    happened = radius_login.c.happened_at
    begun = true() if since is None else happened >= since
    return begun if until is None else and_(begun, happened < until)


def _kind_of(row: Row[Any]) -> object:
    """The same of refusals that are told as one; of a login that was accepted its own."""
    return row.id if row.accepted else (row.reason, row.about, row.nas_address, row.nas_identifier)


def _alike(rows: Sequence[Row[Any]]) -> LoginsAlike:
    """The newest first."""
    oldest = rows[-1]
    return LoginsAlike(newest=login_view(rows[0]), times=len(rows), first_id=oldest.id, first_at=oldest.happened_at)


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
    return LoginsAlike(newest=login_view(newest), times=times, first_id=first_id, first_at=first_at)
