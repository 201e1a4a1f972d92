"""What a mail asks for, read from its templates: each variable, its kind, and whether it may be left out.

The kind is that of the filter it goes through; a variable that is asked ``is defined`` may be left out; one that is
looped over is a list, whose items have the parts that the loop uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jinja2 import Environment, meta, nodes

Kind = Literal["text", "day", "moment", "money", "address", "link", "list"]

KIND_OF_FILTER: dict[str, Kind] = {
    "day": "day",
    "moment": "moment",
    "clock": "moment",
    "money": "money",
    "web": "address",
    "link": "link",
    "ends": "link",
}


@dataclass(frozen=True)
class MailVariable:
    """One variable. ``parts``: of a list, what each of its items must have."""

    name: str
    kind: Kind
    optional: bool = False
    parts: tuple[MailVariable, ...] = ()


def asked_for(environment: Environment, sources: Iterable[str], given: Iterable[str]) -> dict[str, MailVariable]:
    """The variables of templates that make one mail, by name, without those that every template is given."""
    trees = [environment.parse(source) for source in sources]
    names = {name for tree in trees for name in meta.find_undeclared_variables(tree)} - set(given)
    names -= {each.target for tree in trees for each in tree.find_all(nodes.Import)}  # a block looks for it outside
    seen = _Seen()
    for tree in trees:
        seen.look_at(tree)
    return {name: seen.variable(name) for name in sorted(names)}


class _Seen:
    """What was seen of names while going through the templates: ``line.total`` of a loop over ``lines`` is a part."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, ...], Kind] = {}
        self._optional: set[str] = set()
        self._loops: dict[str, str] = {}  # a loop's own name -> the list
        self._parts: dict[str, set[str]] = {}

    def look_at(self, tree: nodes.Template) -> None:
        for loop in tree.find_all(nodes.For):
            if isinstance(loop.iter, nodes.Name) and isinstance(loop.target, nodes.Name):
                self._loops[loop.target.name] = loop.iter.name
                self._parts.setdefault(loop.iter.name, set())
        for part in tree.find_all(nodes.Getattr):
            path = self._path(part)
            if len(path) == 2 and path[0] in self._parts:
                self._parts[path[0]].add(path[1])
        for test in tree.find_all(nodes.Test):
            if test.name == "defined" and isinstance(test.node, nodes.Name):
                self._optional.add(test.node.name)
        for through in tree.find_all(nodes.Filter):
            if through.name in KIND_OF_FILTER and (path := self._path(through.node)):
                self._kinds[path] = KIND_OF_FILTER[through.name]

    def variable(self, name: str) -> MailVariable:
        optional = name in self._optional
        if name in self._parts:
            kinds = {part: self._kinds.get((name, part), "text") for part in sorted(self._parts[name])}
            parts = tuple(MailVariable(part, kind) for part, kind in kinds.items())
            return MailVariable(name, "list", optional, parts)
        return MailVariable(name, self._kinds.get((name,), "text"), optional)

    def _path(self, node: nodes.Node | None) -> tuple[str, ...]:
        if isinstance(node, nodes.Name):
            return (self._loops.get(node.name, node.name),)
        if isinstance(node, nodes.Getattr) and (above := self._path(node.node)):
            return (*above, node.attr)
        return ()
