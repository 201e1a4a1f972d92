"""Who was told nothing in a first session is kept for an operator: in words, in few rows, and without a code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

import acs.refused_first_sessions as refusing
from acs import AcsDevice, RefusedFirstSession, RefusedFirstSessions, unbound_devices
from acs.refused_first_sessions import AGAIN_AFTER, CAUSES, told_of
from acs.tables import AcsRefusedSerial, AcsSeenDevice
from tests.acs.bench import SERIAL, Bench
from tests.acs.conftest import TENANT, Clockwork

STRANGER = "HWTC0000CAFE"


async def note(bench: Bench, serial: str = SERIAL, why: str = "wrong_code", *, tenant_id: str = TENANT) -> None:
    async with bench.devices.database.begin() as db:
        refusals = RefusedFirstSessions(db, tenant_id=tenant_id, now=bench.devices.clock.now)
        await refusals.note(serial=serial, acs_name="default", why=why)


async def shown(bench: Bench) -> RefusedFirstSession | None:
    async with bench.devices.database.begin() as db:
        return (await bench.devices.service(db).device(device_serial=SERIAL))["first_session_refused"]


async def listed(bench: Bench) -> list[str]:
    async with bench.devices.database.begin() as db:
        return list(await db.scalars(select(AcsRefusedSerial.serial).order_by(AcsRefusedSerial.id)))


async def test_a_bound_cpe_shows_its_last_refusal_with_what_to_do(bench: Bench) -> None:
    await bench.bind()
    assert await shown(bench) is None
    await note(bench)
    told = await shown(bench)
    assert told is not None
    assert (told["refused_at"], told["why"], told["acs_name"]) == (bench.devices.clock.time, "wrong_code", "default")
    assert told["remedy"].startswith(
        f"Give it the code that `firstlight devices acs codes {SERIAL} --reason ...` tells"
    )
    await note(bench, why="wrong_data_model")
    again = await shown(bench)
    assert again is not None and again["why"] == "wrong_data_model"
    assert await listed(bench) == []


async def test_of_a_cpe_that_was_verified_since_no_refusal_stands(bench: Bench) -> None:
    await bench.bind()
    bench.devices.clock.time = bench.lab.clock.now() - timedelta(minutes=5)
    await note(bench)
    await bench.power_on()
    await bench.convergence.apply(SERIAL)
    assert await shown(bench) is not None
    await bench.convergence.verify(SERIAL)
    assert await shown(bench) is None
    bench.devices.clock.time = bench.lab.clock.now() + timedelta(minutes=5)
    await note(bench)
    later = await shown(bench)
    assert later is not None and later["refused_at"] == bench.devices.clock.time


@pytest.mark.parametrize("serial", [SERIAL, STRANGER])
async def test_the_same_again_within_a_minute_writes_nothing(bench: Bench, serial: str) -> None:
    await bench.bind()
    began = bench.devices.clock.time
    column = AcsDevice.refused_at if serial == SERIAL else AcsRefusedSerial.refused_at
    times = []
    for passed in (timedelta(), timedelta(seconds=59), AGAIN_AFTER):
        bench.devices.clock.time = began + passed
        await note(bench, serial)
        async with bench.devices.database.begin() as db:
            times.append(await db.scalar(select(column)))
    assert times == [began, began, began + AGAIN_AFTER]


async def test_serials_that_serve_nobody_are_few_whoever_makes_them_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusing, "MOST_UNBOUND", 10)
    for number in range(25):
        bench.devices.clock.time += timedelta(seconds=1)
        await note(bench, f"HWTC000000{number:02}")
        assert len(await listed(bench)) <= 10
    assert (await listed(bench))[-1] == "HWTC00000024"
    async with bench.devices.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(AcsDevice)) == 0
    await note(bench, STRANGER, tenant_id="south")
    before = await listed(bench)
    for number in range(30, 41):
        await note(bench, f"HWTC000000{number:02}")
    assert STRANGER in before and STRANGER in await listed(bench), "another tenant's stay"


async def test_of_a_cpe_that_serves_nobody_it_is_told_beside_it(bench: Bench) -> None:
    await note(bench, STRANGER, "not_waiting")
    now = bench.devices.clock.time
    async with bench.devices.database.begin() as db:
        for serial in (STRANGER, "HWTC0000BEEF"):
            db.add(AcsSeenDevice(tenant_id=TENANT, device_id=f"A-B-{serial}", serial=serial, first_seen_at=now))
    async with bench.devices.database.begin() as db:
        found = await unbound_devices(db, tenant_id=TENANT)
    refused = {each["serial"]: each["first_session_refused"] for each in found}
    assert refused == {STRANGER: told_of(STRANGER, now, "not_waiting", "default"), "HWTC0000BEEF": None}


async def test_a_serial_that_is_bound_after_its_refusal_begins_with_none(bench: Bench) -> None:
    await note(bench)
    await bench.bind()
    assert await shown(bench) is None


@pytest.mark.parametrize("why", CAUSES)
def test_every_cause_has_words_and_what_to_do(clockwork: Clockwork, why: str) -> None:
    told = told_of(SERIAL, clockwork.time, why, "south")
    assert told is not None
    assert told["words"].endswith(".") and told["remedy"].endswith(".")
    assert not [letter for letter in told["words"] + told["remedy"] if letter in "{}"]
    assert len(why) <= 32
