"""What waits at the ACS for a CPE is what our row says that it is to have, or nothing, whatever fails in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from acs import (
    AcsDevice,
    DeviceUnreachable,
    NbiError,
    NbiPoisoned,
    NbiTimedOut,
    NotYet,
    Rejected,
    SerialAmbiguous,
    SettingsRefused,
    SettingsUnsendable,
    Unknown,
    WrongDataModel,
    WrongModel,
)
from acs.convergence.desired_states import SENT_SOON
from acs.convergence.standing import CONFIGURATION_KEY, STILL_THERE
from acs.fleet.repairing import RepairLimit, begin_repair
from acs.fleet.sweeping import Sweep
from acs.nbi.transport import NbiTransport
from acs.testing import LabCpe
from acs.wishes import IN_FLIGHT
from tests.acs.bench import PASSPHRASE, SERIAL, USERNAME, WIFI_REF, Bench
from tests.acs.conftest import TENANT
from tests.acs.convergence.test_interruptions import Killed, Saboteur

Spoil = Callable[[Bench, LabCpe, pytest.MonkeyPatch], Awaitable[None]]


async def left_waiting(bench: Bench) -> LabCpe:
    """A CPE that could not be called, so that its settings wait for it at the ACS."""
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await set_facts(bench, queued_at=bench.lab.clock.now() - IN_FLIGHT)
    assert await waiting(bench, cpe) == 1
    return cpe


async def waiting(bench: Bench, cpe: LabCpe) -> int:
    return len(await bench.nbi.tasks(cpe.device_id, unique_key=CONFIGURATION_KEY))


async def is_untouched_by_its_next_inform(bench: Bench, cpe: LabCpe) -> bool:
    assert await cpe.periodic_inform()
    return bench.written(cpe) == 0 and cpe.value(USERNAME) == ""


async def set_facts(bench: Bench, **facts: Any) -> None:
    async with bench.devices.database.begin() as db:
        row = await db.get(AcsDevice, (await bench.row()).id)
        assert row is not None
        for name, value in facts.items():
            setattr(row, name, value)


async def wrong_data_model(bench: Bench, _cpe: LabCpe, _: pytest.MonkeyPatch) -> None:
    await bench.bind(template="tr098-pppoe")


async def wrong_model(bench: Bench, _cpe: LabCpe, _: pytest.MonkeyPatch) -> None:
    await bench.bind(cpe_vlan_id=200)
    row = await bench.row()
    await set_facts(bench, delivery={**row.delivery, "manufacturers": ["Somebody else"]})


async def unsendable_secret(bench: Bench, _cpe: LabCpe, _: pytest.MonkeyPatch) -> None:
    bench.secrets.plaintexts[WIFI_REF] = "line\x00noise"
    async with bench.devices.database.begin() as db:
        await bench.devices.service(db).secret_changed(ref=WIFI_REF)


async def rejected(bench: Bench, _cpe: LabCpe, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object, **__: object) -> Rejected:
        return Rejected(400, "no such thing")

    await bench.bind(cpe_vlan_id=200)
    monkeypatch.setattr(bench.nbi, "queue_task", refuse)


async def poisoned(bench: Bench, _cpe: LabCpe, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object, **__: object) -> None:
        raise NbiPoisoned("POST /devices/x/tasks", silence_seconds=21)

    await bench.bind(cpe_vlan_id=200)
    monkeypatch.setattr(bench.nbi, "queue_task", crash)


ENDINGS: dict[str, tuple[Spoil, type[Exception]]] = {
    "the other data model": (wrong_data_model, WrongDataModel),
    "another model": (wrong_model, WrongModel),
    "a secret that cannot be sent": (unsendable_secret, SettingsRefused),
    "settings that the ACS rejects": (rejected, SettingsUnsendable),
    "settings that the ACS dies of": (poisoned, SettingsUnsendable),
}


async def on_its_way(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> tuple[LabCpe, Callable[[], Awaitable[object]]]:
    """A CPE that cannot be called, whose settings were sent and have not come to the ACS; and what lets them come."""
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    queue, sent = bench.nbi.queue_task, []

    async def silent(*task: Any, **options: Any) -> Unknown:
        sent.append((task, options))
        return Unknown("no answer came in time")

    with monkeypatch.context() as patched:
        patched.setattr(bench.nbi, "queue_task", silent)
        with pytest.raises(NbiTimedOut):
            await bench.convergence.apply(SERIAL)
    [(task, options)] = sent
    return cpe, lambda: queue(*task, **options)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_apply_that_ends_early_leaves_no_former_settings_waiting(
    bench: Bench, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await left_waiting(bench)
    spoil, error = ENDINGS[ending]
    await spoil(bench, cpe, monkeypatch)
    with pytest.raises(error) as caught:
        await bench.convergence.apply(SERIAL)
    row = await bench.row()
    assert (row.state, row.reason, row.task_id, row.left_standing) == ("faulted", str(caught.value), None, False)
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)


@pytest.mark.parametrize("ending", [each for each in ENDINGS if each != "settings that the ACS dies of"])
async def test_while_the_former_settings_cannot_be_taken_back_nothing_else_is_said(
    bench: Bench, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await left_waiting(bench)
    spoil, error = ENDINGS[ending]
    await spoil(bench, cpe, monkeypatch)
    ask = NbiTransport.write

    async def no_deletions(transport: NbiTransport, method: str, *rest: Any, **options: Any) -> Any:
        if method == "DELETE" and rest[0].startswith("/faults"):
            raise Killed
        return await ask(transport, method, *rest, **options)

    with monkeypatch.context() as patched:
        patched.setattr(NbiTransport, "write", no_deletions)
        with pytest.raises(Killed):
            await bench.convergence.apply(SERIAL)
    row = await bench.row()
    assert (row.state, row.left_standing) == ("queued", True)
    with pytest.raises(error):
        await bench.convergence.apply(SERIAL)
    assert ((await bench.row()).state, await waiting(bench, cpe)) == ("faulted", 0)


async def test_an_acs_that_is_down_makes_it_not_yet_and_not_a_failure(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    await bench.bind(template="tr098-pppoe")
    await bench.lab.go_down()
    with pytest.raises(NbiError) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.transient
    assert ((await bench.row()).state, (await bench.row()).left_standing) == ("queued", True)
    await bench.lab.come_back()
    await bench.lab.clock.sleep(2)
    with pytest.raises(WrongDataModel):
        await bench.convergence.apply(SERIAL)
    assert await waiting(bench, cpe) == 0


async def test_settings_that_kill_the_acs_are_not_sent_again_though_it_is_down_when_the_former_are_to_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await left_waiting(bench)
    await bench.bind(cpe_vlan_id=200)

    async def crash(*_: object, **__: object) -> None:
        await bench.lab.go_down()
        raise NbiPoisoned("POST /devices/x/tasks", silence_seconds=21)

    with monkeypatch.context() as patched:
        patched.setattr(bench.nbi, "queue_task", crash)
        with pytest.raises(SettingsUnsendable, match="may still be at the ACS"):
            await bench.convergence.apply(SERIAL)
    row = await bench.row()
    assert (row.state, row.left_standing) == ("faulted", True)
    assert row.reason.endswith(STILL_THERE)
    await set_facts(bench, queued_at=bench.lab.clock.now() - IN_FLIGHT)
    await bench.lab.come_back()
    await bench.lab.clock.sleep(2)
    assert await bench.convergence.take_back_left() == 1
    row = await bench.row()
    assert (row.state, row.left_standing, STILL_THERE in row.reason) == ("faulted", False, False)
    assert await waiting(bench, cpe) == 0
    assert await bench.convergence.take_back_left() == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)


async def test_a_changed_wish_that_nobody_applies_leaves_the_former_waiting_for_a_minute_only(bench: Bench) -> None:
    """A secret that is missing, a run that hangs, a process that was killed: the apply that would replace it is not
    made."""
    cpe = await left_waiting(bench)
    bench.devices.clock.time = bench.lab.clock.now()
    await bench.bind(cpe_vlan_id=200)
    row = await bench.row()
    assert (row.state, row.task_id, row.left_standing) == ("queued", None, True)
    assert await bench.convergence.take_back_left() == 0, "the next look sends the new wish"
    assert await waiting(bench, cpe) == 1
    await set_facts(bench, updated_at=bench.lab.clock.now() - SENT_SOON)
    assert await bench.convergence.take_back_left() == 1
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.ppp.vlan_id == 200


async def test_what_arrives_at_the_acs_after_it_was_looked_for_is_taken_back_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the queueing did not come, and the ACS was slow to do it."""
    cpe, arrive = await on_its_way(bench, monkeypatch)
    await bench.bind(template="tr098-pppoe")
    with pytest.raises(WrongDataModel):
        await bench.convergence.apply(SERIAL)
    assert (await bench.row()).left_standing
    await arrive()
    assert await bench.convergence.take_back_left() == 0, "there may be more to come"
    assert await waiting(bench, cpe) == 0
    await set_facts(bench, queued_at=bench.lab.clock.now() - IN_FLIGHT)
    assert await bench.convergence.take_back_left() == 1
    assert not (await bench.row()).left_standing


async def test_a_wish_that_is_changed_while_its_settings_wait_is_taken_back_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    cpe.quirks.reachable = False
    call = bench.nbi.call

    async def changed_meanwhile(device_id: str) -> object:
        await bench.bind(cpe_vlan_id=200)
        return await call(device_id)

    monkeypatch.setattr(bench.nbi, "call", changed_meanwhile)
    with pytest.raises(Exception, match="changed") as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.transient  # type: ignore[attr-defined]
    assert await waiting(bench, cpe) == 0
    assert await is_untouched_by_its_next_inform(bench, cpe)


async def test_a_cpe_whose_wish_went_there_and_back_is_not_called_verified_before_it_was_applied(bench: Bench) -> None:
    """What was queued in between would reach it afterwards."""
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    await bench.convergence.verify(SERIAL)
    cpe.quirks.reachable = False
    await bench.bind(cpe_vlan_id=200)
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await bench.bind()
    with pytest.raises(NotYet, match="has not taken its settings yet"):
        await bench.convergence.verify(SERIAL)
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert (cpe.ppp.vlan_id, await waiting(bench, cpe)) == (100, 0)


async def test_a_wish_that_went_there_and_back_and_is_held_back_leaves_nothing_waiting(bench: Bench) -> None:
    await bench.bind()
    cpe = await bench.power_on()
    await bench.convergence.apply(SERIAL)
    cpe.quirks.reachable = False
    await bench.bind(cpe_vlan_id=200)
    with pytest.raises(DeviceUnreachable):
        await bench.convergence.apply(SERIAL)
    await bench.bind()
    now = bench.lab.clock.now()
    await set_facts(bench, send_until=now, queued_at=now - IN_FLIGHT)
    with pytest.raises(NotYet) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.reason == "held_back"
    assert (await waiting(bench, cpe), (await bench.row()).left_standing) == (0, False)
    await cpe.periodic_inform()
    assert cpe.ppp.vlan_id == 100


async def test_a_second_cpe_with_the_serial_number_takes_back_what_waits_for_the_first(bench: Bench) -> None:
    first = await left_waiting(bench)
    await bench.bind(cpe_vlan_id=200)
    await bench.power_on(serial="4857544312345678", oui="ACDE48")
    with pytest.raises(SerialAmbiguous):
        await bench.convergence.apply(SERIAL)
    assert await waiting(bench, first) == 0
    assert await is_untouched_by_its_next_inform(bench, first)


async def test_what_waits_for_one_of_two_that_a_sweep_finds_is_taken_back_and_sent_when_it_is_alone(
    bench: Bench,
) -> None:
    cpe = await left_waiting(bench)
    twin = await bench.power_on(serial="4857544312345678", oui="ACDE48")
    sweep = Sweep(bench.devices.database.begin, bench.nbi, tenant_id=TENANT, now=bench.lab.clock.now)
    await sweep.everything()
    row = await bench.row()
    assert (row.unreached_why, row.left_standing) == ("ambiguous", True)
    assert await bench.convergence.take_back_left() == 1
    assert (await waiting(bench, cpe), (await bench.row()).task_id) == (0, None)
    assert await is_untouched_by_its_next_inform(bench, cpe)
    await twin.power_off()
    await bench.nbi.delete_device(twin.device_id)
    await sweep.everything()
    cpe.quirks.reachable = True
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"


async def test_a_repair_that_is_handed_over_to_a_person_leaves_nothing_waiting(bench: Bench) -> None:
    cpe = await left_waiting(bench)
    async with bench.devices.database.begin() as db:
        device = await db.get(AcsDevice, (await bench.row()).id)
        assert device is not None
        now = bench.lab.clock.now()
        assert not begin_repair(device, why="It forgets.", details=[], limit=RepairLimit(repairs=0), now=now)
    assert await bench.convergence.take_back_left() == 1
    assert ((await bench.row()).state, await waiting(bench, cpe)) == ("faulted", 0)


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_killed_at_any_request_the_former_settings_do_not_wait_for_ever(
    bench: Bench, after_effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpe = await left_waiting(bench)
    saboteur = Saboteur(monkeypatch)
    for moment in range(1, 20):
        await bench.bind(template="tr098-pppoe")
        saboteur.strike(moment, after_effect=after_effect)
        survived = True
        try:
            await bench.convergence.apply(SERIAL)
        except Killed:
            survived = False
        except WrongDataModel:
            pass
        saboteur.rest()
        await set_facts(bench, updated_at=bench.lab.clock.now() - SENT_SOON)
        await bench.convergence.take_back_left()
        assert await waiting(bench, cpe) == 0
        assert await is_untouched_by_its_next_inform(bench, cpe)
        if survived:
            assert moment > 3
            return
        await bench.bind()
        with pytest.raises(NotYet):
            await bench.convergence.apply(SERIAL)
        assert await waiting(bench, cpe) == 1
    pytest.fail("the sweep did not reach the end")


async def test_what_is_taken_back_by_mistake_is_sent_once_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who takes former settings back may meet the new ones before their row says so."""
    await bench.bind()
    cpe = await bench.power_on()
    call = bench.nbi.call

    async def quicker(device_id: str) -> object:
        monkeypatch.setattr(bench.nbi, "call", call)
        await bench.convergence._standing.take_back([device_id])
        return await call(device_id)

    monkeypatch.setattr(bench.nbi, "call", quicker)
    with pytest.raises(NotYet) as caught:
        await bench.convergence.apply(SERIAL)
    assert caught.value.reason == "not_applied"
    assert (await bench.convergence.apply(SERIAL))["state"] == "applied"
    assert cpe.value(PASSPHRASE) == bench.secrets.plaintexts[WIFI_REF]
