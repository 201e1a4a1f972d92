"""A crash at any named instant, also twice, changes nothing but the number of repeated outside calls.

Here the crash is an exception that no handler catches, followed by a new interpreter over the same database: quick
enough to try every instant. ``tests/durability`` does the same with processes and ``kill -9``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.workflows.test_interpreter import act, view
from tests.workflows.toy import Toy, ToyOutage


class Died(BaseException):
    """The process is gone."""


class Reaper:
    """Counts the instants, and dies at the given ones."""

    def __init__(self, *fatal: int) -> None:
        self.fatal = set(fatal)
        self.seen: list[str] = []

    def __call__(self, point: str) -> None:
        self.seen.append(point)
        if len(self.seen) in self.fatal:
            raise Died(point)


async def complete(toy: Toy, at: Callable[[str], None], *, cancel: bool = False) -> int:
    run_id = await toy.start()
    await toy.arrive(run_id)
    toy.world.fail_next(ToyOutage("away"))  # so that the retry's own commits are among the instants
    if cancel:
        await survive(toy, at, until_first_rest=True)
        await act(toy, "cancel", run_id, reason="test")
    await survive(toy, at)
    return run_id


async def survive(toy: Toy, at: Callable[[str], None], *, until_first_rest: bool = False) -> None:
    while True:
        try:
            dispatch = toy.dispatch(at)
            await (dispatch.drain() if until_first_rest else dispatch.sleep_until_rest())
            return
        except Died:
            continue


@pytest.mark.scenario("D11")
@pytest.mark.parametrize("cancel", [False, True], ids=["forward", "undo"])
async def test_a_crash_at_every_instant_ends_as_if_nothing_had_happened(toy: Toy, cancel: bool) -> None:
    counting = Reaper()
    await complete(toy, counting, cancel=cancel)
    instants = len(counting.seen)
    assert instants > (12 if cancel else 20)
    for first in range(1, instants + 1):
        await _reset(toy)
        reaper = Reaper(first, first + 3)
        run_id = await complete(toy, reaper, cancel=cancel)
        where = f"died at {reaper.seen[first - 1]} (instant {first})"
        await _assert_ended_well(toy, run_id, where, cancelled=cancel)


@pytest.mark.parametrize("undone", ["open_door", "order_badge"])
async def test_a_step_that_was_undone_has_moved_its_run_for_those_who_look_at_it(toy: Toy, undone: str) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id)
    await toy.dispatch().drain()
    await act(toy, "cancel", run_id, reason="moved away")

    def at(point: str) -> None:
        if point == f"undo:{undone}.effect":
            toy.clock.advance(timedelta(minutes=1))
        if point == f"undo:{undone}.committed":
            raise Died(point)

    with pytest.raises(Died):
        await toy.dispatch(at).drain()
    seen = await view(toy, run_id)
    assert {step.name: step.state for step in seen.steps}[undone] == "undone"
    assert (seen.summary.state, seen.summary.updated_at) == ("pendingCancellation", toy.clock())


async def _assert_ended_well(toy: Toy, run_id: int, where: str, *, cancelled: bool) -> None:
    done = await view(toy, run_id)
    if cancelled:
        assert done.summary.state == "cancelled", where
        assert (toy.world.keyed, toy.world.doors, await toy.desks()) == ({}, set(), []), where
        return
    assert done.summary.state == "completed", (where, done.summary)
    assert await toy.desks() == ["A1"], where
    assert toy.world.keyed == {"order/A1/order_badge": "badge for Ada"}, where
    assert toy.world.doors == {"A1"}, where
    assert set(toy.world.mails) == {"order/A1/mail_welcome"}, where
    assert toy.world.mails["order/A1/mail_welcome"] <= 2, where


async def _reset(toy: Toy) -> None:
    from sqlalchemy import delete

    from tests.workflows.toy import Desk, World
    from workflows.engine.tables import RunNote, RunRow, SignalRow, StepRow

    async with toy.database.begin() as db:
        for table in (RunNote, SignalRow, StepRow, RunRow, Desk):
            await db.execute(delete(table))
    fresh = World()
    for name in World.__dataclass_fields__:
        setattr(toy.world, name, getattr(fresh, name))
