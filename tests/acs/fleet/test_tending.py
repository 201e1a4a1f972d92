"""What goes on by itself, turn by turn: nothing that a CPE does, or is to have, waits for a person who knows of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import literal, select, update

from acs import AcsDevice, NbiClient, Rereading
from acs.convergence.queueing import CONFIGURATION_EXPIRY_SECONDS
from acs.fleet.converging import FleetConvergence
from acs.fleet.repairing import RepairLimit, resume
from acs.fleet.sweeping import Sweep
from acs.fleet.tending import FleetTender
from acs.testing import LabAcs, LabCpe, Quirks
from tests.acs.conftest import TENANT, Devices, KeptSecrets
from tests.acs.fleet.test_converging import Killed, Mortal, bind, plug_in, serial_of

USERNAME = "Device.PPP.Interface.1.Username"
IN_HAND_PLAN = "a run is at it"
HOUR = 3600.0


class Tender:
    """A tender whose every look is waited for."""

    def __init__(self, devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> None:
        self.devices, self.lab, self.nbi = devices, lab, nbi
        common: dict[str, Any] = {"tenant_id": TENANT, "now": lab.clock.now}
        in_hand = select(AcsDevice.serial, literal("run 17")).where(AcsDevice.plan == IN_HAND_PLAN)
        begin = devices.database.begin
        self.sweep = Sweep(begin, nbi, **common, limit=RepairLimit(2, timedelta(hours=24)), in_hand=in_hand)
        self.fleet = FleetConvergence(begin, nbi, **common, secrets=secrets, sleep=lab.clock.sleep)
        self.tender = FleetTender(
            begin,
            self.sweep,
            self.fleet,
            **common,
            in_hand=in_hand,
            rereading=Rereading(within=timedelta(hours=24), every=timedelta(hours=1)),
        )

    async def look(self) -> None:
        await self.tender.look()
        await self.tender.settled()

    async def reread(self) -> list[str]:
        serials = await self.tender.reread()
        await self.tender.settled()
        return list(serials)

    async def row(self, number: int) -> AcsDevice:
        async with self.devices.database.begin() as db:
            return (await db.scalars(select(AcsDevice).where(AcsDevice.serial == serial_of(number)))).one()

    async def write(self, number: int, **facts: Any) -> None:
        async with self.devices.database.begin() as db:
            await db.execute(update(AcsDevice).where(AcsDevice.serial == serial_of(number)).values(**facts))


@pytest.fixture
async def tender(devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> AsyncIterator[Tender]:
    whole = Tender(devices, nbi, lab, secrets)
    yield whole
    await whole.tender.stop()


def sent(cpe: LabCpe) -> int:
    """How often it was sent values."""
    return [name for name, _ in cpe.rpcs_seen].count("SetParameterValues")


async def test_what_a_customer_changed_without_a_boot_is_noticed_and_repaired_within_a_day(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 3)
    cpes = await plug_in(lab, 3)
    await tender.look()
    cpes[2].customer_sets(USERNAME, "mine")
    await lab.clock.sleep(11 * HOUR)
    assert await tender.reread() == []
    read: list[str] = []
    for _ in range(12):
        await lab.clock.sleep(HOUR)
        read += await tender.reread()
    assert sorted(read) == [serial_of(number) for number in range(3)], "each once, none twice"
    row = await tender.row(2)
    assert (row.state, [each["reported"] for each in row.details]) == ("drifted", ["mine"])
    assert [(await tender.row(number)).state for number in (0, 1)] == ["accepted_unverifiable"] * 2
    await tender.tender.sweep()
    await tender.tender.settled()
    assert (cpes[2].ppp.username, (await tender.row(2)).state) == ("u2@isp", "accepted_unverifiable")
    assert (await tender.row(2)).repairs == 1


async def test_one_that_is_away_holds_up_no_turn_and_is_read_at_its_next_inform(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 3)
    cpes = await plug_in(lab, 3)
    await tender.look()
    await cpes[0].darken()
    await cpes[1].darken()
    cpes[0].customer_sets(USERNAME, "mine")
    read: list[str] = []
    for _ in range(23):
        await lab.clock.sleep(HOUR)
        read += await tender.reread()
    assert sorted(read) == [serial_of(number) for number in range(3)]
    waiting = [await tender.row(number) for number in (0, 1)]
    assert [(row.state, row.unreached_why) for row in waiting] == [("accepted_unverifiable", "offline")] * 2
    back_at = lab.clock.now()
    await cpes[0].light()
    await cpes[1].light()
    await tender.look()
    repaired, found_right = await tender.row(0), await tender.row(1)
    assert (cpes[0].ppp.username, repaired.repairs) == ("u0@isp", 1)
    assert (found_right.reading_after, found_right.unreached_why) == (None, None)
    assert found_right.verified_at is not None
    assert found_right.verified_at > back_at


async def test_a_fleet_that_was_verified_in_one_hour_is_not_read_in_one_hour_again() -> None:
    rereading = Rereading(within=timedelta(hours=24), every=timedelta(minutes=5))
    assert [rereading.share_of(cpes) for cpes in (0, 1, 144, 50_000)] == [0, 1, 1, 348]
    assert 348 * 144 >= 50_000, "and still all of them in the second half of the day"


async def test_a_turn_whose_process_is_killed_before_the_reading_is_taken_by_the_next(
    tender: Tender, devices: Devices, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets
) -> None:
    await bind(devices, 1)
    await plug_in(lab, 1)
    await tender.look()
    await lab.clock.sleep(13 * HOUR)
    assert list(await tender.tender.reread()) == [serial_of(0)]
    await tender.tender.stop()
    next_one = Tender(devices, nbi, lab, secrets)
    assert await next_one.reread() == [], "somebody may be at it still"
    await lab.clock.sleep(0.26 * HOUR)
    assert await next_one.reread() == [serial_of(0)]
    await lab.clock.sleep(0.26 * HOUR)
    assert await next_one.reread() == []
    row = await next_one.row(0)
    assert row.reread_at is not None and row.verified_at is not None
    assert row.reread_at >= row.verified_at > row.bound_at + timedelta(hours=13)


async def test_silent_ones_ambiguous_ones_handed_over_ones_and_those_a_run_is_at_are_not_read(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 5)
    await plug_in(lab, 5)
    await tender.look()
    await lab.clock.sleep(20 * HOUR)
    await tender.write(3, unreached_why="ambiguous", unreached_since=lab.clock.now())
    await tender.write(0, unreached_why="silent", unreached_since=lab.clock.now())
    await tender.write(1, handed_over_at=lab.clock.now())
    await tender.write(2, plan=IN_HAND_PLAN)
    assert await tender.reread() == [serial_of(4)]


async def test_a_failure_that_may_pass_is_tried_again_at_its_time_and_then_over(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1, lambda _number: Quirks(fault_all=9002))
    await tender.look()
    row = await tender.row(0)
    assert (row.state, row.failures) == ("faulted", 1)
    assert row.try_again_at is not None
    assert row.reason.startswith("an internal error of the CPE (cwmp.9002")
    assert row.reason.endswith(f"It is given its settings again at {row.try_again_at:%Y-%m-%d %H:%M} UTC.")
    attempts = sent(cpe)
    await tender.look()
    assert sent(cpe) == attempts, "not before its time"
    cpe.quirks.fault_all = None
    await lab.clock.sleep(61)
    await tender.look()
    row = await tender.row(0)
    assert (row.state, row.failures, row.try_again_at) == ("accepted_unverifiable", 0, None)
    assert cpe.ppp.username == "u0@isp"


async def test_a_failure_that_does_not_pass_needs_a_person_after_five_attempts(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1, lambda _number: Quirks(fault_all=9002))
    await tender.look()
    for minutes in (1, 4, 16, 64):
        assert (await tender.row(0)).try_again_at is not None
        await lab.clock.sleep(minutes * 60 + 1)
        await tender.look()
    row = await tender.row(0)
    assert (row.state, row.failures, row.try_again_at) == ("faulted", 5, None)
    assert row.reason.endswith("It went so 5 times in a row; a person has to look.")
    await lab.clock.sleep(2 * HOUR)
    await tender.look()
    assert (await tender.row(0)).queued_at == row.queued_at, "it is not tried again by itself"
    cpe.quirks.fault_all = None
    async with devices.database.begin() as db:
        resume(await db.get_one(AcsDevice, row.id), now=lab.clock.now())
    await tender.look()
    assert cpe.ppp.username == "u0@isp"


async def test_settings_whose_campaign_may_not_send_wait_here_and_not_at_the_acs(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    """Queued for a CPE that was away, taken back when the window has closed, sent in the next."""
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tender.look()
    await cpe.darken()
    async with devices.database.begin() as db:
        await devices.service(db).secret_changed(ref="secret:subscriber/0")
    devices.secrets.plaintexts["secret:subscriber/0"] = "another"
    await tender.write(0, send_until=lab.clock.now() + timedelta(hours=1))
    await tender.look()
    [task] = lab.documents["tasks"].values()
    assert (task["expiry"] - task["timestamp"]).total_seconds() <= 3600 < CONFIGURATION_EXPIRY_SECONDS
    assert (await tender.row(0)).state == "unreachable"
    await tender.write(0, send_until=lab.clock.now())
    await tender.look()
    row = await tender.row(0)
    assert (dict(lab.documents["tasks"]), row.state, row.task_id) == ({}, "queued", None)
    assert row.reason == (
        f"The settings of CPE {serial_of(0)} wait: its campaign sends them in its window alone, or was stopped."
    )
    await cpe.light()
    await cpe.periodic_inform()
    await tender.look()
    assert (await tender.fleet.converge_many()).done == 0, "nor with everything that has not converged"
    assert cpe.ppp.password == "pass-0"
    await tender.write(0, send_until=lab.clock.now() + timedelta(hours=1))
    await tender.look()
    row = await tender.row(0)
    assert (cpe.ppp.password, row.state, row.send_until) == ("another", "accepted_unverifiable", None)


async def test_a_cpe_without_any_settings_gets_them_whatever_its_campaign_waits_for(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    """It serves nobody as it is."""
    await bind(devices, 2)
    cpes = await plug_in(lab, 1)
    await tender.write(0, send_until=lab.clock.now())
    await tender.look()
    assert cpes[0].ppp.username == "u0@isp"
    async with devices.database.begin() as db:
        await devices.service(db).secret_changed(ref="secret:subscriber/0")
    await tender.write(0, send_until=lab.clock.now())
    await lab.clock.sleep(60)
    await cpes[0].factory_reset()
    await tender.look()
    assert (cpes[0].ppp.username, (await tender.row(0)).state) == ("u0@isp", "accepted_unverifiable")


async def test_a_cpe_that_resets_itself_when_it_is_configured_is_handed_to_a_person(
    tender: Tender, devices: Devices, lab: LabAcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is a repair, also when the reset comes before anybody has looked at what it took."""
    monkeypatch.setattr("acs.convergence.applying.was_reset_since_written", lambda *_: True)
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1)
    await tender.look()
    row = await tender.row(0)
    assert (row.state, row.repairs) == ("drifted", 0)
    assert row.reason == f"CPE {serial_of(0)} was reset to factory default after it had taken its settings."
    for _ in range(4):
        await lab.clock.sleep(60)
        await cpe.periodic_inform()
        await tender.look()
    row = await tender.row(0)
    assert (row.state, row.repairs, row.handed_over_at is not None) == ("faulted", 2, True)
    assert sent(cpe) == 3


async def test_one_that_was_not_called_or_did_not_come_is_called_again(
    tender: Tender, devices: Devices, lab: LabAcs
) -> None:
    await bind(devices, 1)
    [cpe] = await plug_in(lab, 1, lambda _number: Quirks(cr_ignored=True))
    await tender.look()
    row = await tender.row(0)
    assert (row.state, row.unreached_why) == ("queued", "no_session")
    cpe.quirks.cr_ignored = False
    for minutes, state in ((14, "queued"), (1, "accepted_unverifiable")):
        cpe.line_up = False  # so that it does not come by itself
        await lab.clock.sleep(minutes * 60)
        cpe.line_up = True
        await tender.look()
        assert (await tender.row(0)).state == state
    assert cpe.ppp.username == "u0@isp"


@pytest.mark.durability_sweep
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_killed_at_any_moment_of_a_look_and_started_again_nothing_is_lost_or_counted_twice(
    devices: Devices,
    nbi: NbiClient,
    lab: LabAcs,
    secrets: KeptSecrets,
    after_effect: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reset, a customer's change that somebody has read, and a boot that forgets, each on a page of its own."""
    monkeypatch.setattr("acs.fleet.sweeping.PAGE", 1)
    process = Mortal(devices.database, monkeypatch, after_effect=after_effect)
    await bind(devices, 3)
    cpes = await plug_in(lab, 3, lambda number: Quirks(forgets=number == 1))
    common: dict[str, Any] = {"tenant_id": TENANT, "now": lab.clock.now}

    async def process_of_its_own() -> None:
        """Begins with a whole sweep, as every process does, and looks once more."""
        sweep = Sweep(process.begin, nbi, **common, limit=RepairLimit(100, timedelta(days=9)))
        fleet = FleetConvergence(process.begin, nbi, **common, secrets=secrets, sleep=lab.clock.sleep)
        tender = FleetTender(process.begin, sweep, fleet, **common)
        for look in (sweep.everything, sweep.recent):
            await fleet.converge_many([*(await look()).due, *await tender._due_by_rows()])

    await process_of_its_own()
    deaths = 0
    for repaired, moment in enumerate((1, 2, 3, 4, 5, 7, 10, 14, 19, 25), start=1):
        await lab.clock.sleep(60)
        await cpes[0].factory_reset()
        await cpes[1].power_on()
        cpes[2].customer_sets(USERNAME, "mine")
        await nbi.queue_task(cpes[2].device_id, {"name": "getParameterValues", "parameterNames": [USERNAME]})
        await cpes[2].periodic_inform()
        process.live_until(moment)
        try:
            await process_of_its_own()
        except Killed:
            deaths += 1
            process.live_until(0)
            await lab.clock.sleep(901)
            await process_of_its_own()
        assert [cpe.ppp.username for cpe in cpes] == ["u0@isp", "u1@isp", "u2@isp"], moment
        async with devices.database.begin() as db:
            rows = list(await db.scalars(select(AcsDevice).order_by(AcsDevice.id)))
        assert [(row.state, row.repairs) for row in rows] == [("accepted_unverifiable", repaired)] * 3, moment
    assert deaths > 3
