"""Tasks as the NBI takes them: checked on the way in, translated to provisions when they run.

The real server checks a task by throwing, which costs it the worker; so does the lab (`WorkerCrash`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from acs.testing.errors import WorkerCrash
from acs.testing.json_text import parse_date
from acs.testing.query import Document

RETRY_DELAY_SECONDS = 300


def accept_task(task: Document, now: datetime, task_id: str) -> Document:
    """The task as it is stored: `expiry` as a date, with `timestamp` and `_id`.

    Raises: WorkerCrash for a task that the server throws on.
    """
    check_task(task)
    stored = dict(task)
    if "expiry" in stored:
        stored["expiry"] = _expiry(stored["expiry"], now)
    stored["timestamp"] = now
    stored["_id"] = task_id
    return stored


def check_task(task: Document) -> None:
    """Raises: WorkerCrash for an unknown name or arguments that are missing or of the wrong kind."""
    check = _CHECKS.get(str(task.get("name")))
    if check is None or not check(task):
        raise WorkerCrash(f"invalid task: {task.get('name')}")


def as_provisions(task: Document) -> list[list[object]]:
    """What the task does in the session, and what a fault record shows of it (values and all)."""
    return _PROVISIONS[task["name"]](task)


def retry_due(fault: Mapping[str, Any], now: datetime) -> bool:
    """A faulted task or preset is tried again 300 s, 600 s, 1200 s ... after its fault, at an Inform."""
    wait = timedelta(seconds=RETRY_DELAY_SECONDS * 2 ** int(fault["retries"]))
    return bool(now >= fault["timestamp"] + wait)


def _expiry(expiry: object, now: datetime) -> datetime:
    if isinstance(expiry, bool):
        raise WorkerCrash("expiry is neither seconds nor a date")
    if isinstance(expiry, int | float):
        return now + timedelta(seconds=expiry)
    if isinstance(expiry, str) and (date := parse_date(expiry)) is not None:
        return date
    raise WorkerCrash("expiry is neither seconds nor a date")


def _is_value(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _are_pairs(pairs: object) -> bool:
    if not isinstance(pairs, list):
        return False
    return all(isinstance(p, list) and len(p) >= 2 and isinstance(p[0], str) and _is_value(p[1]) for p in pairs)


def _are_texts(texts: object) -> bool:
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


def _check_provisions(task: Document) -> bool:
    provisions = task.get("provisions")
    return isinstance(provisions, list) and all(isinstance(p, list) and p and isinstance(p[0], str) for p in provisions)


_CHECKS: Mapping[str, Callable[[Document], bool]] = {
    "getParameterValues": lambda task: _are_texts(task.get("parameterNames")) and bool(task["parameterNames"]),
    "setParameterValues": lambda task: _are_pairs(task.get("parameterValues")) and bool(task["parameterValues"]),
    "refreshObject": lambda task: isinstance(task.get("objectName"), str),
    "addObject": lambda task: isinstance(task.get("objectName"), str) and _are_pairs(task.get("parameterValues", [])),
    "deleteObject": lambda task: isinstance(task.get("objectName"), str),
    "download": lambda task: _are_texts([task.get("fileType"), task.get("fileName")]),
    "provisions": _check_provisions,
    "reboot": lambda task: True,
    "factoryReset": lambda task: True,
}
_PROVISIONS: Mapping[str, Callable[[Document], list[list[object]]]] = {
    "getParameterValues": lambda task: [["refresh", path] for path in task["parameterNames"]],
    "setParameterValues": lambda task: [["value", pair[0], pair[1]] for pair in task["parameterValues"]],
    "refreshObject": lambda task: [["refresh", task["objectName"]]],
    "addObject": lambda task: [["add-object", task["objectName"], task.get("parameterValues", [])]],
    "deleteObject": lambda task: [["delete-object", task["objectName"]]],
    "download": lambda task: [["download", task["fileType"], task["fileName"], task.get("targetFileName") or ""]],
    "provisions": lambda task: [list(provision) for provision in task["provisions"]],
    "reboot": lambda task: [["reboot"]],
    "factoryReset": lambda task: [["reset"]],
}
