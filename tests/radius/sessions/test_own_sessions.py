"""Which open sessions are a subscriber's own, of all that go on under the names that it has or had."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import update

from radius import CreatedSubscriber, OwnSessions, Session, SessionReader, SubscriberUnknown
from radius.projection.freeradius_tables import radacct
from radius.testing import LabSession, Usage
from tests.radius.conftest import PLAN, Site
from tests.radius.online import Line, go_online

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


def own_of(line: Line, reader: SessionReader | None = None) -> OwnSessions:
    return OwnSessions(line.site.database.read, reader or line.site.sessions, tenant_id=line.site.tenant_id)


def ids(sessions: Sequence[Session]) -> list[str]:
    return [each.session_id for each in sessions]


async def next_holder(line: Line, username: str) -> CreatedSubscriber:
    """Somebody of the same customer takes a name that is free."""
    async with line.site.database.begin() as db:
        return await line.site.service(db).create_subscriber(
            customer_id=7, username=username, bandwidth_profile=PLAN, request_id=f"next/{username}"
        )


async def online(line: Line, who: CreatedSubscriber) -> LabSession:
    await line.site.activate(who["subscriber_id"])
    reply = await line.nas.login(who["username"], await line.site.password(who))
    session = replace(LabSession.after(who["username"], reply), session_id=f"next-{who['username']}", nas_port="l9")
    await line.nas.accounting_start(session)
    return session


async def terminated(line: Line) -> None:
    async with line.site.database.begin() as db:
        await line.site.service(db).terminate(subscriber_id=line.id)


@pytest.mark.parametrize("has_class", [True, False])
async def test_each_of_two_who_had_a_name_one_after_the_other_has_its_own(line: Line, has_class: bool) -> None:
    await terminated(line)
    other = await next_holder(line, line.subscriber["username"])
    theirs = await online(line, other)
    if not has_class:
        async with line.site.radius_database.begin() as db:
            mine = update(radacct).where(radacct.c.username == theirs.username)
            await db.execute(mine.values({radacct.c["class"]: None}))
    own = own_of(line)
    assert ids(await own.open_of(line.id)) == [line.session.session_id]
    assert ids(await own.open_of(other["subscriber_id"])) == [theirs.session_id]
    nobodys = line.site.new_username()
    found = await own.open_under_each([theirs.username, nobodys])
    assert {name: ids(each) for name, each in found.items()} == {theirs.username: [theirs.session_id]}
    await line.nas.accounting_stop(line.session, Usage(seconds=60))
    assert await own.open_of(line.id) == []


async def test_all_sessions_of_one_count_under_every_name_that_it_has_or_had(line: Line) -> None:
    change = await line.act("rename", username=line.site.new_username())
    await line.changes.deliver(change["change_id"])
    async with line.site.database.begin() as db:
        present = (await line.site.service(db).subscriber(subscriber_id=line.id))["username"]
    second = replace(line.session, username=present, session_id=f"second-{present}")
    await line.nas.accounting_start(second)
    own = own_of(line)
    assert ids(await own.open_of(line.id)) == [second.session_id, line.session.session_id]
    given_up = line.subscriber["username"]  # nobody has it any more
    found = await own.open_under_each([present, given_up])
    assert {name: ids(each) for name, each in found.items()} == {present: [second.session_id]}


async def test_whoever_takes_the_name_while_accounting_is_asked_keeps_theirs(line: Line) -> None:
    await terminated(line)
    await line.nas.accounting_stop(line.session, Usage(seconds=60))

    class Overtaken(SessionReader):
        async def open_sessions(self, username: str, *former: str) -> list[Session]:
            theirs = await online(line, await next_holder(line, username))
            found = await super().open_sessions(username, *former)
            assert ids(found) == [theirs.session_id]
            return found

    assert await own_of(line, Overtaken(line.site.radius_database.look)).open_of(line.id) == []


async def test_a_session_that_goes_on_when_the_name_is_taken_is_not_the_next_ones(line: Line) -> None:
    await terminated(line)

    class Overtaken(SessionReader):
        async def open_sessions_of_each(self, lines: Sequence[Sequence[str]]) -> list[list[Session]]:
            found = await super().open_sessions_of_each(lines)
            assert [ids(each) for each in found] == [[line.session.session_id]]
            await next_holder(line, line.subscriber["username"])
            return found

    own = own_of(line, Overtaken(line.site.radius_database.look))
    assert await own.open_under_each([line.subscriber["username"]]) == {}


async def test_who_is_not_there_has_none(line: Line) -> None:
    own = own_of(line)
    with pytest.raises(SubscriberUnknown):
        await own.open_of(line.id + 1_000_000)
    assert await own.open_under_each([line.site.new_username()]) == {}
    assert await own.open_under_each([]) == {}
    stranger = OwnSessions(line.site.database.read, line.site.sessions, tenant_id="somebody-else")
    with pytest.raises(SubscriberUnknown):
        await stranger.open_of(line.id)
    assert await stranger.open_under_each([line.subscriber["username"]]) == {}
