"""Who has logged in from which MAC address: read off accounting, found by either half, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, insert, select

from provisioning.database import Database
from radius import HeldName, StationBook, StationLooks
from radius.projection.freeradius_tables import radacct, radius_projection
from radius.sessions.tables import radius_read_up_to, radius_station

pytestmark = pytest.mark.both_databases

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
TENANT = "north"


def a_session(username: str, station: str | None, *, hours_ago: int = 1, **more: Any) -> dict[str, Any]:
    began = NOW - timedelta(hours=hours_ago)
    return {
        "acctsessionid": uuid4().hex,
        "acctuniqueid": uuid4().hex,
        "username": username,
        "nasipaddress": "10.9.8.7",
        "callingstationid": station,
        "acctstarttime": began,
        "acctupdatetime": began,
        "acctstoptime": None,
        "framedipaddress": "100.64.1.2",
        **more,
    }


async def accounted(database: Database, *rows: dict[str, Any]) -> None:
    async with database.begin() as db:
        await db.execute(insert(radacct), list(rows))


@pytest.fixture
async def empty(radius_database: Database) -> AsyncIterator[Database]:
    """FreeRADIUS' tables are the whole run's; here nobody has logged in yet, and nobody will have afterwards."""
    await _forget_everybody(radius_database)
    yield radius_database
    await _forget_everybody(radius_database)


async def _forget_everybody(database: Database) -> None:
    async with database.begin() as db:
        for table in (radacct, radius_station, radius_read_up_to):
            await db.execute(delete(table))


def book(database: Database, *, kept: timedelta | None = None) -> StationBook:
    return StationBook(database.begin, now=lambda: NOW, kept=kept)


async def test_a_mac_address_is_found_by_either_half_whatever_its_nas_writes(empty: Database) -> None:
    await accounted(
        empty,
        a_session("anna@isp", "A4-7B-2C-11-22-3F", hours_ago=5),
        a_session("anna@isp", "a4:7b:2c:11:22:3f", hours_ago=2),
        a_session("bob@isp", "a47b.2c99.0000", hours_ago=3),
        a_session("eve@isp", "olt-1 eth 0/1/2:7"),
        a_session("nobody@isp", None),
    )
    assert await book(empty).note() == 5
    looks = StationLooks(empty.read, tenant_id=TENANT)
    anna = {"username": "anna@isp", "station": "a47b2c11223f", "seen_at": NOW - timedelta(hours=2)}
    bob = {"username": "bob@isp", "station": "a47b2c990000", "seen_at": NOW - timedelta(hours=3)}
    assert await looks.with_mac("a47b2c", limit=20) == [anna, bob]
    assert await looks.with_mac("11223f", limit=20) == [anna]
    assert await looks.with_mac("a47b2c11223f", limit=20) == [anna]
    assert await looks.with_mac("a47b2c", limit=1) == [anna]
    assert await looks.with_mac("ffff", limit=20) == await looks.with_mac("xyz", limit=20) == []


async def test_what_is_new_is_read_once_and_a_later_session_tells_the_time(empty: Database) -> None:
    await accounted(empty, *(a_session(f"u{number}@isp", f"0200000000{number:02x}") for number in range(3)))
    stations = book(empty)
    assert (await stations.note(), await stations.note()) == (3, 0)
    await accounted(empty, a_session("u1@isp", "02:00:00:00:00:01", hours_ago=0))
    assert await stations.note() == 4
    assert await book(empty).note() == 4  # another process reads the newest once more, and changes nothing
    [seen] = await StationLooks(empty.read, tenant_id=TENANT).with_mac("020000000001", limit=20)
    assert seen["seen_at"] == NOW
    async with empty.read() as db:
        assert await db.scalar(select(func.count()).select_from(radius_station)) == 3


async def test_many_are_read_in_batches_and_the_newest_again(empty: Database) -> None:
    await accounted(empty, *(a_session(f"u{number}@isp", f"02000000{number:04x}") for number in range(4_500)))
    stations = StationBook(empty.begin, now=lambda: NOW, kept=None, at_once=1)
    assert await stations.note() == 6_500
    async with empty.read() as db:
        assert await db.scalar(select(func.count()).select_from(radius_station)) == 4_500
        newest = await db.scalar(select(func.max(radacct.c.radacctid)))
        assert await db.scalar(select(radius_read_up_to.c.radacctid)) == (newest or 0) - 2_000


async def test_what_is_older_than_the_archive_is_forgotten(empty: Database) -> None:
    await accounted(empty, a_session("anna@isp", "020000000001", hours_ago=30), a_session("bob@isp", "020000000002"))
    stations = book(empty, kept=timedelta(days=1))
    await stations.note()
    await book(empty).forget()
    looks = StationLooks(empty.read, tenant_id=TENANT)
    assert len(await looks.with_mac("0200", limit=20)) == 2
    await stations.forget()
    assert [one["username"] for one in await looks.with_mac("0200", limit=20)] == ["bob@isp"]


async def test_nobody_is_shown_who_is_anothers_and_whoever_is_online_is_said_to_be(empty: Database) -> None:
    others = f"{uuid4().hex}@isp"
    ours = [a_session("anna@isp", "020000000002"), a_session("bob@isp", None, acctstoptime=NOW)]
    await accounted(empty, a_session(others, "020000000001"), *ours)
    async with empty.begin() as db:
        ledger = {"kind": "subscriber", "name": others, "tenant_id": "south", "source_id": 1, "version": 1}
        await db.execute(insert(radius_projection).values(**ledger, digest="0" * 64, projected_at=NOW))
    await book(empty).note()
    looks = StationLooks(empty.read, tenant_id=TENANT)
    assert [one["username"] for one in await looks.with_mac("0200", limit=20)] == ["anna@isp"]
    lines = {name: [HeldName(f"{name}@isp")] for name in ("anna", "bob", "eve")}
    assert await looks.online(lines) == {
        "anna": {
            "username": "anna@isp",
            "station": "020000000002",
            "ipv4": "100.64.1.2",
            "nas": "10.9.8.7",
            "started_at": NOW - timedelta(hours=1),
        }
    }
    assert await looks.online({}) == {}
