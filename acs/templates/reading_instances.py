"""``[instances]`` and ``[[management_signs]]`` of a template's file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from acs.templates.delivery import PLACEHOLDER, Selector, Sign, SignTest, Test

_NAME = re.compile(r"[a-z][a-z_]{0,30}")
_RELATIVE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SEGMENTS = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.([A-Za-z0-9_-]+|\{[a-z_]+\}))+")
_NOT_TO_BE_SHOWN = re.compile(r"pass|key|secret|psk", re.IGNORECASE)
_SELECTOR_KEYS = {"row", "where", "has", "is"}
_SHAPE = 'has to be { number = 1 } or above, or { row = "...{n}", where = "...", has or is = "..." }'


@dataclass(frozen=True, slots=True)
class Instances:
    """The numbers a template gives, and the selectors that find others."""

    numbers: Mapping[str, int]
    selectors: tuple[Selector, ...]

    @property
    def open_numbers(self) -> frozenset[str]:
        return frozenset(name for selector in self.selectors for name in selector.placeholders)

    def placed(self, path: str) -> str:
        """The path with the numbers that are given in place."""
        return PLACEHOLDER.sub(lambda found: str(self.numbers.get(found[1], found[0])), path)


def read_instances(raw: Mapping[str, Any], root: str) -> tuple[Instances, list[str]]:
    """The instances, and every fault among them."""
    faults: list[str] = []
    numbers: dict[str, int] = {}
    selectors: list[Selector] = []
    for name, chosen in raw.items():
        if isinstance(chosen, dict) and "row" in chosen:
            selector, wrong = _selector(name, chosen, root)
            selectors += [selector] if selector is not None else []
            faults += wrong
            continue
        number = chosen.get("number") if isinstance(chosen, dict) and set(chosen) == {"number"} else None
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            faults.append(f"instances.{name} {_SHAPE}")
            number = 1
        numbers[name] = number
    named = Counter([*numbers, *(open_ for selector in selectors for open_ in selector.placeholders)])
    faults += [f"instances: {{{name}}} is named more than once" for name, count in named.items() if count > 1]
    return Instances(numbers, tuple(selectors)), faults


def read_signs(raw: object, instances: Instances) -> tuple[tuple[Sign, ...], list[str]]:
    """The signs of management, and every fault among them."""
    if not isinstance(raw, list) or not all(isinstance(each, dict) for each in raw):
        return (), ["[[management_signs]] have to be tables"]
    signs: list[Sign] = []
    faults: list[str] = []
    for number, each in enumerate(raw, start=1):
        tests = set(each) - {"path"}
        test = next(iter(tests), "")
        values = _texts(each.get(test))
        if len(tests) != 1 or test not in ("has", "is", "host_of") or not values:
            faults.append(f"management sign {number}: needs a path, and one of has, is, host_of")
            continue
        paths = [each.get("path"), *(values if test == "host_of" else ())]
        wrong = [path for path in paths if not _is_path(path, instances)]
        faults += [f"management sign {number}: {path} is no parameter path" for path in wrong]
        if not wrong:
            placed = tuple(map(instances.placed, values)) if test == "host_of" else values
            signs.append(Sign(instances.placed(each["path"]), cast(SignTest, test), placed))
    return tuple(signs), faults


def _selector(name: str, raw: Mapping[str, Any], root: str) -> tuple[Selector | None, list[str]]:
    where = f"instances.{name}"
    faults = [f"{where}: unknown key {key}" for key in sorted(set(raw) - _SELECTOR_KEYS)]
    if not _NAME.fullmatch(name):
        faults.append(f"{where}: a selector's name has a-z and _ only")
    row, leaf = raw.get("row"), raw.get("where")
    if not isinstance(row, str) or not _SEGMENTS.fullmatch(row) or not row.startswith(f"{root}."):
        faults.append(f"{where}: row has to be a path of the data model with {{name}} for each open number")
    elif not PLACEHOLDER.search(row) or not row.endswith("}"):
        faults.append(f"{where}: row has to end in an open number, {{name}}")
    if not isinstance(leaf, str) or not _RELATIVE.fullmatch(leaf):
        faults.append(f"{where}: where has to name a parameter of the row")
    elif _NOT_TO_BE_SHOWN.search(leaf):
        faults.append(f"{where}: {leaf} may be a secret; choose by something that can be shown")
    tests = [test for test in ("has", "is") if test in raw]
    if len(tests) > 1 or any(not _texts(raw[test]) for test in tests):
        faults.append(f"{where}: needs has or is with text, or neither for a row that is the only one")
    if faults:
        return None, faults
    test = cast(Test, tests[0] if tests else "only")
    return Selector(name, str(row), str(leaf), test, _texts(raw.get(test))), []


def _is_path(path: object, instances: Instances) -> bool:
    if not isinstance(path, str) or not _SEGMENTS.fullmatch(path):
        return False
    return set(PLACEHOLDER.findall(path)) <= set(instances.numbers) | instances.open_numbers


def _texts(value: object) -> tuple[str, ...]:
    """One text or several; nothing for anything else."""
    values = value if isinstance(value, list) else [value]
    texts = tuple(each for each in values if isinstance(each, str) and each)
    return texts if len(texts) == len(values) else ()
