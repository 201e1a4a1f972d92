"""What goes on cooling off when its part is handed out again: as it would have, however much it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from ipam.tables import Allocation
from tests.ipam.conftest import STARTED_AT, Network, one_pool

RESTS = (Allocation.subject, Allocation.state, Allocation.available_at, Allocation.sticky_until)


async def released(network: Network, customers: range) -> list[str]:
    """What each of them had, and gave back."""
    given = [await network.allocate(customer) for customer in customers]
    for line in given:
        await network.release(line["service_id"])
    return [str(line["ip_address"]) for line in given]


async def statements_to_undrain(network: Network, released_count: int) -> int:
    await network.apply(one_pool("192.0.2.0/24", quarantine_seconds=600))
    await released(network, range(1, released_count + 1))
    await network.keep("drain", pool="cgnat", note="by mistake")
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(network.database.engine.sync_engine, "before_cursor_execute", note)
    await network.keep("undrain", pool="cgnat")
    event.remove(network.database.engine.sync_engine, "before_cursor_execute", note)
    assert (await network.usage("cgnat"))["quarantined"] == released_count
    assert [statement for statement in seen if "ipam_allocation_event" in statement] == [
        statement for statement in seen if statement.startswith("INSERT INTO ipam_allocation ")
    ]  # what has become of them is never read into this process
    return len(seen)


@pytest.mark.both_databases
async def test_all_that_rests_again_is_written_by_the_database_in_one_statement(empty: Network) -> None:
    few, many = (Network(empty.database, empty.clock, tenant_id=tenant) for tenant in ("few", "many"))

    assert await statements_to_undrain(few, 2) == await statements_to_undrain(many, 120)
    assert await many.violations() == []


@pytest.mark.both_databases
@pytest.mark.parametrize("microsecond", [250_001, 999_999])
async def test_until_when_somebody_has_the_first_claim_is_counted_to_the_microsecond(
    empty: Network, microsecond: int
) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=60, sticky_seconds=86_400))
    empty.clock.at = STARTED_AT.replace(microsecond=microsecond)
    [address] = await released(empty, range(1, 2))
    async with empty.database.read() as db:
        before = (await db.execute(select(*RESTS))).one()
    await empty.keep("drain", pool="cgnat", note="by mistake")
    await empty.keep("undrain", pool="cgnat")

    async with empty.database.read() as db:
        after = (await db.execute(select(*RESTS))).one()

    assert after.sticky_until == empty.clock.at + timedelta(days=1)
    assert after.available_at == empty.clock.at + timedelta(seconds=60)
    assert (after.subject, after.state, after.available_at, after.sticky_until) == (
        before.subject,
        "quarantine",
        before.available_at,
        before.sticky_until,
    )
    assert (await empty.allocate(1))["ip_address"] == address


@pytest.mark.both_databases
async def test_what_rests_again_among_many_excluded_parts_is_nothing_of_these(empty: Network) -> None:
    """More parts than one statement names."""
    at_first = one_pool("10.0.0.0/23", quarantine_seconds=600)
    excluded = [f"10.0.{number // 256}.{number % 256}" for number in range(2, 500, 2)]
    await empty.apply(at_first)
    addresses = await released(empty, range(1, 61))
    await empty.keep("drain", pool="cgnat", note="by mistake")
    await empty.apply(one_pool("10.0.0.0/23", quarantine_seconds=600, exclude=excluded))
    await empty.keep("undrain", pool="cgnat")

    left = [address for address in addresses if address not in excluded]
    exported = await empty.export()
    assert 0 < len(left) < 60
    assert [address for address in addresses if f",{address}," in exported] == addresses
    usage = await empty.usage("cgnat")
    assert (usage["size"], usage["quarantined"], usage["free"]) == (261, len(left), 261 - len(left))
    await empty.apply(at_first)
    assert (await empty.usage("cgnat"))["quarantined"] == 60
    assert await empty.violations() == []
