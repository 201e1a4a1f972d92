"""A wait that nobody can look for says so, and its deadline is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from provisioning.database import Database
from tests.workflows.test_interpreter import act, view
from tests.workflows.toy import HIRE, Toy, ToyOutage, arrival, make_toy
from workflows.engine.lookout import Lookout
from workflows.engine.routes import Hold

BLIND = "the porter can't be asked since 2026-03-02 09:00 UTC: he is ill"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """One kind is enough: it is all rows under their lock."""
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    yield opened
    await opened.close()


async def waiting(database: Database) -> tuple[Toy, int]:
    """A run that waits at the door, and says at its deadline what kept everybody from looking."""
    asks = replace(arrival, on_deadline=lambda run: Hold(run.unseen(arrival) or "nobody came"))
    steps = tuple(asks if each is arrival else each for each in HIRE.steps)
    toy = await make_toy(database, {("hire", 1): replace(HIRE, steps=steps, reopens={})})
    run_id = await toy.start()
    await toy.dispatch().drain()
    return toy, run_id


async def lost(toy: Toy, run_id: int, signal: str = "arrival") -> bool:
    async with toy.database.begin() as db:
        return await lookout(toy).lost(
            db, run_id, signal, what="the porter can't be asked", why=ToyOutage("he is ill.")
        )


async def regained(toy: Toy, run_id: int) -> bool:
    async with toy.database.begin() as db:
        return await lookout(toy).regained(db, run_id, "arrival", what="the porter can be asked again")


def lookout(toy: Toy) -> Lookout:
    return Lookout(definitions=toy.definitions, clock=toy.clock, tenant_id="main")


async def test_the_first_trouble_of_an_outage_stays_with_its_time(database: Database) -> None:
    toy, run_id = await waiting(database)
    assert not await regained(toy, run_id)
    assert await lost(toy, run_id)
    toy.clock.advance(timedelta(hours=1))
    assert not await lost(toy, run_id)
    blind = (await view(toy, run_id)).summary
    assert (blind.reason, blind.reason_code) == (f"waiting at the door, but {BLIND}", "toy.outage")
    assert await regained(toy, run_id)
    seeing = await view(toy, run_id)
    assert (seeing.summary.state, seeing.summary.reason, seeing.summary.reason_code) == (
        "pending",
        "waiting at the door",
        None,
    )
    assert [(note.by, note.text) for note in seeing.notes[-2:]] == [
        ("watcher", BLIND),
        ("watcher", "the porter can be asked again"),
    ]


async def test_a_deadline_that_passes_unseen_says_so_and_a_retry_forgets_it(database: Database) -> None:
    toy, run_id = await waiting(database)
    await lost(toy, run_id)
    toy.clock.advance(timedelta(days=2))
    await toy.dispatch().sleep_until_rest()
    held = (await view(toy, run_id)).summary
    assert (held.state, held.reason) == ("held", BLIND)
    assert not await lost(toy, run_id)  # it waits for a person now
    await act(toy, "retry", run_id)
    await toy.dispatch().drain()
    again = (await view(toy, run_id)).summary
    assert (again.state, again.reason, again.reason_code) == ("pending", "waiting at the door", None)


async def test_what_is_heard_after_all_ends_the_trouble(database: Database) -> None:
    toy, run_id = await waiting(database)
    assert not await lost(toy, run_id, "another signal")
    await lost(toy, run_id)
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    done = await view(toy, run_id)
    assert (done.summary.state, done.summary.reason_code) == ("completed", None)
    assert [step.note for step in done.steps if step.name == "arrival"] == [None]
