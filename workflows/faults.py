"""What a model finds wrong with what it is given: where, and in words for an operator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from radius import meant

A_DAY = "2026-03-02"
A_MOMENT = f"{A_DAY}T21:14Z or {A_DAY}T22:14+01:00"
NO_DAY = f"is no day, such as {A_DAY}"
NO_MOMENT = f"is no moment with its zone, such as {A_MOMENT}"
"""How a day and a moment are refused, wherever somebody types one that a journey, a door or a page is told."""

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "int_type": "is not a whole number",
    "float_type": "is not a number",
    "bool_type": "is neither true nor false",
    "date_type": NO_DAY,
    "date_parsing": NO_DAY,
    "date_from_datetime_parsing": NO_DAY,
    "date_from_datetime_inexact": NO_DAY,
    "datetime_type": NO_MOMENT,
    "datetime_parsing": NO_MOMENT,
    "datetime_from_date_parsing": NO_MOMENT,
    "datetime_object_invalid": NO_MOMENT,
    "timezone_aware": NO_MOMENT,
}
_NAMES_NO_FIELD = re.compile(r"[\[(]")
"""Of a part of a place: it is how the model calls one of several types that would do."""


def model_faults(error: ValidationError, *, whole: str, model: type[BaseModel] | None = None) -> list[tuple[str, str]]:
    """(where, what) of every fault; ``whole`` names what has no field of its own. Of ``model`` it is also said which
    fields are known where one is not."""
    found = []
    for part in error.errors():
        where = ".".join(str(step) for step in part["loc"] if not _NAMES_NO_FIELD.search(str(step))) or whole
        found.append((where, fault_in_words(part, model=model, place=part["loc"])))
    return found


def _known_instead(model: type[BaseModel] | None, place: Sequence[int | str]) -> str:
    """The field that was meant, if one is close to it; else all there are."""
    for step in place[:-1]:
        model = model if isinstance(step, int) else _model_of(model, step)
    if model is None or not place:
        return ""
    known = sorted(field.alias or name for name, field in model.model_fields.items())
    close = meant(str(place[-1]), known)
    return f"; did you mean {close}?" if close else f"; known are: {', '.join(known)}"


def _model_of(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """What a field is, or each of its members; None where that is no model, or one of several."""
    fields = {} if model is None else model.model_fields
    kinds = [field.annotation for each, field in fields.items() if name in (each, field.alias)]
    inner = [kind for each in kinds for kind in (each, *get_args(each))]
    models = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return models[0] if len(models) == 1 else None


def fault_in_words(
    fault: Mapping[str, Any], *, model: type[BaseModel] | None = None, place: Sequence[int | str] = ()
) -> str:
    """One fault, as the model has found it, without its place. Of ``model``, where it is at this ``place``, it is also
    said which fields are known where one is not."""
    words = _WORDS.get(fault["type"], re.sub(r"^(Value error, |Input )", "", fault["msg"]))
    return words + (_known_instead(model, place) if fault["type"] == "extra_forbidden" else "")


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
