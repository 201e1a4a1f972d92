"""Tests that a CPE makes itself: a ping and a download (TR-181 Device.IP.Diagnostics, TR-098 ...Diagnostics).

A test is begun by writing ``Requested`` to its state. The CPE makes it when the session has ended, and reports with the
event 8 DIAGNOSTICS COMPLETE (TR-069 A.3.2.1, 3.7.1.5); then its results are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from acs.convergence.seen_devices import Leaf, SeenDevice, moment, read_leaves
from acs.nbi.client import NbiClient
from acs.operations.ledger import Operation
from acs.operations.parameters import not_read, script_task, tag_of, taken
from acs.operations.steps import Again, Next, Over, Send, Wait, is_later, spelt
from acs.templates.rendering import DataModel, SettingValue

Test = Literal["ping", "download"]

BASES: Mapping[tuple[Test, DataModel], str] = {
    ("ping", "TR-181"): "Device.IP.Diagnostics.IPPing",
    ("ping", "TR-098"): "InternetGatewayDevice.IPPingDiagnostics",
    ("download", "TR-181"): "Device.IP.Diagnostics.DownloadDiagnostics",
    ("download", "TR-098"): "InternetGatewayDevice.DownloadDiagnostics",
}
RESULTS: Mapping[Test, tuple[str, ...]] = {
    "ping": ("SuccessCount", "FailureCount", "AverageResponseTime", "MinimumResponseTime", "MaximumResponseTime"),
    "download": ("BOMTime", "EOMTime", "TestBytesReceived"),
}
_ERRORS: Mapping[str, str] = {
    "Error_CannotResolveHostName": "the CPE could not resolve the name",
    "Error_InitConnectionFailed": "the CPE could not connect",
    "Error_NoResponse": "nobody answered the CPE",
    "Error_TransferFailed": "the transfer failed",
    "Error_PasswordRequestFailed": "the server wants a password",
    "Error_LoginFailed": "the server refused the login",
    "Error_NoTransferMode": "the server offers no mode of transfer that the CPE knows",
    "Error_NoPASV": "the server offers no passive mode",
    "Error_IncorrectSize": "the file has another size",
    "Error_Timeout": "it took too long",
    "Error_Internal": "an internal error of the CPE",
    "Error_Other": "the CPE gave no reason",
}
REPORT_AWAITED_LOOKS = 20
"""A CPE that does not report the end of its test by itself is asked after so many looks."""


class RequestTestStep:
    """Asks for the test by the apply script, which refuses where the model lacks one of the parameters."""

    repeatable: ClassVar[bool] = True

    def __init__(self, test: Test) -> None:
        self._test: Test = test

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        if not seen["data_models"]:
            return Wait("The CPE has not told the ACS its data model yet.", 10.0)
        base = BASES[self._test, seen["data_models"][0]]
        wanted = wanted_of(self._test, operation.arguments)
        return Send(script_task(operation, {f"{base}.{name}": value for name, value in wanted.items()}), {"base": base})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        return taken(operation, seen) or Next(
            "The CPE makes the test.", {"informed": spelt(seen["last_inform"])}, forget_tag=tag_of(operation)
        )


class ReadTestStep:
    """Reads what came of the test, once the CPE has reported."""

    repeatable: ClassVar[bool] = True

    def __init__(self, test: Test, nbi: NbiClient) -> None:
        self._test: Test = test
        self._nbi = nbi

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        reported = is_later(seen["last_inform"], operation.noted("informed"))
        if not reported and operation.looks < REPORT_AWAITED_LOOKS:
            return Wait("The CPE makes the test; it reports when that has ended.", 1.5)
        stamps = {path: spelt(leaf.stamp) for path, leaf in (await self._leaves(operation, seen)).items()}
        paths = self._paths(operation)
        return Send({"name": "getParameterValues", "parameterNames": paths}, {"stamps": stamps})

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        leaves = await self._leaves(operation, seen)
        if (again := not_read(operation, leaves)) is not None:
            return again
        base = operation.baseline["base"]
        state = leaves.get(f"{base}.DiagnosticsState", Leaf(None, None)).value
        if state == "Requested":
            return Again("The CPE is still making the test.", 5.0, counts=False)
        read = {name: leaves[f"{base}.{name}"].value for name in RESULTS[self._test] if f"{base}.{name}" in leaves}
        if state in ("Complete", "Completed"):
            outcome = ping_result(read) if self._test == "ping" else download_result(read)
            return Over("done", words_of(self._test, outcome), {"state": str(state), **outcome})
        meaning = _ERRORS.get(str(state), f"the CPE says {str(state)[:60]!r}")
        return Over("faulted", f"The test failed: {meaning}.", {"state": str(state)})

    def _paths(self, operation: Operation) -> list[str]:
        base = operation.baseline["base"]
        return [f"{base}.DiagnosticsState", *(f"{base}.{name}" for name in RESULTS[self._test])]

    async def _leaves(self, operation: Operation, seen: SeenDevice) -> dict[str, Leaf]:
        return await read_leaves(self._nbi, seen["device_id"], self._paths(operation)) or {}


def wanted_of(test: Test, arguments: Mapping[str, Any]) -> dict[str, SettingValue]:
    """The parameters of a test by their names below its object, its state first."""
    if test == "ping":
        return {
            "DiagnosticsState": "Requested",
            "Host": str(arguments["host"]),
            "NumberOfRepetitions": int(arguments["count"]),
            "Timeout": int(arguments["timeout_ms"]),
            "DataBlockSize": int(arguments["size_bytes"]),
        }
    return {"DiagnosticsState": "Requested", "DownloadURL": str(arguments["url"])}


def ping_result(read: Mapping[str, SettingValue | None]) -> dict[str, Any]:
    """Counts, and times in milliseconds; what the CPE does not tell is None."""
    return {
        "answered": read.get("SuccessCount"),
        "lost": read.get("FailureCount"),
        "average_ms": read.get("AverageResponseTime"),
        "minimum_ms": read.get("MinimumResponseTime"),
        "maximum_ms": read.get("MaximumResponseTime"),
    }


def download_result(read: Mapping[str, SettingValue | None]) -> dict[str, Any]:
    """Bytes, seconds between the transfer's begin and end (TR-143 BOMTime, EOMTime), and the rate of that in kbit/s."""
    begun, ended = _time(read.get("BOMTime")), _time(read.get("EOMTime"))
    received = read.get("TestBytesReceived")
    seconds = (ended - begun).total_seconds() if begun is not None and ended is not None else None
    known = isinstance(received, int) and seconds is not None and seconds > 0
    rate = round(int(received or 0) * 8 / 1000 / seconds) if known and seconds else None
    return {"bytes": received, "seconds": seconds, "rate_kbps": rate}


def words_of(test: Test, outcome: Mapping[str, Any]) -> str:
    """The outcome as a sentence."""
    if test == "ping":
        return f"{outcome['answered']} answered, {outcome['lost']} lost, {outcome['average_ms']} ms on average."
    rate = "at a rate that the CPE's times do not tell" if outcome["rate_kbps"] is None else None
    return f"{outcome['bytes']} bytes {rate or 'at {} kbit/s'.format(outcome['rate_kbps'])}."


def _time(value: SettingValue | None) -> datetime | None:
    """A dateTime as the ACS has it: text, or milliseconds since 1970. The unknown time of TR-069 A.2 is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC) if value > 0 else None
    found = moment(value) or moment(f"{value}Z")
    return found if found is not None and found.year > 1 else None
