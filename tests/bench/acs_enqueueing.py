"""``acs.enqueue``: tasks queued by our client beside a bare HTTP client that posts the same."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx

from acs import NbiClient, Queued
from acs.nbi.requests import checked_task
from acs.testing import LabCpe, serial_of
from tests.bench.acs_lab import QUICK, REAL, lab_of
from tests.bench.lines import Pair, Tally, say, told

TASKS = int(os.environ.get("TASKS") or (500 if QUICK else 10_000))
CLIENTS = 16
KEY = "firstlight:bench"
EXPIRY_SECONDS = 60


async def measure() -> None:
    """One run: the floor with a tenth of the tasks, then ours with all."""
    async with _acs() as url, NbiClient(url, max_connections=CLIENTS) as nbi, httpx.AsyncClient() as http:
        devices = [device_id async for device_id in _devices(nbi)]

        async def ours(device_id: str) -> None:
            outcome = await nbi.queue_task(device_id, _task(device_id), unique_key=KEY, expiry_seconds=EXPIRY_SECONDS)
            assert isinstance(outcome, Queued), outcome

        async def floor(device_id: str) -> None:
            body = checked_task(_task(device_id), unique_key=KEY, expiry_seconds=EXPIRY_SECONDS)
            answer = await http.post(f"{url}/devices/{quote(device_id, safe='')}/tasks", content=body)
            assert answer.status_code == 202

        bare = await _spread(floor, devices[: max(len(devices) // 10, 100)])
        began = time.perf_counter()
        pair = Pair(bare, await _spread(ours, devices))
        seconds = time.perf_counter() - began
    line = told("acs.enqueue", [pair], clients=CLIENTS, tasks=len(devices))
    say(line | {"rate_per_s": round(len(devices) / seconds, 1), "runs": 1})


@asynccontextmanager
async def _acs() -> AsyncIterator[str]:
    if REAL:
        yield REAL
        return
    async with lab_of(TASKS) as url:
        yield url


async def _devices(nbi: NbiClient) -> AsyncIterator[str]:
    if not REAL:
        for number in range(TASKS):
            yield LabCpe(serial_of(number), product_class="LAB-ONT" if number % 2 else "LAB-GATEWAY").device_id
        return
    async for document in nbi.stream("devices", {}, ("_id",), limit=TASKS):
        yield str(document["_id"])


def _task(device_id: str) -> dict[str, object]:
    root = "InternetGatewayDevice" if "LAB%2DONT" in device_id else "Device"
    return {"name": "getParameterValues", "parameterNames": [f"{root}.DeviceInfo.SoftwareVersion"]}


async def _spread(act: Callable[[str], Awaitable[None]], devices: Sequence[str]) -> Tally:
    waiting = iter(devices)

    async def client() -> list[float]:
        took = []
        for device_id in waiting:
            began = time.perf_counter()
            await act(device_id)
            took.append((time.perf_counter() - began) * 1000)
        return took

    return Tally(await asyncio.gather(*(client() for _ in range(CLIENTS))))
