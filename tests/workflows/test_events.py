"""What has happened starts its journey once, whoever looks and however often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.workflows.toy import HIRE, Toy
from workflows import Events, EventView, Runs, list_events, refused_events
from workflows.engine.invariants import stuck_events
from workflows.engine.tables import RunRow
from workflows.errors import EventConflict, EventRefused, EventSettled, EventTypeUnknown, EventUnknown
from workflows.testing import InlineDispatch

HIRED = {"order": "A1", "name": "Ada", "customer_id": 7, "remote": False}


def events_of(toy: Toy, **starters: Any) -> Events:
    """Hiring starts with ``person.hired``."""
    definitions = {("hire", 1): replace(HIRE, started_by="person.hired")}
    runs = Runs(definitions=definitions, doorbell=InlineDispatch.doorbell, clock=toy.clock, tenant_id="main")
    return Events(definitions=definitions, runs=runs, clock=toy.clock, tenant_id="main", starters=starters)


async def publish(toy: Toy, events: Events, key: str = "hired/A1", **changed: Any) -> tuple[int, bool]:
    async with toy.database.begin() as db:
        return await events.publish(db, "person.hired", subject="A1", data=HIRED | changed, key=key, by="nora")


async def listed(toy: Toy) -> list[EventView]:
    async with toy.database.begin() as db:
        return await list_events(db, tenant_id="main")


async def test_an_event_starts_its_journey_once_though_several_workers_look(toy: Toy) -> None:
    events = events_of(toy)
    number, is_new = await publish(toy, events)
    await asyncio.gather(*(events.take_up(toy.database.begin) for _ in range(4)))
    await events.take_up(toy.database.begin)

    [event] = await listed(toy)
    async with toy.database.begin() as db:
        runs = (await db.scalars(select(RunRow))).all()
    assert is_new
    assert (event.id, event.state, event.published_by) == (number, "started", "nora")
    assert [(run.id, run.business_key) for run in runs] == [(event.run_id, "order/A1")]


async def test_the_same_again_is_the_same_event_and_other_content_a_conflict(toy: Toy) -> None:
    events = events_of(toy)
    first, _ = await publish(toy, events)

    assert await publish(toy, events) == (first, False)
    with pytest.raises(EventConflict, match=f"hired/A1 is event {first} already"):
        await publish(toy, events, name="Eve")


async def test_what_a_door_starts_at_once_is_an_event_that_has_started_its_run(toy: Toy) -> None:
    events = events_of(toy)
    for expected in (True, False):
        async with toy.database.begin() as db:
            run_id, is_new = await events.start(db, "hire", HIRED, by="nora")
        assert is_new is expected
    assert await events.take_up(toy.database.begin) == 0
    [event] = await listed(toy)
    assert (event.type, event.state, event.run_id) == ("person.hired", "started", run_id)
    assert (event.key, event.subject, event.data, event.published_by) == ("order/A1", "order/A1", HIRED, "nora")

    other = HIRED | {"order": "B2"}
    async with toy.database.begin() as db:
        await events.publish(db, "person.hired", subject="order/B2", data=other, key="hired/B2", by="nora")
        await events.start(db, "hire", other, by="otto")
    await events.take_up(toy.database.begin)
    [later, _first] = await listed(toy)
    assert (later.key, later.published_by, later.state) == ("hired/B2", "nora", "started"), "it was told already"


async def test_an_event_vanishes_with_the_change_that_caused_it(toy: Toy) -> None:
    events = events_of(toy)
    with pytest.raises(RuntimeError, match="the change failed"):
        async with toy.database.begin() as db:
            await events.publish(db, "person.hired", subject="A1", data=HIRED, key="hired/A1", by="nora")
            raise RuntimeError("the change failed")

    assert await events.take_up(toy.database.begin) == 0
    assert await listed(toy) == []


async def test_what_starts_no_journey_is_kept_and_says_so(toy: Toy) -> None:
    events = events_of(toy)
    with pytest.raises(EventTypeUnknown, match=r"no journey is started by person\.fired; known events: person\.hired"):
        events.require_known("person.fired")
    async with toy.database.begin() as db:
        await events.publish(db, "person.fired", subject="A1", data={}, key="fired/A1", by="nora")
    await events.take_up(toy.database.begin)

    [event] = await listed(toy)
    assert (event.state, event.reason) == ("ignored", "no journey is started by person.fired")


async def test_an_event_that_its_journey_does_not_take_says_why_and_leaves_nothing(toy: Toy) -> None:
    events = events_of(toy)
    async with toy.database.begin() as db:
        await events.publish(db, "person.hired", subject="A1", data={"order": "A1"}, key="hired/A1", by="nora")

    assert await events.take_up(toy.database.begin) == 1

    [event] = await listed(toy)
    assert (event.state, event.run_id) == ("refused", None)
    assert event.reason is not None and "name: is missing" in event.reason
    async with toy.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(RunRow)) == 0


async def test_a_door_may_check_more_and_its_refusal_undoes_what_it_wrote(toy: Toy) -> None:
    async def door(db: AsyncSession, data: Any, by: str) -> tuple[int, bool]:
        run_id, _ = await toy.runs.start(db, "hire", data, by=by)
        raise EventRefused(f"run {run_id} was not wanted")

    events = events_of(toy, **{"person.hired": door})
    await publish(toy, events)
    await events.take_up(toy.database.begin)

    [event] = await listed(toy)
    assert (event.state, event.reason) == ("refused", "run 1 was not wanted")
    async with toy.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(RunRow)) == 0


async def test_one_that_fails_stays_pending_and_stops_no_other(toy: Toy) -> None:
    async def door(db: AsyncSession, data: Any, by: str) -> tuple[int, bool]:
        if data["order"] == "A1":
            raise ConnectionError("the other side is away")
        return await toy.runs.start(db, "hire", data, by=by)

    events = events_of(toy, **{"person.hired": door})
    await publish(toy, events)
    await publish(toy, events, key="hired/B2", order="B2")
    with pytest.raises(ExceptionGroup) as failed:
        await events.take_up(toy.database.begin)

    assert [str(error) for error in failed.value.exceptions] == ["the other side is away"]
    assert [(event.key, event.state) for event in await listed(toy)] == [
        ("hired/B2", "started"),
        ("hired/A1", "pending"),
    ]
    async with toy.database.begin() as db:
        [finding] = await stuck_events(db, tenant_id="main", occurred_before=toy.clock() + timedelta(seconds=1))
        assert finding.subject == "event 1"
        assert "person.hired about A1" in finding.sentence


async def test_many_that_fail_leave_later_ones_their_turn_and_get_their_own_again(toy: Toy) -> None:
    away = {"A0", "A1", "A2"}

    async def door(db: AsyncSession, data: Any, by: str) -> tuple[int, bool]:
        if data["order"] in away:
            raise ConnectionError("the other side is away")
        return await toy.runs.start(db, "hire", data, by=by)

    events = events_of(toy, **{"person.hired": door})
    for number in range(4):
        await publish(toy, events, key=f"hired/A{number}", order=f"A{number}")
    for _ in range(2):
        with pytest.raises(ExceptionGroup):
            await events.take_up(toy.database.begin, most=2)
    assert [event.key for event in await listed(toy) if event.state == "started"] == ["hired/A3"]

    away.clear()
    for _ in range(3):
        await events.take_up(toy.database.begin, most=2)
    assert {event.state for event in await listed(toy)} == {"started"}


async def test_a_journey_that_is_started_by_name_says_whether_that_is_new(toy: Toy) -> None:
    events = events_of(toy)
    async with toy.database.begin() as db:
        first = await events.start(db, "hire", HIRED, by="nora")
        other = await events.start(db, "hire", HIRED | {"order": "B2"}, by="nora")
        assert await events.start(db, "hire", HIRED, by="nora") == (first[0], False)
    assert (first[1], other[1]) == (True, True)
    assert first[0] != other[0]


def refusing(toy: Toy, in_the_way: Sequence[str]) -> Callable[[AsyncSession, Any, str], Awaitable[tuple[int, bool]]]:
    """A door that lets nobody in, as long as something is in the way."""

    async def door(db: AsyncSession, data: Any, by: str) -> tuple[int, bool]:
        if in_the_way:
            raise EventRefused(in_the_way[0])
        return await toy.runs.start(db, "hire", data, by=by)

    return door


async def test_an_event_that_was_refused_is_set_aside_with_a_reason_and_may_still_be_taken_up(toy: Toy) -> None:
    in_the_way = ["the desk is being painted."]

    events = events_of(toy, **{"person.hired": refusing(toy, in_the_way)})
    number, _ = await publish(toy, events)
    async with toy.database.begin() as db:
        with pytest.raises(EventSettled, match=f"event {number} is pending"):
            await events.set_aside(db, number, why="too early", by="nora")
    await events.take_up(toy.database.begin)
    long_ago, now = toy.clock() - timedelta(days=1), toy.clock() + timedelta(days=1)
    async with toy.database.begin() as db:
        [refused] = await refused_events(db, tenant_id="main", since=long_ago)
        assert await refused_events(db, tenant_id="main", since=now) == []
        assert await refused_events(db, tenant_id="another", since=long_ago) == []
        for _ in range(2):
            await events.set_aside(db, number, why="she is not coming", by="nora")
        assert await refused_events(db, tenant_id="main", since=long_ago) == []
    assert (refused.type, refused.count, refused.newest_id, refused.reason) == (
        "person.hired",
        1,
        number,
        in_the_way[0],
    )
    [event] = await listed(toy)
    told = "the desk is being painted. Set aside by nora: she is not coming"
    assert (event.state, event.reason) == ("ignored", told)

    in_the_way.clear()
    async with toy.database.begin() as db:
        await events.retry(db, number)
    await events.take_up(toy.database.begin)
    [event] = await listed(toy)
    assert event.state == "started"


async def test_an_event_that_was_refused_can_be_taken_up_again_and_no_other(toy: Toy) -> None:
    in_the_way = ["the desk is being painted"]

    events = events_of(toy, **{"person.hired": refusing(toy, in_the_way)})
    number, _ = await publish(toy, events)
    await events.take_up(toy.database.begin)
    assert [(event.state, event.reason) for event in await listed(toy)] == [("refused", "the desk is being painted")]

    in_the_way.clear()
    async with toy.database.begin() as db:
        await events.retry(db, number)
        await events.retry(db, number)
    await events.take_up(toy.database.begin)

    [event] = await listed(toy)
    assert (event.state, event.reason, event.run_id is not None) == ("started", None, True)
    async with toy.database.begin() as db:
        with pytest.raises(EventSettled, match=f"event {number} is started"):
            await events.retry(db, number)
        with pytest.raises(EventUnknown, match="there is no event 99"):
            await events.retry(db, 99)
