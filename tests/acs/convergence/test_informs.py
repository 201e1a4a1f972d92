"""Many CPEs are looked for at once, and an ACS with another clock or none at all is lived with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from acs import DeviceConvergence, NbiClient, NbiLeftInPeace, NbiUnreachable
from acs.nbi.transport import NbiTransport
from acs.testing import LabAcs, LabCpe
from tests.acs.bench import SERIAL, Bench
from tests.acs.conftest import TENANT, Devices, KeptSecrets

SERIALS = [f"HWTC{number:08X}" for number in range(150)]


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets of all reads at the ACS."""
    asked: list[str] = []
    collect = NbiTransport.collect

    async def noted(self: NbiTransport, target: str, **options: Any) -> Any:
        asked.append(target)
        return await collect(self, target, **options)

    monkeypatch.setattr(NbiTransport, "collect", noted)
    return asked


async def bind(devices: Devices, serial: str) -> None:
    async with devices.database.begin() as db:
        await devices.service(db).provision_device(
            customer_id=1,
            service_id=7,
            device_serial=serial,
            config_template="tr181-pppoe",
            values={"pppoe_username": "u42@isp", "pppoe_password": "secret:subscriber/42", "cpe_vlan_id": 100},
        )


@pytest.fixture
def skewed(devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> Callable[[int], DeviceConvergence]:
    """A convergence whose clock is that many minutes ahead of the ACS's."""

    def ahead(minutes: int) -> DeviceConvergence:
        return DeviceConvergence(
            devices.database.begin,
            nbi,
            tenant_id=TENANT,
            now=lambda: lab.clock.now() + timedelta(minutes=minutes),
            secrets=secrets,
            sleep=lab.clock.sleep,
        )

    return ahead


async def test_many_cpes_are_asked_for_in_few_questions(
    convergence: DeviceConvergence, lab: LabAcs, questions: list[str]
) -> None:
    since = lab.clock.now()
    await lab.clock.sleep(1)
    for serial in SERIALS[:5]:
        await lab.attach(LabCpe(serial)).power_on()
    found = await convergence.informed_many(dict.fromkeys(SERIALS, since))
    assert sorted(found) == SERIALS[:5]
    assert len(questions) <= 15
    assert max(map(len, questions)) <= 12_000


async def test_known_cpes_are_asked_for_by_their_id_a_hundred_at_a_time(
    convergence: DeviceConvergence, devices: Devices, lab: LabAcs, questions: list[str]
) -> None:
    since = lab.clock.now()
    await lab.clock.sleep(1)
    for serial in SERIALS[:3]:
        await bind(devices, serial)
        await lab.attach(LabCpe(serial)).power_on()
    waiting = dict.fromkeys(SERIALS[:3], since)
    assert sorted(await convergence.informed_many(waiting)) == SERIALS[:3]
    questions.clear()
    assert sorted(await convergence.informed_many(waiting)) == SERIALS[:3]
    [question] = questions
    assert "SerialNumber%22" not in question
    assert lab.cpe(SERIALS[0]).device_id in question


async def test_each_cpe_has_its_own_moment_and_its_own_spelling(convergence: DeviceConvergence, lab: LabAcs) -> None:
    started = lab.clock.now()
    await lab.clock.sleep(1)
    for serial in ("HWTC00000001", "4857544300000002"):
        await lab.attach(LabCpe(serial)).power_on()
    later = lab.clock.now() + timedelta(seconds=1)
    found = await convergence.informed_many({"hwtc00000001": later, "HWTC00000002": started, "no serial!": started})
    assert list(found) == ["HWTC00000002"]


async def test_a_serial_of_two_cpes_hinders_no_other(convergence: DeviceConvergence, lab: LabAcs) -> None:
    since = lab.clock.now()
    await lab.clock.sleep(1)
    for serial in ("HWTC00000001", "4857544300000001", "HWTC00000002"):
        await lab.attach(LabCpe(serial)).power_on()
    found = await convergence.informed_many({"HWTC00000001": since, "HWTC00000002": since})
    assert list(found) == ["HWTC00000002"]


async def test_a_cpe_replaced_under_its_id_is_found_by_its_serial(
    convergence: DeviceConvergence, devices: Devices, lab: LabAcs
) -> None:
    serial = SERIALS[0]
    since = lab.clock.now()
    await lab.clock.sleep(1)
    await bind(devices, serial)
    first = lab.attach(LabCpe(serial))
    await first.power_on()
    assert serial in await convergence.informed_many({serial: since})
    lab.documents.delete_device(first.device_id)
    lab.cpes.clear()
    second = lab.attach(LabCpe(serial, product_class="HG9000"))
    await second.power_on()
    assert (await convergence.informed_many({serial: since}))[serial]["device_id"] == second.device_id


async def look(convergence: DeviceConvergence, serial: str, since: datetime) -> object:
    return (await convergence.informed_many({serial: since})).get(serial)


@pytest.mark.parametrize("known_before", [False, True])
async def test_an_inform_is_noticed_though_the_clock_of_the_acs_is_behind(
    skewed: Callable[[int], DeviceConvergence], lab: LabAcs, known_before: bool
) -> None:
    ours = skewed(30)
    cpe = lab.attach(LabCpe(SERIALS[0]))
    if known_before:
        await cpe.power_on()
        await lab.clock.sleep(5)
    since = lab.clock.now() + timedelta(minutes=30)  # now, by our clock
    assert await look(ours, SERIALS[0], since) is None
    await lab.clock.sleep(5)
    assert await look(ours, SERIALS[0], since) is None
    await (cpe.periodic_inform() if known_before else cpe.power_on())
    assert await look(ours, SERIALS[0], since) is not None
    assert await look(ours, SERIALS[0], since) is not None  # told again when asked again


async def test_an_acs_that_is_down_is_left_in_peace_longer_and_longer(
    convergence: DeviceConvergence, lab: LabAcs
) -> None:
    since = lab.clock.now()
    await lab.go_down()
    for pause in (2, 4, 8):
        with pytest.raises(NbiUnreachable, match="cannot be reached"):
            await convergence.informed_many({SERIALS[0]: since})
        await lab.clock.sleep(pause - 0.5)
        asked_at = lab.clock.now()
        with pytest.raises(NbiLeftInPeace, match="asked again in"):
            await convergence.informed_many({SERIALS[0]: since})
        assert lab.clock.now() == asked_at  # nobody knocked, and nobody waited
        await lab.clock.sleep(1)
    await lab.come_back()
    assert await convergence.informed_many({SERIALS[0]: since}) == {}


async def test_an_inform_counts_only_when_it_came_after_the_moment_asked_for(bench: Bench) -> None:
    cpe = await bench.power_on()
    await bench.lab.clock.sleep(60)
    await bench.bind()
    bound = bench.lab.clock.now()
    assert await look(bench.convergence, SERIAL, bound) is None
    assert (await bench.row()).state == "awaiting_first_inform"
    await bench.lab.clock.sleep(1)
    await cpe.periodic_inform()
    seen = await bench.convergence.informed_many({SERIAL: bound})
    assert seen[SERIAL]["device_id"] == cpe.device_id
    assert ((await bench.row()).state, (await bench.row()).device_id) == ("queued", cpe.device_id)
