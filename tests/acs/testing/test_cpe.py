"""A CPE's life outside the ACS: power, line, Informs, the customer's hand, PPP."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from acs.testing import SHARES, Change, LabAcs, LabClock, LabCpe, LabRefused
from acs.testing.population import quirks_of, temper_of
from tests.acs.testing.conftest import Nbi

SSID = "Device.WiFi.SSID.1.SSID"
INTERVAL = "Device.ManagementServer.PeriodicInformInterval"


def informs(lab: LabAcs) -> list[list[str]]:
    return [one.facts["events"] for one in lab.happenings if one.kind == "inform"]


async def test_the_first_boot_is_a_bootstrap_and_the_second_is_not(lab: LabAcs, cpe: LabCpe) -> None:
    await cpe.power_off()
    await cpe.power_on()
    assert informs(lab) == [["0 BOOTSTRAP", "1 BOOT"], ["1 BOOT"]]


async def test_a_dark_cpe_says_nothing_and_tells_all_when_the_line_is_lit(lab: LabAcs, nbi: Nbi) -> None:
    cpe = lab.attach(LabCpe("DARK", line_up=False))
    assert not await cpe.power_on()
    assert await nbi.find("devices") == []
    assert await cpe.light()
    assert informs(lab) == [["0 BOOTSTRAP", "1 BOOT"]]
    assert await nbi.ids({"_deviceId._SerialNumber": "DARK"}) == [cpe.device_id]


async def test_a_lit_cpe_without_power_stays_silent_until_it_is_plugged_in(lab: LabAcs) -> None:
    cpe = lab.attach(LabCpe("PLUG", line_up=False))
    assert not await cpe.light()
    assert informs(lab) == []
    assert await cpe.power_on()


async def test_a_darkened_cpe_can_neither_be_called_nor_inform(nbi: Nbi, cpe: LabCpe) -> None:
    await cpe.darken()
    assert not await cpe.periodic_inform()
    answer = await nbi.post(cpe, None)
    assert (answer.status, answer.body) == (504, "Device is offline")
    assert answer.seconds == pytest.approx(2, abs=0.05)


async def test_it_informs_by_its_interval_and_the_acs_can_change_it(
    lab: LabAcs, nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    await clock.sleep(601)
    assert informs(lab)[1:] == [["2 PERIODIC"]] * 2
    await nbi.set(cpe, (INTERVAL, 60))
    await clock.sleep(120)
    assert informs(lab)[3:] == [["6 CONNECTION REQUEST"], ["2 PERIODIC"], ["2 PERIODIC"]]


async def test_without_power_the_periodic_inform_ends(lab: LabAcs, cpe: LabCpe, clock: LabClock) -> None:
    await cpe.power_off()
    await clock.sleep(3600)
    assert len(informs(lab)) == 1


async def test_a_factory_reset_brings_back_the_defaults_and_bootstraps_again(lab: LabAcs, cpe: LabCpe) -> None:
    cpe.customer_sets(SSID, "Mine")
    await cpe.factory_reset()
    assert cpe.value(SSID) == "Lab-1"
    assert informs(lab)[-1] == ["0 BOOTSTRAP", "1 BOOT"]


async def test_a_factory_reset_task_is_done_after_the_session_and_takes_a_boot(
    nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    cpe.customer_sets(SSID, "Mine")
    assert (await nbi.post(cpe, {"name": "factoryReset"})).status == 200
    assert cpe.value(SSID) == "Lab-1"
    assert not cpe.online
    await clock.sleep(31)
    assert cpe.online


async def test_a_reboot_that_waited_for_the_boot_of_another_reboot_still_happens(
    lab: LabAcs, nbi: Nbi, cpe: LabCpe, clock: LabClock
) -> None:
    await nbi.post(cpe, {"name": "reboot"})
    await nbi.post(cpe, {"name": "reboot"})
    await clock.sleep(100)
    assert [one.kind for one in lab.happenings].count("reboot") == 2
    assert cpe.online


async def test_power_cut_in_a_reboot_ends_the_reboot(lab: LabAcs, nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    await nbi.post(cpe, {"name": "reboot"})
    await cpe.power_off()
    await clock.sleep(100)
    assert not cpe.online
    assert await cpe.power_on()


async def test_everybody_who_writes_is_reported_with_the_paths(nbi: Nbi, cpe: LabCpe) -> None:
    seen: list[Change] = []
    told = asyncio.Event()

    async def later(change: Change) -> None:
        if change.origin == "acs":
            told.set()

    cpe.on_change(seen.append)
    cpe.on_change(later)
    cpe.customer_sets(SSID, "Mine")
    await nbi.set(cpe, (SSID, "Home"))
    await told.wait()
    assert seen == [
        Change("SN-181", frozenset({SSID}), "customer"),
        Change("SN-181", frozenset({SSID}), "acs"),
    ]


async def test_an_error_in_a_callback_is_not_lost(clock: LabClock) -> None:
    lab = LabAcs(clock)
    await lab.start()
    cpe = lab.attach(LabCpe("X"))

    async def broken(change: Change) -> None:
        raise RuntimeError(change.origin)

    cpe.on_change(broken)
    cpe.customer_sets(SSID, "Mine")
    await clock.sleep(1)
    with pytest.raises(RuntimeError, match="customer"):
        await lab.stop()


async def test_the_ppp_state_is_the_cpes_own_and_breaks_with_the_line(nbi: Nbi, cpe_098: LabCpe) -> None:
    roles = cpe_098.roles
    await nbi.set(cpe_098, (roles.ppp_username, "u1"), (roles.ppp_password, "pw"), (roles.vlan_id, 7))
    cpe_098.ppp_changed("Connected", "100.64.0.9")
    assert (cpe_098.ppp.username, cpe_098.ppp.password, cpe_098.ppp.vlan_id) == ("u1", "pw", 7)
    await nbi.next_slot(cpe_098)
    await nbi.read(cpe_098, roles.ppp_status, roles.ppp_address)
    assert (await nbi.leaf(cpe_098, roles.ppp_status))["_value"] == "Connected"
    assert (await nbi.leaf(cpe_098, roles.ppp_address))["_value"] == "100.64.0.9"
    await cpe_098.darken()
    assert (cpe_098.ppp.status, cpe_098.ppp.address) == ("Disconnected", "0.0.0.0")


async def test_the_id_is_percent_encoded_but_for_letters_digits_and_underscore() -> None:
    cpe = LabCpe("A.1~é", oui="00259E", product_class="HG_8245-Q2")
    assert cpe.device_id == "00259E-HG_8245%2DQ2-A%2E1%7E%C3%A9"


async def test_asking_for_what_is_not_there_is_refused_with_a_sentence(lab: LabAcs, cpe: LabCpe) -> None:
    with pytest.raises(LabRefused, match=r"no parameter Device\.X"):
        cpe.value("Device.X")
    with pytest.raises(LabRefused, match="no CPE with serial NOPE"):
        lab.cpe("NOPE")
    with pytest.raises(LabRefused, match="attached already"):
        lab.attach(LabCpe("SN-181"))
    assert lab.document("SN-181") is not None


async def test_uptime_counts_from_the_boot(nbi: Nbi, cpe: LabCpe, clock: LabClock) -> None:
    await clock.sleep(timedelta(hours=1).total_seconds())
    await nbi.read(cpe, "Device.DeviceInfo.UpTime")
    assert (await nbi.leaf(cpe, "Device.DeviceInfo.UpTime"))["_value"] == 3600


def test_one_in_a_hundred_of_a_network_lies_about_settings_and_firmware_alike() -> None:
    lying = quirks_of("lying")
    assert (lying.lies, lying.keeps_version) == (True, True)
    assert (quirks_of("honest").lies, quirks_of("honest").keeps_version) == (False, False)
    assert [temper_of(number, SHARES) for number in range(1_000)].count("lying") == 10
