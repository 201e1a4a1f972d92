"""An operator cancels: wherever the run waits, it ends as cancelled and nothing of it is left on any side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from acs.testing import Quirks
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.traces import NOTHING, pools_in_quarantine, traces_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

WayThere = Callable[[JourneyLab, Household], Awaitable[Installation]]


async def waiting_for_an_appointment(lab: JourneyLab, house: Household) -> Installation:
    run = await lab.order(house, appointment=None)
    await run.until_waiting_for("appointment")
    return run


async def waiting_for_the_visit(lab: JourneyLab, house: Household) -> Installation:
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    return run


async def waiting_for_the_first_inform(lab: JourneyLab, house: Household) -> Installation:
    run = await waiting_for_the_visit(lab, house)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_waiting_for("device_informed")
    return run


async def waiting_for_a_cpe_behind_nat(lab: JourneyLab, house: Household) -> Installation:
    run = await waiting_for_the_visit(lab, house)
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(reachable=False)
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_retrying()
    return run


async def waiting_for_the_login(lab: JourneyLab, house: Household) -> Installation:
    run = await waiting_for_the_visit(lab, house)
    async with lab.no_dialling():
        await run.plug_and_scan(house)
        await run.until_waiting_for("session_started")
    return run


async def held_at_another_port(lab: JourneyLab, house: Household) -> Installation:
    run = await waiting_for_the_visit(lab, house)
    await lab.plug(house.serial, house)
    lab.world.olt.plug(house.serial, "0/7/15")
    await run.report("scanned", serial=house.serial)
    await run.until_held()
    return run


async def held_by_a_refusal_of_the_cpe(lab: JourneyLab, house: Household) -> Installation:
    run = await waiting_for_the_visit(lab, house)
    cpe = await lab.plug(house.serial, house)
    cpe.quirks = Quirks(refuse={cpe.roles.vlan_id: 9007})
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_held()
    return run


@pytest.mark.parametrize(
    "way_there",
    [
        waiting_for_an_appointment,
        waiting_for_the_visit,
        waiting_for_the_first_inform,
        waiting_for_a_cpe_behind_nat,
        waiting_for_the_login,
        held_at_another_port,
        held_by_a_refusal_of_the_cpe,
    ],
    ids=lambda way: way.__name__,
)
async def test_a_cancelled_run_leaves_nothing(lab: JourneyLab, way_there: WayThere) -> None:
    house = lab.household()
    run = await way_there(lab, house)
    service_id = (await run.result("allocate_resources"))["service_id"]
    username = (await run.result("create_subscriber"))["username"]

    await run.cancel("the customer has withdrawn")
    ended = await run.until_ended()

    assert (ended.summary.state, ended.summary.reason) == (
        "cancelled",
        "cancelled by operator: the customer has withdrawn",
    )
    assert set((await run.states()).values()) <= {"undone", "planned"}
    assert await traces_of(lab, house) == NOTHING
    assert await pools_in_quarantine(lab, service_id) == ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")
    assert (await lab.nas.login(username, "whatever-it-was")).code == "Access-Reject"
    assert lab.activation_mails(house) == []
    assert await lab.broken_invariants() == []


async def test_after_a_cancel_the_household_can_order_again(lab: JourneyLab) -> None:
    house = lab.household()
    first = await waiting_for_the_first_inform(lab, house)
    was_given = (await first.result("allocate_resources"))["ip_address"]
    await first.cancel("another day")
    await first.until_ended()

    second = await lab.order(house, ticket_id=f"T-{house.number}-second")
    await second.until_waiting_for("visit")
    cpe = await second.plug_and_scan(house)
    ended = await second.until_ended()

    assert ended.summary.state == "completed"
    assert (await second.result("allocate_resources"))["ip_address"] == was_given  # who comes back gets the same
    assert cpe.ppp.address == was_given
    assert await lab.broken_invariants() == []
