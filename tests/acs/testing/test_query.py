"""Which devices a query finds, and in which order and size."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from acs.testing import LabAcs, LabClock, LabCpe
from tests.acs.testing.conftest import Nbi

VLAN = "Device.Ethernet.VLANTermination.1.VLANID"
SSID = "Device.WiFi.SSID.1.SSID"


@pytest.fixture
async def three(lab: LabAcs, nbi: Nbi, clock: LabClock) -> list[LabCpe]:
    """A, B and C, an hour apart; their VLANs 100, 200, 300; A is tagged gold."""
    cpes = []
    for number, serial in enumerate("ABC"):
        cpe = lab.attach(LabCpe(serial, oui="00259E", product_class="P"))
        await cpe.power_on()
        await nbi.set(cpe, (VLAN, 100 * (number + 1)), (SSID, f"net*{serial}"))
        cpes.append(cpe)
        await clock.sleep(3600)
    await nbi.ask("POST", f"/devices/{quote(cpes[0].device_id, safe='')}/tags/gold")
    return cpes


@pytest.mark.parametrize(
    ("query", "serials"),
    [
        ({"_deviceId._SerialNumber": "B"}, "B"),
        ({"_deviceId._SerialNumber": "*"}, "ABC"),
        ({"_deviceId._SerialNumber": "/[ab]/i"}, "AB"),
        ({"_deviceId._SerialNumber": {"$in": ["A", "C", "Z"]}}, "AC"),
        ({"_deviceId._SerialNumber": {"$nin": ["A", "C"]}}, "B"),
        ({"_deviceId._SerialNumber": {"$in": ["/a/i", "C"]}}, "AC"),
        ({VLAN: {"$in": ["100", 300]}}, "AC"),
        ({VLAN: {"$nin": ["100", 300]}}, "B"),
        ({"_tags": {"$in": ["gold", "silver"]}}, "A"),
        ({"_tags": {"$in": [None, "silver"]}}, "BC"),
        ({"_deviceId._SerialNumber": {"$ne": "A"}}, "BC"),
        ({"_deviceId._SerialNumber": {"$regex": "^(a|c)$", "$options": "i"}}, "AC"),
        ({VLAN: 200}, "B"),
        ({VLAN: "200"}, "B"),
        ({f"{VLAN}._value": {"$gte": 200}}, "BC"),
        ({VLAN: {"$gt": 100, "$lt": 300}}, "B"),
        ({SSID: "net*A"}, "A"),
        ({SSID: "n*"}, "ABC"),
        ({"_tags": "gold"}, "A"),
        ({"_tags": {"$ne": "gold"}}, "BC"),
        ({"_tags": {"$exists": False}}, "BC"),
        ({"_registered": {"$gt": "2026-03-02T09:30:00.000Z"}}, "BC"),
        ({"_registered": {"$lt": "2026-03-02T09:30:00.000Z"}}, "A"),
        ({"$or": [{"_tags": "gold"}, {VLAN: 300}]}, "AC"),
        ({"$and": [{"_tags": {"$ne": "gold"}}, {VLAN: {"$not": {"$gt": 250}}}]}, "B"),
        ({"Device.Nope": None}, "ABC"),
        ({"Device.Nope": "x"}, ""),
    ],
)
async def test_a_query_finds(nbi: Nbi, three: list[LabCpe], query: object, serials: str) -> None:
    assert await nbi.ids(query) == [cpe.device_id for cpe in three if cpe.serial in serials]


async def test_total_counts_all_whatever_the_page(nbi: Nbi, three: list[LabCpe]) -> None:
    answer = await nbi.ask("GET", "/devices?projection=_id&sort=%7B%22_registered%22%3A-1%7D&skip=1&limit=1")
    assert answer.header("total") == "3"
    assert json.loads(answer.body) == [{"_id": three[1].device_id}]
    head = await nbi.ask("HEAD", "/devices?query=%7B%7D")
    assert (head.header("total"), head.body) == ("3", "")


@pytest.mark.parametrize(
    ("sort", "serials"), [({VLAN: -1}, "CBA"), ({VLAN: 1}, "ABC"), ({"_tags": 1, VLAN: -1}, "CBA")]
)
async def test_sorting_is_by_value(nbi: Nbi, three: list[LabCpe], sort: dict[str, int], serials: str) -> None:
    found = await nbi.find("devices", sort=json.dumps(sort), projection="_deviceId._SerialNumber")
    assert "".join(one["_deviceId"]["_SerialNumber"] for one in found) == serials


async def test_a_task_is_found_by_unique_key_and_by_time(nbi: Nbi, three: list[LabCpe]) -> None:
    for cpe in three:
        await nbi.post(cpe, {"name": "reboot", "uniqueKey": "again"}, call=False)
    assert len(await nbi.find("tasks", {"uniqueKey": "again"})) == 3
    assert len(await nbi.find("tasks", {"timestamp": {"$gt": "2026-03-02T00:00:00Z"}})) == 3
    wanted = (await nbi.find("tasks", {"device": three[0].device_id}))[0]["_id"]
    assert [one["device"] for one in await nbi.find("tasks", {"_id": wanted})] == [three[0].device_id]
