"""Bad days of the CPE and of the ACS before it: refusals, silence, NAT, an interface that is down or talks rubbish."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

import pytest

from acs.testing import Quirks
from radius.testing import LabSession, Usage
from tests.support.lab import PATIENCE_SECONDS, JourneyLab
from tests.support.outages import freeradius_down, nbi_answers_rubbish, nbi_down
from tests.support.traces import NOTHING, acs_traces, traces_of
from workflows.definitions.installation.cpe import READ_BACK

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.scenario("D5")
async def test_a_refused_parameter_is_shown_with_its_fault(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(refuse={cpe.roles.vlan_id: 9007})
    await run.report("scanned", serial=house.serial, port=house.port)

    held = await run.until_held()
    assert held.summary.current_step == "apply_device"
    assert held.summary.reason == (
        f"CPE {house.serial} refused its settings: {cpe.roles.vlan_id}: the CPE does not accept this value (9007)."
    )
    assert cpe.ppp.username != (await run.result("allocate_resources"))["username"]  # all of it or nothing
    assert (await traces_of(lab, house)).bills == 0
    assert await lab.broken_invariants() == []

    cpe.quirks = Quirks()  # new firmware
    await run.retry()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert (cpe.ppp.vlan_id, cpe.ppp.status) == (100, "Connected")
    assert not [trace for trace in acs_traces(lab, house.serial) if trace.startswith(("task", "fault"))]
    assert await lab.broken_invariants() == []


async def test_a_cpe_that_never_comes_is_held_with_what_to_look_at(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port=house.port)  # and its plug is not in the wall
    waiting = await run.until_waiting_for("device_informed")
    assert waiting.summary.reason == "waiting for the CPE's first Inform"

    lab.clock.skip(hours=2)
    held = await run.until_held()
    assert held.summary.reason == (
        f"CPE {house.serial} has not informed within 2 hours: check its power, the fibre, the management VLAN and the"
        " ACS address it was given"
    )
    assert await lab.broken_invariants() == []

    cpe = await lab.plug(house.serial, house)
    await run.retry()
    await run.until_waiting_for("device_informed")
    await cpe.light()
    assert (await run.until_ended()).summary.state == "completed"
    assert cpe.ppp.status == "Connected"


async def test_a_cpe_that_never_comes_is_rolled_back_to_nothing(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_waiting_for("device_informed")
    lab.clock.skip(hours=2)
    await run.until_held()

    await run.roll_back("the fibre is broken in the street")
    ended = await run.until_ended()

    assert ended.summary.state == "failed"
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_a_cpe_behind_nat_gets_its_settings_at_its_own_next_inform(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)

    waiting = await run.until_retrying()
    assert (waiting.summary.current_step, waiting.summary.reason_code) == ("apply_device", "acs.device_unreachable")
    assert waiting.summary.reason is not None
    assert waiting.summary.reason.startswith(f"CPE {house.serial} cannot be called, ")
    assert waiting.summary.reason.endswith("; it gets its settings at its next Inform.")
    assert [trace for trace in acs_traces(lab, house.serial) if trace.startswith("task")] == ["task provisions"]

    await cpe.periodic_inform()  # it takes what is queued
    assert cpe.ppp.username == (await run.result("allocate_resources"))["username"]
    waiting = await run.until_retrying(step="verify_device")
    assert str(waiting.summary.reason).endswith("; it is read back at its next Inform.")
    await cpe.periodic_inform()
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D5")
async def test_a_cpe_that_only_says_it_took_its_settings_is_found_out(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(lies=True)
    await run.report("scanned", serial=house.serial, port=house.port)

    held = await run.until_held()
    assert held.summary.current_step == "verify_device"
    assert str(held.summary.reason).startswith(f"CPE {house.serial} does not have what was applied to it: Device.PPP.")
    assert (await traces_of(lab, house)).bills == 0

    await run.cancel("no such CPE again")
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == ("cancelled", "cancelled by operator: no such CPE again")
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_an_nbi_that_is_down_is_waited_for(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    async with nbi_down(lab):
        cpe = await run.plug_and_scan(house)
        await run.until_waiting_for("device_informed")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while cpe.pending_events or not cpe.bootstrapped:  # the OLT lets it in and it informs
                await lab.happening()
        assert (await run.view()).summary.waiting_for == "device_informed"  # nobody can ask about it
        assert cpe.ppp.username == ""
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


async def test_an_nbi_that_is_down_past_the_deadline_is_named_and_the_cpe_is_not(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    async with nbi_down(lab):
        await run.plug_and_scan(house)
        waiting = await run.until_waiting_for("device_informed", code="acs.nbi_unreachable")
        assert waiting.summary.reason is not None
        says, blind = waiting.summary.reason.split(", but ")
        assert says == "waiting for the CPE's first Inform"
        assert re.fullmatch(
            rf"the ACS can't be asked since \d{{4}}-\d\d-\d\d \d\d:\d\d UTC: The ACS at {lab.world.acs.url} cannot be"
            " reached",
            blind,
        )

        lab.clock.skip(hours=2)
        held = await run.until_held()
        assert held.summary.reason == (
            f"nobody knows whether CPE {house.serial} has informed within 2 hours: {blind}. Retry once that is mended;"
            " an Inform of meanwhile counts"
        )
        assert (await traces_of(lab, house)).bills == 0
        assert await lab.broken_invariants() == []

    await run.retry()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert await lab.broken_invariants() == []


async def test_an_nbi_that_goes_down_before_the_settings_is_tried_again(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_retrying()
    async with nbi_down(lab):
        waiting = await run.until_retrying(code="acs.nbi_unreachable")
        assert waiting.summary.current_step == "apply_device"
        assert waiting.summary.reason == f"The ACS at {lab.world.acs.url} cannot be reached."

    cpe.quirks = Quirks()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


async def test_an_nbi_that_answers_rubbish_is_never_believed(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_retrying()
    async with nbi_answers_rubbish(lab):
        waiting = await run.until_retrying(code="acs.nbi_garbled")
        assert waiting.summary.reason is not None
        assert waiting.summary.reason.startswith("The ACS ")
        assert (await traces_of(lab, house)).bills == 0

    cpe.quirks = Quirks()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


async def test_an_nbi_that_answers_rubbish_again_and_again_holds_the_run(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_retrying()
    await cpe.periodic_inform()
    await run.until_retrying(step="verify_device")
    async with nbi_answers_rubbish(lab):
        held = await run.until_held()
    [reading] = [step for step in held.steps if step.name == "verify_device"]
    assert (reading.state, reading.attempts) == ("held", READ_BACK.attempts)
    assert (held.summary.current_step, held.summary.reason_code) == ("verify_device", "acs.nbi_garbled")
    assert held.summary.reason is not None
    assert held.summary.reason.startswith("The ACS ")
    assert (await traces_of(lab, house)).bills == 0
    assert await lab.broken_invariants() == []

    cpe.quirks = Quirks()
    await run.retry()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


async def test_a_run_that_is_cancelled_while_the_nbi_is_down_is_undone_when_it_is_back(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_retrying()
    async with nbi_down(lab):
        await run.cancel("moves away")
        waiting = await run.until_retrying(code="acs.nbi_unreachable")
        assert waiting.summary.current_step == "apply_device"  # its task can't be taken back yet, so it is not undone
        assert acs_traces(lab, house.serial) == ("task provisions",)

    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == ("cancelled", "cancelled by operator: moves away")
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D5")
async def test_a_subscriber_who_never_logs_in_is_held_and_billed_nothing(lab: JourneyLab) -> None:
    house = lab.household()
    async with freeradius_down(lab), lab.no_dialling():
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        waiting = await run.until_waiting_for("session_started")
        assert waiting.summary.reason == "the CPE is configured: waiting for the subscriber's own login"

        lab.clock.skip(hours=1)
        held = await run.until_held()
        username = (await run.result("allocate_resources"))["username"]
        until = datetime.fromisoformat((await run.result("begin_testing"))["testing_until"])
        assert held.summary.reason == (
            f"{username} has not logged in within 1 hour of the CPE's configuration: look at the NAS' log and the last"
            f" RADIUS replies of this user. The testing window ends {until:%Y-%m-%d %H:%M} UTC; retry from"
            " begin_testing renews it"
        )
        left = await traces_of(lab, house)
        assert (left.bills, left.subscribers) == (0, ("testing",))
        assert lab.activation_mails(house) == []

    lab.world.dial(cpe)
    await run.retry()
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert lab.world.last_accepted(house.serial) is not None
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D6")
async def test_a_login_with_another_address_is_not_taken_for_the_service(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.no_dialling() as nas:
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
        given = await run.result("allocate_resources")
        elsewhere = LabSession(given["username"], framed_ip_address="10.99.0.7")
        await nas.accounting_start(elsewhere)

        held = await run.until_held()
        assert held.summary.reason == (
            f"{given['username']} is online with 10.99.0.7, but {given['ip_address']} was allocated"
        )
        assert (await traces_of(lab, house)).bills == 0

    await lab.nas.accounting_stop(elsewhere, Usage(seconds=60))
    await run.roll_back("the BNG ignores what RADIUS says")
    assert (await run.until_ended()).summary.state == "failed"
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []
