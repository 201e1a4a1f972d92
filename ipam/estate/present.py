"""What is there of a tenant's network, as far as a description may refer to it or contradict it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import parse_network
from ipam.allocation.places import AnySelect
from ipam.estate.bindings import bound_of_pools
from ipam.estate.by_hand import done_by_hand
from ipam.estate.clashes import PresentPool, TakenPrefix
from ipam.estate.faults import KnownNames
from ipam.estate.gateways import gateways_in_use
from ipam.estate.leaving import PAST, SERVES
from ipam.estate.one_vrf import Links, links
from ipam.tables import (
    AccessNode,
    AccessPort,
    AddressPlan,
    Bng,
    FormerPrefix,
    NatRule,
    Pool,
    Prefix,
    Service,
    Site,
    VlanGroup,
    Vrf,
    table_of,
)


async def known_names(db: AsyncSession, tenant_id: str, *, without_gateway: Collection[str] = ()) -> KnownNames:
    """Of the network that this tenant has. ``without_gateway``: the pools that are described so."""
    names: dict[str, set[str]] = {}
    named = {"vrf": Vrf, "bng": Bng, "site": Site, "access_node": AccessNode, "plan": AddressPlan}
    for part, model in named.items():
        found = await db.scalars(select(table_of(model).c.name).where(table_of(model).c.tenant_id == tenant_id))
        names[part] = set(found)
    groups = await db.execute(select(VlanGroup.name, VlanGroup.vids).where(VlanGroup.tenant_id == tenant_id))
    group_vids = {name: vids for name, vids in groups}
    names["vlan_group"] = set(group_vids)
    ports = await db.execute(
        select(AccessNode.name, AccessPort.name)
        .join(AccessPort, AccessPort.node_id == AccessNode.id)
        .where(AccessNode.tenant_id == tenant_id)
    )
    ipoe = await db.scalars(
        select(AddressPlan.name).where(AddressPlan.tenant_id == tenant_id, AddressPlan.access == "ipoe")
    )
    present = await _pools(db, tenant_id)
    names["pool"] = set(present)
    return KnownNames(
        names,
        {(node, port) for node, port in ports},
        group_vids,
        set(ipoe),
        {name: (pool.kind, None if pool.framed_pool else pool.network, pool.role) for name, pool in present.items()},
        present,
        await _taken(db, tenant_id),
        await _links(db, tenant_id, present),
        await gateways_in_use(db, tenant_id, without_gateway),
    )


async def _pools(db: AsyncSession, tenant_id: str) -> dict[str, PresentPool]:
    served = exists().where(Service.framed_pool_id == Pool.id, Service.state == "active")
    past: dict[str, ColumnElement[bool]] = {
        words: exists().where(table_of(model).c.pool_id == Pool.id) for model, words in PAST.items()
    }
    past[SERVES] = served
    columns = (Pool.name, Pool.kind, Pool.unit_length, Pool.framed_pool, Pool.retired_at, Prefix.network, Prefix.role)
    statement: AnySelect = select(*columns, Vrf.name.label("vrf"), *past.values())
    former = await _former(db, tenant_id)
    by_hand = await done_by_hand(db, tenant_id)
    of_tenant = statement.outerjoin(Prefix, Prefix.id == Pool.prefix_id).outerjoin(Vrf, Vrf.id == Prefix.vrf_id)
    return {
        row.name: PresentPool(
            kind=row.kind,
            unit_length=row.unit_length,
            framed_pool=row.framed_pool,
            network=row.network,
            role=row.role,
            vrf=row.vrf,
            is_retired=row.retired_at is not None,
            past=[words for words, refers in zip(past, row[len(columns) + 1 :], strict=True) if refers],
            former=former.get(row.name, {}),
            by_hand=by_hand.get(row.name),
        )
        for row in await db.execute(of_tenant.where(Pool.tenant_id == tenant_id))
    }


async def _links(db: AsyncSession, tenant_id: str, present: Mapping[str, PresentPool]) -> dict[str, Links]:
    bound = await bound_of_pools(db, tenant_id)
    found = {name: links(pool.kind, pool.vrf, pool.framed_pool, bound[name]) for name, pool in present.items()}
    return {name: linked for name, linked in found.items() if linked is not None}


async def _former(db: AsyncSession, tenant_id: str) -> dict[str, dict[tuple[str, str], datetime]]:
    """What prefixes were until when, by the names of their pools."""
    statement = (
        select(Pool.name, Vrf.name, FormerPrefix.network, FormerPrefix.until)
        .join(Pool, Pool.id == FormerPrefix.pool_id)
        .join(Vrf, Vrf.id == FormerPrefix.vrf_id)
        .where(Pool.tenant_id == tenant_id)
        .order_by(FormerPrefix.id)
    )
    found: defaultdict[str, dict[tuple[str, str], datetime]] = defaultdict(dict)
    for pool, vrf, network, until in await db.execute(statement):
        found[pool][vrf, network] = until
    return found


async def _taken(db: AsyncSession, tenant_id: str) -> list[TakenPrefix]:
    """A rule's outside is one as long as the rule is in force."""
    statement: AnySelect = select(Prefix.network, Vrf.name, Pool.name, NatRule.name)
    rows = await db.execute(
        statement.select_from(Prefix)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .outerjoin(Pool, Pool.prefix_id == Prefix.id)
        .outerjoin(NatRule, and_(NatRule.prefix_id == Prefix.id, NatRule.until.is_(None)))
        .where(Prefix.tenant_id == tenant_id, Prefix.role != "container")
    )
    found: list[TakenPrefix] = []
    for network, vrf, pool, rule in rows:
        span = parse_network(network)
        if pool is not None:
            found.append(TakenPrefix("pool", pool, vrf, span))
        elif rule is not None:
            found.append(TakenPrefix("nat_rule", rule, vrf, span))
        else:
            found.append(TakenPrefix("prefix", network, vrf, span))
    return found
