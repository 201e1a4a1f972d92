"""What one address or prefix is: in which pool and state, who has it, what has become of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from sqlalchemy import and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import Network, spelt, to_bytes
from ipam.allocation.carving import Unit, why_not
from ipam.errors import NameUnknown, RequestInvalid
from ipam.estate.cooling import cooling_in
from ipam.estate.ranges import inside
from ipam.estate.rows import EstateRows
from ipam.lookup import history
from ipam.lookup.answers import AddressFacts, PoolWithin, UnitState
from ipam.lookup.asked import looked_for
from ipam.moments import at_second
from ipam.tables import IN_THE_NETWORK, Allocation, FormerPrefix, NatBlock, NatRule, Pool, Prefix, Vrf
from ipam.unit_errors import UnitCooling, UnitDraining, UnitExcluded, UnitLost, UnitReserved, UnitTaken
from ipam.units import Interval
from ipam.upkeep import drained_units, draining
from ipam.upkeep.pool_units import KnownPool, find_pool

MOST_WITHIN = 256
"""Of what is held in a prefix, so much is listed."""


async def facts_of(db: AsyncSession, tenant_id: str, text: str, *, at: datetime, vrf: str | None) -> AddressFacts:
    """
    Raises:
        RequestInvalid: no address and no prefix, or one that several VRFs have and ``vrf`` doesn't say which.
        NameUnknown: there is no such VRF.
    """
    asked = await history.checked(db, tenant_id, text, vrf)
    found = await _around(db, tenant_id, asked, vrf)
    if len(found) > 1:
        raise RequestInvalid("address", f"{spelt(asked)} exists in the VRFs {', '.join(found)}: say which one")
    around = next(iter(found.values()), None)
    if around is None:
        return await _unpooled(db, tenant_id, asked, vrf, {})
    known = {"role": around.role, "network": around.network, "vrf": around.vrf}
    if around.pool is None:
        return await _unpooled(db, tenant_id, asked, around.vrf, known)
    known |= {"pool": around.pool, "kind": around.kind}
    if around.framed_pool is not None:
        return _facts(asked, "by the BNG", note=f"it knows the pool as {around.framed_pool}", **known)
    pool = await find_pool(db, tenant_id, around.pool)
    units = pool.interval(spelt(asked))
    if units[0] != units[1]:
        return await _several(db, asked, pool, units, at, known)
    known["cgnat_logged"] = await _is_logged(db, tenant_id, asked, vrf)
    return await _of_unit(db, pool, units, at, known)


async def vrfs_of(db: AsyncSession, tenant_id: str, text: str) -> list[str]:
    """The VRFs that have this address or prefix, of which ``facts_of`` tells each; none: it lies nowhere.

    Raises:
        RequestInvalid: no address and no prefix.
    """
    return list(await _around(db, tenant_id, await history.checked(db, tenant_id, text, None), None))


async def _several(
    db: AsyncSession, asked: Network, pool: KnownPool, units: Interval, at: datetime, known: dict[str, Any]
) -> AddressFacts:
    rows = EstateRows(db, pool.tenant_id)
    within = await draining.held_in(rows, pool, [units], MOST_WITHIN, at=at)
    total = len(within)
    if total == MOST_WITHIN:
        held = (*inside(pool.pool_id, [units]), draining.not_rested(at))
        total = await db.scalar(select(func.count()).where(*held)) or 0
    rowless = await draining.rowless_in(rows, pool, [units], at)  # in what is drained or excluded of it
    within += rowless[: MOST_WITHIN - len(within)]
    return _facts(asked, "several", within=within, within_total=total + len(rowless), **known)


async def _unpooled(
    db: AsyncSession, tenant_id: str, asked: Network, vrf: str | None, known: dict[str, Any]
) -> AddressFacts:
    """What no pool has as a whole, with the pools that lie in it, and whose the CGNAT has behind it."""
    first, last = (to_bytes(asked.family, bound) for bound in (asked.first, asked.last))
    in_vrf = [Vrf.name == vrf] if vrf else []
    pools = await db.execute(
        select(Pool.name, Pool.kind, Prefix.network, Vrf.name.label("vrf"))
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .where(Prefix.tenant_id == tenant_id, Prefix.family == asked.family, IN_THE_NETWORK, *in_vrf)
        .where(Prefix.first_address >= first, Prefix.last_address <= last)
        .order_by(Vrf.name, Prefix.first_address)
    )
    rule = (
        select(NatRule.name)
        .join(Prefix, Prefix.id == NatRule.prefix_id)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .where(NatRule.tenant_id == tenant_id, NatRule.until.is_(None), *in_vrf)
        .where(NatRule.first_outside <= first, NatRule.last_outside >= last)
    )
    return _facts(
        asked,
        "unpooled",
        note=await _was_of(db, tenant_id, first, last, vrf),
        pools=[PoolWithin(pool=row.name, kind=row.kind, network=row.network, vrf=row.vrf) for row in pools],
        cgnat_of=await db.scalar(rule),
        cgnat_logged=await _is_logged(db, tenant_id, asked, vrf),
        history=await history.events_ever(db, tenant_id, asked, vrf),
        **known,
    )


async def _was_of(db: AsyncSession, tenant_id: str, first: bytes, last: bytes, vrf: str | None) -> str | None:
    """Which pool had it last, until when, and why it hasn't any more; None: none ever had all of it."""
    former = (
        select(Pool.name, FormerPrefix.until, FormerPrefix.note)
        .join(Pool, Pool.id == FormerPrefix.pool_id)
        .join(Vrf, Vrf.id == FormerPrefix.vrf_id)
        .where(FormerPrefix.tenant_id == tenant_id, *([Vrf.name == vrf] if vrf else []))
        .where(FormerPrefix.first_address <= first, FormerPrefix.last_address >= last)
        .order_by(FormerPrefix.until.desc(), FormerPrefix.id.desc())
        .limit(1)
    )
    found = (await db.execute(former)).first()
    return None if found is None else f"pool {found.name} had it until {at_second(found.until)} ({found.note})"


async def _is_logged(db: AsyncSession, tenant_id: str, asked: Network, vrf: str | None) -> bool:
    """Whether the log of a CGNAT has had this address outside, of subscribers in that VRF; a prefix is none."""
    if asked.length < asked.bits:
        return False
    outside = to_bytes(asked.family, asked.first)
    in_vrf = [NatBlock.vrf_id.in_(select(Vrf.id).where(Vrf.tenant_id == tenant_id, Vrf.name == vrf))] if vrf else []
    logged = exists().where(NatBlock.tenant_id == tenant_id, NatBlock.outside == outside, *in_vrf)
    return bool(await db.scalar(select(logged)))


async def _around(db: AsyncSession, tenant_id: str, asked: Network, vrf: str | None) -> dict[str, Any]:
    """By VRF the prefix around it of which something is handed out, with the pool on it; where no VRF has one, the
    smallest container of each, such as what a rule of port blocks had that has ended. Empty: it lies nowhere."""
    first, last = (to_bytes(asked.family, bound) for bound in (asked.first, asked.last))
    rows = await db.execute(
        select(
            Vrf.name.label("vrf"),
            Prefix.network,
            Prefix.role,
            Pool.name.label("pool"),
            Pool.kind,
            Pool.framed_pool,
        )
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .outerjoin(Pool, and_(Pool.prefix_id == Prefix.id, IN_THE_NETWORK))
        .where(Prefix.tenant_id == tenant_id, Prefix.first_address <= first, Prefix.last_address >= last)
        .order_by(Vrf.name, Prefix.role != "container", Prefix.length, Pool.id.is_not(None))
    )
    smallest = {row.vrf: row for row in rows if vrf in (None, row.vrf)}
    pooled = {name: row for name, row in smallest.items() if row.pool is not None}
    return pooled or smallest


async def _of_unit(
    db: AsyncSession, pool: KnownPool, units: Interval, at: datetime, known: dict[str, Any]
) -> AddressFacts:
    numbered = pool.numbered(units[0])
    state, note, until = await _state(db, pool, units[0], at)
    drained, since = await drained_units.drained_since(db, pool.pool_id, units) or (None, None)
    facts = _facts(None, state, note=note, drained=drained, drained_since=since, available_at=until, **known)
    facts["value"] = numbered.value
    facts["history"] = await history.events_ever(db, pool.tenant_id, looked_for(numbered.value), known["vrf"])
    if state == "assigned":
        facts["holder"] = await history.holder_at(db, numbered, at)
    return facts


async def state_of(db: AsyncSession, tenant_id: str, pool: str, value: str, *, at: datetime) -> UnitState:
    """What a pool handed out once, as it stands now."""
    stands = UnitState(pool=pool, value=value, state="gone", service_id=None, available_at=None)
    try:
        known = await find_pool(db, tenant_id, pool)
        unit = known.unit(value).unit
    except (NameUnknown, RequestInvalid):  # the pool was retired, or its prefix has shrunk
        return stands
    stands["state"], _, stands["available_at"] = await _state(db, known, unit, at)
    if stands["state"] == "assigned":
        holder = select(Allocation.service_id).where(Allocation.pool_id == known.pool_id, Allocation.unit == unit)
        stands["service_id"] = await db.scalar(holder)
    return stands


async def _state(db: AsyncSession, pool: KnownPool, unit: int, at: datetime) -> tuple[str, str | None, datetime | None]:
    """(state, why, until when)."""
    try:
        await why_not(db, Unit(pool.tenant_id, pool.pool_id, unit, pool.name, pool.value(unit)), subject=None, at=at)
    except UnitTaken:
        return "assigned", None, None
    except UnitReserved as kept:
        return "reserved", kept.note, None
    except UnitCooling as cooling:
        return "cooling", None, cooling.available_at
    except UnitExcluded as out:
        return "excluded", out.reason, await _cool_from(db, pool, unit, at)
    except UnitDraining as drained:
        return "draining", drained.note, await _cool_from(db, pool, unit, at)
    except UnitLost:
        return "lost", "nobody has it, and yet it isn't free: see `firstlight check` (ipam.partition)", None
    return "free", None, None


async def _cool_from(db: AsyncSession, pool: KnownPool, unit: int, at: datetime) -> datetime | None:
    """When something will have cooled off that has no row; None: it has."""
    cooling = await cooling_in(EstateRows(db, pool.tenant_id), pool.pool_id, [(unit, unit)], at)
    return cooling[0].until if cooling else None


def _facts(asked: Network | None, state: str, **known: Any) -> AddressFacts:
    facts = AddressFacts(
        value="" if asked is None else spelt(asked),
        state=state,
        pool=None,
        kind=None,
        role=None,
        network=None,
        vrf=None,
        note=None,
        drained=None,
        drained_since=None,
        available_at=None,
        holder=None,
        outside=[],
        cgnat_of=None,
        cgnat_logged=False,
        within=[],
        within_total=0,
        pools=[],
        history=[],
    )
    facts.update(cast(AddressFacts, known))
    return facts
