"""What a look for the sessions of waiting runs costs: as much for many runs as for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Engine, delete, event, insert, select, update

from acs import ConvergenceBySite
from provisioning.bootstrap import Appliance
from provisioning.watchers import Watchers
from radius.projection.freeradius_tables import radacct
from tests.support.former_holders import had_by_another
from workflows import Lookout
from workflows.engine.tables import RunRow, SignalRow, StepRow

pytestmark = pytest.mark.both_databases

HAVE_SUBSCRIBERS = {1: "c1001-s1@isp.example", 2: "c1002-s2@isp.example", 3: "c1003-s3@isp.example"}
"""By run."""


def watchers_of(appliance: Appliance) -> Watchers:
    return Watchers(
        begin=appliance.database.begin,
        runs=appliance.runs,
        lookout=Lookout(definitions=appliance.definitions, clock=appliance.clock, tenant_id=appliance.tenant_id),
        acs=cast(ConvergenceBySite, None),  # which is not asked here
        sessions=appliance.own_sessions,
        tenant_id=appliance.tenant_id,
    )


async def wait(appliance: Appliance, runs: Collection[int]) -> None:
    """These wait for their subscriber's session, and no others."""
    signal, since = "session_started", datetime.now(UTC)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.waiting_for == signal).values(waiting_for=None, state="held"))
        for run in runs:
            values = {"waiting_for": signal, "waiting_on": HAVE_SUBSCRIBERS[run], "waiting_since": since}
            row = update(RunRow).where(RunRow.id == run)
            await db.execute(row.values(**values, state="pending", reason=None, reason_code=None))
            step = {"run_id": run, "step": signal, "round": 1, "effect": "wait", "key": f"a test/{run}"}
            await db.merge(StepRow(**step, state="pending", started_at=since))


async def starts(appliance: Appliance, username: str, number: str, service_class: str | None) -> None:
    async with appliance.radius_database.begin() as db:
        session = {"acctsessionid": number, "acctuniqueid": number, "username": username, "class": service_class}
        began = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        await db.execute(insert(radacct).values(**session, nasipaddress="10.9.9.9", acctstarttime=began))


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """How many are asked meanwhile, of either database: of accounting, and of ours."""
    heard: Counter[str] = Counter()

    def hear(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        heard["accounting" if "radacct" in statement else "ours"] += 1

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


async def asked(appliance: Appliance, runs: Collection[int]) -> Counter[str]:
    """What one look asks that finds nobody online."""
    await wait(appliance, runs)
    watchers = watchers_of(appliance)
    with statements() as heard:
        assert await watchers.watch_sessions() == 0
    return heard


async def test_a_look_asks_as_often_about_many_runs_as_about_one(spoilable: Appliance) -> None:
    async with spoilable.radius_database.begin() as db:
        await db.execute(delete(radacct))
    alone, many = await asked(spoilable, [2]), await asked(spoilable, HAVE_SUBSCRIBERS)
    assert alone == many
    assert many["accounting"] == 1

    for username in HAVE_SUBSCRIBERS.values():
        label = await had_by_another(spoilable, username)
        await starts(spoilable, username, f"ghost-{username}", label)
    beside_a_ghost, beside_ghosts = await asked(spoilable, [2]), await asked(spoilable, HAVE_SUBSCRIBERS)
    assert beside_a_ghost == beside_ghosts
    assert beside_ghosts["accounting"] == 1
    assert beside_ghosts["ours"] > many["ours"]  # whose they are


async def test_of_many_runs_those_are_told_whose_own_session_is_open(spoilable: Appliance) -> None:
    async with spoilable.radius_database.begin() as db:
        await db.execute(delete(radacct))
    ghost_of, own_of = HAVE_SUBSCRIBERS[2], HAVE_SUBSCRIBERS[3]
    await starts(spoilable, ghost_of, "ghost", await had_by_another(spoilable, ghost_of))
    await starts(spoilable, own_of, "former", await had_by_another(spoilable, own_of))
    await starts(spoilable, own_of, "own", None)
    await wait(spoilable, HAVE_SUBSCRIBERS)
    assert await watchers_of(spoilable).watch_sessions() == 1
    async with spoilable.database.read() as db:
        keyed = SignalRow.key.like("session/%/10.9.9.9/%")
        told = select(SignalRow.run_id, SignalRow.subject, SignalRow.key).where(keyed)
        assert [tuple(row) for row in await db.execute(told)] == [(3, own_of, f"session/{own_of}/10.9.9.9/own")]
