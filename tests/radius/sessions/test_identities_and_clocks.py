"""NASes that count their sessions anew, and NASes whose clock is wrong: by the real FreeRADIUS, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from radius import Kept, SessionArchive
from radius.invariants import sessions_twice, wrong_clocks
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_nas_clock, radius_session_archive, radius_upkeep
from radius.testing import LabNas, LabSession, NoAnswer, Usage
from tests.radius.conftest import Site

pytestmark = pytest.mark.both_databases

REFUSING = {
    True: (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not now'; END$$",
        "CREATE TRIGGER refusing BEFORE UPDATE OF acctuniqueid ON radacct FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
    False: (
        "CREATE TRIGGER refusing BEFORE UPDATE OF acctuniqueid ON radacct BEGIN SELECT RAISE(ABORT, 'not now'); END",
    ),
}
REFUSING_NO_MORE = {
    True: ("DROP TRIGGER refusing ON radacct", "DROP FUNCTION refuse()"),
    False: ("DROP TRIGGER refusing",),
}
"""On PostgreSQL, or on SQLite: no session may give its identity away."""

Row = tuple[datetime | None, datetime | None, str | None, int]


def ago(**before: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**before)


async def rows(site: Site, session: LabSession) -> list[Row]:
    """When each of its rows began and ended, why, and what was downloaded."""
    columns = radacct.c
    mine = select(columns.acctstarttime, columns.acctstoptime, columns.acctterminatecause, columns.acctoutputoctets)
    async with site.radius_database.read() as db:
        found = await db.execute(mine.where(columns.username == session.username).order_by(columns.radacctid))
        return [(began, ended, cause, octets) for began, ended, cause, octets in found]


async def logged_in(site: Site) -> tuple[LabNas, LabSession]:
    nas, subscriber = await site.nas(), await site.active()
    reply = await nas.login(subscriber["username"], await site.password(subscriber))
    return nas, LabSession.after(subscriber["username"], reply)


async def up_for_an_hour(site: Site, *, since: datetime, end: str = "Stop") -> tuple[LabNas, LabSession]:
    nas, session = await logged_in(site)
    nas.event_at = since
    await nas.accounting_start(session)
    nas.event_at = since + timedelta(minutes=30)
    await nas.accounting_interim(session, Usage(seconds=1800, output_octets=900))
    nas.event_at = since + timedelta(hours=1)
    if end == "Stop":
        await nas.accounting_stop(session, Usage(seconds=3600, output_octets=1000))
    elif end == "NAS-Reboot":
        await nas.accounting_on()
    elif end == "silence":
        reaped = {"acctstoptime": radacct.c.acctupdatetime, "acctterminatecause": "Lost-Carrier-Reaped"}
        async with site.radius_database.begin() as db:
            await db.execute(update(radacct).where(radacct.c.username == session.username).values(reaped))
    return nas, session


@pytest.mark.parametrize(
    ("end", "ended_after", "cause", "octets"),
    [
        ("Stop", timedelta(hours=1), "User-Request", 1000),
        ("NAS-Reboot", timedelta(hours=1), "NAS-Reboot", 900),
        ("silence", timedelta(minutes=30), "Lost-Carrier-Reaped", 900),
    ],
)
async def test_a_session_of_an_identity_that_was_used_before_is_a_session_of_its_own(
    site: Site, end: str, ended_after: timedelta, cause: str, octets: int
) -> None:
    since, anew = ago(days=2), ago(hours=5)
    nas, session = await up_for_an_hour(site, since=since, end=end)

    nas.event_at = anew
    await nas.accounting_start(session)
    await nas.accounting_start(session)  # repeated

    before = (since, since + ended_after, cause, octets)
    assert await rows(site, session) == [before, (anew, None, None, 0)]
    nas.event_at = anew + timedelta(hours=1)
    await nas.accounting_interim(session, Usage(seconds=3600, output_octets=70))
    assert await rows(site, session) == [before, (anew, None, None, 70)]
    nas.event_at = ended = anew + timedelta(hours=2)
    for _ in range(2):
        await nas.accounting_stop(session, Usage(seconds=7200, output_octets=80))
    nas.event_at = anew
    await nas.accounting_start(session)
    assert await rows(site, session) == [before, (anew, ended, "User-Request", 80)]


@pytest.mark.parametrize(
    ("end", "cause", "octets"), [("Stop", "User-Request", 1000), ("NAS-Reboot", "NAS-Reboot", 900)]
)
@pytest.mark.parametrize("told", ["interim", "stop"])
async def test_where_its_start_was_lost_it_is_told_by_how_long_it_has_been_up(
    site: Site, end: str, cause: str, octets: int, told: str
) -> None:
    since, anew = ago(days=2), ago(hours=5)
    nas, session = await up_for_an_hour(site, since=since, end=end)
    nas.event_at = at = anew + timedelta(hours=1)

    tell = nas.accounting_interim if told == "interim" else nas.accounting_stop
    await tell(session, Usage(seconds=3600, output_octets=70))

    over = (at, "User-Request") if told == "stop" else (None, None)
    assert await rows(site, session) == [(since, since + timedelta(hours=1), cause, octets), (anew, *over, 70)]


async def test_late_packets_of_a_session_that_is_over_make_no_other_one(site: Site) -> None:
    since = ago(hours=3)
    nas, session = await up_for_an_hour(site, since=since)
    over = await rows(site, session)

    for minutes, kept in ((0, nas.accounting_start), (1, nas.accounting_start)):
        nas.event_at = since + timedelta(minutes=minutes)
        await kept(session)
    nas.event_at = since + timedelta(minutes=50)
    await nas.accounting_interim(session, Usage(seconds=3000, output_octets=950))
    for lost in ({"event_at": None}, {"event_at": ago(), "tells_delay": False, "clock_behind": -timedelta(hours=2)}):
        for (
            name,
            value,
        ) in lost.items():  # it says neither when nor for how long it has been under way, or by a wrong clock
            setattr(nas, name, value)
        await nas.accounting_stop(session, Usage(seconds=3600, output_octets=1000))
        await nas.accounting_interim(session, Usage(seconds=1800, output_octets=900))

    assert await rows(site, session) == over


@pytest.mark.parametrize("ahead", [1, 4, 200, 7200])
@pytest.mark.parametrize("tells_delay", [True, False])
async def test_a_short_session_of_a_nas_whose_clock_is_ahead_is_one_however_often_it_is_told(
    site: Site, ahead: int, tells_delay: bool
) -> None:
    nas, session = await logged_in(site)
    nas.clock_behind, nas.tells_delay = -timedelta(seconds=ahead), tells_delay
    began = ago(seconds=3)
    for _ in range(2):
        nas.event_at = began
        await nas.accounting_start(session)
        nas.event_at = began + timedelta(seconds=1)
        await nas.accounting_stop(session, Usage(seconds=1, output_octets=500))

    [(_, ended, cause, octets)] = await rows(site, session)
    assert (ended is not None, cause, octets) == (True, "User-Request", 500)


async def test_a_start_that_comes_again_while_the_session_is_up_makes_no_other_one(site: Site) -> None:
    nas, session = await logged_in(site)
    began = ago(hours=1)
    for minutes, octets in ((0, 0), (10, 1000), (19, 0), (20, 2000)):
        nas.event_at = began + timedelta(minutes=minutes)
        if octets:
            await nas.accounting_interim(session, Usage(seconds=minutes * 60, output_octets=octets))
        else:
            await nas.accounting_start(session)
    assert await rows(site, session) == [(began, None, None, 2000)]


async def test_a_late_stop_of_who_had_the_identity_before_does_not_end_the_session_that_has_it(site: Site) -> None:
    since, anew = ago(hours=3), ago(hours=1)
    nas, session = await up_for_an_hour(site, since=since, end="NAS-Reboot")
    nas.event_at = anew
    await nas.accounting_start(session)
    nas.event_at = since + timedelta(minutes=59)
    await nas.accounting_stop(session, Usage(seconds=3540, output_octets=1000))
    nas.event_at = anew + timedelta(minutes=30)
    await nas.accounting_interim(session, Usage(seconds=1800, output_octets=70))
    assert await rows(site, session) == [
        (since, since + timedelta(hours=1), "NAS-Reboot", 900),
        (anew, None, None, 70),
    ]


async def test_what_could_not_be_written_is_not_answered(site: Site) -> None:
    since = ago(days=1)
    nas, session = await up_for_an_hour(site, since=since)
    nas.timeout_seconds, nas.event_at = 1.5, ago()
    async with site.radius_database.begin() as db:
        for statement in REFUSING[site.radius_database.is_postgresql]:
            await db.execute(text(statement))
    try:
        with pytest.raises(NoAnswer):
            await nas.accounting_start(session)
    finally:
        async with site.radius_database.begin() as db:
            for statement in REFUSING_NO_MORE[site.radius_database.is_postgresql]:
                await db.execute(text(statement))
    assert len(await rows(site, session)) == 1
    await nas.accounting_start(session)
    assert len(await rows(site, session)) == 2


async def test_a_nas_that_tells_no_delay_is_believed_up_to_a_day(site: Site) -> None:
    nas, session = await logged_in(site)
    nas.tells_delay, nas.event_at = False, ago(hours=20)
    await nas.accounting_start(session)
    nas.event_at = ago(hours=30)
    await nas.accounting_interim(session, Usage(seconds=60))
    async with site.radius_database.read() as db:
        mine = select(radacct.c.acctstarttime, radacct.c.acctupdatetime).where(radacct.c.username == session.username)
        [(started, updated)] = [tuple(each) for each in await db.execute(mine)]
    assert abs(started - ago(hours=20)) < timedelta(seconds=5)
    assert abs(updated - ago()) < timedelta(seconds=5)


async def test_a_start_without_a_time_that_comes_again_just_after_the_end_makes_no_session(site: Site) -> None:
    nas, session = await logged_in(site)
    await nas.accounting_start(session)
    await nas.accounting_stop(session, Usage(seconds=0, output_octets=5))
    await nas.accounting_start(session)
    [(_, ended, cause, octets)] = await rows(site, session)
    assert (ended is not None, cause, octets) == (True, "User-Request", 5)


async def tend(site: Site, now: datetime) -> None:
    """Though somebody else may have that day."""
    for act in (SessionArchive(site.radius_database.begin, now=lambda: now, kept=Kept()).tend, None):
        async with site.radius_database.begin() as db:
            await db.execute(radius_upkeep.delete())
        if act is not None:
            await act()


async def test_both_sessions_of_an_identity_go_into_the_archive_and_neither_is_thought_the_other(site: Site) -> None:
    first, second = ago(days=80), ago(days=40)
    nas, session = await up_for_an_hour(site, since=first)
    await tend(site, ago(days=20))
    assert await rows(site, session) == []
    nas.event_at = second
    await nas.accounting_start(session)
    nas.event_at = second + timedelta(hours=1)
    await nas.accounting_stop(session, Usage(seconds=3600, output_octets=7))
    async with site.radius_database.begin() as db:
        assert [one for one in await sessions_twice(db, ago()) if one.subject == session.username] == []

    await tend(site, ago())

    columns = radius_session_archive.c
    async with site.radius_database.read() as db:
        mine = select(columns.acctstarttime, columns.acctoutputoctets).where(columns.username == session.username)
        kept = [tuple(each) for each in await db.execute(mine.order_by(columns.acctstarttime))]
    assert kept == [(first, 1000), (second, 7)]
    assert await rows(site, session) == []


async def has_been_wrong(site: Site, nas: LabNas, *, since: timedelta = timedelta(minutes=11)) -> None:
    """What it tells now is seen to be by a wrong clock, and was so before."""
    nas.event_at = ago()
    await nas.accounting_on()
    async with site.radius_database.begin() as db:
        mine = radius_nas_clock.c.nasipaddress == nas.source_address
        await db.execute(update(radius_nas_clock).where(mine).values(since=ago() - since))


@pytest.mark.parametrize(
    "behind", [timedelta(minutes=20), timedelta(hours=3), timedelta(days=20000), -timedelta(hours=2)]
)
async def test_what_a_nas_with_a_wrong_clock_tells_counts_by_when_it_was_sent_and_somebody_is_told(
    site: Site, behind: timedelta
) -> None:
    nas, session = await logged_in(site)
    began, ended = ago(minutes=50), ago(minutes=10)
    nas.clock_behind = behind
    await has_been_wrong(site, nas)
    nas.event_at = began
    await nas.accounting_start(session)
    nas.event_at = ended
    await nas.accounting_stop(session, Usage(seconds=2400, output_octets=3))

    [(started, stopped, _, _)] = await rows(site, session)
    assert started is not None and stopped is not None
    assert abs(started - began) < timedelta(seconds=5)
    assert abs(stopped - ended) < timedelta(seconds=5)
    async with site.radius_database.read() as db:
        noted = await db.scalar(
            select(radius_nas_clock.c.behind_seconds).where(radius_nas_clock.c.nasipaddress == nas.source_address)
        )
        findings = await wrong_clocks(db, ago())
        assert await wrong_clocks(db, ago(days=-2)) == []
    assert noted is not None and abs(noted - behind.total_seconds()) < 5
    [finding] = [one for one in findings if one.subject == nas.source_address]
    assert finding.sentence.startswith(f"The clock of NAS {nas.source_address} is ")
    assert ("ahead of" if behind < timedelta() else "behind") in finding.sentence


async def test_where_a_wrong_clock_can_not_be_noted_the_session_is_kept_and_answered(site: Site) -> None:
    nas, session = await logged_in(site)
    nas.event_at, nas.clock_behind = ago(), timedelta(hours=3)
    async with site.radius_database.begin() as db:
        await db.execute(text("ALTER TABLE radius_nas_clock RENAME TO another_table"))
    try:
        await nas.accounting_start(session)
    finally:
        async with site.radius_database.begin() as db:
            await db.execute(text("ALTER TABLE another_table RENAME TO radius_nas_clock"))
    [(started, _, _, _)] = await rows(site, session)
    assert started is not None and abs(started - ago(hours=3)) < timedelta(minutes=1)  # as its clock says


async def test_a_restart_by_a_clock_that_began_anew_closes_what_was_open(site: Site) -> None:
    nas, session = await logged_in(site)
    await nas.accounting_start(session)
    nas.event_at, nas.clock_behind = ago(), timedelta(days=20000)
    await nas.accounting_on()
    [(_, stopped, cause, _)] = await rows(site, session)
    assert cause == "NAS-Reboot"
    assert stopped is not None and stopped >= ago(minutes=1)


async def test_what_was_under_way_for_long_counts_by_when_it_was_sent_also_without_a_clock(site: Site) -> None:
    nas, session = await logged_in(site)
    nas.clock_behind = None
    nas.event_at = began = ago(hours=3)
    await nas.accounting_start(session)
    nas.event_at = ended = ago(hours=2)
    await nas.accounting_stop(session, Usage(seconds=3600))
    [(started, stopped, _, _)] = await rows(site, session)
    assert started is not None and stopped is not None
    assert max(abs(started - began), abs(stopped - ended)) < timedelta(seconds=5)
    async with site.radius_database.read() as db:
        assert nas.source_address not in {one.subject for one in await wrong_clocks(db, ago())}
