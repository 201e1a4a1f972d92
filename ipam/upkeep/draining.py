"""Emptying a part of a pool without taking anything from anybody, and making its prefix smaller when it is empty.

Of what is drained nothing is free and nothing rests in quarantine, so no allocation can find it, and none needs to ask.
What is given back there cools off all the same (``ipam.estate.cooling``): until then its prefix is not made smaller,
and when the drain ends first, it is in quarantine.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update

from ipam.addresses import Network, format_address, from_bytes, parse_network, to_bytes
from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.errors import RequestInvalid
from ipam.estate.cooling import Cooling, cooling_in
from ipam.estate.ranges import (
    Excluded,
    cut_ranges,
    drained_of,
    drop_quarantined,
    excluded_of,
    inside,
    rewrite_exclusions,
    set_free,
)
from ipam.estate.rows import EstateRows
from ipam.tables import (
    IN_QUARANTINE,
    Allocation,
    Drain,
    FormerPrefix,
    Location,
    NatRule,
    Pool,
    Prefix,
    Service,
    table_of,
)
from ipam.unit_errors import PrefixNotEmpty
from ipam.units import Interval, intersect, subtract
from ipam.upkeep.answers import LeftBehind
from ipam.upkeep.pool_units import KnownPool

_DRAIN = table_of(Drain)


async def drain(rows: EstateRows, pool: KnownPool, interval: Interval, *, note: str, at: datetime) -> bool:
    """Nothing of it is handed out from now on; False: it was being drained already.

    Raises:
        PoolBusy: somebody was at it for too long.
    """
    await rows.be_alone()
    new = subtract([interval], await drained_of(rows, pool.pool_id))
    if not new:
        return False

    async def attempt(_: frozenset[str]) -> None:
        await rows.db.execute(insert(_DRAIN), [_drain_row(rows, pool, each, note, at) for each in new])
        await cut_ranges(rows, pool.pool_id, new)
        await drop_quarantined(rows, pool.pool_id, new)
        await _nobody_is_at_it(rows, pool, new)
        await _count_as_changed(rows, pool)

    await patiently(rows.db, attempt)
    return True


async def _nobody_is_at_it(rows: EstateRows, pool: KnownPool, new: list[Interval]) -> None:
    """What is there must be ours for a moment: who gives something back later on finds the drain.

    Raises:
        OthersWereQuicker: somebody has just taken a unit out of quarantine, or is about to put one in.
    """
    await _only_ours(rows, pool, new)
    resting = select(func.count()).select_from(Allocation).where(IN_QUARANTINE, *inside(pool.pool_id, new))
    if await rows.db.scalar(resting):
        raise OthersWereQuicker([pool.name])


async def _only_ours(rows: EstateRows, pool: KnownPool, parts: list[Interval]) -> Sequence[int]:
    """The units there that have a row, each locked.

    Raises:
        OthersWereQuicker: somebody is at one of them.
    """
    here = inside(pool.pool_id, parts)
    locked = (await rows.db.scalars(select(Allocation.unit).where(*here).with_for_update(skip_locked=True))).all()
    if len(locked) != await rows.db.scalar(select(func.count()).select_from(Allocation).where(*here)):
        raise OthersWereQuicker([pool.name])
    return locked


async def undrain(rows: EstateRows, pool: KnownPool, interval: Interval, *, at: datetime) -> bool:
    """What nobody holds may be handed out again, when it has cooled off; False: nothing of it was being drained.

    Raises:
        PoolBusy: somebody was at it for too long.
    """
    await rows.be_alone()
    freed = intersect([interval], await drained_of(rows, pool.pool_id))
    if not freed:
        return False

    async def attempt(_: frozenset[str]) -> None:
        await lift_drains(rows, pool, freed)
        await cut_ranges(rows, pool.pool_id, [])  # locked first, as by whoever takes something there
        used = await _only_ours(rows, pool, freed)
        excluded = [each.interval for each in await excluded_of(rows, pool.pool_id)]
        free = subtract(subtract(freed, excluded), [(unit, unit) for unit in used])
        await set_free(rows, pool.pool_id, free, pool.stripes, at)
        await _count_as_changed(rows, pool)

    await patiently(rows.db, attempt)
    return True


async def _count_as_changed(rows: EstateRows, pool: KnownPool) -> None:
    """Among which of the pool's free ranges to draw is kept with what serves a place (``serving_tables``): it is worked
    out anew, or all would begin at the same one."""
    await rows.change(Pool, pool.pool_id, size=Pool.size)


async def lift_drains(rows: EstateRows, pool: KnownPool, freed: list[Interval]) -> None:
    """These parts are no longer drained; nothing of them is handed out by that alone."""
    present = await rows.db.execute(select(_DRAIN).where(_DRAIN.c.pool_id == pool.pool_id))
    for each in present.all():
        whole = (each.first_unit, each.last_unit)
        left = subtract([whole], freed)
        if left == [whole]:
            continue
        await rows.db.execute(delete(_DRAIN).where(_DRAIN.c.id == each.id))
        if left:
            kept = [_drain_row(rows, pool, part, each.note, each.began_at) for part in left]
            await rows.db.execute(insert(_DRAIN), kept)


def _drain_row(rows: EstateRows, pool: KnownPool, part: Interval, note: str, at: datetime) -> dict[str, object]:
    return {
        "tenant_id": rows.tenant_id,
        "pool_id": pool.pool_id,
        "first_unit": part[0],
        "last_unit": part[1],
        "note": note,
        "began_at": at,
    }


async def left_in(rows: EstateRows, pool: KnownPool, at: datetime) -> list[LeftBehind]:
    """What is still held in the drained parts of the pool, what is reserved there, then what has to cool off."""
    drained = await drained_of(rows, pool.pool_id)
    if not drained:
        return []
    cooling = await cooling_in(rows, pool.pool_id, drained, at)
    return [*await held_in(rows, pool, drained), *(_cools(pool, each) for each in cooling)]


def _cools(pool: KnownPool, cooling: Cooling) -> LeftBehind:
    return LeftBehind(
        value=pool.value(cooling.unit),
        state="quarantine",
        note=None,
        available_at=cooling.until,
        service_id=None,
        customer_id=None,
        username=None,
        location=None,
    )


async def held_in(
    rows: EstateRows, pool: KnownPool, intervals: list[Interval], most: int | None = None
) -> list[LeftBehind]:
    """Who has something in these parts of the pool, what is reserved and what cools off there, by number."""
    found = await rows.db.execute(
        select(
            Allocation.unit,
            Allocation.state,
            Allocation.note,
            Allocation.available_at,
            Allocation.service_id,
            Service.customer_id,
            Service.username,
            Location.name,
        )
        .outerjoin(Service, Service.service_id == Allocation.service_id)
        .outerjoin(Location, Location.id == Service.location_id)
        .where(*inside(pool.pool_id, intervals))
        .order_by(Allocation.unit)
        .limit(most)
    )
    return [
        LeftBehind(
            value=pool.value(unit),
            state=state,
            note=note,
            available_at=available_at,
            service_id=service_id,
            customer_id=customer_id,
            username=username,
            location=location,
        )
        for unit, state, note, available_at, service_id, customer_id, username, location in found
    ]


async def shrink(rows: EstateRows, pool: KnownPool, to: str, *, note: str, at: datetime) -> bool:
    """The prefix becomes a smaller one that starts where it starts; the rest is nobody's from now on. False: it is
    that one already.

    Raises:
        RequestInvalid: ``to`` isn't such a prefix, or the gateway would lie outside of it.
        PrefixNotEmpty: something outside of it is in use, or hasn't cooled off yet.
        PoolBusy: somebody was at it for too long.
    """
    network, span = smaller_network(pool, to)
    if span == pool.span:
        return False
    if await rows.find(NatRule, pool_id=pool.pool_id, until=None):
        raise RequestInvalid("pool", f"{pool.name} has a rule of port blocks for all of {pool.network}; end it first")
    last_is_broadcast = pool.kind == "ipv4" and network.length < 31
    leaving = (span - 1 if last_is_broadcast else span, pool.span - 1)
    await drain(rows, pool, leaving, note=note, at=at)
    await _must_be_empty(rows, pool, str(network), leaving, at, last_is_broadcast=last_is_broadcast)
    await lift_drains(rows, pool, [leaving])
    excluded = [
        Excluded(*part, each.reason, each.note)
        for each in await excluded_of(rows, pool.pool_id)
        for part in subtract([each.interval], [leaving])
    ]
    if last_is_broadcast:
        excluded.append(Excluded(span - 1, span - 1, "broadcast address", None))
    assert pool.prefix_id is not None
    assert pool.base is not None
    prefix = await rows.find(Prefix, id=pool.prefix_id)
    assert prefix is not None
    kept = ("vrf_id", "network", "first_address", "last_address")
    await rows.add(FormerPrefix, pool_id=pool.pool_id, until=at, note=note, **{name: prefix[name] for name in kept})
    last = to_bytes(network.family, network.last)
    smaller = {"network": str(network), "last_address": last, "length": network.length}
    await rows.db.execute(update(Prefix).where(Prefix.id == pool.prefix_id).values(**smaller))
    await rows.change(Pool, pool.pool_id, size=0, span=span)
    await rewrite_exclusions(rows, pool.pool_id, excluded)
    return True


def smaller_network(pool: KnownPool, to: str) -> tuple[Network, int]:
    """The prefix that a pool is to shrink to, and how many units it has.

    Raises:
        RequestInvalid: it isn't a smaller one that starts where the pool starts, or the gateway would be outside.
    """
    if pool.base is None or pool.unit_length is None or pool.prefix_length is None:
        raise RequestInvalid("pool", f"{pool.name} stands on no prefix")
    try:
        network = parse_network(to)
    except ValueError as exc:
        raise RequestInvalid("network", str(exc)) from exc
    family, base = from_bytes(pool.base)
    if (network.family, network.first) != (family, base) or not pool.prefix_length <= network.length:
        raise RequestInvalid(
            "network",
            f"{network} is not a smaller prefix that starts where {pool.network} starts: what stays keeps its numbers",
        )
    if network.length > pool.unit_length:
        raise RequestInvalid("network", f"{network} is less than one /{pool.unit_length}")
    if pool.gateway is not None and not network.holds(*from_bytes(pool.gateway)):
        raise RequestInvalid("network", f"the gateway {format_address(pool.gateway)} would be outside of {network}")
    return network, 1 << (pool.unit_length - network.length)


async def _must_be_empty(
    rows: EstateRows, pool: KnownPool, to: str, leaving: Interval, at: datetime, *, last_is_broadcast: bool
) -> None:
    first, last = (pool.value(unit) for unit in leaving)
    kept = f" ({first} would be its broadcast address)" if last_is_broadcast else ""
    what = {"network": to, "leaving": f"{first} to {last}{kept}"}
    held = select(Allocation.unit).where(*inside(pool.pool_id, [leaving])).order_by(Allocation.unit)
    units = list(await rows.db.scalars(held))
    if units:
        raise PrefixNotEmpty(pool.name, **what, in_use=len(units), example=pool.value(units[0]))
    if resting := await cooling_in(rows, pool.pool_id, [leaving], at):
        last_cool = max(resting, key=lambda each: each.until)
        raise PrefixNotEmpty(pool.name, **what, in_use=len(resting), example=in_quarantine(pool, last_cool))


def in_quarantine(pool: KnownPool, cooling: Cooling) -> str:
    """What has to cool off, and until when."""
    return f"{pool.value(cooling.unit)} (in quarantine until {cooling.until:%Y-%m-%d %H:%M:%S} UTC)"
