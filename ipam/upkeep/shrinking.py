"""Making a pool's prefix smaller, when what leaves it is empty and has cooled off.

What is left is asked what the description of a network is asked of a pool, so that the same prefix can be described
afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from ipam.addresses import Network, format_address, from_bytes, parse_network, to_bytes
from ipam.errors import Fault, RequestInvalid
from ipam.estate.cooling import cooling_in
from ipam.estate.exclusions import Excluded
from ipam.estate.layout import gateway_faults, threshold_faults
from ipam.estate.ranges import excluded_of, inside, rewrite_exclusions
from ipam.estate.rows import EstateRows
from ipam.estate.spec import HandedOut
from ipam.tables import Allocation, FormerPrefix, NatRule, Pool, Prefix
from ipam.unit_errors import PrefixNotEmpty
from ipam.units import Interval, count, subtract
from ipam.upkeep.draining import drain, in_quarantine, lift_drains
from ipam.upkeep.pool_units import KnownPool


@dataclass(frozen=True)
class Smaller:
    """The prefix that a pool is to shrink to: its units, and those that leave it."""

    network: Network
    span: int
    leaving: Interval
    last_is_broadcast: bool
    """Then it leaves, too."""


async def shrink(rows: EstateRows, pool: KnownPool, to: str, *, note: str, at: datetime) -> bool:
    """The prefix becomes a smaller one that starts where it starts; the rest is nobody's from now on. False: it is
    that one already.

    Raises:
        RequestInvalid: ``to`` isn't such a prefix, or the pool could not stand on it; with all that speaks against it.
        PrefixNotEmpty: something outside of it is in use, or hasn't cooled off yet.
        PoolBusy: somebody was at it for too long.
    """
    smaller = await checked_network(rows, pool, to)
    if smaller.span == pool.span:
        return False
    excluded = await _excluded_then(rows, pool, smaller)
    await drain(rows, pool, smaller.leaving, note=note, at=at)
    await _must_be_empty(rows, pool, smaller, at)
    await lift_drains(rows, pool, [smaller.leaving])
    assert pool.prefix_id is not None
    prefix = await rows.find(Prefix, id=pool.prefix_id)
    assert prefix is not None
    kept = ("vrf_id", "network", "first_address", "last_address")
    await rows.add(FormerPrefix, pool_id=pool.pool_id, until=at, note=note, **{name: prefix[name] for name in kept})
    network = smaller.network
    bounds = {"last_address": to_bytes(network.family, network.last), "length": network.length}
    await rows.db.execute(update(Prefix).where(Prefix.id == pool.prefix_id).values(network=str(network), **bounds))
    await rows.change(Pool, pool.pool_id, size=0, span=smaller.span)
    await rewrite_exclusions(rows, pool.pool_id, excluded)
    return True


async def checked_network(rows: EstateRows, pool: KnownPool, to: str) -> Smaller:
    """The prefix that a pool is to shrink to; what it is already has no fault.

    Raises:
        RequestInvalid: with all that speaks against it.
    """
    smaller = _smaller(pool, to)
    if smaller.span == pool.span:
        return smaller
    excluded = await _excluded_then(rows, pool, smaller)
    size = smaller.span - count([each.interval for each in excluded])
    row = await rows.find(Pool, id=pool.pool_id)
    assert row is not None
    limits = HandedOut(**{name: row[name] for name in HandedOut.model_fields})
    faults = [Fault("network", f"can't be {to}: {why}") for why in _faults(pool, smaller.network, limits, size)]
    if await rows.find(NatRule, pool_id=pool.pool_id, until=None):
        ruled = f"{pool.name} has a rule of port blocks for all of {pool.network}; end it first"
        faults.append(Fault("pool", ruled))
    if faults:
        (where, what), *others = faults
        raise RequestInvalid(where, what, *others)
    return smaller


def _faults(pool: KnownPool, network: Network, limits: HandedOut, size: int) -> Iterator[str]:
    if pool.gateway is not None:
        yield from gateway_faults(pool.kind, format_address(pool.gateway), network)
    if size:
        yield from threshold_faults(limits, size)
    else:
        yield f"nothing is left of {network} to hand out"


def _smaller(pool: KnownPool, to: str) -> Smaller:
    """
    Raises:
        RequestInvalid: it isn't a smaller prefix that starts where the pool starts.
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
    span = 1 << (pool.unit_length - network.length)
    last_is_broadcast = pool.kind == "ipv4" and network.length < 31
    return Smaller(network, span, (span - 1 if last_is_broadcast else span, pool.span - 1), last_is_broadcast)


async def _excluded_then(rows: EstateRows, pool: KnownPool, smaller: Smaller) -> list[Excluded]:
    """What of the smaller prefix is never handed out."""
    present = await excluded_of(rows, pool.pool_id)
    excluded = [
        Excluded(*part, each.reason, each.note)
        for each in present
        for part in subtract([each.interval], [smaller.leaving])
    ]
    if smaller.last_is_broadcast:
        last = smaller.span - 1
        note = next((each.note for each in present if each.first <= last <= each.last), None)
        excluded.append(Excluded(last, last, "broadcast address", note))
    return excluded


async def _must_be_empty(rows: EstateRows, pool: KnownPool, smaller: Smaller, at: datetime) -> None:
    leaving = smaller.leaving
    first, last = (pool.value(unit) for unit in leaving)
    kept = f" ({first} would be its broadcast address)" if smaller.last_is_broadcast else ""
    what = {"network": str(smaller.network), "leaving": f"{first} to {last}{kept}"}
    held = select(Allocation.unit).where(*inside(pool.pool_id, [leaving])).order_by(Allocation.unit)
    units = list(await rows.db.scalars(held))
    if units:
        raise PrefixNotEmpty(pool.name, **what, in_use=len(units), example=pool.value(units[0]))
    if resting := await cooling_in(rows, pool.pool_id, [leaving], at):
        last_cool = max(resting, key=lambda each: each.until)
        raise PrefixNotEmpty(pool.name, **what, in_use=len(resting), example=in_quarantine(pool, last_cool))
