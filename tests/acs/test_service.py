"""Desired state by serial: bound, replaced, refused, withdrawn; on both databases."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import func, select

from acs import (
    AcsDevice,
    AcsRequest,
    DeviceUnknown,
    GenieAcsService,
    ProvisionedDevice,
    RequestConflict,
    SerialBoundElsewhere,
    SerialMalformed,
    TemplateInputsRefused,
    TemplateUnknown,
)
from tests.acs.conftest import Devices, KeptSecrets

SERIAL = "HWTC12345678"
WIFI_REF = "secret:device/HWTC12345678/wifi"
VALUES: dict[str, str | int | None] = {
    "pppoe_username": "u42@isp",
    "pppoe_password": "secret:subscriber/42",
    "cpe_vlan_id": 100,
    "wifi_ssid": "Home",
}
ORDER: dict[str, Any] = {
    "customer_id": 1,
    "service_id": 7,
    "device_serial": SERIAL,
    "config_template": "tr181-pppoe",
    "values": VALUES,
    "request_id": "order-17/provision",
}


async def provision(devices: Devices, **changed: Any) -> ProvisionedDevice:
    async with devices.database.begin() as db:
        return await devices.service(db).provision_device(**{**ORDER, **changed})


async def count(devices: Devices, table: type[AcsDevice] | type[AcsRequest]) -> int:
    async with devices.database.begin() as db:
        return int(await db.scalar(select(func.count()).select_from(table)) or 0)


async def row(devices: Devices, serial: str = SERIAL) -> AcsDevice:
    async with devices.database.begin() as db:
        found = await db.scalars(select(AcsDevice).where(AcsDevice.serial == serial).order_by(AcsDevice.id.desc()))
        return found.first() or pytest.fail("no such row")


async def test_a_customer_number_may_be_larger_than_32_bits(devices: Devices) -> None:
    await provision(devices, customer_id=2**40)
    assert (await row(devices)).customer_id == 2**40


async def test_a_cpe_that_never_reported_is_bound_and_awaited(devices: Devices, secrets: KeptSecrets) -> None:
    device = await provision(devices)
    assert device == {
        "device_serial": SERIAL,
        "template": "tr181-pppoe",
        "revision": device["revision"],
        "state": "awaiting_first_inform",
        "device_row_id": 1,
    }
    async with devices.database.begin() as db:
        record = await devices.service(db).device(device_serial="4857544312345678")
    assert record["inputs"] == {**VALUES, "wifi_passphrase": WIFI_REF}, "a default is left to the template"
    assert record["bound_at"] == devices.clock.now()
    assert (record["customer_id"], record["service_id"], record["device_id"]) == (1, 7, None)


async def test_the_wifi_passphrase_nobody_gave_is_generated_and_sealed(devices: Devices, secrets: KeptSecrets) -> None:
    await provision(devices)
    assert re.fullmatch("[2-9a-hjkmnp-z]{14}", secrets.plaintexts[WIFI_REF])
    stored = await row(devices)
    assert secrets.plaintexts[WIFI_REF] not in repr([stored.parameters, stored.inputs, stored.reason])


async def test_a_passphrase_that_was_given_is_left_alone(devices: Devices, secrets: KeptSecrets) -> None:
    secrets.plaintexts[WIFI_REF] = "correct horse"
    await provision(devices, values={**VALUES, "wifi_passphrase": WIFI_REF})
    assert secrets.plaintexts[WIFI_REF] == "correct horse"


async def test_the_same_request_again_gives_the_same_answer_and_changes_nothing(
    devices: Devices, secrets: KeptSecrets
) -> None:
    first = await provision(devices)
    passphrase = secrets.plaintexts[WIFI_REF]
    assert await provision(devices, device_serial="4857544312345678") == first
    assert (await count(devices, AcsDevice), await count(devices, AcsRequest)) == (1, 1)
    assert secrets.plaintexts[WIFI_REF] == passphrase


async def test_an_old_request_made_again_does_not_bring_back_the_old_wish(devices: Devices) -> None:
    first = await provision(devices)
    second = await provision(devices, values={**VALUES, "cpe_vlan_id": 200}, request_id="order-18/change")
    assert second["revision"] != first["revision"]
    assert await provision(devices) == first
    assert (await row(devices)).revision == second["revision"]


@pytest.mark.parametrize(
    "changed",
    [
        {"customer_id": 2},
        {"service_id": 8},
        {"device_serial": "HWTC00000001"},
        {"config_template": "tr098-pppoe"},
        {"values": {**VALUES, "cpe_vlan_id": 101}},
    ],
)
async def test_the_same_request_with_other_input_is_a_conflict(devices: Devices, changed: dict[str, Any]) -> None:
    await provision(devices)
    before = (await row(devices)).revision
    with pytest.raises(RequestConflict):
        await provision(devices, **changed)
    assert (await row(devices)).revision == before
    assert await count(devices, AcsDevice) == 1


@pytest.mark.parametrize("spelt", [SERIAL, "4857544312345678", "hwtc12345678"])
@pytest.mark.parametrize("owner", [{"customer_id": 2, "service_id": 9}, {"service_id": 9}, {"service_id": None}])
async def test_a_serial_of_another_service_is_a_conflict_in_any_spelling(
    devices: Devices, spelt: str, owner: dict[str, Any]
) -> None:
    await provision(devices)
    with pytest.raises(SerialBoundElsewhere, match="bound to service 7 of customer 1") as caught:
        await provision(devices, device_serial=spelt, request_id="other", **owner)
    assert (caught.value.bound_customer_id, caught.value.bound_service_id) == (1, 7)
    assert await count(devices, AcsDevice) == 1


async def test_a_new_wish_for_the_same_service_replaces_the_old_one(devices: Devices, secrets: KeptSecrets) -> None:
    first = await provision(devices)
    passphrase = secrets.plaintexts[WIFI_REF]
    second = await provision(devices, values={**VALUES, "wifi_ssid": "Elsewhere"}, request_id=None)
    assert second["device_row_id"] == first["device_row_id"]
    assert second["revision"] != first["revision"]
    assert secrets.plaintexts[WIFI_REF] == passphrase


async def test_a_new_wish_for_a_cpe_that_has_reported_is_on_its_way(devices: Devices) -> None:
    await provision(devices)
    async with devices.database.begin() as db:
        device = (await db.scalars(select(AcsDevice))).one()
        device.device_id, device.state, device.applied_revision = "00259E-x", "verified", device.revision
    again = await provision(devices, request_id=None)
    assert again["state"] == "verified"
    changed = await provision(devices, values={**VALUES, "cpe_vlan_id": 101}, request_id=None)
    assert changed["state"] == "queued"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"device_serial": "*"}, SerialMalformed),
        ({"device_serial": "/x/"}, SerialMalformed),
        ({"config_template": "nonsense"}, TemplateUnknown),
        ({"values": {"colour": "red"}}, TemplateInputsRefused),
        ({"values": None}, TemplateInputsRefused),
    ],
)
async def test_a_bad_request_is_refused_before_anything_is_written(
    devices: Devices, secrets: KeptSecrets, changed: dict[str, Any], error: type[Exception]
) -> None:
    async with devices.database.begin() as db:
        with pytest.raises(error):
            await devices.service(db).provision_device(**{**ORDER, **changed})
    assert (await count(devices, AcsDevice), await count(devices, AcsRequest)) == (0, 0)
    assert WIFI_REF not in secrets.plaintexts


async def test_withdrawing_frees_the_serial_and_forgets_its_passphrase(devices: Devices, secrets: KeptSecrets) -> None:
    first = await provision(devices)
    async with devices.database.begin() as db:
        service = devices.service(db)
        withdrawn = await service.withdraw_device(device_serial="4857544312345678", service_id=7)
        again = await service.withdraw_device(device_serial=SERIAL, service_id=7)
        with pytest.raises(DeviceUnknown):
            await service.device(device_serial=SERIAL)
    assert [withdrawn, again] == [{**first, "state": "withdrawn"}] * 2
    assert WIFI_REF not in secrets.plaintexts
    second = await provision(devices, customer_id=2, service_id=9, request_id="order-18/provision")
    assert second["device_row_id"] != first["device_row_id"]
    assert await count(devices, AcsDevice) == 2


async def test_withdrawing_for_one_service_leaves_the_cpe_to_another(devices: Devices) -> None:
    await provision(devices)
    async with devices.database.begin() as db:
        assert await devices.service(db).withdraw_device(device_serial=SERIAL, service_id=99) is None
        assert await devices.service(db).withdraw_device(device_serial="HWTC00000001") is None
    assert (await row(devices)).state == "awaiting_first_inform"


async def test_a_request_made_again_after_the_withdrawal_binds_anew(devices: Devices) -> None:
    first = await provision(devices)
    async with devices.database.begin() as db:
        await devices.service(db).withdraw_device(device_serial=SERIAL)
    second = await provision(devices)
    assert second["state"] == "awaiting_first_inform"
    assert second["device_row_id"] != first["device_row_id"]
    assert await provision(devices) == second


async def test_a_changed_secret_touches_the_cpes_that_have_it(devices: Devices) -> None:
    first = await provision(devices)
    other = await provision(
        devices,
        device_serial="HWTC00000001",
        service_id=8,
        values={**VALUES, "pppoe_password": "secret:subscriber/421"},
        request_id=None,
    )
    async with devices.database.begin() as db:
        touched = await devices.service(db).secret_changed(ref="secret:subscriber/42")
    assert [device["device_serial"] for device in touched] == [SERIAL]
    assert touched[0]["revision"] != first["revision"]
    assert (await row(devices, "HWTC00000001")).revision == other["revision"]


async def test_tenants_do_not_see_each_others_cpes(devices: Devices) -> None:
    await provision(devices)
    async with devices.database.begin() as db:
        south = devices.service(db, "south")
        with pytest.raises(DeviceUnknown):
            await south.device(device_serial=SERIAL)
        assert await south.withdraw_device(device_serial=SERIAL) is None
        assert await south.devices_of_service(service_id=7) == []
        assert [each["device_serial"] for each in await devices.service(db).devices_of_service(service_id=7)] == [
            SERIAL
        ]


async def test_of_many_who_want_the_same_serial_one_gets_it(devices: Devices) -> None:
    async def want(service_id: int) -> ProvisionedDevice | SerialBoundElsewhere:
        try:
            return await provision(devices, service_id=service_id, request_id=f"order-{service_id}")
        except SerialBoundElsewhere as taken:
            return taken

    answers = await asyncio.gather(*(want(number) for number in range(1, 9)))
    assert len([answer for answer in answers if isinstance(answer, dict)]) == 1
    assert await count(devices, AcsDevice) == 1
    assert await count(devices, AcsRequest) == 1


async def test_the_same_request_made_many_times_at_once_has_one_answer(devices: Devices) -> None:
    answers = await asyncio.gather(*(provision(devices) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert (await count(devices, AcsDevice), await count(devices, AcsRequest)) == (1, 1)


async def test_the_service_commits_nothing(devices: Devices) -> None:
    class Changed(Exception):
        pass

    with pytest.raises(Changed):
        async with devices.database.begin() as db:
            service: GenieAcsService = devices.service(db)
            await service.provision_device(**ORDER)
            raise Changed
    assert await count(devices, AcsDevice) == 0
