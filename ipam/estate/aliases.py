"""What leads to a premise: its id, its aliases and its circuit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts
from ipam.errors import AliasTaken
from ipam.estate.rows import EstateRows
from ipam.estate.spec import LocationSpec
from ipam.tables import Location, LocationAlias, table_of

_ALIAS = table_of(LocationAlias)
LEADING: AnySelect = select(Location.name, LocationAlias.alias).join(
    LocationAlias, LocationAlias.location_id == Location.id
)
"""Ids of premises, each with everything that leads to it."""


async def give_up(rows: EstateRows, places: Sequence[LocationSpec]) -> set[str]:
    """Whatever leads to one of these premises, and isn't said to, leads there no more. It comes before anything is made
    to lead to another one, since they may change places. Returned are the ids of those that have lost something."""
    if places:
        await rows.be_alone()  # whoever changes what leads where is, so that this is true still when it is deleted
    wanted = {place.id: place.found_by for place in places}
    lost: dict[str, list[str]] = defaultdict(list)
    for name, alias in await rows.named(Location, LEADING, wanted):
        if alias not in wanted[name]:
            lost[name].append(alias)
    for some in in_parts([alias for aliases in lost.values() for alias in aliases]):
        these = (_ALIAS.c.tenant_id == rows.tenant_id, among(rows.db, _ALIAS.c.alias, some))
        await rows.db.execute(delete(_ALIAS).where(*these))
    return set(lost)


async def take(rows: EstateRows, place: LocationSpec, location_id: int) -> bool:
    """All that shall lead to the premise does; False: it did so already.

    Raises:
        AliasTaken: something leads to another one, whose it stays.
    """
    found = await rows.db.execute(
        select(LocationAlias.alias, LocationAlias.location_id, Location.name)
        .join(Location, Location.id == LocationAlias.location_id)
        .where(LocationAlias.tenant_id == rows.tenant_id, LocationAlias.alias.in_(place.found_by))
        .order_by(LocationAlias.alias)
    )
    present: set[str] = set()
    for alias, holder_id, holder in found:
        if holder_id != location_id:
            raise AliasTaken(alias, location=place.id, held_by=holder)
        present.add(alias)
    if missing := sorted(place.found_by - present):
        new = [{"tenant_id": rows.tenant_id, "alias": each, "location_id": location_id} for each in missing]
        await rows.db.execute(insert(_ALIAS), new)
    return bool(missing)
