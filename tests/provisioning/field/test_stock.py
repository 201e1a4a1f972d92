"""What vans hold: each serial in one van at most, out of it by a scan, into it by being taken back, all of it kept."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import ChangeRaced, InvalidRequest
from provisioning.field import (
    StockElsewhere,
    StockItem,
    StockMissing,
    StockUnknown,
    TechnicianUnknown,
    VanItem,
    VanMovement,
    VanStock,
)
from tests.provisioning.field.conftest import NOW, TENANT, book, visits

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


async def test_a_scan_takes_a_serial_out_of_the_van_that_has_it_and_keeps_nothing_of_one_that_none_has(
    begin: Begin,
) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")
        await stock(db).book_in(technician_id=2, serials=[TWO], by="dora")
        visit = await book(db)
        assert await stock(db).is_from_van(visit) is None
        told = []
        for serial in (ONE, TWO, "HWTC00000009"):
            await visits(db).report(visit_id=visit["visit_id"], outcome="scanned", serial=serial)
            now = await visits(db).visit(visit["visit_id"])
            for _ in range(2):  # a label that is scanned again
                await stock(db).install(serial, now, by="tom")
            told.append(await stock(db).is_from_van(now))
        assert told == [True, False, False]  # the second was in another van
        installed = [await stock(db).stock(number, states=["installed"]) for number in (1, 2)]
        moves = [len((await stock(db).history(serial))["movements"]) for serial in (ONE, TWO)]
    assert [states(each) for each in installed] == [
        [(ONE, 1, "installed", visit["visit_id"])],
        [(TWO, 2, "installed", visit["visit_id"])],
    ]
    assert moves == [2, 2]


async def test_what_is_taken_back_is_in_the_visits_van_whatever_was_known_of_it(begin: Begin) -> None:
    async with begin() as db:
        await stock(db).book_in(technician_id=2, serials=[TWO], by="dora")
        visit = await book(db)
        for serial in (TWO, ONE):
            await stock(db).take_back(serial, visit, note="no light", by="tom")
        assert states(await stock(db).stock(1)) == [(TWO, 1, "returned", None), (ONE, 1, "returned", None)]
        last = (await stock(db).history(TWO))["movements"][-1]
        assert (last["visit_id"], last["reason"], last["by"]) == (visit["visit_id"], "no light", "tom")
        assert states(await stock(db).book_in(technician_id=1, serials=[ONE], by="dora")) == [(ONE, 1, "owned", None)]


async def test_of_a_van_of_which_no_stock_is_kept_nothing_is_said(begin: Begin) -> None:
    async with begin() as db:
        visit = await book(db)
        await visits(db).report(visit_id=visit["visit_id"], outcome="scanned", serial=ONE)
        assert await stock(db).is_from_van(await visits(db).visit(visit["visit_id"])) is None
