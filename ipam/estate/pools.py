"""Making pools on their prefix or S-VLAN, and changing them under way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError

from ipam.addresses import Network, parse_address, parse_network, to_bytes
from ipam.ddl import PREFIX_ONCE, PREFIX_OVERLAP
from ipam.errors import EstateInUse, EstateRefused, Fault, Overlap
from ipam.estate import differing
from ipam.estate.bindings import bind
from ipam.estate.by_hand import done_by_hand
from ipam.estate.clashes import RETIRED, becomes_another, sentence, was_its_prefix
from ipam.estate.faults import binding_fault
from ipam.estate.gateways import gateways_in_use
from ipam.estate.layout import Layout, cvlan_layout, pool_faults, pool_layout, svlan_faults
from ipam.estate.leaving import SERVES, discard, hold_served, is_named, keep_replaced, past_of
from ipam.estate.ranges import cut_first, recut
from ipam.estate.rows import EstateRows, Outcome, worst
from ipam.estate.spec import BindingSpec, PoolSpec, SvlanSpec
from ipam.holdings import count_live
from ipam.tables import (
    ASSIGNED,
    Allocation,
    FormerPrefix,
    NatRule,
    Pool,
    Prefix,
    Service,
    Svlan,
    table_of,
)

FREE: ColumnElement[bool] = and_(
    Prefix.id.not_in(select(Pool.prefix_id).where(Pool.prefix_id.is_not(None))),
    Prefix.id.not_in(select(NatRule.prefix_id)),
)
"""Of a prefix: no pool stands on it, and no rule of port blocks."""


async def give_up(rows: EstateRows, pools: Sequence[PoolSpec], at: datetime) -> set[str]:
    """Those that are described as other ones go, and let go of their prefixes, before any of these takes one: they may
    change places. Returned are their names.

    Raises:
        EstateInUse: as ``NetworkEstate`` says.
    """
    await rows.be_alone()
    going = set((await differing.pools(rows, pools)).values())
    for pool in pools:
        if pool.name in going and (existing := await rows.find(Pool, name=pool.name)) is not None:
            _refuse_retired(existing, pool.name)
            await _refuse_former_prefix(rows, existing, pool)
            await _make_room(rows, existing, pool.name, at)
    return going


async def define_pool(rows: EstateRows, pool: PoolSpec, at: datetime, *, given_up: Collection[str] = ()) -> Outcome:
    """Make the pool, its prefix and its bindings be as described. ``given_up``: pools that have gone for such ones.

    Raises:
        EstateRefused, Overlap, NameUnknown, EstateInUse: as ``NetworkEstate`` says.
    """
    _refuse_if(f"pool {pool.name}", [*pool_faults(pool), *_binding_faults(pool.bindings)])
    await rows.be_alone()
    vrf_id = await rows.id_of("vrf", pool.vrf)
    replaced = pool.name in given_up or bool(await give_up(rows, [pool], at))
    existing = await rows.find(Pool, name=pool.name)
    if existing is not None:
        _refuse_retired(existing, pool.name)
    network = parse_network(pool.network)
    gateway = to_bytes(*parse_address(pool.gateway)) if pool.gateway else None
    if existing is None:
        prefix_id = await add_prefix(rows, network, pool.vrf, vrf_id, role=pool.its_role, gateway=gateway)
        identity = {"kind": pool.kind, "unit_length": pool.its_unit_length, "framed_pool": pool.framed_pool}
        stands_on = {**identity, "prefix_id": prefix_id}
        pool_id = await _add_pool(rows, pool.name, {**stands_on, **pool.handing_out}, pool_layout(pool), at)
        await bind(rows, pool.bindings, "pool_id", pool_id)
        return "changed" if replaced else "created"
    if gateway is None:
        await _refuse_gateway_in_use(rows, existing, pool.name)
    _, in_prefix = await rows.put(Prefix, {"id": existing["prefix_id"]}, {"role": pool.its_role, "gateway": gateway})
    layout = pool_layout(pool)
    in_pool = await _change_pool(rows, existing["id"], pool, layout, at)
    return worst(in_pool, in_prefix, await bind(rows, pool.bindings, "pool_id", existing["id"]))


async def define_svlan(rows: EstateRows, svlan: SvlanSpec, at: datetime) -> Outcome:
    """Make the S-VLAN, and the pool of C-VLANs in it if it has one, be as described.

    Raises:
        EstateRefused, NameUnknown, EstateInUse: as ``NetworkEstate`` says.
    """
    _refuse_if(f"svlan {svlan.name}", [*svlan_faults(svlan), *_binding_faults(svlan.bindings)])
    group_id = await rows.id_of("vlan_group", svlan.group)
    svlan_id, outcome = await _put_svlan(rows, group_id, svlan)
    existing = await rows.find(Pool, svlan_id=svlan_id)
    if not svlan.cvlans:
        if existing is not None:
            await _make_room(rows, existing, svlan.name, at)
        bound = await bind(rows, svlan.bindings, "svlan_id", svlan_id)
        return worst(outcome, bound, "unchanged" if existing is None else "changed")
    await rows.hold(Svlan, id=[svlan_id])
    if sharing := await count_live(rows.db, Service.svlan_id == svlan_id):
        raise EstateInUse(
            f"S-VLAN {svlan.name}",
            change=f"{sharing} live services share it, so it can't carry a C-VLAN for each line",
            instead="Use another S-VLAN for 1:1, and move the services first.",
        )
    shared = await bind(rows, (), "svlan_id", svlan_id)
    layout = cvlan_layout(svlan)
    if existing is None:
        stands_on = {"kind": "cvlan", "svlan_id": svlan_id, **svlan.handing_out}
        pool_id = await _add_pool(rows, svlan.name, stands_on, layout, at)
        in_pool: Outcome = "changed"
    else:
        pool_id = existing["id"]
        in_pool = await _change_pool(rows, pool_id, svlan, layout, at)
    return worst(outcome, shared, in_pool, await bind(rows, svlan.bindings, "pool_id", pool_id))


async def add_prefix(
    rows: EstateRows, network: Network, vrf: str, vrf_id: int, *, role: str, gateway: bytes | None = None
) -> int:
    """
    Raises:
        Overlap: by the database's own word.
    """
    first, last = (to_bytes(network.family, bound) for bound in (network.first, network.last))
    try:
        async with rows.db.begin_nested():
            return await rows.add(
                Prefix,
                vrf_id=vrf_id,
                family=network.family,
                network=str(network),
                first_address=first,
                last_address=last,
                length=network.length,
                role=role,
                gateway=gateway,
            )
    except IntegrityError as exc:
        # PostgreSQL looks first whether the very prefix is there in that role.
        if not any(each in str(exc.orig) for each in (PREFIX_OVERLAP, PREFIX_ONCE)):
            raise
        raise Overlap(str(network), vrf=vrf, other=await _whose(rows, vrf_id, first, last)) from exc


async def _whose(rows: EstateRows, vrf_id: int, first: bytes, last: bytes) -> str | None:
    """An assignable prefix that has something of these addresses, and what stands on it."""
    statement = (
        select(Prefix.network, Prefix.role, Pool.name.label("pool"), NatRule.name.label("rule"))
        .outerjoin(Pool, Pool.prefix_id == Prefix.id)
        .outerjoin(NatRule, NatRule.prefix_id == Prefix.id)
        .where(Prefix.vrf_id == vrf_id, Prefix.role != "container")
        .where(Prefix.first_address <= last, Prefix.last_address >= first)
        .order_by(Prefix.first_address)
    )
    other = (await rows.db.execute(statement.limit(1))).first()
    if other is None:
        return None
    if other.pool is not None:
        return f"{other.network} of pool {other.pool}"
    return f"{other.network}, the outside of nat_rule {other.rule}" if other.rule is not None else str(other.network)


def _refuse_if(where: str, faults: list[str]) -> None:
    if faults:
        raise EstateRefused([Fault(where, fault) for fault in faults])


def _binding_faults(bindings: tuple[BindingSpec, ...]) -> list[str]:
    return [fault for binding in bindings if (fault := binding_fault(binding))]


def _refuse_retired(pool: Mapping[Any, Any], name: str) -> None:
    """
    Raises:
        EstateInUse: it was retired.
    """
    if pool["retired_at"] is not None:
        raise EstateInUse(
            f"Pool {name}",
            change=RETIRED,
            instead="Take it out of the description, or give the new pool another name.",
        )


async def _refuse_former_prefix(rows: EstateRows, existing: Mapping[Any, Any], pool: PoolSpec) -> None:
    """A description isn't told when its pool is shrunk, so it may have the prefix of before.

    Raises:
        EstateInUse: it has.
    """
    present = (existing["kind"], existing["unit_length"], existing["framed_pool"])
    if present != (pool.kind, pool.its_unit_length, pool.framed_pool):
        return
    vrf_id = await rows.id_of("vrf", pool.vrf)
    former = await rows.find(FormerPrefix, pool_id=existing["id"], vrf_id=vrf_id, network=pool.network)
    prefix = await rows.find(Prefix, id=existing["prefix_id"])
    if former is not None and prefix is not None:
        raise EstateInUse(
            f"Pool {pool.name}",
            change=was_its_prefix(pool.network, former["until"]),
            instead=f"Write {prefix['network']} in the description.",
        )


async def _refuse_gateway_in_use(rows: EstateRows, pool: Mapping[Any, Any], name: str) -> None:
    """
    Raises:
        EstateInUse: the pool has a gateway, without which live services would be cut off.
    """
    prefix = await rows.find(Prefix, id=pool["prefix_id"])
    if prefix is None or prefix["gateway"] is None:
        return
    await hold_served(rows, pool["id"])
    needed = (await gateways_in_use(rows.db, rows.tenant_id, [name])).get(name)
    if needed is not None:
        raise EstateInUse(f"Pool {name}", change=needed.change, instead=sentence(needed.instead))


async def _make_room(rows: EstateRows, pool: Mapping[Any, Any], name: str, at: datetime) -> None:
    """For a pool of the same name that counts in other units, or another one of the BNG's; history must keep what it
    refers to."""
    pool_id: int = pool["id"]
    await hold_served(rows, pool_id)  # who is just being given the first of it has it, or goes without
    past = await past_of(rows, pool_id)
    if not past and pool["framed_pool"] is not None:
        past = [SERVES] if await count_live(rows.db, Service.framed_pool_id == pool_id) else []
    if past:
        raise EstateInUse(
            f"Pool {name}",
            change=becomes_another(past),
            instead="Define a new pool beside it and unbind this one.",
        )
    for undone in (await done_by_hand(rows.db, rows.tenant_id, pool_id)).values():
        raise EstateInUse(f"Pool {name}", change=undone.change, instead=sentence(undone.instead))
    if await is_named(rows, pool_id):
        await keep_replaced(rows, pool_id, name, at)
        return
    await discard(rows, pool_id, at)


async def _add_pool(rows: EstateRows, name: str, stands_on: dict[str, Any], layout: Layout, at: datetime) -> int:
    pool_id = await rows.add(Pool, name=name, span=layout.span, size=layout.size, defined_at=at, **stands_on)
    if stands_on.get("framed_pool") is None:
        await cut_first(rows, pool_id, layout)
    return pool_id


async def _change_pool(
    rows: EstateRows, pool_id: int, spec: PoolSpec | SvlanSpec, layout: Layout, at: datetime
) -> Outcome:
    """How it hands out, and its exclusions, may change while the pool is in use."""
    _, outcome = await rows.put(Pool, {"id": pool_id}, spec.handing_out)
    pool = await rows.find(Pool, id=pool_id)
    if pool is None or pool["framed_pool"] is not None:
        return outcome
    return "changed" if await recut(rows, pool_id, spec.name, layout, at) else outcome


async def _put_svlan(rows: EstateRows, group_id: int, svlan: SvlanSpec) -> tuple[int, Outcome]:
    """
    Raises:
        EstateInUse: lines have C-VLANs that another formula would not have given them.
    """

    async def guard(row: RowMapping, _: set[str]) -> None:
        inside = select(Pool.id).where(Pool.svlan_id == row["id"])
        holders = select(Allocation.service_id).where(ASSIGNED, Allocation.pool_id.in_(inside))
        if live := await count_live(rows.db, Service.service_id.in_(holders)):
            raise EstateInUse(
                f"S-VLAN {svlan.name}",
                change=f"its cvlan_formula, while {live} live services hold C-VLANs in it",
                instead="Use another S-VLAN, and move the services.",
            )

    key = {"group_id": group_id, "vid": svlan.vid}
    return await rows.put(Svlan, key, {"cvlan_formula": svlan.cvlan_formula}, guard)


async def define_prefix(rows: EstateRows, network: Network, vrf: str, role: str) -> Outcome:
    """A prefix that no pool stands on, and no rule of port blocks: a container, or our own infrastructure.

    Raises:
        NameUnknown, Overlap: as ``NetworkEstate`` says.
    """
    await rows.be_alone()
    vrf_id = await rows.id_of("vrf", vrf)
    existing = (
        await rows.db.execute(
            select(Prefix.id, Prefix.role).where(
                Prefix.vrf_id == vrf_id,
                Prefix.network == str(network),
                or_(FREE, and_(Prefix.role == role, Prefix.role == "container")),
            )
        )
    ).first()
    if existing is not None and existing.role == role:
        return "unchanged"
    if existing is not None:
        await rows.db.execute(delete(table_of(Prefix)).where(table_of(Prefix).c.id == existing.id))
    await add_prefix(rows, network, vrf, vrf_id, role=role)
    return "created" if existing is None else "changed"
