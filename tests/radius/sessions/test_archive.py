"""What is over for long goes into the archive, and a late packet of it makes no second session."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text

from radius import Archived, Kept, SessionArchive, SessionLooks, UsageLooks
from radius.invariants import sessions_twice
from radius.projection.freeradius_tables import radacct
from radius.sessions.archive import make_partitions
from radius.sessions.tables import radius_session_archive, radius_upkeep
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import ADDRESSES, Site

NOW = datetime.now(UTC).replace(microsecond=0)


async def _session(site: Site, nas: LabNas, *, days: int, stop: bool = True) -> LabSession:
    """One that began so many days ago and was up for an hour."""
    subscriber = await site.active()
    session = LabSession(
        subscriber["username"], framed_ip_address=ADDRESSES.ipv4, delegated_prefix=ADDRESSES.delegated_prefix
    )
    nas.event_at = NOW - timedelta(days=days)
    await nas.accounting_start(session)
    if stop:
        nas.event_at += timedelta(hours=1)
        await nas.accounting_stop(session, Usage(seconds=3600, input_octets=5, output_octets=6 * 2**32))
    return session


async def _where(site: Site, session: LabSession) -> tuple[int, int]:
    """In how many rows of radacct, and in how many of the archive."""
    async with site.radius_database.begin() as db:
        numbers = []
        for table in (radacct, radius_session_archive):
            mine = select(func.count()).select_from(table).where(table.c.username == session.username)
            numbers.append(await db.scalar(mine) or 0)
        return numbers[0], numbers[1]


@pytest.mark.both_databases
async def test_old_sessions_go_into_the_archive_where_every_question_finds_them(site: Site) -> None:
    nas = await site.nas()
    old = [await _session(site, nas, days=days) for days in (36, 37, 100)]
    young, still_open = await _session(site, nas, days=34), await _session(site, nas, days=90, stop=False)
    looks = SessionLooks(
        site.radius_database.read, site.radius_database.look, tenant_id=site.tenant_id, now=lambda: NOW
    )
    [before] = await looks.of_user(old[0].username)
    archive = SessionArchive(site.radius_database.begin, now=lambda: NOW, kept=Kept(), at_once=2)
    both = await asyncio.gather(archive.tend(), archive.tend())
    assert sum(each.moved for each in both) == 3
    assert await archive.tend() == Archived(moved=0, forgotten=0)

    assert [await _where(site, session) for session in old] == [(0, 1)] * 3
    assert [await _where(site, session) for session in (young, still_open)] == [(1, 0)] * 2
    assert await looks.of_user(old[0].username) == [before]
    last = await site.sessions.last_session(old[0].username)
    assert last is not None and (last.radacct_id, last.output_octets) == (before["number"], 6 * 2**32)
    then = NOW - timedelta(days=36) + timedelta(minutes=30)
    for asked in (str(ADDRESSES.ipv4), "2001:db8:7900::77"):
        assert before in await looks.who_had(asked, at=then)
    day = then.date() - timedelta(days=1), then.date() + timedelta(days=1)
    usage = UsageLooks(site.radius_database.read, tenant_id=site.tenant_id)
    used = await usage.of_user(old[0].username, first_day=day[0], last_day=day[1])
    assert (used["input_octets"], used["output_octets"], used["session_seconds"]) == (5, 6 * 2**32, 3600)

    nas.event_at = then + timedelta(hours=1)
    for told in (nas.accounting_interim, nas.accounting_stop):
        await told(old[0], Usage(seconds=3700, output_octets=7 * 2**32))  # answered, and nothing more
    assert await _where(site, old[0]) == (0, 1)
    assert await looks.of_user(old[0].username) == [before]

    async with site.radius_database.begin() as db:
        await db.execute(radius_upkeep.delete())
    forgetting = SessionArchive(
        site.radius_database.begin, now=lambda: NOW, kept=Kept(archive=timedelta(days=60)), at_once=2
    )
    assert await forgetting.tend() == Archived(moved=0, forgotten=1)
    assert [await _where(site, session) for session in old] == [(0, 1), (0, 1), (0, 0)]
    if site.backend.is_postgresql:
        partitions = text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY relname")
        async with site.radius_database.begin() as db:
            names = list(await db.scalars(partitions))
        ahead = (NOW.replace(day=1) + timedelta(days=32)).replace(day=1)
        assert names[-1] == f"radius_session_archive_{ahead:%Y_%m}"
        assert f"radius_session_archive_{NOW - timedelta(days=100):%Y_%m}" not in names


async def test_what_came_back_while_it_was_moved_is_found_and_not_kept_twice(site: Site) -> None:
    nas = await site.nas()
    old = await _session(site, nas, days=40)
    async with site.radius_database.begin() as db:
        await db.execute(radius_upkeep.delete())
    await SessionArchive(site.radius_database.begin, now=lambda: NOW, kept=Kept()).tend()
    async with site.radius_database.begin() as db:
        names = [column.name for column in radius_session_archive.c if column.name != "radacctid"]
        mine = select(*(radius_session_archive.c[name] for name in names))
        mine = mine.where(radius_session_archive.c.username == old.username)
        await db.execute(insert(radacct).from_select(names, mine))
        [finding] = [one for one in await sessions_twice(db, NOW) if one.subject == old.username]
        await db.execute(radius_upkeep.delete())
    assert finding.sentence.endswith("is in radacct and in radius_session_archive: delete it in radacct.")
    assert await _where(site, old) == (1, 1)
    await SessionArchive(site.radius_database.begin, now=lambda: NOW, kept=Kept()).tend()
    assert await _where(site, old) == (0, 1)


@pytest.mark.parametrize("kind", ["postgresql"])
async def test_a_partition_is_made_while_accounting_reads_the_archive(site: Site) -> None:
    month = date(2031, 5, 1)
    async with site.radius_database.begin() as accounting, site.radius_database.begin() as db:
        assert await accounting.scalar(select(func.count()).select_from(radius_session_archive)) is not None
        await make_partitions(db, [month])
        await db.commit()
    async with site.radius_database.begin() as db:
        await db.execute(text("DROP TABLE radius_session_archive_2031_05"))
