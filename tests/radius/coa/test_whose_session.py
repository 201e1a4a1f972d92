"""A request reaches the session that it is for and no other one, and what accounting says counts for that one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from radius import Disconnection, Retransmission, SessionControl, SessionsStillOpen
from radius.coa.behind import sessions_behind
from radius.coa.reopened import ReopenedSessions
from radius.projection.freeradius_tables import radacct
from radius.testing import LabSession, Usage
from tests.radius.conftest import PLAN, Site
from tests.radius.online import FASTER, GARDEN, QUICKLY, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def said(line: Line, verb: str, **more: Any) -> list[str]:
    told = await line.changes.deliver((await line.act(verb, **more))["change_id"])
    return [each["said"] for each in told["sessions"]]


async def whose_clock_counts_for_nothing(line: Line) -> None:
    """The appliance's is moved in a test, and its NAS would take a request for an old one."""
    async with line.site.database.begin() as db:
        await line.site.service(db).change_nas(name=line.nas.name, said={"coa": {"event_timestamp": False}})


async def disowned(line: Line) -> ReopenedSessions:
    """Its NAS has said once that it knows of no such session, and has accounted for it since."""
    await whose_clock_counts_for_nothing(line)
    line.nas.disconnects.mood.forgetful = True
    assert await said(line, "change_plan", plan=FASTER) == ["unknown_to_nas"]
    await interim_at(line, 50, 4000)
    reopened = reopened_of(line)
    assert await reopened.tell() == 1
    return reopened


async def interim_at(line: Line, seconds_ago: int, seconds: int) -> None:
    """It has lasted so long then."""
    line.nas.event_at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    await line.interim(seconds)


def reopened_of(line: Line) -> ReopenedSessions:
    return ReopenedSessions(
        line.site.database.begin, line.site.radius_database.begin, tenant_id=line.site.tenant_id, now=line.now
    )


async def anothers(line: Line, session_id: str) -> LabSession:
    """Somebody else is online at the same NAS by this id."""
    other = await line.site.active()
    reply = await line.nas.login(other["username"], await line.site.password(other))
    theirs = replace(LabSession.after(other["username"], reply), session_id=session_id, nas_port="lab9")
    await line.nas.accounting_start(theirs)
    return theirs


@pytest.mark.parametrize("act", [("suspend", {"garden": GARDEN}), ("change_plan", {"plan": FASTER}), ("suspend", {})])
async def test_a_session_that_has_the_id_of_a_ghost_is_told_nothing_of_it(
    line: Line, act: tuple[str, dict[str, Any]]
) -> None:
    """Its NAS has restarted without a word, and counts anew."""
    theirs = await anothers(line, line.session.session_id)
    verb, more = act
    assert await said(line, verb, **more) == ["unknown_to_nas"]
    assert line.nas.sessions[theirs.session_id].username == theirs.username
    named = [
        request.attributes.keys() & {"User-Name", "Framed-IP-Address"} for request in line.nas.disconnects.requests
    ]
    assert all(named)


async def test_where_a_nas_goes_by_the_id_alone_it_is_told_more_of_one_that_two_have(line: Line) -> None:
    async with line.site.database.begin() as db:
        await line.site.service(db).change_nas(name=line.nas.name, said={"coa": {"keys": ("Acct-Session-Id",)}})
    theirs = await anothers(line, line.session.session_id)
    assert await said(line, "suspend") == ["refused"]  # that it knows of no such session proves nothing
    assert line.nas.sessions[theirs.session_id].username == theirs.username


async def test_a_run_ends_no_session_of_somebody_else(line: Line) -> None:
    theirs = await anothers(line, line.session.session_id)
    ended = await control_of(line).require_ended(line.id)
    assert [each["said"] for each in ended["asked"]] == ["unknown_to_nas"]
    assert line.nas.sessions[theirs.session_id].username == theirs.username


def control_of(line: Line) -> SessionControl:
    site = line.site
    return SessionControl(
        site.database.begin,
        site.radius_database.begin,
        tenant_id=site.tenant_id,
        now=lambda: datetime.now(UTC),
        secrets=site.secrets,
        retransmission=QUICKLY,
    )


@pytest.mark.parametrize("session_id", ["slot1/port#4;7", "a=b(c),d|e", "x'y\\z", "ä#1", "=23"])
async def test_an_id_goes_back_to_its_nas_as_it_came_whatever_characters_it_has(line: Line, session_id: str) -> None:
    await line.nas.accounting_stop(line.session, Usage(seconds=3600))
    line.session = replace(line.session, session_id=f"{session_id} {line.session.username}")
    await line.nas.accounting_start(line.session)
    change = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert [(each["session_id"], each["said"]) for each in change["sessions"]] == [(line.session.session_id, "changed")]
    asked = [request.attributes["Acct-Session-Id"] for request in line.nas.disconnects.requests]
    assert asked == [line.session.session_id]


async def test_a_nas_that_accounts_for_a_session_and_says_it_has_none_is_told_of_and_the_session_stays(
    line: Line,
) -> None:
    reopened = await disowned(line)
    await line.changes.deliver_due()
    for seconds_ago, seconds in ((40, 4300), (30, 4600)):
        await interim_at(line, seconds_ago, seconds)
        assert await reopened.tell() == 0  # nobody has closed it again
        line.behind -= timedelta(hours=1)
        await line.changes.deliver_due()
    [still] = await line.site.sessions.open_sessions(line.subscriber["username"])
    assert still.session_id == line.session.session_id
    async with line.site.database.begin() as db:
        [behind] = await sessions_behind(db, tenant_id=line.site.tenant_id, now=line.now() + timedelta(hours=1))
    assert (behind["nas"], behind["sessions"]) == (line.nas.name, 1)
    assert "knows of no such session, though it accounts for it: look at what names sessions to it" in behind["reason"]

    line.nas.disconnects.mood.forgetful = False
    line.behind -= timedelta(hours=2)
    await line.changes.deliver_due()
    assert (line.nas.disconnects.requests[-1].attributes["Mikrotik-Rate-Limit"]) is not None


async def made_anew(line: Line) -> LabSession:
    """The name is somebody's again, who logs in."""
    async with line.site.database.begin() as db:
        anew = await line.site.service(db).create_subscriber(
            customer_id=7, username=line.subscriber["username"], bandwidth_profile=PLAN, request_id="order-2"
        )
    await line.site.activate(anew["subscriber_id"])
    reply = await line.nas.login(line.subscriber["username"], await line.site.password(anew))
    line.subscriber = anew
    theirs = replace(LabSession.after(anew["username"], reply), session_id=f"new-{anew['username']}")
    await line.nas.accounting_start(theirs)
    return theirs


async def test_whoever_has_a_name_after_one_that_was_terminated_stays_online(line: Line) -> None:
    ending = await line.act("terminate")
    await line.changes.deliver(ending["change_id"])
    await line.nas.stops_told()
    theirs = await made_anew(line)
    line.behind = timedelta(seconds=-20)
    again = await line.changes.deliver(ending["change_id"])
    assert [each["session_id"] for each in again["sessions"]] == [line.session.session_id]
    assert theirs.session_id in line.nas.sessions


@pytest.mark.both_databases
@pytest.mark.parametrize("has_class", [True, False])
async def test_a_run_that_ends_one_who_was_terminated_leaves_whoever_has_its_name_by_now(
    line: Line, has_class: bool
) -> None:
    former, control = line.session, control_of(line)
    async with line.site.database.begin() as db:
        await line.site.service(db).terminate(subscriber_id=line.id)
    ending = line.id
    theirs = await made_anew(line)
    if not has_class:  # their NAS doesn't repeat it
        async with line.site.radius_database.begin() as db:
            mine = update(radacct).where(radacct.c.username == former.username)
            await db.execute(mine.values({radacct.c["class"]: None}))
    assert await control.ended(ending) is None
    line.nas.disconnects.mood.silent = True
    with pytest.raises(SessionsStillOpen) as open_:
        await control.require_ended(ending)
    assert [former.session_id in str(open_.value), theirs.session_id in str(open_.value)] == [True, False]
    line.nas.disconnects.mood.silent = False
    asked = (await control.require_ended(ending))["asked"]
    assert [(each["session_id"], each["said"]) for each in asked] == [(former.session_id, "disconnected")]
    assert await control.ended(ending) == Disconnection(username=former.username, sessions=[])
    assert theirs.session_id in line.nas.sessions
    assert await control.ended(line.id) is None


async def test_a_session_of_one_that_was_terminated_is_not_told_what_the_next_one_of_its_name_shall_have(
    line: Line,
) -> None:
    line.nas.disconnects.mood.silent = True
    ending = await line.act("terminate")
    await line.changes.deliver(ending["change_id"])
    line.nas.disconnects.mood.silent = False
    theirs = await made_anew(line)
    told = await line.changes.deliver((await line.act("change_plan", plan=FASTER))["change_id"])
    assert [each["session_id"] for each in told["sessions"]] == [theirs.session_id]
    line.behind = timedelta(seconds=-60)
    ended = await line.changes.deliver(ending["change_id"])
    assert [(each["session_id"], each["said"]) for each in ended["sessions"]] == [
        (line.session.session_id, "disconnected")
    ]


async def test_a_session_whose_start_was_lost_is_told_when_it_is_heard_of_first(line: Line) -> None:
    await whose_clock_counts_for_nothing(line)
    await line.nas.accounting_stop(line.session, Usage(seconds=10))
    line.behind = timedelta(0)
    await line.login()  # on its former plan; its Start is lost
    lost = replace(line.session, session_id=f"lost-{line.session.username}")
    change = await line.act("change_plan", plan=FASTER)
    await line.changes.deliver(change["change_id"])
    line.behind = timedelta(seconds=-16)
    look_at = (await line.changes.deliver(change["change_id"]))["next_at"]
    line.nas.sessions[lost.session_id] = lost
    await line.nas.accounting_interim(lost, Usage(seconds=299))
    assert look_at is not None
    line.behind = datetime.now(UTC) - look_at - timedelta(seconds=1)
    told = await line.changes.deliver(change["change_id"])
    assert [(each["session_id"], each["said"]) for each in told["sessions"]] == [(lost.session_id, "changed")]


async def test_an_interim_that_its_nas_has_kept_since_before_its_answer_proves_nothing(line: Line) -> None:
    change = await line.act("change_plan", plan=FASTER)
    await line.changes.deliver(change["change_id"])
    line.nas.event_at = datetime.now(UTC) - timedelta(minutes=5)
    await line.interim(3300)
    assert (await line.later(change))["sessions"][0]["confirmed_at"] is None
    line.nas.event_at = None
    await line.interim(3900)
    assert (await line.later(change))["sessions"][0]["confirmed_at"] is not None


async def test_freeradius_goes_by_a_suspension_while_another_change_waits_for_a_silent_nas(line: Line) -> None:
    line.nas.disconnects.mood.silent = True
    first = await line.act("change_plan", plan=FASTER)
    worker = line.changes
    assert await worker._claims.take(first["change_id"])  # and is waiting for the NAS, or was killed
    suspension = await line.act("suspend")
    seen = await line.changes.deliver(suspension["change_id"], pauses=(0.0, 0.0))
    assert (seen["state"], seen["carried_at"], seen["sessions"]) == ("pending", None, [])
    assert not (await line.login()).accepted


async def test_who_waited_for_another_change_carries_its_own_out_when_that_is_through(line: Line) -> None:
    asked, answering = asyncio.Event(), asyncio.Event()
    line.retransmission = Retransmission(sends=1, first_wait_seconds=60)

    async def busy() -> None:
        line.nas.disconnects.mood.first = None
        asked.set()
        await answering.wait()

    class Pauses(list[float]):
        """After the first of them, when it was seen that the other change isn't through, its NAS answers."""

        def __iter__(self) -> Iterator[float]:
            for seconds in super().__iter__():
                yield seconds
                answering.set()

    line.nas.disconnects.mood.first = busy
    first = await line.act("change_plan", plan=FASTER)
    worker = asyncio.create_task(line.changes.deliver(first["change_id"]))
    await asked.wait()
    suspension = await line.act("suspend")
    seen = await line.changes.deliver(suspension["change_id"], pauses=Pauses([0.02] * 1000))
    assert answering.is_set()
    assert [each["said"] for each in seen["sessions"]] == ["disconnected"]
    assert (await worker)["state"] == "superseded"


async def test_a_run_says_that_a_session_goes_on_which_its_nas_does_not_end(line: Line) -> None:
    line.nas.disconnects.mood.refuses = 404
    with pytest.raises(SessionsStillOpen, match="Invalid Request"):
        await control_of(line).require_ended(line.id)


async def test_a_session_that_its_nas_disowns_stays_open_however_often_it_is_asked_between_two_interims(
    line: Line,
) -> None:
    reopened = await disowned(line)
    for _ in range(3):
        line.behind -= timedelta(minutes=10)
        assert await line.changes.deliver_due() == 1
        assert await reopened.tell() == 0
    assert len(await line.site.sessions.open_sessions(line.subscriber["username"])) == 1


async def test_a_503_after_its_nas_has_known_a_session_means_that_it_is_gone(line: Line) -> None:
    await whose_clock_counts_for_nothing(line)
    line.nas.disconnects.mood.forgetful = True
    assert await said(line, "change_plan", plan=FASTER) == ["unknown_to_nas"]
    line.nas.event_at = datetime.now(UTC) - timedelta(seconds=50)
    await line.interim(4000)
    line.nas.disconnects.mood.forgetful = False
    assert await said(line, "change_plan", plan=PLAN) == ["changed"]
    await interim_at(line, 40, 4300)
    line.nas.disconnects.mood.forgetful = True
    assert await said(line, "change_plan", plan=FASTER) == ["unknown_to_nas"]


async def test_who_logs_in_again_after_it_was_ended_is_right_whatever_the_clock_of_its_nas(line: Line) -> None:
    ending = await line.act("disconnect")
    await line.changes.deliver(ending["change_id"])
    await line.nas.stops_told()
    line.nas.clock_behind = timedelta(seconds=60)
    again = replace(line.session, session_id=f"again-{line.session.username}")
    await line.nas.accounting_start(again)
    await line.nas.accounting_interim(again, Usage(seconds=30))
    line.behind = timedelta(seconds=-40)
    told = await line.changes.deliver(ending["change_id"])
    assert [each["session_id"] for each in told["sessions"]] == [line.session.session_id]
    assert again.session_id in line.nas.sessions


async def test_a_session_of_one_that_was_terminated_which_goes_on_after_all_is_ended_though_another_has_its_name(
    line: Line,
) -> None:
    line.nas.disconnects.mood.forgetful = True
    assert await said(line, "terminate") == ["unknown_to_nas"]
    theirs, former = line.session, line.subscriber
    await made_anew(line)
    line.nas.disconnects.mood.forgetful = False
    line.nas.event_at = datetime.now(UTC) - timedelta(seconds=10)
    await line.nas.accounting_interim(theirs, Usage(seconds=4000))
    assert await reopened_of(line).tell() == 1
    await line.changes.deliver_due()
    assert theirs.session_id not in line.nas.sessions
    assert former["username"] == line.subscriber["username"]
    assert f"new-{former['username']}" in line.nas.sessions
