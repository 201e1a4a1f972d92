"""A list of CPEs is bound as a whole or not at all; the same again changes nothing, and what others changed stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning import device_files
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.device_files import BoundCpes, CpeFile, CpeListRefused
from provisioning.errors import InvalidRequest
from tests.support.healthy_estate import HealthyEstate

SERVED, WAITING = "c1001-s1@isp.example", "c1002-s2@isp.example"
OLD, NEW = "HWTC00000001", "HWTC0000000A"
INPUTS = {"pppoe_username", "cpe_vlan_id", "wifi_ssid"}
HEADER = "serial;username;template;cpe_vlan_id;wifi_ssid;leave_alone\n"
SOUND = f"{NEW.lower()};{SERVED};tr181-pppoe;100;Attic;wifi_passphrase\n"


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        async with opened.database.begin() as db:
            await opened.device_binding(db).withdraw(OLD)
        yield opened


async def opened(text: str, template: str | None = None) -> CpeFile:
    return await device_files.opened(text.encode(), inputs=INPUTS, template=template)


async def checked(appliance: Appliance, text: str) -> BoundCpes:
    return await device_files.check(appliance, await opened(text), line_by_hand=True, progress=lambda _: None)


async def bound(appliance: Appliance, text: str) -> BoundCpes:
    return await device_files.bring_in(
        appliance, await opened(text), line_by_hand=True, audited=lambda *_: None, progress=lambda _: None
    )


async def test_a_list_is_tried_without_a_trace_and_bound_once(appliance: Appliance) -> None:
    assert await checked(appliance, HEADER + SOUND) == BoundCpes(1, 1, 0)
    async with appliance.database.read() as db:
        assert await appliance.device_binding(db).live(NEW) is None

    assert await bound(appliance, HEADER + SOUND) == BoundCpes(1, 1, 0)
    assert await checked(appliance, HEADER + SOUND) == BoundCpes(1, 0, 1)
    assert await bound(appliance, HEADER + SOUND) == BoundCpes(1, 0, 1)
    async with appliance.database.read() as db:
        device = await appliance.services(db).genieacs_service.device(device_serial=NEW)
        rendered = await appliance.device_settings(db).rendered(device_serial=NEW)
    assert (device["inputs"]["wifi_ssid"], device["inputs"]["cpe_vlan_id"]) == ("Attic", 100)
    assert "Device.WiFi.AccessPoint.1.Security.KeyPassphrase" not in [each["path"] for each in rendered["parameters"]]


async def test_every_fault_of_every_line_is_named_and_nothing_is_bound(appliance: Appliance) -> None:
    wrong = (
        f"{NEW};{SERVED};tr181-pppoe;5000;;colour\n"
        f"/x/;{SERVED};;100;;\n"
        f"{NEW};nobody@isp.example;tr181-pppoe;100;;\n"
        f"HWTC0000000B;{WAITING};tr181-pppoe;100;;\n"
        "HWTC0000000C;;acme;100\n"
    )
    with pytest.raises(CpeListRefused) as refused:
        await checked(appliance, HEADER + wrong)
    found = refused.value.by_line
    assert list(found) == [2, 3, 4, 5, 6]
    assert found[2] == ["cpe_vlan_id is 5000, the most is 4094"]
    assert found[3] == ["serial: '/x/' is none", "template is missing"]
    assert found[4] == ["has the CPE of line 2"]
    assert "Runs go on with service 2" in found[5][0]
    assert found[6] == ["has 4 cells, and there are 6 columns"]
    written = device_files.with_errors(await opened(HEADER + wrong), found).splitlines()
    assert written[0] == HEADER.strip() + ";error"
    assert written[2] == f"/x/;{SERVED};;100;;;\"serial: '/x/' is none; template is missing\""


async def test_an_import_changes_no_cpe_that_is_bound(appliance: Appliance) -> None:
    await bound(appliance, HEADER + SOUND)
    other = SOUND.replace("Attic", "Cellar")
    with pytest.raises(CpeListRefused, match="with other settings; an import changes none"):
        await checked(appliance, HEADER + other)
    with pytest.raises(CpeListRefused):
        await bound(appliance, HEADER + other)
    async with appliance.database.read() as db:
        assert (await appliance.services(db).genieacs_service.device(device_serial=NEW))["inputs"]["wifi_ssid"] == (
            "Attic"
        )


async def test_a_file_that_is_no_such_list_is_refused_before_anything_is_compared() -> None:
    for text, fault in {
        "name,number\n": "doesn't name its columns in its first line: serial, and username or external_id",
        "serial,username,colour\n": "colour is no column, nor an input of any template",
        "serial,serial,username,template\n": "serial is there twice",
        "serial,username\n": "template is neither a column nor given for all",
        'serial,username,template\n"HWTC': "is no CSV",
    }.items():
        with pytest.raises(InvalidRequest, match=fault):
            await opened(text)
    with pytest.raises(InvalidRequest, match=r"is not UTF-8 text \(line 1, byte 1 of the file\)"):
        await device_files.opened(b"\xff", inputs=INPUTS)
    assert [line.template for line in (await opened("serial,username\nA,b\n", "tr181-pppoe")).lines] == ["tr181-pppoe"]
