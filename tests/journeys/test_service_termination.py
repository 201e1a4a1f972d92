"""The way out on real parts: a live subscriber leaves, and nothing of the service is left on any side.

The good way on both databases, and its bad days: a NAS that says nothing, a CPE that is off, an OLT driven by hand.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from acs.testing import LabCpe, Quirks
from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.tables import Subscription
from radius.testing import LabSession, Mood, Usage
from tests.support.estate import Household
from tests.support.lab import NOC, Installation, JourneyLab
from tests.support.traces import NOTHING, apart_from_slowing, pools_in_quarantine, traces_of
from workflows import RunNotOpenFor

pytestmark = pytest.mark.asyncio(loop_scope="session")

OTHER_CPE = "02-00-00-00-00-77"
EVERY_POOL = ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")
REASON = "moves to another town"


async def live(lab: JourneyLab, house: Household) -> tuple[Installation, LabCpe]:
    """A household with a service that works, and its CPE."""
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await run.plug_and_scan(house)
    cpe.quirks = Quirks(reboot_seconds=0.0)
    await run.until_ended()
    return run, cpe


async def ends(lab: JourneyLab, installed: Installation, *, in_days: int | None = None) -> Installation:
    """The desk takes the wish that the service ends: at once, or so many days ahead."""
    username = (await installed.result("create_subscriber"))["username"]
    async with lab.appliance.database.begin() as db:
        desk = lab.appliance.termination_desk(db)
        when = {"at_once": True} if in_days is None else {"ends_on": desk.today() + timedelta(days=in_days)}
        started = await desk.accept({"username": username, "reason": REASON, **when}, by="desk")
    return Installation(lab, started.run_id)


async def bill_of(lab: JourneyLab, house: Household) -> Subscription:
    async with lab.appliance.database.read() as db:
        return (await db.scalars(select(Subscription).where(Subscription.customer_id == house.customer_id))).one()


async def test_a_service_ends_on_its_day_and_nothing_is_left_of_it(lab: JourneyLab) -> None:
    house = lab.household()
    installed, cpe = await live(lab, house)
    given = await installed.result("allocate_resources")
    username = given["username"]
    async with lab.appliance.database.begin() as db:
        password = await lab.appliance.vault.reveal(db, (await installed.result("create_subscriber"))["password"])
    asked_before = len(lab.nas.disconnects.requests)

    # Until its day is over nothing happens, and it costs nothing.
    run = await ends(lab, installed, in_days=3)
    waiting = await run.until_waiting_for(None)
    assert waiting.summary.current_step == "until_its_day"
    due = waiting.summary.wake_at
    assert due is not None
    assert (await lab.nas.login(username, password)).accepted
    assert (await bill_of(lab, house)).state == "active"
    assert await lab.broken_invariants() == []

    lab.clock.skip_to(due + timedelta(hours=2))  # the worker comes late to it
    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == ("completed", None)
    bill = await bill_of(lab, house)
    assert (bill.state, bill.billing_stopped_at, bill.stop_reason) == ("cancelled", due, REASON)
    # The NAS was told to end the session, and accounts for it; nobody gets in again.
    [request] = lab.nas.disconnects.requests[asked_before:]
    assert (request.attributes["User-Name"], request.genuine) == (username, True)
    [answer] = (await run.result("disconnect_sessions"))["sessions"]
    assert answer["said"] == "disconnected"
    last = await lab.appliance.sessions.last_session(username)
    assert last is not None
    assert (last.stopped_at is not None, last.terminate_cause) == (True, "Admin-Reset")
    assert (await lab.nas.login(username, password)).code == "Access-Reject"
    # The CPE itself has lost its login, the OLT its line.
    assert (cpe.ppp.username, cpe.ppp.password, cpe.line_up) == ("", "", False)
    [reset] = await run.result("see_resets")
    assert reset["state"] == "reset"
    skipped = [step for step in ended.steps if step.state == "skipped"]
    assert [step.name for step in skipped] == ["line_removed", "ticket_for_cpe"]
    assert all(step.started_at == step.finished_at for step in skipped)  # nobody has waited for it
    # Addresses rest, and nothing is held, owed, queued or kept.
    assert await traces_of(lab, house) == NOTHING
    assert await pools_in_quarantine(lab, given["service_id"]) == EVERY_POOL
    [mail] = lab.mails_to(house, "your service has ended")
    assert house.serial in mail.body("plain") and "fiber-300" in mail.body("plain")
    assert await lab.broken_invariants() == []


async def test_an_end_that_is_taken_back_has_changed_nothing(lab: JourneyLab) -> None:
    house = lab.household()
    installed, cpe = await live(lab, house)
    before = apart_from_slowing(await traces_of(lab, house))
    run = await ends(lab, installed, in_days=30)
    await run.until_waiting_for(None)
    username = (await installed.result("create_subscriber"))["username"]

    async with lab.appliance.database.begin() as db:
        kept = await lab.appliance.termination_desk(db).withdraw(username, reason="stays after all", by=NOC)
    ended = await run.until_ended()

    assert (kept, ended.summary.state, ended.summary.reason) == (
        run.id,
        "cancelled",
        "cancelled by operator: stays after all",
    )
    assert apart_from_slowing(await traces_of(lab, house)) == before
    assert (cpe.ppp.status, (await bill_of(lab, house)).state) == ("Connected", "active")
    assert (await lab.login(installed)).accepted
    assert await lab.broken_invariants() == []

    again = await ends(lab, installed)  # a month later they go after all
    assert (await again.until_ended()).summary.state == "completed"
    assert await traces_of(lab, house) == NOTHING


async def test_a_cpe_that_is_off_is_waited_for_a_day_and_then_somebody_is_told(lab: JourneyLab) -> None:
    house = lab.household()
    installed, cpe = await live(lab, house)
    await cpe.power_off()
    run = await ends(lab, installed)

    waiting = await run.until_retrying("see_resets", "acs.device_unreachable")
    assert str(waiting.summary.reason).endswith("it is reset at its next Inform.")
    async with lab.appliance.database.begin() as db:
        with pytest.raises(RunNotOpenFor, match="end_service was begun, and from there on it can only be completed"):
            await lab.appliance.runs.cancel(db, run.id, by=NOC, reason="changed their mind")
    assert waiting.past_return
    assert await lab.broken_invariants() == []

    lab.clock.skip(hours=24)
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    [outcome] = await run.result("see_resets")
    assert outcome["state"] == "not_reached"
    assert cpe.ppp.username == (await installed.result("create_subscriber"))["username"]  # nobody says otherwise
    async with lab.appliance.database.read() as db:
        ticket = await db.get(Ticket, (await run.result("ticket_for_cpe"))["ticket_id"])
    assert ticket is not None
    assert (ticket.customer_id, ticket.assigned_team) == (house.customer_id, "noc")
    assert ticket.description == (
        "Its service has ended, and its settings may still be on it.\n"
        f"CPE {house.serial} could not be reached and was not reset; nothing waits for it at the ACS now."
    )
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_a_silent_nas_holds_up_nobody_but_the_addresses(lab: JourneyLab) -> None:
    house = lab.household()
    installed, _ = await live(lab, house)
    given = await installed.result("allocate_resources")
    lab.nas.disconnects.mood = Mood(silent=True)
    try:
        async with lab.no_dialling():  # and it has not noticed that the line went dark
            run = await ends(lab, installed)
            waiting = await run.until_retrying("see_sessions_ended", "radius.sessions_still_open")
            assert f"{given['username']} is still online: session " in str(waiting.summary.reason)
            assert "did not answer 3 Disconnect-Requests" in str(waiting.summary.reason)
            left = await traces_of(lab, house)
            assert (left.radius_rows, left.bound_cpes, left.on_the_olt, left.bills) == ((), (), (), 0)
            assert left.addresses == EVERY_POOL  # nobody else is given what somebody is still online with
            [answer] = (await run.result("disconnect_sessions"))["sessions"]
            assert answer["said"] == "unanswered"
    finally:
        lab.nas.disconnects.mood = Mood()
    assert await lab.broken_invariants() == []

    ended = await run.until_ended()  # it answers by now

    assert ended.summary.state == "completed"
    assert await traces_of(lab, house) == NOTHING
    assert await lab.appliance.sessions.open_sessions(given["username"]) == []
    assert await lab.broken_invariants() == []


@pytest.mark.parametrize("mood", [Mood(forgetful=True), Mood(refuses=501)], ids=["knows_nothing", "refuses"])
async def test_a_session_that_its_nas_does_not_end_is_over_when_it_is_known_to_be(lab: JourneyLab, mood: Mood) -> None:
    house = lab.household()
    installed, _ = await live(lab, house)
    username = (await installed.result("create_subscriber"))["username"]
    lab.nas.disconnects.mood = mood
    try:
        run = await ends(lab, installed)
        ended = await run.until_ended()  # the line's end ends what the NAS has refused to
    finally:
        lab.nas.disconnects.mood = Mood()
    assert ended.summary.state == "completed"
    [answer] = (await run.result("disconnect_sessions"))["sessions"]
    last = await lab.appliance.sessions.last_session(username)
    assert last is not None and last.stopped_at is not None
    if mood.forgetful:
        assert (answer["said"], answer["error_cause"]) == ("unknown_to_nas", 503)
    else:
        assert (answer["said"], last.terminate_cause) == ("refused", "Lost-Carrier")
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def next_of_the_name(lab: JourneyLab, house: Household, username: str) -> tuple[int, LabSession]:
    """The same customer takes the name again for something new, and is online by it at once, from another line."""
    async with lab.appliance.database.begin() as db:
        radius = lab.appliance.services(db).radius_service
        made = await radius.create_subscriber(
            customer_id=house.customer_id, username=username, bandwidth_profile="fiber-300"
        )
        await radius.activate(subscriber_id=made["subscriber_id"])
    await lab.appliance.projector.project_subscriber(made["subscriber_id"])
    async with lab.appliance.database.begin() as db:
        reply = await lab.nas.login(username, await lab.appliance.vault.reveal(db, made["password"]))
    session = replace(LabSession.after(username, reply), session_id=f"next-{username}", calling_station=OTHER_CPE)
    await lab.nas.accounting_start(session)
    return made["subscriber_id"], session


@pytest.mark.both_databases
async def test_a_service_ends_though_somebody_else_is_online_by_its_name_by_now(lab: JourneyLab) -> None:
    house = lab.household()
    installed, _ = await live(lab, house)
    username = (await installed.result("create_subscriber"))["username"]
    lab.nas.disconnects.mood = Mood(silent=True)
    try:
        async with lab.no_dialling():
            run = await ends(lab, installed)
            await run.until_retrying("see_sessions_ended", "radius.sessions_still_open")
        number, theirs = await next_of_the_name(lab, house, username)
    finally:
        lab.nas.disconnects.mood = Mood()
    asked_before = len(lab.nas.disconnects.requests)
    ended = await run.until_ended()  # its NAS ends the session of the former one

    assert ended.summary.state == "completed"
    [answer] = (await run.result("see_sessions_ended"))["asked"]
    assert (answer["said"], answer["session_id"] == theirs.session_id) == ("disconnected", False)
    asked = [each.attributes["Acct-Session-Id"] for each in lab.nas.disconnects.requests[asked_before:]]
    assert asked == [answer["session_id"]]
    assert theirs.session_id in lab.nas.sessions
    assert await pools_in_quarantine(lab, (await installed.result("allocate_resources"))["service_id"]) == EVERY_POOL

    await lab.nas.accounting_stop(theirs, Usage(seconds=60))
    async with lab.appliance.database.begin() as db:
        await lab.appliance.services(db).radius_service.terminate(subscriber_id=number)
    await lab.appliance.projector.project_subscriber(number)
    assert await lab.broken_invariants() == []


async def test_a_line_that_is_taken_off_by_hand_is_waited_for(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.restarted_with(line_adapter="manual", olt_vendor="huawei"):
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        cpe.quirks = Quirks(reboot_seconds=0.0)
        await run.until_waiting_for("line_answer")
        order = (await run.result("authorise_line"))["line_order_id"]
        async with lab.appliance.database.begin() as db:
            await lab.appliance.line_desk(db).answer(line_order_id=order, actual_port=house.port, by=NOC)
        await cpe.light()
        await run.until_ended()

        leaving = await ends(lab, run)
        waiting = await leaving.until_waiting_for("line_removed")
        assert (waiting.summary.waiting_on, waiting.summary.reason) == (
            str(order),
            "the line has to be taken off the OLT by hand: waiting for the word that it is",
        )
        assert house.serial in (await leaving.result("take_line_off"))["snippet"]
        left = await traces_of(lab, house)
        assert (left.line_orders, left.addresses, left.radius_rows) == (("authorised",), EVERY_POOL, ())
        assert await lab.broken_invariants() == []

        async with lab.appliance.database.begin() as db:
            assert await lab.appliance.line_desk(db).removed(line_order_id=order, by=NOC) == [leaving.id]
        ended = await leaving.until_ended()

        assert ended.summary.state == "completed"
        assert await traces_of(lab, house) == NOTHING
        assert await lab.broken_invariants() == []
