"""The northbound interface of GenieACS (NBI), spoken so that no answer is taken for more than it says.

Measured on GenieACS 1.2.16: a task is queued in 3 to 10 ms, as are most other calls; a connection request takes up
to 2 s; waiting for a task's session may take 150 s, so tasks are queued without waiting and their end is looked up.

What is done with trouble:

===========================================  =============================================================
nobody listens, the connection is refused    tried again for 23 s (a worker is back after 21), then NbiUnreachable
503 ``Device is in session``                 tried again for 30 s, then NbiDeviceInSession
no answer in time                            a read: NbiTimedOut; a write: ``Unknown``, never sent again here
cut off at once                              a read: tried again; a write: ``Unknown``
cut off after 15 s of silence                NbiPoisoned: the request has killed a worker, never sent again. But a write
                                             that waits for a session: ``Unknown``; a read: asked once more if others
                                             are answered, else (or if its like was answered before) NbiUnreachable
400, 404, 405, 431, redirects                ``Rejected`` (or NbiRejected for a read)
a 5xx that is not GenieACS's own             a proxy speaks: NbiUnreachable for a read, ``Unknown`` for a write
===========================================  =============================================================
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from acs.nbi.answers import Answer
from acs.nbi.documents import total_of
from acs.nbi.errors import NbiRequestInvalid
from acs.nbi.outcomes import (
    CallOutcome,
    Done,
    Fault,
    Faulted,
    NotReached,
    Queued,
    Rejected,
    Task,
    TaskOutcome,
    Unknown,
    Why,
    WriteOutcome,
)
from acs.nbi.requests import (
    Json,
    checked_task,
    device_segment,
    fault_segment,
    name_segment,
    query_kind,
    query_target,
    tag_segment,
    task_segment,
)
from acs.nbi.transport import NbiTransport
from acs.ports import Sleep

TASK_FIELDS = ("_id", "device", "name", "uniqueKey", "expiry")
FAULT_FIELDS = ("_id", "device", "channel", "code", "message", "detail", "retries")


@dataclass(frozen=True, slots=True)
class Found:
    """What a query found: how many there are in all (the ``total`` header), and the documents asked for."""

    total: int
    documents: tuple[dict[str, Any], ...]


class NbiClient:
    """One GenieACS. Use as ``async with NbiClient("http://127.0.0.1:7557") as nbi``.

    ``authorization`` is the value of the Authorization header for a proxy before the NBI, which has no authentication
    itself; ``tls`` a context with the proxy's authority and our certificate. At most ``max_connections`` requests are
    under way at once.
    """

    def __init__(
        self,
        base_url: str,
        *,
        authorization: str | None = None,
        tls: ssl.SSLContext | None = None,
        max_connections: int = 16,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._transport = NbiTransport(
            base_url,
            authorization=authorization,
            tls=tls,
            max_connections=max_connections,
            sleep=sleep,
            monotonic=monotonic,
            jitter=jitter,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()

    @property
    def genieacs_version(self) -> str | None:
        """What the last answer said in ``GenieACS-Version``; None before the first one, or behind a shy proxy."""
        return self._transport.genieacs_version

    # Reading

    async def find(
        self,
        collection: str,
        query: Json,
        projection: Sequence[str],
        *,
        limit: int | None = None,
        skip: int | None = None,
    ) -> Found:
        """The documents a query means, projected. Strings are compared literally or refused.

        Raises: NbiRequestInvalid, NbiUnreachable, NbiTimedOut, NbiGarbled, NbiRejected, NbiPoisoned.
        """
        target = query_target(collection, query, projection, limit=limit, skip=skip)
        kind = query_kind(collection, query)
        total, documents = await self._transport.collect(target, kind=kind)
        return Found(total, tuple(documents))

    async def stream(
        self, collection: str, query: Json, projection: Sequence[str], *, limit: int | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """The same, one by one and in constant memory; what breaks in the middle is raised, not tried again."""
        async with aclosing(self._transport.stream(query_target(collection, query, projection, limit=limit))) as lines:
            async for document in lines:
                yield document

    async def count(self, collection: str, query: Json) -> int:
        """How many documents a query means; costs the ACS no document."""
        target = query_target(collection, query, ("_id",))
        return total_of(await self._transport.head(target, kind=query_kind(collection, query)))

    async def tasks(self, device_id: str, *, unique_key: str | None = None) -> tuple[Task, ...]:
        """The queued tasks of one device, oldest first, without their arguments."""
        device_segment(device_id)
        query: dict[str, Any] = {"device": device_id}
        if unique_key is not None:
            query["uniqueKey"] = unique_key
        found = await self.find("tasks", query, TASK_FIELDS)
        tasks = [Task.from_document(document) for document in found.documents]
        return tuple(
            task
            for task in tasks
            if task.device_id == device_id and (unique_key is None or task.unique_key == unique_key)
        )

    async def faults(self, device_id: str) -> tuple[Fault, ...]:
        """The faults of one device, without the settings the ACS keeps in them."""
        device_segment(device_id)
        found = await self.find("faults", {"device": device_id}, FAULT_FIELDS)
        return tuple(
            Fault.from_document(document) for document in found.documents if document.get("device") == device_id
        )

    async def fault_of_task(self, device_id: str, task_id: str) -> Fault | None:
        fault_id = f"{device_id}:task_{task_id}"
        fault_segment(fault_id)
        found = await self.find("faults", {"_id": fault_id}, FAULT_FIELDS)
        exact = [document for document in found.documents if document.get("_id") == fault_id]
        return Fault.from_document(exact[0]) if exact else None

    async def provision(self, name: str) -> str | None:
        """The script stored under that name, or None."""
        name_segment(name)
        found = await self.find("provisions", {"_id": name}, ("_id", "script"))
        scripts = [document.get("script") for document in found.documents if document.get("_id") == name]
        return scripts[0] if scripts and isinstance(scripts[0], str) else None

    # Writing

    async def queue_task(
        self,
        device_id: str,
        task: Json,
        *,
        unique_key: str | None = None,
        expiry_seconds: int | None = None,
        connection_request: bool = False,
    ) -> TaskOutcome:
        """Queue one task; with ``connection_request`` also call the CPE and wait for the end of its session (to 150 s).

        A later task with the same ``unique_key`` takes the place of an earlier one of that device, which makes this
        safe to repeat. After ``expiry_seconds`` an unexecuted task is dropped without a trace.

        Raises: NbiRequestInvalid, NbiUnreachable, NbiGarbled; NbiPoisoned only without ``connection_request``.
        """
        target = f"/devices/{device_segment(device_id)}/tasks"
        body = checked_task(task, unique_key=unique_key, expiry_seconds=expiry_seconds)
        asked = target + ("?connection_request" if connection_request else "")
        answer = await self._transport.write("POST", asked, body, waits=connection_request)
        if not isinstance(answer, Answer):
            return answer
        if answer.status not in (200, 202):
            return Rejected(answer.status, answer.said)
        task_id = answer.task_id
        if task_id is None:
            return Unknown(f"The answer was {answer.status} without a task.", f"POST {target}")
        if answer.status == 200:
            return Done(task_id)
        return await self._queued(device_id, task_id, answer.reason, asked_to_call=connection_request)

    async def call(self, device_id: str) -> CallOutcome:
        """A connection request: ask the CPE to begin a session now. Done says the CPE answered, not that it came."""
        target = f"/devices/{device_segment(device_id)}/tasks?connection_request"
        answer = await self._transport.write("POST", target, None, own_504=True)
        if not isinstance(answer, Answer):
            return answer
        if answer.status == 200:
            return Done()
        if answer.status == 504:
            why = Why.said_in(answer.reason) or Why.said_in(answer.said)
            # A proxy that gave up waiting says 504 as well, in its own words.
            return (
                NotReached(why, answer.said)
                if why
                else Unknown(f"The answer was 504 {answer.said}.", "a connection request")
            )
        return Rejected(answer.status, answer.said)

    async def delete_task(self, task_id: str) -> WriteOutcome:
        """Raises: NbiDeviceInSession, NbiUnreachable."""
        return await self._write("DELETE", f"/tasks/{task_segment(task_id)}")

    async def delete_fault(self, fault_id: str) -> WriteOutcome:
        """Delete a fault and, for the channel of a task, the task. Also done when there is none.

        Raises: NbiDeviceInSession, NbiUnreachable.
        """
        return await self._write("DELETE", f"/faults/{fault_segment(fault_id)}")

    async def retry_task(self, task_id: str) -> WriteOutcome:
        """Forget a task's fault, so that it runs at the next session. Rejected (404) when there is no such task.

        GenieACS 1.2 dies of a retry of an unknown task, so it is looked up first.
        """
        segment = task_segment(task_id)
        found = await self.find("tasks", {"_id": task_id}, ("_id",))
        if not any(document.get("_id") == task_id for document in found.documents):
            return Rejected(404, "Task not found")
        return await self._write("POST", f"/tasks/{segment}/retry")

    async def add_tag(self, device_id: str, tag: str) -> WriteOutcome:
        return await self._write("POST", f"/devices/{device_segment(device_id)}/tags/{tag_segment(tag)}")

    async def remove_tag(self, device_id: str, tag: str) -> WriteOutcome:
        return await self._write("DELETE", f"/devices/{device_segment(device_id)}/tags/{tag_segment(tag)}")

    async def put_provision(self, name: str, script: str) -> WriteOutcome:
        """Store a provision script; sessions use it within 5 s. Rejected (400) when it is no JavaScript."""
        if not script.strip():
            raise NbiRequestInvalid([f"the script of {name} is empty"])
        return await self._write("PUT", f"/provisions/{name_segment(name)}", script.encode())

    async def delete_provision(self, name: str) -> WriteOutcome:
        """Also done when there is none."""
        return await self._write("DELETE", f"/provisions/{name_segment(name)}")

    async def _write(self, method: str, target: str, body: bytes | None = None) -> WriteOutcome:
        answer = await self._transport.write(method, target, body)
        if not isinstance(answer, Answer):
            return answer
        return Done() if answer.status in (200, 201, 204) else Rejected(answer.status, answer.said)

    async def _queued(self, device_id: str, task_id: str, reason: str, *, asked_to_call: bool) -> TaskOutcome:
        """What a 202 means."""
        if not asked_to_call:
            return Queued(task_id, Why.ACCEPTED)
        why = Why.said_in(reason)
        if why is not None:
            return Queued(task_id, why, reason)
        fault = await self.fault_of_task(device_id, task_id)
        if fault is not None or reason == "Task faulted":
            return Faulted(task_id, fault)
        if any(task.id == task_id for task in await self.tasks(device_id)):
            return Queued(task_id, Why.UNSAID, reason)
        return Done(task_id)
