"""Handing over: the OLT acts once whatever happens in between, and nothing is called done before it said so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database
from provisioning.line import (
    LineAdapterMissing,
    LineBusy,
    LineHandOver,
    LineOrderClosed,
    LineOrderRecord,
    LineOrderUnknown,
    LineRefused,
    LineService,
    OltOutcomeUnknown,
    OltUnreachable,
    line_adapters,
)
from provisioning.line.handover import Begin
from provisioning.line.testing import LabOlt
from tests.provisioning.line.conftest import SERIAL, Clock

Line = dict[str, Any]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


class Desk:
    """One tenant's line orders and both ways to hand them over."""

    def __init__(self, database: Database, clock: Clock, http: httpx.AsyncClient, url: str) -> None:
        self.database = database
        self.clock = clock
        self.adapters = line_adapters(
            vendor="huawei",
            vendor_by_node={},
            http=http,
            olt_http_url=url,
            olt_http_timeout_seconds=0.3,
            webhook=None,
            now=clock,
        )

    def hand_over(self, adapter: str = "olt_http", begin: Begin | None = None) -> LineHandOver:
        begin = begin or self.database.begin
        return LineHandOver(begin, self.adapters, tenant_id="north", now=self.clock, adapter=adapter)

    @asynccontextmanager
    async def service(self) -> AsyncIterator[LineService]:
        async with self.database.begin() as db:
            yield LineService(db, tenant_id="north", now=self.clock)

    async def ask(self, line: Line) -> int:
        async with self.service() as service:
            return (await service.authorise_line(**line))["line_order_id"]

    async def order(self, line_order_id: int) -> LineOrderRecord:
        async with self.service() as service:
            return await service.get_line_order(line_order_id=line_order_id)


@pytest.fixture
def desk(database: Database, clock: Clock, http: httpx.AsyncClient, olt: LabOlt) -> Desk:
    return Desk(database, clock, http, olt.url)


async def test_the_olts_answer_is_recorded_and_returned(desk: Desk, olt: LabOlt, line: Line) -> None:
    olt.plug(SERIAL, "0/1/3", received_power_dbm=-21.3)
    line_order_id = await desk.ask(line)
    answer = await desk.hand_over().hand_over(line_order_id)
    assert answer == {
        "answered": True,
        "onu_id": 1,
        "actual_port": "0/1/3",
        "received_power_dbm": -21.3,
        "snippet": None,
    }
    order = await desk.order(line_order_id)
    assert (order["state"], order["onu_id"], order["actual_port"]) == ("authorised", 1, "0/1/3")
    lit = olt.lines[SERIAL]
    assert (lit.svlan, lit.cvlan, lit.management_vlan, lit.line_profile) == (200, 1203, 4000, "fiber_1gbps")


async def test_another_port_than_planned_is_told_as_it_is(desk: Desk, olt: LabOlt, line: Line) -> None:
    olt.plug(SERIAL, "0/2/7")
    line_order_id = await desk.ask(line)
    assert (await desk.hand_over().hand_over(line_order_id))["actual_port"] == "0/2/7"
    order = await desk.order(line_order_id)
    assert (order["port"], order["actual_port"]) == ("0/1/3", "0/2/7")


async def test_an_answered_line_is_not_asked_for_again(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    first = await desk.hand_over().hand_over(line_order_id)
    assert await desk.hand_over().hand_over(line_order_id) == first
    assert olt.requests == [("PUT", f"/lines/north.{line_order_id}")]


async def test_an_answer_that_got_lost_is_asked_for_again_and_the_line_made_once(
    desk: Desk, olt: LabOlt, line: Line
) -> None:
    line_order_id = await desk.ask(line)
    olt.hang_once_after_effect(SERIAL)
    with pytest.raises(OltOutcomeUnknown) as unknown:
        await desk.hand_over().hand_over(line_order_id)
    assert unknown.value.transient
    assert (await desk.order(line_order_id))["state"] == "handed_over"
    assert (await desk.hand_over().hand_over(line_order_id))["onu_id"] == 1
    assert len(olt.lines) == 1


@pytest.mark.parametrize("dies_at", [1, 2])
async def test_a_process_that_dies_at_a_commit_leaves_one_line_after_the_repeat(
    desk: Desk, olt: LabOlt, line: Line, dies_at: int
) -> None:
    line_order_id = await desk.ask(line)
    commits = 0

    @asynccontextmanager
    async def begin_then_die() -> AsyncIterator[AsyncSession]:
        nonlocal commits
        async with desk.database.begin() as db:
            yield db
            commits += 1
            if commits == dies_at:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await desk.hand_over(begin=begin_then_die).hand_over(line_order_id)
    assert (await desk.hand_over().hand_over(line_order_id))["onu_id"] == 1
    assert [line.order for line in olt.lines.values()] == [f"north.{line_order_id}"]


async def test_an_olt_that_is_off_was_asked_nothing(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    hand_over = desk.hand_over()
    await olt.stop()
    with pytest.raises(OltUnreachable) as unreachable:
        await hand_over.hand_over(line_order_id)
    assert unreachable.value.transient


async def test_a_refusal_is_kept_with_its_reason_and_may_be_tried_again(desk: Desk, olt: LabOlt, line: Line) -> None:
    olt.refuse(SERIAL, "line profile fiber_1gbps is unknown")
    line_order_id = await desk.ask(line)
    with pytest.raises(LineRefused, match="OLT-1 refused HWTC12345678: line profile fiber_1gbps is unknown"):
        await desk.hand_over().hand_over(line_order_id)
    order = await desk.order(line_order_id)
    assert (order["state"], order["refusal"]) == ("refused", "line profile fiber_1gbps is unknown")
    assert not olt.lines
    olt.refuse(SERIAL, None)
    assert (await desk.hand_over().hand_over(line_order_id))["answered"]
    order = await desk.order(line_order_id)
    assert (order["state"], order["refusal"]) == ("authorised", None)


async def test_a_refused_line_cannot_come_back_over_another_one(desk: Desk, olt: LabOlt, line: Line) -> None:
    olt.refuse(SERIAL, "no")
    first = await desk.ask(line)
    with pytest.raises(LineRefused):
        await desk.hand_over().hand_over(first)
    second = await desk.ask(line)
    with pytest.raises(LineBusy) as busy:
        await desk.hand_over().hand_over(first)
    assert busy.value.holder_id == second
    assert (await desk.order(first))["state"] == "refused"


async def test_withdrawing_takes_the_line_off_the_olt_first_and_then_frees_it(
    desk: Desk, olt: LabOlt, line: Line
) -> None:
    line_order_id = await desk.ask(line)
    await desk.hand_over().hand_over(line_order_id)
    for _ in range(2):
        assert await desk.hand_over().withdraw(line_order_id) == {"answered": True, "snippet": None}
    assert not olt.lines
    with pytest.raises(LineOrderClosed):
        await desk.hand_over().hand_over(line_order_id)
    async with desk.service() as service:
        assert (await service.withdraw_line(line_order_id=line_order_id))["state"] == "withdrawn"
        assert (await service.authorise_line(**line))["state"] == "requested"


async def test_a_line_of_unknown_outcome_is_taken_off_the_olt_too(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    olt.hang_once_after_effect(SERIAL)
    with pytest.raises(OltOutcomeUnknown):
        await desk.hand_over().hand_over(line_order_id)
    assert (await desk.hand_over().withdraw(line_order_id))["answered"]
    assert not olt.lines


async def test_a_removal_of_unknown_outcome_is_repeated(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    await desk.hand_over().hand_over(line_order_id)
    olt.hang_once_after_effect(SERIAL)
    with pytest.raises(OltOutcomeUnknown):
        await desk.hand_over().withdraw(line_order_id)
    assert (await desk.hand_over().withdraw(line_order_id))["answered"]


async def test_a_line_that_was_never_handed_over_needs_no_removal(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    assert (await desk.hand_over().withdraw(line_order_id))["answered"]
    assert olt.requests == []


@pytest.mark.parametrize("state", ["requested", "refused"])
async def test_an_order_that_is_being_withdrawn_is_not_handed_over_by_a_worker_that_was_frozen_before_it_began(
    desk: Desk, olt: LabOlt, line: Line, state: str
) -> None:
    line_order_id = await desk.ask(line)
    if state == "refused":
        olt.refuse(SERIAL, "no such profile")
        with pytest.raises(LineRefused):
            await desk.hand_over().hand_over(line_order_id)
        olt.refuse(SERIAL, None)
    assert (await desk.order(line_order_id))["state"] == state
    asked = list(olt.requests)

    for _ in range(2):
        assert await desk.hand_over().withdraw(line_order_id) == {"answered": True, "snippet": None}
    with pytest.raises(LineOrderClosed):
        await desk.hand_over().hand_over(line_order_id)
    assert (await desk.order(line_order_id))["state"] == state
    assert olt.requests == asked

    async with desk.service() as service:
        assert (await service.withdraw_line(line_order_id=line_order_id))["state"] == "withdrawn"
    anew = await desk.ask(line)
    assert (await desk.hand_over().hand_over(anew))["answered"]
    assert [lit.order for lit in olt.lines.values()] == [f"north.{anew}"]


async def test_by_hand_the_line_waits_for_the_operators_word(desk: Desk, line: Line) -> None:
    line_order_id = await desk.ask(line)
    told = await desk.hand_over("manual").hand_over(line_order_id)
    assert not told["answered"]
    assert SERIAL in str(told["snippet"])
    assert await desk.hand_over("manual").hand_over(line_order_id) == told
    async with desk.service() as service:
        await service.record_answer(
            line_order_id=line_order_id, actual_port="0/1/3", onu_id=7, received_power_dbm=-20.1
        )
    answer = await desk.hand_over("manual").hand_over(line_order_id)
    assert (answer["answered"], answer["onu_id"], answer["received_power_dbm"]) == (True, 7, -20.1)


async def test_by_hand_a_removal_waits_for_the_operators_word(desk: Desk, line: Line) -> None:
    line_order_id = await desk.ask(line)
    await desk.hand_over("manual").hand_over(line_order_id)
    told = await desk.hand_over("manual").withdraw(line_order_id)
    assert not told["answered"]
    assert "ont delete 3" in str(told["snippet"])
    async with desk.service() as service:
        await service.record_removal(line_order_id=line_order_id)
    assert (await desk.hand_over("manual").withdraw(line_order_id))["answered"]


async def test_a_line_is_taken_back_the_way_it_was_handed_over(desk: Desk, olt: LabOlt, line: Line) -> None:
    line_order_id = await desk.ask(line)
    await desk.hand_over("olt_http").hand_over(line_order_id)
    assert (await desk.hand_over("manual").withdraw(line_order_id))["answered"]
    assert not olt.lines


async def test_a_way_that_is_not_set_up_is_named(desk: Desk, line: Line) -> None:
    line_order_id = await desk.ask(line)
    with pytest.raises(LineAdapterMissing, match="webhook isn't set up here, only manual, olt_http"):
        await desk.hand_over("webhook").hand_over(line_order_id)
    assert (await desk.order(line_order_id))["state"] == "requested"


async def test_a_number_that_is_no_order_is_named(desk: Desk) -> None:
    with pytest.raises(LineOrderUnknown, match="no line order 4711"):
        await desk.hand_over().hand_over(4711)
