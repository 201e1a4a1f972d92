"""Takes a NAS that was removed away from FreeRADIUS, under every address that it had there.

Our own row of it is gone by then, which whoever writes a NAS looks for under the same lock: so one that read it before
does not bring it back. Dying before it is noted as done costs nothing: the next call finds nothing to take away.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin
from radius.projection.projection import digest
from radius.projection.radius_database import (
    Wish,
    ledger_entries_of,
    lock_name,
    lock_source,
    radius_transaction,
    remove_name,
)
from radius.tables import RemovedNas


def wish_of_removed(nas: RemovedNas) -> Wish:
    """No row, and later than all that was wished of it."""
    return Wish(
        kind="nas",
        name=nas.address,
        tenant_id=nas.tenant_id,
        source_id=nas.id,
        version=nas.version,
        rows=(),
        digest=digest(()),
    )


async def yet_to_take_away(db: AsyncSession, tenant_id: str) -> list[RemovedNas]:
    """Those that FreeRADIUS may still know."""
    left = select(RemovedNas).where(RemovedNas.tenant_id == tenant_id, RemovedNas.taken_away_at.is_(None))
    return list(await db.scalars(left.order_by(RemovedNas.id)))


async def take_away(begin: Begin, radius_begin: Begin, wish: Wish, *, now: datetime) -> bool:
    """Take its rows and what the ledger has of them away, and note that. True when there was any.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_begin) as db:
        await lock_source(db, wish)
        for entry in await ledger_entries_of(db, wish):  # by name, as all do who lock several
            await lock_name(db, "nas", entry.name)
        # an address that another NAS has been given since is that one's, and not among these
        known = [entry.name for entry in await ledger_entries_of(db, wish)]
        for address in known:
            await remove_name(db, "nas", address)
    async with begin() as db:
        mine = (RemovedNas.id == wish.source_id, RemovedNas.taken_away_at.is_(None))
        await db.execute(update(RemovedNas).where(*mine).values(taken_away_at=now))
    return bool(known)
