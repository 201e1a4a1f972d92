"""Packets of accounting that come again or late, from NASes that tell of time in each of their ways: one session stays
one, and its use counts once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from radius.projection.freeradius_tables import radacct
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import Site

pytestmark = pytest.mark.both_databases

NO_TIME, NO_DELAY, DELAY_0 = "without times", "without a delay", "with a delay that is always 0"
WAYS = (NO_TIME, NO_DELAY, DELAY_0)
HOUR = 3600
MOMENTS = ("acctstarttime", "acctupdatetime", "acctstoptime")


@dataclass
class Line:
    """A NAS and a session that began ``ago`` seconds ago; times are seconds since then by the NAS' clock."""

    site: Site
    nas: LabNas
    session: LabSession
    way: str
    ago: int = 0

    async def tell(self, act: str, at: int = 0, octets: int = 0, *, session: LabSession | None = None) -> None:
        self.nas.event_at = datetime.now(UTC) - timedelta(seconds=self.ago - at) if self.way != NO_TIME else None
        self.nas.tells_delay = self.way != NO_DELAY
        self.nas.delay_seconds = 0 if self.way == DELAY_0 else None
        of = session or self.session
        if act == "start":
            await self.nas.accounting_start(of)
        elif act == "interim":
            await self.nas.accounting_interim(of, Usage(seconds=at, output_octets=octets))
        elif act == "on":
            await self.nas.accounting_on()
        else:
            await self.nas.accounting_stop(of, Usage(seconds=at, output_octets=octets))

    async def later(self, seconds: int) -> None:
        """So much time passes: what is known is as much older."""
        self.ago += seconds
        async with self.site.radius_database.begin() as db:
            mine = select(radacct.c.radacctid, *(radacct.c[name] for name in MOMENTS))
            for number, *moments in list(await db.execute(mine.where(radacct.c.username == self.session.username))):
                older = {
                    name: moment and moment - timedelta(seconds=seconds)
                    for name, moment in zip(MOMENTS, moments, strict=True)
                }
                await db.execute(update(radacct).where(radacct.c.radacctid == number).values(older))

    async def rows(self) -> list[tuple[str | None, int]]:
        """Why each of its sessions ended, and its octets."""
        mine = select(radacct.c.acctterminatecause, radacct.c.acctoutputoctets)
        mine = mine.where(radacct.c.username == self.session.username).order_by(radacct.c.radacctid)
        async with self.site.radius_database.read() as db:
            return [(cause, octets) for cause, octets in await db.execute(mine)]

    async def row(self) -> tuple[int, int | None, int | None]:
        """When its row begins and ends, and for how long it is told to have been up."""
        columns = radacct.c
        mine = select(columns.acctstarttime, columns.acctstoptime, columns.acctsessiontime)
        async with self.site.radius_database.read() as db:
            [(began, ended, lasted)] = [
                tuple(each) for each in await db.execute(mine.where(columns.username == self.session.username))
            ]
        zero = datetime.now(UTC) - timedelta(seconds=self.ago)
        over = None if ended is None else round((ended - zero).total_seconds() / 10) * 10
        return round((began - zero).total_seconds() / 10) * 10, over, lasted


async def up(site: Site, way: str) -> Line:
    """A subscriber who has logged in."""
    nas, subscriber = await site.nas(), await site.active()
    reply = await nas.login(subscriber["username"], await site.password(subscriber))
    return Line(site, nas, LabSession.after(subscriber["username"], reply), way)


async def over(site: Site, way: str) -> Line:
    """One that was up for an hour, with 1000 octets."""
    line = await up(site, way)
    await line.tell("start")
    await line.later(1800)
    await line.tell("interim", 1800, 900)
    await line.later(1800)
    await line.tell("stop", HOUR, 1000)
    return line


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("after", [1, 60, 600, 2 * HOUR])
async def test_what_comes_again_of_a_session_that_is_over_makes_no_other_one(site: Site, way: str, after: int) -> None:
    line = await over(site, way)
    await line.later(after)
    for act, at, octets in (("stop", HOUR, 1000), ("interim", 1800, 900), ("start", 0, 0), ("stop", HOUR, 1000)):
        await line.tell(act, at, octets)
    assert await line.rows() == [("User-Request", 1000)]


@pytest.mark.parametrize("way", [NO_DELAY, DELAY_0, "with its delay"])
@pytest.mark.parametrize("ahead", [1, 2, 5, 200])
async def test_a_clock_that_is_ahead_makes_no_other_session_of_what_comes_again(
    site: Site, way: str, ahead: int
) -> None:
    line = await up(site, way)
    line.nas.clock_behind = -timedelta(seconds=ahead)
    await line.tell("start")
    await line.later(2)
    await line.tell("stop", 2, 500)
    for seconds in (0, 2, 6, ahead, 60):
        await line.later(seconds)
        await line.tell("start")
        await line.tell("interim", 1, 10)
        await line.tell("stop", 2, 500)
    assert await line.rows() == [("User-Request", 500)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_start_that_comes_again_after_a_silence_makes_no_other_session(site: Site, way: str) -> None:
    line = await up(site, way)
    await line.tell("start")
    await line.later(1800)
    await line.tell("interim", 1800, 900)
    reaped = {"acctstoptime": radacct.c.acctupdatetime, "acctterminatecause": "Lost-Carrier-Reaped"}
    async with site.radius_database.begin() as db:
        await db.execute(update(radacct).where(radacct.c.username == line.session.username).values(reaped))
    await line.later(5 * HOUR)
    await line.tell("start")
    await line.tell("interim", 5 * HOUR + 1800, 5000)
    assert await line.rows() == [("Reopened", 5000)]


@pytest.mark.parametrize("way", WAYS)
async def test_a_start_that_comes_again_after_a_restart_that_was_none_makes_no_other_session(
    site: Site, way: str
) -> None:
    line = await up(site, way)
    await line.tell("start")
    await line.tell("interim", 1, 1000)
    await line.later(2)
    await line.tell("on", 2)
    await line.later(2)
    await line.tell("start", 0)
    await line.tell("interim", 60, 2000)
    [(_, octets)] = await line.rows()
    assert octets == 2000


async def test_a_start_that_was_kept_does_not_replace_the_session_that_is_up(site: Site) -> None:
    await site.define_plan(second_login="replace")
    line = await over(site, DELAY_0)
    another = replace(line.session, session_id="another")
    await line.later(HOUR)
    await line.tell("start", 2 * HOUR, session=another)
    await line.later(2 * HOUR)
    await line.tell("start")
    assert await line.rows() == [("User-Request", 1000), (None, 0)]


async def test_what_a_nas_keeps_and_says_no_delay_of_counts_by_its_clock(site: Site) -> None:
    line = await up(site, DELAY_0)
    await line.tell("start")
    await line.later(HOUR)
    await line.tell("interim", HOUR, 900)
    await line.later(4 * HOUR)
    await line.tell("interim", 1800, 400)  # older than what was told
    assert await line.row() == (0, None, HOUR)
    await line.tell("stop", 2 * HOUR, 1000)
    assert await line.row() == (0, 2 * HOUR, 2 * HOUR)


async def test_a_restart_that_is_told_late_closes_nothing_that_began_since(site: Site) -> None:
    line = await up(site, DELAY_0)
    await line.tell("start")
    await line.later(1200)
    await line.tell("on", -300)
    assert await line.rows() == [(None, 0)]


@pytest.mark.parametrize("delay", [100_000, 315_360_000, 2**32 - 1])
async def test_a_delay_that_can_not_be_is_not_believed_against_the_clock(site: Site, delay: int) -> None:
    line = await up(site, NO_DELAY)
    await line.tell("start")
    line.nas.tells_delay, line.nas.delay_seconds, line.nas.event_at = True, delay, datetime.now(UTC)
    await line.nas.accounting_stop(line.session, Usage(seconds=0, output_octets=5))
    assert await line.row() == (0, 0, 0)


async def test_the_end_is_kept_also_where_the_clock_was_set_back_in_between(site: Site) -> None:
    line = await up(site, NO_DELAY)
    line.ago = 1800
    await line.tell("start")
    line.nas.event_at = datetime.now(UTC) - timedelta(hours=1)
    await line.nas.accounting_stop(line.session, Usage(seconds=1800, output_octets=5))
    assert await line.rows() == [("User-Request", 5)]


@pytest.mark.parametrize("way", WAYS[1:])
async def test_a_late_start_of_who_had_the_identity_before_changes_nothing(site: Site, way: str) -> None:
    line = await over(site, way)
    await line.later(6 * HOUR)
    await line.tell("start", 7 * HOUR)
    await line.tell("start")
    async with site.radius_database.read() as db:
        mine = radacct.c.username == line.session.username
        began = list(await db.scalars(select(radacct.c.acctstarttime).where(mine).order_by(radacct.c.radacctid)))
    assert [round((each - began[0]).total_seconds()) // 60 for each in began] == [0, 7 * 60]


@pytest.mark.parametrize("way", [NO_DELAY, DELAY_0])
async def test_a_nas_that_stamps_what_it_sends_again_makes_no_other_session(site: Site, way: str) -> None:
    line = await up(site, way)
    await line.tell("start")
    await line.tell("stop", 0, 500)
    await line.later(60)
    await line.tell("start", 60)
    assert await line.rows() == [("User-Request", 500)]
