"""What an import has changed in the network, in a few lines however large it is."""

from __future__ import annotations

from collections.abc import Iterable
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


def grouped(changes: Iterable[Change]) -> list[ChangedParts]:
    """By their kind and by what became of them, in the order in which they came."""
    names: dict[tuple[str, Literal["created", "changed"]], list[str]] = {}
    for change in changes:
        if change.outcome != "unchanged":
            names.setdefault((change.part, change.outcome), []).append(change.name)
    return [ChangedParts(*kind, len(each), tuple(each[:MOST_NAMED])) for kind, each in names.items()]
