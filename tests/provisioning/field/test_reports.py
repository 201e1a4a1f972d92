"""Reports from the field: one state machine, each report known again when it comes twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import product
from typing import Any, get_args

import pytest
from sqlalchemy import func, select

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.field import VisitNotBegun, VisitOutcome, VisitOver, VisitReport, VisitUnknown
from tests.provisioning.field.conftest import NOW, TEN, at, book, visits

WITH: dict[VisitOutcome, dict[str, Any]] = {
    "scanned": {"serial": "HWTC12345678"},
    "no_access": {},
    "not_feasible": {"note": "duct collapsed"},
    "cancelled": {"note": "customer ill"},
    "completed": {},
}
ALLOWED = {
    "booked": {"scanned", "no_access", "not_feasible", "cancelled"},
    "scanned": {"scanned", "not_feasible", "cancelled", "completed"},
}


async def test_a_scan_keeps_serial_and_port(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db, planned_port="olt1/0/3")
        reported = await visits(db).report(
            visit_id=booked["visit_id"],
            outcome="scanned",
            serial=" SN: 4857544312345678 ",
            port="olt1/0/4",
            note="dark",
        )
        assert reported == {
            "visit_id": booked["visit_id"],
            "customer_id": 42,
            "outcome": "scanned",
            "serial": "HWTC12345678",
            "port": "olt1/0/4",
            "planned_port": "olt1/0/3",
            "port_as_planned": False,
            "note": "dark",
            "reported_at": NOW,
        }
    async with begin() as db:
        visit = await visits(db).visit(booked["visit_id"])
    assert (visit["state"], visit["scanned_serial"], visit["scanned_port"]) == ("scanned", "HWTC12345678", "olt1/0/4")
    assert (visit["outcome_note"], visit["outcome_at"]) == ("dark", NOW)


@pytest.mark.parametrize(
    ("planned", "actual", "as_planned"),
    [("olt1/0/3", "olt1/0/3", True), ("olt1/0/3", None, None), (None, "olt1/0/3", None)],
)
async def test_the_port_is_compared_only_where_both_are_known(
    begin: Begin, planned: str | None, actual: str | None, as_planned: bool | None
) -> None:
    async with begin() as db:
        booked = await book(db, planned_port=planned)
        reported = await visits(db).report(
            visit_id=booked["visit_id"], outcome="scanned", serial="HWTC12345678", port=actual
        )
    assert reported["port_as_planned"] is as_planned


async def test_only_the_drawn_ways_lead_from_state_to_state(begin: Begin) -> None:
    states = ["booked", *get_args(VisitOutcome)]
    for day, (before, outcome) in enumerate(product(states, get_args(VisitOutcome))):
        async with begin() as db:
            calendar = visits(db, now=lambda: TEN + timedelta(days=40))  # all of them have begun
            visit_id = (await book(db, starts_at=TEN + timedelta(days=day)))["visit_id"]
            if before == "completed":
                await calendar.report(visit_id=visit_id, outcome="scanned", serial="HWTC12345678")
            if before != "booked":
                await calendar.report(visit_id=visit_id, outcome=before, **WITH[before])
            wish = WITH[outcome] | {"note": "another report"}  # word for word the same would be the same report
            if outcome in ALLOWED.get(before, ()):
                await calendar.report(visit_id=visit_id, outcome=outcome, **wish)
                assert (await calendar.visit(visit_id))["state"] == outcome
            else:
                with pytest.raises(VisitOver, match=f"Visit {visit_id} is {before} and can't be {outcome}"):
                    await calendar.report(visit_id=visit_id, outcome=outcome, **wish)
                assert (await calendar.visit(visit_id))["state"] == before


async def test_that_nobody_is_there_is_not_known_before_the_visit_begins(begin: Begin) -> None:
    minute = timedelta(minutes=1)
    async with begin() as db:
        visit_id = (await book(db))["visit_id"]
        early, late = visits(db, now=lambda: TEN - minute), visits(db, now=lambda: TEN + 90 * minute)
        # now; by a clock that is ahead; before, and told later
        for calendar, seen_at in ((early, None), (early, TEN + minute), (late, TEN - minute)):
            with pytest.raises(VisitNotBegun, match=f"Visit {visit_id} begins at 2026-03-03 10:00 UTC; that nobody is"):
                await calendar.report(visit_id=visit_id, outcome="no_access", made_at=seen_at)
        assert (await early.visit(visit_id))["state"] == "booked"
        reported = await late.report(visit_id=visit_id, outcome="no_access", made_at=TEN)
    assert (reported["outcome"], reported["reported_at"]) == ("no_access", TEN + 90 * minute)


async def test_a_second_scan_with_another_serial_is_a_swap(begin: Begin) -> None:
    async with begin() as db:
        calendar = visits(db)
        visit_id = (await book(db))["visit_id"]
        first = await calendar.report(visit_id=visit_id, outcome="scanned", serial="HWTC12345678", request_id="scan/1")
        await calendar.report(visit_id=visit_id, outcome="scanned", serial="ZTEGC0FFEE00", request_id="scan/2")
        assert (await calendar.visit(visit_id))["scanned_serial"] == "ZTEGC0FFEE00"
        late_copy = await calendar.report(
            visit_id=visit_id, outcome="scanned", serial="hwtc12345678", request_id="scan/1"
        )
        assert late_copy == first
        assert (await calendar.visit(visit_id))["scanned_serial"] == "ZTEGC0FFEE00", "a late copy undoes nothing"


async def test_the_same_label_scanned_again_in_another_spelling_is_no_swap(begin: Begin) -> None:
    async with begin() as db:
        calendar = visits(db)
        visit_id = (await book(db))["visit_id"]
        first = await calendar.report(visit_id=visit_id, outcome="scanned", serial="abc123")
        assert await calendar.report(visit_id=visit_id, outcome="scanned", serial="ABC123") == first
        assert await db.scalar(select(func.count()).select_from(VisitReport)) == 1
        assert first["serial"] == "abc123", "as the CPE may report it to the ACS"


@pytest.mark.parametrize("request_id", [None, "phone/7"])
async def test_a_report_that_arrives_twice_is_one_report(begin: Begin, request_id: str | None) -> None:
    async with begin() as db:
        visit_id = (await book(db))["visit_id"]

    async def report() -> object:
        async with begin() as db:
            calendar = visits(db, now=lambda: TEN)
            return await calendar.report(visit_id=visit_id, outcome="no_access", note="bell", request_id=request_id)

    first, *others = await asyncio.gather(*(report() for _ in range(4)))
    assert others == [first] * 3
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(VisitReport)) == 1


async def test_a_report_key_with_other_content_or_another_visit_is_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        calendar = visits(db, now=lambda: TEN)
        one = (await book(db))["visit_id"]
        two = (await book(db, starts_at=at(15)))["visit_id"]
        await calendar.report(visit_id=one, outcome="no_access", request_id="phone/7")
        with pytest.raises(RequestConflict, match=f"phone/7 already made a report on visit {one}"):
            await calendar.report(visit_id=one, outcome="scanned", serial="HWTC12345678", request_id="phone/7")
        with pytest.raises(RequestConflict):
            await calendar.report(visit_id=two, outcome="no_access", request_id="phone/7")


async def test_a_report_on_no_visit_is_refused(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(VisitUnknown):
            await visits(db).report(visit_id=99, outcome="no_access")


@pytest.mark.parametrize(
    ("wish", "fields"),
    [
        ({"outcome": "scanned"}, ["serial"]),
        ({"outcome": "scanned", "serial": "*"}, ["serial"]),
        ({"outcome": "scanned", "serial": "HWTC\n12345678", "port": "a\tb"}, ["serial", "port"]),
        ({"outcome": "no_access", "serial": "HWTC12345678", "port": "1"}, ["serial", "port"]),
        ({"outcome": "not_feasible"}, ["note"]),
        ({"outcome": "cancelled", "note": " "}, ["note"]),
        ({"outcome": "asleep", "note": "x" * 1001}, ["outcome", "note"]),
    ],
)
async def test_all_faults_of_a_report_are_named_at_once(begin: Begin, wish: dict[str, Any], fields: list[str]) -> None:
    async with begin() as db:
        visit_id = (await book(db))["visit_id"]
        with pytest.raises(InvalidRequest) as refused:
            await visits(db).report(visit_id=visit_id, **wish)
        assert (await visits(db).visit(visit_id))["state"] == "booked"
    assert [fault.field for fault in refused.value.faults] == fields
