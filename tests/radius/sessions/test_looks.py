"""What is asked about sessions, in tables that hold many, on both databases; and by which index each is answered."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from provisioning.database import Database
from radius import LookRefused, SessionLooks, SessionView, UsageLooks, ensure_freeradius_tables
from radius.projection.freeradius_tables import nas, radacct, radgroupreply, radius_projection, radusergroup
from radius.sessions.tables import radius_session_archive

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSED, OPEN = 4000, 600


def _row(number: int, **columns: Any) -> dict[str, Any]:
    began = NOW - timedelta(days=30) + timedelta(minutes=10 * number)
    return {
        "radacctid": number,
        "acctsessionid": f"s{number}",
        "acctuniqueid": f"u{number}",
        "username": f"user{number % 40}",
        "nasipaddress": f"10.0.0.{number % 20 + 1}",
        "framedipaddress": f"100.64.0.{number % 40 + 1}",
        "framedipv6address": f"2001:db8:ffff::{number:x}",
        "delegatedipv6prefix": f"2001:db8:{number % 40 + 1:x}00::/56",
        "acctstarttime": began,
        "acctupdatetime": began + timedelta(minutes=5),
        "acctstoptime": began + timedelta(minutes=5),
        "acctinputoctets": 1,
        "acctoutputoctets": 10,
        "acctsessiontime": 300,
        "acctterminatecause": "User-Request",
        **columns,
    }


def _open(number: int, **columns: Any) -> dict[str, Any]:
    at = {"acctstarttime": NOW - timedelta(hours=1), "acctupdatetime": NOW - timedelta(minutes=1)}
    return _row(number, **at, acctstoptime=None, acctterminatecause=None, **columns)


@pytest.fixture
async def many(database_url: str) -> AsyncIterator[Database]:
    """Numbers 1 to 4000 closed, 4001 to 4600 open; 101 to 300 are in the archive. User 1's number 4001 is doubtful."""
    opened = Database(database_url)
    async with opened.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
        if opened.is_postgresql:
            for month in (9, 10, 11):
                bounds = f"FROM ('2026-{month:02}-01 00:00+00') TO ('2026-{month + 1:02}-01 00:00+00')"
                await connection.execute(
                    text(f"CREATE TABLE month{month} PARTITION OF radius_session_archive FOR VALUES {bounds}")
                )
        rows = [_row(number) for number in range(1, CLOSED + 1)]
        rows += [_open(number) for number in range(CLOSED + 1, CLOSED + OPEN + 1)]
        rows[CLOSED]["acctupdatetime"] = NOW - timedelta(minutes=16)
        await connection.execute(insert(radacct), rows[:100] + rows[300:])
        await connection.execute(insert(radius_session_archive), rows[100:300])
        members = [{"username": f"user{each}", "groupname": "isp/plan"} for each in range(39)]
        await connection.execute(insert(radusergroup), [*members, {"username": "user39", "groupname": "isp/slow"}])
        interim = {"groupname": "isp/plan", "attribute": "Acct-Interim-Interval", "op": "=", "value": "300"}
        await connection.execute(insert(radgroupreply).values(interim))
        named = {"nasname": "10.0.0.2", "shortname": "bng-2", "type": "mikrotik", "secret": "s" * 24}
        await connection.execute(insert(nas).values(named))
        another = {"kind": "subscriber", "name": "user3", "tenant_id": "another", "source_id": 1, "version": 1}
        await connection.execute(insert(radius_projection).values(**another, digest="", projected_at=NOW))
    async with opened.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE"))
    yield opened
    await opened.close()


def _looks(many: Database) -> SessionLooks:
    return SessionLooks(many.read, many.look, tenant_id="isp", now=lambda: NOW)


def _numbers(found: list[SessionView]) -> list[int]:
    return [one["number"] for one in found]


async def test_the_list_of_who_is_online_goes_on_page_by_page(many: Database) -> None:
    looks = _looks(many)
    mine = [number for number in range(CLOSED + OPEN, CLOSED, -1) if number % 40 != 3]  # user3 is another ISP's
    first = await looks.online(limit=400)
    second = await looks.online(limit=400, before=first[-1]["number"])
    assert _numbers(first) + _numbers(second) == mine
    assert {(one["state"], one["interval_seconds"]) for one in first} == {("online", 300), ("online", None)}
    of_the_slow = await looks.online(plan="slow", limit=100)
    assert _numbers(of_the_slow) == [number for number in mine if number % 40 == 39]
    assert {one["interval_seconds"] for one in of_the_slow} == {None}
    assert _numbers(await looks.online(doubtful=True)) == [CLOSED + 1]
    at_nas = await looks.online(nas_address="10.0.0.2", limit=100)
    assert _numbers(at_nas) == [number for number in mine if number % 20 == 1]
    assert (at_nas[0]["nas"], at_nas[0]["nas_address"], at_nas[0]["ipv4"]) == ("bng-2", "10.0.0.2", "100.64.0.22")


async def test_a_username_s_sessions_are_found_in_radacct_and_in_the_archive(many: Database) -> None:
    looks = _looks(many)
    found = await looks.of_user("user1", limit=200)
    assert _numbers(found) == list(range(CLOSED + OPEN - 39, 0, -40))
    assert [one["state"] for one in found[:16]] == ["online"] * 14 + ["doubtful", "closed"]
    paged: list[SessionView] = []
    while page := await looks.of_user("user1", limit=7, before=paged[-1]["number"] if paged else None):
        paged += page
    assert paged == found
    assert await looks.of_user("user3") == []
    assert await looks.of_user("user1", before=10**9) == []


@pytest.mark.both_databases
async def test_pages_go_on_over_former_names_the_archive_and_sessions_that_began_at_once(many: Database) -> None:
    at_once = NOW - timedelta(days=30) + timedelta(minutes=10 * 241)  # as user1's number 241, which is in the archive
    async with many.begin() as db:
        for number in (9001, 9002):
            await db.execute(insert(radacct).values(_row(number) | {"username": "was1", "acctstarttime": at_once}))
        again = _row(241, acctuniqueid="again") | {"acctstarttime": at_once - timedelta(days=1)}
        await db.execute(insert(radius_session_archive).values(again))  # of before its server was begun anew
    looks = _looks(many)
    whole = await looks.of_user("user1", "was1", limit=300)
    mine = [*range(CLOSED + OPEN - 39, 241, -40), 9002, 9001, 241, 201, 161]
    assert _numbers(whole)[: len(mine)] == mine
    assert len(whole) == CLOSED // 40 + OPEN // 40 + 3
    for last in (281, 9002, 9001, 201):
        page = await looks.of_user("user1", "was1", before=last, limit=5)
        assert page == whole[mine.index(last) + 1 :][:5]
    assert await looks.of_user("user1", before=9001) == []  # it is another's
    assert await looks.of_user("user1", "was1", before=10**12) == []
    assert _numbers(await looks.online(before=10**12, limit=1)) == [CLOSED + OPEN]


@pytest.mark.both_databases
async def test_prefixes_are_told_as_they_stand_and_a_session_once_whichever_column_says_it(many: Database) -> None:
    both = {"framedipv6prefix": "2001:db8:f::/64", "delegatedipv6prefix": "2001:db8:f::/64"}
    async with many.begin() as db:
        await db.execute(insert(radacct).values(_row(9001) | both | {"framedipv6address": "2001:db8:f::1"}))
        alone = {"framedipv6prefix": "2001:db8:e::1/128", "nasipaddress": "10.0.0.2"}
        await db.execute(insert(radacct).values(_row(9002) | alone))
    began = NOW - timedelta(days=30) + timedelta(minutes=90010)
    [found] = await _looks(many).who_had("2001:db8:f::1", at=began)
    told = (found["number"], found["ipv6"], found["ipv6_wan_prefix"], found["delegated_prefix"])
    assert told == (9001, "2001:db8:f::1", "2001:db8:f::/64", "2001:db8:f::/64")
    [found] = await _looks(many).who_had("2001:db8:e::1", at=began + timedelta(minutes=10))
    assert (found["number"], found["ipv6_wan_prefix"], found["nas"]) == (9002, "2001:db8:e::1/128", "bng-2")


HELD = {
    "100.64.0.2": 241,
    "::ffff:100.64.0.2": 241,
    "2001:db8:200::": 241,
    "2001:DB8:200:11::7": 241,
    "2001:db8:200:10::/60": 241,
    "100.64.0.12": 1211,
    "2001:db8:c00::9": 1211,
    "2001:db8:ffff::4bb": 1211,
}
"""Number 241 is in the archive, 1211 in radacct."""


@pytest.mark.both_databases
async def test_who_had_an_address_is_who_had_it_then(many: Database) -> None:
    looks = _looks(many)
    for asked, number in HELD.items():
        began = NOW - timedelta(days=30) + timedelta(minutes=10 * number)
        assert _numbers(await looks.who_had(asked, at=began)) == [number]
        assert _numbers(await looks.who_had(asked, at=began + timedelta(minutes=5))) == [number]
        assert await looks.who_had(asked, at=began + timedelta(minutes=6)) == []
        assert await looks.who_had(asked, at=NOW - timedelta(days=60)) == []


async def test_an_open_session_has_its_address_until_now_and_another_isp_s_is_not_told(many: Database) -> None:
    looks = _looks(many)
    several = await looks.who_had("100.64.0.2", at=NOW)  # sessions of one address: all are told
    assert _numbers(several) == list(range(CLOSED + OPEN - 39, CLOSED, -40))
    assert await looks.who_had("100.64.0.4", at=NOW) == []


@pytest.mark.both_databases
async def test_of_an_address_that_many_have_at_once_all_are_told(many: Database) -> None:
    async with many.begin() as db:
        sites = [
            _open(9000 + number, framedipaddress="10.0.0.5", username=f"user{number % 3}") for number in range(120)
        ]
        for number, each in enumerate(sites):
            each["acctstarttime"] -= timedelta(minutes=number)
        await db.execute(insert(radacct), sites)

    found = await _looks(many).who_had("10.0.0.5", at=NOW)

    assert _numbers(found) == list(range(9000, 9120))


@pytest.mark.both_databases
async def test_of_a_private_address_who_has_it_elsewhere_for_long_is_told_too(many: Database) -> None:
    here = [
        _row(9100 + number, framedipaddress="10.0.0.6", acctstarttime=NOW - timedelta(hours=60 - number))
        for number in range(59)
    ]
    for each in here:
        each["acctstoptime"] = each["acctstarttime"] + timedelta(minutes=30)
    elsewhere = _open(9000, framedipaddress="10.0.0.6")
    elsewhere["acctstarttime"] = NOW - timedelta(days=30)
    async with many.begin() as db:
        await db.execute(insert(radacct), [*here, elsewhere, _open(9200, framedipaddress="10.0.0.6")])

    assert _numbers(await _looks(many).who_had("10.0.0.6", at=NOW)) == [9200, 9000]


@pytest.mark.both_databases
async def test_a_session_without_its_stop_may_have_had_the_address_for_three_intervals_more(many: Database) -> None:
    rows: list[dict[str, Any]] = [
        {"radacctid": 9001, "username": "user1", "acctterminatecause": "Lost-Carrier-Reaped"},
        {"radacctid": 9002, "username": "user39", "acctterminatecause": "Replaced"},  # of a plan without an interval
        {"radacctid": 9003, "username": "user1"},
        *({"radacctid": 9100 + each, "username": "user3"} for each in range(60)),  # another ISP's hide none of them
    ]
    async with many.begin() as db:
        for row in rows:
            number, username = row.pop("radacctid"), row.pop("username")
            made = _row(number, framedipaddress="100.64.9.9", acctstarttime=NOW - timedelta(days=1), **row)
            ended = {"acctupdatetime": NOW - timedelta(hours=9), "acctstoptime": NOW - timedelta(hours=9)}
            await db.execute(insert(radacct).values(made | ended | {"username": username}))
    told = []
    for minutes in (0, 1, 15, 16, 30, 31):
        found = await _looks(many).who_had("100.64.9.9", at=NOW - timedelta(hours=9) + timedelta(minutes=minutes))
        told.append({one["number"]: one["uncertain"] for one in found})
    both, alone = {9001: True, 9002: True}, {9002: True}
    assert told == [{9001: False, 9002: False, 9003: False}, both, both, alone, alone, {}]


async def test_a_name_that_our_server_would_not_write_is_found_as_an_existing_one_wrote_it(many: Database) -> None:
    name = "o'brien & söhne/7"
    async with many.begin() as db:
        await db.execute(insert(radacct).values(_row(9001) | {"username": name}))
    assert _numbers(await _looks(many).of_user(name)) == [9001]
    day = (NOW - timedelta(days=30) + timedelta(minutes=90010)).date()
    used = await UsageLooks(many.read, tenant_id="isp").of_user(name, first_day=day, last_day=day)
    assert (used["username"], used["output_octets"]) == (name, 10)
    assert await _looks(many).of_user("a\x00b") == []


@pytest.mark.both_databases
async def test_of_what_nobody_had_nobody_is_told(many: Database) -> None:
    for asked in ("2001:db9::/48", "2001:db9::1", "::/0", "192.0.2.1"):
        assert await _looks(many).who_had(asked, at=NOW) == [], asked


async def test_what_is_no_address_is_refused(many: Database) -> None:
    for asked in ("", "bng-1", "100.64.0.0/24", "fe80::1%eth0", "1.2.3.4.5"):
        with pytest.raises(LookRefused):
            await _looks(many).who_had(asked, at=NOW)


LOOKS: dict[str, tuple[Callable[[Database], Awaitable[Any]], set[str]]] = {
    "online": (lambda many: _looks(many).online(), {"radacct_open|radacct_by_stop"}),
    "online at a NAS": (lambda many: _looks(many).online(nas_address="10.0.0.77"), {"radacct_open_at_nas"}),
    "of a user": (lambda many: _looks(many).of_user("user1", limit=5), {"radacct_by_user"}),
    "of a user, a later page": (
        lambda many: _looks(many).of_user("user1", "user2", limit=5, before=241),
        {"radacct_by_user"},
    ),
    "who had an IPv4 address": (lambda many: _looks(many).who_had("100.64.0.2", at=NOW), {"radacct_by_address"}),
    "who had a prefix": (
        lambda many: _looks(many).who_had("2001:db8:200::1", at=NOW),
        {"radacct_by_delegatedipv6prefix", "radacct_by_framedipv6prefix", "radacct_by_framedipv6address"},
    ),
    "usage": (
        lambda many: UsageLooks(many.read, tenant_id="isp").of_user("user1", first_day=NOW.date(), last_day=NOW.date()),
        {"radacct_by_user"},
    ),
}
NEWEST_BY_INDEX = {"of a user", "of a user, a later page", "who had an IPv4 address"}


@pytest.mark.both_databases
async def test_every_look_is_answered_by_its_index(many: Database) -> None:
    for look, (ask, indexes) in LOOKS.items():
        plans = await _plans(many, ask)
        missing = [name for name in indexes if not re.search(rf"\b({name})\b", plans)]
        assert missing == [], f"{look}: {plans}"
        assert not re.search(r"Seq Scan on radacct|SCAN radacct(?! USING)", plans), plans
        assert "Sort Key: radacct.radacctid" not in plans
        if look in NEWEST_BY_INDEX:  # all that anybody ever had would be read for the last few of it
            assert not re.search(r"(?<!Incremental )Sort  \(.*\n.*Sort Key: radacct", plans), plans


async def _plans(many: Database, ask: Callable[[Database], Awaitable[Any]]) -> str:
    asked: list[tuple[AsyncEngine, str, Any]] = []
    engines = {many.reading, many.looking}  # one and the same on SQLite

    def hear(engine: AsyncEngine) -> Callable[..., None]:
        def heard(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
            if statement.startswith(("SELECT", "WITH")) and "radacct." in statement:
                asked.append((engine, statement, parameters))

        return heard

    hearing = {engine: hear(engine) for engine in engines}
    for engine, heard in hearing.items():
        event.listen(engine.sync_engine, "before_cursor_execute", heard)
    await ask(many)
    for engine, heard in hearing.items():
        event.remove(engine.sync_engine, "before_cursor_execute", heard)
    assert asked
    rows: list[str] = []
    for number, (engine, statement, parameters) in enumerate(asked):
        async with engine.connect() as connection:
            if many.is_postgresql:
                rows += await _plan_that_is_kept(connection, statement, parameters, f"look{number}")
            else:
                plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                rows += [str(row) for row in plan]
    return "\n".join(rows)


async def _plan_that_is_kept(
    connection: AsyncConnection, statement: str, parameters: dict[str, Any], name: str
) -> list[str]:
    """Of a prepared statement by the settings of that session, as the driver prepares it."""
    for setting in ("enable_seqscan = off", "enable_bitmapscan = off", "random_page_cost = 1.1"):
        await connection.exec_driver_sql(f"SET {setting}")  # else it reads a table that is small as a whole
    places = {each: f"${place}" for place, each in enumerate(parameters, 1)}
    prepared = re.sub(r"%\((\w+)\)s", lambda found: places[found[1]], statement).replace("%%", "%")
    await connection.execute(text(f"PREPARE {name} AS " + prepared.replace(":", "\\:")))
    given = ", ".join("NULL" if each is None else f"'{each}'" for each in parameters.values())
    # ANALYZE: of a recursive step PostgreSQL shows what it looks up only once it has taken one
    explain = f"EXPLAIN (ANALYZE, TIMING OFF) EXECUTE {name} ({given})"
    plan = [str(row) for row in await connection.execute(text(explain.replace(":", "\\:")))]
    await connection.exec_driver_sql(f"DEALLOCATE {name}")
    return plan
