"""What must always be true of addresses and VLANs. Each function only reads and returns the violations it found.

``leaked`` needs to be told which services are alive, since only the caller knows the runs and subscribers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, exists, func, literal, null, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import parse_network, to_bytes
from ipam.answers import value_of
from ipam.commands import command_to_move
from ipam.estate.layout import VLAN_SPAN
from ipam.holdings import live_lines
from ipam.kinds import ONE_IN_WORDS, ROUTED, wanted
from ipam.tables import (
    ASSIGNED,
    IN_A_DRAIN,
    IN_QUARANTINE,
    IN_THE_NETWORK,
    Allocation,
    Drain,
    Exclusion,
    FreeRange,
    Pool,
    Prefix,
    Service,
    Svlan,
    VlanGroup,
    Vrf,
)
from ipam.upkeep.drained_units import nobodys_by_pool

SEE = "what to do: docs/invariants.md"
"""Where no one command mends it."""


@dataclass(frozen=True)
class Violation:
    """One thing that must not be: what it is about, and what is wrong with it."""

    subject: str
    what: str
    service_id: int | None = None

    def __str__(self) -> str:
        return f"{self.subject}: {self.what}"

    @property
    def sentence(self) -> str:
        """One plain sentence for an operator."""
        return f"{self.subject[0].upper()}{self.subject[1:]} {self.what}."


async def given_twice(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """No address, prefix, C-VLAN or S-VLAN number belongs to two at once, and no service holds two of a kind (but of
    routed prefixes)."""
    units = (
        select(Pool.name, Prefix.first_address, Pool.unit_length, Allocation.unit)
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(Allocation.tenant_id == tenant_id)
        .group_by(Pool.name, Prefix.first_address, Pool.unit_length, Allocation.unit)
        .having(func.count() > 1)
    )
    kinds = (
        select(Allocation.service_id, Pool.kind, func.count())
        .join(Pool, Pool.id == Allocation.pool_id)
        .where(Allocation.tenant_id == tenant_id, ASSIGNED, Pool.kind.not_in(ROUTED))
        .group_by(Allocation.service_id, Pool.kind)
        .having(func.count() > 1)
    )
    svlans = (
        select(VlanGroup.name, Svlan.vid, func.count())
        .join(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(Svlan.tenant_id == tenant_id)
        .group_by(VlanGroup.name, Svlan.vid)
        .having(func.count() > 1)
    )
    found: list[tuple[str, str, int | None]] = []
    for pool, base, unit_length, unit in await db.execute(units):
        found.append((f"{value_of(base, unit_length, unit)} of pool {pool}", "is given twice", None))
    for service_id, kind, times in await db.execute(kinds):
        found.append((f"service {service_id}", f"holds {times} of kind {kind}", service_id))
    for group, vid, times in await db.execute(svlans):
        found.append((f"S-VLAN {group}/{vid}", f"exists {times} times", None))
    mine = select(func.min(Pool.name), func.max(Pool.name)).where(Pool.tenant_id == tenant_id)
    for column in (Pool.prefix_id, Pool.svlan_id):
        twins = mine.where(column.is_not(None), IN_THE_NETWORK).group_by(column).having(func.count() > 1)
        for one, other in await db.execute(twins):
            found.append((f"pools {one} and {other}", "hand out the same units", None))
    return [Violation(*each) for each in found]


async def overlapping(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """Assignable prefixes of one VRF don't overlap."""
    statement = (
        select(Vrf.name, Prefix.network, Prefix.first_address, Prefix.last_address)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .where(Prefix.tenant_id == tenant_id, Prefix.role != "container")
        .order_by(Prefix.vrf_id, Prefix.first_address, Prefix.last_address.desc())
    )
    found: list[Violation] = []
    widest: tuple[str, str, bytes] | None = None
    for vrf, network, first, last in await db.execute(statement):
        if widest and widest[0] == vrf and first <= widest[2]:
            found.append(Violation(f"prefix {network}", f"overlaps {widest[1]} in VRF {vrf}"))
        if not widest or widest[0] != vrf or last > widest[2]:
            widest = (vrf, network, last)
    return found


async def not_as_written(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """A prefix has the addresses that its text says, and a pool the units of what it stands on: else units of two pools
    may be the same addresses, which no rule about units sees."""
    prefixes = select(Prefix.network, Prefix.family, Prefix.length, Prefix.first_address, Prefix.last_address)
    found: list[Violation] = []
    for network, *kept in await db.execute(prefixes.where(Prefix.tenant_id == tenant_id).order_by(Prefix.network)):
        said = parse_network(network)
        bounds = (to_bytes(said.family, bound) for bound in (said.first, said.last))
        if [said.family, said.length, *bounds] != kept:
            found.append(Violation(f"prefix {network}", "has other addresses in its row than its text says"))
    pools = (
        select(Pool.name, Pool.span, Pool.unit_length, Prefix.network)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(Pool.tenant_id == tenant_id)
        .order_by(Pool.name)
    )
    for pool, span, unit_length, network in await db.execute(pools):
        units = VLAN_SPAN
        if network is not None and unit_length is not None:
            units = 1 << max(unit_length - parse_network(network).length, 0)
        if span != units:
            stands_on = network or "an S-VLAN"
            found.append(Violation(f"pool {pool}", f"spans {span} units, but {stands_on} has {units} of them"))
    return found


async def held_after_release(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """A released service holds nothing."""
    statement = (
        select(Allocation.service_id, Pool.name, Prefix.first_address, Pool.unit_length, Allocation.unit)
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Service, Service.service_id == Allocation.service_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(Allocation.tenant_id == tenant_id, ASSIGNED, Service.state == "released")
        .order_by(Allocation.service_id, Pool.name)
    )
    return [
        Violation(
            f"service {service_id}",
            f"is released but still holds {value_of(base, unit_length, unit)} of pool {pool}; {SEE}",
            service_id,
        )
        for service_id, pool, base, unit_length, unit in await db.execute(statement)
    ]


async def leaked(db: AsyncSession, *, tenant_id: str, live_service_ids: Collection[int]) -> list[Violation]:
    """Only services that somebody still wants hold anything."""
    live = frozenset(live_service_ids)
    statement = select(Service.service_id, Service.customer_id, Service.username, Service.request_id).where(
        Service.tenant_id == tenant_id, Service.state == "active"
    )
    return [
        Violation(
            f"service {service_id}",
            f"of customer {customer_id} ({username}, request {request_id or 'without id'}) holds its addresses, but no"
            f" run and no subscriber wants it; release it: `firstlight addresses release {service_id} --reason WHY`",
            service_id,
        )
        for service_id, customer_id, username, request_id in await db.execute(statement.order_by(Service.service_id))
        if service_id not in live
    ]


async def incomplete(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """An active service holds all that its plan needs at its place."""
    held: dict[int, set[str]] = defaultdict(set)
    kinds = select(Allocation.service_id, Pool.kind).join(Pool, Pool.id == Allocation.pool_id)
    for service_id, kind in await db.execute(kinds.where(Allocation.tenant_id == tenant_id, ASSIGNED)):
        held[service_id or 0].add(kind)
    found: list[Violation] = []
    for line in await live_lines(db, tenant_id):
        named = {"svlan"} if line.svlan_vid is not None else set()
        named |= {"framed_pool"} if line.framed_pool is not None else set()
        for kind in wanted(line.plan, line.place):
            if kind not in held[line.service_id] | named:
                gives = command_to_move(line.service_id, line.place.location)
                what = (
                    f"is active on plan {line.plan.name} without {ONE_IN_WORDS[kind]}; `{gives}` gives it what it lacks"
                )
                found.append(Violation(f"service {line.service_id}", what, line.service_id))
    return found


async def badly_partitioned(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """Free ranges, exclusions and used units of a pool are disjoint, and together they are the whole pool."""
    free = await _by_pool(db, tenant_id, FreeRange, func.sum(FreeRange.last_unit - FreeRange.next_unit + 1))
    out = await _by_pool(db, tenant_id, Exclusion, func.sum(Exclusion.last_unit - Exclusion.first_unit + 1))
    used = await _by_pool(db, tenant_id, Allocation, func.count())
    drained = await nobodys_by_pool(db, tenant_id)
    clashes = {words: await _clashing(db, tenant_id, *which) for words, which in _CLASHES.items()}
    clashes |= await _ranges_that_clash(db, tenant_id)
    found: list[Violation] = []
    pools = await db.execute(
        select(Pool.id, Pool.name, Pool.span, Pool.size, Prefix.first_address, Pool.unit_length)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(Pool.tenant_id == tenant_id, Pool.framed_pool.is_(None))
        .order_by(Pool.name)
    )
    for pool_id, name, span, size, base, unit_length in pools:
        clashing = ((words, *counts[pool_id]) for words, counts in clashes.items() if pool_id in counts)
        faults = [
            f"has {number} {words} (first {value_of(base, unit_length, unit) if unit < span else f'unit {unit}'})"
            for words, number, unit in clashing
        ]
        never, once, excluded = free.get(pool_id, 0), used.get(pool_id, 0), out.get(pool_id, 0)
        if never + once + (nobodys := drained.get(pool_id, 0)) != size:
            emptied = f" and {nobodys} drained" if nobodys else ""
            faults.append(f"has {never} never used and {once} used{emptied} units, but should have {size} in all")
        if size + excluded != span:
            faults.append(f"has {size} usable and {excluded} excluded units, but spans {span}")
        found.extend(Violation(f"pool {name}", f"{fault}; {SEE}") for fault in faults)
    return found


async def _by_pool(
    db: AsyncSession,
    tenant_id: str,
    counted: type[FreeRange | Exclusion | Allocation],
    total: ColumnElement[int],
    *which: ColumnElement[bool],
) -> dict[int, int]:
    statement = select(counted.pool_id, total).where(counted.tenant_id == tenant_id, *which)
    return {pool_id: int(number) for pool_id, number in await db.execute(statement.group_by(counted.pool_id))}


async def _clashing(
    db: AsyncSession, tenant_id: str, counted: type[FreeRange | Allocation], clash: ColumnElement[bool]
) -> dict[int, tuple[int, int]]:
    """By pool, how many there are and the first unit."""
    first = FreeRange.next_unit if counted is FreeRange else Allocation.unit
    statement = select(counted.pool_id, func.count(), func.min(first)).where(counted.tenant_id == tenant_id, clash)
    return {pool_id: (number, unit) for pool_id, number, unit in await db.execute(statement.group_by(counted.pool_id))}


async def _ranges_that_clash(db: AsyncSession, tenant_id: str) -> dict[str, dict[int, tuple[int, int]]]:
    """By words and pool, with the first unit: used units in free ranges, and ranges that overlap others. A pool may
    have as many ranges as units, so both are looked through in their order once."""
    nothing = cast(null(), BigInteger).label("last")
    of_used = (Allocation.pool_id, Allocation.unit.label("first"), nothing, literal(1).label("is_used"))
    of_free = (FreeRange.pool_id, FreeRange.next_unit, FreeRange.last_unit, literal(0), FreeRange.seq)
    both = union_all(
        select(*of_used, literal(0).label("seq")).where(Allocation.tenant_id == tenant_id),
        select(*of_free).where(FreeRange.tenant_id == tenant_id),
    ).subquery()
    forwards = (both.c.first, both.c.is_used, both.c.seq)
    others: dict[str, Any] = {"partition_by": both.c.pool_id, "rows": (None, -1)}
    before = func.max(both.c.last, type_=BigInteger).over(order_by=forwards, **others)
    of_ranges = case((both.c.is_used == 0, both.c.first))
    # Backwards: a frame that shrinks from its front would be counted anew for each row.
    after = func.min(of_ranges, type_=BigInteger).over(order_by=[each.desc() for each in forwards], **others)
    seen = select(both, before.label("before"), after.label("after")).subquery()
    clash = or_(seen.c.before >= seen.c.first, and_(seen.c.is_used == 0, seen.c.after <= seen.c.last))
    counted = await db.execute(
        select(seen.c.is_used, seen.c.pool_id, func.count(), func.min(seen.c.first))
        .where(clash)
        .group_by(seen.c.is_used, seen.c.pool_id)
    )
    words = ("free range(s) that overlap another one", "used unit(s) that also lie in a free range")
    found: dict[str, dict[int, tuple[int, int]]] = {each: {} for each in words}
    for is_used, pool_id, number, unit in counted:
        found[words[is_used]][pool_id] = number, unit
    return found


_SPAN = select(Pool.span).where(Pool.id == Allocation.pool_id).correlate(Allocation).scalar_subquery()
_RANGE_SPAN = select(Pool.span).where(Pool.id == FreeRange.pool_id).correlate(FreeRange).scalar_subquery()
_CLASHES: Mapping[str, tuple[type[FreeRange | Allocation], ColumnElement[bool]]] = {
    "used unit(s) that are excluded from being handed out": (
        Allocation,
        exists().where(
            Exclusion.pool_id == Allocation.pool_id,
            Allocation.unit.between(Exclusion.first_unit, Exclusion.last_unit),
        ),
    ),
    "unit(s) in quarantine in what is being drained": (
        Allocation,
        IN_QUARANTINE & exists().where(IN_A_DRAIN),
    ),
    "free range(s) that reach into what is being drained": (
        FreeRange,
        exists().where(
            Drain.pool_id == FreeRange.pool_id,
            Drain.first_unit <= FreeRange.last_unit,
            Drain.last_unit >= FreeRange.next_unit,
        ),
    ),
    "used unit(s) outside of its bounds": (Allocation, Allocation.unit >= _SPAN),
    "free range(s) that reach outside of its bounds": (FreeRange, FreeRange.last_unit >= _RANGE_SPAN),
    "free range(s) that reach into what is excluded": (
        FreeRange,
        exists().where(
            Exclusion.pool_id == FreeRange.pool_id,
            Exclusion.first_unit <= FreeRange.last_unit,
            Exclusion.last_unit >= FreeRange.next_unit,
        ),
    ),
}
