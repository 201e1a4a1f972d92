"""A session that counted as over, and goes on, is told what was changed meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from radius import ReopenedSessions, SessionChangeView
from radius.projection.freeradius_tables import radacct
from tests.radius.conftest import Site
from tests.radius.online import FASTER, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


def reopened(line: Line) -> ReopenedSessions:
    site = line.site
    return ReopenedSessions(site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now)


async def reap(line: Line) -> None:
    async with line.site.radius_database.begin() as db:
        mine = update(radacct).where(radacct.c.username == line.subscriber["username"])
        closed: dict[str, Any] = {"acctstoptime": radacct.c.acctupdatetime}
        await db.execute(mine.values(**closed, acctterminatecause="Lost-Carrier-Reaped"))


async def newest(line: Line) -> SessionChangeView:
    changes: Any = await line.act("changes")
    first: SessionChangeView = changes[0]
    return first


@pytest.mark.both_databases
async def test_a_session_that_was_reaped_at_a_confirmed_change_is_told_of_it_once_it_is_open_again(line: Line) -> None:
    change = await line.act("change_plan", plan=FASTER)
    await reap(line)
    await line.changes.deliver(change["change_id"])
    assert (await line.later(change))["state"] == "confirmed"
    assert line.nas.disconnects.requests == []
    line.behind = timedelta(0)

    await line.interim()
    [session] = await line.site.sessions.open_sessions(line.subscriber["username"])
    assert session.terminate_cause is None
    assert [await reopened(line).tell(), await reopened(line).tell()] == [1, 0]
    told = await line.changes.deliver((await newest(line))["change_id"])
    assert (told["act"], [one["said"] for one in told["sessions"]]) == ("reopened", ["changed"])
    [request] = line.nas.disconnects.requests
    assert (request.code, request.attributes["Mikrotik-Rate-Limit"]) == (43, "50000k/250000k")

    line.behind -= timedelta(seconds=60)
    await line.interim(60)
    assert await reopened(line).tell() == 0  # it was open


async def test_a_session_that_is_open_again_and_missed_nothing_is_left_alone(line: Line) -> None:
    await reap(line)
    await line.interim()
    assert await reopened(line).tell() == 0
    async with line.site.radius_database.begin() as db:
        mine = select(radacct.c.acctterminatecause).where(radacct.c.username == line.subscriber["username"])
        assert await db.scalar(mine) is None
    await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert len(line.nas.disconnects.requests) == 1
