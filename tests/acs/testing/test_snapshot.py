"""A lab that was killed goes on from its snapshot."""

from __future__ import annotations

import json

import pytest

from acs.testing import LabAcs, LabClock, LabCpe, LabRefused, Parameter, Quirks
from tests.acs.testing.conftest import Nbi

SSID = "Device.WiFi.SSID.1.SSID"
PORT = "Device.NAT.PortMapping.1.ExternalPort"


async def revived(lab: LabAcs) -> tuple[LabAcs, LabClock, Nbi]:
    content = json.loads(json.dumps(lab.snapshot()))
    clock = LabClock()
    other = LabAcs(clock)
    other.restore(content)
    await other.start()
    return other, clock, Nbi(other, clock)


async def test_documents_cpes_and_time_go_on(nbi: Nbi, lab: LabAcs, cpe: LabCpe, clock: LabClock) -> None:
    await nbi.set(cpe, (SSID, "Home"))
    cpe.customer_sets(SSID, "Mine")
    await nbi.post(cpe, {"name": "addObject", "objectName": "Device.NAT.PortMapping", "parameterValues": []})
    cpe.quirks = Quirks(refuse={SSID: 9007}, unsupported=frozenset({"Reboot"}))
    await nbi.set(cpe, ("Device.DeviceInfo.ProvisioningCode", "P"), call=False)
    before = await nbi.find("devices"), await nbi.find("tasks")

    other, other_clock, asked = await revived(lab)
    assert (await asked.find("devices"), await asked.find("tasks")) == before
    same = other.cpe("SN-181")
    assert (same.value(SSID), same.value(PORT), same.quirks) == ("Mine", 0, cpe.quirks)
    assert other_clock.now() >= clock.now()
    assert same.online
    await same.periodic_inform()
    assert same.value("Device.DeviceInfo.ProvisioningCode") == "P"
    await other_clock.sleep(301)
    kinds = [one.facts.get("events") for one in other.happenings if one.kind == "inform"]
    assert kinds[-1] == ["2 PERIODIC"]
    await same.factory_reset()
    assert same.value(SSID) == "Lab-1"
    await other.stop()


async def test_a_reboot_and_a_transfer_under_way_are_finished(nbi: Nbi, lab: LabAcs, cpe: LabCpe) -> None:
    await nbi.ask("PUT", "/files/fw.bin", raw=b"x")
    download = {"name": "download", "fileType": "3 Vendor Configuration File", "fileName": "fw.bin"}
    await nbi.post(cpe, download)
    await nbi.post(cpe, {"name": "reboot"})
    assert not cpe.online
    other, clock, asked = await revived(lab)
    assert not other.cpe("SN-181").online
    await clock.sleep(120)
    assert other.cpe("SN-181").online
    assert await asked.find("operations") == []
    await other.stop()


async def test_a_dark_cpe_with_parameters_of_its_own_stays_dark(lab: LabAcs) -> None:
    extra = {"Device.X_ACME_Mode": Parameter("auto", writable=True)}
    cpe = lab.attach(LabCpe("DARK", line_up=False, parameters=extra))
    await cpe.power_on()
    other, _, asked = await revived(lab)
    same = other.cpe("DARK")
    assert (same.value("Device.X_ACME_Mode"), same.line_up, same.powered) == ("auto", False, True)
    assert await same.light()
    assert await asked.ids({}) == [same.device_id]
    assert [one.facts["events"] for one in other.happenings if one.kind == "inform"] == [["0 BOOTSTRAP", "1 BOOT"]]
    await other.stop()


async def test_a_snapshot_goes_only_into_an_empty_lab(lab: LabAcs, cpe: LabCpe) -> None:
    with pytest.raises(LabRefused, match="without CPEs"):
        lab.restore(lab.snapshot())
    with pytest.raises(LabRefused, match="format 1"):
        LabAcs(LabClock()).restore({"format": 2})
