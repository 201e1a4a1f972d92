"""How settings reach a CPE: into which row of a table, and whether that may cut the path they arrive on.

The number of a WAN is the CPE's own choice: instance 1 is often the one that carries the ACS itself. So a template says
by what a row is known, and the choice is made in the CPE's own session, from what it reports there. A path names the
numbers it leaves open: ``...WANConnectionDevice.{wan}.WANPPPConnection.{ppp}.Username``.

What was chosen stands at the ACS as a tag, ``row_<selector>_<number>...``, set in the very session that chose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Literal, cast

Management = Literal["separate_wan", "same_wan"]
MANAGEMENT: tuple[Management, ...] = ("separate_wan", "same_wan")
"""* separate_wan: the ACS reaches the CPE over another WAN; settings that would cut that one are refused.
* same_wan: over the one that is configured; it drops for a moment, and the next Inform tells how it went.
"""
Test = Literal["has", "is", "only"]
SignTest = Literal["has", "is", "host_of"]

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_ROW_TAG = re.compile(r"row_[a-z_]+(_[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Selector:
    """By what one row of a table is known. ``only``: there must be no more than this one."""

    name: str
    row: str
    """The row's path, an open number in braces each."""
    where: str
    """The parameter of the row that is looked at."""
    test: Test
    values: tuple[str, ...] = ()
    """For ``has``: one of them is a token of the comma list; for ``is``: one of them is the value."""

    @property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(PLACEHOLDER.findall(self.row))

    @property
    def words(self) -> str:
        """For a person: which row that is."""
        pattern = PLACEHOLDER.sub("*", self.row)
        if self.test == "only":
            return f"the only {pattern} with {self.where}"
        verb = "contains" if self.test == "has" else "is"
        return f"{pattern} whose {self.where} {verb} {' or '.join(self.values)}"

    def as_row(self) -> list[Any]:
        return [self.name, self.row, self.where, self.test, list(self.values)]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Selector:
        name, path, where, test, values = row
        return cls(name=name, row=path, where=where, test=test, values=tuple(values))

    def numbers_in(self, tags: Iterable[str]) -> dict[str, str] | None:
        """The open numbers by the tag that a session has left; None when there is none, or more than one."""
        wanted = re.compile(f"row_{self.name}" + r"_([0-9]+)" * len(self.placeholders))
        found = [match for match in map(wanted.fullmatch, tags) if match is not None]
        return dict(zip(self.placeholders, found[0].groups(), strict=True)) if len(found) == 1 else None

    def numbers_of(self, row: str) -> dict[str, str] | None:
        """The open numbers by a row's whole path; None when that is no row of this table."""
        found = _rows_like(self.row).fullmatch(row)
        return None if found is None else dict(zip(self.placeholders, found.groups(), strict=True))


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing by which a CPE shows that a row carries the connection to the ACS."""

    path: str
    test: SignTest
    values: tuple[str, ...]
    """Tokens, values, or for ``host_of`` the path of an address whose host the parameter is."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The parameters that are looked at."""
        return (self.path, *(self.values if self.test == "host_of" else ()))

    def as_row(self) -> list[Any]:
        return [self.path, self.test, list(self.values)]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Sign:
        path, test, values = row
        return cls(path=path, test=test, values=tuple(values))


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes with the settings: row choices, the management path, and for which models they are meant."""

    selectors: tuple[Selector, ...] = ()
    management: Management = "separate_wan"
    signs: tuple[Sign, ...] = ()
    restarting: tuple[str, ...] = ()
    """Parameters a change of which restarts the WAN."""
    models: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    """Both with * for any letters; none means any."""

    def as_json(self) -> dict[str, Any]:
        """JSON-able; a template that leaves nothing open gives ``{}``."""
        whole: dict[str, Any] = {
            "select": [selector.as_row() for selector in self.selectors],
            "signs": [sign.as_row() for sign in self.signs],
            "restarting": list(self.restarting),
            "models": list(self.models),
            "manufacturers": list(self.manufacturers),
        }
        kept = {key: value for key, value in whole.items() if value}
        return kept if self.management == "separate_wan" else {**kept, "management": self.management}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Delivery:
        return cls(
            selectors=tuple(map(Selector.from_row, said.get("select", ()))),
            management=cast(Management, said.get("management", "separate_wan")),
            signs=tuple(map(Sign.from_row, said.get("signs", ()))),
            restarting=tuple(said.get("restarting", ())),
            models=tuple(said.get("models", ())),
            manufacturers=tuple(said.get("manufacturers", ())),
        )

    def misfit(self, manufacturer: str | None, product_class: str | None) -> tuple[Sequence[str], str] | None:
        """The models that these settings are for, and what such a CPE reports instead; None where it fits.

        What a CPE does not tell of itself cannot be compared, and keeps it from nothing.
        """
        for reported, wanted in ((manufacturer, self.manufacturers), (product_class, self.models)):
            if reported and wanted and not any(fnmatchcase(reported, each) for each in wanted):
                return wanted, reported
        return None

    @property
    def guard(self) -> dict[str, Any] | None:
        """What the apply script looks for, so that it does not cut the path it arrived on."""
        if self.management == "same_wan" or not self.signs or not self.restarting:
            return None
        return {"signs": [sign.as_row() for sign in self.signs], "restarting": list(self.restarting)}


@dataclass(frozen=True, slots=True)
class ChosenRows:
    """The rows that a session has chosen, by the tags it left."""

    numbers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def by_tags(cls, selectors: Sequence[Selector], tags: Iterable[str]) -> ChosenRows | None:
        """None when not all of them have been chosen."""
        tags = list(tags)
        numbers: dict[str, str] = {}
        for selector in selectors:
            found = selector.numbers_in(tags)
            if found is None:
                return None
            numbers |= found
        return cls(numbers)

    def placed(self, path: str) -> str:
        """The path with its numbers; those that nobody has chosen stay open."""
        return PLACEHOLDER.sub(lambda found: self.numbers.get(found[1], found[0]), path)

    def rows(self, selectors: Sequence[Selector]) -> dict[str, str]:
        """The whole path of each chosen row, by its selector's name."""
        return {selector.name: self.placed(selector.row) for selector in selectors}


@cache
def _rows_like(row: str) -> re.Pattern[str]:
    return re.compile(PLACEHOLDER.sub(r"([1-9][0-9]*)", re.sub(r"[.\-]", r"\\\g<0>", row)))


def fits(path: str, pattern: str) -> bool:
    """Whether a whole path is one of those that leave numbers open, ``Device.PPP.Interface.{ppp}.Enable``."""
    return re.fullmatch(PLACEHOLDER.sub("[0-9]+", re.sub(r"[.\-]", r"\\\g<0>", pattern)), path) is not None


def is_row_tag(tag: str) -> bool:
    """Whether a session of ours left that tag to say which row it chose."""
    return _ROW_TAG.fullmatch(tag) is not None
