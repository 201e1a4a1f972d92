"""The ACS's document of a device: a nested tree whose leaves carry `_value,_type,_timestamp,_writable,_object`.

A leaf's `_timestamp` is when the ACS last read or wrote it; nothing here knows the CPE.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from acs.testing.json_text import parse_date
from acs.testing.parameter_tree import DATE_TIME, as_type
from acs.testing.query import Document


def node_at(document: Document, path: str) -> Document | None:
    """The object or leaf at a path, if the ACS knows it."""
    node: Any = document
    for segment in path.split("."):
        node = node.get(segment) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else None


def leaf_at(document: Document, path: str) -> Document | None:
    node = node_at(document, path)
    return node if node is not None and node.get("_object") is False else None


def put_value(document: Document, path: str, value: object, xsd_type: str, at: datetime) -> None:
    """What was read from, or written to, the CPE at that time."""
    leaf = _leaf(document, path)
    leaf |= {"_value": document_value(value, xsd_type), "_type": xsd_type, "_timestamp": at}


def put_name(document: Document, name: str, writable: bool, at: datetime | None = None) -> None:
    """What GetParameterNames said; an object's name ends in a dot, and gets a `_timestamp` only when refreshed."""
    node = _object(document, name[:-1]) if name.endswith(".") else _leaf(document, name)
    node["_writable"] = writable
    if at is not None and name.endswith("."):
        node["_timestamp"] = at


def remove(document: Document, path: str) -> None:
    above, _, last = path.rpartition(".")
    node = node_at(document, above) if above else document
    if node is not None:
        node.pop(last, None)


def leaves(document: Document, under: str) -> Iterator[str]:
    """Paths of the known leaves at or below a path."""
    node = node_at(document, under)
    if node is None:
        return
    if node.get("_object") is False:
        yield under
        return
    for name in list(node):
        if not name.startswith("_"):
            yield from leaves(document, f"{under}.{name}")


def document_value(value: object, xsd_type: str) -> object:
    """Numbers as numbers, truth as truth, dates as dates; what doesn't fit its type stays text."""
    typed = as_type(value, xsd_type)
    if xsd_type == DATE_TIME and isinstance(typed, str):
        return parse_date(typed) or typed
    return typed


def _object(document: Document, path: str) -> Document:
    node = document
    for segment in path.split(".") if path else ():
        node = node.setdefault(segment, {})
        node["_object"] = True
    return node


def _leaf(document: Document, path: str) -> Document:
    above, _, last = path.rpartition(".")
    leaf: Document = _object(document, above).setdefault(last, {})
    leaf["_object"] = False
    return leaf
