"""Who need not be projected again: FreeRADIUS shows the present wish, row by row."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin
from radius.projection.freeradius_tables import radius_projection
from radius.projection.projection import digest
from radius.projection.radius_database import actual_rows, radius_transaction
from radius.tables import Subscriber

_AT_ONCE = 1000


async def shown_already(
    begin: Begin, radius_begin: Begin, *, tenant_id: str, subscriber_ids: Collection[int]
) -> set[int]:
    """Those of the subscribers whose rows are what was written for their present wish, under their name and no other.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    shown: set[int] = set()
    wanted = sorted(subscriber_ids)
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        async with begin() as db:
            noted = await _noted(db, tenant_id, some)
        async with radius_transaction(radius_begin) as db:
            written = await _written(db, tenant_id, sorted(noted))
            same = {number: noted[number] for number in noted if written.get(number) == [noted[number]]}
            found = await actual_rows(db, "subscriber", [name for name, _, _ in same.values()])
        shown |= {number for number, (name, _, mark) in same.items() if digest(found[name].values()) == mark}
    return shown


_Shown = tuple[str, int, str]
"""The name, the version of the wish, and the digest of its rows."""


async def _noted(db: AsyncSession, tenant_id: str, numbers: Sequence[int]) -> dict[int, _Shown]:
    """What we know to have written for those whose wish is the one of then."""
    mine = select(
        Subscriber.id, Subscriber.username, Subscriber.version, Subscriber.projected_digest, Subscriber.state
    ).where(Subscriber.tenant_id == tenant_id, Subscriber.id.in_(numbers))
    up_to_date = mine.where(Subscriber.projected_version == Subscriber.version)
    return {
        number: (name, version, mark)
        for number, name, version, mark, state in await db.execute(up_to_date)
        if mark is not None and state != "terminated"
    }


async def _written(db: AsyncSession, tenant_id: str, numbers: Sequence[int]) -> dict[int, list[_Shown]]:
    """What the ledger beside the rows says."""
    columns = radius_projection.c
    mine = select(columns.source_id, columns.name, columns.version, columns.digest).where(
        columns.kind == "subscriber", columns.tenant_id == tenant_id, columns.source_id.in_(numbers)
    )
    written: dict[int, list[_Shown]] = {}
    for number, *shown in await db.execute(mine):
        name, version, mark = shown
        written.setdefault(number, []).append((name, version, mark))
    return written
