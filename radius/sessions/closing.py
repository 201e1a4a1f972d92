"""Closes the sessions of a NAS that does not come back: it was taken out, or has another address since.

The reaper leaves the sessions of a silent NAS open, since it can't know whether the NAS or its accounting is what is
gone. An operator may know. They are closed as the reaper closes: as of their last sign of life, and under the cause by
which a newer interim opens a session again and its Stop corrects it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, func, select, update

from radius.nas_errors import NasNotSilent
from radius.ports import Begin, Now
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import REAPED, ours
from radius.sessions.reaper import AT_ONCE, NasGuard, guards
from radius.sessions.tables import radius_nas_heard

log = structlog.get_logger(__name__)


class SilentSessions:
    """The sessions at one tenant's NASes that are silent. May be repeated, also at the same time."""

    def __init__(self, radius_begin: Begin, *, tenant_id: str, now: Now, at_once: int = AT_ONCE) -> None:
        self._radius_begin = radius_begin
        self._tenant_id = tenant_id
        self._now = now
        self._at_once = at_once

    async def close_at(self, nas_address: str) -> int:
        """Close in accounting what is open at a NAS; returns how many sessions.

        Raises:
            NasNotSilent: accounting comes from it, or nobody has looked lately whether it does.
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: what was closed before stays closed.
        """
        heard_at = await self._silent_since(nas_address)
        done, closed = 0, self._at_once
        while closed == self._at_once:
            closed = await self._close(nas_address, heard_at)
            done += closed
        await self._note_closed(nas_address)
        if done:
            log.warning("sessions closed of a nas that is gone", nas_address=nas_address, sessions=done)
        return done

    async def _silent_since(self, nas_address: str) -> datetime:
        """The newest word that is known of it."""
        async with radius_transaction(self._radius_begin) as db:
            found = await guards(db, now=self._now(), tenant_id=self._tenant_id, without_sessions=True)
        guard: NasGuard | None = next((each for each in found if each["nas_address"] == nas_address), None)
        if guard is None or guard["silent_since"] is None:
            sends = guard is None or guard["sends_interims"]
            raise NasNotSilent(nas_address, is_heard=guard is not None, sends_interims=sends)
        return guard["heard_at"]

    async def _close(self, nas_address: str, heard_at: datetime) -> int:
        last = func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime)
        these = (
            radacct.c.acctstoptime.is_(None),
            radacct.c.nasipaddress == nas_address,
            last <= heard_at,  # one that was heard of since is none of a NAS that is gone
            ours(radacct.c.username, self._tenant_id),  # of an address that nobody has any more too
        )
        numbers = select(radacct.c.radacctid).where(*these).order_by(radacct.c.radacctid).limit(self._at_once)
        async with radius_transaction(self._radius_begin) as db:
            closed = await db.execute(
                update(radacct)
                .where(radacct.c.radacctid.in_(numbers), *these)
                .values(acctstoptime=last, acctterminatecause=REAPED)
            )
            return cast("CursorResult[Any]", closed).rowcount

    async def _note_closed(self, nas_address: str) -> None:
        """Nobody is to be told until the next look of sessions that stay open there."""
        here = radacct.c.acctstoptime.is_(None) & (radacct.c.nasipaddress == nas_address)
        left = select(func.count()).select_from(radacct).where(here).scalar_subquery()
        async with radius_transaction(self._radius_begin) as db:
            of_it = radius_nas_heard.c.nasipaddress == nas_address
            await db.execute(update(radius_nas_heard).where(of_it).values(open_sessions=left))
