"""A CPE is bound by hand to a subscriber who is served by none, and taken away again; nothing is guessed for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from acs import DeviceUnknown, OperationRefused, OverridesRefused, TemplateInputsRefused
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.device_binding import BoundDevice
from provisioning.device_desk import OltHasOldCpe
from provisioning.errors import InvalidRequest
from provisioning.under_way import ServiceUnderWay
from radius import SubscriberUnknown
from radius.tables import Subscriber
from tests.support.healthy_estate import HealthyEstate

SERVED, WAITING = "c1001-s1@isp.example", "c1002-s2@isp.example"
OLD, NEW = "HWTC00000001", "HWTC0000000A"


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        yield opened


async def provision(appliance: Appliance, serial: str = NEW, username: str = SERVED, /, **more: object) -> BoundDevice:
    async with appliance.database.begin() as db:
        wish: dict[str, object] = {"template": "tr181-pppoe", "values": {"cpe_vlan_id": 100}, **more}
        return await appliance.device_binding(db).provision(serial, who=username, **wish)  # type: ignore[arg-type]


async def withdraw(appliance: Appliance, serial: str = OLD) -> BoundDevice:
    async with appliance.database.begin() as db:
        return await appliance.device_binding(db).withdraw(serial)


async def test_a_cpe_is_withdrawn_and_another_one_bound_with_the_subscribers_own_login(appliance: Appliance) -> None:
    gone = await withdraw(appliance)
    assert (gone["state"], gone["customer_id"], gone["service_id"]) == ("withdrawn", 1001, 1)

    bound = await provision(appliance, line_by_hand=True)

    assert (bound["device_serial"], bound["state"], bound["service_id"]) == (NEW, "awaiting_first_inform", 1)
    async with appliance.database.read() as db:
        device = await appliance.services(db).genieacs_service.device(device_serial=NEW)
        subscriber = await appliance.subscriber_desk(db).named(SERVED)
    assert device["inputs"]["pppoe_username"] == SERVED
    assert device["inputs"]["pppoe_password"] == subscriber["password"]
    assert device["plan"] == subscriber["plan"]


async def test_the_same_again_changes_nothing(appliance: Appliance) -> None:
    await withdraw(appliance)
    bound = await provision(appliance, line_by_hand=True)
    assert await provision(appliance, line_by_hand=True) == bound


async def test_one_cpe_serves_a_service_and_the_olt_knows_which(appliance: Appliance) -> None:
    with pytest.raises(InvalidRequest, match=f"is served by CPE {OLD}, which `firstlight devices swap` replaces"):
        await provision(appliance, line_by_hand=True)
    await withdraw(appliance)
    with pytest.raises(OltHasOldCpe, match=OLD):
        await provision(appliance)


async def test_of_two_cpes_that_are_bound_at_once_one_serves_the_service(appliance: Appliance) -> None:
    await withdraw(appliance)
    serials = [f"HWTC0000000{letter}" for letter in "ABCD"]
    told = await asyncio.gather(
        *(provision(appliance, serial, line_by_hand=True) for serial in serials), return_exceptions=True
    )
    [bound] = [each for each in told if not isinstance(each, BaseException)]
    refused = [each for each in told if isinstance(each, InvalidRequest)]
    assert len(refused) == 3
    assert all(f"is served by CPE {bound['device_serial']}" in str(each) for each in refused)


async def test_nobody_interferes_with_a_run_and_nothing_is_bound_to_nobody(appliance: Appliance) -> None:
    with pytest.raises(ServiceUnderWay):
        await provision(appliance, NEW, WAITING)
    with pytest.raises(SubscriberUnknown):
        await provision(appliance, NEW, "nobody@isp.example")
    with pytest.raises(DeviceUnknown):
        await withdraw(appliance, NEW)


async def test_what_a_template_does_not_take_is_refused_and_nothing_is_written(appliance: Appliance) -> None:
    await withdraw(appliance)
    with pytest.raises(TemplateInputsRefused, match="colour"):
        await provision(appliance, line_by_hand=True, values={"cpe_vlan_id": 100, "colour": "red"})
    others = {"cpe_vlan_id": 100, "pppoe_password": "secret:subscriber/99"}
    with pytest.raises(InvalidRequest, match="pppoe_password refers to a secret that is neither this subscriber's"):
        await provision(appliance, line_by_hand=True, values=others)
    with pytest.raises(DeviceUnknown):
        await withdraw(appliance, NEW)


async def test_a_cpe_keeps_what_it_is_to_be_left_alone_in(appliance: Appliance) -> None:
    await withdraw(appliance)
    bound = await provision(appliance, line_by_hand=True, leave_alone=["wifi_passphrase"])
    assert await provision(appliance, line_by_hand=True, leave_alone=["wifi_passphrase"]) == bound
    path = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
    async with appliance.database.begin() as db:
        rendered = await appliance.device_settings(db).rendered(device_serial=NEW)
        assert not await appliance.services(db).genieacs_service.holds_generated_wifi(device_serial=NEW)
    assert path not in [each["path"] for each in rendered["parameters"]]
    assert (rendered["overrides"], rendered["revision"]) == ({path: None}, bound["revision"])

    async with appliance.database.begin() as db:
        with pytest.raises(OperationRefused, match="the passphrase is left alone or set by an override"):
            await appliance.device_desk(db).change_wifi(NEW, ssid=None, passphrase="seven green bottles", by="nora")
    with pytest.raises(OverridesRefused, match="colour is nothing it sets"):
        await provision(appliance, line_by_hand=True, leave_alone=["colour"])


async def test_the_end_of_one_that_was_brought_in_withdraws_its_cpes(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == SERVED).values(origin="imported"))
    async with appliance.database.begin() as db:
        await appliance.subscriber_desk(db).end(SERVED)
    async with appliance.database.read() as db:
        assert await appliance.services(db).genieacs_service.devices_of_service(service_id=1) == []
        assert await appliance.device_binding(db).live(OLD) is None


async def test_a_cpe_is_not_told_a_password_of_which_a_hash_alone_is_known(appliance: Appliance) -> None:
    await withdraw(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(Subscriber).where(Subscriber.username == SERVED).values(password_hash_kind="nt"))
    with pytest.raises(InvalidRequest, match=f"only the nt hash of {SERVED}'s password is known here"):
        await provision(appliance, line_by_hand=True)
    bound = await provision(appliance, line_by_hand=True, leave_alone=["pppoe_password"])
    assert bound["state"] == "awaiting_first_inform"
