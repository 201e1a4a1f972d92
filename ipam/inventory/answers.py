"""What is answered about files of allocations, and about RADIUS compared with what is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from typing_extensions import TypedDict


class ImportCounts(TypedDict):
    """What a file comes to: its ``lines``, new ``services``, new units by their state.

    ``unchanged`` units are already as the file says; ``skipped`` lines are no allocations (the network of a pool, an
    attribute that gives no address).
    """

    lines: int
    services: int
    assigned: int
    reserved: int
    quarantine: int
    unchanged: int
    skipped: int


@dataclass(frozen=True)
class CheckedImport:
    """What a file would come to, and all that is wrong with its lines, by their numbers."""

    faults: dict[int, list[str]]
    counts: ImportCounts


class Difference(TypedDict):
    """One username of which RADIUS says something else than what is allocated.

    ``difference``: *missing_in_radius* (a service holds what RADIUS gives to nobody), *unknown_to_ipam* (RADIUS gives
    addresses to a name that no live service has), *mismatched* (both, and not the same). ``ipam`` and ``radius`` hold
    what only one of them has, each as ``Attribute=value``.
    """

    difference: Literal["missing_in_radius", "unknown_to_ipam", "mismatched"]
    username: str
    service_id: int | None
    customer_id: int | None
    ipam: list[str]
    radius: list[str]
