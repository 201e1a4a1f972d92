"""Pools that serve one another on stand in one VRF: when the first one is full, the next line would else be in another
routing table than its neighbours, and could be given the very address that one of them has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ipam.errors import Fault
from ipam.estate.bound import Bound, as_said
from ipam.estate.spec import PoolSpec
from ipam.kinds import ROUTED


class Links(NamedTuple):
    """Where a pool serves other ones on, or is served on by them: what is bound to one place, for one plan or for all,
    is filled one after the other (``ipam.allocation.chains``), whatever their priority."""

    kind: str
    vrf: str
    places: frozenset[Bound]


def links(kind: str, vrf: str | None, framed_pool: str | None, bound: Iterable[Bound]) -> Links | None:
    """None: in no chain. Routed prefixes are taken of the pool that is named, whichever it is, and what a pool of the
    BNG's own holds is none of ours."""
    if vrf is None or framed_pool is not None or kind in ROUTED:
        return None
    return Links(kind, vrf, frozenset(each._replace(priority=0) for each in bound))


def chains_of_several(pools: Sequence[PoolSpec], known: Mapping[str, Links]) -> Iterator[Fault]:
    """Of these pools those that would go on, or be gone on with, in another VRF; but not what is so already. ``known``:
    those that are there, by their names."""
    said = {each.name: links(each.kind, each.vrf, each.framed_pool, as_said(each.bindings)) for each in pools}
    chains: defaultdict[tuple[str, Bound], dict[str, str]] = defaultdict(dict)
    for name, linked in {**known, **said}.items():
        if linked is not None:
            for place in linked.places:
                chains[linked.kind, place][name] = linked.vrf
    for name, linked in sorted(said.items()):
        if linked is None or linked == known.get(name):
            continue
        beside = [other for place in linked.places for other in chains[linked.kind, place].items()]
        elsewhere = sorted({f"{other} (VRF {vrf})" for other, vrf in beside if vrf != linked.vrf})
        if elsewhere:
            yield Fault(
                f"pool {name}",
                f"is bound to the same place, for the same plan, as {', '.join(elsewhere)}, which stands in another"
                " VRF: when one is full, lines would be given addresses of the other's routing table; bind each for"
                " plans of its own",
            )
