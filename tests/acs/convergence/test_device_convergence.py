"""Bindings that end, change or race with their own settings: nothing unwanted reaches a CPE or stays behind."""

from __future__ import annotations

from typing import Any

import pytest

from acs import AwaitingFirstInform, DesiredStateChanged, DeviceUnreachable, NotYet, SettingsRefused
from tests.acs.bench import SERIAL, USERNAME, VLAN, WIFI_REF, Bench


async def test_a_withdrawn_cpe_gets_nothing_that_was_queued_for_it(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    assert await bench.convergence.withdraw(SERIAL) == {
        "device_serial": SERIAL,
        "device_id": cpe.device_id,
        "cleared": True,
    }
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0
    assert await bench.nbi.tasks(cpe.device_id) == ()
    assert (await bench.row()).cleared_at is not None
    assert (await bench.convergence.withdraw(SERIAL))["cleared"]


async def test_releasing_a_cpe_unbinds_it_and_clears_the_acs_and_may_be_repeated(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    for _ in range(2):
        outcome = await bench.convergence.release(SERIAL, service_id=7)
        assert outcome["cleared"]
    assert (await bench.row()).state == "withdrawn"
    assert await bench.tags() == []
    assert WIFI_REF not in bench.secrets.plaintexts
    assert cpe.value(USERNAME) == "u42@isp"  # what the CPE holds stays on it


async def test_releasing_for_a_service_that_no_longer_has_the_cpe_leaves_it_to_the_other(bench: Bench) -> None:
    device = await bench.bind()
    await bench.power_on()
    await bench.convergence.apply(SERIAL)
    assert not (await bench.convergence.release(SERIAL, service_id=99))["cleared"]
    assert ((await bench.row()).state, await bench.plain_tags()) == ("applied", [f"cfg_{device['revision']}"])


async def test_withdrawing_takes_faults_and_tags_along_and_nothing_of_others(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.nbi.add_tag(cpe.device_id, "gold")
    cpe.quirks.refuse[VLAN] = 9007
    await bench.bind(cpe_vlan_id=200)
    with pytest.raises(SettingsRefused):
        await bench.convergence.apply(SERIAL)
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    await bench.convergence.withdraw(SERIAL)
    assert await bench.tags() == ["gold"]
    assert await bench.nbi.faults(cpe.device_id) == ()


async def test_settings_on_their_way_from_a_killed_process_are_taken_back_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    [task] = await bench.nbi.tasks(cpe.device_id)
    late = dict(bench.lab.documents["tasks"][task.id])
    delete_task = bench.nbi.delete_task

    async def delete_and_let_it_arrive(task_id: str) -> object:
        monkeypatch.setattr(bench.nbi, "delete_task", delete_task)
        outcome = await delete_task(task_id)
        bench.lab.documents["tasks"]["5f" * 12] = {**late, "_id": "5f" * 12}
        return outcome

    monkeypatch.setattr(bench.nbi, "delete_task", delete_and_let_it_arrive)
    assert (await bench.convergence.release(SERIAL))["cleared"]
    assert await bench.nbi.tasks(cpe.device_id) == ()
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0


async def test_a_tag_proves_nothing_of_a_cpe_that_was_reset_meanwhile(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.cr_ignored = True
    with pytest.raises(NotYet):
        await bench.convergence.apply(SERIAL)
    await cpe.periodic_inform()  # takes its settings and gets the tag; nobody of us looks
    assert cpe.value(USERNAME) == "u42@isp"
    cpe.quirks.cr_ignored = False
    await bench.lab.clock.sleep(60)
    await cpe.factory_reset()
    assert cpe.value(USERNAME) == ""
    with pytest.raises(NotYet, match="was reset to factory default") as caught:
        await bench.convergence.apply(SERIAL)
    assert (caught.value.reason, (await bench.row()).state) == ("reset_meanwhile", "drifted")
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(USERNAME) == "u42@isp"


async def test_a_cpe_bound_anew_is_not_cleared(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
    second = await bench.bind()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.withdraw(SERIAL)
    assert await bench.plain_tags() == [f"cfg_{second['revision']}"]
    assert cpe.value(USERNAME) == "u42@isp"
    assert not (await bench.convergence.withdraw(SERIAL))["cleared"]


async def test_a_wish_that_changes_on_the_way_is_told_and_the_newer_one_follows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    call = bench.nbi.call

    async def change_and_call(device_id: str) -> object:
        monkeypatch.setattr(bench.nbi, "call", call)
        await bench.bind(cpe_vlan_id=200)
        return await call(device_id)

    monkeypatch.setattr(bench.nbi, "call", change_and_call)
    with pytest.raises(DesiredStateChanged) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.transient
    await bench.convergence.apply(SERIAL)
    assert cpe.ppp.vlan_id == 200


async def test_a_cpe_withdrawn_while_its_settings_are_queued_does_not_get_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    queue_task = bench.nbi.queue_task

    async def queue_and_withdraw(*args: Any, **kwargs: Any) -> object:
        outcome = await queue_task(*args, **kwargs)
        async with bench.devices.database.begin() as db:
            await bench.devices.service(db).withdraw_device(device_serial=SERIAL)
        return outcome

    monkeypatch.setattr(bench.nbi, "queue_task", queue_and_withdraw)
    with pytest.raises(DesiredStateChanged):
        await bench.convergence.apply(SERIAL)
    await cpe.periodic_inform()
    assert bench.written(cpe) == 0


async def test_a_cpe_deleted_at_the_acs_is_waited_for_again(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    bench.lab.documents.delete_device(cpe.device_id)
    with pytest.raises(AwaitingFirstInform):
        await bench.convergence.verify(SERIAL)
    await cpe.periodic_inform()
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
