"""Whatever costs the lab a worker of its NBI, as it cost the real one, is something our client never sends."""

from __future__ import annotations

import ast
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import acs.testing
from acs import NbiClient, NbiRequestInvalid, Rejected
from acs.testing import LabAcs, LabCpe
from tests.acs.recorded.raw_http import ask

UNKNOWN_TASK = "5f0000000000000000000000"
DEVICE = "00259E-HG8245-HWTC12345678"
BEYOND_OUR_CLIENT = {
    "no JSON scalar: ": "unreachable in the lab: JSON has no other scalars",
}


@dataclass(frozen=True)
class Cause:
    """One request as somebody else might send it, and our client asked for the same."""

    reason: str
    method: str
    target: str
    body: Any
    through_our_client: Callable[[NbiClient], Awaitable[object]]

    def __str__(self) -> str:
        return f"{self.reason}: {json.dumps(self.body) if self.body else self.target[:60]}"


def query(reason: str, collection: str, asked: Any) -> Cause:
    target = f"/{collection}?query={quote(json.dumps(asked))}&projection=_id"
    return Cause(reason, "GET", target, None, lambda nbi: nbi.find(collection, asked, ("_id",)))


def task(reason: str, asked: dict[str, Any], **options: Any) -> Cause:
    body = asked | ({"expiry": options["expiry_seconds"]} if options else {})
    return Cause(reason, "POST", f"/devices/{DEVICE}/tasks", body, lambda nbi: nbi.queue_task(DEVICE, asked, **options))


CAUSES = [
    query("a query is an object", "devices", ["x"]),
    query("a query is an object", "devices", {"$and": ["x"]}),
    query("$and needs a list", "devices", {"$and": {"_id": "x"}}),
    query("$or needs a list", "devices", {"$or": []}),
    query("unknown top level operator: $where", "devices", {"$where": "1"}),
    query("$in needs an array", "devices", {"_id": {"$in": "text"}}),
    query("$nin needs an array", "devices", {"_id": {"$nin": "text"}}),
    query("$in needs an array", "faults", {"device": {"$in": "text"}}),
    query("$in needs an array", "devices", {"$or": [{"_id": {"$in": 5}}]}),
    query("unknown operator: $foo", "devices", {"_id": {"$foo": 1}}),
    query("unknown operator: $where", "faults", {"device": {"$where": "1"}}),
    query("not a regular expression", "devices", {"_id": "/(/"}),
    query("not a regular expression", "devices", {"_id": {"$in": ["/[/i"]}}),
    query("not an ObjectId", "tasks", {"_id": "zzz"}),
    query("not an ObjectId", "tasks", {"_id": {"$in": ["zzz"]}}),
    query("Operator not supported", "tasks", {"_id": {"$regex": "x"}}),
    query("Operator not supported", "tasks", {"_id": {"$in": "text"}}),
    query("Operator not supported", "tasks", {"timestamp": {"$in": "text"}}),
    query("Operator not supported", "faults", {"timestamp": {"$regex": "x"}}),
    task("invalid task: None", {"device": "x"}),
    task("invalid task: nonsense", {"name": "nonsense"}),
    task("invalid task: setParameterValues", {"name": "setParameterValues"}),
    task("invalid task: setParameterValues", {"name": "setParameterValues", "parameterValues": [["Device.X"]]}),
    task("invalid task: setParameterValues", {"name": "setParameterValues", "parameterValues": [["Device.X", None]]}),
    task("invalid task: getParameterValues", {"name": "getParameterValues", "parameterNames": "Device.X.Y"}),
    task("invalid task: getParameterValues", {"name": "getParameterValues", "parameterNames": []}),
    task("invalid task: getParameterValues", {"name": "getParameterValues", "parameterNames": [1]}),
    task("invalid task: refreshObject", {"name": "refreshObject"}),
    task("invalid task: addObject", {"name": "addObject", "objectName": "Device.X", "parameterValues": "x"}),
    task("invalid task: deleteObject", {"name": "deleteObject", "objectName": 5}),
    task("invalid task: download", {"name": "download", "fileType": "1 Firmware Upgrade Image"}),
    task("invalid task: provisions", {"name": "provisions", "provisions": [[]]}),
    task("invalid task: provisions", {"name": "provisions", "provisions": "firstlight_apply"}),
    task("expiry is neither seconds nor a date", {"name": "reboot"}, expiry_seconds=True),
    task("expiry is neither seconds nor a date", {"name": "reboot"}, expiry_seconds="soon"),
    Cause("not an ObjectId", "DELETE", "/tasks/zzz", None, lambda nbi: nbi.delete_task("zzz")),
    Cause("not an ObjectId", "POST", "/tasks/zzz/retry", None, lambda nbi: nbi.retry_task("zzz")),
    Cause(
        "retry of an unknown task",
        "POST",
        f"/tasks/{UNKNOWN_TASK}/retry",
        None,
        lambda nbi: nbi.retry_task(UNKNOWN_TASK),
    ),
    Cause("delete of a missing file", "DELETE", "/files/none.bin", None, lambda nbi: nbi.delete_file("none.bin")),
    Cause("URI malformed", "POST", "/devices/%ZZ/tags/x", None, lambda nbi: nbi.add_tag("%ZZ", "x")),
    Cause("URI malformed", "POST", "/devices/%FF/tags/x", None, lambda nbi: nbi.add_tag("%FF", "x")),
]


@pytest.mark.parametrize("cause", CAUSES, ids=str)
async def test_what_kills_a_worker_is_not_sent_by_our_client(cause: Cause, nbi: NbiClient, lab: LabAcs) -> None:
    await lab.attach(LabCpe("HWTC12345678")).power_on()
    try:
        outcome = await cause.through_our_client(nbi)
    except NbiRequestInvalid:
        pass
    else:
        assert isinstance(outcome, Rejected)  # it was sent in a form the ACS survives
    assert reasons(lab) == []

    address = urlsplit(lab.url)
    body = b"" if cause.body is None else json.dumps(cause.body).encode()
    answer = await ask(str(address.hostname), int(address.port or 0), cause.method, cause.target, {}, body)
    assert answer.dropped
    assert reasons(lab) == [cause.reason]


def test_every_way_to_kill_a_worker_of_the_lab_is_in_the_table() -> None:
    replayed = {cause.reason for cause in CAUSES}
    ways = set(crash_messages())
    assert len(ways) > 8
    for beginning, end in ways:
        known = [reason for reason in replayed if reason.startswith(beginning) and reason.endswith(end)]
        assert known or beginning in BEYOND_OUR_CLIENT, f"{beginning}...{end} is not replayed"


def reasons(lab: LabAcs) -> list[object]:
    return [each.facts["reason"] for each in lab.happenings if each.kind == "nbi_crashed"]


def crash_messages() -> Iterator[tuple[str, str]]:
    """Beginning and end of every message that the lab's source raises ``WorkerCrash`` with."""
    for file in sorted(Path(acs.testing.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "WorkerCrash":
                message = node.args[0]
                if isinstance(message, ast.JoinedStr):
                    parts = [part.value if isinstance(part, ast.Constant) else "" for part in message.values]
                    yield str(parts[0]), str(parts[-1])
                else:
                    assert isinstance(message, ast.Constant)
                    yield str(message.value), ""
