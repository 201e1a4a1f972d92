"""Sessions: what a NAS tells the real FreeRADIUS is what ``SessionReader`` reads, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from radius import Session
from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import radacct, radpostauth
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import ADDRESSES, Site

pytestmark = pytest.mark.both_databases


async def _logged_in(site: Site) -> tuple[LabNas, LabSession]:
    subscriber = await site.active()
    nas = await site.nas()
    reply = await nas.login(subscriber["username"], await site.password(subscriber))
    return nas, LabSession.after(subscriber["username"], reply)


async def _last(site: Site, session: LabSession) -> Session:
    found = await site.sessions.last_session(session.username)
    assert found is not None
    return found


async def test_there_is_no_session_before_the_first_login(site: Site) -> None:
    subscriber = await site.active()
    assert await site.sessions.last_session(subscriber["username"]) is None
    assert await site.sessions.open_sessions(subscriber["username"]) == []


async def test_a_start_opens_a_session_with_the_addresses_of_the_login(site: Site) -> None:
    nas, session = await _logged_in(site)
    await nas.accounting_start(session)

    (found,) = await site.sessions.open_sessions(session.username)
    assert found.stopped_at is None
    assert found.username == session.username
    assert found.framed_ip_address == ADDRESSES.ipv4
    assert found.ipv6_wan_prefix == ADDRESSES.ipv6_wan_prefix
    assert found.delegated_prefix == ADDRESSES.delegated_prefix
    assert found.nas_address == nas.source_address
    assert found.nas_port == "lab0"
    assert found.calling_station == "02-00-00-00-00-01"
    assert found.started_at is not None
    assert found.started_at.tzinfo is not None
    assert abs(datetime.now(UTC) - found.started_at) < timedelta(minutes=1)
    assert (found.input_octets, found.output_octets, found.stopped_at) == (0, 0, None)
    async with site.radius_database.begin() as db:
        marked = await db.scalar(select(radacct.c["class"]).where(radacct.c.username == session.username))
    assert marked == (session.service_class or b"").decode()
    assert marked.startswith("subscriber-")


async def test_an_interim_counts_past_32_bits_and_a_stop_closes(site: Site) -> None:
    nas, session = await _logged_in(site)
    await nas.accounting_start(session)
    await nas.accounting_interim(session, Usage(seconds=300, input_octets=5, output_octets=3 * 2**32 + 7))
    running = await _last(site, session)
    await nas.accounting_stop(
        session, Usage(seconds=600, input_octets=9, output_octets=4 * 2**32), cause="Lost-Carrier"
    )
    over = await _last(site, session)

    assert (running.stopped_at, running.duration_seconds) == (None, 300)
    assert (running.input_octets, running.output_octets) == (5, 3 * 2**32 + 7)
    assert (over.duration_seconds, over.terminate_cause) == (600, "Lost-Carrier")
    assert (over.input_octets, over.output_octets) == (9, 4 * 2**32)
    assert over.stopped_at is not None
    assert await site.sessions.open_sessions(session.username) == []


@pytest.mark.parametrize("below_zero", [2**63, 2**64 - 1])
async def test_a_counter_that_no_column_holds_says_nothing_and_all_else_of_its_packet_counts(
    site: Site, below_zero: int
) -> None:
    nas, session = await _logged_in(site)
    await nas.accounting_start(session)
    await nas.accounting_interim(session, Usage(seconds=300, input_octets=below_zero, output_octets=7))
    first = await _last(site, session)
    await nas.accounting_interim(session, Usage(seconds=600, input_octets=5, output_octets=2**63 - 1))
    second = await _last(site, session)
    await nas.accounting_stop(session, Usage(seconds=900, input_octets=6, output_octets=below_zero))
    over = await _last(site, session)

    assert (first.duration_seconds, first.input_octets, first.output_octets) == (300, 0, 7)
    assert (second.duration_seconds, second.input_octets, second.output_octets) == (600, 5, 2**63 - 1)
    assert (over.duration_seconds, over.input_octets, over.output_octets) == (900, 6, 2**63 - 1)
    assert over.terminate_cause == "User-Request"

    nas, alone = await _logged_in(site)
    await nas.accounting_stop(alone, Usage(seconds=60, input_octets=below_zero, output_octets=9))
    told = await _last(site, alone)
    assert (told.duration_seconds, told.input_octets, told.output_octets) == (60, 0, 9)


async def test_packets_that_come_twice_or_late_are_answered_and_change_nothing(site: Site) -> None:
    nas, session = await _logged_in(site)
    await nas.accounting_start(session)
    await nas.accounting_start(session)
    await nas.accounting_stop(session, Usage(seconds=600, output_octets=1000))
    closed = await _last(site, session)

    await nas.accounting_interim(session, Usage(seconds=590, output_octets=1))
    await nas.accounting_stop(session, Usage(seconds=600, output_octets=1000))
    await nas.accounting_start(session)

    assert await _last(site, session) == closed


async def test_a_stop_without_its_start_is_kept(site: Site) -> None:
    nas, session = await _logged_in(site)
    await nas.accounting_stop(session, Usage(seconds=60, input_octets=77))

    found = await _last(site, session)
    assert (found.input_octets, found.duration_seconds) == (77, 60)
    assert found.started_at is not None and found.stopped_at is not None
    assert found.stopped_at - found.started_at == timedelta(seconds=60)


async def test_two_nases_with_one_session_id_have_a_session_each_and_the_newest_is_the_last(site: Site) -> None:
    nas, session = await _logged_in(site)
    other = await site.nas()
    await nas.accounting_start(session)
    await other.accounting_start(session)

    found = await site.sessions.open_sessions(session.username)
    assert [one.nas_address for one in found] == [other.source_address, nas.source_address]
    assert found[0].session_id == found[1].session_id
    assert found[0].radacct_id > found[1].radacct_id
    assert (await _last(site, session)).nas_address == other.source_address


async def test_a_nas_that_restarts_closes_its_own_sessions_and_a_real_stop_corrects_them(site: Site) -> None:
    nas, session = await _logged_in(site)
    other = await site.nas()
    elsewhere = replace(session, session_id="elsewhere")
    await nas.accounting_start(session)
    await other.accounting_start(elsewhere)

    await nas.accounting_on()
    (still_open,) = await site.sessions.open_sessions(session.username)
    await nas.accounting_stop(session, Usage(seconds=42, input_octets=4242))

    assert still_open.nas_address == other.source_address
    async with site.radius_database.begin() as db:
        mine = select(radacct.c.acctterminatecause, radacct.c.acctinputoctets)
        closed = (await db.execute(mine.where(radacct.c.acctsessionid == session.session_id))).one()
    assert tuple(closed) == ("User-Request", 4242)


async def test_a_session_that_goes_on_after_its_nas_said_it_restarted_is_open_again(site: Site) -> None:
    nas, session = await _logged_in(site)
    now = datetime.now(UTC).replace(microsecond=0)
    nas.event_at = now - timedelta(minutes=5)
    await nas.accounting_start(session)
    nas.event_at = now - timedelta(minutes=3)
    await nas.accounting_on()
    nas.event_at = now - timedelta(minutes=4)
    await nas.accounting_interim(session, Usage(seconds=60, output_octets=10))
    closed = await _last(site, session)
    assert (closed.terminate_cause, closed.stopped_at) == ("NAS-Reboot", now - timedelta(minutes=3))
    nas.event_at = now - timedelta(minutes=2)
    await nas.accounting_interim(session, Usage(seconds=180, output_octets=30))
    again = await _last(site, session)
    assert (again.stopped_at, again.terminate_cause, again.output_octets) == (None, None, 30)


async def test_a_nas_clock_that_is_ahead_counts_for_no_more_than_ours(site: Site) -> None:
    nas, session = await _logged_in(site)
    nas.event_at = datetime.now(UTC) + timedelta(days=400)
    await nas.accounting_start(session)
    await nas.accounting_interim(session, Usage(seconds=300, output_octets=1))
    async with site.radius_database.begin() as db:  # as it was written before that was so
        ahead = update(radacct).where(radacct.c.username == session.username)
        await db.execute(ahead.values(acctupdatetime=nas.event_at))
    await nas.accounting_interim(session, Usage(seconds=600, output_octets=2))
    for moment in ((told := await _last(site, session)).updated_at, told.started_at):
        assert moment is not None and moment <= datetime.now(UTC)


async def test_an_interim_out_of_turn_hardly_shortens_what_is_seen_of_a_session(site: Site) -> None:
    nas, session = await _logged_in(site)
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    nas.event_at = at
    await nas.accounting_start(session)
    seen = []
    for gap in (600, 70, 1200, 30, 5000):
        nas.event_at = at = at + timedelta(seconds=gap)
        await nas.accounting_interim(session, Usage(seconds=gap))
        async with site.radius_database.begin() as db:
            seen.append(await db.scalar(select(radacct.c.acctinterval).where(radacct.c.username == session.username)))
    assert seen == [600, 467, 1200, 1200, 4800]


async def test_no_password_is_ever_in_the_log_of_logins(site: Site) -> None:
    subscriber = await site.active()
    nas = await site.nas()
    await nas.login(subscriber["username"], await site.password(subscriber))
    await nas.login(subscriber["username"], "a-wrong-password")

    async with site.radius_database.begin() as db:
        mine = select(radius_login).where(radius_login.c.username == subscriber["username"]).order_by(radius_login.c.id)
        logged = (await db.execute(mine)).all()
        besides = (await db.scalars(select(radpostauth.c.id))).all()
    assert [row.accepted for row in logged] == [True, False]
    assert not [row for row in logged if await site.password(subscriber) in str(row) or "a-wrong-password" in str(row)]
    assert besides == []
