"""Presets: what is run in every session whose device and events fit; and how a bad one stops all sessions.

The CWMP workers keep their own copy, refreshed at most every 5 s. At that moment a preset without `configurations`,
with a configuration of no known type, or with an unreadable precondition throws, and every session dies until it is
gone (observed).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from acs.testing.clock import Clock
from acs.testing.device_document import leaf_at
from acs.testing.device_session import DeviceSession
from acs.testing.documents import Documents
from acs.testing.json_text import dump_json
from acs.testing.query import Document, expand_device_query, matches

CACHE_SECONDS = 5
_CACHE_KEY = "cwmp-local-cache-hash"
CONFIGURATION_TYPES = frozenset({"value", "age", "add_tag", "delete_tag", "provision", "add_object", "delete_object"})
_COMPARISON = re.compile(
    r"(?P<path>[\w.*%:-]+)\s*"
    r"(?:(?P<operator>=|<>|!=)\s*(?P<literal>\"[^\"]*\"|'[^']*'|true|false|-?\d+)|(?P<null>IS(?: NOT)? NULL))",
    re.IGNORECASE,
)
_IDENTITY = {
    "DeviceID.ID": ("_id",),
    "DeviceID.Manufacturer": ("_deviceId", "_Manufacturer"),
    "DeviceID.OUI": ("_deviceId", "_OUI"),
    "DeviceID.ProductClass": ("_deviceId", "_ProductClass"),
    "DeviceID.SerialNumber": ("_deviceId", "_SerialNumber"),
}
Condition = Callable[[Document], bool]


class Poison(Exception):
    """A preset that makes the CWMP worker throw."""


class Presets:
    """The CWMP workers' copy of the presets."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._copy: list[Document] = []
        self._refreshed: datetime | None = None

    def poisoned(self) -> bool:
        """Refresh the copy when it is old; True when that throws."""
        now = self._clock.now()
        stored = list(self._documents["presets"].values())
        if self._refreshed is None or now - self._refreshed >= timedelta(seconds=CACHE_SECONDS):
            try:
                for preset in stored:
                    _check(preset)
            except Poison:
                self._refreshed = None
                return True
            self._copy, self._refreshed = stored, now
            self._remember(now)
        return False

    def _remember(self, now: datetime) -> None:
        """The hash by which the workers tell whether their copy is still good."""
        contents = dump_json([self._documents["presets"], self._documents["provisions"]])
        self._documents["cache"][_CACHE_KEY] = {
            "_id": _CACHE_KEY,
            "value": hashlib.sha256(contents.encode()).hexdigest()[:32],
            "expire": now + timedelta(minutes=5),
            "timestamp": now,
        }

    def channels(self, session: DeviceSession) -> list[tuple[str, list[list[object]]]]:
        """Channel and provisions of every preset that fits, by weight, then name; tags are set at once."""
        fitting = [preset for preset in self._copy if _fits(preset, session)]
        channels: dict[str, list[list[object]]] = {}
        for preset in sorted(fitting, key=lambda one: (one.get("weight", 0), one["_id"])):
            provisions = channels.setdefault(str(preset.get("channel") or "default"), [])
            for configuration in preset["configurations"]:
                provisions += _provisions(configuration, session)
        return list(channels.items())


def _check(preset: Document) -> None:
    configurations = preset.get("configurations")
    if not isinstance(configurations, list):
        raise Poison("configurations is not iterable")
    if any(not isinstance(one, dict) or one.get("type") not in CONFIGURATION_TYPES for one in configurations):
        raise Poison("unknown configuration type")
    parse_precondition(preset.get("precondition"))


def _fits(preset: Document, session: DeviceSession) -> bool:
    for event, wanted in (preset.get("events") or {}).items():
        if (event in session.events) is not bool(wanted):
            return False
    return parse_precondition(preset.get("precondition"))(session.document | {"_tags": sorted(session.tags)})


def _provisions(configuration: Document, session: DeviceSession) -> list[list[object]]:
    kind = configuration["type"]
    if kind in {"add_tag", "delete_tag"}:
        session.set_tag(str(configuration["tag"]), kind == "add_tag")
        return []
    if kind == "value":
        return [["value", configuration["name"], configuration["value"]]]
    if kind == "provision":
        return [[configuration["name"], *(configuration.get("args") or [])]]
    if kind == "age":
        return [["refresh", configuration["name"]]]
    return [["add-object" if kind == "add_object" else "delete-object", configuration["name"]]]


def parse_precondition(text: object) -> Condition:
    """Comparisons joined by AND and OR, or a JSON query; empty means always.

    Raises: Poison when it can't be read.
    """
    if text is None or (isinstance(text, str) and text.strip() in {"", "true"}):
        return lambda document: True
    if isinstance(text, dict):
        return lambda document: matches(document, expand_device_query(text))
    if not isinstance(text, str):
        raise Poison("unreadable precondition")
    alternatives = [_conjunction(part) for part in re.split(r"\s+OR\s+", text.strip())]
    return lambda document: any(one(document) for one in alternatives)


def _conjunction(text: str) -> Condition:
    comparisons = [_comparison(part.strip()) for part in re.split(r"\s+AND\s+", text)]
    return lambda document: _all(comparisons, document)


def _all(conditions: Iterable[Condition], document: Document) -> bool:
    return all(condition(document) for condition in conditions)


def _comparison(text: str) -> Condition:
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise Poison("unreadable precondition")
    path, operator, null = found["path"], found["operator"], found["null"]
    if null is not None:
        absent = "NOT" not in null.upper()
        return lambda document: (_value(document, path) is None) is absent
    literal = found["literal"].strip("\"'")
    return lambda document: _compare(_value(document, path), literal, equal=operator == "=")


def _compare(value: Any, literal: str, *, equal: bool) -> bool:
    if value is None:
        return False
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return (shown == literal) is equal


def _value(document: Document, path: str) -> Any:
    if path.startswith("Tags."):
        return True if path[5:] in document.get("_tags", []) else None
    if path in _IDENTITY:
        value: Any = document
        for key in _IDENTITY[path]:
            value = value.get(key)
        return value
    return (leaf_at(document, path) or {}).get("_value")
