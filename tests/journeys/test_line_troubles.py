"""The OLT's bad days: another port than planned, a refusal, an answer that never comes, and an OLT driven by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.errors import InvalidRequest
from provisioning.line import LineService
from tests.support.lab import Installation, JourneyLab
from tests.support.traces import NOTHING, traces_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

PORT_VLAN = """
[[network.svlan]]
group = "aggregation-north"
vid = {vid}
cvlans = ["2-4093"]
bindings = [{{ access_node = "{access_node}", port = "{port}" }}]
"""


async def test_another_port_than_planned_is_held_until_the_fibre_is_moved(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    cpe = await lab.plug(house.serial, house)
    lab.world.olt.plug(house.serial, "0/7/15")  # the fibre ends elsewhere
    await run.report("scanned", serial=house.serial)

    held = await run.until_held()
    assert (held.summary.state, held.summary.current_step) == ("held", "confirm_port")
    assert held.summary.reason == (
        f"ONT {house.serial} is at port 0/7/15, planned was {house.port}: move the fibre and scan again (or retry from"
        " authorise_line), or correct the location's port and retry from allocate_resources; where that is refused,"
        " since the VLAN or addresses belong to the port, cancel this run, correct the port and file the ticket again"
        " under another id"
    )
    assert await lab.broken_invariants() == []

    lab.world.olt.plug(house.serial, house.port)  # somebody moves the fibre
    await run.retry(from_step="authorise_line")
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    assert lab.world.olt.lines[house.serial].port == house.port
    assert [line.port for line in lab.world.olt.lines.values() if line.serial == house.serial] == [house.port]
    assert cpe.ppp.status == "Connected"
    assert await lab.broken_invariants() == []


async def test_a_scan_at_another_port_is_held_before_the_olt_is_asked(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await lab.plug(house.serial, house)
    await run.report("scanned", serial=house.serial, port="0/7/15")

    held = await run.until_held()
    assert held.summary.current_step == "authorise_line"
    assert str(held.summary.reason).startswith(f"ONT {house.serial} is at port 0/7/15, planned was {house.port}: ")
    assert (await traces_of(lab, house)).line_orders == ()

    await run.report("scanned", serial=house.serial, port=house.port)
    assert (await run.until_ended()).summary.state == "completed"
    assert lab.world.olt.lines[house.serial].port == house.port
    assert await lab.broken_invariants() == []


async def test_another_port_than_planned_is_right_once_the_location_says_so(lab: JourneyLab, tmp_path: Path) -> None:
    house, neighbour = lab.household(), lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await lab.plug(house.serial, house)
    lab.world.olt.plug(house.serial, neighbour.port)
    await run.report("scanned", serial=house.serial)
    await run.until_held()

    await lab.import_estate(tmp_path / "correction.toml", house.location_at(neighbour.port))
    await run.retry(from_step="allocate_resources")
    await run.until_waiting_for("visit")  # the technician is still there
    assert (await traces_of(lab, house)).on_the_olt == ()
    await run.report("scanned", serial=house.serial)
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    given = await run.result("allocate_resources")
    line = lab.world.olt.lines[house.serial]
    assert (given["port"], line.port, line.cvlan) == (neighbour.port, neighbour.port, given["cvlan"])
    assert lab.world.acs.cpe(house.serial).ppp.address == given["ip_address"]
    assert len((await traces_of(lab, house)).addresses) == 4
    assert await lab.broken_invariants() == []


async def test_where_the_vlan_belongs_to_the_port_the_ticket_is_filed_again_for_the_corrected_one(
    lab: JourneyLab, tmp_path: Path
) -> None:
    house, neighbour = lab.household(), lab.household()
    vlans = {
        port: PORT_VLAN.format(vid=vid, access_node=house.access_node, port=port)
        for vid, port in ((198, house.port), (199, neighbour.port))
    }
    await lab.import_estate(tmp_path / "vlans.toml", "".join(vlans.values()))
    own_id = {"subscriber_external_id": f"crm-{house.number}"}
    run = await lab.order(house, **own_id)
    await run.until_waiting_for("visit")
    await lab.plug(house.serial, house)
    lab.world.olt.plug(house.serial, neighbour.port)
    await run.report("scanned", serial=house.serial)
    held, first = await run.until_held(), await run.result("allocate_resources")
    assert str(held.summary.reason).endswith(
        "cancel this run, correct the port and file the ticket again under another id"
    )

    correction = tmp_path / "correction.toml", house.location_at(neighbour.port)
    with pytest.raises(InvalidRequest, match="port, while 1 live services depend on it"):
        await lab.import_estate(*correction)
    await run.cancel("its port is another one")
    assert (await run.until_ended()).summary.state == "cancelled"
    await lab.import_estate(*correction)
    again = await lab.order(house, ticket_id=f"T-{house.number}-again", **own_id)
    await again.until_waiting_for("visit")
    await again.report("scanned", serial=house.serial)
    ended = await again.until_ended()

    assert ended.summary.state == "completed"
    given, line = await again.result("allocate_resources"), lab.world.olt.lines[house.serial]
    assert (first["svlan"], given["svlan"], given["port"]) == (198, 199, neighbour.port)
    assert (line.port, line.svlan, line.cvlan) == (neighbour.port, 199, given["cvlan"])
    assert given["ip_address"] == first["ip_address"]
    assert await lab.broken_invariants() == []


@pytest.mark.parametrize("from_step", [None, "hand_over_line"], ids=["the_same_order", "a_new_order"])
async def test_a_refusal_of_the_olt_is_held_with_its_words_and_tried_again(
    lab: JourneyLab, from_step: str | None
) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    lab.world.olt.refuse(house.serial, "line profile fiber-300 is not configured")
    await run.plug_and_scan(house)

    held = await run.until_held()
    assert held.summary.reason == f"OLT-3 refused {house.serial}: line profile fiber-300 is not configured"
    left = await traces_of(lab, house)
    assert (left.on_the_olt, left.bound_cpes, left.bills) == ((), (), 0)
    assert lab.world.last_accepted(house.serial) is None
    assert await lab.broken_invariants() == []

    refused = await run.result("authorise_line")
    lab.world.olt.refuse(house.serial, None)
    await run.retry(from_step)
    assert (await run.until_ended()).summary.state == "completed"
    assert house.serial in lab.world.olt.lines
    ordered = await run.result("authorise_line")
    assert (ordered["line_order_id"] == refused["line_order_id"]) == (from_step is None)


async def test_a_cancel_waits_for_the_olt_to_let_go_of_the_line(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.report("scanned", serial=house.serial, port=house.port)
    await run.until_waiting_for("device_informed")
    lab.world.olt.refuse(house.serial, "configuration is locked by another session")

    await run.cancel("moves away")
    held = await run.until_held()
    assert held.summary.current_step == "hand_over_line"
    assert held.summary.reason == f"OLT-3 refused {house.serial}: configuration is locked by another session"
    left = await traces_of(lab, house)
    assert (left.on_the_olt, len(left.addresses)) == ((house.serial,), 4)  # nobody else is given this line's VLAN
    assert await lab.broken_invariants() == []

    lab.world.olt.refuse(house.serial, None)
    await run.retry()
    ended = await run.until_ended()
    assert (ended.summary.state, ended.summary.reason) == ("cancelled", "cancelled by operator: moves away")
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_a_refused_line_that_is_rolled_back_leaves_nothing(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    lab.world.olt.refuse(house.serial, "no free ONU id")
    await run.plug_and_scan(house)
    await run.until_held()

    await run.roll_back("the splitter is full")
    ended = await run.until_ended()

    assert ended.summary.state == "failed"
    assert ended.summary.reason == "rolled back by operator: the splitter is full"
    assert await traces_of(lab, house) == NOTHING
    assert await lab.broken_invariants() == []


async def test_an_olt_that_hangs_after_its_work_has_one_line(lab: JourneyLab) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    lab.world.olt.hang_once_after_effect(house.serial)
    await run.plug_and_scan(house)

    waiting = await run.until_retrying()
    assert waiting.summary.reason is not None
    assert waiting.summary.reason.startswith(f"OLT-3 didn't say whether it did what was asked for {house.serial}")
    ended = await run.until_ended()

    assert ended.summary.state == "completed"
    order = (await run.result("authorise_line"))["line_order_id"]
    asked = [method for method, target in lab.world.olt.requests if target.endswith(f".{order}")]
    assert asked == ["PUT", "PUT"]
    assert [line.serial for line in lab.world.olt.lines.values()].count(house.serial) == 1
    assert await lab.broken_invariants() == []


async def test_an_olt_driven_by_hand_shows_its_commands_and_waits_for_the_answer(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.restarted_with(line_adapter="manual", olt_vendor="huawei"):
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)

        waiting = await run.until_waiting_for("line_answer")
        given = await run.result("allocate_resources")
        assert waiting.summary.reason == "the line has been handed over: waiting for the OLT side's answer"
        snippet = (await run.result("hand_over_line"))["snippet"]
        assert f"port {house.port}: authorise {house.serial}" in snippet
        assert str(given["cvlan"]) in snippet and str(given["svlan"]) in snippet
        assert not cpe.online

        await _answers(lab, run, house.port)
        await cpe.light()  # the operator has pasted the commands
        ended = await run.until_ended()

        assert ended.summary.state == "completed"
        answer = await run.result("line_answer")
        assert (answer["actual_port"], answer["onu_id"], answer["received_power_dbm"]) == (house.port, 17, -21.5)
        assert (cpe.ppp.status, cpe.ppp.address) == ("Connected", given["ip_address"])
        assert await lab.broken_invariants() == []


async def test_a_line_put_there_by_hand_is_taken_off_by_hand(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.restarted_with(line_adapter="manual", olt_vendor="zte"):
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        await run.plug_and_scan(house)
        await run.until_waiting_for("line_answer")
        order = (await run.result("authorise_line"))["line_order_id"]

        await run.cancel("the customer has withdrawn")
        held = await run.until_held()
        assert held.summary.reason is not None
        assert held.summary.reason.startswith(
            f"ONT {house.serial} has to be taken off the OLT by hand (line order {order}); then confirm with "
            f"`firstlight line removed {order}` and retry"
        )
        assert (await traces_of(lab, house)).line_orders == ("handed_over",)

        async with lab.appliance.database.begin() as db:
            lines = LineService(db, tenant_id=lab.appliance.tenant_id, now=lab.appliance.clock)
            await lines.record_removal(line_order_id=order)
        await run.retry()
        ended = await run.until_ended()

        assert (ended.summary.state, ended.summary.reason) == (
            "cancelled",
            "cancelled by operator: the customer has withdrawn",
        )
        assert await traces_of(lab, house) == NOTHING
        assert await lab.broken_invariants() == []


async def test_an_answer_that_never_comes_is_held(lab: JourneyLab) -> None:
    house = lab.household()
    async with lab.restarted_with(line_adapter="manual"):
        run = await lab.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        await run.until_waiting_for("line_answer")

        lab.clock.skip(hours=24)
        held = await run.until_held()
        assert held.summary.reason == (
            "the line has been handed over: waiting for the OLT side's answer: not heard of in time"
        )
        assert await lab.broken_invariants() == []

        await run.retry()
        await run.until_waiting_for("line_answer")
        await _answers(lab, run, house.port)
        await cpe.light()
        assert (await run.until_ended()).summary.state == "completed"


async def _answers(lab: JourneyLab, run: Installation, port: str) -> None:
    """The operator at the OLT says that the line is there."""
    appliance = lab.appliance
    order = (await run.result("authorise_line"))["line_order_id"]
    async with appliance.database.begin() as db:
        told = await appliance.line_desk(db).answer(
            line_order_id=order, actual_port=port, onu_id=17, received_power_dbm=-21.5, by="operator"
        )
    assert told == [run.id]
