"""Building the network that services are allocated from: each part defined by name, again without effect."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_vids, parse_network, parse_vids
from ipam.errors import AliasTaken, EstateInUse, EstateRefused, Fault, NameUnknown
from ipam.estate import aliases, nat_rules, new_places
from ipam.estate import pools as estate_pools
from ipam.estate.faults import validate_estate
from ipam.estate.gateways import without_gateway
from ipam.estate.holding import hold_changed
from ipam.estate.left_to_do import left_to_do
from ipam.estate.present import known_names
from ipam.estate.rows import EstateRows, Outcome, worst
from ipam.estate.spec import (
    DEFAULT_VRF,
    AccessNodeSpec,
    BngSpec,
    LocationSpec,
    NatRuleSpec,
    NetworkEstateSpec,
    PlanSpec,
    PoolSpec,
    PrefixSpec,
    SiteSpec,
    SvlanSpec,
    VlanGroupSpec,
    VrfSpec,
)
from ipam.estate.unserved import unserved_by
from ipam.holdings import count_live
from ipam.nat.port_blocks import PortBlocks
from ipam.tables import (
    ASSIGNED,
    AccessNode,
    AddressPlan,
    Allocation,
    Bng,
    Location,
    Pool,
    PoolBinding,
    Service,
    Site,
    Svlan,
    VlanGroup,
    Vrf,
)
from ipam.units import subtract
from ipam.usage.ending import TellCrossing

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Change:
    """One part of the network that was created or changed."""

    part: str
    name: str
    outcome: Outcome
    unserved: tuple[int, ...] = ()
    """The live services that keep something of it though it serves them no more, since it was bound elsewhere."""
    told_anew: tuple[str, ...] = ()
    """Of an access node that was there before, ``cpe_vlan_id`` and ``management_vlan`` as far as another one is told
    to its CPEs and its OLT from now on."""


_TOLD = ("cpe_vlan_id", "management_vlan")
_Parts = AsyncIterator[tuple[str, Iterable[Any], Callable[[Any], Awaitable[Outcome]]]]
"""A section, its entries, and what makes the network be as one of them says; the next one comes when they are."""


class NetworkEstate:
    """Defines one tenant's network within the caller's transaction.

    What isn't mentioned stays as it is; but of a part that is mentioned, its aliases, exclusions and bindings become
    exactly those given. Nothing that live services hold is ever pulled from under them: ``EstateInUse`` says what is in
    the way. All ``define_*`` raise ``NameUnknown`` when they refer to a part that isn't there. ``tell``: how a pool
    that another one replaces is told as recovered, if it was told as anything worse.
    """

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime], tell: TellCrossing | None = None
    ) -> None:
        self._db = db
        self._rows = EstateRows(db, tenant_id, tell)
        self._now = now

    async def validate(self, data: Mapping[str, Any] | NetworkEstateSpec) -> list[Fault]:
        """Every fault of a description that may refer to parts defined earlier, and contradicts none of them."""
        known = await known_names(self._db, self._rows.tenant_id, without_gateway=without_gateway(data))
        return validate_estate(data, known)

    async def apply(self, data: Mapping[str, Any] | NetworkEstateSpec) -> list[Change]:
        """Carry out a description, all or nothing; what is so already isn't listed in the answer.

        Raises:
            EstateRefused: with all faults at once.
            AliasTaken, EstateInUse: one thing that is there contradicts it.
            Overlap, OutsideShared: somebody else was quicker.
        """
        await self._rows.be_alone()  # nobody else changes what is there, so that it stays as it is looked at
        faults = await self.validate(data)
        if faults:
            raise EstateRefused(faults)
        spec = data if isinstance(data, NetworkEstateSpec) else NetworkEstateSpec.model_validate(data)
        async with self._db.begin_nested():
            changes = [change async for change in self._apply(spec)]
        for change in changes:
            log.debug("network changed", part=change.part, name=change.name, outcome=change.outcome)
        return changes

    async def _apply(self, spec: NetworkEstateSpec) -> AsyncIterator[Change]:
        self._rows.unbound = []
        left = await left_to_do(self._rows, spec)
        await hold_changed(self._rows, left)  # all of it before the first part, which holds what it changes once more
        in_the_way: list[AliasTaken | EstateInUse] = []
        async for change in self._defined(self._places(left), in_the_way):
            yield change
        _refuse_if_any(in_the_way)
        async for change in self._defined(self._numbers(left)):
            yield change

    async def _places(self, spec: NetworkEstateSpec) -> _Parts:
        """What refuses before it writes: what stands in the way of all of it is told at once."""
        lost = await aliases.give_up(self._rows, spec.locations)
        yield "vrf", spec.vrfs, self.define_vrf
        yield "bng", spec.bngs, self.define_bng
        yield "site", spec.sites, self.define_site
        yield "access_node", spec.access_nodes, self.define_access_node
        added = await new_places.add_premises(self._rows, spec.locations)
        yield "location", spec.locations, partial(self._define_location, lost=lost, added=added)
        yield "plan", spec.plans, self.define_plan

    async def _numbers(self, spec: NetworkEstateSpec) -> _Parts:
        """What stands on prefixes, each of which is given up before any is taken."""
        parts: list[PrefixSpec | PoolSpec | NatRuleSpec] = [*spec.prefixes, *spec.pools, *spec.nat_rules]
        if any(part.vrf == DEFAULT_VRF for part in parts):
            await self._ensure_vrf(DEFAULT_VRF)
        gone = await estate_pools.give_up(self._rows, spec.pools, self._now())
        blocks = self._port_blocks()
        ended = await nat_rules.give_up(blocks, spec.nat_rules)
        yield "prefix", sorted(spec.prefixes, key=lambda prefix: prefix.role != "container"), self.define_prefix
        yield "pool", spec.pools, partial(self._define_pool, given_up=gone)
        yield "nat_rule", spec.nat_rules, partial(nat_rules.define_rule, blocks, given_up=ended)
        yield "vlan_group", spec.vlan_groups, self.define_vlan_group
        yield "svlan", spec.svlans, self.define_svlan

    async def _defined(
        self, parts: _Parts, in_the_way: list[AliasTaken | EstateInUse] | None = None
    ) -> AsyncIterator[Change]:
        """``in_the_way``: here what is in the way of a part is left, and the next one is looked at; None: it is
        raised."""
        async for part, entries, define in parts:
            for entry in entries:
                try:
                    outcome = await define(entry)
                except NameUnknown:  # a port of a node that was refused, above all
                    _refuse_if_any(in_the_way or ())
                    raise
                except (AliasTaken, EstateInUse) as error:
                    if in_the_way is None:
                        raise
                    in_the_way.append(error)
                    continue
                if outcome != "unchanged":
                    yield Change(part, entry.name, outcome, await self._unserved(), self._told_anew())

    async def _unserved(self) -> tuple[int, ...]:
        unbound, self._rows.unbound = self._rows.unbound, []
        return tuple([service_id for each in unbound for service_id in await unserved_by(self._rows, **each)])

    def _told_anew(self) -> tuple[str, ...]:
        told, self._rows.told_anew = self._rows.told_anew, ()
        return told

    async def define_vrf(self, vrf: VrfSpec) -> Outcome:
        return (await self._rows.put(Vrf, {"name": vrf.name}, {}))[1]

    async def define_bng(self, bng: BngSpec) -> Outcome:
        return (await self._rows.put(Bng, {"name": bng.name}, {}))[1]

    async def define_site(self, site: SiteSpec) -> Outcome:
        return (await self._rows.put(Site, {"name": site.name}, {}))[1]

    async def define_plan(self, plan: PlanSpec) -> Outcome:
        """What a plan needs can't change under its live services: they would lack it, or hold too much."""

        async def guard(row: RowMapping, differing: set[str]) -> None:
            await self._rows.hold(AddressPlan, id=[row["id"]])
            await self._refuse_if_live(
                f"Plan {plan.name}", differing, Service.plan_id == row["id"], "Define a new plan beside it."
            )

        return (await self._rows.put(AddressPlan, {"name": plan.name}, plan.model_dump(exclude={"name"}), guard))[1]

    async def define_access_node(self, node: AccessNodeSpec) -> Outcome:
        """Ports are added, never removed. With live services a node stays at its BNG and its VLAN model."""

        async def guard(row: RowMapping, differing: set[str]) -> None:
            self._rows.told_anew = tuple(name for name in _TOLD if name in differing)
            if rooted := differing & {"site_id", "bng_id", "vlan_model"}:
                await self._rows.hold(Location, node_id=[row["id"]])
                behind = Service.location_id.in_(select(Location.id).where(Location.node_id == row["id"]))
                instead = [await self._behind_another(row["bng_id"], node.bng)] if "bng_id" in rooted else []
                instead += ["Move its services first."] if rooted > {"bng_id"} or not instead else []
                await self._refuse_if_live(f"Access node {node.name}", rooted, behind, " ".join(instead))

        values = {
            "kind": node.kind,
            "site_id": await self._rows.id_of("site", node.site),
            "bng_id": await self._rows.id_of("bng", node.bng),
            "vlan_model": node.vlan_model,
            "cpe_vlan_id": node.cpe_vlan_id,
            "management_vlan": node.management_vlan,
        }
        node_id, outcome = await self._rows.put(AccessNode, {"name": node.name}, values, guard)
        has_gained = await new_places.add_ports(self._rows, node_id, node.ports)
        return worst(outcome, "changed" if has_gained else "unchanged")

    async def define_location(self, place: LocationSpec) -> Outcome:
        """A premise with live services stays at its node, and at a port whose pool or VLAN they hold, or of which
        their C-VLAN was computed.

        Raises:
            AliasTaken: an alias leads elsewhere already.
        """
        await self._rows.be_alone()
        await self._rows.hold(Location, name=[place.id])  # before anything that leads to it leads elsewhere
        return await self._define_location(place, await aliases.give_up(self._rows, [place]))

    async def _define_location(self, place: LocationSpec, lost: set[str], added: Collection[str] = ()) -> Outcome:
        """``lost``: the premises to which less leads than before; ``added``: those that have just been added."""
        if place.id in added:
            return "created"
        node_id = await self._rows.id_of("access_node", place.access_node)
        port_id = None if place.port is None else await self._rows.port_id(node_id, place.access_node, place.port)

        async def guard(row: RowMapping, differing: set[str]) -> None:
            here = Service.location_id == row["id"]
            await self._rows.hold(Location, id=[row["id"]])
            if "node_id" in differing:
                await self._refuse_if_live(place.id, {"access node"}, here, "Release or move its services first.")
            elif any(row[name] is not None for name in differing & {"port_id", "onu"}):
                of_port = select(PoolBinding.pool_id).where(PoolBinding.port_id == row["port_id"])
                of_port_svlans = select(PoolBinding.svlan_id).where(PoolBinding.port_id == row["port_id"])
                computed = select(Pool.id).join(Svlan).where(Svlan.cvlan_formula.is_not(None))
                held = Allocation.pool_id.in_(of_port) | Allocation.pool_id.in_(computed)
                holders = select(Allocation.service_id).where(ASSIGNED, held)
                bound = Service.service_id.in_(holders) | Service.svlan_id.in_(of_port_svlans)
                await self._refuse_if_live(
                    place.id, differing - {"circuit_id"}, here & bound, "Release or move its services first."
                )

        values = {"node_id": node_id, "port_id": port_id, "onu": place.onu, "circuit_id": place.circuit_id}
        location_id, outcome = await self._rows.put(Location, {"name": place.id}, values, guard)
        has_gained = await aliases.take(self._rows, place, location_id)
        return worst(outcome, "changed" if has_gained or place.id in lost else "unchanged")

    async def define_prefix(self, prefix: PrefixSpec) -> Outcome:
        """A container, or a prefix of our own infrastructure.

        Raises:
            Overlap: with another assignable prefix.
        """
        await self._ensure_vrf(prefix.vrf)
        return await estate_pools.define_prefix(self._rows, parse_network(prefix.network), prefix.vrf, prefix.role)

    async def define_pool(self, pool: PoolSpec) -> Outcome:
        """A pool with its prefix, ranges, exclusions and bindings.

        Raises:
            EstateRefused: it is wrong in itself.
            Overlap: its prefix overlaps another assignable one.
            EstateInUse: it has been in use as another one, what would be excluded is assigned, or live IPoE services
                would have no gateway.
        """
        return await self._define_pool(pool, ())

    async def _define_pool(self, pool: PoolSpec, given_up: Collection[str]) -> Outcome:
        """``given_up``: the pools that have gone for others of their names."""
        await self._ensure_vrf(pool.vrf)
        return await estate_pools.define_pool(self._rows, pool, self._now(), given_up=given_up)

    async def define_vlan_group(self, group: VlanGroupSpec) -> Outcome:
        """
        Raises:
            EstateInUse: S-VLANs are defined outside of the new numbers.
        """
        usable = subtract(parse_vids(group.vids), parse_vids(group.reserved))

        async def guard(row: RowMapping, _: set[str]) -> None:
            present = await self._db.scalars(select(Svlan.vid).where(Svlan.group_id == row["id"]).order_by(Svlan.vid))
            outside = [vid for vid in present if subtract([(vid, vid)], usable)]
            if outside:
                raise EstateInUse(
                    f"VLAN group {group.name}",
                    change=f"S-VLAN {', '.join(map(str, outside))} would lie outside of it",
                    instead="Keep those numbers.",
                )

        return (await self._rows.put(VlanGroup, {"name": group.name}, {"vids": format_vids(usable)}, guard))[1]

    async def define_nat_rule(self, rule: NatRuleSpec) -> Outcome:
        """A rule of port blocks; another one that was in force ends, and stays known for its time.

        Raises:
            EstateRefused: with all that is wrong with it.
            OutsideShared, Overlap, EstateInUse: as ``PortBlocks.define_rule``.
        """
        await self._rows.be_alone()  # before it is looked at what time it is
        blocks = self._port_blocks()
        return await nat_rules.define_rule(blocks, rule, given_up=await nat_rules.give_up(blocks, [rule]))

    def _port_blocks(self) -> PortBlocks:
        """At one moment, at which one rule ends and the other begins."""
        at = self._now()
        return PortBlocks(self._db, tenant_id=self._rows.tenant_id, now=lambda: at)

    async def define_svlan(self, svlan: SvlanSpec) -> Outcome:
        """An S-VLAN, shared or with C-VLANs in it, and its bindings.

        Raises:
            EstateRefused: it is wrong in itself.
            EstateInUse: live services use it in the other way, or hold C-VLANs that would be excluded.
        """
        return await estate_pools.define_svlan(self._rows, svlan, self._now())

    async def _ensure_vrf(self, name: str) -> None:
        if name == DEFAULT_VRF:
            await self._rows.put(Vrf, {"name": name}, {})

    async def _behind_another(self, bng_id: int, described: str) -> str:
        """A description isn't told when its access node goes behind another BNG, so it may name the former one."""
        bng = await self._db.scalar(select(Bng.name).where(Bng.id == bng_id))
        former = f"if it was re-homed, {described} is its former BNG, so write {bng} in the description"
        return f"It is behind {bng}: {former}; else re-home it to {described}."

    async def _refuse_if_live(self, what: str, differing: set[str], which: Any, instead: str) -> None:
        live = await count_live(self._db, which)
        if live:
            names = ", ".join(sorted(name.removesuffix("_id") for name in differing))
            raise EstateInUse(what, change=f"{names}, while {live} live services depend on it", instead=instead)


def _refuse_if_any(in_the_way: Sequence[AliasTaken | EstateInUse]) -> None:
    """
    Raises:
        EstateRefused: with all of them; the one itself, if it is the only one.
    """
    if len(in_the_way) == 1:
        raise in_the_way[0]
    if in_the_way:
        raise EstateRefused([each.fault for each in in_the_way])
