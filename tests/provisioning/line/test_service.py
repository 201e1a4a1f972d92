"""Line orders: one live one a serial and a service, answered once, withdrawn only when the OLT let go."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.line import (
    LineAnswerConflict,
    LineBusy,
    LineNotHandedOver,
    LineOrderClosed,
    LineOrderRow,
    LineOrderUnknown,
    LineService,
    LineStillOnOlt,
)
from tests.provisioning.line.conftest import SERIAL, Clock

Line = dict[str, Any]


def _service(db: AsyncSession, clock: Clock, tenant_id: str = "north") -> LineService:
    return LineService(db, tenant_id=tenant_id, now=clock)


async def _asked(database: Database, clock: Clock, line: Line) -> int:
    async with database.begin() as db:
        return (await _service(db, clock).authorise_line(**line, request_id="order-9/line"))["line_order_id"]


async def _handed_over(database: Database, clock: Clock, line: Line) -> int:
    line_order_id = await _asked(database, clock, line)
    async with database.begin() as db:
        row = await db.get_one(LineOrderRow, line_order_id)
        row.state, row.handed_over_at, row.adapter = "handed_over", clock(), "manual"
    return line_order_id


async def _count(database: Database) -> int:
    async with database.begin() as db:
        return await db.scalar(select(func.count()).select_from(LineOrderRow)) or 0


async def test_a_line_asked_for_is_requested_with_all_that_was_said(
    database: Database, clock: Clock, line: Line
) -> None:
    async with database.begin() as db:
        order = await _service(db, clock).authorise_line(**line)
    assert order == {
        **line,
        "line_order_id": order["line_order_id"],
        "state": "requested",
        "actual_port": None,
        "onu_id": None,
        "received_power_dbm": None,
        "refusal": None,
        "requested_at": datetime(2026, 3, 1, 9, 0, 1, tzinfo=UTC),
        "handed_over_at": None,
        "answered_at": None,
        "withdrawn_at": None,
    }
    async with database.begin() as db:
        assert await _service(db, clock).get_line_order(line_order_id=order["line_order_id"]) == order


async def test_a_line_may_be_asked_for_before_its_port_is_known(database: Database, clock: Clock, line: Line) -> None:
    async with database.begin() as db:
        order = await _service(db, clock).authorise_line(
            **{**line, "port": None, "cvlan": None, "management_vlan": None}
        )
    assert (order["port"], order["cvlan"], order["management_vlan"]) == (None, None, None)


async def test_the_same_request_again_is_the_same_order(database: Database, clock: Clock, line: Line) -> None:
    first = await _asked(database, clock, line)
    assert await _asked(database, clock, line) == first
    assert await _count(database) == 1


async def test_the_same_request_with_another_port_is_a_conflict(database: Database, clock: Clock, line: Line) -> None:
    await _asked(database, clock, line)
    async with database.begin() as db:
        with pytest.raises(RequestConflict, match="order-9/line"):
            await _service(db, clock).authorise_line(**{**line, "port": "0/1/4"}, request_id="order-9/line")
    assert await _count(database) == 1


@pytest.mark.parametrize("other", [{"service_id": 43}, {"device_serial": "HWTC99999999"}])
async def test_a_serial_and_a_service_have_one_live_line_each(
    database: Database, clock: Clock, line: Line, other: Line
) -> None:
    first = await _asked(database, clock, line)
    async with database.begin() as db:
        with pytest.raises(LineBusy, match="service 42") as busy:
            await _service(db, clock).authorise_line(**{**line, **other})
        assert await _service(db, clock).find_live_line_order(service_id=42) is not None
    assert busy.value.holder_id == first
    assert await _count(database) == 1


async def test_a_serial_has_one_live_line_in_whatever_spelling(database: Database, clock: Clock, line: Line) -> None:
    async with database.begin() as db:
        asked = await _service(db, clock).authorise_line(**{**line, "device_serial": "ont-00a7"})
        assert asked["device_serial"] == "ONT-00A7"
        with pytest.raises(LineBusy):
            await _service(db, clock).authorise_line(**{**line, "device_serial": "ONT-00a7", "service_id": 43})
        assert await _service(db, clock).find_live_line_order(service_id=43) is None


async def test_another_tenant_may_have_the_same_numbers(database: Database, clock: Clock, line: Line) -> None:
    first = await _asked(database, clock, line)
    async with database.begin() as db:
        south = _service(db, clock, "south")
        assert (await south.authorise_line(**line, request_id="order-9/line"))["line_order_id"] != first
        with pytest.raises(LineOrderUnknown):
            await south.get_line_order(line_order_id=first)


async def test_malformed_words_are_all_named_and_nothing_is_written(
    database: Database, clock: Clock, line: Line
) -> None:
    wrong = {
        **line,
        "device_serial": "*",
        "access_node": "OLT 1",
        "port": "0/1/3\nreboot",
        "svlan": 0,
        "cvlan": 4095,
        "line_profile": 'gold"',
    }
    async with database.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await _service(db, clock).authorise_line(**wrong)
    assert [fault.field for fault in refused.value.faults] == [
        "device_serial",
        "access_node",
        "line_profile",
        "port",
        "svlan",
        "cvlan",
    ]
    assert await _count(database) == 0


async def test_an_answer_makes_the_line_authorised_once(database: Database, clock: Clock, line: Line) -> None:
    line_order_id = await _handed_over(database, clock, line)
    answers = []
    for power in (-19.4, -19.6):
        async with database.begin() as db:
            answers.append(
                await _service(db, clock).record_answer(
                    line_order_id=line_order_id, actual_port="0/1/3", onu_id=5, received_power_dbm=power
                )
            )
    assert answers[0] == answers[1]
    assert (answers[0]["state"], answers[0]["onu_id"], answers[0]["received_power_dbm"]) == ("authorised", 5, -19.4)


async def test_what_the_first_answer_left_open_the_second_may_fill_in(
    database: Database, clock: Clock, line: Line
) -> None:
    line_order_id = await _handed_over(database, clock, line)
    async with database.begin() as db:
        service = _service(db, clock)
        await service.record_answer(line_order_id=line_order_id, actual_port="0/1/3")
        order = await service.record_answer(
            line_order_id=line_order_id, actual_port="0/1/3", onu_id=5, received_power_dbm=-19.4
        )
    assert (order["onu_id"], order["received_power_dbm"]) == (5, -19.4)


@pytest.mark.parametrize("other", [{"actual_port": "0/1/4", "onu_id": 5}, {"actual_port": "0/1/3", "onu_id": 6}])
async def test_a_second_answer_that_differs_is_a_conflict(
    database: Database, clock: Clock, line: Line, other: Line
) -> None:
    line_order_id = await _handed_over(database, clock, line)
    async with database.begin() as db:
        service = _service(db, clock)
        await service.record_answer(line_order_id=line_order_id, actual_port="0/1/3", onu_id=5)
        with pytest.raises(LineAnswerConflict, match="port 0/1/3, ONU 5"):
            await service.record_answer(line_order_id=line_order_id, **other)
        with pytest.raises(LineAnswerConflict):
            await service.record_refusal(line_order_id=line_order_id, reason="no such profile")


async def test_an_answer_that_cannot_be_is_refused(database: Database, clock: Clock, line: Line) -> None:
    line_order_id = await _handed_over(database, clock, line)
    async with database.begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await _service(db, clock).record_answer(
                line_order_id=line_order_id, actual_port="0/1/3 ", onu_id=-1, received_power_dbm=float("nan")
            )
    assert [fault.field for fault in refused.value.faults] == ["actual_port", "onu_id", "received_power_dbm"]


async def test_nothing_can_answer_what_was_never_handed_over(database: Database, clock: Clock, line: Line) -> None:
    line_order_id = await _asked(database, clock, line)
    async with database.begin() as db:
        service = _service(db, clock)
        with pytest.raises(LineNotHandedOver):
            await service.record_answer(line_order_id=line_order_id, actual_port="0/1/3")
        with pytest.raises(LineNotHandedOver):
            await service.record_refusal(line_order_id=line_order_id, reason="no")
        with pytest.raises(LineNotHandedOver):
            await service.record_removal(line_order_id=line_order_id)


async def test_a_refused_line_frees_its_serial_and_keeps_the_reason(
    database: Database, clock: Clock, line: Line
) -> None:
    line_order_id = await _handed_over(database, clock, line)
    async with database.begin() as db:
        service = _service(db, clock)
        order = await service.record_refusal(line_order_id=line_order_id, reason="profile fiber_1gbps is unknown")
        assert (order["state"], order["refusal"]) == ("refused", "profile fiber_1gbps is unknown")
        assert await service.find_live_line_order(service_id=42) is None
        other = await service.authorise_line(**line)
        assert other["state"] == "requested"
        with pytest.raises(LineAnswerConflict, match="refused, profile"):
            await service.record_answer(line_order_id=line_order_id, actual_port="0/1/3")


async def test_a_line_never_handed_over_is_withdrawn_at_once(database: Database, clock: Clock, line: Line) -> None:
    line_order_id = await _asked(database, clock, line)
    for _ in range(2):
        async with database.begin() as db:
            order = await _service(db, clock).withdraw_line(line_order_id=line_order_id)
    assert order["state"] == "withdrawn"
    assert order["withdrawn_at"] == datetime(2026, 3, 1, 9, 0, 2, tzinfo=UTC)


async def test_a_line_that_the_olt_may_have_is_not_withdrawn(database: Database, clock: Clock, line: Line) -> None:
    line_order_id = await _handed_over(database, clock, line)
    async with database.begin() as db:
        with pytest.raises(LineStillOnOlt, match=f"OLT-1 may still have {SERIAL}"):
            await _service(db, clock).withdraw_line(line_order_id=line_order_id)


async def test_a_withdrawn_line_takes_no_answer_and_its_request_asks_anew(
    database: Database, clock: Clock, line: Line
) -> None:
    first = await _asked(database, clock, line)
    async with database.begin() as db:
        service = _service(db, clock)
        await service.withdraw_line(line_order_id=first)
        with pytest.raises(LineOrderClosed):
            await service.record_answer(line_order_id=first, actual_port="0/1/3")
        assert await service.find_live_line_order(service_id=42) is None
        second = await service.authorise_line(**line, request_id="order-9/line")
    assert second["line_order_id"] != first
    assert second["state"] == "requested"


async def test_of_many_orders_at_once_for_one_serial_one_wins(database: Database, clock: Clock, line: Line) -> None:
    async def ask(service_id: int) -> int | None:
        try:
            async with database.begin() as db:
                order = await _service(db, clock).authorise_line(**{**line, "service_id": service_id})
        except LineBusy:
            return None
        return order["line_order_id"]

    answers = await asyncio.gather(*(ask(service_id) for service_id in range(1, 7)))
    assert sum(answer is not None for answer in answers) == 1
    assert await _count(database) == 1


async def test_of_many_repeats_of_one_request_all_get_the_same_order(
    database: Database, clock: Clock, line: Line
) -> None:
    answers = await asyncio.gather(*(_asked(database, clock, line) for _ in range(6)))
    assert len(set(answers)) == 1
    assert await _count(database) == 1
