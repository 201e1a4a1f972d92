"""What a model finds wrong with what it is given: where, and in words for an operator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

_NO_DAY = "is not a day such as 2026-03-31"
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "int_type": "is not a whole number",
    "date_type": _NO_DAY,
    "date_parsing": _NO_DAY,
    "date_from_datetime_parsing": _NO_DAY,
    "date_from_datetime_inexact": _NO_DAY,
}
_NAMES_NO_FIELD = re.compile(r"[\[(]")
"""Of a part of a place: it is how the model calls one of several types that would do."""


def model_faults(error: ValidationError, *, whole: str) -> list[tuple[str, str]]:
    """(where, what) of every fault; ``whole`` names what has no field of its own."""
    found = []
    for part in error.errors():
        where = ".".join(str(step) for step in part["loc"] if not _NAMES_NO_FIELD.search(str(step))) or whole
        found.append((where, fault_in_words(part)))
    return found


def fault_in_words(fault: Mapping[str, Any]) -> str:
    """One fault, as the model has found it, without its place."""
    return _WORDS.get(fault["type"], re.sub(r"^(Value error, |Input )", "", fault["msg"]))


def sound_parts(data: Any, error: ValidationError) -> dict[str, Any]:
    """What is left when everything malformed is taken out, so that one malformed field hides no other fault."""
    for fault in error.errors():
        data = _without(data, fault["loc"])
    return data if isinstance(data, dict) else {}


def _without(data: Any, leaf: Sequence[int | str]) -> Any:
    """Of what is no object (a list, one of several types that would do) all is taken out."""
    if not isinstance(data, dict) or not leaf:
        return data
    first, *rest = leaf
    kept = {name: value for name, value in data.items() if name != first}
    inner = data.get(first)
    return kept | {first: _without(inner, rest)} if rest and isinstance(inner, dict) else kept
