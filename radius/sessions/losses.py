"""Sessions that were lost a moment ago: they ended, nobody had asked for it, and their subscribers are not back."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import or_, select
from typing_extensions import TypedDict

from radius.ports import Begin, Now
from radius.projection.freeradius_tables import nas, radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import REPLACED, ours
from radius.sessions.sessions import host

WANTED_ENDS = ("User-Request", "Admin-Reset", "Session-Timeout", "Idle-Timeout", REPLACED)
"""Causes (RFC 2866 s5.10) that say that somebody, or a clock of ours, ended it: no line is down for that."""
MOST_LOST = 20_000
"""More than these of one moment are an outage in any case."""


class LostSession(TypedDict):
    """A session that was lost: whose, where, when, and what its NAS said of it."""

    username: str
    nas: str
    nas_port: str | None
    lost_at: datetime
    cause: str | None


class SessionLosses:
    """Looks at the sessions of one tenant's subscribers."""

    def __init__(self, radius_read: Begin, *, tenant_id: str, now: Now) -> None:
        self._radius_read = radius_read
        self._tenant_id = tenant_id
        self._now = now

    async def within(self, window: timedelta) -> list[LostSession]:
        """What was lost in that time and is not back, the first one first; one a subscriber.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        at = radacct.c
        back = radacct.alias("back")
        is_back = select(back.c.radacctid).where(back.c.acctstoptime.is_(None), back.c.username == at.username)
        query = (
            select(at.username, at.nasipaddress, at.nasportid, at.acctstoptime, at.acctterminatecause)
            .where(
                at.acctstoptime >= self._now() - window,
                at.username.is_not(None),
                or_(at.acctterminatecause.is_(None), at.acctterminatecause.not_in(WANTED_ENDS)),
                ~is_back.exists(),
                ours(radacct.c.username, self._tenant_id),
            )
            .order_by(at.acctstoptime, at.radacctid)
            .limit(MOST_LOST)
        )
        async with radius_transaction(self._radius_read) as db:
            rows = list(await db.execute(query))
            known = select(nas.c.nasname, nas.c.shortname).where(
                nas.c.nasname.in_({host(row.nasipaddress) for row in rows})
            )
            names = {address: name for address, name in await db.execute(known)} if rows else {}
        first: dict[str, LostSession] = {}
        for row in rows:
            address = host(row.nasipaddress)
            lost = LostSession(
                username=row.username,
                nas=names.get(address, address),
                nas_port=row.nasportid,
                lost_at=row.acctstoptime,
                cause=row.acctterminatecause,
            )
            first.setdefault(row.username, lost)
        return list(first.values())
