"""The reaper, by packets through the real FreeRADIUS: what fell silent is closed, and what speaks again is open."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from radius import NasNotSilent, Reaper, Session, SessionLooks, SilentSessions
from radius.invariants import silent_nases
from radius.projection.freeradius_tables import nas, radacct
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import Site
from tests.support.command_line import parsed

BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


@dataclass
class Hours:
    """A NAS with sessions, whose plan says one interim a minute, and a reaper that looks as often."""

    site: Site
    nas: LabNas
    minute: int = 0
    reaped: list[int] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return BEGAN + timedelta(minutes=self.minute)

    @property
    def looks(self) -> SessionLooks:
        return SessionLooks(
            self.site.radius_database.read,
            self.site.radius_database.look,
            tenant_id=self.site.tenant_id,
            now=lambda: self.now,
        )

    async def online(self) -> LabSession:
        subscriber = await self.site.active()
        session = LabSession(subscriber["username"])
        await self.told(self.nas.accounting_start, session)
        return session

    async def told(self, account: Callable[..., Awaitable[None]], *what: object) -> None:
        self.nas.event_at = self.now
        await account(*what)

    async def interim(self, session: LabSession) -> None:
        usage = Usage(seconds=60 * self.minute, input_octets=self.minute, output_octets=1000 * self.minute)
        await self.told(self.nas.accounting_interim, session, usage)

    async def pass_minutes(self, minutes: int, *speaking: LabSession, at_once: int = 1000) -> int:
        """How many sessions were closed meanwhile."""
        reaper = Reaper(
            self.site.radius_database.begin, tenant_id=self.site.tenant_id, now=lambda: self.now, at_once=at_once
        )
        closed = 0
        for _ in range(minutes):
            self.minute += 1
            for session in speaking:
                await self.interim(session)
            closed += (await reaper.sweep()).sessions
        return closed

    async def last(self, session: LabSession) -> Session:
        found = await self.site.sessions.last_session(session.username)
        assert found is not None
        return found


@pytest.fixture
async def hours(site: Site) -> Hours:
    await site.define_plan(interim_interval_seconds=60)
    await site.projector.project_plans()
    return Hours(site, await site.nas())


@pytest.mark.both_databases
async def test_a_session_that_missed_three_interims_is_closed_as_of_its_last_word(hours: Hours) -> None:
    ghosts, alive = [await hours.online() for _ in range(3)], await hours.online()
    hours.minute = 1
    for ghost in ghosts:
        await hours.interim(ghost)
    assert await hours.pass_minutes(3, alive) == 0
    [view] = [one for one in await hours.looks.online() if one["username"] == ghosts[0].username]
    assert (view["state"], view["interval_seconds"], view["nas"]) == ("online", 60, hours.nas.name)
    assert await hours.pass_minutes(1, alive, at_once=2) == 3

    closed = await hours.last(ghosts[0])
    assert closed.stopped_at == BEGAN + timedelta(minutes=1)
    assert closed.terminate_cause == "Lost-Carrier-Reaped"
    assert (closed.duration_seconds, closed.output_octets) == (60, 1000)
    assert (await hours.last(alive)).stopped_at is None


@pytest.mark.both_databases
async def test_a_reaped_session_is_open_again_with_a_newer_interim_and_never_after_its_stop(hours: Hours) -> None:
    ghost, alive = await hours.online(), await hours.online()
    assert await hours.pass_minutes(5, alive) == 1
    reaped = await hours.last(ghost)

    hours.minute = 0
    await hours.interim(ghost)
    await hours.told(hours.nas.accounting_start, ghost)
    assert await hours.last(ghost) == reaped  # nothing of that is newer than its last word

    hours.minute = 6
    await hours.interim(ghost)
    again = await hours.last(ghost)
    assert (again.stopped_at, again.terminate_cause, again.output_octets) == (None, None, 6000)
    assert again.radacct_id == reaped.radacct_id

    await hours.told(hours.nas.accounting_stop, ghost, Usage(seconds=360, output_octets=7000))
    over = await hours.last(ghost)
    assert (over.stopped_at, over.terminate_cause, over.output_octets) == (hours.now, "User-Request", 7000)
    hours.minute = 7
    await hours.interim(ghost)
    assert await hours.last(ghost) == over


async def test_a_stop_corrects_what_was_reaped_and_octets_never_go_back(hours: Hours) -> None:
    ghost, alive = await hours.online(), await hours.online()
    await hours.pass_minutes(1, alive, ghost)
    assert await hours.pass_minutes(5, alive) == 1

    await hours.told(hours.nas.accounting_stop, ghost, Usage(seconds=350, input_octets=77, output_octets=3))
    over = await hours.last(ghost)
    assert (over.stopped_at, over.terminate_cause, over.duration_seconds) == (hours.now, "User-Request", 350)
    assert (over.input_octets, over.output_octets) == (77, 1000)


@pytest.mark.both_databases
async def test_nothing_is_closed_while_the_nas_is_silent_and_for_three_intervals_after(hours: Hours) -> None:
    ghost, other = await hours.online(), await hours.online()
    assert await hours.pass_minutes(8) == 0
    [guard] = await hours.looks.guards()
    assert (guard["nas"], guard["open_sessions"], guard["silent_since"]) == (
        hours.nas.name,
        2,
        BEGAN + timedelta(minutes=1),
    )
    assert guard["sentence"].startswith(
        f"Nothing has come from NAS {hours.nas.name} ({hours.nas.source_address}) since"
    )
    assert [one["state"] for one in await hours.looks.online()] == ["doubtful", "doubtful"]
    assert len(await hours.looks.online(doubtful=True)) == 2
    async with hours.site.radius_database.read() as db:
        findings = await silent_nases(db, hours.now)
    assert guard["sentence"] in [one.sentence for one in findings if one.subject == hours.nas.source_address]

    assert await hours.pass_minutes(3, other) == 0
    [guard] = await hours.looks.guards()
    assert (guard["silent_since"], guard["sentence"].split(" from ")[0]) == (None, "Accounting comes")
    assert await hours.pass_minutes(1, other) == 1
    assert (await hours.last(ghost)).stopped_at == BEGAN


@pytest.mark.both_databases
@pytest.mark.parametrize("name", ["bng 1's", "-x", None])
async def test_what_is_to_be_typed_of_a_nas_that_is_gone_is_about_it_whatever_a_row_of_others_calls_it(
    hours: Hours, name: str | None
) -> None:
    await hours.online()
    await hours.pass_minutes(8)
    async with hours.site.radius_database.begin() as db:
        mine = nas.c.nasname == hours.nas.source_address
        await db.execute(update(nas).where(mine).values(shortname=name or ""))
    [guard] = await hours.looks.guards()
    [command] = re.findall("`(firstlight [^`]*)`", guard["sentence"])
    assert parsed(command)["nas"] == hours.nas.source_address


async def test_who_has_looked_away_begins_to_watch_a_nas_anew(hours: Hours) -> None:
    ghost, other = await hours.online(), await hours.online()
    assert await hours.pass_minutes(1, other, ghost) == 0
    hours.minute += 60
    assert await hours.pass_minutes(3, other) == 0
    assert await hours.pass_minutes(1, other) == 1
    assert (await hours.last(ghost)).stopped_at == BEGAN + timedelta(minutes=1)


@pytest.mark.both_databases
async def test_nothing_is_closed_where_no_session_was_heard_after_its_start(hours: Hours) -> None:
    ghost = await hours.online()
    for _ in range(9):
        assert await hours.pass_minutes(4) == 0
        await hours.online()  # the NAS is heard, by Starts alone
        assert await hours.pass_minutes(1) == 0
    assert (await hours.last(ghost)).stopped_at is None
    [guard] = await hours.looks.guards()
    assert not guard["sends_interims"]
    assert guard["sentence"].startswith(
        f"NAS {hours.nas.name} ({hours.nas.source_address}) sends no interims: its 10 open sessions stay open"
    )


@pytest.mark.both_databases
async def test_a_session_that_queries_of_another_wrote_stays_open(hours: Hours) -> None:
    """They would never open it again."""
    theirs, alive = await hours.online(), await hours.online()
    async with hours.site.radius_database.begin() as db:
        mine = radacct.c.username == theirs.username
        await db.execute(update(radacct).where(mine).values(connectinfo_stop=None))
    assert await hours.pass_minutes(6, alive) == 0
    assert (await hours.last(theirs)).stopped_at is None


async def test_a_session_keeps_the_interval_that_it_began_under(hours: Hours) -> None:
    """Its plan now says a minute; it began when that was ten, and goes on like that."""
    slow, alive = await hours.online(), await hours.online()
    hours.minute = 10
    await hours.interim(slow)
    assert await hours.pass_minutes(9, alive) == 0
    [view] = await hours.looks.of_user(slow.username)
    assert (view["state"], view["interval_seconds"]) == ("online", 600)


@pytest.mark.both_databases
async def test_sessions_at_a_nas_that_is_gone_are_closed_at_a_word_and_open_again_when_one_speaks(hours: Hours) -> None:
    sessions = [await hours.online() for _ in range(3)]
    gone = SilentSessions(
        hours.site.radius_database.begin, tenant_id=hours.site.tenant_id, now=lambda: hours.now, at_once=2
    )
    assert await hours.pass_minutes(2, *sessions) == 0
    with pytest.raises(NasNotSilent, match="accounting comes from it"):
        await gone.close_at(hours.nas.source_address)
    assert await hours.pass_minutes(4) == 0
    with pytest.raises(NasNotSilent, match="no session was open there"):
        await gone.close_at("192.0.2.77")
    await hours.interim(sessions[0])  # heard of since the last look
    assert await gone.close_at(hours.nas.source_address) == 2
    assert (await hours.last(sessions[0])).stopped_at is None
    closed = await hours.last(sessions[1])
    assert (closed.stopped_at, closed.terminate_cause) == (BEGAN + timedelta(minutes=2), "Lost-Carrier-Reaped")
    assert await gone.close_at(hours.nas.source_address) == 0
    assert [each["open_sessions"] for each in await hours.looks.guards()] == [1]  # at once, not at the next look
    hours.minute += 1
    await hours.interim(sessions[1])
    assert (await hours.last(sessions[1])).stopped_at is None
    hours.minute += 60
    with pytest.raises(NasNotSilent, match="has not looked for ten minutes"):
        await gone.close_at(hours.nas.source_address)


async def test_sessions_of_another_isp_are_not_closed_where_a_nas_of_nobody_was(hours: Hours) -> None:
    session = await hours.online()
    gone, database = "192.0.2.78", hours.site.radius_database
    async with database.begin() as db:
        await db.execute(update(radacct).where(radacct.c.username == session.username).values(nasipaddress=gone))
    assert await hours.pass_minutes(4) == 0
    other, mine = (
        SilentSessions(database.begin, tenant_id=tenant_id, now=lambda: hours.now)
        for tenant_id in ("another", hours.site.tenant_id)
    )
    assert (await other.close_at(gone), await mine.close_at(gone)) == (0, 1)
    assert (await hours.last(session)).stopped_at == BEGAN
