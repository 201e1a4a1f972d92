"""What must always be true of the network that things are handed out of: what never is, and what stands on what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import LAST_VID, format_address, from_bytes, parse_network, parse_vids
from ipam.answers import value_of
from ipam.bulk import among
from ipam.commands import command_about, command_to_move
from ipam.invariants import Violation
from ipam.tables import (
    ASSIGNED,
    IN_THE_NETWORK,
    AccessNode,
    AccessPort,
    Allocation,
    Exclusion,
    FreeRange,
    Location,
    NatRule,
    Pool,
    Prefix,
    Service,
    Svlan,
    VlanGroup,
)

_OF_THE_TAG = {0: "the priority tag", 1: "the default VLAN", LAST_VID + 1: "reserved (IEEE 802.1Q)"}
_AGAIN = "bring the network's description in again (`firstlight import ESTATE`)"


@dataclass(frozen=True)
class _Never:
    """A unit that no line may have, and why."""

    pool_id: int
    pool: str
    unit: int
    value: str
    why: str
    option: str
    """By which another one is asked for."""


async def never_handed_out(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """No pool may hand out a C-VLAN of 0, 1 or 4095, or its network, broadcast or gateway address, and no S-VLAN is one
    that its group may not use."""
    return [*await _not_excluded(db, tenant_id), *await _svlans_outside_their_group(db, tenant_id)]


async def _not_excluded(db: AsyncSession, tenant_id: str) -> list[Violation]:
    pools = await db.execute(
        select(
            Pool.id,
            Pool.name,
            Pool.kind,
            Pool.span,
            Pool.unit_length,
            Prefix.first_address,
            Prefix.length,
            Prefix.gateway,
        )
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            Pool.tenant_id == tenant_id,
            Pool.kind.in_(("ipv4", "cvlan")),
            Pool.framed_pool.is_(None),
            IN_THE_NETWORK,
        )
        .order_by(Pool.name)
    )
    never = [each for pool in pools for each in _never_of(pool)]
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    excluded = select(Exclusion.pool_id, Exclusion.first_unit, Exclusion.last_unit)
    for pool_id, first, last in await db.execute(excluded.where(Exclusion.tenant_id == tenant_id)):
        spans[pool_id].append((first, last))
    let_in = [each for each in never if not any(first <= each.unit <= last for first, last in spans[each.pool_id])]
    holders = await _holders(db, let_in) if let_in else {}
    return [_let_in(each, holders.get((each.pool_id, each.unit))) for each in let_in]


async def _holders(db: AsyncSession, units: Sequence[_Never]) -> dict[tuple[int, int], Any]:
    rows = await db.execute(
        select(Allocation.pool_id, Allocation.unit, Service.service_id, Location.name.label("location"))
        .join(Service, Service.service_id == Allocation.service_id)
        .join(Location, Location.id == Service.location_id)
        .where(
            ASSIGNED,
            among(db, Allocation.pool_id, sorted({each.pool_id for each in units})),
            among(db, Allocation.unit, sorted({each.unit for each in units})),
        )
    )
    return {(row.pool_id, row.unit): row for row in rows}


def _let_in(never: _Never, holder: Any) -> Violation:
    whose, remedy, service_id = "isn't excluded", _AGAIN, None
    if holder is not None:
        service_id = holder.service_id
        whose += f", and service {service_id} has it"
        by = command_to_move(service_id, holder.location, options=f"{never.option} ANOTHER")
        remedy = f"give that another one (`{by}`), then {_AGAIN}"
    return Violation(
        f"{never.value} of pool {never.pool}",
        f"is {never.why}, which no line may have, but {whose}: {remedy}",
        service_id,
    )


def _never_of(pool: Any) -> Iterator[_Never]:
    def never(unit: int, why: str) -> _Never:
        value = value_of(pool.first_address, pool.unit_length, unit)
        return _Never(pool.id, pool.name, unit, value, why, "--cvlan" if pool.kind == "cvlan" else "--ip")

    if pool.kind == "cvlan":
        yield from (never(unit, why) for unit, why in _OF_THE_TAG.items())
        return
    if pool.length < 31:
        yield never(0, "its network's own address")
        yield never((1 << (32 - pool.length)) - 1, "its broadcast address")
    if pool.gateway is not None:
        at = from_bytes(pool.gateway)[1] - from_bytes(pool.first_address)[1]
        if 0 <= at < pool.span:  # else it isn't the pool's at all, which is another finding
            yield never(at, "its gateway")


async def _svlans_outside_their_group(db: AsyncSession, tenant_id: str) -> list[Violation]:
    usable: dict[str, list[tuple[int, int]]] = {}
    rows = await db.execute(
        select(VlanGroup.name, VlanGroup.vids, Svlan.vid)
        .join(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(Svlan.tenant_id == tenant_id)
        .order_by(VlanGroup.name, Svlan.vid)
    )
    found: list[Violation] = []
    for group, vids, vid in rows:
        if group not in usable:
            usable[group] = parse_vids(vids.split(",")) if vids else []
        if not any(first <= vid <= last for first, last in usable[group]):
            what = (
                f"isn't one that VLAN group {group} may use ({vids or 'none'}): correct its number, or the group's vids"
            )
            found.append(Violation(f"S-VLAN {group}/{vid}", f"{what}, and {_AGAIN}"))
    return found


async def badly_founded(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """What stands on one another in the network fits: a pool in use stands on a prefix that is assignable, with its
    gateway in it, nothing is handed out here of a pool that its BNG hands out, a rule of port blocks in force maps all
    of its pool, a premise's port is one of its access node, and an S-VLAN with C-VLANs is nobody's without one."""
    return [
        *await _pools_on_containers(db, tenant_id),
        *await _gateways_elsewhere(db, tenant_id),
        *await _handed_out_by_two(db, tenant_id),
        *await _rules_off_their_pools(db, tenant_id),
        *await _ports_of_other_nodes(db, tenant_id),
        *await _svlans_shared_wrongly(db, tenant_id),
    ]


async def _pools_on_containers(db: AsyncSession, tenant_id: str) -> list[Violation]:
    rows = await db.execute(
        select(Pool.name, Prefix.network)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(Pool.tenant_id == tenant_id, IN_THE_NETWORK, Prefix.role == "container")
        .order_by(Pool.name)
    )
    what = "stands on {}, a container, which others may overlap: {}"
    return [Violation(f"pool {name}", what.format(network, _AGAIN)) for name, network in rows]


async def _gateways_elsewhere(db: AsyncSession, tenant_id: str) -> list[Violation]:
    rows = await db.execute(
        select(Pool.name, Prefix.network, Prefix.gateway)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            Pool.tenant_id == tenant_id,
            IN_THE_NETWORK,
            Prefix.gateway.is_not(None),
        )
        .order_by(Pool.name)
    )
    what = "tells its lines the gateway {}, which isn't in {}: {}"
    return [
        Violation(f"pool {pool}", what.format(format_address(gateway), net, _AGAIN))
        for pool, net, gateway in rows
        if gateway and not parse_network(net).holds(*from_bytes(gateway))
    ]


async def _handed_out_by_two(db: AsyncSession, tenant_id: str) -> list[Violation]:
    has_units = or_(*(exists().where(each.pool_id == Pool.id) for each in (Allocation, FreeRange)))
    rows = await db.execute(
        select(Pool.name, Pool.framed_pool)
        .where(Pool.tenant_id == tenant_id, Pool.framed_pool.is_not(None), has_units)
        .order_by(Pool.name)
    )
    what = (
        "is called {0} at its BNG, which hands it out by itself, but units of it are handed out here, too: see who has"
        " them (`{1}`), and set ipam_pool.framed_pool to NULL again if it is ours"
    )
    return [Violation(f"pool {name}", what.format(framed, command_about("usage", name))) for name, framed in rows]


async def _rules_off_their_pools(db: AsyncSession, tenant_id: str) -> list[Violation]:
    """A pool with a rule in force neither shrinks nor retires."""
    rows = await db.execute(
        select(Pool.name, Prefix.network, NatRule.first_inside, NatRule.inside_count)
        .join(Pool, Pool.id == NatRule.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            NatRule.tenant_id == tenant_id,
            NatRule.until.is_(None),
            IN_THE_NETWORK,
            or_(NatRule.first_inside != Prefix.first_address, NatRule.inside_count != Pool.span),
        )
        .order_by(Pool.name)
    )
    what = (
        "maps {} addresses from {} on, but the pool has all of {}: who asks whose a port was is told a wrong one; end"
        " it (`{}`) and define it anew"
    )
    return [
        Violation(
            f"rule of port blocks of pool {pool}",
            what.format(
                inside_count,
                format_address(first),
                network,
                command_about("nat-end-rule", pool, options="--reason WHY"),
            ),
        )
        for pool, network, first, inside_count in rows
    ]


async def _ports_of_other_nodes(db: AsyncSession, tenant_id: str) -> list[Violation]:
    its, others = aliased(AccessNode), aliased(AccessNode)
    rows = await db.execute(
        select(Location.name, its.name.label("its"), AccessPort.name.label("port"), others.name.label("others"))
        .join(its, its.id == Location.node_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
        .outerjoin(others, others.id == AccessPort.node_id)
        .where(
            Location.tenant_id == tenant_id,
            Location.port_id.is_not(None),
            or_(AccessPort.id.is_(None), AccessPort.node_id != Location.node_id),
        )
        .order_by(Location.name)
    )
    what = "is behind access node {}, but its port is {}, where its line is served by what is bound there: {}"
    return [
        Violation(
            f"premise {row.name}",
            what.format(row.its, f"{row.port} of {row.others}" if row.port else "one that isn't there", _AGAIN),
        )
        for row in rows
    ]


async def _svlans_shared_wrongly(db: AsyncSession, tenant_id: str) -> list[Violation]:
    rows = await db.execute(
        select(Service.service_id, Pool.name, Location.name.label("location"))
        .join(Pool, and_(Pool.svlan_id == Service.svlan_id, IN_THE_NETWORK))
        .join(Location, Location.id == Service.location_id)
        .where(Service.tenant_id == tenant_id, Service.state == "active")
        .order_by(Service.service_id)
    )
    what = "shares S-VLAN {}, in which each line has a C-VLAN of its own: give it what serves it where it is (`{}`)"
    return [
        Violation(
            f"service {row.service_id}",
            what.format(row.name, command_to_move(row.service_id, row.location)),
            row.service_id,
        )
        for row in rows
    ]
