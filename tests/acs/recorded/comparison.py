"""What of two answers must be equal: everything but instants, ids the server makes up, and texts of its own innards."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.acs.recorded.exchanges import Exchange
from tests.acs.recorded.raw_http import Answer

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_COMMAND_KEY = re.compile(r"(?<=:)[0-9a-f]{15}(?=\")")
_HASH = re.compile(r"\"value\":\"[0-9a-f]{32}\"")
_STACK = re.compile(r"\"stack\":\"(Error: [^\\\"]*)\\n    at [^\"]*\"")
_UNCOMPARED_HEADERS = {"genieacs-version", "date"}


def differences(recorded: Exchange, answer: Answer) -> list[str]:
    """What is not as it was. The recorded answer must have the lab's task ids in it already."""
    if recorded.dropped or answer.dropped:
        return [] if recorded.dropped == answer.dropped else [f"dropped: {answer.dropped}, recorded {recorded.dropped}"]
    found = []
    if (answer.status, answer.reason) != (recorded.status, recorded.reason):
        found.append(f"{answer.status} {answer.reason}, recorded {recorded.status} {recorded.reason}")
    ours, theirs = dict(answer.headers), {name.lower(): value for name, value in recorded.headers.items()}
    for name in sorted((ours.keys() | theirs.keys()) - _UNCOMPARED_HEADERS):
        if ours.get(name) != theirs.get(name):
            found.append(f"header {name}: {ours.get(name)}, recorded {theirs.get(name)}")
    if ("genieacs-version" in ours) != ("genieacs-version" in theirs):
        found.append("header GenieACS-Version")
    return found + _body_differences(recorded, answer.body)


def _body_differences(recorded: Exchange, body: str) -> list[str]:
    if not recorded.whole:
        return _beginning_differs(recorded, body)
    ours, theirs = _comparable(body, recorded.target), _comparable(recorded.body, recorded.target)
    return [] if ours == theirs else [f"body:\n  {ours}\nrecorded:\n  {theirs}"]


def _comparable(body: str, target: str) -> Any:
    body = _without_made_up(body)
    try:
        value = json.loads(body)
    except ValueError:
        return body
    if isinstance(value, list) and "sort=" not in target and target.startswith("/"):
        # Without a sort the order is the database's affair.
        return sorted(value, key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _without_made_up(body: str) -> str:
    """Instants, keys and stacks that every server makes up for itself, replaced."""
    for pattern, replacement in (
        (_INSTANT, "<instant>"),
        (_COMMAND_KEY, "<command key>"),
        (_HASH, '"value":"<hash>"'),
        (_STACK, r'"stack":"\1"'),
    ):
        body = pattern.sub(replacement, body)
    return body


def _beginning_differs(recorded: Exchange, body: str) -> list[str]:
    """The recording was cut off: what there is of it must be there, with the same values."""
    if not recorded.body.startswith("["):
        length = len(body.encode())
        same = length == recorded.body_bytes and body[:1000] == recorded.body[:1000]
        return [] if same else [f"{length} bytes, recorded {recorded.body_bytes}"]
    theirs, ours = _mend(_without_made_up(recorded.body)), json.loads(_without_made_up(body))
    if len(ours) < len(theirs):
        return [f"{len(ours)} rows, recorded at least {len(theirs)}"]
    found: list[str] = []
    for number, (one, other) in enumerate(zip(theirs, ours, strict=False)):
        found += _value_differences(one, other, f"[{number}]")
    return found


def _value_differences(recorded: Any, ours: Any, path: str) -> list[str]:
    if type(recorded) is not type(ours):
        return [f"{path}: {type(ours).__name__}, recorded {type(recorded).__name__}"]
    if isinstance(recorded, dict):
        found = [f"{path}.{key} is missing" for key in recorded if key not in ours]
        for key in sorted(recorded.keys() & ours.keys()):
            found += _value_differences(recorded[key], ours[key], f"{path}.{key}")
        return found
    return [] if recorded == ours else [f"{path}: {ours!r}, recorded {recorded!r}"]


def _mend(beginning: str) -> list[Any]:
    """The longest beginning of a cut-off JSON list that can be closed again."""
    for end in range(len(beginning), 0, -1):
        if beginning[end - 1] not in '}"el':  # a number may go on
            continue
        try:
            mended: list[Any] = json.loads(beginning[:end] + _closing(beginning[:end]))
        except ValueError:
            continue
        return mended
    raise AssertionError("nothing to compare")


def _closing(beginning: str) -> str:
    without_texts = re.sub(r"\"(?:\\.|[^\"\\])*\"", "", beginning)
    opened: list[str] = []
    for character in without_texts:
        if character in "[{":
            opened.append({"[": "]", "{": "}"}[character])
        elif character in "]}":
            opened.pop()
    return "".join(reversed(opened))
