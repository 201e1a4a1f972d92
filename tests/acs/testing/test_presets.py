"""Presets run in every session that they fit; a bad one stops all sessions."""

from __future__ import annotations

import pytest

from acs.testing import LabAcs, LabClock, LabCpe
from tests.acs.testing.conftest import Nbi

SSID = "Device.WiFi.SSID.1.SSID"


async def put(nbi: Nbi, clock: LabClock, name: str, preset: object) -> None:
    assert (await nbi.ask("PUT", f"/presets/{name}", preset)).status == 200
    await clock.sleep(6)


@pytest.mark.parametrize(
    ("precondition", "fits"),
    [
        ("", True),
        ('DeviceID.SerialNumber = "SN-181"', True),
        ('DeviceID.SerialNumber <> "SN-181"', False),
        ('DeviceID.ProductClass = "ONT-181" AND Tags.gold IS NULL', True),
        ("Tags.gold = true OR Device.DeviceInfo.SoftwareVersion = '1.0.0'", True),
        ("Tags.gold IS NOT NULL", False),
        ({"_deviceId._OUI": "ACDE48"}, True),
    ],
)
async def test_a_precondition_decides(nbi: Nbi, cpe: LabCpe, clock: LabClock, precondition: object, fits: bool) -> None:
    value = [{"type": "value", "name": SSID, "value": "ByPreset"}]
    await put(nbi, clock, "p", {"weight": 0, "precondition": precondition, "configurations": value})
    await cpe.periodic_inform()
    assert (cpe.value(SSID) == "ByPreset") is fits


async def test_a_bootstrap_preset_that_clears_makes_the_acs_forget(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    await nbi.ask("PUT", "/provisions/forget", raw=b"const now = Date.now();\nclear('Device', now);\n")
    provision = [{"type": "provision", "name": "forget", "args": None}]
    await put(nbi, clock, "b", {"weight": 0, "events": {"0 BOOTSTRAP": True}, "configurations": provision})
    await nbi.set(cpe, (SSID, "Home"))
    await cpe.factory_reset()
    await nbi.set(cpe, (SSID, "Home"))
    assert cpe.value(SSID) == "Home"


async def test_tags_are_added_and_deleted_by_presets(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    add = {"weight": 1, "configurations": [{"type": "add_tag", "tag": "seen"}]}
    await put(nbi, clock, "add", add)
    await cpe.periodic_inform()
    assert (await nbi.find("devices", projection="_tags"))[0]["_tags"] == ["seen"]
    delete = {"weight": 2, "configurations": [{"type": "delete_tag", "tag": "seen"}]}
    await put(nbi, clock, "delete", delete)
    await cpe.periodic_inform()
    assert (await nbi.find("devices", projection="_tags"))[0]["_tags"] == []


@pytest.mark.parametrize(
    "poison",
    [
        {"weight": 0},
        {"weight": 0, "configurations": [{"parameter": "Device.X", "value": "1"}]},
        {"weight": 0, "configurations": [], "precondition": "DeviceID.ProductClass == 'x'"},
    ],
)
async def test_a_poisoned_preset_stops_every_session_until_it_is_gone(
    nbi: Nbi, lab: LabAcs, cpe: LabCpe, clock: LabClock, poison: object
) -> None:
    await put(nbi, clock, "poison", poison)
    answer = await nbi.set(cpe, (SSID, "Home"))
    assert (answer.status, answer.reason) == (202, "Task queued but not processed")
    assert not await cpe.periodic_inform()
    assert lab.cwmp.crashes >= 2
    await nbi.ask("DELETE", "/presets/poison")
    assert await cpe.periodic_inform()
    assert cpe.value(SSID) == "Home"


async def test_a_preset_takes_effect_when_the_workers_copy_is_five_seconds_old(
    nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    await cpe.periodic_inform()
    value = [{"type": "value", "name": SSID, "value": "ByPreset"}]
    await nbi.ask("PUT", "/presets/p", {"weight": 0, "configurations": value})
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "Lab-1"
    await clock.sleep(5)
    await cpe.periodic_inform()
    assert cpe.value(SSID) == "ByPreset"
