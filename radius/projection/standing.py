"""Who need not be projected again: FreeRADIUS shows the present wish."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from radius.lists import among
from radius.ports import Begin
from radius.projection.freeradius_tables import radius_projection
from radius.projection.radius_database import radius_transaction
from radius.tables import Subscriber

_Shown = tuple[str, int, str]
"""The name, the version of the wish, and the digest of its rows."""


async def shown_already(
    begin: Begin, radius_begin: Begin, *, tenant_id: str, subscriber_ids: Collection[int]
) -> set[int]:
    """Those of the subscribers whose present wish was written, under their name and no other: so we have noted, and so
    says the ledger, which is in one commit with the rows. What others do to the rows is for the search for drift.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    if not subscriber_ids:
        return set()
    one = Subscriber
    async with begin() as db:
        mine = select(one.id, one.username, one.version, one.projected_digest).where(
            one.tenant_id == tenant_id,
            among(db, one.id, subscriber_ids),
            one.state != "terminated",
            one.projected_version == one.version,
        )
        noted = {number: (name, version, mark) for number, name, version, mark in await db.execute(mine)}
    columns = radius_projection.c
    written: dict[int, list[_Shown]] = {}
    async with radius_transaction(radius_begin) as db:
        theirs = select(columns.source_id, columns.name, columns.version, columns.digest).where(
            columns.kind == "subscriber", columns.tenant_id == tenant_id, among(db, columns.source_id, noted)
        )
        for number, name, version, mark in await db.execute(theirs):
            written.setdefault(number, []).append((name, version, mark))
    return {number for number, shown in noted.items() if written.get(number) == [shown]}
