"""The lab's OLT: keys act once, the state outlives a kill, and CPEs stay dark until their line is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from provisioning.line.testing import LabLine, LabOlt
from tests.provisioning.line.conftest import SERIAL

BODY: dict[str, Any] = {
    "customer_id": 17,
    "service_id": 42,
    "serial": SERIAL,
    "access_node": "OLT-1",
    "port": "0/1/3",
    "svlan": 200,
    "cvlan": None,
    "management_vlan": None,
    "line_profile": "fiber_1gbps",
}


class Fibre:
    """Which serials have light, as the lab's CPEs would see it."""

    def __init__(self) -> None:
        self.lit: set[str] = set()

    def light(self, line: LabLine) -> None:
        self.lit.add(line.serial)

    def darken(self, line: LabLine) -> None:
        self.lit.discard(line.serial)


def _olt(fibre: Fibre, snapshot: Path | None = None) -> LabOlt:
    return LabOlt(snapshot=snapshot, on_authorised=fibre.light, on_withdrawn=fibre.darken)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


async def _put(http: httpx.AsyncClient, olt: LabOlt, order: str = "north.1", **changes: Any) -> httpx.Response:
    return await http.put(
        f"{olt.url}/lines/{order}", json={**BODY, **changes}, headers={"Idempotency-Key": f"{order}/authorise"}
    )


async def _delete(http: httpx.AsyncClient, olt: LabOlt, order: str = "north.1") -> httpx.Response:
    return await http.delete(f"{olt.url}/lines/{order}", headers={"Idempotency-Key": f"{order}/withdraw"})


async def test_light_comes_with_the_line_and_goes_with_it(http: httpx.AsyncClient) -> None:
    fibre = Fibre()
    async with _olt(fibre) as olt:
        assert fibre.lit == set()
        answer = await _put(http, olt)
        assert answer.json() == {"port": "0/1/3", "onu_id": 1, "received_power_dbm": -19.4}
        assert fibre.lit == {SERIAL}
        assert (await _delete(http, olt)).status_code == 200
        assert fibre.lit == set()


async def test_a_restarted_olt_has_its_lines_and_lights_them_again(http: httpx.AsyncClient, tmp_path: Path) -> None:
    async with _olt(Fibre(), tmp_path / "olt.json") as before:
        first = await _put(http, before)
        await _put(http, before, "north.2", serial="HWTC00000002")
        await _delete(http, before, "north.2")
    fibre = Fibre()
    async with _olt(fibre, tmp_path / "olt.json") as after:
        assert fibre.lit == {SERIAL}
        assert (await _put(http, after)).json() == first.json()
        assert (await _put(http, after, "north.2", serial="HWTC00000002")).status_code == 410


async def test_a_key_with_another_line_is_refused(http: httpx.AsyncClient, olt: LabOlt) -> None:
    await _put(http, olt)
    assert (await _put(http, olt, svlan=201)).status_code == 422
    assert olt.lines[SERIAL].svlan == 200


async def test_an_ont_that_nobody_plugged_in_is_not_found_without_a_port(http: httpx.AsyncClient, olt: LabOlt) -> None:
    answer = await _put(http, olt, port=None)
    assert (answer.status_code, answer.json()) == (409, {"reason": f"{SERIAL} is seen on no PON port"})


async def test_onu_ids_of_a_port_are_given_once(http: httpx.AsyncClient, olt: LabOlt) -> None:
    for number in (1, 2, 3):
        await _put(http, olt, f"north.{number}", serial=f"HWTC0000000{number}")
    await _delete(http, olt, "north.2")
    answer = await _put(http, olt, "north.4", serial="HWTC00000004")
    assert answer.json()["onu_id"] == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/lines/north.1", 404), ("PUT", "/devices", 404), ("PUT", "/lines/north.1", 400)],
)
async def test_what_is_not_the_protocol_is_refused(
    http: httpx.AsyncClient, olt: LabOlt, method: str, path: str, status: int
) -> None:
    assert (await http.request(method, olt.url + path, json=BODY)).status_code == status


async def test_what_is_not_http_is_refused_and_the_olt_goes_on(http: httpx.AsyncClient, olt: LabOlt) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(olt.url.rpartition(":")[2]))
    writer.write(b"display ont autofind all\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()
    assert (await _put(http, olt)).status_code == 200
