"""Who is to be projected, and who need not be again: FreeRADIUS shows the present wish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from radius.lists import among
from radius.ports import Begin
from radius.projection.freeradius_tables import radius_projection
from radius.projection.projection import digest
from radius.projection.radius_database import actual_rows, radius_transaction
from radius.projection.wishes import Wishes
from radius.tables import Subscriber

NAMES_AT_ONCE = 400
_Shown = tuple[str, int, str]
"""The name, the version of the wish, and the digest of its rows."""


@dataclass(frozen=True)
class LookedAt:
    """So many names; those of them that are to be projected, and those of these of which rows are to change."""

    names: int
    unlike: frozenset[str]
    other_rows: frozenset[str]


async def looked_at(
    begin: Begin, radius_begin: Begin, wishes: Wishes, owners: Mapping[str, int]
) -> AsyncIterator[LookedAt]:
    """Names of subscribers, each with its owner's number, some hundred after the other: whose rows are not what is
    wanted, or are not noted as that. Of whom it can't be said what is wanted is among them.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    names = sorted(owners)
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = names[start : start + NAMES_AT_ONCE]
        async with begin() as db:
            wished, unknown = await wishes.of_subscribers(db, some)
        async with radius_transaction(radius_begin) as radius_db:
            actual = await actual_rows(radius_db, "subscriber", list(wished))
        other = {name for name, (wish, _) in wished.items() if digest(actual[name].values()) != wish.digest}
        numbers = [owners[name] for name in some]
        shown = await shown_already(
            begin, radius_begin, tenant_id=wishes.tenant_id, subscriber_ids=numbers, ended_too=True
        )
        unlike = other | {owner.username for owner, _ in unknown} | {name for name in some if owners[name] not in shown}
        yield LookedAt(len(some), frozenset(unlike), frozenset(other))


async def shown_already(
    begin: Begin, radius_begin: Begin, *, tenant_id: str, subscriber_ids: Collection[int], ended_too: bool = False
) -> set[int]:
    """Those of the subscribers whose present wish was written, under their name and no other: so we have noted, and so
    says the ledger, which is in one commit with the rows. What others do to the rows is for the search for drift.
    ``ended_too``: also those who were terminated.

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
            one.projected_version == one.version,
        )
        if not ended_too:
            mine = mine.where(one.state != "terminated")
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
