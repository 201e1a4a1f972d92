"""The prefixes that contain an address, against what ipaddress says of every prefix that was put in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from ipaddress import IPv6Interface, IPv6Network, ip_network
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
_Held = list[tuple[str, IPv6Interface]]
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
def _said(draw: st.DrawFn, shortest: int = 24) -> IPv6Interface:
    """As a NAS may say it, with bits behind the length, which it should not (RFC 8044 s3.11)."""
    words = [0x2001, 0xDB8, *draw(_WORDS)]
    length = draw(st.one_of(st.sampled_from([32, 48, 56, 64, 127, 128]), st.integers(shortest, 128)))
    return IPv6Interface((b"".join(word.to_bytes(2, "big") for word in words), length))


def _held(*, clean: bool) -> st.SearchStrategy[_Held]:
    said = st.one_of(_said(), _said().map(_without_bits_behind))
    return st.lists(
        st.tuples(st.sampled_from([WAN, PD]), _said().map(_without_bits_behind) if clean else said), max_size=14
    )


def _without_bits_behind(said: IPv6Interface) -> IPv6Interface:
    return IPv6Interface(said.network)


@pytest.mark.both_databases
def test_every_prefix_that_contains_it_is_found_and_no_other(database_url: str) -> None:
    held = _held(clean=not database_url.startswith("postgresql"))
    with asyncio.Runner() as runner:
        kept = runner.run(_open(database_url))

        @settings(max_examples=80)
        @given(hot=held, old=held, asked=st.one_of(_said(), _said(shortest=0)).map(_without_bits_behind))
        def found_as_wanted(hot: _Held, old: _Held, asked: IPv6Interface) -> None:
            shortest = min(SHORTEST_PREFIX, asked.network.prefixlen)
            wanted = {
                (column, str(said))
                for column, said in (*hot, *old)
                if asked.network.subnet_of(said.network) and said.network.prefixlen >= shortest
            }
            runner.run(_put(kept, *((column, str(said)) for column, said in hot)))
            runner.run(_put(kept, *((column, str(said)) for column, said in old), archived=True))
            assert set(runner.run(_found(kept, str(asked.network)))) == wanted

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


async def test_on_postgresql_prefixes_with_bits_behind_their_length_are_found_and_hide_none(
    postgres: PostgresServer,
) -> None:
    url = postgres.create_database()
    kept = await _open(url)
    there = ["2001:db8:5::7/48", "2001:db8:5::9/48", "2001:db8:5::/48", "2001:db8::/40"]
    await _put(kept, *((PD, each) for each in there), (PD, "2001:db8:4::/48"), (PD, "2001:db8:5:9::/64"))
    for asked in ("2001:db8:5:9::1/128", "2001:db8:5::/48"):
        wanted = [(PD, each) for each in there]
        wanted += [(PD, "2001:db8:5:9::/64")] if asked.endswith("128") else []
        assert await _found(kept, asked) == sorted(wanted), asked
    await kept.close()
    postgres.drop_database(url)
