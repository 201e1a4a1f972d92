"""JSON as the NBI speaks it: compact, dates as ISO with milliseconds, and complaints worded as V8 words them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

_STRING = re.compile(r"\"(?:\\.|[^\"\\])*\"")
_QUOTED_IN_FULL = 40  # V8 quotes a short text whole, and 10 characters around the spot of a longer one.
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?")


class JsonSyntaxError(Exception):
    """The text is no JSON; the message is what the NBI answers with status 400."""


def parse_json(text: str) -> Any:
    """Raises: JsonSyntaxError, worded as V8 does (it reaches NBI clients as a 400 body)."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise JsonSyntaxError(f"SyntaxError: {_v8_message(text, exc.pos, exc.msg)}") from exc


def _v8_message(text: str, position: int, complaint: str) -> str:
    if position >= len(text) or complaint.startswith("Unterminated"):
        return "Unexpected end of JSON input"
    before = text[:position].rstrip()
    if "':'" in complaint:
        return f"Expected ':' after property name in JSON at position {position}"
    if "','" in complaint:
        missing = "',' or ']' after array element" if _in_array(before) else "',' or '}' after property value"
        return f"Expected {missing} in JSON at position {position}"
    if before.endswith("{"):
        return f"Expected property name or '}}' in JSON at position {position}"
    if before.endswith(",") and not _in_array(before):
        return f"Expected double-quoted property name in JSON at position {position}"
    position += _literal_prefix(text[position:])
    shown = text
    if len(text) > _QUOTED_IN_FULL:
        shown = f"...{text[max(0, position - 10) : position + 10]}..."
    return f"Unexpected token '{text[position]}', \"{shown}\" is not valid JSON"


def _in_array(before: str) -> bool:
    """Is the innermost bracket that is still open a square one?"""
    opened: list[str] = []
    for character in _STRING.sub("", before):
        if character in "[{":
            opened.append(character)
        elif character in "]}" and opened:
            opened.pop()
    return bool(opened) and opened[-1] == "["


def _literal_prefix(rest: str) -> int:
    """V8 complains about the first letter that isn't `null`, `true` or `false` any more."""
    for literal in ("null", "true", "false"):
        for length in range(len(literal), 0, -1):
            if rest.startswith(literal[:length]):
                return min(length, len(rest) - 1)
    return 0


def dump_json(value: Any) -> str:
    """One line; datetimes become `2026-11-22T13:13:16.106Z`."""
    return _ENCODER.encode(value)


def iso(instant: datetime) -> str:
    """`2026-11-22T13:13:16.106Z`"""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_date(text: str) -> datetime | None:
    """The instant that a date-like text means, or None; without a zone it is UTC."""
    if _ISO_DATE.fullmatch(text) is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _encode(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value)
    raise TypeError(f"not JSON: {type(value).__name__}")


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_encode)
