"""Where an outcome or an error leads, and that it leads nowhere the definition does not name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.database import Database
from tests.workflows.test_interpreter import view
from tests.workflows.toy import (
    HIRE,
    Hire,
    Toy,
    ToyOutage,
    arrival,
    mail_welcome,
    make_toy,
    open_door,
    order_badge,
    take_desk,
)
from workflows.engine.routes import Elsewhere, GoBack, Hold
from workflows.engine.run import Run
from workflows.engine.run_views import RunView
from workflows.engine.steps import Step

Lead = Callable[[Run[Hire], str], Elsewhere | None]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """One kind is enough: where a run goes is decided by rows alone."""
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    yield opened
    await opened.close()


async def hired(
    database: Database, *changed: Step[Any, Any], faults: int = 0, arrives: str = "came"
) -> tuple[Toy, RunView]:
    """A run of the toy's journey with some steps changed, whose door fails so often, after somebody arrived."""
    named = {each.name: each for each in changed}
    steps = tuple(named.get(each.name, each) for each in HIRE.steps)
    definition = replace(HIRE, steps=steps, reopens={"arrival": (named.get("arrival", arrival), mail_welcome)})
    toy = await make_toy(database, {("hire", 1): definition})
    run_id = await toy.start()
    await toy.dispatch().drain()
    toy.world.fail_next(*[ToyOutage("the lock is jammed")] * faults)
    await toy.arrive(run_id, arrives)
    await toy.dispatch().drain()
    return toy, await view(toy, run_id)


def leading(lead: Lead, *again_from: Step[Any, Any]) -> Step[Any, Any]:
    return replace(open_door, leads={ToyOutage: lead}, again_from=again_from)


async def test_an_error_may_lead_back_to_an_earlier_step(database: Database) -> None:
    door = leading(lambda run, reason: GoBack(order_badge, reason), order_badge)
    toy, again = await hired(database, door, faults=1)
    assert again.summary.waiting_for == "arrival"
    assert {step.name: step.round for step in again.steps} == {
        "take_desk": 1,
        "order_badge": 2,
        "arrival": 2,
        "open_door": 1,
        "cool_off": 1,
        "mail_welcome": 1,
    }
    assert toy.world.keyed == {"order/A1/order_badge/2": "badge for Ada"}


async def test_an_error_may_lead_to_a_person_at_once(database: Database) -> None:
    toy, held = await hired(database, leading(lambda run, reason: Hold(f"call the janitor: {reason}")), faults=1)
    assert (held.summary.state, held.summary.reason) == ("held", "call the janitor: the lock is jammed")
    assert (held.summary.reason_code, toy.world.calls["door"]) == ("workflow.needs_a_person", 1)


async def test_an_error_that_leads_nowhere_is_tried_again_as_any_other(database: Database) -> None:
    _, between = await hired(database, leading(lambda run, reason: None), faults=1)
    assert (between.summary.waiting_for, between.steps[3].attempts) == ("retry", 1)


async def test_an_error_that_leads_to_an_undeclared_step_holds_the_run(database: Database) -> None:
    door = leading(lambda run, reason: GoBack(take_desk, reason), order_badge)
    _, held = await hired(database, door, faults=1)
    assert (held.summary.state, held.summary.reason_code) == ("held", "workflow.definition_raised")
    assert held.summary.reason == "open_door goes back to take_desk, but may go again from order_badge"


async def test_an_outcome_that_leads_to_an_undeclared_step_holds_the_run(database: Database) -> None:
    _, held = await hired(database, replace(arrival, again_from=()), arrives="late")
    assert (held.summary.state, held.summary.reason_code) == ("held", "workflow.definition_raised")
    assert held.summary.reason == "arrival goes back to order_badge, but may go again from nothing"


async def test_a_lead_that_raises_holds_the_run(database: Database) -> None:
    def lead(run: Run[Hire], reason: str) -> Elsewhere | None:
        raise LookupError("nobody wrote that down")

    _, held = await hired(database, leading(lead), faults=1)
    assert (held.summary.state, held.summary.reason) == ("held", "nobody wrote that down")
    assert held.summary.reason_code == "workflow.definition_raised"
