"""Readings: the right place for the model, the time of each, and nothing invented; and who has not reported."""

from __future__ import annotations

from datetime import timedelta

import pytest

from acs import DeviceReadings, Reading
from acs.operations.reading_paths import reading_paths, value_of
from tests.acs.bench import SERIAL
from tests.acs.conftest import TENANT
from tests.acs.operations.conftest import Ops

SQLITE = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)


def looks(ops: Ops) -> DeviceReadings:
    return DeviceReadings(
        ops.bench.devices.database.begin, {"default": ops.bench.nbi}, tenant_id=TENANT, now=ops.bench.lab.clock.now
    )


async def read(ops: Ops) -> dict[str, Reading]:
    return {each["reading"]: each for each in (await looks(ops).of(SERIAL))["readings"]}


async def fresh(ops: Ops) -> None:
    paths = await looks(ops).paths(SERIAL)
    done = await ops.done(await ops.ask("get", paths=paths, as_far_as_there=True))
    assert done["state"] == "done"


@SQLITE
async def test_light_ppp_and_wifi_are_read_where_the_model_has_them(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.tree.put("Device.PPP.Interface.1.LastConnectionError", "ERROR_AUTHENTICATION_FAILURE")
    cpe.tree.put("Device.WiFi.AccessPoint.1.AssociatedDeviceNumberOfEntries", 7)
    before = await read(ops)
    assert (before["optical_rx"]["value"], before["optical_rx"]["note"]) == (
        None,
        "the ACS has not read it from this CPE",
    )
    await fresh(ops)
    now = await read(ops)
    assert (now["optical_rx"]["value"], now["optical_rx"]["sure"]) == (-19.5, "standard")
    assert now["ppp_last_error"]["value"] == "ERROR_AUTHENTICATION_FAILURE"
    assert (now["wifi_1_clients"]["value"], now["wifi_1_channel"]["value"], now["wifi_2_channel"]["value"]) == (
        7,
        6,
        36,
    )
    assert [name for name, each in now.items() if each["is_stale"]] == []
    await ops.later(1000)
    stale = {name for name, each in (await read(ops)).items() if each["is_stale"]}
    assert "optical_rx" in stale and "software_version" not in stale  # which is in every Inform


@SQLITE
async def test_a_vendors_path_is_used_for_that_vendor_alone(ops: Ops) -> None:
    await ops.configured(data_model="TR-098")
    await fresh(ops)
    huawei = (await read(ops))["optical_rx"]
    assert (huawei["value"], huawei["sure"]) == (-21.0, "dumps")


@SQLITE
async def test_another_models_light_is_not_known_and_not_guessed(ops: Ops) -> None:
    await ops.configured(data_model="TR-098", oui="AABBCC", product_class="X1")
    assert await read(ops) != {}
    unknown = (await read(ops))["optical_rx"]
    assert (unknown["value"], unknown["note"]) == (None, "not known for this model")


def test_units_are_the_vendors_and_what_is_no_power_is_none() -> None:
    assert [value_of("dbm", raw) for raw in ("-23 dBm", -21, "--", "", "-300")] == [-23.0, -21.0, None, None, None]
    assert [value_of("dbm_or_tenth_microwatt", raw) for raw in (-22, 100, 0)] == [-22.0, -20.0, None]
    assert value_of("milli_dbm", -19500) == -19.5
    assert {each.sure for each in reading_paths()} == {"standard", "dumps", "published"}


async def test_who_has_not_reported_is_counted_by_the_interval_it_was_given(ops: Ops) -> None:
    cpe = await ops.configured()
    assert (await looks(ops).late())["late"] == []
    await cpe.darken()
    await ops.later(55 * 2)
    assert (await looks(ops).late())["late"] == []
    await ops.later(20)
    [late] = (await looks(ops).late())["late"]
    assert (late["device_serial"], late["interval_seconds"], late["missed"], late["service_id"]) == (SERIAL, 60, 2, 7)
    patient = await looks(ops).late(missed_at_least=3)
    assert (patient["late"], patient["service_ids"]) == ([], [7])
    assert late["last_inform_at"] < ops.bench.lab.clock.now() - timedelta(seconds=120)
