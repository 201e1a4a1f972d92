"""A NAS that is no longer there: our row and its secret go at once; what FreeRADIUS knows of it is taken away after
that (``radius.projection.taking_away``), and is noted until then.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from radius.nas.telling import refuse_lost_lines
from radius.ports import Secrets
from radius.tables import Nas, RemovedNas


async def remove(db: AsyncSession, nas: Nas, *, secrets: Secrets, now: datetime) -> None:
    """Remove a NAS that is held (``hold_nas``). Its name and its address are free with the caller's commit.

    Raises:
        NasLinesInUse: no NAS would tell of the lines by which subscribers log in.
    """
    told_before = [nas.name] if nas.lines else []
    tenant_id = nas.tenant_id
    await secrets.discard(db, nas.secret_ref)
    db.add(
        RemovedNas(
            id=nas.id,
            tenant_id=nas.tenant_id,
            name=nas.name,
            address=nas.address,
            adopted_address=nas.adopted_address,
            version=nas.version + 1,
            removed_at=now,
        )
    )
    await db.execute(delete(Nas).where(Nas.id == nas.id))
    await db.flush()  # later reads in this transaction must see it: autoflush is off
    await refuse_lost_lines(db, tenant_id, told_before)
