"""Where a description contradicts itself or what is there: prefixes that overlap, pools that would become others.

On overlaps the database has the last word (``ipam.ddl``), one at a time. Here all are found beforehand, but none with
what the description itself gives up, which it does before it takes anything.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ipam.addresses import Family, Network, parse_network
from ipam.errors import Fault
from ipam.estate.by_hand import ANOTHER, ByHand
from ipam.estate.spec import NetworkEstateSpec, PoolSpec

RETIRED = "it was retired, and its name stands in the history of its addresses"
"""Why a pool's name is not another one's."""


@dataclass(frozen=True)
class TakenPrefix:
    """An assignable prefix and what it is of, by its section and name in a description."""

    section: Literal["pool", "prefix", "nat_rule"]
    name: str
    vrf: str
    network: Network

    @property
    def where(self) -> str:
        return f"{self.section} {self.name}"


@dataclass(frozen=True)
class PresentPool:
    """A pool that is there. ``past``: what refers to it as it is, in words; ``former``: (VRF, network) of what its
    prefix was before it was shrunk, and until when; ``by_hand``: what operators have done in it."""

    kind: str
    unit_length: int | None
    framed_pool: str | None
    network: str | None
    role: str | None
    vrf: str | None
    is_retired: bool
    past: Sequence[str]
    former: Mapping[tuple[str, str], datetime]
    by_hand: ByHand | None

    def is_as(self, spec: PoolSpec) -> bool:
        """Whether its units are the same ones, handed out by the same."""
        mine = (self.kind, self.unit_length, self.framed_pool, self.network, self.vrf)
        return mine == (spec.kind, spec.its_unit_length, spec.framed_pool, spec.network, spec.vrf)

    def why_not(self, spec: PoolSpec) -> str | None:
        """Why it can't become another one, and what to do instead; None: it can."""
        if not self.past:
            return None if self.by_hand is None else f"{self.by_hand.change}; {self.by_hand.instead}"
        alike = (self.kind, self.unit_length, self.framed_pool) == (spec.kind, spec.its_unit_length, spec.framed_pool)
        until = self.former.get((spec.vrf, spec.network)) if alike else None
        if until is not None:
            return f"{was_its_prefix(spec.network, until)}; write {self.network} in the description"
        return f"{becomes_another(self.past)}; define a new pool beside it and unbind this one"


def was_its_prefix(network: str, until: datetime) -> str:
    return f"{network} was its prefix until {until:%Y-%m-%d %H:%M} UTC, when it was shrunk"


def becomes_another(past: Sequence[str]) -> str:
    return f"{ANOTHER}, though it {' and '.join(past)}"


def sentence(words: str) -> str:
    """What stands among other words in a fault, by itself."""
    return f"{words[:1].upper()}{words[1:]}."


def overlaps(spec: NetworkEstateSpec) -> Iterator[Fault]:
    """Of assignable prefixes within a VRF, and of rules' outsides in whichever."""
    described = _assignable(spec)
    for each, other in _overlapping(described, _vrf):
        yield _overlap(each, other)
    for each, other in _overlapping([part for part in described if part.section == "nat_rule"], _any_vrf):
        if each.vrf != other.vrf:
            yield _overlap(each, other)


def clashes(spec: NetworkEstateSpec, pools: Mapping[str, PresentPool], taken: Iterable[TakenPrefix]) -> Iterator[Fault]:
    """With the pools and the assignable prefixes that are there."""
    own = {pool.name for pool in spec.pools}
    for pool in spec.pools:
        present = pools.get(pool.name)
        if present is not None and present.is_retired:
            instead = "take it out of the description, or give the new pool another name"
            yield Fault(f"pool {pool.name}", f"{RETIRED}; {instead}")
        elif present is not None and not present.is_as(pool) and (why := present.why_not(pool)) is not None:
            own.discard(pool.name)
            yield Fault(f"pool {pool.name}", why)
    described = {"pool": own, "nat_rule": {rule.pool for rule in spec.nat_rules}}
    prefixes = {(prefix.network, prefix.vrf) for prefix in spec.prefixes}
    staying = [
        part
        for part in taken
        if part.name not in described.get(part.section, ())
        and not (part.section == "prefix" and (part.name, part.vrf) in prefixes)
    ]
    by_vrf = _in_order(staying, _vrf)
    rules = _in_order((part for part in staying if part.section == "nat_rule"), _any_vrf)
    for each in _assignable(spec):
        met = [*_met(by_vrf, each, _vrf), *(_met(rules, each, _any_vrf) if each.section == "nat_rule" else ())]
        for other in {id(part): part for part in met if part.where != each.where}.values():
            yield _overlap(each, other, "which is there already")


def _assignable(spec: NetworkEstateSpec) -> list[TakenPrefix]:
    found = [TakenPrefix("pool", pool.name, pool.vrf, parse_network(pool.network)) for pool in spec.pools]
    found += [
        TakenPrefix("prefix", prefix.network, prefix.vrf, parse_network(prefix.network))
        for prefix in spec.prefixes
        if prefix.role != "container"
    ]
    return found + [
        TakenPrefix("nat_rule", rule.pool, rule.vrf, parse_network(rule.outside)) for rule in spec.nat_rules
    ]


def _vrf(part: TakenPrefix) -> str:
    return part.vrf


def _any_vrf(_: TakenPrefix) -> str:
    return ""


def _overlap(each: TakenPrefix, other: TakenPrefix, *more: str) -> Fault:
    overlap = f"{each.network} overlaps {other.network} of {other.where} in VRF {other.vrf}"
    if each.vrf != other.vrf:
        more = (*more, "and whoever asks for the holder of a port knows no VRF")
    return Fault(each.where, ", ".join([overlap, *more]))


def _overlapping(
    parts: Iterable[TakenPrefix], space: Callable[[TakenPrefix], str]
) -> Iterator[tuple[TakenPrefix, TakenPrefix]]:
    """Sorted, each needs to be held against the widest before it only."""
    widest: TakenPrefix | None = None
    for each in sorted(
        parts, key=lambda part: (space(part), part.network.family, part.network.first, part.network.length)
    ):
        network = each.network
        if widest and space(widest) == space(each) and widest.network.holds(network.family, network.first):
            yield each, widest
        else:
            widest = each


_Ordered = Mapping[tuple[str, Family], Sequence[TakenPrefix]]


def _in_order(parts: Iterable[TakenPrefix], space: Callable[[TakenPrefix], str]) -> _Ordered:
    found: defaultdict[tuple[str, Family], list[TakenPrefix]] = defaultdict(list)
    for part in sorted(parts, key=lambda part: part.network.first):
        found[space(part), part.network.family].append(part)
    return found


def _met(present: _Ordered, each: TakenPrefix, space: Callable[[TakenPrefix], str]) -> Sequence[TakenPrefix]:
    """What is there is disjoint, and so ends in the order in which it begins."""
    parts = present.get((space(each), each.network.family), ())
    first = bisect_left(parts, each.network.first, key=lambda part: part.network.last)
    return parts[first : bisect_right(parts, each.network.last, key=lambda part: part.network.first)]
