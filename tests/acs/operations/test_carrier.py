"""Whose turn it is: CPEs that are off hold up nobody, who is carried is not taken, and what was done is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from acs import AcsDevice, AcsOperation, CustomerWishes, DeviceConvergence, OperationCarrier, OperationRecord
from acs.convergence.verifying import VerifyOutcome
from acs.operations.ledger import LEASE, OperationLedger
from tests.acs.bench import PASSPHRASE, SERIAL, SSID, USERNAME
from tests.acs.conftest import TENANT
from tests.acs.operations.conftest import Ops, sent

pytestmark = pytest.mark.parametrize("acs_database", ["sqlite"], indirect=True)

OFF = 40
"""More CPEs than one turn looks at."""


async def change_wifi(ops: Ops, serial: str = SERIAL) -> OperationRecord:
    async with ops.wishes() as wishes:
        return await wishes.change_wifi(device_serial=serial, ssid="Attic", by="nora")


async def change_wifi_of_many_that_are_off(ops: Ops) -> None:
    async with ops.bench.devices.database.begin() as db:
        service = ops.bench.devices.service(db)
        wishes = CustomerWishes(
            db,
            tenant_id=TENANT,
            now=ops.bench.lab.clock.now,
            templates=ops.bench.devices.templates,
            secrets=ops.bench.secrets,
            devices=service,
        )
        for number in range(OFF):
            serial = f"HWTC{number:08X}"
            await service.provision_device(
                customer_id=100 + number,
                service_id=100 + number,
                device_serial=serial,
                config_template="tr181-pppoe",
                values={"pppoe_username": "u@isp", "pppoe_password": "secret:subscriber/42", "wifi_ssid": "Home"},
            )
            await wishes.change_wifi(device_serial=serial, ssid="Attic", by="nora")


async def test_a_reboot_is_sent_at_once_however_many_cpes_are_off_that_wait_for_their_wifi(ops: Ops) -> None:
    cpe = await ops.configured()
    await change_wifi_of_many_that_are_off(ops)
    asked = await ops.ask("reboot")
    await ops.carrier.drive()
    assert (await ops.row(asked)).stage == "queued"
    await ops.later(1)
    assert sent(cpe, "Reboot") == 1


async def test_new_ones_and_those_that_have_informed_do_not_wait_behind_those_that_are_off(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    informed = (await change_wifi(ops))["operation_id"]
    await ops.carrier.carry(informed)
    await change_wifi_of_many_that_are_off(ops)
    database = ops.bench.devices.database
    async with database.begin() as db:
        ids = list(await db.scalars(select(AcsOperation.id).order_by(AcsOperation.id)))
        off, new = ids[1:-2], ids[-2:]
        await db.execute(update(AcsOperation).where(AcsOperation.id.in_(off)).values(looks=9))
    await ops.later(121)
    ledger = OperationLedger(database.begin, tenant_id=TENANT, now=ops.bench.lab.clock.now, told=None)
    assert await ledger.due_for_settings(limit=5) == [new[0], off[0], new[1], off[1], off[2]]
    async with database.begin() as db:  # as a look at the fleet writes it down
        heard = ops.bench.lab.clock.now()
        await db.execute(update(AcsDevice).where(AcsDevice.serial == SERIAL).values(last_inform_at=heard))
    assert await ledger.due_for_settings(limit=5) == [new[0], informed, off[0], new[1], off[1]]
    assert await ledger.due(limit=5) == []


async def test_a_look_at_a_cpe_that_cannot_be_called_takes_seconds(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await change_wifi(ops)
    began = ops.bench.lab.clock.now()
    await ops.carrier.drive()
    assert ops.bench.lab.clock.now() - began < timedelta(seconds=5)
    waiting = await ops.carrier.carry(asked["operation_id"])
    assert (waiting["state"], "cannot be called" in waiting["reason"]) == ("queued", True)
    await cpe.periodic_inform()
    assert ((await ops.done(asked))["state"], cpe.value(SSID)) == ("done", "Attic")


async def test_a_wait_is_over_when_its_time_is_also_where_every_look_takes_seconds(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await change_wifi(ops)
    began = ops.bench.lab.clock.now()
    waiting = await ops.done(asked, seconds=20.0)
    assert (waiting["state"], ops.bench.lab.clock.now() - began < timedelta(seconds=28)) == ("queued", True)


async def test_what_is_carried_for_longer_than_a_lease_is_taken_by_nobody_else(
    ops: Ops, convergence: DeviceConvergence, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ops.configured()
    asked = await change_wifi(ops)
    pulse, calls = asyncio.Event(), 0

    async def wait_for_pulse(seconds: float) -> None:
        await pulse.wait()
        pulse.clear()

    def carrier() -> OperationCarrier:
        return OperationCarrier(
            ops.bench.devices.database.begin,
            lambda acs_name: convergence,
            tenant_id=TENANT,
            now=ops.bench.lab.clock.now,
            sleep=ops.bench.lab.clock.sleep,
            pulse=wait_for_pulse,
        )

    verify = DeviceConvergence.verify

    async def takes_minutes(self: DeviceConvergence, serial: str) -> VerifyOutcome:
        nonlocal calls
        calls += 1
        for _ in range(3):
            await ops.later(0.8 * LEASE.total_seconds())
            pulse.set()
            until = (await ops.row(asked)).leased_until
            while until is None or until < ops.bench.lab.clock.now() + 0.9 * LEASE:
                until = (await ops.row(asked)).leased_until
            await carrier().carry(asked["operation_id"])
        return await verify(self, serial)

    monkeypatch.setattr(DeviceConvergence, "verify", takes_minutes)
    over = await carrier().carry(asked["operation_id"])
    assert (over["state"], calls) == ("done", 1)


async def test_a_reset_cpe_that_does_not_take_its_settings_again_is_told_as_reset(ops: Ops) -> None:
    cpe = await ops.configured()
    asked = await ops.ask("factory_reset")
    await ops.carrier.carry(asked["operation_id"])
    cpe.quirks.reachable = False  # as it comes back it gets its settings only when it reports by itself
    while (await ops.row(asked)).step == 0:
        await ops.carrier.carry(asked["operation_id"])
        await ops.later(5)
    await cpe.power_off()
    await ops.later(6 * 3600)
    over = await ops.carrier.carry(asked["operation_id"])
    assert (over["state"], over["reason"]) == (
        "partial",
        "The CPE was reset to factory default, and it was not seen to have its settings again. Its time is over. What"
        " the CPE is to have stays written down, and is applied when it reports.",
    )
    assert over["result"] is not None and over["result"]["reset_at"].startswith("2026-03-02T")
    assert cpe.value(USERNAME) != "u42@isp"


async def test_values_that_were_taken_and_not_read_back_are_told_as_taken(ops: Ops) -> None:
    cpe = await ops.configured()
    channel = "Device.WiFi.Radio.1.Channel"
    asked = await ops.ask("set", values={channel: 11})
    while (await ops.row(asked)).step == 0:
        await ops.carrier.carry(asked["operation_id"])
    await cpe.power_off()
    await ops.later(25 * 3600)
    over = await ops.done(asked)
    assert (over["state"], cpe.value(channel)) == ("partial", 11)
    assert over["reason"].startswith("The CPE has taken the values, and they were not read back. ")


async def test_a_swap_whose_new_cpe_never_comes_says_that_the_old_one_is_cleared(ops: Ops) -> None:
    cpe = await ops.configured()
    await cpe.power_off()
    async with ops.wishes() as wishes:
        asked = await wishes.swap(device_serial=SERIAL, new_serial="HWTC0000BEEF", by="nora")
    await ops.done(asked, seconds=5.0)
    await ops.later(31 * 86400)
    over = await ops.carrier.carry(asked["operation_id"])
    assert over["state"] == "partial"
    assert over["reason"].startswith(
        f"Nothing of CPE {SERIAL} is left at the ACS, and CPE HWTC0000BEEF was not seen to have its settings. Its time"
    )
    assert PASSPHRASE not in over["reason"]


async def test_settings_that_fail_are_tried_again_when_the_cpe_s_row_says_so_and_no_sooner(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.fault_all = 9002
    asked = await change_wifi(ops)
    waiting = await ops.done(asked, seconds=50)
    row = await ops.device()
    assert (waiting["state"], row.state, row.failures) == ("queued", "faulted", 1)
    assert (await ops.row(asked)).due_at >= (row.try_again_at or row.updated_at + timedelta(days=1))
    cpe.quirks.fault_all = None
    await ops.later(61)
    assert ((await ops.done(asked))["state"], cpe.value(SSID)) == ("done", "Attic")


async def test_settings_that_fail_as_often_as_may_be_end_it_once(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.fault_all = 9002
    asked = await change_wifi(ops)
    for minutes in (0, 1, 4, 16, 64):
        await ops.later(minutes * 60 + 1)
        over = await ops.done(asked, seconds=30)
    assert (over["state"], (await ops.device()).failures) == ("faulted", 5)
    assert over["reason"].endswith("A person has to look.")


async def test_a_cpe_that_resets_itself_at_its_settings_is_given_them_three_times(
    ops: Ops, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ops.configured()
    monkeypatch.setattr("acs.convergence.applying.was_reset_since_written", lambda *_: True)
    over = await ops.done(await change_wifi(ops), seconds=600)
    assert over["state"] == "faulted"
    assert over["reason"].endswith(
        "was reset to factory default after it had taken its settings. It was tried 3 times."
    )


async def test_one_that_is_handed_over_to_a_person_meanwhile_is_given_nothing_more(ops: Ops) -> None:
    cpe = await ops.configured()
    cpe.quirks.reachable = False
    asked = await change_wifi(ops)
    await ops.carrier.carry(asked["operation_id"])
    async with ops.bench.devices.database.begin() as db:
        at = ops.bench.lab.clock.now()
        await db.execute(update(AcsDevice).values(state="faulted", handed_over_at=at, reason="Repair loop."))
    await ops.later(60)
    over = await ops.carrier.carry(asked["operation_id"])
    assert (over["state"], over["reason"]) == ("faulted", "Repair loop.")
