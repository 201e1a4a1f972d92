"""A preset, built of known parts, because a bad one stops every CPE session of the whole ACS.

GenieACS takes any JSON with a 200. At the next refresh of their copy (5 s) its CWMP workers throw for a preset without
``configurations``, for a configuration of no known ``type`` and for a precondition they cannot read, and all sessions
stop until it is gone (observed on 1.2.16). So there is no text to write here: a precondition is made of conditions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.requests import NAME, PATH, Json, is_xml_value

Comparison = Literal["=", "<>", "IS NULL", "IS NOT NULL"]

_CONDITION_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_LITERAL = re.compile(r"(?!.* (?:AND|OR) )[^\"'\\\x00-\x1f\x7f]{0,256}")
_WRITTEN = re.compile(
    r"(?P<path>[A-Za-z][\w.-]*) "
    r"(?:(?P<null>IS NULL|IS NOT NULL)|(?P<comparison>=|<>) (?P<value>\"[^\"]*\"|true|false|-?\d+))"
)
_EVENT = re.compile(r"(?:\d{1,2}|M|X) ?[A-Za-z0-9_. -]{1,64}")
_TAG = re.compile(r"[A-Za-z0-9_-]{1,64}")
HEAVIEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; those of a preset must all hold. ``Tags.<tag>`` is true or null."""

    path: str
    comparison: Comparison
    value: str | int | bool | None = None

    @property
    def faults(self) -> list[str]:
        faults = [] if _CONDITION_PATH.fullmatch(self.path) else [f"{self.path[:80]!r} cannot be compared"]
        if self.comparison in ("IS NULL", "IS NOT NULL"):
            return faults + ([] if self.value is None else [f"{self.path}: {self.comparison} takes no value"])
        if self.comparison not in ("=", "<>"):
            return [*faults, f"{self.path}: {str(self.comparison)[:20]!r} is no comparison"]
        if isinstance(self.value, str):
            return faults + (
                [] if _LITERAL.fullmatch(self.value) else [f"{self.path}: a quote cannot be compared with"]
            )
        return faults + ([] if isinstance(self.value, bool | int) else [f"{self.path}: a value is missing"])

    @property
    def written(self) -> str:
        if self.value is None:
            return f"{self.path} {self.comparison}"
        return f"{self.path} {self.comparison} {json.dumps(self.value, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class Preset:
    """What is run in the sessions that it fits: by events and conditions, in the order of weights.

    Presets of one ``channel`` fault together, and wait together for their retry.
    """

    name: str
    configurations: tuple[Json, ...]
    """``{"type": "provision", "name": ..., "args": [...]}`` and the other kinds."""
    weight: int = 0
    channel: str = "default"
    events: Mapping[str, bool] = field(default_factory=dict)
    """``{"0 BOOTSTRAP": True}``: with that event; ``False``: without it."""
    conditions: tuple[Condition, ...] = ()

    @property
    def faults(self) -> list[str]:
        """Everything for which GenieACS would not take this preset, or would die of it."""
        faults = [] if NAME.fullmatch(self.name) else [f"{self.name[:80]!r} is no name for a preset"]
        faults += [] if NAME.fullmatch(self.channel) else [f"{self.channel[:80]!r} is no name for a channel"]
        whole = isinstance(self.weight, int) and not isinstance(self.weight, bool)
        faults += [] if whole and abs(self.weight) <= HEAVIEST else ["the weight is no whole number"]
        for event, wanted in self.events.items():
            faults += [] if _EVENT.fullmatch(event) else [f"{event[:80]!r} is no event of an Inform"]
            faults += [] if isinstance(wanted, bool) else [f"{event[:80]}: wanted is true or false"]
        for condition in self.conditions:
            faults += condition.faults
        faults += [] if self.configurations else ["configurations are missing"]
        for number, configuration in enumerate(self.configurations, start=1):
            faults += [f"configuration {number}: {fault}" for fault in _configuration_faults(configuration)]
        return faults

    @property
    def document(self) -> dict[str, Any]:
        """As GenieACS stores it, without its ``_id``. Raises: NbiRequestInvalid, with every fault."""
        if self.faults:
            raise NbiRequestInvalid(self.faults)
        return {
            "weight": self.weight,
            "channel": self.channel,
            "events": dict(self.events),
            "precondition": " AND ".join(condition.written for condition in self.conditions),
            "configurations": [dict(each) for each in self.configurations],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Preset:
        """A stored one, if it is of the kind that is built here.

        Raises: NbiRequestInvalid, with every fault; among them what only somebody else could have written.
        """
        faults: list[str] = []
        precondition = document.get("precondition")
        conditions = _read_conditions(precondition if precondition is not None else "", faults)
        configurations = document.get("configurations")
        if not isinstance(configurations, list) or not all(isinstance(each, Mapping) for each in configurations):
            faults.append("configurations are missing")
            configurations = []
        events = document.get("events") or {}
        preset = cls(
            name=str(document.get("_id", "")),
            configurations=tuple(dict(each) for each in configurations if isinstance(each, Mapping)),
            weight=document.get("weight", 0),
            channel=str(document.get("channel") or "default"),
            events={str(key): value for key, value in events.items()} if isinstance(events, Mapping) else {},
            conditions=conditions,
        )
        faults += [fault for fault in preset.faults if fault not in faults]
        if faults:
            raise NbiRequestInvalid(faults)
        return preset


def poison_in(document: Mapping[str, Any]) -> list[str]:
    """Why the CWMP workers die of that stored preset, as far as that is known; nothing for one they survive."""
    configurations = document.get("configurations")
    if not isinstance(configurations, list):
        return ["it has no configurations"]
    unknown = [each for each in configurations if not isinstance(each, Mapping) or each.get("type") not in _KINDS]
    found = ["a configuration of it has no known type"] if unknown else []
    precondition = document.get("precondition")
    if isinstance(precondition, str) and re.search(r"==|=>|=<|&&|\|\||[`{}]", _without_texts(precondition)):
        found.append("its precondition cannot be read")
    return found


def _without_texts(precondition: str) -> str:
    return "" if precondition.lstrip().startswith("{") else re.sub(r"\"[^\"]*\"|'[^']*'", '""', precondition)


def _read_conditions(precondition: object, faults: list[str]) -> tuple[Condition, ...]:
    if precondition in ("", "true"):
        return ()
    found = [_WRITTEN.fullmatch(part) for part in str(precondition).split(" AND ")]
    if not isinstance(precondition, str) or not all(found):
        faults.append("the precondition is none that is built here")
        return ()
    return tuple(
        Condition(
            each["path"],
            cast(Comparison, each["null"] or each["comparison"]),
            None if each["null"] else json.loads(each["value"]),
        )
        for each in found
        if each is not None
    )


def _configuration_faults(configuration: Json) -> list[str]:
    kind = configuration.get("type")
    known = _KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return [f"{str(kind)[:40]!r} is no type; known are {', '.join(_KINDS)}"]
    allowed, faults_of = known
    faults = [f"{kind} takes no {key}" for key in sorted(map(str, configuration)) if key not in {"type", *allowed}]
    return faults + faults_of(configuration)


def _path_fault(configuration: Json, key: str = "name") -> list[str]:
    path = configuration.get(key)
    return [] if isinstance(path, str) and PATH.fullmatch(path) else [f"{key} is no parameter path"]


def _value_fault(configuration: Json) -> list[str]:
    value = configuration.get("value")
    return _path_fault(configuration) + ([] if is_xml_value(value) else ["its value cannot be sent to a CPE"])


def _age_fault(configuration: Json) -> list[str]:
    age = configuration.get("age")
    fits = isinstance(age, int) and not isinstance(age, bool) and age >= 0
    return _path_fault(configuration) + ([] if fits else ["its age is no number of seconds"])


def _tag_fault(configuration: Json) -> list[str]:
    tag = configuration.get("tag")
    return [] if isinstance(tag, str) and _TAG.fullmatch(tag) else ["its tag is none"]


def _provision_fault(configuration: Json) -> list[str]:
    name, arguments = configuration.get("name"), configuration.get("args")
    faults = [] if isinstance(name, str) and NAME.fullmatch(name) else ["name is no name of a provision"]
    plain = arguments is None or (
        isinstance(arguments, Sequence)
        and not isinstance(arguments, str)
        and all(isinstance(each, str | int | bool) for each in arguments)
    )
    return faults + ([] if plain else ["its arguments are text or numbers"])


def _object_fault(configuration: Json) -> list[str]:
    name = configuration.get("object", "x")
    return _path_fault(configuration) + ([] if isinstance(name, str) and NAME.fullmatch(name) else ["object is none"])


_KINDS: Mapping[str, tuple[frozenset[str], Callable[[Json], list[str]]]] = {
    "value": (frozenset({"name", "value"}), _value_fault),
    "age": (frozenset({"name", "age"}), _age_fault),
    "add_tag": (frozenset({"tag"}), _tag_fault),
    "delete_tag": (frozenset({"tag"}), _tag_fault),
    "provision": (frozenset({"name", "args"}), _provision_fault),
    "add_object": (frozenset({"name", "object"}), _object_fault),
    "delete_object": (frozenset({"name", "object"}), _object_fault),
}
