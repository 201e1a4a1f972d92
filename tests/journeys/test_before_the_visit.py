"""Bad days before anybody drives out: no addresses left, the username taken, the radius database gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from provisioning.field import Visits
from provisioning.subscriber_looks import ExternalId
from provisioning.under_way import ServiceUnderWay
from tests.support.estate import AT_THE_TIGHT_OLT, MORE_ADDRESSES, Household
from tests.support.lab import JourneyLab
from tests.support.outages import radius_database_down
from tests.support.traces import NOTHING, pools_in_quarantine, traces_of
from workflows import list_events
from workflows.engine.tables import RunRow, StepRow

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_premise_named_by_an_alias_is_the_premise(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house, service_location=f"drop-{house.number}")
    await run.until_waiting_for("visit")
    assert (await run.result("get_site_survey"))["service_location"] == house.location
    assert (await run.result("allocate_resources"))["port"] == house.port
    visit_id = (await run.result("schedule_installation"))["visit_id"]
    async with lab.appliance.database.begin() as db:
        visit = await Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.appliance.clock).visit(visit_id)
    assert visit["location"] == house.location
    await run.cancel("the test is over")
    assert (await run.until_ended()).summary.state == "cancelled"


async def test_a_run_is_cancelled_and_leaves_nothing_though_somebody_wanted_its_subscriber_suspended(
    lab: JourneyLab,
) -> None:
    house = lab.household()
    own_id = f"ERP-{house.number}"
    run = await lab.order(house, subscriber_external_id=own_id)
    await run.until_waiting_for("visit")
    with pytest.raises(ServiceUnderWay, match=rf"\(run {run.id}\)"):
        async with lab.appliance.database.begin() as db:
            await lab.appliance.subscriber_desk(db).suspend(ExternalId(own_id))
    await run.cancel("never paid")
    assert (await run.until_ended()).summary.state == "cancelled"
    assert await traces_of(lab, house) == NOTHING


async def test_a_run_that_began_before_appointments_were_mailed_goes_on_as_it_began(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    mails = ("mail_appointment", "deliver_appointment")
    async with lab.appliance.database.begin() as db:  # an earlier release left it like this
        await db.execute(update(RunRow).where(RunRow.id == run.id).values(version=1))
        await db.execute(delete(StepRow).where(StepRow.run_id == run.id, StepRow.step.in_(mails)))

    await run.plug_and_scan(house)
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    assert set(mails) & {step.name for step in ended.steps} == set()
    assert len(lab.activation_mails(house)) == 1
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D3")
async def test_a_full_pool_is_named_with_its_numbers_and_more_addresses_help(lab: JourneyLab, tmp_path: Path) -> None:
    first, second, third = (Household(number) for number in AT_THE_TIGHT_OLT[:3])
    takes_the_last = await lab.order(first)
    await takes_the_last.until_waiting_for("visit")
    too_late = await lab.order(second)

    held = await too_late.until_held()
    assert held.summary.current_step == "allocate_resources"
    assert held.summary.reason == (
        "Pool tight-v4 is full: 1 of 1 assigned, 0 in quarantine. None is on its way back."
        " Bind another pool there, or release what is not used."
    )
    assert await traces_of(lab, second) == NOTHING  # neither a VLAN nor a prefix of a half allocation
    async with lab.appliance.database.read() as db:
        [told] = await list_events(db, tenant_id=lab.appliance.tenant_id, event_type="pool.exhausted")
    assert (told.data["pool"], told.data["free"]) == ("tight-v4", 0)
    assert await lab.broken_invariants() == []

    await lab.import_estate(tmp_path / "more.toml", MORE_ADDRESSES)
    await too_late.retry()
    await too_late.until_waiting_for("visit")
    assert (await too_late.result("allocate_resources"))["ip_address"].startswith("192.0.2.")
    assert (await traces_of(lab, second)).addresses == (
        "aggregation-north/101",
        "north-pd",
        "north-wan6",
        "tight-v4-more",
    )

    # The first one cancels: its address cools off in quarantine, and nobody is given it before.
    await takes_the_last.cancel("moves away")
    await takes_the_last.until_ended()
    next_one = await lab.order(third)
    await next_one.until_waiting_for("visit")
    assert (await traces_of(lab, third)).addresses[-1] == "tight-v4-more"
    for run in (too_late, next_one):
        await run.cancel("the test is over")
        assert (await run.until_ended()).summary.state == "cancelled"
    assert await lab.broken_invariants() == []


@pytest.mark.scenario("D7")
async def test_a_username_that_somebody_has_is_held_and_rolls_back_to_nothing(lab: JourneyLab) -> None:
    before, owner, house = lab.household(), lab.household(), lab.household()
    last = await lab.order(before)
    await last.until_waiting_for("visit")
    next_service = (await last.result("allocate_resources"))["service_id"] + 1
    taken = f"c{house.customer_id}-s{next_service}@isp.example"
    async with lab.appliance.database.begin() as db:
        radius = lab.appliance.services(db).radius_service
        theirs = await radius.create_subscriber(
            customer_id=owner.customer_id, username=taken, bandwidth_profile="fiber-300"
        )
    run = await lab.order(house)

    held = await run.until_held()
    assert held.summary.current_step == "create_subscriber"
    assert held.summary.reason == (
        f"Username {taken} cannot be given to customer {house.customer_id}: it belongs to a subscriber of customer"
        f" {owner.customer_id} (pending). Choose another one."
    )
    given = (await traces_of(lab, house)).addresses
    assert len(given) == 4

    await run.roll_back("the name was registered by hand")
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == (
        "failed",
        "rolled back by operator: the name was registered by hand",
    )
    assert await traces_of(lab, house) == NOTHING
    assert await pools_in_quarantine(lab, next_service) == given
    assert (await traces_of(lab, owner)).subscribers == ("pending",)

    again = await lab.order(house, ticket_id=f"T-{house.number}-again")
    await again.until_waiting_for("visit")
    await lab.appliance.projector.withdraw_subscriber(theirs["subscriber_id"])
    for each in (last, again):
        await each.cancel("the test is over")
        assert (await each.until_ended()).summary.state == "cancelled"
    assert await lab.broken_invariants() == []


async def test_the_radius_database_is_waited_for_then_held_and_later_all_is_well(lab: JourneyLab) -> None:
    house = lab.household()
    async with radius_database_down(lab):
        run = await lab.order(house)
        waiting = await run.until_retrying()
        assert waiting.summary.current_step == "project_subscriber"
        assert waiting.summary.reason is not None
        assert waiting.summary.reason.startswith("The radius database does not answer (")

        held = await run.until_held()
        assert held.summary.reason_code == "radius.database_unavailable"
        assert "Logins go on as FreeRADIUS can; try again." in str(held.summary.reason)
        attempts = {step.name: step.attempts for step in held.steps}
        assert attempts["project_subscriber"] == 6

    await run.retry()
    await run.until_waiting_for("visit")
    assert (await lab.login(run)).first("Reply-Message") == "This line is not in service yet."
    await run.plug_and_scan(house)
    ended = await run.until_ended()
    assert ended.summary.state == "completed"
    assert lab.world.acs.cpe(house.serial).ppp.status == "Connected"
    assert await lab.broken_invariants() == []
