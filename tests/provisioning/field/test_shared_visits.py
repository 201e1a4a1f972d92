"""One visit of an order: taken over, moved, shared, and called off by the last one who needs it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.field import TechnicianBusy, Visit, VisitOver, VisitRecord, Whose
from provisioning.field.invariants import orders_visited_twice, visits_nobody_needs
from tests.provisioning.field.conftest import TEN, TENANT, at, book, visits

pytestmark = pytest.mark.both_databases

ORDER = 7


async def booked(db: AsyncSession, whose: Whose, hour: int = 10, technician: int = 1, **changes: Any) -> VisitRecord:
    wanted: dict[str, Any] = {"customer_id": 42, "address": "1 High Street", "duration_minutes": 120}
    return await visits(db).book(technician_id=technician, starts_at=at(hour), whose=whose, **wanted | changes)


async def for_the_order(db: AsyncSession) -> VisitRecord:
    return await booked(db, Whose("deployment", ORDER), request_id="quote/1/schedule_deployment")


LINE = Whose("installation", ORDER)


async def test_an_installation_takes_its_orders_visit_over_with_technician_and_time(begin: Begin) -> None:
    async with begin() as db:
        first = await for_the_order(db)
        place: dict[str, Any] = {"address": "1 High Street, left", "location": "LOC-1", "planned_port": "olt1/0/3"}
        joined = await booked(db, LINE, request_id="ticket/1", **place)
        assert joined == {**first, **place, "sequence": 1}
        assert await booked(db, LINE, request_id="ticket/1", **place) == joined
        with pytest.raises(RequestConflict, match="already made visit"):
            await booked(db, LINE, request_id="ticket/1", **place | {"planned_port": None})
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == 1


async def test_a_ticket_that_asks_for_another_time_moves_the_visit_and_its_technician_is_free_then(
    begin: Begin,
) -> None:
    async with begin() as db:
        first = await for_the_order(db)
        moved = await booked(db, LINE, 14, 2, request_id="ticket/1")
        assert (moved["visit_id"], moved["starts_at"], moved["technician_name"]) == (first["visit_id"], at(14), "Uma")
        await book(db)  # Tom at ten
        assert not await visits(db).is_promised(visit_id=first["visit_id"], purpose="deployment")
        assert await visits(db).is_promised(visit_id=first["visit_id"], purpose="installation")
        # An hour later than it is, which its own time doesn't stand in the way of.
        later = await visits(db).move(
            visit_id=first["visit_id"], technician_id=2, starts_at=at(15), duration_minutes=120
        )
        assert later["ends_at"] == at(17)


async def test_a_visit_that_cannot_move_stays_where_it_is(begin: Begin) -> None:
    async with begin() as db:
        first = await for_the_order(db)
        other = await book(db, technician_id=2, customer_id=43)
        with pytest.raises(TechnicianBusy) as refused:
            await booked(db, LINE, 11, 2, request_id="ticket/1")
        assert refused.value.visit_id == other["visit_id"]
        assert await visits(db).visit(first["visit_id"]) == first
        # As it stands, it is joined whatever time was named.
        joined = await booked(db, Whose("installation", ORDER, first["visit_id"]), 11, 2, request_id="ticket/1")
        assert (joined["visit_id"], joined["starts_at"], joined["technician_id"]) == (first["visit_id"], TEN, 1)


async def test_who_was_told_of_a_visit_that_is_another_by_now_joins_that_one_and_moves_nothing(begin: Begin) -> None:
    async with begin() as db:
        gone = await for_the_order(db)
        await visits(db).leave(visit_id=gone["visit_id"], purpose="deployment", reason="another day")
        anew = await booked(db, Whose("deployment", ORDER), 15, 2, request_id="quote/1/schedule_deployment/2")
        told = Whose("installation", ORDER, gone["visit_id"])
        joined = await booked(db, told, request_id="ticket/1")
        assert joined == anew
        assert await booked(db, told, request_id="ticket/1") == joined


async def test_a_visit_is_joined_at_its_end_but_none_is_made_for_a_time_that_is_over(begin: Begin) -> None:
    def late() -> datetime:
        return at(12)

    async with begin() as db:
        first = await for_the_order(db)
        wanted: dict[str, Any] = {"customer_id": 42, "technician_id": 1, "starts_at": TEN, "duration_minutes": 120}
        told: dict[str, Any] = {"address": "1 High Street", "whose": Whose("installation", ORDER, first["visit_id"])}
        assert await visits(db, now=late).book(**wanted, **told, request_id="ticket/1") == first
        with pytest.raises(VisitOver, match="is booked and can't be joined"):  # another line has it
            await visits(db, now=late).book(**wanted, **told, request_id="ticket/2")


async def test_a_second_line_of_the_order_and_another_customers_order_have_visits_of_their_own(begin: Begin) -> None:
    async with begin() as db:
        first = await for_the_order(db)
        await booked(db, LINE, request_id="ticket/1")
        apart = await booked(db, LINE, 12, request_id="ticket/2")
        stranger = await booked(db, LINE, 14, customer_id=43, request_id="ticket/3")
        assert (apart["order_id"], stranger["order_id"]) == (None, ORDER)
        assert len({first["visit_id"], apart["visit_id"], stranger["visit_id"]}) == 3
        assert await booked(db, LINE, 12, request_id="ticket/2") == apart
        with pytest.raises(ChangeRaced):
            await for_the_order_again(db)
        with pytest.raises(TechnicianBusy) as refused:
            await booked(db, LINE, request_id="ticket/4")  # with the technician whom the order's visit keeps
        assert refused.value.visit_id == first["visit_id"]


async def for_the_order_again(db: AsyncSession) -> None:
    await booked(db, Whose("deployment", ORDER), 16)


@pytest.mark.parametrize("purposes", [("deployment", "installation"), ("installation", "deployment")])
async def test_the_last_one_out_calls_the_visit_off(begin: Begin, purposes: tuple[Any, Any]) -> None:
    first, last = purposes
    async with begin() as db:
        visit_id = (await for_the_order(db))["visit_id"]
        await booked(db, LINE, request_id="ticket/1", location="LOC-1", planned_port="olt1/0/3")
        kept = await visits(db).leave(visit_id=visit_id, purpose=first, reason="undone")
        again = await visits(db).leave(visit_id=visit_id, purpose=first, reason="undone twice")
        port = None if first == "installation" else "olt1/0/3"  # what was allocated goes with the line
        assert (kept["state"], kept["technician_id"], kept["planned_port"], again) == ("booked", 1, port, kept)
        if first == "installation":
            with pytest.raises(VisitOver, match="booked again by the same request"):
                await booked(db, LINE, request_id="ticket/1", location="LOC-1", planned_port="olt1/0/3")
        gone = await visits(db).leave(visit_id=visit_id, purpose=last, reason="nobody needs it")
        assert (gone["state"], gone["outcome_note"]) == ("cancelled", "nobody needs it")
        await book(db)  # Tom at ten
        assert await visits_nobody_needs(db, tenant_id=TENANT) == []


async def test_a_scan_is_all_that_an_order_needs_and_a_line_needs_more(begin: Begin) -> None:
    async with begin() as db:
        visit_id = (await for_the_order(db))["visit_id"]
        await booked(db, LINE, request_id="ticket/1")
        with pytest.raises(VisitOver, match="is booked and can't be completed"):
            await visits(db).finish(visit_id=visit_id, purpose="deployment")
    async with begin() as db:
        await visits(db).report(visit_id=visit_id, outcome="scanned", serial="HWTC00000001")
        assert (await visits(db).finish(visit_id=visit_id, purpose="deployment"))["state"] == "scanned"
        await visits(db).report(visit_id=visit_id, outcome="scanned", serial="HWTC00000002")
        assert (await visits(db).report(visit_id=visit_id, outcome="completed"))["outcome"] == "completed"
        assert (await visits(db).finish(visit_id=visit_id, purpose="deployment"))["state"] == "completed"


async def test_a_line_that_goes_back_from_behind_its_scan_frees_the_technician_for_the_next_booking(
    begin: Begin,
) -> None:
    async with begin() as db:
        visit_id = (await for_the_order(db))["visit_id"]
        await booked(db, LINE, request_id="ticket/1")
        await visits(db).report(visit_id=visit_id, outcome="scanned", serial="HWTC00000001")
        assert (await visits(db).leave(visit_id=visit_id, purpose="installation", reason="again"))["state"] == (
            "cancelled"
        )
        again = await booked(db, LINE, request_id="ticket/1/2")
        assert (again["visit_id"] > visit_id, again["order_id"], again["state"]) == (True, ORDER, "booked")
        assert (await visits(db).finish(visit_id=visit_id, purpose="deployment"))["state"] == "cancelled"


async def test_of_tickets_of_one_order_at_once_exactly_one_has_the_orders_visit(begin: Begin) -> None:
    """Each with a technician of its own, so that nothing but the index stands between them."""

    async def attempt(number: int) -> int | None:
        async with begin() as db:
            return (await booked(db, LINE, 8 + number // 2 * 2, 1 + number % 2, request_id=f"ticket/{number}"))[
                "order_id"
            ]

    orders = await asyncio.gather(*(attempt(number) for number in range(6)))
    assert sorted(order for order in orders if order) == [ORDER]
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == 6
        assert await orders_visited_twice(db, tenant_id=TENANT) == []
