"""Clients that come and go, checked by what they wrote down and by plain SQL; a million of them is a bench."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from provisioning.database import sync_url
from tests.bench.million import Held, Stay, _come_and_go, _describe, check, overlaps, read_logs

OPERATIONS, CLIENTS = 600, 4


@pytest.mark.second_half
def test_clients_that_come_and_go_neither_share_nor_lose_nor_leak(database_url: str) -> None:
    told = {"OPERATIONS": str(OPERATIONS), "CLIENTS": str(CLIENTS), "DATABASE_URL": database_url}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.million"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr + done.stdout
    line = json.loads(done.stdout)
    assert (line["operations"] + line["refused"], line["clients"]) == (OPERATIONS, CLIENTS)
    assert line["allocated"] > line["released"] > 0
    assert (line["duplicates"], line["leaks"], line["lost"]) == (0, 0, 0)


@contextmanager
def looked_at(url: str) -> Iterator[Connection]:
    engine = create_engine(sync_url(make_url(url)))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_taken_behind_our_back_is_found(database_url: str, tmp_path: Path) -> None:
    asyncio.run(_describe(database_url))
    _come_and_go(database_url, 0, 30, tmp_path / "0.log")
    held = read_logs([tmp_path / "0.log"])
    kept, *_ = held.now
    with looked_at(database_url) as connection:
        assert check(connection, held) == {"duplicates": [], "leaks": [], "lost": []}
        connection.execute(text("UPDATE ipam_free_range SET next_unit = next_unit + 1 WHERE seq = 9"))
        nobody = "state = 'quarantine', service_id = NULL, available_at = assigned_at"
        connection.execute(text(f"UPDATE ipam_allocation SET {nobody} WHERE service_id = {kept}"))
        stranger = Held(held.stays, {**held.now, 999: frozenset({"10.0.3.1"})}, held.allocated, held.released, 0)
        found = check(connection, stranger)

    assert sorted(pool for pool, *_ in found["leaks"]) == ["ipv4", "ipv6_pd"]
    assert found["lost"] == [kept, 999]


def test_two_that_had_an_address_at_a_time_are_found() -> None:
    first, second = Stay("10.0.0.1", 1, 10.0, 20.0), Stay("10.0.0.1", 2, 19.5, 30.0)
    later, other = Stay("10.0.0.1", 3, 30.0, 40.0), Stay("10.0.0.2", 4, 15.0, 35.0)

    assert list(overlaps([later, other, second, first])) == [(first, second)]
