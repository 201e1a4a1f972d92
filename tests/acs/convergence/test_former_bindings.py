"""What was queued for a CPE under a former binding does not reach it under the next, whenever it comes to the ACS."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from acs import AcsDevice, DeviceUnreachable, NbiTimedOut, Unknown, WrongDataModel
from acs.convergence.desired_states import CLEARED_SOON, SENT_SOON
from acs.wishes import IN_FLIGHT
from tests.acs.bench import SERIAL, Bench
from tests.acs.convergence.test_standing import (
    is_untouched_by_its_next_inform,
    left_waiting,
    on_its_way,
    set_facts,
    waiting,
)


async def bound_anew(bench: Bench, *, cleared: bool = False) -> None:
    """The CPE is withdrawn from whom it served, and is somebody else's at once."""
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    if cleared:
        assert (await bench.convergence.withdraw(SERIAL))["cleared"]
    bench.devices.clock.time = bench.lab.clock.now()
    await bench.bind(pppoe_username="next@isp")


async def test_the_settings_of_a_former_binding_do_not_reach_the_cpe_of_the_next(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    await bench.bind(template="tr098-pppoe", pppoe_username="next@isp")
    assert (await bench.row()).left_standing
    with pytest.raises(WrongDataModel):
        await bench.convergence.apply(SERIAL)
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)


async def test_what_was_on_its_way_for_a_former_binding_is_taken_back_though_it_comes_after_the_settings_of_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe, arrive = await on_its_way(bench, monkeypatch)
    await bound_anew(bench)
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    assert (await bench.row()).left_standing, "the former one's may still come"
    await arrive()
    assert await waiting(bench, cpe) == 1, "it took the place of the next one's"
    await set_facts(bench, updated_at=bench.lab.clock.now() - SENT_SOON)
    await bench.convergence.take_back_left()
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)
    assert (await bench.row()).left_standing, "there may be more to come"
    async with bench.devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(queued_at=bench.lab.clock.now() - IN_FLIGHT))
    await set_facts(bench, updated_at=bench.lab.clock.now() - SENT_SOON)
    assert await bench.convergence.take_back_left() == 1
    assert not (await bench.row()).left_standing
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.ppp.username == "next@isp"


async def test_what_was_on_its_way_for_a_binding_that_was_cleared_is_taken_back_of_the_next_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe, arrive = await on_its_way(bench, monkeypatch)
    await bound_anew(bench, cleared=True)
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await arrive()
    await set_facts(bench, updated_at=bench.lab.clock.now() - SENT_SOON)
    await bench.convergence.take_back_left()
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)


async def test_a_late_task_of_a_former_binding_is_not_taken_for_that_of_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ACS says to neither what it did, and the former one's comes where the next one's is looked for."""
    cpe, arrive = await on_its_way(bench, monkeypatch)
    await bound_anew(bench)

    async def former_instead(*_: Any, **__: Any) -> Unknown:
        await arrive()
        return Unknown("no answer came in time")

    with monkeypatch.context() as patched:
        patched.setattr(bench.nbi, "queue_task", former_instead)
        with pytest.raises(NbiTimedOut):
            await bench.convergence.apply(SERIAL)
    assert ((await bench.row()).task_id, (await bench.row()).left_standing) == (None, True)
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert (cpe.ppp.username, await waiting(bench, cpe)) == ("next@isp", 0)


async def test_a_withdrawn_binding_is_not_called_cleared_while_its_settings_wait(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    await bench.bind(pppoe_username="next@isp")
    assert (await bench.convergence.withdraw(SERIAL))["cleared"]
    assert await waiting(bench, cpe) == 0
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await bench.convergence.withdraw(SERIAL)
    assert await waiting(bench, cpe) == 1, "its own stays"


async def test_what_nobody_took_back_of_a_withdrawn_binding_is_taken_back_after_a_while(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    bench.devices.clock.time = bench.lab.clock.now()
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    assert await bench.convergence.take_back_left() == 0, "whoever withdrew it is at it"
    assert await waiting(bench, cpe) == 1
    async with bench.devices.database.begin() as db:
        await db.execute(update(AcsDevice).values(withdrawn_at=bench.lab.clock.now() - CLEARED_SOON))
    assert await bench.convergence.take_back_left() == 1
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)
    assert await bench.convergence.take_back_left() == 0


async def test_two_cpes_of_one_serial_keep_nobody_from_taking_back_what_others_left(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    other = "HWTC99999999"
    await bench.power_on(serial=other)
    await bench.power_on(serial="4857544399999999", oui="ACDE48")
    values = {"pppoe_username": "u43@isp", "pppoe_password": "secret:subscriber/42"}
    bench.devices.clock.time = bench.lab.clock.now() - CLEARED_SOON
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).provision_device(
            customer_id=2, service_id=8, device_serial=other, config_template="tr181-pppoe", values=values
        )
        for serial in (other, SERIAL):
            await bench.devices.service(db).withdraw_device(device_serial=serial)
        await db.execute(update(AcsDevice).values(cleared_at=None))
    assert await bench.convergence.take_back_left() == 1
    assert await waiting(bench, cpe) == 0
