"""Takes a NAS that was removed away from FreeRADIUS, under every address that it had there.

Our own row of it is gone by then, which whoever writes a NAS looks for under the same lock: so one that read it before
does not bring it back. Dying before it is noted as done costs nothing: the next call finds nothing to take away.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin
from radius.projection.projection import digest, is_marked_as_anothers
from radius.projection.radius_database import (
    Wish,
    actual_rows,
    ledger_entries_of,
    ledger_entry,
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
        adopts=nas.adopted_address == nas.address,
    )


async def yet_to_take_away(db: AsyncSession, tenant_id: str) -> list[RemovedNas]:
    """Those that FreeRADIUS may still know."""
    left = select(RemovedNas).where(RemovedNas.tenant_id == tenant_id, RemovedNas.taken_away_at.is_(None))
    return list(await db.scalars(left.order_by(RemovedNas.id)))


async def take_away(begin: Begin, radius_begin: Begin, wish: Wish, *, now: datetime) -> bool:
    """Take its rows and what the ledger has of them away, and note that; also what others have written there, where it
    was adopted and not written since. True when there was any.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_begin) as db:
        await lock_source(db, wish)
        adopted = {wish.name} if wish.adopts else set[str]()
        for name in sorted(adopted | {entry.name for entry in await ledger_entries_of(db, wish)}):  # in one order
            await lock_name(db, "nas", name)
        # an address that another NAS has been given since is that one's, and not among these
        known = {entry.name for entry in await ledger_entries_of(db, wish)}
        known |= {name for name in adopted if await _is_nobodys(db, name, wish.tenant_id)}
        for address in sorted(known):
            await remove_name(db, "nas", address)
    async with begin() as db:
        mine = (RemovedNas.id == wish.source_id, RemovedNas.taken_away_at.is_(None))
        await db.execute(update(RemovedNas).where(*mine).values(taken_away_at=now))
    return bool(known)


async def is_left_by_others(radius_read: Begin, address: str) -> bool:
    """Whether FreeRADIUS goes on knowing a NAS there, by a row that nobody here has written.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_read) as db:
        return await ledger_entry(db, "nas", address) is None and bool(
            (await actual_rows(db, "nas", [address]))[address]
        )


async def _is_nobodys(db: AsyncSession, address: str, tenant_id: str) -> bool:
    """There are rows, and no ISP of this server has written them."""
    if await ledger_entry(db, "nas", address) is not None:
        return False
    rows = [dict(row.columns) for row in (await actual_rows(db, "nas", [address]))[address].values()]
    return bool(rows) and not any(is_marked_as_anothers(row["description"], tenant_id) for row in rows)
