"""Tests that a CPE makes itself when it is asked: IPPing and Download diagnostics (TR-143, TR-181, TR-098).

Begun by `DiagnosticsState` = Requested; made after the session; reported with the event 8 DIAGNOSTICS COMPLETE. A host
below `.invalid` (RFC 6761) cannot be resolved, anything else answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from acs.testing.cpe import LabCpe
from acs.testing.parameter_tree import Value

ANSWER_MS = 12
DOWNLOADED_BYTES = 2_500_000
DOWNLOAD_SECONDS = 2


def make_tests(cpe: LabCpe, written: Mapping[str, Value]) -> None:
    """Begins every test that was asked for by these writes."""
    for path, value in written.items():
        base, _, name = path.rpartition(".")
        if name == "DiagnosticsState" and value == "Requested":
            cpe.network.spawn(_make(cpe, base))


async def _make(cpe: LabCpe, base: str) -> None:
    clock = cpe.network.clock
    begun = clock.now()
    await clock.sleep(cpe.quirks.test_seconds, background=True)
    if f"{base}.Host" in cpe.tree:
        host, state = str(cpe.value(f"{base}.Host")), "Complete"
        times = {"AverageResponseTime": ANSWER_MS, "MinimumResponseTime": ANSWER_MS - 2, "MaximumResponseTime": 15}
        results: dict[str, Value] = {
            "SuccessCount": cpe.value(f"{base}.NumberOfRepetitions"),
            "FailureCount": 0,
            **times,
        }
    else:
        host, state = urlsplit(str(cpe.value(f"{base}.DownloadURL"))).hostname or "", "Complete"
        ended = begun + timedelta(seconds=DOWNLOAD_SECONDS)
        results = {"BOMTime": begun.isoformat(), "EOMTime": ended.isoformat(), "TestBytesReceived": DOWNLOADED_BYTES}
    if host.endswith(".invalid"):
        state, results = "Error_CannotResolveHostName", {}
    for name, value in results.items():
        cpe.tree.put(f"{base}.{name}", value)
    cpe.tree.put(f"{base}.DiagnosticsState", state)
    await cpe.inform("8 DIAGNOSTICS COMPLETE")
