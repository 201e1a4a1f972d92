"""What an import has changed in the network, in a few lines however large it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ipam import Change

MOST_NAMED = 10
"""Of one kind so many are named, besides how many there are."""


@dataclass(frozen=True)
class ChangedParts:
    """How many parts of one kind were created or changed, and the names of the first of them."""

    part: str
    outcome: Literal["created", "changed"]
    count: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
        return f"{self.part} {self.outcome}: {', '.join(self.names)}{more}"


@dataclass(frozen=True)
class Unserved:
    """A pool or an S-VLAN that was bound elsewhere, how many live services keep something of it all the same, and the
    numbers of the first of them."""

    part: str
    name: str
    count: int
    service_ids: tuple[int, ...]

    def __str__(self) -> str:
        whose = services_in_words(self.count, self.service_ids)
        return (
            f"{self.part} {self.name} no longer serves {whose}: they go on with what they have of it, and"
            " `firstlight addresses move`, to where they are, gives them what serves them there"
        )


def services_in_words(count: int, first: Sequence[int]) -> str:
    """``count`` services, of which the ``first`` are named."""
    more = f" and {count - len(first)} more" if count > len(first) else ""
    return f"service{'s' if count > 1 else ''} {', '.join(map(str, first))}{more}"


def unserved(changes: Iterable[Change]) -> list[Unserved]:
    """Of all that were changed."""
    return [
        Unserved(each.part, each.name, len(each.unserved), each.unserved[:MOST_NAMED])
        for each in changes
        if each.unserved
    ]


def grouped(changes: Iterable[Change]) -> list[ChangedParts]:
    """By their kind and by what became of them, in the order in which they came."""
    names: dict[tuple[str, Literal["created", "changed"]], list[str]] = {}
    for change in changes:
        if change.outcome != "unchanged":
            names.setdefault((change.part, change.outcome), []).append(change.name)
    return [ChangedParts(*kind, len(each), tuple(each[:MOST_NAMED])) for kind, each in names.items()]
