"""The CWMP side of the lab ACS: one session at a time per CPE, the queue in order, faults, transfers.

The document, the queue and the faults change when the session ends; what the NBI shows before is the state before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from acs.testing.clock import Clock
from acs.testing.cpe import LabCpe
from acs.testing.cpe_rpcs import CpeRpcs
from acs.testing.device_session import RPC_SECONDS, DeviceSession
from acs.testing.documents import Documents
from acs.testing.errors import CpeGone, CwmpFault, ExtensionFault, ScriptError
from acs.testing.extensions import Extensions
from acs.testing.json_text import dump_json
from acs.testing.presets import Presets
from acs.testing.provisions import Provisions
from acs.testing.query import Document
from acs.testing.tasks import as_provisions, retry_due
from acs.testing.transfers import begin_transfer, end_transfers

MAX_SESSIONS = 20  # of one worker; beyond it the CPE is answered 503
_LOCK_SECONDS = 120
Note = Callable[..., None]


@dataclass
class _Channel:
    """One thing that runs in the session and faults by itself: a task, or a channel of presets."""

    name: str
    provisions: list[list[object]]
    task_id: str | None = None
    fault: Document | None = None


@dataclass
class _Outcome:
    done_tasks: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    faults: list[Document] = field(default_factory=list)


class Cwmp:
    """Holds the sessions. `started` says when each device's latest session began."""

    def __init__(self, documents: Documents, clock: Clock, note: Note) -> None:
        self._documents = documents
        self._clock = clock
        self._note = note
        self.open: dict[str, datetime] = {}
        self.started: dict[str, datetime] = {}
        self.max_sessions = MAX_SESSIONS
        self.dates_commands = False  # see ``DeviceSession.answered``
        self.crashes = 0
        self.extensions = Extensions()
        self.presets = Presets(documents, clock)
        self.provisions = Provisions(lambda: documents["provisions"], self._download)

    async def inform(self, cpe: LabCpe, events: list[str]) -> bool:
        """Hold a session. False when the ACS is overloaded or its workers die of a poisoned preset."""
        await self._clock.sleep(RPC_SECONDS)
        device_id = cpe.device_id
        if self.presets.poisoned():
            self.crashes += 1
            self._note(cpe.serial, "cwmp_crashed")
            return False
        if len(self.open) >= self.max_sessions:
            self._note(cpe.serial, "inform_refused", status=503)
            return False
        now = self._clock.now()
        self.open[device_id] = self.started[device_id] = now
        lock_id = f"cwmp_session_{device_id}"
        expire = now + timedelta(seconds=_LOCK_SECONDS)
        self._documents["locks"][lock_id] = {"_id": lock_id, "value": cpe.serial, "timestamp": now, "expire": expire}
        self._note(cpe.serial, "inform", events=events)
        try:
            return await self._session(cpe, events)
        finally:
            del self.open[device_id]
            del self._documents["locks"][lock_id]

    async def _session(self, cpe: LabCpe, events: list[str]) -> bool:
        known = self._documents["devices"].get(cpe.device_id, {})
        session = DeviceSession(
            known, CpeRpcs(cpe), self._clock, events, dates_commands=self.dates_commands, ext=self.extensions.run
        )
        session.take_inform()
        outcome = _Outcome()
        outcome.faults += end_transfers(self._documents, session)
        channels = self._channels(session, outcome)
        complete = await self._run_all(session, channels, outcome)
        if complete:
            await self._clock.sleep(RPC_SECONDS + cpe.quirks.session_seconds)
            if cpe.hold is not None:
                await cpe.hold.wait()
        self._store(session, outcome)
        self._note(cpe.serial, "session_ended", faults=[fault["code"] for fault in outcome.faults])
        return complete

    def _channels(self, session: DeviceSession, outcome: _Outcome) -> list[_Channel]:
        """Presets first, then the queue: without what has expired, and without what waits for its retry."""
        device_id = session.rpcs.cpe.device_id
        channels = [_Channel(name, provisions) for name, provisions in self.presets.channels(session)]
        for task in self._documents.tasks_of(device_id):
            channel = f"task_{task['_id']}"
            if "expiry" in task and task["expiry"] <= session.started:
                outcome.done_tasks.append(task["_id"])
                outcome.cleared.append(f"{device_id}:{channel}")
            else:
                channels.append(_Channel(channel, as_provisions(task), task["_id"]))
        for channel_ in channels:
            channel_.fault = self._documents["faults"].get(f"{device_id}:{channel_.name}")
        return [one for one in channels if one.fault is None or retry_due(one.fault, session.started)]

    async def _run_all(self, session: DeviceSession, channels: list[_Channel], outcome: _Outcome) -> bool:
        for channel in channels:
            try:
                await self.provisions.run(session, channel.provisions)
            except CpeGone:
                text = "The TR-069 session was unsuccessfully terminated"
                outcome.faults.append(self._fault(session, channel, "session_terminated", text, None))
                return False
            except CwmpFault as fault:
                detail = _fault_detail(fault)
                outcome.faults.append(self._fault(session, channel, f"cwmp.{fault.code}", fault.text, detail))
            except ScriptError as error:
                detail = _script_detail(error)
                outcome.faults.append(self._fault(session, channel, "script.Error", str(error), detail))
            except ExtensionFault as error:
                outcome.faults.append(self._fault(session, channel, error.code, str(error), None))
            else:
                outcome.cleared.append(f"{session.document['_id']}:{channel.name}")
                if channel.task_id is not None:
                    outcome.done_tasks.append(channel.task_id)
        return True

    def _fault(
        self, session: DeviceSession, channel: _Channel, code: str, message: str, detail: Mapping[str, object] | None
    ) -> Document:
        device_id = session.rpcs.cpe.device_id
        fault = {
            "_id": f"{device_id}:{channel.name}",
            "device": device_id,
            "channel": channel.name,
            "timestamp": self._clock.now(),
            "code": code,
            "message": message,
            "detail": detail,
            "retries": 0 if channel.fault is None else channel.fault["retries"] + 1,
            "provisions": dump_json(channel.provisions),
        }
        return fault if detail is not None else {key: one for key, one in fault.items() if key != "detail"}

    def _store(self, session: DeviceSession, outcome: _Outcome) -> None:
        """What the session changed; tags that the NBI set meanwhile are kept."""
        device_id = session.rpcs.cpe.device_id
        tags = list(self._documents["devices"].get(device_id, {}).get("_tags", []))
        tags += [tag for tag, present in session.tag_changes.items() if present and tag not in tags]
        tags = [tag for tag in tags if session.tag_changes.get(tag, True)]
        if tags or "_tags" in session.document:
            session.document["_tags"] = tags
        self._documents["devices"][device_id] = session.document
        for task_id in outcome.done_tasks:
            self._documents["tasks"].pop(task_id, None)
        for fault_id in outcome.cleared:
            self._documents["faults"].pop(fault_id, None)
        for fault in outcome.faults:
            self._documents["faults"][fault["_id"]] = fault

    async def _download(self, session: DeviceSession, args: Sequence[object]) -> None:
        await begin_transfer(self._documents, session, args)


def _fault_detail(fault: CwmpFault) -> dict[str, object]:
    by_parameter = [
        {"parameterName": path, "faultCode": str(code), "faultString": fault.texts.get(path, CwmpFault(code).text)}
        for path, code in fault.by_parameter.items()
    ]
    return {
        "faultCode": str(fault.code),
        "faultString": fault.text,
        "setParameterValuesFault": by_parameter or None,
    }


def _script_detail(error: ScriptError) -> dict[str, object]:
    name = re.sub(r"\s", "_", error.script)
    return {"name": "Error", "message": str(error), "stack": f"Error: {error}\n    at {name}:1:1"}
