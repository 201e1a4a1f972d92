"""Several ACSes: each CPE is served by its own, an ACS that is down hinders no other, and nothing moves silently."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from acs import (
    AcsDevice,
    AcsFleet,
    AcsUnknown,
    ConvergenceBySite,
    DeviceUnreachable,
    GenieAcsService,
    NbiClient,
    NbiUnreachable,
)
from acs.testing import LabAcs, LabClock, LabCpe
from tests.acs.conftest import TENANT, Devices, KeptSecrets

NORTHERN, SOUTHERN = "HWTC00000001", "HWTC00000002"
VALUES: dict[str, str | int | None] = {
    "pppoe_username": "u42@isp",
    "pppoe_password": "secret:subscriber/42",
    "cpe_vlan_id": 100,
}


@pytest.fixture
async def south(lab: LabAcs) -> AsyncIterator[LabAcs]:
    assert isinstance(lab.clock, LabClock)
    south = LabAcs(clock=lab.clock)
    await south.start()
    yield south
    await south.stop()


@pytest.fixture
async def fleet(lab: LabAcs, nbi: NbiClient, south: LabAcs) -> AsyncIterator[AcsFleet]:
    client = NbiClient(south.url, sleep=lab.clock.sleep, jitter=lambda: 0.5)
    async with AcsFleet({"default": nbi, "south": client}) as fleet:
        yield fleet


@pytest.fixture
def by_site(devices: Devices, lab: LabAcs, fleet: AcsFleet, secrets: KeptSecrets) -> ConvergenceBySite:
    return ConvergenceBySite(
        devices.database.begin, fleet, tenant_id=TENANT, now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
    )


async def bind(devices: Devices, serial: str, node: str, *, acs_by_node: dict[str, str]) -> str:
    """Returns the ACS that it is bound to."""
    async with devices.database.begin() as db:
        service = GenieAcsService(
            db,
            tenant_id=TENANT,
            now=devices.clock.now,
            templates=devices.templates,
            secrets=devices.secrets,
            acs_by_node=acs_by_node,
        )
        await service.provision_device(
            customer_id=1,
            service_id=7,
            device_serial=serial,
            config_template="tr181-pppoe",
            values=VALUES,
            access_node=node,
        )
        return (await service.device(device_serial=serial))["acs_name"]


async def test_each_cpe_is_applied_and_verified_through_its_own_acs(
    devices: Devices, lab: LabAcs, south: LabAcs, by_site: ConvergenceBySite
) -> None:
    assert await bind(devices, NORTHERN, "OLT-1", acs_by_node={"OLT-3": "south"}) == "default"
    assert await bind(devices, SOUTHERN, "OLT-3", acs_by_node={"OLT-3": "south"}) == "south"
    for at, serial in ((lab, NORTHERN), (south, SOUTHERN)):
        await at.attach(LabCpe(serial)).power_on()
    for serial in (NORTHERN, SOUTHERN):
        assert (await by_site.apply(serial))["state"] == "applied"
        assert (await by_site.verify(serial))["state"] == "accepted_unverifiable"
    assert [list(at.cpes) for at in (lab, south)] == [[NORTHERN], [SOUTHERN]]
    assert south.cpe(SOUTHERN).value("Device.PPP.Interface.1.Username") == "u42@isp"
    assert (await by_site.release(SOUTHERN))["cleared"]
    assert not any(tag.startswith("cfg_") for tag in (south.document(SOUTHERN) or {})["_tags"])


async def test_what_a_cpe_left_at_another_acs_is_taken_back_there_though_it_is_bound_anew(
    devices: Devices, lab: LabAcs, south: LabAcs, by_site: ConvergenceBySite
) -> None:
    await bind(devices, SOUTHERN, "OLT-3", acs_by_node={"OLT-3": "south"})
    await south.attach(LabCpe(SOUTHERN)).power_on()
    await by_site.apply(SOUTHERN)
    async with devices.database.begin() as db:
        await devices.service(db).withdraw_device(device_serial=SOUTHERN)
    assert await bind(devices, SOUTHERN, "OLT-1", acs_by_node={"OLT-3": "south"}) == "default"
    assert (await by_site.withdraw(SOUTHERN))["cleared"]
    assert not any(tag.startswith("cfg_") for tag in (south.document(SOUTHERN) or {})["_tags"])


async def test_an_acs_that_is_down_hides_no_other_acs_cpes(
    devices: Devices, lab: LabAcs, south: LabAcs, by_site: ConvergenceBySite
) -> None:
    for serial, node in ((NORTHERN, "OLT-1"), (SOUTHERN, "OLT-3")):
        await bind(devices, serial, node, acs_by_node={"OLT-3": "south"})
    since = lab.clock.now()
    await lab.clock.sleep(1)
    await lab.attach(LabCpe(NORTHERN)).power_on()
    await south.go_down()
    groups = await by_site.by_acs({NORTHERN: since, SOUTHERN: since})
    assert groups == {"default": {NORTHERN: since}, "south": {SOUTHERN: since}}
    assert list(await by_site.of("default").informed_many(groups["default"])) == [NORTHERN]
    with pytest.raises(NbiUnreachable):
        await by_site.of("south").informed_many(groups["south"])
    with pytest.raises(NbiUnreachable):
        await by_site.prepare()
    assert "firstlight_apply" in lab.documents["provisions"]


async def test_what_is_left_standing_is_taken_back_at_each_acs_that_answers(
    devices: Devices, lab: LabAcs, south: LabAcs, by_site: ConvergenceBySite
) -> None:
    cpes = {}
    for at, serial, node in ((lab, NORTHERN, "OLT-1"), (south, SOUTHERN, "OLT-3")):
        await bind(devices, serial, node, acs_by_node={"OLT-3": "south"})
        cpes[serial] = at.attach(LabCpe(serial))
        await cpes[serial].power_on()
        cpes[serial].quirks.reachable = False
        with pytest.raises(DeviceUnreachable):
            await by_site.apply(serial)
    async with devices.database.begin() as db:
        for device in await db.scalars(select(AcsDevice)):
            device.state, device.left_standing, device.task_id = "faulted", True, None
    await lab.go_down()
    with pytest.raises(NbiUnreachable):
        await by_site.take_back_left()
    assert await by_site.of("south").nbi.tasks(cpes[SOUTHERN].device_id) == ()
    await lab.come_back()
    await lab.clock.sleep(2)
    await by_site.take_back_left()
    assert await by_site.of("default").nbi.tasks(cpes[NORTHERN].device_id) == ()


async def test_what_is_bound_stays_with_its_acs_whatever_the_settings_say_later(
    devices: Devices, by_site: ConvergenceBySite
) -> None:
    assert await bind(devices, NORTHERN, "OLT-3", acs_by_node={"OLT-3": "gone"}) == "gone"
    assert await bind(devices, NORTHERN, "OLT-3", acs_by_node={"OLT-3": "south"}) == "gone"
    with pytest.raises(AcsUnknown, match="no ACS 'gone'; known are: default, south"):
        await by_site.apply(NORTHERN)
