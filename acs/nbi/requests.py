"""Everything is checked before it is sent to GenieACS, because GenieACS does not check.

An unknown task name, a task without its values, an unknown query operator, a task id that is not 24 hex digits: each
ends a worker of genieacs-nbi, which then refuses everybody for 20 s (observed on 1.2.16). A ``*`` in a query value
matches every device. A refresh of ManagementServer blanks the connection request password the ACS knows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from acs.nbi.errors import NbiRequestInvalid

COLLECTIONS = (
    "devices",
    "tasks",
    "faults",
    "operations",
    "presets",
    "provisions",
    "virtual_parameters",
    "objects",
    "files",
)
"""What we read. /users, /permissions, /config, /locks and /cache are none of our business."""

LONGEST_TARGET = 12_000
"""Characters of path and query; GenieACS answers 431 above 16 KB of request head."""
LARGEST_BODY = 1_000_000

_DEVICE_ID = re.compile(r"(?:[A-Za-z0-9_-]|%[0-9A-Fa-f]{2}){1,256}")
_TASK_ID = re.compile(r"[0-9a-f]{24}")
_CHANNEL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_UNIQUE_KEY = re.compile(r"[A-Za-z0-9:._-]{1,128}")
PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_%-]*(\.[A-Za-z0-9_%-]+)*")
_XSD_TYPE = re.compile(r"xsd:[A-Za-z]+")
_EXPANDED = re.compile(r"/.*/[a-z]*", re.DOTALL)
_COMPARISONS = {"$in", "$nin", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$exists"}
_JUNCTIONS = {"$and", "$or"}

Json = Mapping[str, Any]


def _quoted(segment: str) -> str:
    """Percent-encoded but for letters, digits, - and _: GenieACS's routes match no dot and no tilde."""
    return quote(segment, safe="").replace(".", "%2E").replace("~", "%7E")


def device_segment(device_id: str) -> str:
    """The id for a URL path. Encoded once more as a whole: ``ONT%2D181`` in an id has to arrive as ``ONT%2D181``."""
    if not _DEVICE_ID.fullmatch(device_id):
        raise NbiRequestInvalid([f"{device_id[:80]!r} is no device id"])
    return _quoted(device_id)


def task_segment(task_id: str) -> str:
    if not _TASK_ID.fullmatch(task_id):
        raise NbiRequestInvalid([f"{task_id[:80]!r} is no task id (24 hex digits)"])
    return task_id


def fault_segment(fault_id: str) -> str:
    device_id, colon, channel = fault_id.partition(":")
    if not colon or not _DEVICE_ID.fullmatch(device_id) or not _CHANNEL.fullmatch(channel):
        raise NbiRequestInvalid([f"{fault_id[:80]!r} is no fault id (device id, colon, channel)"])
    return _quoted(fault_id)


def tag_segment(tag: str) -> str:
    if not 1 <= len(tag) <= 128 or not tag.isprintable() or not tag.strip("."):
        raise NbiRequestInvalid([f"{tag[:80]!r} is no tag"])
    return _quoted(tag)


def name_segment(name: str) -> str:
    """Of a preset, a script, an object, a file."""
    if not NAME.fullmatch(name):
        raise NbiRequestInvalid([f"{name[:80]!r} is no name for anything at the ACS"])
    return _quoted(name)


def query_target(
    collection: str, query: Json, projection: Sequence[str], *, limit: int | None = None, skip: int | None = None
) -> str:
    """Path and query of a GET or HEAD. A projection is required: whole devices are 10 to 120 KB each.

    Raises: NbiRequestInvalid.
    """
    faults = [] if collection in COLLECTIONS else [f"{collection!r} is no collection we read"]
    faults += _query_faults(collection, query)
    faults += [] if projection else ["a projection is needed"]
    faults += [f"{each!r} is no field" for each in projection if not _FIELD.fullmatch(each)]
    faults += [] if limit is None or limit > 0 else ["a limit is at least 1: 0 means all"]
    faults += [] if skip is None or skip >= 0 else ["skip is at least 0"]
    target = (
        f"/{collection}?query={quote(json.dumps(query), safe='')}&projection={quote(','.join(projection), safe='')}"
    )
    target += f"&limit={limit}" if limit is not None else ""
    target += f"&skip={skip}" if skip is not None else ""
    if len(target) > LONGEST_TARGET:
        faults.append(f"the query is {len(target)} characters long, {LONGEST_TARGET} are possible")
    if faults:
        raise NbiRequestInvalid(faults)
    return target


def query_kind(collection: str, query: Json) -> str:
    """The query without what it asks for: its fields, its operators and the types of its values."""

    def outline(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: outline(each) for key, each in value.items()}
        if isinstance(value, list):
            return sorted({json.dumps(outline(each), sort_keys=True) for each in value})
        return type(value).__name__

    return f"{collection} {json.dumps(outline(query), sort_keys=True)}"


def checked_task(task: Json, *, unique_key: str | None, expiry_seconds: int | None) -> bytes:
    """The body of POST /devices/{id}/tasks.

    Raises: NbiRequestInvalid. It names paths, never values: those may be secret.
    """
    name = task.get("name")
    check = _TASKS.get(name) if isinstance(name, str) else None
    if check is None:
        raise NbiRequestInvalid([f"{str(name)[:80]!r} is no task; known are {', '.join(_TASKS)}"])
    allowed, faults_of = check
    faults = [f"{name} takes no {key}" for key in sorted(map(str, task)) if key not in {"name", *allowed}]
    faults += faults_of(task)
    body: dict[str, Any] = dict(task)
    if unique_key is not None:
        body["uniqueKey"] = unique_key
        faults += [] if _UNIQUE_KEY.fullmatch(unique_key) else ["the unique key has characters it may not have"]
    if expiry_seconds is not None:
        body["expiry"] = expiry_seconds
        is_whole = isinstance(expiry_seconds, int) and not isinstance(expiry_seconds, bool)
        faults += [] if is_whole and expiry_seconds > 0 else ["the expiry is no positive number of seconds"]
    if faults:
        raise NbiRequestInvalid(faults)
    encoded = json.dumps(body, allow_nan=False).encode()
    if len(encoded) > LARGEST_BODY:
        raise NbiRequestInvalid([f"the task is {len(encoded)} bytes long, {LARGEST_BODY} are possible"])
    return encoded


def _query_faults(collection: str, query: object) -> list[str]:
    if not isinstance(query, Mapping):
        return ["a query is an object"]
    faults: list[str] = []
    for key, value in query.items():
        if key in _JUNCTIONS:
            if not isinstance(value, list) or not value or not all(isinstance(each, Mapping) for each in value):
                faults.append(f"{key} takes a list of queries")
                continue
            for each in value:
                faults += _query_faults(collection, each)
        elif not _FIELD.fullmatch(key):
            faults.append(f"{key!r} is no field to ask for")
        elif collection == "tasks" and key == "_id":
            # Anything but a plain id reaches a converter that throws.
            faults += [] if isinstance(value, str) and _TASK_ID.fullmatch(value) else ["_id of a task is 24 hex digits"]
        elif isinstance(value, Mapping):
            faults += _operator_faults(key, value)
        else:
            faults += _literal_faults(key, value)
    return faults


def _operator_faults(key: str, operators: Json) -> list[str]:
    faults = [f"{key}: operator {each!r} is not allowed" for each in sorted(set(map(str, operators)) - _COMPARISONS)]
    for operator, value in operators.items():
        if operator in ("$in", "$nin"):
            # With anything but a list the database throws, and the worker with it.
            faults += [] if isinstance(value, list) else [f"{key}: {operator} takes a list"]
            faults += [
                fault for each in (value if isinstance(value, list) else ()) for fault in _literal_faults(key, each)
            ]
        elif operator == "$exists":
            faults += [] if isinstance(value, bool) else [f"{key}: $exists takes true or false"]
        else:
            faults += _literal_faults(key, value)
    return faults or ([] if operators else [f"{key}: an operator is missing"])


def _literal_faults(key: str, value: object) -> list[str]:
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return []
    if not isinstance(value, str):
        return [f"{key} cannot be compared with {type(value).__name__}"]
    if "*" in value or _EXPANDED.fullmatch(value) or not value.isprintable():
        return [f"{key}: the ACS would not take {value[:80]!r} literally"]
    return []


def path_faults(path: object) -> list[str]:
    if not isinstance(path, str) or not PATH.fullmatch(path) or len(path) > 256:
        return [f"{str(path)[:80]!r} is no parameter path"]
    return []


def _read_faults(paths: object) -> list[str]:
    if not isinstance(paths, list) or not paths:
        return ["parameterNames are missing"]
    faults = [fault for path in paths for fault in path_faults(path)]
    blanked = [path for path in paths if isinstance(path, str) and _holds_connection_request_password(path)]
    return faults + [f"reading {path} would blank the connection request password the ACS knows" for path in blanked]


def _holds_connection_request_password(path: str) -> bool:
    """Whether that path is the password, which reads back blank, or an object above it."""
    root, _, below = path.partition(".")
    return path != "" and (root == path or below in ("ManagementServer", "ManagementServer.ConnectionRequestPassword"))


def _refresh_faults(path: object) -> list[str]:
    faults = path_faults(path)
    if not faults and (str(path).count(".") == 0 or ".ManagementServer" in str(path)):
        faults.append(f"a refresh of {path} would blank the connection request password the ACS knows")
    return faults


def _value_faults(values: object, *, relative: bool = False) -> list[str]:
    if not isinstance(values, list) or not (values or relative):
        return ["parameterValues are missing"]
    faults: list[str] = []
    for each in values:
        if not isinstance(each, list | tuple) or len(each) not in (2, 3):
            faults.append("a parameter value is path, value and type")
            continue
        faults += path_faults(each[0])
        faults += [] if is_xml_value(each[1]) else [f"the value for {each[0]} cannot be sent to a CPE"]
        if len(each) == 3 and not (isinstance(each[2], str) and _XSD_TYPE.fullmatch(each[2])):
            faults.append(f"the type for {each[0]} is no XML schema type")
    return faults


def is_xml_value(value: object) -> bool:
    """Whether a CPE can be sent that value: a number, a boolean, or text that XML 1.0 can carry."""
    if isinstance(value, bool | int):
        return True
    return isinstance(value, str) and all(
        letter in "\t\n\r" or "\x20" <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter >= "\U00010000"
        for letter in value
    )


def _provision_faults(provisions: object) -> list[str]:
    if not isinstance(provisions, list) or not provisions:
        return ["provisions are missing"]
    faults: list[str] = []
    for each in provisions:
        if not isinstance(each, list) or not each or not isinstance(each[0], str) or not NAME.fullmatch(each[0]):
            faults.append("a provision is its name and its arguments")
        elif not all(isinstance(argument, str | int | bool) for argument in each[1:]):
            faults.append(f"the arguments of {each[0]} are text or numbers")
        elif each[0] == "refresh":
            faults += _refresh_faults(each[1] if len(each) > 1 else None)
    return faults


def _file_faults(task: Json) -> list[str]:
    named = {key: task.get(key) for key in ("fileType", "fileName")}
    return [
        f"{key} is missing"
        for key, value in named.items()
        if not (isinstance(value, str) and value and value.isprintable())
    ]


_TASKS: Mapping[str, tuple[frozenset[str], Callable[[Json], list[str]]]] = {
    "getParameterValues": (frozenset({"parameterNames"}), lambda task: _read_faults(task.get("parameterNames"))),
    "setParameterValues": (frozenset({"parameterValues"}), lambda task: _value_faults(task.get("parameterValues"))),
    "refreshObject": (frozenset({"objectName"}), lambda task: _refresh_faults(task.get("objectName"))),
    "addObject": (
        frozenset({"objectName", "parameterValues"}),
        lambda task: (
            path_faults(task.get("objectName")) + _value_faults(task.get("parameterValues", []), relative=True)
        ),
    ),
    "deleteObject": (frozenset({"objectName"}), lambda task: path_faults(task.get("objectName"))),
    "provisions": (frozenset({"provisions"}), lambda task: _provision_faults(task.get("provisions"))),
    "download": (frozenset({"fileType", "fileName", "targetFileName"}), _file_faults),
    "reboot": (frozenset(), lambda task: []),
    "factoryReset": (frozenset(), lambda task: []),
}
