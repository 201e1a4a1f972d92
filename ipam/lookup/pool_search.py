"""Pools by the beginning of their name, however it is written."""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from ipam.tables import IN_THE_NETWORK, Pool


class NamedPool(TypedDict):
    """A pool: how many units it may give out; ``framed_pool``: what the BNG that gives them out calls it."""

    pool: str
    kind: str
    size: int
    framed_pool: str | None


class PoolSearch:
    """Finds pools of one tenant. Reads only."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def named(self, beginning: str, *, limit: int) -> list[NamedPool]:
        """Those whose name begins so and that were not retired, in the order of their names. A tenant's pools are read
        along their index, all of them: they are few."""
        begins = func.substr(Pool.name, 1, len(beginning))
        query = (
            select(Pool.name, Pool.kind, Pool.size, Pool.framed_pool)
            .where(Pool.tenant_id == self._tenant_id, IN_THE_NETWORK)
            # SQLite knows the small letters of ASCII alone
            .where(or_(func.lower(begins) == beginning.lower(), begins == beginning))
            .order_by(Pool.name)
            .limit(limit)
        )
        return [
            NamedPool(pool=row.name, kind=row.kind, size=row.size, framed_pool=row.framed_pool)
            for row in await self._db.execute(query)
        ]
