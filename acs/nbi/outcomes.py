"""What became of a request to GenieACS. Not a boolean: 202 may mean queued or faulted, and silence means unknown.

The status line's reason phrase carries the meaning (NBI /devices/{id}/tasks), so both are read. A proxy may drop the
phrase; then the client looks at /tasks and /faults.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from acs.errors import Refusal
from acs.nbi.errors import NbiRejected, NbiTimedOut
from acs.nbi.faults import meaning_of, script_refusals

REPORTED_LENGTH = 200
"""What a CPE says about itself is shown cut to this length."""
MASK = "***"


class Why(StrEnum):
    """Why a task waits, or a connection request did not reach the CPE."""

    ACCEPTED = "accepted"
    OFFLINE = "offline"
    CONNECTION_REQUEST_CREDENTIALS = "connection_request_credentials"
    CONNECTION_REQUEST_FAILED = "connection_request_failed"
    NO_SESSION = "no_session"
    UNSAID = "unsaid"

    @property
    def words(self) -> str:
        return _WORDS[self]

    @classmethod
    def said_in(cls, reason: str) -> Why | None:
        """What GenieACS says in the reason phrase (or body) of a 202 or 504; None for words that aren't its own."""
        if reason == "Device is offline":
            return cls.OFFLINE
        if reason == "Task queued but not processed":
            return cls.NO_SESSION
        if reason.startswith("Connection request error"):
            credentials = "Incorrect connection request credentials" in reason
            return cls.CONNECTION_REQUEST_CREDENTIALS if credentials else cls.CONNECTION_REQUEST_FAILED
        return None


_WORDS: Mapping[Why, str] = {
    Why.ACCEPTED: "it waits in the queue for the CPE's next session",
    Why.OFFLINE: "the CPE does not answer the ACS: it is off, its line is down, or it is behind NAT",
    Why.CONNECTION_REQUEST_CREDENTIALS: "the CPE refused the ACS's connection request credentials",
    Why.CONNECTION_REQUEST_FAILED: "the connection request to the CPE failed",
    Why.NO_SESSION: "the CPE was called and did not begin a session",
    Why.UNSAID: "the ACS queued it and did not say why",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A record of /faults, without the settings (and secrets) that GenieACS keeps in it."""

    id: str
    device_id: str
    channel: str
    code: str
    """``cwmp.9003``, ``script.Error``, ``timeout``, ..."""
    message: str
    refusals: tuple[Refusal, ...] = ()
    """The parameters it is about: those the CPE named, or those our apply script found missing or read-only."""
    retries: int = 0
    at: str | None = None
    """By the ACS's clock: the session in which it failed, or the moment."""

    @property
    def task_id(self) -> str | None:
        return self.channel.removeprefix("task_") if self.channel.startswith("task_") else None

    def without(self, secrets: Collection[str]) -> Fault:
        """The same, with none of these in what the CPE said: some repeat in a fault the value that they refuse."""
        refusals = tuple(
            Refusal(path=each["path"], code=each["code"], meaning=masked(each["meaning"], secrets))
            for each in self.refusals
        )
        return replace(self, message=masked(self.message, secrets), refusals=refusals)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Fault:
        """Reads what GenieACS and the CPE said; nothing in it is trusted to be there or well-formed."""
        detail = document.get("detail")
        refused = detail.get("setParameterValuesFault") if isinstance(detail, Mapping) else None
        retries, at = document.get("retries"), document.get("timestamp")
        code = printable(document.get("code")) or "unknown"
        # Read before the message is cut: three paths of a TR-098 CPE are longer than what is shown.
        found = script_refusals(code, printable(document.get("message"), longest=None))
        return cls(
            id=str(document.get("_id", "")),
            device_id=str(document.get("device", "")),
            channel=str(document.get("channel", "")),
            code=code,
            message=printable(document.get("message")),
            refusals=tuple(_refusals(refused)) or found,
            retries=retries if isinstance(retries, int) else 0,
            at=at if isinstance(at, str) else None,
        )


@dataclass(frozen=True, slots=True)
class Task:
    """A queued task; its arguments are left at the ACS, since they hold secrets."""

    id: str
    device_id: str
    name: str
    unique_key: str | None = None
    expiry: str | None = None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Task:
        """Reads a record of /tasks; nothing in it is trusted to be there or to be text."""

        def text(key: str) -> str | None:
            value = document.get(key)
            return value if isinstance(value, str) else None

        return cls(text("_id") or "", text("device") or "", text("name") or "", text("uniqueKey"), text("expiry"))


@dataclass(frozen=True, slots=True)
class Operation:
    """What a CPE has begun and not ended; its arguments are left at the ACS."""

    id: str
    device_id: str
    name: str
    """``Download``."""
    task_ids: tuple[str, ...]
    """The tasks it came of."""
    begun_at: str | None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Operation:
        """Reads a record of /operations; nothing in it is trusted to be there or to be text."""
        operation_id = str(document.get("_id", ""))
        begun = document.get("timestamp")
        try:
            channels = json.loads(str(document.get("channels", "{}")))
        except ValueError:
            channels = {}
        names = [str(name) for name in channels] if isinstance(channels, Mapping) else []
        return cls(
            operation_id,
            operation_id.rpartition(":")[0],
            printable(document.get("name")),
            tuple(name.removeprefix("task_") for name in names if name.startswith("task_")),
            begun if isinstance(begun, str) else None,
        )


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that CPEs can be told to download, as /files lists it."""

    name: str
    length_bytes: int
    file_type: str
    oui: str
    product_class: str
    version: str

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StoredFile:
        """Reads a record of /files; nothing in it is trusted to be there."""
        metadata = document.get("metadata")
        said = metadata if isinstance(metadata, Mapping) else {}
        length = document.get("length")
        return cls(
            str(document.get("_id", "")),
            length if isinstance(length, int) else 0,
            *(printable(said.get(key)) for key in ("fileType", "oui", "productClass", "version")),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """It has happened. For a task: the CPE's session has run it, which is not yet what the CPE then has."""

    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """The task waits at the ACS and will run at the CPE's next session."""

    task_id: str
    why: Why
    said: str = ""


@dataclass(frozen=True, slots=True)
class Faulted:
    """The task ran and failed; it stays queued and the ACS tries it again by itself (300 s and more later)."""

    task_id: str
    fault: Fault | None
    """None when the ACS said so and its record is gone already."""


@dataclass(frozen=True, slots=True)
class NotReached:
    """The CPE could not be called (the connection request without a task)."""

    why: Why
    said: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The ACS did not take the request; nothing has happened."""

    status: int
    said: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened: no answer came. Look before doing it again."""

    why: str
    asked: str = field(default="")


TaskOutcome = Done | Queued | Faulted | Rejected | Unknown
CallOutcome = Done | NotReached | Rejected | Unknown
WriteOutcome = Done | Rejected | Unknown


def require_done(outcome: Done | Rejected | Unknown, what: str) -> Done:
    """For a caller to whom only Done is good enough; ``what`` was asked. Raises: NbiRejected, NbiTimedOut."""
    if isinstance(outcome, Rejected):
        raise NbiRejected(what, status=outcome.status, said=outcome.said)
    if isinstance(outcome, Unknown):
        raise NbiTimedOut(f"Whether the ACS did {what} is not known: {outcome.why}")
    return outcome


def printable(said: object, *, longest: int | None = REPORTED_LENGTH) -> str:
    """What a CPE or the ACS said, as one line without control characters, cut short."""
    text = said if isinstance(said, str) else ""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:longest].strip()


def masked(said: str, secrets: Collection[str]) -> str:
    """What was said without these, nor with the beginning of one that it breaks off in."""
    for secret in sorted({printable(each, longest=None) for each in secrets} - {""}, key=len, reverse=True):
        said = said.replace(secret, MASK)
        begun = next((size for size in range(len(secret) - 1, 2, -1) if said.endswith(secret[:size])), 0)
        said = said[: len(said) - begun] + MASK if begun else said
    return said


def _refusals(refused: object) -> Sequence[Refusal]:
    if not isinstance(refused, list):
        return ()
    found: list[Refusal] = []
    for each in refused:
        if isinstance(each, Mapping):
            code = printable(each.get("faultCode")) or "unknown"
            path = printable(each.get("parameterName")) or "a parameter without a name"
            found.append(Refusal(path=path, code=code, meaning=meaning_of(code, printable(each.get("faultString")))))
    return found
