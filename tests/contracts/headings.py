"""The contract as it was written down, ``headings.md``, read: what is compared is never typed a second time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

HEADINGS = Path(__file__).with_name("headings.md")
TYPES: dict[str, type] = {"int": int, "str": str, "bool": bool, "Decimal": Decimal}

_SERVICE = re.compile(r"## \d+\. .+ \((\w+)\)")
_METHOD = re.compile(r"### (\w+)\((.*)\)")
_USED_IN = re.compile(r"\*\*Used In\*\*: (.+)")
_MAIL = re.compile(r"- (\w+)")
_PARAMETER = re.compile(r"\b(\w+): (int|str|bool|Decimal)\b")
_KEY = re.compile(r'"(\w+)": (int|str|bool|Decimal)\b')
_TOTAL = re.compile(r"\*\*Total Methods Required\*\*: (\d+)")


@dataclass
class Promise:
    """One method. ``types``: of those parameters whose type is told; ``returns``: the keys of the answer, if told."""

    service: str
    method: str
    parameters: list[str]
    used_in: str = ""
    types: dict[str, type] = field(default_factory=dict)
    returns: dict[str, type] = field(default_factory=dict)


@dataclass
class Headings:
    """All of it: the methods by service and name, how many they are said to be, and the mails that are named."""

    total: int
    methods: dict[tuple[str, str], Promise]
    mails: set[str]


def read_headings() -> Headings:
    lines = HEADINGS.read_text(encoding="utf-8").splitlines()
    methods = {(one.service, one.method): one for one in _promises(lines)}
    [total] = [int(found[1]) for line in lines if (found := _TOTAL.fullmatch(line))]
    return Headings(total, methods, {found[1] for line in lines if (found := _MAIL.fullmatch(line))})


def _promises(lines: list[str]) -> Iterator[Promise]:
    service, promise, in_code = "", None, False
    for line in lines:
        if line.startswith("```"):
            in_code = not in_code
        elif found := _SERVICE.fullmatch(line):
            service = found[1]
        elif found := _METHOD.fullmatch(line):
            promise = Promise(service, found[1], found[2].split(", "))
            yield promise
        elif promise is not None and (found := _USED_IN.fullmatch(line)):
            promise.used_in = found[1]
        elif promise is not None and in_code:
            promise.types |= {name: TYPES[kind] for name, kind in _PARAMETER.findall(line)}
            promise.returns |= {name: TYPES[kind] for name, kind in _KEY.findall(line)}
