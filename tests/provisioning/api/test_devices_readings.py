"""A CPE's readings and silent ports over HTTP: what the ACS has, with its times."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from acs import AcsDevice
from acs.testing import LabAcs, LabCpe
from tests.support.api import Api, open_api
from tests.support.healthy_estate import HealthyEstate

SERIAL = "HWTC00000001"


async def test_readings_are_those_of_the_acs_and_a_silent_cpe_is_counted_at_its_port(
    sqlite_estate: HealthyEstate, tmp_path: Path
) -> None:
    lab = LabAcs()
    await lab.start()
    cpe = lab.attach(LabCpe(SERIAL))
    await cpe.power_on()
    settings = sqlite_estate.copy(tmp_path / "copy", public_url="https://isp.example", genieacs_nbi_url=lab.url)
    async with open_api(settings) as api:
        async with api.appliance.database.begin() as db:
            await db.execute(update(AcsDevice).where(AcsDevice.serial == SERIAL).values(device_id=cpe.device_id))
        answered = await api.get(f"/devices/{SERIAL.lower()}/readings", role="read-only")
        nobodys = await api.get("/devices/NOBODYS/readings")
        ports = (await api.get("/fleet/missed-informs", role="read-only")).json()
        patient = await api.get("/fleet/missed-informs?at_least=0")
        of_one = await api.get("/fleet/missed-informs?acs=default")
        of_none = await api.get("/fleet/missed-informs?acs=south")
    await lab.stop()
    found = answered.json()
    assert (answered.status_code, found["device_serial"], found["device_id"]) == (200, SERIAL, cpe.device_id)
    [version] = [each for each in found["readings"] if each["reading"] == "software_version"]
    assert (version["value"], version["is_stale"]) == ("1.0.0", True)  # the lab's time is long ago
    assert version["read_at"].startswith("2026-03-02T09:00:00")
    assert (nobodys.status_code, nobodys.json()["code"]) == (404, "acs.device_unknown")
    assert [(each["serials"], each["silent"]) for each in ports] == [([SERIAL], 1)]
    assert patient.status_code == 422
    assert of_one.json() == ports
    assert (of_none.status_code, of_none.json()["code"]) == (404, "acs.acs_unknown")


async def test_without_an_acs_nobody_is_asked(api: Api) -> None:
    for path in (f"/devices/{SERIAL}/readings", "/fleet/missed-informs"):
        answered = await api.get(path)
        assert (answered.status_code, answered.json()["code"]) == (404, "acs.acs_unknown"), path
