"""The technician's bad days: nobody at home, called off, not feasible, a broken ONT in the box."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from acs.testing import Quirks
from provisioning.field import VisitMoving, VisitOver
from tests.support.estate import tomorrow
from tests.support.lab import JourneyLab
from tests.support.traces import NOTHING, acs_traces, pools_in_quarantine, traces_of
from workflows import RunView

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_nobody_at_home_keeps_everything_and_a_new_appointment_succeeds(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    given = await run.result("allocate_resources")

    await run.report("no_access", note="gate locked")
    waiting = await run.until_waiting_for("appointment")

    assert waiting.summary.reason == "an appointment with the customer has to be made"
    assert "going back to appointment: nobody was at home: gate locked" in [note.text for note in waiting.notes]
    kept = await traces_of(lab, house)
    assert (len(kept.addresses), kept.subscribers, kept.visits) == (4, ("pending",), ())

    await run.appoint(house, tomorrow(lab.clock.now()))
    await run.until_waiting_for("visit")
    await run.plug_and_scan(house)
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    [in_vain] = next(step.earlier for step in ended.steps if step.name == "visit")
    assert (in_vain.state, in_vain.result["outcome"], in_vain.result["note"]) == ("undone", "no_access", "gate locked")
    assert await run.result("allocate_resources") == given
    assert lab.world.acs.cpe(house.serial).ppp.address == given["ip_address"]
    assert await lab.broken_invariants() == []


async def test_a_scan_at_a_visit_that_is_about_to_be_moved_is_refused_and_not_lost_with_it(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    first, later = await run.result("schedule_installation"), tomorrow(lab.clock.now()) + timedelta(days=2)

    appliance = lab.appliance
    with pytest.raises(VisitMoving):
        async with appliance.database.begin() as db:  # before the run has heard of its new appointment
            told = {"key": "moved", "by": "dispatch"}
            await appliance.runs.signal(db, run.id, "appointment", house.appointment(later), **told)
            await appliance.visit_desk(db).report(
                visit_id=first["visit_id"], outcome="scanned", serial=house.serial, by="technician"
            )
    await run.appoint(house, later)
    await run.until_waiting_for("visit")
    assert (await run.result("schedule_installation"))["visit_id"] != first["visit_id"]
    await run.plug_and_scan(house)
    assert (await run.until_ended()).summary.state == "completed"


async def test_a_scan_is_heard_before_an_appointment_that_was_told_after_it(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    first, appliance = await run.result("schedule_installation"), lab.appliance
    later = house.appointment(tomorrow(lab.clock.now()) + timedelta(days=2))
    await lab.plug(house.serial, house)

    async with appliance.database.begin() as db:  # before the run has heard of either
        await appliance.visit_desk(db).report(
            visit_id=first["visit_id"], outcome="scanned", serial=house.serial, port=house.port, by="technician"
        )
        with pytest.raises(VisitOver, match=f"Visit {first['visit_id']} is scanned and can't be moved"):
            async with db.begin_nested():
                await appliance.signal_desk(db).tell(run.id, "appointment", later, by="dispatch")
        await appliance.runs.signal(db, run.id, "appointment", later, key="moved", by="calendar")
    assert (await run.until_ended()).summary.state == "completed"
    assert (await run.result("schedule_installation"))["visit_id"] == first["visit_id"]
    assert await lab.broken_invariants() == []


async def test_nobody_at_home_and_the_next_appointment_may_be_told_in_one_go(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    first, appliance = await run.result("schedule_installation"), lab.appliance
    await lab.until_it_begins(first["visit_id"])
    again = tomorrow(lab.clock.now()) + timedelta(days=2)

    async with appliance.database.begin() as db:
        desk, signals = appliance.visit_desk(db), appliance.signal_desk(db)
        await desk.report(visit_id=first["visit_id"], outcome="no_access", note="gate locked", by="technician")
        assert await signals.tell(run.id, "appointment", house.appointment(again), by="dispatch")
        with pytest.raises(VisitMoving):  # the appointment, which was told after the report, takes this visit with it
            await desk.report(visit_id=first["visit_id"], outcome="scanned", serial=house.serial, by="technician")
    waiting = await run.until_waiting_for("visit")

    assert "going back to appointment: nobody was at home: gate locked" in [note.text for note in waiting.notes]
    second = await run.result("schedule_installation")
    assert second["visit_id"] != first["visit_id"]
    assert second["starts_at"] == again.isoformat().replace("+00:00", "Z")


async def test_the_report_itself_may_bring_the_next_appointment(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    first = await run.result("schedule_installation")

    again = tomorrow(lab.clock.now()) + timedelta(days=1)
    await run.report("no_access", note="asks for the day after", next_appointment=house.appointment(again))
    await run.until_waiting_for("visit")

    second = await run.result("schedule_installation")
    assert second["visit_id"] != first["visit_id"]
    assert second["starts_at"] == again.isoformat().replace("+00:00", "Z")
    await run.plug_and_scan(house)
    assert (await run.until_ended()).summary.state == "completed"


async def test_nobody_at_home_until_the_end_releases_everything(lab: JourneyLab) -> None:
    house = lab.household()
    hold_until = lab.clock.now() + timedelta(days=5)
    run = await lab.order(house, hold_until=hold_until.isoformat())
    await run.until_waiting_for("visit")
    service_id = (await run.result("allocate_resources"))["service_id"]
    await run.report("no_access")
    await run.until_waiting_for("appointment")

    lab.clock.skip_to(hold_until)
    ended = await run.until_ended()

    assert ended.summary.state == "failed"
    assert ended.summary.reason == (
        f"no successful visit before {hold_until:%Y-%m-%d %H:%M} UTC; everything is released"
    )
    assert await traces_of(lab, house) == NOTHING
    assert await pools_in_quarantine(lab, service_id) == ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")
    assert set((await run.states()).values()) <= {"undone", "planned"}
    assert await lab.broken_invariants() == []


async def test_a_visit_that_nobody_reports_from_ends_at_the_same_deadline(lab: JourneyLab) -> None:
    house = lab.household()
    hold_until = lab.clock.now() + timedelta(days=5)
    run = await lab.order(house, hold_until=hold_until.isoformat())
    await run.until_waiting_for("visit")

    lab.clock.skip_to(hold_until)
    ended = await run.until_ended()

    assert ended.summary.state == "failed"
    assert ended.summary.reason == (
        f"no successful visit before {hold_until:%Y-%m-%d %H:%M} UTC; everything is released"
    )
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_a_visit_that_is_called_off_waits_for_another_appointment(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    visits = [(await run.result("schedule_installation"))["visit_id"]]

    await run.report("cancelled", note="technician is ill")
    waiting = await run.until_waiting_for("appointment")

    assert "going back to appointment: the visit was called off: technician is ill" in [
        note.text for note in waiting.notes
    ]
    assert (await traces_of(lab, house)).visits == ()
    await run.appoint(house, tomorrow(lab.clock.now()))
    await run.until_waiting_for("visit")
    visits.append((await run.result("schedule_installation"))["visit_id"])
    await run.plug_and_scan(house)
    assert (await run.until_ended()).summary.state == "completed"

    told = lab.mails_to(house, "we come on")  # once for each appointment
    assert [f"Visit    {visit}" in mail.body("plain") for visit, mail in zip(visits, told, strict=True)] == [True, True]
    assert len({mail.message_id for mail in told}) == 2


async def test_what_is_not_feasible_is_undone_with_the_technicians_words(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")

    await run.report("not_feasible", note="the duct is blocked")
    ended = await run.until_ended()

    assert ended.summary.state == "failed"
    assert ended.summary.reason == "the technician found the installation not feasible: the duct is blocked"
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_an_ont_that_stays_dark_is_swapped_at_the_door(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port=house.port)  # its power supply is dead
    await run.until_waiting_for("device_informed")
    assert tuple(lab.world.olt.lines).count(house.serial) == 1

    spare = await run.plug_and_scan(house, house.spare_serial)
    ended = await run.until_ended()

    given = await run.result("allocate_resources")
    assert ended.summary.state == "completed"
    left = await traces_of(lab, house)
    assert (left.on_the_olt, left.bound_cpes) == ((house.spare_serial,), (house.spare_serial,))
    assert lab.world.olt.lines[house.spare_serial].cvlan == given["cvlan"]
    assert (spare.ppp.username, spare.ppp.address) == (given["username"], given["ip_address"])
    assert f"secret:device/{house.serial}/wifi" not in left.secrets
    assert await lab.broken_invariants() == []


async def test_an_ont_that_lies_is_swapped_and_nothing_of_it_stays_at_the_acs(lab: JourneyLab) -> None:
    """It says that it took its settings and has not; what is read back gives it away."""
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    broken = await lab.plug(house.serial, house)
    broken.quirks = Quirks(lies=True)
    await run.report("scanned", serial=house.serial, port=house.port)

    waiting = await run.until_retrying()
    assert waiting.summary.current_step == "verify_device"
    assert waiting.summary.reason is not None
    assert waiting.summary.reason.startswith(f"CPE {house.serial} does not have what was applied to it: Device.")
    assert acs_traces(lab, house.serial) != ()

    spare = await run.plug_and_scan(house, house.spare_serial)
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    assert acs_traces(lab, house.serial) == ()
    assert spare.ppp.address == (await run.result("allocate_resources"))["ip_address"]
    left = await traces_of(lab, house)
    assert (left.on_the_olt, left.bound_cpes) == ((house.spare_serial,), (house.spare_serial,))
    assert await lab.broken_invariants() == []


async def test_an_ont_that_refuses_is_swapped_while_the_run_is_held(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    broken = await lab.plug(house.serial, house)
    broken.quirks = Quirks(refuse={broken.roles.vlan_id: 9007})
    await run.report("scanned", serial=house.serial, port=house.port)
    held = await run.until_held()
    assert held.summary.reason_code == "acs.settings_refused"

    spare = await run.plug_and_scan(house, house.spare_serial)
    ended = await run.until_ended()

    given = await run.result("allocate_resources")
    assert ended.summary.state == "completed"
    assert broken.ppp.username != given["username"]
    assert (spare.ppp.username, spare.ppp.vlan_id) == (given["username"], 100)
    left = await traces_of(lab, house)
    assert (left.on_the_olt, left.bound_cpes) == ((house.spare_serial,), (house.spare_serial,))
    assert acs_traces(lab, house.serial) == ()
    assert await lab.broken_invariants() == []


@pytest.mark.parametrize("back_to", ["visit", "appointment"])
async def test_a_scan_has_met_the_hold_date_and_a_run_sent_back_later_waits_anew(lab: JourneyLab, back_to: str) -> None:
    house = lab.household()
    hold_until = lab.clock.now() + timedelta(days=5)
    run = await lab.order(house, hold_until=hold_until.isoformat())
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port="0/7/15")
    await run.until_held()
    lab.clock.skip_to(hold_until + timedelta(days=1))

    sent_back_at = lab.clock.now()
    await run.retry(from_step=back_to)
    waiting = await run.until_waiting_for(back_to)
    assert _days_after(sent_back_at, waiting) == 14
    assert len((await traces_of(lab, house)).addresses) == 4

    if back_to == "visit":
        await run.report("cancelled", note="no cherry picker")
    else:
        await run.appoint(house, tomorrow(lab.clock.now()))
        await run.until_waiting_for("visit")
        await run.report("no_access")
    waiting = await run.until_waiting_for("appointment")
    gives_up_at = waiting.summary.wake_at
    assert gives_up_at is not None
    assert _days_after(sent_back_at, waiting) == 14

    lab.clock.skip_to(gives_up_at)
    ended = await run.until_ended()
    assert ended.summary.state == "failed"
    assert ended.summary.reason == (
        f"no successful visit before {gives_up_at:%Y-%m-%d %H:%M} UTC; everything is released"
    )
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_a_hold_date_after_the_visits_patience_counts_behind_a_scan_too(lab: JourneyLab) -> None:
    house = lab.household()
    hold_until = lab.clock.now() + timedelta(days=60)
    run = await lab.order(house, hold_until=hold_until.isoformat())
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port="0/7/15")
    await run.until_held()

    await run.retry(from_step="visit")
    assert (await run.until_waiting_for("visit")).summary.wake_at == hold_until
    await run.cancel("the household moves")
    assert (await run.until_ended()).summary.state == "cancelled"


async def test_an_appointment_behind_the_hold_date_is_waited_for_and_its_end_is_the_date_that_is_told(
    lab: JourneyLab,
) -> None:
    house = lab.household()
    hold_until = lab.clock.now() + timedelta(days=2)
    late = tomorrow(lab.clock.now()) + timedelta(days=3)
    run = await lab.order(house, hold_until=hold_until.isoformat(), appointment=house.appointment(late))
    await run.until_waiting_for("visit")
    ends_at = datetime.fromisoformat((await run.result("schedule_installation"))["ends_at"])
    assert ends_at > hold_until

    lab.clock.skip_to(ends_at)
    ended = await run.until_ended()
    assert ended.summary.reason == f"no successful visit before {ends_at:%Y-%m-%d %H:%M} UTC; everything is released"


async def test_a_hold_date_of_another_zone_is_told_in_utc(lab: JourneyLab) -> None:
    hold_until = lab.clock.now() + timedelta(days=2)
    in_tokyo = hold_until.astimezone(timezone(timedelta(hours=9)))
    run = await lab.order(lab.household(), hold_until=in_tokyo.isoformat(), appointment=None)
    await run.until_waiting_for("appointment")

    lab.clock.skip_to(hold_until)
    ended = await run.until_ended()
    assert ended.summary.reason == f"no successful visit before {hold_until:%Y-%m-%d %H:%M} UTC; everything is released"


def _days_after(moment: datetime, waiting: RunView) -> int:
    """After how many whole days the wait gives up."""
    assert waiting.summary.wake_at is not None
    return (waiting.summary.wake_at - moment).days
