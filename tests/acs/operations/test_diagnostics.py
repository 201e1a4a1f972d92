"""Tests that the CPE makes: done when it has ended them, with what it measured."""

from __future__ import annotations

import pytest

from acs import OperationRefused
from acs.operations.diagnostics import download_result
from tests.acs.operations.conftest import Ops

SQLITE = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)


@SQLITE
@pytest.mark.parametrize("data_model", ["TR-181", "TR-098"])
async def test_a_ping_and_a_download_are_told_as_the_cpe_measured_them(ops: Ops, data_model: str) -> None:
    await ops.configured(data_model=data_model)
    ping = await ops.done(await ops.ask("ping", host="192.0.2.1", count=5))
    assert (ping["state"], ping["reason"]) == ("done", "5 answered, 0 lost, 12 ms on average.")
    url = "http://192.0.2.1/10M.bin"
    download = await ops.done(await ops.ask("download", url=url))
    assert (download["state"], download["reason"]) == ("done", "2500000 bytes at 10000 kbit/s.")


@SQLITE
async def test_a_test_that_fails_says_why_and_a_slow_one_is_waited_for(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.test_seconds = 90.0
    failed = await ops.done(await ops.ask("ping", host="nobody.invalid"))
    assert (failed["state"], failed["reason"]) == ("faulted", "The test failed: the CPE could not resolve the name.")


@SQLITE
async def test_a_model_without_the_test_says_so(ops: Ops) -> None:
    cpe = await ops.configured()
    for path in list(cpe.tree.leaves("Device.IP.Diagnostics.IPPing")):
        cpe.tree.remove(path)
    refused = await ops.done(await ops.ask("ping", host="192.0.2.1"))
    assert refused["state"] == "faulted"
    assert "Device.IP.Diagnostics.IPPing.Host: the CPE has no such parameter (missing)" in refused["reason"]


@SQLITE
async def test_what_no_cpe_could_be_asked_is_refused_at_once(ops: Ops) -> None:
    await ops.configured()
    with pytest.raises(OperationRefused) as refused:
        await ops.ask("ping", host="a b", count=0, size_bytes=9000)
    assert len(refused.value.faults) == 3
    for url in ("https://192.0.2.1/x", "http://user:pw@192.0.2.1/x"):
        with pytest.raises(OperationRefused):
            await ops.ask("download", url=url)


def test_times_that_the_cpe_does_not_know_make_no_rate() -> None:
    unknown: dict[str, str | int | bool | None] = {
        "BOMTime": "0001-01-01T00:00:00Z",
        "EOMTime": "0001-01-01T00:00:00Z",
        "TestBytesReceived": 5,
    }
    assert download_result(unknown) == {"bytes": 5, "seconds": None, "rate_kbps": None}
    milliseconds: dict[str, str | int | bool | None] = {
        "BOMTime": 1_790_000_000_000,
        "EOMTime": 1_790_000_004_000,
        "TestBytesReceived": 1_000_000,
    }
    assert download_result(milliseconds) == {"bytes": 1_000_000, "seconds": 4.0, "rate_kbps": 2000}
