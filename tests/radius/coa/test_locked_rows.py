"""A row that somebody else has locked holds up its own change alone, and none longer than a moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from radius.coa.claims import LEASE
from radius.coa.tables import SessionChange
from radius.projection import radius_database
from radius.projection.freeradius_tables import radacct, radusergroup
from radius.subscribers import subscribers
from radius.subscribers.former_names import hold_again, set_free
from tests.radius.coa.test_rounds import online_at
from tests.radius.conftest import Site
from tests.radius.online import FASTER, Line, go_online

pytestmark = pytest.mark.parametrize("kind", ["postgresql"])  # SQLite has one lock for all


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


@pytest.fixture
async def other(line: Line) -> AsyncIterator[Line]:
    [nas] = await line.site.nases(["mikrotik"])
    made = await online_at(line, nas)
    yield made
    await made.nas.close()


async def test_a_row_of_freeradius_that_stays_locked_holds_up_its_own_change_alone(
    line: Line, other: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(radius_database, "LOCK_TIMEOUT_SECONDS", 0.1)
    changes = [await one.act("change_plan", plan=FASTER) for one in (line, other)]
    async with line.site.radius_database.begin() as db:
        mine = radusergroup.c.username == line.subscriber["username"]
        await db.execute(update(radusergroup).where(mine).values(priority=7))
        assert await line.changes.deliver_due() == 1
        told = [await line.shown(change) for change in changes]
        assert [[one["said"] for one in each["sessions"]] for each in told] == [[], ["changed"]]
        assert [each["attempts"] for each in told] == [1, 0]
        await db.rollback()
    told_later = await line.changes.deliver(changes[0]["change_id"])
    assert [one["said"] for one in told_later["sessions"]] == ["changed"]


async def test_a_change_that_somebody_has_locked_holds_up_the_answers_to_no_other(line: Line, other: Line) -> None:
    changes = [await one.act("change_plan", plan=FASTER) for one in (line, other)]
    async with AsyncExitStack() as held:

        async def lock() -> None:
            line.nas.disconnects.mood.first = None
            db = await held.enter_async_context(line.site.database.begin())
            mine = select(SessionChange.id).where(SessionChange.id == changes[0]["change_id"])
            await db.execute(mine.with_for_update())

        line.nas.disconnects.mood.first = lock
        worker = line.changes
        worker._pauses = ()
        await worker.deliver_due()
        told = [await line.shown(change) for change in changes]
        assert [[one["said"] for one in each["sessions"]] for each in told] == [[], ["changed"]]
    line.behind -= LEASE + timedelta(seconds=10)
    again = await line.changes.deliver(changes[0]["change_id"])
    assert [one["said"] for one in again["sessions"]] == ["changed"]


async def test_a_ghost_whose_row_is_locked_is_left_open_and_the_change_goes_on(line: Line, other: Line) -> None:
    for one in (line, other):
        one.nas.sessions.clear()
    changes = [await one.act("change_plan", plan=FASTER) for one in (line, other)]
    async with line.site.radius_database.begin() as db:
        mine = radacct.c.username == line.subscriber["username"]
        await db.execute(update(radacct).where(mine).values(acctinputoctets=1))
        assert await line.changes.deliver_due() == 2
        told = [(await line.shown(change))["sessions"][0] for change in changes]
    assert [one["said"] for one in told] == ["unknown_to_nas"] * 2
    assert [one["confirmed_at"] is None for one in told] == [True, False]


async def test_a_name_that_is_held_again_is_not_set_free_at_the_same_time_and_nobody_waits_for_that(line: Line) -> None:
    former, begin, tenant_id = line.subscriber["username"], line.site.database.begin, line.site.tenant_id
    await line.act("rename", username=line.site.new_username())

    async def held_again() -> bool:
        async with begin() as db:
            return await hold_again(db, await subscribers.locked(db, tenant_id, line.id), former)

    async with begin() as ours, begin() as theirs:
        assert not await hold_again(ours, await subscribers.locked(ours, tenant_id, line.id), former)
        assert await set_free(theirs, tenant_id, line.id, [former], now=line.now()) == set()
    async with begin() as theirs:
        assert await set_free(theirs, tenant_id, line.id, [former], now=line.now()) == {former}
        ours_too = asyncio.create_task(held_again())
        await asyncio.sleep(0)
    assert await ours_too
