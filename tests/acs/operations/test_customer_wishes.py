"""Another WiFi name or passphrase, and a CPE in the place of a broken one."""

from __future__ import annotations

import pytest

from acs import DeviceUnknown, OperationRefused, RequestConflict, SerialBoundElsewhere, TemplateUnknown
from acs.testing import LabCpe
from tests.acs.bench import PASSPHRASE, SERIAL, SSID, USERNAME, WIFI_REF
from tests.acs.operations.conftest import Ops

NEW = "HWTC0000BEEF"
SECRET = "seven green bottles"


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_the_wifi_is_as_the_customer_wants_it_and_the_passphrase_is_nowhere_in_clear(ops: Ops) -> None:
    cpe = await ops.configured()
    async with ops.wishes() as wishes:
        asked = await wishes.change_wifi(device_serial=SERIAL, ssid="Attic", passphrase=SECRET, by="nora")
    assert (asked["arguments"], SECRET in str(asked)) == ({"ssid": "Attic", "passphrase": WIFI_REF}, False)
    done = await ops.done(asked)
    assert done["state"] == "done"
    assert (cpe.value(SSID), cpe.value(PASSPHRASE)) == ("Attic", SECRET)
    assert ops.bench.secrets.plaintexts[WIFI_REF] == SECRET
    async with ops.wishes() as wishes:  # the passphrase alone, under the same reference
        again = await wishes.change_wifi(device_serial=SERIAL, passphrase="eight green bottles", by="nora")
    assert (await ops.done(again))["state"] == "done"
    assert cpe.value(PASSPHRASE) == "eight green bottles"
    for wrong in ({"ssid": "x" * 33}, {"passphrase": "short"}, {}):
        with pytest.raises(OperationRefused):
            async with ops.wishes() as wishes:
                await wishes.change_wifi(device_serial=SERIAL, by="nora", **wrong)


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_the_same_request_is_one_change_and_another_passphrase_is_another_request(ops: Ops) -> None:
    await ops.configured()
    for _ in range(2):
        async with ops.wishes() as wishes:
            asked = await wishes.change_wifi(device_serial=SERIAL, passphrase=SECRET, by="n", request_id="w1")
    assert asked["operation_id"] == 1
    with pytest.raises(RequestConflict):
        async with ops.wishes() as wishes:
            await wishes.change_wifi(device_serial=SERIAL, passphrase="something else", by="n", request_id="w1")
    assert ops.bench.secrets.plaintexts[WIFI_REF] == SECRET


async def test_a_new_cpe_takes_the_old_ones_place_with_its_passphrase_and_the_old_one_is_cleared(ops: Ops) -> None:
    old = await ops.configured()
    passphrase = old.value(PASSPHRASE)
    async with ops.wishes() as wishes:
        asked = await wishes.swap(device_serial=SERIAL, new_serial=NEW.lower(), by="nora", request_id="s1")
    async with ops.wishes() as wishes:
        assert await wishes.swap(device_serial=SERIAL, new_serial=NEW, by="nora", request_id="s1") == asked
    waiting = await ops.done(asked, seconds=5.0)
    assert (waiting["device_serial"], waiting["state"]) == (NEW, "queued")
    assert "has never reported" in waiting["reason"]
    new = ops.bench.lab.attach(LabCpe(NEW))
    await new.power_on()
    done = await ops.done(asked, seconds=200.0)
    assert (done["state"], new.value(USERNAME), new.value(SSID)) == ("done", "u42@isp", "Home")
    assert new.value(PASSPHRASE) == passphrase
    assert WIFI_REF not in ops.bench.secrets.plaintexts
    assert await ops.bench.tags() == []
    with pytest.raises(DeviceUnknown):
        await ops.ask("reboot")


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_a_new_cpe_of_another_model_is_given_a_template_of_its_own(ops: Ops) -> None:
    await ops.configured()
    with pytest.raises(TemplateUnknown):
        async with ops.wishes() as wishes:
            await wishes.swap(device_serial=SERIAL, new_serial=NEW, template="nosuch", by="nora")
    async with ops.wishes() as wishes:
        asked = await wishes.swap(
            device_serial=SERIAL, new_serial=NEW, template="tr098-pppoe", by="nora", request_id="s1"
        )
    with pytest.raises(RequestConflict):
        async with ops.wishes() as wishes:
            await wishes.swap(device_serial=SERIAL, new_serial=NEW, by="nora", request_id="s1")
    new = ops.bench.lab.attach(LabCpe(NEW, data_model="TR-098"))
    await new.power_on()
    done = await ops.done(asked, seconds=200.0)
    assert (done["state"], new.ppp.username) == ("done", "u42@isp"), done["reason"]


@pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)
async def test_one_that_serves_somebody_is_not_taken_from_them(ops: Ops) -> None:
    await ops.configured()
    async with ops.bench.devices.database.begin() as db:
        await ops.bench.devices.service(db).provision_device(
            customer_id=2,
            service_id=8,
            device_serial=NEW,
            config_template="tr181-pppoe",
            values={"pppoe_username": "u43@isp", "pppoe_password": "secret:subscriber/42"},
        )
    with pytest.raises(SerialBoundElsewhere):
        async with ops.wishes() as wishes:
            await wishes.swap(device_serial=SERIAL, new_serial=NEW, by="nora")
    async with ops.verbs() as verbs:
        assert await verbs.operations() == []
