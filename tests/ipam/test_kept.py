"""What tells who had an address or a port when stays as it was written, whoever asks the database to alter it.

On SQLite through a connection of somebody else's, which deletes by REPLACE without asking the triggers against that.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ipam import LoggedBlock
from ipam.kept_ddl import POSTGRESQL_KEPT
from tests.ipam.conftest import STARTED_AT, Network

HISTORY = tuple(POSTGRESQL_KEPT)
REPLACING = [
    *(f"INSERT OR REPLACE INTO {name} SELECT * FROM {name}" for name in HISTORY if name != "ipam_service"),
    "UPDATE OR REPLACE ipam_service SET username = 'c1-s1@isp.example' WHERE service_id = 2",
    "INSERT OR REPLACE INTO ipam_service_move (tenant_id, service_id, from_location_id, to_location_id, request_id,"
    " note, at) SELECT tenant_id, service_id, to_location_id, from_location_id, request_id, note, at"
    " FROM ipam_service_move",
    "INSERT OR REPLACE INTO ipam_nat_block (tenant_id, outside, first_port, last_port, vrf_id, inside, began_at,"
    " source) SELECT tenant_id, outside, first_port, last_port, vrf_id, outside, began_at, source FROM ipam_nat_block",
    "INSERT OR REPLACE INTO ipam_nat_rule (tenant_id, name, pool_id, prefix_id, first_outside, last_outside,"
    " first_inside, inside_count, first_port, last_port, ports_per_subscriber, algorithm, since) SELECT tenant_id,"
    " name, pool_id, prefix_id, first_outside, last_outside, first_inside, 1, 1024, 2047, 1024, 'by_block', since"
    " FROM ipam_nat_rule WHERE until IS NULL",
]
EMPTYING = [f"TRUNCATE {table} CASCADE" for table in (*HISTORY, "ipam_pool", "ipam_location", "ipam_vrf")]
ALTERING = [
    *(f"DELETE FROM {table}" for table in HISTORY),
    "UPDATE ipam_allocation_event SET service_id = 2",
    "UPDATE ipam_service_move SET note = 'x'",
    "UPDATE ipam_former_prefix SET note = 'x'",
    "UPDATE ipam_service SET customer_id = 666",
    "UPDATE ipam_service SET request_id = NULL",
    "UPDATE ipam_service SET service_id = service_id + 100",
    "UPDATE ipam_nat_rule SET inside_count = 1",
    "UPDATE ipam_nat_rule SET first_inside = first_outside",
    "UPDATE ipam_nat_rule SET until = NULL WHERE ports_per_subscriber = 500",
    "UPDATE ipam_nat_rule SET since = until WHERE until IS NOT NULL",
    "UPDATE ipam_nat_block SET inside = outside",
    "UPDATE ipam_nat_block SET ended_at = NULL, end_told = NULL",
    "DELETE FROM ipam_nat_block WHERE ended_at IS NOT NULL",
]


async def live(network: Network) -> None:
    """A bit of everything that is told later on."""
    await network.allocate(1, "LOC-1", request_id="order-1")
    second = await network.allocate(2, "LOC-1")
    await network.serve(
        "move_service", service_id=second["service_id"], service_location="LOC-3", request_id="move-1", note="moved"
    )
    await network.keep("shrink", pool="office", network="203.0.113.0/30", note="sold")
    rule = {"pool": "cgnat", "outside": "198.51.100.0/30"}
    await network.ports("define_rule", **rule, ports_per_subscriber=500)
    network.clock.forward(hours=2)
    await network.ports("define_rule", **rule, ports_per_subscriber=1000)
    block = LoggedBlock("198.51.100.9", 1024, 1535, "100.64.0.2", STARTED_AT, network.clock())
    await network.ports("import_blocks", blocks=[block], source="cgn-1")


async def told(network: Network) -> dict[str, list[tuple[object, ...]]]:
    async with network.database.read() as db:
        return {
            table: sorted((tuple(row) for row in await db.execute(text(f"SELECT * FROM {table}"))), key=str)
            for table in HISTORY
        }


async def is_refused(network: Network, statement: str) -> bool:
    try:
        if network.database.is_postgresql:
            async with network.database.begin() as db:
                await db.execute(text(statement))
        else:
            with closing(sqlite3.connect(str(network.database.url.database))) as anothers, anothers:
                anothers.execute(statement)
    except (IntegrityError, sqlite3.IntegrityError):
        return True
    return False


async def test_nobody_empties_replaces_or_alters_what_tells_who_had_what(network: Network) -> None:
    await live(network)
    before = await told(network)
    assert all(before.values()), "a row of each, so that each can be refused"

    tried = [*ALTERING, *(EMPTYING if network.database.is_postgresql else REPLACING)]
    accepted = [statement for statement in tried if not await is_refused(network, statement)]

    assert accepted == []
    assert await told(network) == before


async def test_what_the_appliance_itself_changes_of_it_it_still_can(network: Network) -> None:
    await live(network)

    await network.keep("rename_service", service_id=1, username="ada@isp.example")
    await network.ports("end_rule", pool="cgnat")
    open_end = LoggedBlock("198.51.100.20", 1024, 1535, "100.64.0.2", STARTED_AT)
    await network.ports("import_blocks", blocks=[open_end], source="cgn-1")
    ended = LoggedBlock("198.51.100.20", 1024, 1535, "100.64.0.2", STARTED_AT, network.clock())
    await network.ports("import_blocks", blocks=[ended], source="cgn-1")
    await network.release(1)
    again = await network.allocate(1, "LOC-1", request_id="order-1")

    assert (again["service_id"], again["username"]) == (1, "ada@isp.example")
    assert await network.violations() == []


@pytest.mark.parametrize("username", ["c1-s1@isp.example", "c2-s2@isp.example"])
async def test_a_username_that_is_taken_is_refused_as_ever(network: Network, username: str) -> None:
    await network.allocate(1, "LOC-1")
    await network.allocate(2, "LOC-1")

    with pytest.raises(IntegrityError, match="username"):
        async with network.database.begin() as db:
            await db.execute(
                text(
                    "INSERT INTO ipam_service (tenant_id, service_id, username, customer_id, location_id, plan_id,"
                    " state, created_at) SELECT tenant_id, 77, :username, customer_id, location_id, plan_id, state,"
                    " created_at FROM ipam_service WHERE service_id = 1"
                ),
                {"username": username},
            )
