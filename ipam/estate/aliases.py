"""What leads to a premise: its id, its aliases and its circuit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from ipam.bulk import AT_ONCE
from ipam.errors import AliasTaken
from ipam.estate.rows import EstateRows
from ipam.estate.spec import LocationSpec
from ipam.tables import Location, LocationAlias, table_of

_ALIAS = table_of(LocationAlias)


async def give_up(rows: EstateRows, places: Sequence[LocationSpec]) -> set[str]:
    """Whatever leads to one of these premises, and isn't said to, leads there no more. It comes before anything is made
    to lead to another one, since they may change places. Returned are the ids of those that have lost something."""
    if places:
        await rows.be_alone()  # whoever changes what leads where is, so that this is true still when it is deleted
    wanted = {place.id: place.found_by for place in places}
    lost: dict[str, list[str]] = defaultdict(list)
    names = list(wanted)
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        found = await rows.db.execute(
            select(Location.name, LocationAlias.alias)
            .join(Location, Location.id == LocationAlias.location_id)
            .where(Location.tenant_id == rows.tenant_id, Location.name.in_(some))
        )
        for name, alias in found:
            if alias not in wanted[name]:
                lost[name].append(alias)
    gone = [alias for aliases in lost.values() for alias in aliases]
    for start in range(0, len(gone), AT_ONCE):
        some = gone[start : start + AT_ONCE]
        await rows.db.execute(delete(_ALIAS).where(_ALIAS.c.tenant_id == rows.tenant_id, _ALIAS.c.alias.in_(some)))
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
