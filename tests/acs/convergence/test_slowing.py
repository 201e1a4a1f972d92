"""A CPE reports every minute until it was verified, then seldom; neither is drift, and both are read back."""

from __future__ import annotations

import pytest

from acs import SettingsRefused
from acs.testing import LabCpe
from tests.acs.bench import SERIAL, SSID, Bench

INTERVAL = "Device.ManagementServer.PeriodicInformInterval"


async def slowed(bench: Bench, cpe: LabCpe) -> list[int]:
    """What each of three goes says, with an Inform after each."""
    goes = []
    for _ in range(3):
        goes.append(await bench.convergence.slow_verified())
        await bench.lab.clock.sleep(2)
        await cpe.periodic_inform()
    return goes


async def test_a_verified_cpe_comes_to_report_seldom_and_that_is_read_back(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    assert (await bench.convergence.slow_verified(), cpe.value(INTERVAL)) == (0, 60)  # it is not verified yet
    await bench.convergence.verify(SERIAL)
    assert await slowed(bench, cpe) == [0, 0, 1]
    assert 21600 * 0.9 <= int(cpe.value(INTERVAL)) <= 21600 * 1.1
    row = await bench.row()
    assert (row.state, row.inform_reason) == ("accepted_unverifiable", None)
    assert row.inform_settled_at is not None
    assert await bench.nbi.tasks(cpe.device_id) == ()
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert (await bench.row()).inform_settled_at == row.inform_settled_at


async def test_a_cpe_that_lies_about_its_interval_is_never_said_to_have_it(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.quirks.lies = True
    assert await slowed(bench, cpe) == [0, 0, 0]
    assert await slowed(bench, cpe) == [0, 0, 0]
    assert (await bench.row()).inform_settled_at is None


async def test_a_cpe_that_refuses_the_interval_says_why(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.quirks.refuse[INTERVAL] = 9007
    assert await slowed(bench, cpe) == [0, 0, 0]
    row = await bench.row()
    assert row.inform_reason == f"It goes on reporting often: {INTERVAL}: the CPE does not accept this value (9007)."
    assert row.state == "accepted_unverifiable"


async def test_an_interval_of_somebody_else_s_is_drift_and_the_repair_reports_often_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    await slowed(bench, cpe)
    cpe.customer_sets(INTERVAL, 7)
    outcome = await bench.convergence.verify(SERIAL)
    assert [drift["path"] for drift in outcome["drift"]] == [INTERVAL]
    await bench.convergence.apply(SERIAL)
    assert cpe.value(INTERVAL) == 60
    assert (await bench.row()).inform_settled_at is None
    await bench.convergence.verify(SERIAL)
    assert await slowed(bench, cpe) == [0, 0, 1]


async def test_another_wish_begins_at_every_minute_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    await slowed(bench, cpe)
    await bench.bind(wifi_ssid="Other")
    await bench.convergence.apply(SERIAL)
    assert (cpe.value(INTERVAL), cpe.value(SSID)) == (60, "Other")


async def test_a_cpe_that_is_refused_its_settings_keeps_the_interval_it_has(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.refuse[SSID] = 9007
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    assert await slowed(bench, cpe) == [0, 0, 0]
    assert cpe.value(INTERVAL) == 300


async def test_one_that_goes_on_refusing_the_interval_is_left_alone_until_it_was_read_back_anew(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.quirks.refuse[INTERVAL] = 9007
    for _ in range(4):
        await slowed(bench, cpe)
    row = await bench.row()
    assert row.inform_reason == (
        f"It goes on reporting often: {INTERVAL}: the CPE does not accept this value (9007)."
        " It was given that 3 times, and is again when it was read back anew."
    )
    written = bench.written(cpe)
    await slowed(bench, cpe)
    assert (bench.written(cpe), await bench.nbi.tasks(cpe.device_id)) == (written, ())
    cpe.quirks.refuse.clear()
    assert (await bench.convergence.verify(SERIAL))["state"] == "accepted_unverifiable"
    assert await slowed(bench, cpe) == [0, 0, 1]


async def test_one_that_goes_on_lying_about_it_is_left_alone_too(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.quirks.lies = True
    for _ in range(4):
        await slowed(bench, cpe)
    row = await bench.row()
    assert (row.inform_settled_at, row.inform_attempts) == (None, 4)
    assert row.inform_reason == (
        "It goes on reporting often: it takes its interval and then has another."
        " It was given that 3 times, and is again when it was read back anew."
    )
