"""A lab on virtual time with one CPE of each kind, and a plain client that shows what an NBI client sees."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from acs.testing import LabAcs, LabClock, LabCpe
from acs.testing.device_session import refresh_slot_phase
from tests.acs.recorded.raw_http import Answer, ask


@dataclass
class Nbi:
    """Asks the lab over its socket; `seconds` of an answer is time on the lab's clock."""

    lab: LabAcs
    clock: LabClock

    async def ask(self, method: str, target: str, body: object = None, raw: bytes | None = None) -> Answer:
        address = urlsplit(self.lab.url)
        sent = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        begun = self.clock.now()
        answer = await ask(str(address.hostname), int(address.port or 0), method, target, {}, sent)
        seconds = (self.clock.now() - begun).total_seconds()
        return Answer(answer.dropped, answer.status, answer.reason, answer.headers, answer.body, seconds)

    async def post(self, cpe: LabCpe, task: object, *, call: bool = True) -> Answer:
        query = "?connection_request" if call else ""
        return await self.ask("POST", f"/devices/{quote(cpe.device_id, safe='')}/tasks{query}", task)

    async def set(self, cpe: LabCpe, *pairs: Sequence[object], call: bool = True) -> Answer:
        task = {"name": "setParameterValues", "parameterValues": [list(pair) for pair in pairs]}
        return await self.post(cpe, task, call=call)

    async def read(self, cpe: LabCpe, *paths: str) -> Answer:
        return await self.post(cpe, {"name": "getParameterValues", "parameterNames": list(paths)})

    async def find(self, collection: str, query: object = None, **parameters: str) -> list[dict[str, Any]]:
        if query is not None:
            parameters["query"] = json.dumps(query)
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters.items())
        answer = await self.ask("GET", f"/{collection}?{text}")
        found: list[dict[str, Any]] = json.loads(answer.body)
        return found

    async def ids(self, query: object) -> list[str]:
        return [one["_id"] for one in await self.find("devices", query, projection="_id")]

    async def leaf(self, cpe: LabCpe, path: str) -> dict[str, Any]:
        """What the ACS's document says of one parameter."""
        [document] = await self.find("devices", {"_id": cpe.device_id}, projection=path)
        node: dict[str, Any] = document
        for segment in path.split("."):
            node = node[segment]
        return node

    async def next_slot(self, cpe: LabCpe) -> None:
        """Wait into the beginning of the device's next one-second refresh slot."""
        into = (self.clock.now().timestamp() - refresh_slot_phase(cpe.device_id)) % 1.0
        await self.clock.sleep(1.0 - into + 0.02)


@pytest.fixture
def clock() -> LabClock:
    return LabClock()


@pytest.fixture
async def lab(clock: LabClock) -> AsyncIterator[LabAcs]:
    lab = LabAcs(clock)
    await lab.start()
    yield lab
    await lab.stop()


@pytest.fixture
def nbi(lab: LabAcs, clock: LabClock) -> Nbi:
    return Nbi(lab, clock)


@pytest.fixture
async def cpe(lab: LabAcs) -> LabCpe:
    """TR-181, booted and known to the ACS."""
    cpe = lab.attach(LabCpe("SN-181", oui="ACDE48", product_class="ONT-181"))
    assert await cpe.power_on()
    return cpe


@pytest.fixture
async def cpe_098(lab: LabAcs) -> LabCpe:
    """TR-098, booted and known to the ACS."""
    cpe = lab.attach(LabCpe("SN-098", data_model="TR-098"))
    assert await cpe.power_on()
    return cpe
