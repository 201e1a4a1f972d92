"""All that is wrong with a description of the network, found at once and before anything is written."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from ipam.addresses import format_vids, parse_network, parse_vids
from ipam.errors import Fault
from ipam.estate.clashes import PresentPool, TakenPrefix, clashes, overlaps
from ipam.estate.gateways import GatewayInUse
from ipam.estate.layout import pool_faults, svlan_faults
from ipam.estate.one_vrf import Links, chains_of_several
from ipam.estate.spec import (
    DEFAULT_VRF,
    BindingSpec,
    NatRuleSpec,
    NetworkEstateSpec,
    PoolSpec,
    Spec,
    SvlanSpec,
    VlanGroupSpec,
)
from ipam.nat.deterministic import rule_faults
from ipam.units import Interval, count, subtract

KIND_OF = {"vlan_group": "VLAN group", "access_node": "access node", "bng": "BNG", "vrf": "VRF", "svlan": "S-VLAN"}


@dataclass
class KnownNames:
    """Names that a description may refer to although it doesn't define them: those in the database already."""

    names: dict[str, set[str]] = field(default_factory=dict)
    ports: set[tuple[str, str]] = field(default_factory=set)
    group_vids: dict[str, str] = field(default_factory=dict)
    """VLAN group to its usable numbers."""
    ipoe_plans: set[str] = field(default_factory=set)
    pools: dict[str, tuple[str, str | None, str | None]] = field(default_factory=dict)
    """Pool to its kind, prefix and role; the prefix of one that the BNG hands out is none of ours."""
    present: dict[str, PresentPool] = field(default_factory=dict)
    taken: list[TakenPrefix] = field(default_factory=list)
    links: Mapping[str, Links] = field(default_factory=dict)
    """Pool to where it serves other ones on, of those that do."""
    gateways: Mapping[str, GatewayInUse] = field(default_factory=dict)
    """Pool to its gateway, of those that are described without the one that somebody needs."""

    def has(self, kind: str, name: str) -> bool:
        return name in self.names.get(kind, set()) or (kind == "vrf" and name == DEFAULT_VRF)


def validate_estate(data: Mapping[str, Any] | NetworkEstateSpec, known: KnownNames | None = None) -> list[Fault]:
    """Every fault of a description (a parsed TOML file, or the model); an empty list means that it can be applied.

    ``known`` are names outside of it. Entries that are wrong in themselves still count as defined, so that one slip
    isn't reported once more by everything that refers to it.
    """
    if isinstance(data, NetworkEstateSpec):
        return list(_faults_of_whole(data, known or KnownNames()))
    spec, faults, claimed = _read(data, known or KnownNames())
    return [*faults, *_faults_of_whole(spec, claimed)]


def _read(data: Mapping[str, Any], known: KnownNames) -> tuple[NetworkEstateSpec, list[Fault], KnownNames]:
    """The entries that are right in themselves, the faults of the others, and the names those others claim."""
    models = {info.alias or name: get_args(info.annotation)[0] for name, info in NetworkEstateSpec.model_fields.items()}
    claimed = KnownNames(
        {kind: set(names) for kind, names in known.names.items()},
        set(known.ports),
        dict(known.group_vids),
        set(known.ipoe_plans),
        dict(known.pools),
        known.present,
        known.taken,
        known.links,
        known.gateways,
    )
    faults: list[Fault] = []
    wrong: set[tuple[str, str | None]] = set()
    right: dict[str, list[Spec]] = {}
    for section, entries in data.items():
        if section not in models:
            faults.append(Fault(section, f"is no part of a network description; known are {', '.join(models)}"))
        elif not isinstance(entries, list | tuple):
            faults.append(Fault(section, f"must be a list; write [[{section}]]"))
        else:
            for number, entry in enumerate(entries, start=1):
                try:
                    right.setdefault(section, []).append(models[section].model_validate(entry))
                except ValidationError as exc:
                    faults.extend(_entry_faults(section, number, entry, exc, models[section]))
                    _claim(section, entry, claimed)
                    wrong.add((section, _name_in(entry)))
    claimed.taken = [part for part in known.taken if (part.section, part.name) not in wrong]
    claimed.links = {pool: linked for pool, linked in known.links.items() if ("pool", pool) not in wrong}
    return NetworkEstateSpec.model_validate(right), faults, claimed


def _entry_faults(section: str, number: int, entry: Any, exc: ValidationError, model: type[Spec]) -> Iterator[Fault]:
    name = _name_in(entry)
    where = f"{section} {name}" if name else f"{section} number {number}"
    for error in exc.errors(include_url=False, include_input=False):
        path = ".".join(str(step) for step in error["loc"])
        words = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            words = _known_instead(BindingSpec if len(error["loc"]) > 1 else model, str(error["loc"][-1]))
        yield Fault(f"{where}: {path}" if path else where, words)


def _known_instead(model: type[Spec], said: str) -> str:
    """The key that was meant, if one is close to it; else all there are. As ``radius.known`` has it, which no other
    package of this floor may import."""
    known = [info.alias or name for name, info in model.model_fields.items()]
    close = get_close_matches(said, known, n=1, cutoff=0.8)
    return "is not known here; " + (f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}")


def _name_in(entry: Any) -> str | None:
    named_by = ("name", "id", "network", "pool")
    name = next((entry[key] for key in named_by if entry.get(key)), None) if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else None


def _claim(section: str, entry: Any, claimed: KnownNames) -> None:
    if name := _name_in(entry):
        claimed.names.setdefault(section, set()).add(name)
        ports = entry.get("ports", ())
        if section == "access_node" and isinstance(ports, list | tuple):
            claimed.ports |= {(name, port) for port in ports if isinstance(port, str)}


def _faults_of_whole(spec: NetworkEstateSpec, known: KnownNames) -> Iterator[Fault]:
    here = _names_of(spec, known)
    yield from _twice(spec)
    yield from _unknown_references(spec, here)
    for pool in spec.pools:
        for fault in pool_faults(pool):
            yield Fault(f"pool {pool.name}", fault)
        yield from _gateway_for_ipoe(pool, here)
        yield from _gateway_in_use(pool, known)
    for svlan in spec.svlans:
        for fault in svlan_faults(svlan):
            yield Fault(f"svlan {svlan.name}", fault)
        yield from _outside_group(svlan, here)
    for group in spec.vlan_groups:
        yield from _faults_of_group(group)
    for rule in spec.nat_rules:
        yield from _faults_of_rule(rule, here)
    yield from overlaps(spec)
    yield from clashes(spec, known.present, known.taken)
    yield from chains_of_several(spec.pools, known.links)


def _names_of(spec: NetworkEstateSpec, known: KnownNames) -> KnownNames:
    names = {kind: set(known_names) for kind, known_names in known.names.items()}
    for kind, entries in _sections(spec):
        names.setdefault(kind, set()).update(entry.name for entry in entries)
    group_vids = dict(known.group_vids)
    for group in spec.vlan_groups:
        group_vids[group.name] = format_vids(subtract(parse_vids(group.vids), parse_vids(group.reserved)))
    ports = {(node.name, port) for node in spec.access_nodes for port in node.ports}
    mentioned = {plan.name for plan in spec.plans}
    ipoe = {plan.name for plan in spec.plans if plan.access == "ipoe"} | (known.ipoe_plans - mentioned)
    pools = {pool.name: (pool.kind, None if pool.framed_pool else pool.network, pool.its_role) for pool in spec.pools}
    return KnownNames(names, known.ports | ports, group_vids, ipoe, {**known.pools, **pools})


def _sections(spec: NetworkEstateSpec) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for name, info in NetworkEstateSpec.model_fields.items():
        yield info.alias or name, getattr(spec, name)


def _twice(spec: NetworkEstateSpec) -> Iterator[Fault]:
    for kind, entries in _sections(spec):
        for name in _repeated(entry.name for entry in entries):
            yield Fault(f"{kind} {name}", "is defined twice")
    for node in spec.access_nodes:
        for port in _repeated(node.ports):
            yield Fault(f"access_node {node.name}", f"port {port} is listed twice")
    led_to: defaultdict[str, list[str]] = defaultdict(list)
    for place in spec.locations:
        for alias in sorted(place.found_by):
            led_to[alias].append(place.id)
    for alias, places in led_to.items():
        if len(places) > 1:
            yield Fault(f"location {', '.join(sorted(places))}", f"{alias} would lead to each of them")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _unknown_references(spec: NetworkEstateSpec, here: KnownNames) -> Iterator[Fault]:
    for node in spec.access_nodes:
        yield from _must_exist(f"access_node {node.name}", here, site=node.site, bng=node.bng)
    for place in spec.locations:
        where = f"location {place.id}"
        yield from _must_exist(where, here, access_node=place.access_node)
        if place.port is not None:
            yield from _port_must_exist(where, here, place.access_node, place.port)
    for prefix in spec.prefixes:
        yield from _must_exist(f"prefix {prefix.network}", here, vrf=prefix.vrf)
    for pool in spec.pools:
        yield from _must_exist(f"pool {pool.name}", here, vrf=pool.vrf)
        yield from _bindings_faults(f"pool {pool.name}", here, pool.bindings)
    for svlan in spec.svlans:
        yield from _must_exist(f"svlan {svlan.name}", here, vlan_group=svlan.group)
        yield from _bindings_faults(f"svlan {svlan.name}", here, svlan.bindings)


def binding_fault(binding: BindingSpec) -> str | None:
    """What is wrong with a binding by itself."""
    if binding.port is not None and binding.access_node is None:
        return f"a binding to port {binding.port} must name its access_node"
    if sum(place is not None for place in (binding.bng, binding.site, binding.access_node)) != 1:
        return "a binding names exactly one of bng, site and access_node (and may add a port)"
    return None


def _bindings_faults(where: str, here: KnownNames, bindings: tuple[BindingSpec, ...]) -> Iterator[Fault]:
    for binding in bindings:
        if fault := binding_fault(binding):
            yield Fault(where, fault)
            continue
        yield from _must_exist(
            where, here, bng=binding.bng, site=binding.site, access_node=binding.access_node, plan=binding.plan
        )
        if binding.port is not None and binding.access_node is not None:
            yield from _port_must_exist(where, here, binding.access_node, binding.port)
    if len({binding.model_copy(update={"priority": 0}) for binding in bindings}) < len(bindings):
        yield Fault(where, "is bound twice to the same place for the same plan")


def _must_exist(where: str, here: KnownNames, **names: str | None) -> Iterator[Fault]:
    for kind, name in names.items():
        if name is not None and not here.has(kind, name):
            yield Fault(where, f"there is no {KIND_OF.get(kind, kind)} {name}")


def _port_must_exist(where: str, here: KnownNames, node: str, port: str) -> Iterator[Fault]:
    if here.has("access_node", node) and (node, port) not in here.ports:
        yield Fault(where, f"access node {node} has no port {port}")


def _gateway_for_ipoe(pool: PoolSpec, here: KnownNames) -> Iterator[Fault]:
    if pool.kind == "ipv4" and pool.gateway is None and pool.framed_pool is None:
        for plan in sorted({binding.plan for binding in pool.bindings if binding.plan in here.ipoe_plans} - {None}):
            yield Fault(f"pool {pool.name}", f"serves the IPoE plan {plan} and so needs a gateway")


def _gateway_in_use(pool: PoolSpec, known: KnownNames) -> Iterator[Fault]:
    needed, present = known.gateways.get(pool.name), known.present.get(pool.name)
    if pool.gateway is None and needed is not None and present is not None and present.is_as(pool):
        yield Fault(f"pool {pool.name}", f"{needed.change}; {needed.instead}")


def _outside_group(svlan: SvlanSpec, here: KnownNames) -> Iterator[Fault]:
    usable: list[Interval] | None = None
    if svlan.group in here.group_vids:
        text = here.group_vids[svlan.group]
        usable = parse_vids(text.split(",")) if text else []
    if usable is not None and count(subtract([(svlan.vid, svlan.vid)], usable)):
        yield Fault(f"svlan {svlan.name}", f"VLAN group {svlan.group} may not use {svlan.vid}")


def _faults_of_group(group: VlanGroupSpec) -> Iterator[Fault]:
    where, vids = f"vlan_group {group.name}", parse_vids(group.vids)
    if not vids:
        yield Fault(where, "vids: is empty; it takes the S-VLANs of the group, and reserved those that nobody may use")
    elif outside := subtract(parse_vids(group.reserved), vids):
        yield Fault(where, f"reserved: {format_vids(outside)} is not among its vids {format_vids(vids)}")


def _faults_of_rule(rule: NatRuleSpec, here: KnownNames) -> Iterator[Fault]:
    where = f"nat_rule {rule.pool}"
    yield from _must_exist(where, here, pool=rule.pool, vrf=rule.vrf)
    if rule.pool in here.pools:
        kind, network, role = here.pools[rule.pool]
        inside = parse_network(network) if network else None
        for fault in rule_faults(rule.terms, pool=rule.pool, kind=kind, role=role, inside=inside):
            yield Fault(where, fault.what)
