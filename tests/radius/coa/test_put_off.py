"""A session that cannot be asked now is asked later, and what is known of it by then stays known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from radius.coa import lanes
from radius.coa.doors import KnownNas, doors_or_reasons
from radius.coa.tables import SessionChange
from radius.projection.freeradius_tables import radacct
from radius.tables import Plan
from radius.testing import LabNas
from tests.radius.coa.test_rounds import online_again
from tests.radius.conftest import PLAN, Site
from tests.radius.online import FASTER, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


@pytest.fixture
async def listening(line: Line) -> AsyncIterator[Callable[[str], Awaitable[LabNas]]]:
    """Makes another NAS of that dialect, which can be asked."""
    made: list[LabNas] = []

    async def make(dialect: str) -> LabNas:
        [nas] = await line.site.nases([dialect])
        made.append(nas)
        port = await nas.listen()
        async with line.site.database.begin() as db:
            service = line.site.service(db)
            await service.define_nas(name=nas.name, address=nas.source_address, dialect=dialect, coa_port=port)
        return nas

    yield make
    for nas in made:
        await nas.close()


async def door_of(line: Line, nas: LabNas) -> KnownNas:
    site = line.site
    doors = await doors_or_reasons(
        site.database.begin, {nas.source_address}, tenant_id=site.tenant_id, secrets=site.secrets
    )
    door = doors[nas.source_address]
    assert isinstance(door, KnownNas)
    return door


async def right_above(line: Line, change_id: int) -> int | None:
    async with line.site.database.begin() as db:
        found: int | None = await db.scalar(select(SessionChange.right_above).where(SessionChange.id == change_id))
        return found


async def test_a_request_that_may_have_come_through_is_reckoned_with_though_its_retry_was_put_off(line: Line) -> None:
    three_days_ago = datetime.now(UTC) - timedelta(days=3)
    async with line.site.radius_database.begin() as db:
        mine = update(radacct).where(radacct.c.username == line.subscriber["username"])
        await db.execute(mine.values(acctstarttime=three_days_ago))
    async with line.site.database.begin() as db:  # the session cannot have it unless it was told
        await db.execute(update(Plan).where(Plan.name == FASTER).values(updated_at=datetime.now(UTC)))
    worker = line.changes
    line.nas.disconnects.mood.silent = True  # or it has done it, and its answer was lost
    first = await worker.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    put_off = await worker.deliver(first["change_id"])
    [before], [session] = first["sessions"], put_off["sessions"]
    assert (session["said"], session["asked_at"], put_off["attempts"]) == ("unanswered", before["asked_at"], 1)
    assert session["reason"].endswith("has just been silent, and is asked again later")

    line.nas.disconnects.mood.silent = False
    back = await line.changes.deliver((await line.act("change_plan", plan=PLAN))["change_id"])
    assert [one["said"] for one in back["sessions"]] == ["changed"]


async def test_a_service_that_is_gone_already_is_not_withdrawn_again_after_a_retry_was_put_off(
    line: Line, listening: Callable[[str], Awaitable[LabNas]]
) -> None:
    nas = await listening("juniper")
    theirs = await online_again(line, nas)
    change = (await theirs.act("change_plan", plan=FASTER))["change_id"]
    worker = theirs.changes
    await worker.deliver(change)
    theirs.behind = timedelta(seconds=-1000)  # three intervals that have not borne it out
    worker._lanes.answered(await door_of(line, nas), silent=True)
    [session] = (await worker.deliver(change))["sessions"]
    assert (session["said"], session["confirmed_at"]) == ("changed", None)
    assert session["reason"].endswith("has just been silent, and is asked again later")
    await theirs.changes.deliver(change)
    first, *_, again = nas.disconnects.requests
    assert ("ERX-Service-Deactivate" in first.values, "ERX-Service-Deactivate" in again.values) == (True, False)


async def test_who_logs_in_while_others_wait_for_their_nas_is_right_and_not_asked(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "SILENT_FOR_SECONDS", 300.0)
    worker = line.changes
    worker._lanes.answered(await door_of(line, line.nas), silent=True)
    made = await line.act("change_plan", plan=FASTER)
    change = made["change_id"]
    told = await worker.deliver(change)
    assert told["carried_at"] is not None and told["next_at"] is not None
    assert told["next_at"] - told["carried_at"] < timedelta(seconds=20)
    assert await right_above(line, change) is None

    line.behind -= timedelta(seconds=20)
    assert await worker.deliver_due() == 1
    told = await line.shown(made)
    assert await right_above(line, change) is not None
    assert told["next_at"] is not None
    assert timedelta(seconds=290) < told["next_at"] - line.now() < timedelta(seconds=301)  # it has kept its place

    await line.nas.accounting_start(replace(line.session, session_id="logged in since"))  # which ends the former one
    line.behind -= timedelta(seconds=300)
    [session] = (await line.changes.deliver(change))["sessions"]
    assert (session["session_id"], session["confirmed_at"] is None) == (line.session.session_id, False)
    assert line.nas.disconnects.requests == []


async def test_a_session_that_waits_for_its_nas_delays_no_other_of_the_same_subscriber(
    line: Line, listening: Callable[[str], Awaitable[LabNas]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "SILENT_FOR_SECONDS", 300.0)
    other = await listening("mikrotik")
    await other.accounting_start(replace(line.session, session_id="elsewhere"))
    other.disconnects.mood.silent = True
    made = await line.act("change_plan", plan=FASTER)
    for attempts, seconds in ((1, 30), (2, 60)):
        worker = line.changes
        worker._lanes.answered(await door_of(line, line.nas), silent=True)
        told = await worker.deliver(made["change_id"])
        said = {one["session_id"]: one["said"] for one in told["sessions"]}
        assert said == {line.session.session_id: "not_asked", "elsewhere": "unanswered"}
        assert (told["attempts"], told["next_at"] is not None) == (attempts, True)
        assert told["next_at"] is not None
        assert timedelta(seconds=seconds - 2) < told["next_at"] - line.now() <= timedelta(seconds=seconds)
        line.behind -= timedelta(seconds=seconds)
