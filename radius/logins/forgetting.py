"""What is old goes out of the log of logins, and a list of strangers that is full is halved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, func, select

from radius.logins.tables import radius_login, radius_login_folder, radius_unknown_nas, radius_unknown_user
from radius.ports import Begin
from radius.projection.radius_database import radius_transaction

AT_ONCE = 5000
MOST_UNKNOWN: Mapping[str, int] = {"radius_unknown_user": 5000, "radius_unknown_nas": 1000}
"""How many rows FreeRADIUS makes of each at most (``sql/login_log.conf``, ``sites/nas.conf``)."""


async def forget(radius_read: Begin, radius_begin: Begin, before: datetime) -> int:
    """As ``LoginLog.purge``."""
    gone, some = 0, AT_ONCE
    while some == AT_ONCE:
        some = await _forget_logins(radius_read, radius_begin, before)
        gone += some
    return gone + await _forget_unknown(radius_begin, before)


async def _forget_logins(radius_read: Begin, radius_begin: Begin, before: datetime) -> int:
    """The rows come nearly in the order of time, so the first are looked at and no index is needed. What was
    carried late goes with those that came before it."""
    oldest = select(radius_login.c.id, radius_login.c.happened_at).order_by(radius_login.c.id).limit(AT_ONCE)
    async with radius_transaction(radius_read) as db:
        ids = [number for number, at in await db.execute(oldest) if at < before]
    if ids:
        between = radius_login.c.id.between(min(ids), max(ids))
        async with radius_transaction(radius_begin) as db:
            await db.execute(delete(radius_login).where(between, radius_login.c.happened_at < before))
    return len(ids)


async def _forget_unknown(radius_begin: Begin, before: datetime) -> int:
    gone = 0
    async with radius_transaction(radius_begin) as db:
        for table in (radius_unknown_user, radius_unknown_nas):
            old = await db.execute(delete(table).where(table.c.last_at < before).returning(table.c.first_at))
            gone += len(old.all())
            gone += await _make_room(db, table)
        await db.execute(delete(radius_login_folder).where(radius_login_folder.c.alive_at < before))
    return gone


async def _make_room(db: Any, table: Table) -> int:
    """A list that is full is halved: whoever filled it with names of no meaning hides nobody who comes after."""
    most = MOST_UNKNOWN[table.name]
    if (await db.scalar(select(func.count()).select_from(table)) or 0) < most:
        return 0
    [key] = table.primary_key.columns
    kept = select(key).order_by(table.c.last_at.desc()).limit(most // 2)
    gone = await db.execute(delete(table).where(key.not_in(kept)).returning(key))
    return len(gone.all())
