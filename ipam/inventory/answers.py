"""What is answered about files of allocations, and about RADIUS compared with what is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict


class ImportCounts(TypedDict):
    """What a file comes to: its ``lines``, new ``services``, new units by their state.

    ``updated`` units are reserved from that system and have new words; ``unchanged`` ones are already as the file says.
    ``skipped`` lines are left out: they are no allocations (the network of a pool, an attribute that gives no address),
    a line before has the same (an address that NetBox has for several routers, phpIPAM in several sections), or,
    ``outside_pools``, rows of the radius database that lie outside of every pool; ``first_outside`` names some.
    ``mapping_unused`` are usernames and addresses of the mapping that stand in no allocation of the file (it may know
    more than the file has, or spell it otherwise); ``first_unused`` names some.
    """

    lines: int
    services: int
    assigned: int
    reserved: int
    quarantine: int
    updated: int
    unchanged: int
    skipped: int
    outside_pools: int
    first_outside: list[str]
    mapping_unused: int
    first_unused: list[str]


@dataclass(frozen=True)
class CheckedImport:
    """What a file would come to, and all that is wrong with its lines, by their numbers."""

    faults: dict[int, list[str]]
    counts: ImportCounts


DifferenceKind = Literal[
    "missing_in_radius",
    "unknown_to_ipam",
    "reserved_otherwise",
    "held_otherwise",
    "given_twice",
    "outside_pools",
    "unfit",
    "mismatched",
]


class Difference(TypedDict):
    """One username of which RADIUS says something else than what is allocated.

    ``difference``: *missing_in_radius* (a service holds what RADIUS gives to nobody), *unknown_to_ipam* (RADIUS gives
    addresses to a name that no live service has), *reserved_otherwise* (it gives such a name what is reserved for
    something else), *held_otherwise* (what a service holds, or has just given back), *given_twice* (what it gives to
    another name, too), *outside_pools* (what no pool holds, or lies in), *unfit* (what no pool hands out: no address,
    of another size or kind than its pool, around a pool, excluded or drained there), *mismatched* (a service holds
    something, and RADIUS gives something else). ``ipam`` and ``radius`` hold what only one of them has, each as
    ``Attribute=value``.
    """

    difference: DifferenceKind
    username: str
    service_id: int | None
    customer_id: int | None
    ipam: list[str]
    radius: list[str]
