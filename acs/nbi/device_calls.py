"""Devices at the NBI: their queue, their faults, their tags, what is under way with them."""

from __future__ import annotations

from typing import Any

from acs.nbi.answers import Answer
from acs.nbi.calls import NbiCalls
from acs.nbi.outcomes import (
    CallOutcome,
    Done,
    Fault,
    Faulted,
    NotReached,
    Operation,
    Queued,
    Rejected,
    Task,
    TaskOutcome,
    Unknown,
    Why,
    WriteOutcome,
)
from acs.nbi.requests import Json, checked_task, device_segment, fault_segment, tag_segment, task_segment

TASK_FIELDS = ("_id", "device", "name", "uniqueKey", "expiry")
FAULT_FIELDS = ("_id", "device", "channel", "code", "message", "detail", "retries", "timestamp")
OPERATION_FIELDS = ("_id", "name", "timestamp", "channels", "retries")


class DeviceCalls(NbiCalls):
    """What can be asked about one device, and of it."""

    # Reading

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

    async def operations(self, device_id: str) -> tuple[Operation, ...]:
        """What the device has begun and not reported the end of: downloads until their TransferComplete."""
        device_segment(device_id)
        # An operation names its device in its id alone; what comes after a colon is a semicolon.
        found = await self.find(
            "operations", {"_id": {"$gt": f"{device_id}:", "$lt": f"{device_id};"}}, OPERATION_FIELDS
        )
        operations = [Operation.from_document(document) for document in found.documents]
        return tuple(operation for operation in operations if operation.device_id == device_id)

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
        answer = await self._transport.write("POST", asked, body, wait="session" if connection_request else "short")
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

    async def delete_device(self, device_id: str) -> WriteOutcome:
        """Make the ACS forget a device with its tasks, faults and operations; also done when it knows none of it.

        A CPE that still reports registers again at its next Inform, as one never seen.

        Raises: NbiDeviceInSession, NbiUnreachable.
        """
        return await self._write("DELETE", f"/devices/{device_segment(device_id)}")

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
