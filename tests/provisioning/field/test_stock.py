"""What vans hold: each serial in one van at most, out of it by a scan, into it by being taken back, all of it kept."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import ChangeRaced, InvalidRequest
from provisioning.field import (
    StockElsewhere,
    StockInstalled,
    StockItem,
    StockMissing,
    StockUnknown,
    TechnicianUnknown,
    VanItem,
    VanMovement,
    VanStock,
    VisitRecord,
)
from tests.provisioning.field.conftest import NOW, TENANT, at, book, visits

ONE, TWO, HEX = "HWTC4A2B9C01", "ZTEGC8012345", "485754434A2B9C01"


def stock(db: AsyncSession, tenant_id: str = TENANT) -> VanStock:
    return VanStock(db, tenant_id=tenant_id, now=lambda: NOW)


def states(items: list[StockItem]) -> list[tuple[str, int, str, int | None]]:
    return [(one["serial"], one["technician_id"], one["state"], one["visit_id"]) for one in items]


async def test_what_is_booked_in_is_there_once_in_one_spelling_and_booked_out_again(begin: Begin) -> None:
    async with begin() as db:
        booked = await stock(db).book_in(technician_id=1, serials=[f"S/N: {HEX}", ONE.lower(), TWO], by="dora")
        assert states(booked) == [(ONE, 1, "owned", None), (TWO, 1, "owned", None)]
        assert await stock(db).book_in(technician_id=1, serials=[ONE], by="dora") == booked[:1]
        out = await stock(db).book_out(technician_id=1, serials=[HEX], reason="handed back", by="dora")
        assert states(out) == [(ONE, 1, "out", None)]
        assert states(await stock(db).stock(1)) == [(TWO, 1, "owned", None)]
        assert states(await stock(db).stock(1, states=["out"])) == [(ONE, 1, "out", None)]
        assert await stock(db, "south").stock(1) == []
        history = await stock(db).history(HEX)
    assert history["item"] == out[0]
    assert [(one["state"], one["reason"], one["by"]) for one in history["movements"]] == [
        ("owned", None, "dora"),
        ("out", "handed back", "dora"),
    ]


async def test_a_booking_is_whole_or_not_at_all_and_names_everything_in_its_way(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
    async with begin() as db:
        with pytest.raises(StockElsewhere, match=rf"{ONE} \(technician 1\)"):
            await stock(db).book_in(technician_id=2, serials=[TWO, ONE], by="dora")
        with pytest.raises(StockMissing, match=TWO):
            await stock(db).book_out(technician_id=1, serials=[ONE, TWO], reason="broken", by="dora")
        with pytest.raises(StockMissing, match=ONE):
            await stock(db).book_out(technician_id=2, serials=[ONE], reason="broken", by="dora")
        with pytest.raises(InvalidRequest, match=r"serials\[0\] is no serial number.*serials\[2\]"):
            await stock(db).book_in(technician_id=1, serials=["?!", ONE, " "], by="dora")
        with pytest.raises(InvalidRequest, match="serials are 0"):
            await stock(db).book_in(technician_id=1, serials=[], by="dora")
        with pytest.raises(TechnicianUnknown):
            await stock(db).book_in(technician_id=9, serials=[TWO], by="dora")
        with pytest.raises(StockUnknown):
            await stock(db).history(TWO)
        assert states(await stock(db).stock(1)) == [(ONE, 1, "owned", None)]
        assert await stock(db).stock(2) == []


@pytest.mark.both_databases
async def test_of_two_vans_that_are_given_the_same_serial_at_once_one_has_it(begin: Begin) -> None:
    async def attempt(technician_id: int) -> None:
        async with begin() as db:
            await stock(db).book_in(technician_id=technician_id, serials=[ONE], by="dora")

    outcomes = await asyncio.gather(*(attempt(number) for number in (1, 2)), return_exceptions=True)
    [refused] = [each for each in outcomes if each is not None]
    assert isinstance(refused, StockElsewhere | ChangeRaced)
    async with begin() as db:
        held = [states(await stock(db).stock(number)) for number in (1, 2)]
    assert sorted(len(each) for each in held) == [0, 1]


@pytest.mark.both_databases
async def test_two_who_book_the_same_serials_in_crossed_orders_wait_for_each_other_and_one_is_refused(
    begin: Begin,
) -> None:
    serials = [f"HWTC{number:08X}" for number in range(20)]

    async def attempt(technician_id: int, wanted: list[str]) -> None:
        async with begin() as db:
            await stock(db).book_in(technician_id=technician_id, serials=wanted, by="dora")

    outcomes = await asyncio.gather(attempt(1, serials), attempt(2, serials[::-1]), return_exceptions=True)
    [refused] = [each for each in outcomes if each is not None]
    assert isinstance(refused, StockElsewhere | ChangeRaced)
    async with begin() as db:
        held = [len(await stock(db).stock(number)) for number in (1, 2)]
    assert sorted(held) == [0, 20]


@pytest.mark.both_databases
async def test_the_database_refuses_a_second_van_a_lost_visit_and_rewritten_history(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
    row = {"tenant_id": TENANT, "serial": ONE, "technician_id": 2, "state": "owned", "since": NOW}
    wrong = (
        insert(VanItem).values(**row),
        update(VanItem).values(state="installed"),
        update(VanItem).values(state="lost"),
        update(VanMovement).values(state="out"),
        delete(VanMovement),
    )
    for statement in wrong:
        with pytest.raises((IntegrityError, DBAPIError)):
            async with begin() as db:
                await db.execute(statement)
    async with begin() as db:
        assert [one.state for one in await db.scalars(select(VanMovement))] == ["owned"]
        assert states(await stock(db).stock(1)) == [(ONE, 1, "owned", None)]


async def scan(db: AsyncSession, visit: VisitRecord, serial: str, made_at: datetime = NOW) -> VisitRecord:
    """As the door for reports does it; the visit as it is then."""
    await visits(db).report(visit_id=visit["visit_id"], outcome="scanned", serial=serial)
    now = await visits(db).visit(visit["visit_id"])
    await stock(db).install(serial, now, made_at=made_at, by="tom")
    return now


async def test_a_scan_takes_a_serial_out_of_the_van_that_has_it_and_brings_back_what_was_scanned_before(
    begin: Begin,
) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
        await stock(db).book_in(technician_id=2, serials=[TWO], by="dora")
        visit = await book(db)
        assert await stock(db).is_from_van(visit) is None
        told, here = [], visit["visit_id"]
        for serial in (ONE, TWO, "HWTC00000009"):
            now = await scan(db, visit, serial)
            await stock(db).install(serial, now, by="tom")  # a label that is scanned again
            told.append((await stock(db).is_from_van(now), states(await stock(db).stock(1))))
            told.append((None, states(await stock(db).stock(2, states=["owned", "installed"]))))
        moves = [[one["state"] for one in (await stock(db).history(serial))["movements"]] for serial in (ONE, TWO)]
    back, too = (ONE, 1, "returned", None), (TWO, 1, "returned", None)
    assert told == [
        (True, []),
        (None, [(TWO, 2, "owned", None)]),
        (False, [back]),  # the second was in another van
        (None, [(TWO, 2, "installed", here)]),
        (False, [back, too]),  # the third in none
        (None, []),
    ]
    assert moves == [["owned", "installed", "returned"]] * 2


async def test_a_scan_is_believed_of_what_was_handed_back_or_is_at_another_customer_s(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
        await stock(db).book_out(technician_id=1, serials=[ONE], reason="handed back", by="dora")
        first, second = await book(db), await book(db, starts_at=at(14), customer_id=43)
        told = []
        for visit in (first, second):
            now = await scan(db, visit, ONE)
            told.append((await stock(db).is_from_van(now), states(await stock(db).stock(1, states=["installed"]))))
    assert told == [(False, [(ONE, 1, "installed", visit["visit_id"])]) for visit in (first, second)]


async def test_what_was_in_the_van_was_there_also_when_it_is_taken_back_at_the_same_visit(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
        now = await scan(db, await book(db), ONE)
        await stock(db).take_back(ONE, now, note="dead", by="tom")
        assert await stock(db).is_from_van(now) is True


async def test_what_is_taken_back_is_in_the_visits_van_unless_another_van_has_it(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=2, serials=[TWO], by="dora")
        visit = await book(db)
        with pytest.raises(StockElsewhere, match=rf"{TWO} \(technician 2\)"):
            await stock(db).take_back(TWO, visit, note=None, by="tom")
        await stock(db).take_back(ONE, visit, note="no light", by="tom")
        assert [states(await stock(db).stock(number)) for number in (1, 2)] == [
            [(ONE, 1, "returned", None)],
            [(TWO, 2, "owned", None)],
        ]
        last = (await stock(db).history(ONE))["movements"][-1]
        assert (last["visit_id"], last["reason"], last["by"]) == (visit["visit_id"], "no light", "tom")
        assert states(await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")) == [(ONE, 1, "owned", None)]
        with pytest.raises(InvalidRequest, match=r"content\.serial is no serial number: \?!"):
            await stock(db).take_back("?!", visit, note=None, by="tom")
        with pytest.raises(InvalidRequest, match=r"serial is no serial number: \?!") as refused:
            await stock(db).history("?!")
        assert [fault.field for fault in refused.value.faults] == ["serial"]


async def test_what_is_told_late_is_kept_and_undoes_nothing_that_is_known_since(begin: Begin) -> None:
    async with begin() as db:
        visit = await book(db)
        scanned, dead = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
        now = await scan(db, visit, ONE, made_at=scanned)  # one after the other they come from a cellar
        await stock(db).take_back(ONE, now, note="dead", made_at=dead, by="tom")
        [back] = await stock(db).stock(1)
        assert (back["state"], back["since"]) == ("returned", dead)
        await stock(db).book_out(technician_id=1, serials=[ONE], reason="handed back", by="dora")
        await stock(db).take_back(ONE, now, note="again", made_at=dead, by="tom")
        history = await stock(db).history(ONE)
        assert (history["item"]["state"], history["item"]["since"]) == ("out", NOW)
        assert [(one["state"], one["at"], one["reason"]) for one in history["movements"]] == [
            ("installed", scanned, None),
            ("returned", dead, "dead"),
            ("returned", dead, "again"),
            ("owned", NOW, None),
            ("out", NOW, "handed back"),
        ]
        ahead = NOW + timedelta(minutes=40)  # a device's clock
        await stock(db).take_back(ONE, now, note=None, made_at=ahead, by="tom")
        assert (await stock(db).stock(1))[0]["since"] == NOW


async def test_what_is_at_a_customer_s_is_booked_into_a_van_only_with_a_reason(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE, TWO], by="dora")
        visit = await book(db)
        await scan(db, visit, ONE)
        with pytest.raises(StockInstalled, match=rf"{ONE} \(visit {visit['visit_id']}\)"):
            await stock(db).book_in(technician_id=2, serials=["HWTC00000009", ONE], by="dora")
        booked = await stock(db).book_in(technician_id=2, serials=[ONE], reason="came by post", by="dora")
        assert states(booked) == [(ONE, 2, "owned", None)]
        assert (await stock(db).history(ONE))["movements"][-1]["reason"] == "came by post"


async def test_of_a_van_of_which_no_stock_is_kept_nothing_is_said(begin: Begin) -> None:
    async with begin() as db:
        visit = await book(db)
        await visits(db).report(visit_id=visit["visit_id"], outcome="scanned", serial=ONE)
        assert await stock(db).is_from_van(await visits(db).visit(visit["visit_id"])) is None
