"""Which documents an NBI `query` means.

A query on devices is rewritten first: a parameter path gets `._value` appended, and every string also stands for
what it looks like (`*` a wildcard, `/x/i` a regular expression, digits a number, a date-like text an instant). Queries
on tasks, faults and operations only have their typed fields converted. An operator that the database doesn't know, or a
regular expression where an id is asked for, throws in the server: `WorkerCrash` (observed on 1.2.16).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from acs.testing.errors import WorkerCrash
from acs.testing.json_text import parse_date

Document = dict[str, Any]
_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
_REGEX_LITERAL = re.compile(r"/(.*)/([a-z]*)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_MISSING: Any = object()
_CONNECTIVES = ("$and", "$or", "$nor")
_PLAIN = (str, bool, int, float, datetime)


class _Any:
    """One query string stands for any of these: texts, patterns, numbers, instants."""

    def __init__(self, alternatives: list[Any]) -> None:
        self.alternatives = alternatives


class _Listed(list[Any]):
    """What `$in` lists. Where all of it is compared as it stands, it is looked up in a set, as MongoDB does: a document
    is not held against hundreds of values one by one."""

    def __init__(self, wanted: list[Any]) -> None:
        super().__init__(wanted)
        meant = [one for each in wanted for one in _alternatives(each)]
        is_plain = all(isinstance(one, _PLAIN) for one in meant)
        self.plain = frozenset((_kind(one), one) for one in meant) if is_plain else None

    def has(self, values: Iterable[Any]) -> bool:
        if self.plain is None:
            return any(_equals(list(values), one) for one in self)
        return any(isinstance(one, _PLAIN) and (_kind(one), one) in self.plain for one in _spread(values))


def with_lists(query: object) -> object:
    """The same query, to be asked of many documents."""
    if not isinstance(query, dict):
        return query
    listed: Document = {}
    for key, condition in query.items():
        if key in _CONNECTIVES and isinstance(condition, list):
            listed[key] = [with_lists(one) for one in condition]
        elif isinstance(condition, dict):
            listed[key] = {
                name: _Listed(wanted) if name in {"$in", "$nin"} and isinstance(wanted, list) else wanted
                for name, wanted in condition.items()
            }
        else:
            listed[key] = condition
    return listed


def expand_device_query(query: object) -> object:
    """Paths get `._value`, strings their alternatives."""
    if not isinstance(query, dict):
        return query
    expanded: Document = {}
    for key, condition in query.items():
        if key in _CONNECTIVES and isinstance(condition, list):
            expanded[key] = [expand_device_query(one) for one in condition]
        else:
            expanded[device_key(key)] = _expand_condition(condition)
    return expanded


def device_key(key: str) -> str:
    """`Device.X` means `Device.X._value`; a last segment with an underscore is taken as it is."""
    if key.startswith("$") or key.rsplit(".", 1)[-1].startswith("_"):
        return key
    return f"{key}._value"


def convert_types(query: object, conversions: dict[str, Callable[[Any], Any]]) -> object:
    """Convert the values asked for in typed fields: ids of tasks, timestamps.

    Raises: WorkerCrash for an operator that has no meaning there, such as a regular expression on an id.
    """
    if not isinstance(query, dict):
        return query
    converted: Document = {}
    for key, condition in query.items():
        if key in _CONNECTIVES and isinstance(condition, list):
            converted[key] = [convert_types(one, conversions) for one in condition]
        elif key in conversions:
            converted[key] = _convert_condition(condition, conversions[key])
        else:
            converted[key] = condition
    return converted


def object_id(value: object) -> object:
    """Raises: WorkerCrash when a task is asked for by something that is no ObjectId (24 hex digits)."""
    if not isinstance(value, str) or _OBJECT_ID.fullmatch(value) is None:
        raise WorkerCrash("not an ObjectId")
    return value


def instant(value: object) -> object:
    return (parse_date(value) or value) if isinstance(value, str) else value


def exact_texts(condition: object) -> list[str] | None:
    """The texts that alone can fulfil a condition, each once; None when others can (a pattern, another operator)."""
    is_list = isinstance(condition, dict) and set(condition) == {"$in"}
    wanted = condition["$in"] if is_list and isinstance(condition, dict) else [condition]
    if not isinstance(wanted, list):
        return None
    texts = [one for each in wanted for one in _alternatives(each) if not isinstance(one, float | datetime)]
    return list(dict.fromkeys(texts)) if all(isinstance(one, str) for one in texts) else None


def text_after(condition: object) -> str | None:
    """The text that all which fulfil a condition come after; None when it isn't such a condition."""
    if not isinstance(condition, dict) or set(condition) != {"$gt"}:
        return None
    texts = [one for one in _alternatives(condition["$gt"]) if isinstance(one, str)]
    return texts[0] if texts else None


def matches(document: Document, query: object) -> bool:
    """Raises: WorkerCrash for an unknown operator."""
    if not isinstance(query, dict):
        raise WorkerCrash("a query is an object")
    return all([_matches_key(document, key, condition) for key, condition in query.items()])


def _matches_key(document: Document, key: str, condition: object) -> bool:
    if key in _CONNECTIVES:
        if not isinstance(condition, list) or not condition:
            raise WorkerCrash(f"{key} needs a list")
        found = [matches(document, one) for one in condition]
        return {"$and": all(found), "$or": any(found), "$nor": not any(found)}[key]
    if key.startswith("$"):
        raise WorkerCrash(f"unknown top level operator: {key}")
    values = list(_values_at(document, key.split(".")))
    if isinstance(condition, dict) and any(name.startswith("$") for name in condition):
        flags = str(condition.get("$options", ""))
        return all([_operator(values, name, wanted, flags) for name, wanted in condition.items()])
    return _equals(values, condition)


def _operator(values: list[Any], name: str, wanted: Any, flags: str) -> bool:
    if name == "$options":
        return True
    if name == "$regex":
        return _equals(values, _compile(str(wanted), flags))
    if name == "$not":
        return not _operators(values, wanted)
    if name in {"$in", "$nin"}:
        if not isinstance(wanted, list):
            raise WorkerCrash(f"{name} needs an array")
        listed = wanted if isinstance(wanted, _Listed) else _Listed(wanted)
        return listed.has(values) is (name == "$in")
    if name == "$exists":
        return any(value is not _MISSING for value in values) is bool(wanted)
    if name in {"$eq", "$ne"}:
        return _equals(values, wanted) is (name == "$eq")
    if name in _COMPARISONS:
        compare = _COMPARISONS[name]
        return any(_compares(value, one, compare) for value in _spread(values) for one in _alternatives(wanted))
    raise WorkerCrash(f"unknown operator: {name}")


def _operators(values: list[Any], condition: object) -> bool:
    if not isinstance(condition, dict):
        return _equals(values, condition)
    return all([_operator(values, name, wanted, "") for name, wanted in condition.items()])


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda value, wanted: bool(value > wanted),
    "$gte": lambda value, wanted: bool(value >= wanted),
    "$lt": lambda value, wanted: bool(value < wanted),
    "$lte": lambda value, wanted: bool(value <= wanted),
}


def _equals(values: list[Any], wanted: Any) -> bool:
    if wanted is None:
        return any(value is None or value is _MISSING for value in values)
    present = [value for value in values if value is not _MISSING]
    if isinstance(wanted, list):
        return any(value == wanted for value in present)
    return any(_same(value, one) for value in _spread(present) for one in _alternatives(wanted))


def _same(value: object, wanted: object) -> bool:
    if isinstance(wanted, re.Pattern):
        return isinstance(value, str) and wanted.search(value) is not None
    return _kind(value) is _kind(wanted) and value == wanted


def _compares(value: object, wanted: object, compare: Callable[[Any, Any], bool]) -> bool:
    """Only values of one kind are compared, as in MongoDB."""
    return _kind(value) is _kind(wanted) and _kind(value) in {str, float, datetime, bool} and compare(value, wanted)


def _kind(value: object) -> type:
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


def _spread(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        yield value


def _alternatives(wanted: Any) -> list[Any]:
    return wanted.alternatives if isinstance(wanted, _Any) else [wanted]


def _values_at(document: object, segments: list[str]) -> Iterable[Any]:
    if not segments:
        yield document
    elif isinstance(document, list):
        for element in document:
            yield from _values_at(element, segments)
    elif isinstance(document, dict) and segments[0] in document:
        yield from _values_at(document[segments[0]], segments[1:])
    else:
        yield _MISSING


def _expand_condition(condition: object) -> object:
    if isinstance(condition, str):
        return _Any(_meanings(condition))
    if isinstance(condition, list):
        return [_expand_condition(one) for one in condition]
    if isinstance(condition, dict):
        # A pattern is a pattern already.
        return {
            name: one if name in {"$regex", "$options"} else _expand_condition(one) for name, one in condition.items()
        }
    return condition


def _meanings(text: str) -> list[Any]:
    literal = _REGEX_LITERAL.fullmatch(text)
    if literal is not None:
        return [text, _compile(literal[1], literal[2])]
    meanings: list[Any] = [text]
    if "*" in text:
        meanings = [_compile("^" + ".*".join(re.escape(part) for part in text.split("*")) + "$", "")]
    if _NUMBER.fullmatch(text):
        meanings.append(float(text))
    if (date := parse_date(text)) is not None:
        meanings.append(date)
    return meanings


def _convert_condition(condition: object, convert: Callable[[Any], Any]) -> object:
    if not isinstance(condition, dict):
        return convert(condition)
    converted: Document = {}
    for name, wanted in condition.items():
        if name in {"$in", "$nin"} and isinstance(wanted, list):
            converted[name] = [convert(one) for one in wanted]
        elif name in {"$eq", "$ne", *_COMPARISONS}:
            converted[name] = convert(wanted)
        elif name == "$exists":
            converted[name] = wanted
        else:
            raise WorkerCrash("Operator not supported")
    return converted


def _compile(pattern: str, flags: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
    except re.error as exc:
        raise WorkerCrash("not a regular expression") from exc
