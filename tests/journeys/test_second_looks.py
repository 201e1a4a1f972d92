"""What looks right and isn't: a ghost's session, settings that did not last, an appointment that cannot be kept."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from acs.testing import Change
from radius.testing import LabSession
from tests.support.estate import tomorrow
from tests.support.lab import JourneyLab
from tests.support.traces import traces_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_session_of_an_ont_that_was_swapped_is_no_proof_of_the_new_one(lab: JourneyLab) -> None:
    """The first ONT was online and lost its fibre without a word: its session stays open in accounting."""
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    given, username = await run.result("allocate_resources"), (await run.result("create_subscriber"))["username"]
    ghost = LabSession(username, framed_ip_address=given["ip_address"])
    await lab.nas.accounting_start(ghost)

    async with lab.no_dialling():
        await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
        await lab.worker.watchers.watch_sessions()
        waiting = await run.until_waiting_for("session_started")
        assert (await run.result("see_open_sessions"))["sessions"] == [f"127.0.0.1/{ghost.session_id}"]
        assert f"told session_started about {username}" in [note.text for note in waiting.notes]
        assert (await traces_of(lab, house)).bills == 0

    lab.world.dial(lab.world.acs.cpe(house.serial))
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert (await run.result("session_started"))["session_id"] != ghost.session_id
    assert await lab.broken_invariants() == []


async def test_a_cpe_that_loses_its_settings_before_they_were_read_back_gets_them_again(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    resets: list[asyncio.Task[bool]] = []

    def somebody_holds_the_pin(change: Change) -> None:
        if change.origin == "acs" and cpe.roles.ppp_username in change.paths and not resets:
            resets.append(asyncio.get_running_loop().create_task(cpe.factory_reset()))

    cpe.on_change(somebody_holds_the_pin)
    await run.report("scanned", serial=house.serial, port=house.port)
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    assert len(resets) == 1
    given = await run.result("allocate_resources")
    assert (cpe.ppp.username, cpe.ppp.address) == (given["username"], given["ip_address"])
    assert await lab.broken_invariants() == []


async def test_a_technician_who_is_busy_holds_the_run_until_another_appointment_is_made(lab: JourneyLab) -> None:
    first, second = lab.household(), lab.household()
    at = tomorrow(lab.clock.now()) + timedelta(days=40)
    earlier = await lab.order(first, appointment=first.appointment(at))
    await earlier.until_waiting_for("visit")

    run = await lab.order(second, appointment=first.appointment(at))
    held = await run.until_held()
    assert held.summary.reason_code == "field.technician_busy"

    await run.appoint(second, at + timedelta(days=1))
    await run.until_waiting_for("visit")
    booked = await run.result("schedule_installation")
    assert booked["starts_at"] == (at + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    await run.plug_and_scan(second)
    assert (await run.until_ended()).summary.state == "completed"
    await earlier.cancel("the other one was first")
    await earlier.until_ended()
    assert await lab.broken_invariants() == []


async def test_an_appointment_is_moved_by_telling_a_new_one(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    before = await run.result("schedule_installation")

    later = tomorrow(lab.clock.now()) + timedelta(days=3)
    await run.appoint(house, later)
    async with asyncio.timeout(20):
        while (await run.result("schedule_installation") or before)["visit_id"] == before["visit_id"]:
            await lab.happening()
    await run.until_waiting_for("visit")

    after = await run.result("schedule_installation")
    assert after["starts_at"] == later.isoformat().replace("+00:00", "Z")
    assert len((await traces_of(lab, house)).visits) == 1
    await run.plug_and_scan(house)
    assert (await run.until_ended()).summary.state == "completed"
