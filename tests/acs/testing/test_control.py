"""The remote control, in this process and against the lab as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from acs.testing import ControlApi, LabAcs, LabControl, LabRefused, NbiTrouble
from tests.acs.testing.conftest import Nbi

SERIAL = "HWTC12345678"
SSID = "Device.WiFi.SSID.1.SSID"


@pytest.fixture
async def control(lab: LabAcs) -> AsyncIterator[LabControl]:
    api = ControlApi(lab)
    await api.start()
    async with LabControl(api.url) as control:
        yield control
    await api.stop()


async def test_a_cpe_is_attached_powered_lit_and_looked_at(lab: LabAcs, control: LabControl) -> None:
    state = await control.attach(SERIAL, data_model="TR-098", line_up=False)
    assert (state.serial, state.device_id, state.online) == (SERIAL, f"00259E-HG8245-{SERIAL}", False)
    assert not await control.power_on(SERIAL)
    assert await control.light(SERIAL)
    assert (await control.cpe(SERIAL)).online
    await control.ppp_changed(SERIAL, "Connected", "100.64.0.9")
    ppp = await control.ppp(SERIAL)
    assert (ppp.status, ppp.address) == ("Connected", "100.64.0.9")
    await control.darken(SERIAL)
    await control.power_off(SERIAL)
    assert [(one.serial, one.online) for one in await control.cpes()] == [(SERIAL, False)]


async def test_attaching_the_same_serial_again_changes_nothing(control: LabControl) -> None:
    await control.attach(SERIAL)
    await control.power_on(SERIAL)
    assert (await control.attach(SERIAL)).powered


async def test_values_quirks_and_resets(lab: LabAcs, control: LabControl) -> None:
    await control.attach(SERIAL)
    await control.power_on(SERIAL)
    await control.customer_sets(SERIAL, SSID, "Mine")
    assert await control.value(SERIAL, SSID) == "Mine"
    await control.set_quirks(SERIAL, refuse={SSID: 9007}, unsupported=["Reboot"])
    await control.set_quirks(SERIAL, reachable=False)
    quirks = lab.cpe(SERIAL).quirks
    assert (quirks.refuse, quirks.unsupported, quirks.reachable) == ({SSID: 9007}, frozenset({"Reboot"}), False)
    assert await control.periodic_inform(SERIAL)
    assert await control.factory_reset(SERIAL)
    assert await control.value(SERIAL, SSID) == "Lab-1"


async def test_happenings_are_numbered_and_can_be_waited_for(control: LabControl) -> None:
    await control.attach(SERIAL)
    assert await control.happenings() == []
    waiting = asyncio.ensure_future(control.happenings(wait_seconds=30))
    await asyncio.sleep(0)
    await control.customer_sets(SERIAL, SSID, "Mine")
    [seen] = await waiting
    assert (seen.number, seen.serial, seen.kind) == (1, SERIAL, "changed")
    assert seen.facts == {"origin": "customer", "paths": [SSID]}
    assert await control.happenings(after=1) == []


async def test_the_nbi_can_be_troubled_and_taken_down(nbi: Nbi, lab: LabAcs, control: LabControl) -> None:
    await control.set_trouble(NbiTrouble(rubbish=True))
    assert (await nbi.ask("GET", "/devices")).body.startswith("<html>")
    await control.set_trouble(NbiTrouble())
    await control.nbi_down()
    with pytest.raises(ConnectionRefusedError):
        await nbi.ask("GET", "/devices")
    await control.nbi_up()
    assert await nbi.find("devices") == []


async def test_what_is_not_there_and_what_is_wrong_is_refused_with_a_reason(control: LabControl) -> None:
    with pytest.raises(LabRefused, match="no CPE with serial NOPE"):
        await control.cpe("NOPE")
    await control.attach(SERIAL)
    with pytest.raises(LabRefused, match="no parameter"):
        await control.value(SERIAL, "Device.Nope")
    with pytest.raises(LabRefused, match="TypeError"):
        await control.set_quirks(SERIAL, nonsense=True)


async def test_a_lab_of_its_own_survives_its_own_death_by_its_state_file(tmp_path: Path) -> None:
    state = tmp_path / "lab.json"
    urls = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "acs.testing", "--factor", "0.1", "--state", str(state)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        started = json.loads(await process.stdout.readline())
        urls.append(started["url"])
        async with LabControl(started["control_url"]) as control:
            if await control.cpes() == []:
                await control.attach(SERIAL)
                assert await control.power_on(SERIAL)
                await control.customer_sets(SERIAL, SSID, "Mine")
            assert await control.value(SERIAL, SSID) == "Mine"
        async with httpx.AsyncClient(base_url=started["url"]) as client:
            answer = await client.get("/devices?projection=_id")
            assert answer.json() == [{"_id": f"00259E-HG8245-{SERIAL}"}]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    assert len(urls) == 2
