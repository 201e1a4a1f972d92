"""POST /devices/{id}/tasks: queue a task and, if asked, call the CPE and wait for what becomes of it.

The status line's reason tells the outcomes apart; 202 always means that the task is in the queue (observed on 1.2.16).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from acs.testing.clock import Clock
from acs.testing.connection_request import call_cpe
from acs.testing.cpe import LabCpe
from acs.testing.cwmp import Cwmp
from acs.testing.documents import Documents
from acs.testing.errors import WorkerCrash
from acs.testing.http_server import HttpResponse
from acs.testing.json_text import dump_json, parse_json
from acs.testing.query import Document
from acs.testing.tasks import accept_task

POLL_SECONDS = 0.5
DEVICE_ONLINE_THRESHOLD_MS = 4000
LOCK_WAIT_SECONDS = 30.0
SESSION_END_POLLS = 240  # 120 s
NOT_PROCESSED = "Task queued but not processed"
_JSON = {"Content-Type": "application/json"}


class TaskQueue:
    """`cpe_of` finds the CPE that answers under a device's connection request URL, if there is one."""

    def __init__(self, documents: Documents, cwmp: Cwmp, clock: Clock, cpe_of: Callable[[str], LabCpe | None]) -> None:
        self._documents = documents
        self._cwmp = cwmp
        self._clock = clock
        self._cpe_of = cpe_of

    async def post(self, device_id: str, body: bytes, query: Mapping[str, str]) -> HttpResponse:
        """Raises: WorkerCrash for an invalid task, JsonSyntaxError."""
        call = "connection_request" in query
        if not body:
            return await self._only_call(device_id) if call else HttpResponse.text(400)
        task = parse_json(body.decode())
        if task is None:
            return HttpResponse.text(400, "TypeError: Cannot set properties of null (setting 'device')")
        if not isinstance(task, dict | list):
            shown = f"{type_name(task)} '{task}'"
            return HttpResponse.text(400, f"TypeError: Cannot create property 'device' on {shown}")
        if device_id not in self._documents["devices"]:
            return HttpResponse.text(404, "No such device")
        if isinstance(task, list):
            return HttpResponse(202, [dump_json([self._insert(dict(one)) for one in task]).encode()], headers=_JSON)
        task["device"] = device_id
        if not call:
            return HttpResponse(202, [dump_json(self._insert(task)).encode()], headers=_JSON)
        return await self._queue_and_call(device_id, task, query.get("timeout"))

    async def _queue_and_call(self, device_id: str, task: Document, wait: str | None) -> HttpResponse:
        free = await self._lock_free(device_id)
        stored = self._insert(task)
        reason = await self._call_and_wait(device_id, stored, wait) if free else NOT_PROCESSED
        body = [dump_json(stored).encode()]
        return HttpResponse(200 if reason is None else 202, body, reason, headers=_JSON)

    def _insert(self, task: Document) -> Document:
        """Store a task in the place of an earlier one with its device and `uniqueKey`, whose fault stays behind."""
        now = self._clock.now()
        stored = accept_task(task, now, self._documents.new_task_id(now))
        if "uniqueKey" in stored:
            for other in self._documents.tasks_of(stored.get("device", "")):
                if other.get("uniqueKey") == stored["uniqueKey"]:
                    del self._documents["tasks"][other["_id"]]
        self._documents["tasks"][stored["_id"]] = {"_id": stored["_id"]} | stored
        return stored

    async def _lock_free(self, device_id: str) -> bool:
        """Wait for a session that is open to end, 30 s at most."""
        for _ in range(math.ceil(LOCK_WAIT_SECONDS / POLL_SECONDS)):
            if device_id not in self._cwmp.open:
                return True
            await self._clock.sleep(POLL_SECONDS)
        return device_id not in self._cwmp.open

    async def _only_call(self, device_id: str) -> HttpResponse:
        if device_id not in self._documents["devices"]:
            return HttpResponse.text(404, "No such device")
        error = await self._connection_request(device_id)
        return HttpResponse.text(200) if error is None else HttpResponse.text(504, error, reason=error)

    async def _call_and_wait(self, device_id: str, task: Document, wait: str | None) -> str | None:
        """None when the task is done, else the reason of the 202."""
        called = self._clock.now()
        error = await self._connection_request(device_id)
        if error is not None:
            return error
        if not await self._session_over(device_id, called, _milliseconds(wait)):
            return NOT_PROCESSED
        if task["_id"] not in self._documents["tasks"]:
            return None
        faulted = f"{device_id}:task_{task['_id']}" in self._documents["faults"]
        return "Task faulted" if faulted else NOT_PROCESSED

    async def _session_over(self, device_id: str, called: datetime, timeout_ms: int) -> bool:
        """Poll until a session that began after the call has ended; `timeout_ms` bounds the wait for its begin."""
        begin_polls = max(0, math.ceil(timeout_ms / (POLL_SECONDS * 1000)) - 1)
        for poll in range(begin_polls + SESSION_END_POLLS):
            await self._clock.sleep(POLL_SECONDS if poll < begin_polls or self._begun(device_id, called) else 0)
            if self._begun(device_id, called):
                if device_id not in self._cwmp.open:
                    return True
            elif poll + 1 >= begin_polls:
                return False
        return False

    def _begun(self, device_id: str, called: datetime) -> bool:
        started = self._cwmp.started.get(device_id)
        return started is not None and started >= called

    async def _connection_request(self, device_id: str) -> str | None:
        return await call_cpe(self._cpe_of(device_id), self._documents["devices"][device_id], self._clock)


def _milliseconds(wait: str | None) -> int:
    found = re.match(r"\d+", wait or "")
    return int(found[0]) if found else DEVICE_ONLINE_THRESHOLD_MS


def type_name(value: Any) -> str:
    """JavaScript's name of a scalar's type."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    raise WorkerCrash(f"no JSON scalar: {type(value).__name__}")
