"""What an import must know of the network, in a number of questions that grows with the file by the thousand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import everything_bound
from ipam.allocation.carving import excluded_because
from ipam.allocation.places import PLACE_COLUMNS, PLAN_COLUMNS, AnySelect, Place, Plan, place_from, with_place
from ipam.bulk import among, in_parts
from ipam.estate.cooling import Cooling, given_back_in
from ipam.estate.rows import EstateRows
from ipam.inventory.draft import Account, KnownNetwork
from ipam.inventory.lines import ImportLine
from ipam.inventory.pools import PoolIndex
from ipam.inventory.several import known_by_name
from ipam.tables import (
    AddressPlan,
    Allocation,
    AllocationEvent,
    Drain,
    Exclusion,
    Location,
    LocationAlias,
    Service,
    UtcDateTime,
    Vrf,
)
from ipam.units import UnitKey, intersect
from ipam.upkeep.pool_units import all_pools


@dataclass(frozen=True)
class UsedUnit:
    """A unit that has a row: who has it, had it, or what it is kept for."""

    row_id: int
    state: str
    subject: str
    available_at: datetime | None
    sticky_until: datetime | None
    note: str | None
    account: Account | None


@dataclass(frozen=True)
class Standing:
    """How the units of a file stand now. Spans of a pool are (first, last, why), in their order. ``rowless``
    are those in what is excluded or drained that were given back last, and cool off or have cooled off.
    ``last_story_at``: when something became of one last, but for its being reserved."""

    used: dict[UnitKey, UsedUnit]
    rowless: dict[UnitKey, Cooling]
    last_event_at: dict[UnitKey, datetime]
    last_story_at: dict[UnitKey, datetime]
    excluded: dict[int, list[tuple[int, int, str]]]
    drained: dict[int, list[tuple[int, int, str]]]


_ACCOUNT = (
    Service.service_id,
    Service.username,
    Service.state,
    Service.customer_id,
    Service.location_id,
    Service.plan_id,
)


async def known_network(db: AsyncSession, tenant_id: str, lines: Sequence[ImportLine]) -> KnownNetwork:
    """What a draft of these lines needs."""
    pools = await all_pools(db, tenant_id)
    index = PoolIndex(pools, await db.scalars(select(Vrf.name).where(Vrf.tenant_id == tenant_id)))
    return KnownNetwork(
        pools=index,
        places=await _places(db, tenant_id, _askable(line.location for line in lines)),
        plans=await _plans(db, tenant_id),
        bound=await everything_bound(db, tenant_id),
        accounts=await _accounts(db, tenant_id, _askable(line.username for line in lines)),
        vlan_pools={pool.pool_id: pool for pool in pools if pool.kind == "cvlan"},
        by_name=await known_by_name(db, index, lines),
    )


def _askable(names: Iterable[str]) -> set[str]:
    """Each once. PostgreSQL has no text with NUL (U+0000), and can't be asked for it: nobody is called so."""
    return {name for name in names if name and "\0" not in name}


async def _places(db: AsyncSession, tenant_id: str, names: Collection[str]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    aliases: AnySelect = select(*PLACE_COLUMNS, LocationAlias.alias).select_from(LocationAlias)
    statement = with_place(aliases.join(Location, Location.id == LocationAlias.location_id))
    for some in in_parts(list(names)):
        rows = await db.execute(
            statement.where(LocationAlias.tenant_id == tenant_id, among(db, LocationAlias.alias, some))
        )
        found |= {row.alias: place_from(row) for row in rows}
    return found


async def _plans(db: AsyncSession, tenant_id: str) -> dict[str, Plan]:
    rows = await db.execute(select(*PLAN_COLUMNS).where(AddressPlan.tenant_id == tenant_id))
    return {plan.name: plan for plan in (Plan(*row) for row in rows)}


async def _accounts(db: AsyncSession, tenant_id: str, usernames: Collection[str]) -> dict[str, Account]:
    found: dict[str, Account] = {}
    for some in in_parts(list(usernames)):
        rows = await db.execute(
            select(*_ACCOUNT).where(Service.tenant_id == tenant_id, among(db, Service.username, some))
        )
        found |= {row.username: Account(*row) for row in rows}
    return found


async def standing(rows: EstateRows, units: Collection[UnitKey]) -> Standing:
    """How these units stand."""
    db, by_pool = rows.db, numbers_by_pool(units)
    rowless: dict[UnitKey, Cooling] = {}
    last_event_at: dict[UnitKey, datetime] = {}
    last_story_at: dict[UnitKey, datetime] = {}
    used = await used_units(db, units)
    for pool_id, numbers in by_pool.items():
        for some in in_parts(sorted(numbers)):
            last_event_at |= await _last_events(db, pool_id, some)
            last_story_at |= await _last_events(db, pool_id, some, AllocationEvent.what != "reserved")
    excluded = await _spans(db, Exclusion, by_pool, lambda row: excluded_because(row.reason, row.note))
    drained = await _spans(db, Drain, by_pool, lambda row: row.note)
    for pool_id, numbers in by_pool.items():
        spans = [(first, last) for first, last, _ in (*excluded[pool_id], *drained[pool_id])]
        parts = intersect(spans, [(unit, unit) for unit in numbers])
        rowless |= {(pool_id, each.unit): each for each in await given_back_in(rows, pool_id, parts)}
    return Standing(used, rowless, last_event_at, last_story_at, excluded, drained)


async def used_units(db: AsyncSession, units: Iterable[UnitKey]) -> dict[UnitKey, UsedUnit]:
    """Those of them that have a row."""
    found: dict[UnitKey, UsedUnit] = {}
    for pool_id, numbers in numbers_by_pool(units).items():
        for some in in_parts(sorted(numbers)):
            found |= await _used(db, pool_id, some)
    return found


def numbers_by_pool(units: Iterable[UnitKey]) -> dict[int, list[int]]:
    """The units of each pool."""
    found: dict[int, list[int]] = defaultdict(list)
    for pool_id, unit in units:
        found[pool_id].append(unit)
    return found


async def _used(db: AsyncSession, pool_id: int, units: Sequence[int]) -> dict[UnitKey, UsedUnit]:
    statement: AnySelect = select(
        Allocation.unit,
        Allocation.id,
        Allocation.state,
        Allocation.subject,
        Allocation.available_at,
        Allocation.sticky_until,
        Allocation.note,
        *_ACCOUNT,
    )
    rows = await db.execute(
        statement.outerjoin(Service, Service.service_id == Allocation.service_id).where(
            Allocation.pool_id == pool_id, among(db, Allocation.unit, units)
        )
    )
    return {
        (pool_id, row.unit): UsedUnit(
            row_id=row.id,
            state=row.state,
            subject=row.subject,
            available_at=row.available_at,
            sticky_until=row.sticky_until,
            note=row.note,
            account=None if row.service_id is None else Account(*row[7:]),
        )
        for row in rows
    }


async def _last_events(
    db: AsyncSession, pool_id: int, units: Sequence[int], *which: ColumnElement[bool]
) -> dict[UnitKey, datetime]:
    rows = await db.execute(
        select(AllocationEvent.unit, func.max(AllocationEvent.at, type_=UtcDateTime))
        .where(AllocationEvent.pool_id == pool_id, among(db, AllocationEvent.unit, units), *which)
        .group_by(AllocationEvent.unit)
    )
    return {(pool_id, unit): at for unit, at in rows}


async def _spans(
    db: AsyncSession, model: Any, pools: Collection[int], why: Callable[[Any], str]
) -> dict[int, list[tuple[int, int, str]]]:
    """Of exclusions or drains."""
    found: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for some in in_parts(list(pools)):
        rows = await db.scalars(select(model).where(model.pool_id.in_(some)).order_by(model.first_unit))
        for row in rows:
            found[row.pool_id].append((row.first_unit, row.last_unit, why(row)))
    return found
