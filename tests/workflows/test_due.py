"""One question tells a worker all that there is to do."""

from __future__ import annotations

from datetime import timedelta

from tests.workflows.test_events import events_of, publish
from tests.workflows.toy import Toy
from workflows.engine.due import MOVES_WITHIN, TAKEN_UP_WITHIN, Due, Overdue, what_is_due, what_is_overdue


async def due(toy: Toy, tenant_id: str = "main") -> Due:
    async with toy.database.read() as db:
        return await what_is_due(db, tenant_id=tenant_id, now=toy.clock(), signals=["arrival", "departure"])


async def test_where_nothing_goes_on_there_is_nothing_to_do(toy: Toy) -> None:
    assert await due(toy) == Due(events=False, timers=False, signals=frozenset())


async def test_an_event_is_due_until_it_was_taken_up(toy: Toy) -> None:
    events = events_of(toy)
    await publish(toy, events)
    assert (await due(toy)).events
    assert not (await due(toy, "another")).events
    await events.take_up(toy.database.begin)
    assert not (await due(toy)).events


async def test_a_run_that_waits_is_due_for_its_signal_and_at_its_deadline(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert await due(toy) == Due(events=False, timers=False, signals=frozenset({"arrival"}))
    assert (await due(toy, "another")).signals == frozenset()
    toy.clock.advance(timedelta(days=400))
    assert await due(toy) == Due(events=False, timers=True, signals=frozenset({"arrival"}))
    await toy.arrive(run_id)
    await toy.dispatch().drain()
    assert await due(toy) == Due(events=False, timers=False, signals=frozenset())


async def overdue(toy: Toy, tenant_id: str = "main") -> Overdue:
    async with toy.database.read() as db:
        return await what_is_overdue(db, tenant_id=tenant_id, now=toy.clock())


NOTHING = Overdue(runs=0, events=0, since=None)


async def test_an_event_that_nobody_takes_up_is_overdue_after_minutes(toy: Toy) -> None:
    events, happened_at = events_of(toy), toy.clock()
    await publish(toy, events)
    toy.clock.advance(TAKEN_UP_WITHIN)
    assert await overdue(toy) == NOTHING
    toy.clock.advance(timedelta(seconds=1))
    assert await overdue(toy) == Overdue(runs=0, events=1, since=happened_at)
    assert await overdue(toy, "another") == NOTHING


async def test_a_run_that_nobody_begins_is_overdue_and_so_is_one_whose_time_has_come(toy: Toy) -> None:
    started_at = toy.clock()
    await toy.start()
    toy.clock.advance(MOVES_WITHIN + timedelta(seconds=1))
    assert await overdue(toy) == Overdue(runs=1, events=0, since=started_at)
    await toy.dispatch().drain()
    assert await overdue(toy) == NOTHING
    toy.clock.advance(timedelta(days=400))
    slept = await overdue(toy)
    assert (slept.runs, slept.events) == (1, 0)
    assert slept.since is not None and started_at < slept.since < toy.clock() - TAKEN_UP_WITHIN
