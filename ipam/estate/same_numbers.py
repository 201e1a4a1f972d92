"""Prefixes, pools, rules of port blocks and VLANs that are there just as they are described, of many at once: their
names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, select

from ipam.addresses import format_vids, parse_address, parse_network, parse_vids, to_bytes
from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts
from ipam.estate.bindings import standing
from ipam.estate.bound import Bound, as_said
from ipam.estate.exclusions import Excluded, described_in
from ipam.estate.layout import Layout, cvlan_layout, pool_layout
from ipam.estate.pools import FREE
from ipam.estate.ranges import described_by
from ipam.estate.rows import EstateRows
from ipam.estate.spec import HandedOut, NatRuleSpec, PoolSpec, PrefixSpec, SvlanSpec, VlanGroupSpec
from ipam.nat.rule_rows import columns_of
from ipam.tables import IN_THE_NETWORK, Exclusion, NatRule, Pool, Prefix, Svlan, VlanGroup, Vrf, table_of
from ipam.units import subtract

_HANDING_OUT = tuple(HandedOut.model_fields)
_HANDED_OUT = tuple(table_of(Pool).c[name] for name in _HANDING_OUT)
_PREFIXES: AnySelect = select(Prefix.network, Vrf.name, Prefix.role, FREE).join(Vrf, Vrf.id == Prefix.vrf_id)
_POOLS: AnySelect = (
    select(
        Pool.id,
        Pool.name,
        Pool.kind,
        Pool.unit_length,
        Pool.framed_pool,
        Prefix.network,
        Vrf.name,
        Prefix.role,
        Prefix.gateway,
        *_HANDED_OUT,
    )
    .join(Prefix, Prefix.id == Pool.prefix_id)
    .join(Vrf, Vrf.id == Prefix.vrf_id)
    .where(IN_THE_NETWORK)
)
_GROUPS: AnySelect = select(VlanGroup.name, VlanGroup.vids)
_SVLANS: AnySelect = (
    select(
        VlanGroup.name.label("group"),
        Svlan.vid,
        Svlan.cvlan_formula,
        Svlan.id.label("svlan_id"),
        Pool.id.label("pool_id"),
        *_HANDED_OUT,
    )
    .join(VlanGroup, VlanGroup.id == Svlan.group_id)
    .outerjoin(Pool, Pool.svlan_id == Svlan.id)
)
_OUTSIDE = table_of(Prefix).alias("outside")
_RULES: AnySelect = (
    select(
        Pool.name.label("pool"),
        Prefix.network.label("inside"),
        Vrf.name.label("vrf"),
        *table_of(NatRule).columns,
    )
    .join(NatRule, NatRule.pool_id == Pool.id)
    .join(Prefix, Prefix.id == Pool.prefix_id)
    .join(_OUTSIDE, _OUTSIDE.c.id == NatRule.prefix_id)
    .join(Vrf, Vrf.id == _OUTSIDE.c.vrf_id)
    .where(IN_THE_NETWORK, Pool.framed_pool.is_(None))
    .where(NatRule.until.is_(None), NatRule.name == Pool.name, NatRule.described.is_(True))
)


async def prefixes(rows: EstateRows, described: Sequence[PrefixSpec]) -> set[str]:
    """In no other role as well."""
    same: set[str] = set()
    for some in in_parts(described):
        roles: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        here = among(rows.db, Prefix.network, [each.network for each in some])
        for network, vrf, role, is_free in await rows.db.execute(
            _PREFIXES.where(Prefix.tenant_id == rows.tenant_id, here)
        ):
            if is_free or role == "container":
                roles[network, vrf].add(role)
        same |= {each.name for each in some if roles[each.network, each.vrf] == {each.role}}
    return same


async def pools(rows: EstateRows, described: Sequence[PoolSpec]) -> set[str]:
    """With what is excluded from them, and whom they serve."""
    said = {pool.name: _said_of(pool) for pool in described}
    found = await rows.named(Pool, _POOLS, said)
    ids = {name: row_id for row_id, name, *values in found if tuple(values) == said[name]}
    same: set[str] = set()
    for some in in_parts([pool for pool in described if pool.name in ids]):
        of_these = [ids[pool.name] for pool in some]
        bound, excluded = await standing(rows, "pool_id", of_these), await _excluded_of(rows, of_these)
        for pool in some:
            is_bound_so = bound[ids[pool.name]].keys() == as_said(pool.bindings).keys()
            is_cut_so = pool.framed_pool is not None or _is_cut(excluded[ids[pool.name]], pool_layout(pool))
            same |= {pool.name} if is_bound_so and is_cut_so else set()
    return same


def _said_of(pool: PoolSpec) -> tuple[Any, ...]:
    gateway = None if pool.gateway is None else to_bytes(*parse_address(pool.gateway))
    stands_on = (pool.kind, pool.its_unit_length, pool.framed_pool, pool.network, pool.vrf, pool.its_role, gateway)
    return *stands_on, *_handing_out(pool)


def _handing_out(part: HandedOut) -> tuple[Any, ...]:
    return tuple(part.handing_out[name] for name in _HANDING_OUT)


async def _excluded_of(rows: EstateRows, pool_ids: Collection[int]) -> defaultdict[int, list[Excluded]]:
    columns = (Exclusion.first_unit, Exclusion.last_unit, Exclusion.reason, Exclusion.note)
    excluded: defaultdict[int, list[Excluded]] = defaultdict(list)
    if pool_ids:
        statement: AnySelect = select(Exclusion.pool_id, *columns).where(among(rows.db, Exclusion.pool_id, pool_ids))
        for pool_id, *values in await rows.db.execute(statement):
            excluded[pool_id].append(Excluded(*values))
    return excluded


def _is_cut(excluded: list[Excluded], layout: Layout) -> bool:
    return described_in(excluded) == described_by(layout)


async def rules(rows: EstateRows, described: Sequence[NatRuleSpec]) -> set[str]:
    """In force, and said by the description."""
    said = {rule.pool: rule for rule in described}
    found = await rows.named(Pool, _RULES, said)
    return {row.pool for row in found if _is_rule(row, said[row.pool])}


def _is_rule(row: Row[Any], said: NatRuleSpec) -> bool:
    columns = columns_of(said.terms.mapping(parse_network(row.inside)))
    return row.vrf == said.vrf and all(getattr(row, name) == value for name, value in columns.items())


async def groups(rows: EstateRows, described: Sequence[VlanGroupSpec]) -> set[str]:
    """With the same numbers."""
    said = {each.name: format_vids(subtract(parse_vids(each.vids), parse_vids(each.reserved))) for each in described}
    return {name for name, vids in await rows.named(VlanGroup, _GROUPS, said) if vids == said[name]}


async def svlans(rows: EstateRows, described: Sequence[SvlanSpec]) -> set[str]:
    """With the C-VLANs in them, and whom they serve."""
    same: set[str] = set()
    for some in in_parts(described):
        said = {(each.group, each.vid): each for each in some}
        groups_there = among(rows.db, VlanGroup.name, {group for group, _ in said})
        vids_there = among(rows.db, Svlan.vid, {vid for _, vid in said})
        found = await rows.db.execute(_SVLANS.where(VlanGroup.tenant_id == rows.tenant_id, groups_there, vids_there))
        present = [row for row in found if (row.group, row.vid) in said]
        inside = [row.pool_id for row in present if row.pool_id is not None]
        shared = await standing(rows, "svlan_id", [row.svlan_id for row in present])
        bound, excluded = await standing(rows, "pool_id", inside), await _excluded_of(rows, inside)
        for row in present:
            svlan = said[row.group, row.vid]
            is_so = _is_svlan(row, svlan, shared[row.svlan_id], bound[row.pool_id], excluded[row.pool_id])
            same |= {svlan.name} if is_so else set()
    return same


def _is_svlan(
    row: Row[Any], svlan: SvlanSpec, shared: Collection[Bound], bound: Collection[Bound], excluded: list[Excluded]
) -> bool:
    """``shared``: to what it is bound itself; ``bound``: to what the C-VLANs in it are."""
    if row.cvlan_formula != svlan.cvlan_formula or bool(svlan.cvlans) != (row.pool_id is not None):
        return False
    here, elsewhere = (bound, shared) if svlan.cvlans else (shared, bound)
    if elsewhere or set(here) != as_said(svlan.bindings).keys():
        return False
    if not svlan.cvlans:
        return True
    is_handed_out_so = tuple(getattr(row, name) for name in _HANDING_OUT) == _handing_out(svlan)
    return is_handed_out_so and _is_cut(excluded, cvlan_layout(svlan))
