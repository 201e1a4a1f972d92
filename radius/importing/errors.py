"""Why a file of subscribers was not brought in: a branch of the tree in ``radius.errors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from radius.errors import RadiusError


class ImportUnreadable(RadiusError):
    """This is no list of subscribers."""

    code = "radius.import_unreadable"

    def __init__(self, why: str) -> None:
        super().__init__(f"The subscribers can't be read: {why}.")


class ImportRefused(RadiusError):
    """Lines of a list of subscribers are wrong."""

    code = "radius.import_refused"
    MOST_NAMED: ClassVar[int] = 10

    def __init__(self, by_line: Mapping[int, Sequence[str]], names: Mapping[int, str] = MappingProxyType({})) -> None:
        """``by_line``: all that is wrong with each line, by its number. ``names``: the usernames of lines that no file
        has, where they could be looked up."""
        self.by_line = {line: tuple(faults) for line, faults in sorted(by_line.items()) if faults}
        of = {line: f" ({names[line]})" if line in names else "" for line in self.by_line}
        self.faults = tuple((f"line {line}{of[line]}", what) for line, found in self.by_line.items() for what in found)
        listed = "; ".join(f"{where}: {what}" for where, what in self.faults[: self.MOST_NAMED])
        more = "; ..." if len(self.faults) > self.MOST_NAMED else ""
        super().__init__(
            f"The list has {len(self.faults)} fault(s) in {len(self.by_line)} line(s), nothing of it was written:"
            f" {listed}{more}."
        )
