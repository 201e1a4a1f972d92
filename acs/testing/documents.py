"""What the lab ACS remembers: collections of documents, found by query, projected, sorted, skipped, limited.

This is the ACS's side only. What a CPE really holds is in its own `ParameterTree`; the two differ as soon as somebody
touches the CPE.
"""

from __future__ import annotations

import bisect
import copy
import functools
import itertools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from acs.testing.query import (
    Document,
    convert_types,
    device_key,
    exact_texts,
    expand_device_query,
    instant,
    matches,
    object_id,
    text_after,
    with_lists,
)

COLLECTIONS = (
    "devices",
    "tasks",
    "presets",
    "provisions",
    "virtualParameters",
    "objects",
    "files",
    "faults",
    "operations",
    "config",
    "users",
    "permissions",
    "locks",
    "cache",
)
ALIASES = {"virtual_parameters": "virtualParameters"}


class Documents:
    """All collections, each a dictionary by `_id` in order of insertion."""

    def __init__(self) -> None:
        self._tasks = TasksByDevice()
        self._collections: dict[str, dict[str, Document]] = {name: {} for name in COLLECTIONS} | {"tasks": self._tasks}
        self._orders: dict[str, list[str]] = {}
        self._numbers = itertools.count(1)

    def __getitem__(self, collection: str) -> dict[str, Document]:
        """The documents of one collection by `_id`; a change is at once visible in the NBI."""
        return self._collections[collection]

    def find(self, collection: str, query: object) -> list[Document]:
        """Raises: WorkerCrash for a query that the real server throws on."""
        if collection == "devices":
            query = expand_device_query(query)
        elif collection == "tasks":
            query = convert_types(query, {"_id": object_id, "timestamp": instant})
        elif collection in {"faults", "operations"}:
            query = convert_types(query, {"timestamp": instant})
        query = with_lists(query)
        matches({}, query)  # an operator nobody knows throws even when there is nothing to search
        documents, unasked = self._candidates(collection, query)
        if not unasked:
            return list(documents)
        return [document for document in documents if matches(document, unasked)]

    def _candidates(self, collection: str, query: object) -> tuple[Iterable[Document], object]:
        """What an index leaves to look at, in its order, and what of the query it leaves to ask: there is one of _id
        in each collection, and one of a task's device (1.2.16)."""
        documents = self._collections[collection]
        if not isinstance(query, dict):
            return documents.values(), query
        if (ids := exact_texts(query.get("_id"))) is not None:
            return [documents[key] for key in ids if key in documents], _without(query, "_id")
        if (after := text_after(query.get("_id"))) is not None:
            if (order := self._orders.get(collection)) is None or len(order) != len(documents):
                order = self._orders[collection] = sorted(documents)
            return [documents[key] for key in order[bisect.bisect_right(order, after) :]], _without(query, "_id")
        if collection == "tasks" and (devices := exact_texts(query.get("device"))) is not None:
            return [task for device in devices for task in self.tasks_of(device)], _without(query, "device")
        return documents.values(), query

    def tasks_of(self, device_id: str) -> list[Document]:
        """A device's queue, in the order in which it runs."""
        return sorted(self._tasks.of(device_id), key=lambda task: task["timestamp"])

    def new_task_id(self, now: datetime) -> str:
        """24 hex digits that begin with the second, as an ObjectId's do."""
        return f"{int(now.timestamp()):08x}{0xAB0A70CAFE:010x}{next(self._numbers):06x}"

    def delete_device(self, device_id: str) -> None:
        """Drop a device with all that hangs on it."""
        self["devices"].pop(device_id, None)
        self._orders.pop("devices", None)  # with another in its place there would be as many as before
        for name in ("tasks", "faults"):
            for key in [key for key, one in self[name].items() if one.get("device") == device_id]:
                del self[name][key]
        kept = {key: one for key, one in self["operations"].items() if not key.startswith(f"{device_id}:")}
        self._collections["operations"] = kept

    def dump(self) -> dict[str, list[Document]]:
        """A copy of everything."""
        return {name: copy.deepcopy(list(documents.values())) for name, documents in self._collections.items()}

    def load(self, dumped: dict[str, list[Document]]) -> None:
        for name in COLLECTIONS:
            self[name].clear()
            self[name].update({one["_id"]: one for one in copy.deepcopy(dumped.get(name, []))})
        # A restored lab must not give an id twice.
        self._numbers = itertools.count(1 + max((int(key[-6:], 16) for key in self["tasks"]), default=0))


def _without(query: Document, key: str) -> Document:
    return {other: condition for other, condition in query.items() if other != key}


class TasksByDevice(dict[str, Document]):
    """The tasks by ``_id``, and which of them are a device's without looking at all."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[str, dict[str, Document]] = {}

    def of(self, device_id: str) -> list[Document]:
        return list(self._of.get(device_id, {}).values())

    def __setitem__(self, key: str, task: Document) -> None:
        super().__setitem__(key, task)
        self._of.setdefault(str(task.get("device")), {})[key] = task

    def __delitem__(self, key: str) -> None:
        self._forget(key)
        super().__delitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        self._forget(key)
        return super().pop(key, *default)

    def update(self, tasks: Any = (), /, **more: Any) -> None:
        for key, task in dict(tasks, **more).items():
            self[key] = task

    def clear(self) -> None:
        super().clear()
        self._of.clear()

    def _forget(self, key: str) -> None:
        device_id = str(self.get(key, {}).get("device"))
        own = self._of.get(device_id, {})
        own.pop(key, None)
        if not own:
            self._of.pop(device_id, None)


def projected_paths(paths: Iterable[str]) -> list[list[str]]:
    """The names of a projection in their segments; a path below another one is contained in it."""
    wanted = sorted({path for path in paths if path})
    return [path.split(".") for path in wanted if not any(path.startswith(f"{other}.") for other in wanted)]


def project(document: Document, wanted: Iterable[list[str]]) -> Document:
    """`_id` and the named parts. As in MongoDB, the objects on the way to an absent path are there, empty."""
    projected: Document = {"_id": document["_id"]}
    for segments in wanted:
        _copy_path(document, projected, segments)
    return projected


def _copy_path(source: Document, target: Document, segments: list[str]) -> None:
    head, rest = segments[0], segments[1:]
    if head not in source:
        return
    if not rest:
        target[head] = source[head]
    elif isinstance(source[head], dict):
        _copy_path(source[head], target.setdefault(head, {}), rest)


def sort_documents(documents: list[Document], order: dict[str, Any], *, devices: bool) -> list[Document]:
    """By `{"path": 1 or -1}`; a document without the path comes first, as null does in MongoDB."""
    keys = [(device_key(path) if devices else path, -1 if direction == -1 else 1) for path, direction in order.items()]

    def compare(one: Document, other: Document) -> int:
        for path, direction in keys:
            left, right = _sort_key(one, path), _sort_key(other, path)
            if left != right:
                return direction if left > right else -direction
        return 0

    return sorted(documents, key=functools.cmp_to_key(compare))


def _sort_key(document: Document, path: str) -> tuple[int, Any]:
    value: Any = document
    for segment in path.split("."):
        value = value.get(segment) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, int | float):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    return (5, value.timestamp()) if isinstance(value, datetime) else (0, 0)
