"""The prefixes that contain an address, against what ipaddress says of every prefix that was put in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

from provisioning.database import Database
from radius import ensure_freeradius_tables
from radius.projection.freeradius_tables import radacct
from radius.sessions.containing import SHORTEST_PREFIX, prefixes_that_contain
from radius.sessions.tables import radius_session_archive
from tests.support.postgres import PostgresServer

WAN, PD = "framedipv6prefix", "delegatedipv6prefix"
_Held = list[tuple[str, IPv6Network]]
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


async def _open(url: str) -> Database:
    opened = Database(url)
    async with opened.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
        if opened.is_postgresql:
            whole = "FROM ('2026-01-01 00:00+00') TO ('2027-01-01 00:00+00')"
            await connection.execute(text(f"CREATE TABLE y PARTITION OF radius_session_archive FOR VALUES {whole}"))
    return opened


@pytest.fixture
async def kept(database_url: str) -> AsyncIterator[Database]:
    opened = await _open(database_url)
    yield opened
    await opened.close()


async def _put(kept: Database, *held: tuple[str, str], archived: bool = False) -> None:
    table = radius_session_archive if archived else radacct
    rows: list[dict[str, Any]] = [
        {
            "radacctid": number,
            "acctsessionid": f"s{number}",
            "acctuniqueid": f"u{number}",
            "nasipaddress": "10.0.0.1",
            "acctstarttime": BEGAN,
            WAN: None,
            PD: None,
            column: prefix,
        }
        for number, (column, prefix) in enumerate(held, 1)
    ]
    async with kept.begin() as db:
        await db.execute(delete(table))
        if rows:
            await db.execute(insert(table), rows)


async def _found(kept: Database, asked: str) -> list[tuple[str, str]]:
    async with kept.look() as db:
        network = ip_network(asked)
        assert isinstance(network, IPv6Network)
        return sorted(await prefixes_that_contain(db, network))


_WORDS = st.lists(st.sampled_from([0, 1, 2, 0x7FFF, 0x8000, 0xFFFF]), min_size=6, max_size=6)
"""Behind 2001:db8: few values, so that many prefixes are alike at their beginning, or differ in a single bit."""


@st.composite
def _prefixes(draw: st.DrawFn, shortest: int = 24) -> IPv6Network:
    words = [0x2001, 0xDB8, *draw(_WORDS)]
    length = draw(st.one_of(st.sampled_from([32, 48, 56, 64, 127, 128]), st.integers(shortest, 128)))
    return IPv6Network((b"".join(word.to_bytes(2, "big") for word in words), length), strict=False)


_HELD = st.lists(st.tuples(st.sampled_from([WAN, PD]), _prefixes()), max_size=14)


@pytest.mark.both_databases
def test_every_prefix_that_contains_it_is_found_and_no_other(database_url: str) -> None:
    with asyncio.Runner() as runner:
        kept = runner.run(_open(database_url))

        @settings(max_examples=80, deadline=None)
        @given(hot=_HELD, old=_HELD, asked=st.one_of(_prefixes(), _prefixes(shortest=0)))
        def found_as_wanted(hot: _Held, old: _Held, asked: IPv6Network) -> None:
            shortest = min(SHORTEST_PREFIX, asked.prefixlen)
            wanted = {
                (column, str(prefix))
                for column, prefix in (*hot, *old)
                if asked.subnet_of(prefix) and prefix.prefixlen >= shortest
            }
            runner.run(_put(kept, *((column, str(prefix)) for column, prefix in hot)))
            runner.run(_put(kept, *((column, str(prefix)) for column, prefix in old), archived=True))
            assert runner.run(_found(kept, str(asked))) == sorted(wanted)

        try:
            found_as_wanted()
        finally:
            runner.run(kept.close())


@pytest.mark.both_databases
async def test_where_nobody_has_a_prefix_none_is_found(kept: Database) -> None:
    assert await _found(kept, "2001:db8::1/128") == []


@pytest.mark.both_databases
async def test_ipv4_prefixes_in_those_columns_are_in_nobodys_way(kept: Database) -> None:
    await _put(kept, (PD, "203.0.113.0/24"), (PD, "2001:db8:1::/48"), (WAN, "192.0.2.0/24"))
    assert await _found(kept, "2001:db8:1::9/128") == [(PD, "2001:db8:1::/48")]
    assert await _found(kept, "::/0") == []


async def test_on_postgresql_a_prefix_with_bits_behind_its_length_is_found_and_hides_none(
    postgres: PostgresServer,
) -> None:
    """A NAS should send none (RFC 8044 s3.11), and FreeRADIUS hands on what it gets."""
    dirty = "2001:db8:5::7/48"
    url = postgres.create_database()
    kept = await _open(url)
    await _put(kept, (PD, dirty), (PD, "2001:db8:5::/48"), (PD, "2001:db8::/40"), (PD, "2001:db8:4::/48"))
    wanted = [(PD, "2001:db8:5::/48"), (PD, dirty), (PD, "2001:db8::/40")]
    assert await _found(kept, "2001:db8:5:9::1/128") == sorted(wanted)
    await kept.close()
    postgres.drop_database(url)
