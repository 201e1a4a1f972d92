"""What may happen inside the lab ACS; none of these ever reaches a client of the NBI as such.

LabError
├── WorkerCrash     an NBI handler threw: the client gets no answer, the worker drains, the socket is dropped
├── CwmpFault       the CPE answered an RPC with a fault (TR-069 A.5.1)
├── ScriptError     a provision script threw
├── ExtensionFault  a program beside the ACS failed, or did not answer in time
├── CpeGone         the CPE vanished in the middle of a session
└── LabRefused      the test or demo asked the lab for something that it doesn't have
"""

from __future__ import annotations

from collections.abc import Mapping

FAULT_STRINGS: Mapping[int, str] = {
    9000: "Method not supported",
    9001: "Request denied",
    9002: "Internal error",
    9003: "Invalid arguments",
    9004: "Resources exceeded",
    9005: "Invalid parameter name",
    9006: "Invalid parameter type",
    9007: "Invalid parameter value",
    9008: "Attempt to set a non-writable parameter",
    9009: "Notification request rejected",
    9010: "Download failure",
    9016: "File transfer failure: unable to contact file server",
}


class LabError(Exception):
    """Something went wrong in the lab."""


class WorkerCrash(LabError):
    """An NBI handler threw: no answer, the worker drains and dies."""


class CwmpFault(LabError):
    """The CPE refused an RPC; `by_parameter` is its SetParameterValuesFault list, path to fault code, and `texts` what
    it says of some of these in its own words."""

    def __init__(
        self,
        code: int,
        text: str | None = None,
        by_parameter: Mapping[str, int] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.text = text or FAULT_STRINGS.get(code, "Vendor fault")
        self.by_parameter = dict(by_parameter or {})
        self.texts = dict(texts or {})
        super().__init__(f"{code} {self.text}")


class ScriptError(LabError):
    """A provision script threw; `script` names it."""

    def __init__(self, script: str, message: str) -> None:
        self.script = script
        super().__init__(message)


class ExtensionFault(LabError):
    """A program beside the ACS failed, or did not answer in time; `code` is the fault's."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class CpeGone(LabError):
    """The CPE went dark in the middle of a session."""


class LabRefused(LabError):
    """The lab has no such CPE, parameter or state."""
