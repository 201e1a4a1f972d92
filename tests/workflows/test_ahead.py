"""Which runs will soon do by themselves what somebody would otherwise do by hand."""

from __future__ import annotations

from tests.workflows.test_interpreter import act
from tests.workflows.toy import Toy, ToyFault, ToyOutage
from workflows import runs_before

DAYS_OF_WAITING, ITS_WORD = "another", "arrival"


async def before(toy: Toy, step: str, told_of_by: str = ITS_WORD) -> list[int]:
    async with toy.database.read() as db:
        return await runs_before(db, tenant_id="main", journey="hire", step=step, customer_id=7, told_of_by=told_of_by)


async def test_a_run_comes_to_a_step_until_it_has_done_it(toy: Toy) -> None:
    run_id = await toy.start()
    assert (await before(toy, "open_door"), await before(toy, "order_badge")) == ([run_id], [run_id])
    await toy.dispatch().drain()
    assert (await before(toy, "open_door"), await before(toy, "order_badge")) == ([run_id], [])
    await toy.arrive(run_id)
    await toy.dispatch().drain()
    assert await before(toy, "open_door") == []


async def test_a_run_that_waits_for_something_else_comes_to_nothing_soon(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert await before(toy, "open_door", told_of_by=DAYS_OF_WAITING) == []
    assert await before(toy, "open_door") == [run_id]


async def test_a_run_that_tries_again_goes_on_by_itself(toy: Toy) -> None:
    toy.world.fail_next(ToyOutage("busy"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert await before(toy, "order_badge", told_of_by=DAYS_OF_WAITING) == [run_id]


async def test_a_step_that_was_passed_over_is_not_before_a_run_any_more(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    await toy.arrive(run_id)
    toy.world.fail_next(ToyFault("the door is stuck"))
    await toy.dispatch().drain()
    assert await before(toy, "open_door") == []  # held: a person decides
    await act(toy, "skip", run_id, reason="it is open")
    assert await before(toy, "open_door") == []
    remote = await toy.start(order="A2", remote=True, customer_id=7)
    assert await before(toy, "open_door") == [remote]
