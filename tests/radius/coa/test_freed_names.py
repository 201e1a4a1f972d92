"""A session goes on under a name that counted as free: it is whose it was, whoever has the name by now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from radius import CreatedSubscriber, PlanChanges, PlanTerms, SessionChangeView, SessionControl, UsernameTaken
from radius.coa.reopened import ReopenedSessions
from radius.projection.freeradius_tables import radacct
from radius.tables import FormerUsername
from radius.testing import LabSession
from tests.radius.conftest import PLAN, Site
from tests.radius.online import FASTER, QUICKLY, Line, go_online

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    """Renamed, and online under the former name, which counts as free: its session was closed without its Stop."""
    async for made in go_online(site):
        change = await made.act("rename", username=site.new_username())
        await write(made, acctstoptime=radacct.c.acctupdatetime, acctterminatecause="Lost-Carrier-Reaped")
        await made.changes.deliver(change["change_id"])
        assert (await made.later(change))["state"] == "confirmed"
        assert await is_free(made)
        made.behind = timedelta(0)
        await made.interim()
        yield made


async def write(line: Line, **values: Any) -> None:
    async with line.site.radius_database.begin() as db:
        mine = update(radacct).where(radacct.c.username == line.subscriber["username"])
        await db.execute(
            mine.values({radacct.c["class"] if name == "label" else name: values[name] for name in values})
        )


async def is_free(line: Line) -> bool:
    async with line.site.database.begin() as db:
        free_at = select(FormerUsername.free_at).where(FormerUsername.username == line.subscriber["username"])
        return await db.scalar(free_at) is not None


async def created(line: Line) -> CreatedSubscriber:
    """Somebody else of that customer, by its former name."""
    async with line.site.database.begin() as db:
        return await line.site.service(db).create_subscriber(
            customer_id=7, username=line.subscriber["username"], bandwidth_profile=PLAN
        )


async def taken(line: Line) -> Line:
    """The same, who is online as well."""
    other = await created(line)
    await line.site.activate(other["subscriber_id"])
    reply = await line.nas.login(other["username"], await line.site.password(other))
    session = replace(LabSession.after(other["username"], reply), session_id=f"new-{other['username']}", nas_port="l9")
    await line.nas.accounting_start(session)
    return replace(line, subscriber=other, session=session)


async def done(line: Line, verb: str, **said: Any) -> list[tuple[str, str]]:
    told = await line.changes.deliver((await line.act(verb, **said))["change_id"])
    return [(each["session_id"], each["said"]) for each in told["sessions"]]


async def newest(line: Line) -> SessionChangeView:
    changes: Any = await line.act("changes")
    first: SessionChangeView = changes[0]
    return first


def reopened(line: Line) -> ReopenedSessions:
    site = line.site
    return ReopenedSessions(site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now)


def control(line: Line) -> SessionControl:
    site = line.site
    return SessionControl(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=line.now,
        secrets=site.secrets,
        retransmission=QUICKLY,
    )


async def test_a_suspension_reaches_a_session_that_goes_on_under_a_name_which_counted_as_free(line: Line) -> None:
    assert await done(line, "suspend") == [(line.session.session_id, "disconnected")]
    assert line.session.session_id not in line.nas.sessions


async def test_a_name_under_which_a_session_is_open_again_is_nobody_elses_until_that_is_over(line: Line) -> None:
    assert await reopened(line).tell() == 1
    assert not await is_free(line)
    with pytest.raises(UsernameTaken):
        await created(line)
    told = await line.changes.deliver((await newest(line))["change_id"])
    assert (told["act"], [each["said"] for each in told["sessions"]]) == ("reopened", ["as_wished"])
    assert (await line.later(told))["state"] == "pending"

    line.behind = timedelta(0)
    ended = await line.act("disconnect")
    await line.changes.deliver(ended["change_id"])
    await line.nas.stops_told()
    assert (await line.later(ended))["state"] == "confirmed"
    assert await is_free(line)
    await created(line)


@pytest.mark.parametrize("label", ["its own", None])
async def test_whoever_has_the_name_by_now_has_its_own_session_alone(line: Line, label: str | None) -> None:
    if label is None:
        await write(line, label=None)
    other = await taken(line)
    assert await reopened(line).tell() == 1
    told = await line.changes.deliver((await newest(line))["change_id"])
    assert (told["act"], [each["session_id"] for each in told["sessions"]]) == ("reopened", [line.session.session_id])
    assert await done(other, "change_plan", plan=FASTER) == [(other.session.session_id, "changed")]
    assert await done(other, "disconnect") == [(other.session.session_id, "disconnected")]
    assert line.session.session_id in line.nas.sessions
    assert await done(line, "suspend") == [(line.session.session_id, "disconnected")]


async def test_a_session_of_whom_the_name_is_now_is_not_ended_with_the_former_one(line: Line) -> None:
    other = await taken(line)
    assert await done(line, "terminate") == [(line.session.session_id, "disconnected")]
    assert other.session.session_id in line.nas.sessions
    await line.nas.stops_told()
    other.behind = timedelta(seconds=-310)
    assert (await other.changes.deliver((await newest(line))["change_id"]))["state"] == "confirmed"


async def test_a_run_that_ends_whoever_has_the_name_by_now_leaves_the_former_ones_session(line: Line) -> None:
    other = await created(line)
    assert (await control(line).require_ended(other["subscriber_id"]))["asked"] == []
    assert line.session.session_id in line.nas.sessions
    asked = (await control(line).require_ended(line.id))["asked"]
    assert [(each["session_id"], each["said"]) for each in asked] == [(line.session.session_id, "disconnected")]


async def test_a_plan_that_is_defined_anew_is_told_to_whose_session_it_is(line: Line) -> None:
    other = await created(line)
    await line.site.activate(other["subscriber_id"])
    site = line.site
    async with site.database.begin() as db:
        await site.service(db).define_plan(name=PLAN, terms=PlanTerms(download_kbps=300_000, upload_kbps=60_000))
    plans = PlanChanges(site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now)
    assert await plans.behind(PLAN) == 1
    assert (await plans.apply(PLAN))["subscribers"] == 1
    told = await newest(line)
    assert told["act"] == "apply_plan"
    [session] = (await line.changes.deliver(told["change_id"]))["sessions"]
    assert (session["session_id"], session["said"]) == (line.session.session_id, "changed")
