"""A history that tells what can't have been, a row that says something else than it, and a database that lets it be
rewritten are found."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ipam.upkeep.history_invariants import _REMEDY
from tests.ipam.conftest import HISTORY_CHECKS, Network, corrupt, found

CGNAT = "(SELECT id FROM ipam_pool WHERE name = 'cgnat')"


def _event(service: int | str, what: str, at: str, unit: int = 9, pool: str = CGNAT) -> str:
    until = f"'{at}'" if what == "released" else "NULL"
    return (
        "INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at, available_at)"
        f" SELECT max(tenant_id), {pool}, {unit}, {service}, '{what}', '{at}', {until} FROM ipam_service"
    )


DAY = "2030-01-0{} 00:00:00.000000"


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (
            [(3, "released", DAY.format(2))],
            "was given back by service 3 at 2030-01-02 00:00:00 UTC by its history, which says that nobody had it until"
            " then",
        ),
        (
            [(3, "assigned", DAY.format(2)), (1, "released", DAY.format(3))],
            "was given back by service 1 at 2030-01-03 00:00:00 UTC by its history, which says that service 3 had it"
            " until then",
        ),
        (
            [(3, "assigned", DAY.format(2)), ("NULL", "lifted", DAY.format(3)), (3, "released", DAY.format(4))],
            "was taken out of quarantine at 2030-01-03 00:00:00 UTC by its history, which says that service 3 had it"
            " until then",
        ),
        (
            [(3, "assigned", DAY.format(4)), (3, "released", DAY.format(3))],
            "has an entry of 2030-01-03 00:00:00 UTC in its history (released) after one of 2030-01-04 00:00:00 UTC",
        ),
        (
            [(1, "assigned", DAY.format(2)), (1, "released", DAY.format(3))],
            "was given to service 1 at 2030-01-02 00:00:00 UTC by its history, while that had another of its kind",
        ),
    ],
)
async def test_a_history_that_can_not_have_been_is_found(
    network: Network, events: list[tuple[int | str, str, str]], told: str
) -> None:
    for customer, location in ((1, "LOC-1"), (2, "LOC-2"), (3, "LOC-3")):
        await network.allocate(customer, location)
    await network.release(3)
    assert await found(network, HISTORY_CHECKS) == {}

    await corrupt(network, *(_event(*each) for each in events))

    [first, *_] = (await found(network, HISTORY_CHECKS))["histories_out_of_order"]
    assert first == f"100.64.0.9 of pool cgnat: {told}; {_REMEDY}"


async def test_clocks_of_two_machines_may_differ_by_some_minutes(network: Network) -> None:
    given = await network.allocate(1)
    network.clock.at -= timedelta(minutes=30)
    await network.release(given["service_id"])

    assert await found(network, HISTORY_CHECKS) == {}


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        (
            "UPDATE ipam_allocation SET subject = '7@7' WHERE service_id = 1",
            "{v4} of pool cgnat: is had by service 1 of customer 1, but 7@7 (customer@premise) is to get it again",
        ),
        (
            "UPDATE ipam_allocation SET subject = '7@7' WHERE state = 'quarantine'",
            "{cooling} of pool cgnat: was given back by service 2 of customer 3, but 7@7 (customer@premise) is to get"
            " it again",
        ),
        (
            "UPDATE ipam_allocation SET assigned_at = '2020-01-01 00:00:00.000000' WHERE service_id = 1",
            "{v4} of pool cgnat: is service 1's since 2020-01-01 00:00:00 UTC, but its history says since 2030-01-01"
            " 12:00:00 UTC",
        ),
        (
            "UPDATE ipam_allocation SET note = 'another' WHERE state = 'reserved'",
            "100.64.0.14 of pool cgnat: is reserved (another), but its history says that it is for something else"
            " (kept)",
        ),
        (
            "UPDATE ipam_allocation SET subject = '7@7' WHERE state = 'reserved'",
            "100.64.0.14 of pool cgnat: is reserved, but 7@7 (customer@premise) has the first claim on it",
        ),
        (
            "UPDATE ipam_allocation SET ordinal = 9 WHERE service_id = 1",
            "{v4} of pool cgnat: is counted as number 9 of its service, which may have one alone: the database would"
            " let it have another",
        ),
    ],
)
async def test_a_row_that_says_something_else_than_its_service_and_history_is_found(
    network: Network, corruption: str, told: str
) -> None:
    given = await network.allocate(1, ip_address="100.64.0.5")
    cooling = await network.allocate(3, "LOC-3", ip_address="100.64.0.6")
    await network.release(cooling["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.14", note="kept")
    assert await found(network, HISTORY_CHECKS) == {}

    await corrupt(network, f"{corruption} AND pool_id = {CGNAT}")

    values = {"v4": given["ip_address"], "cooling": cooling["ip_address"]}
    assert await found(network, HISTORY_CHECKS) == {
        "rows_off_their_holders": [f"{told.format(**values)}; what to do: docs/invariants.md"]
    }


@pytest.mark.parametrize(
    ("database_url", "how"),
    [
        ("sqlite", "DROP TRIGGER ipam_service_kept"),
        ("postgresql", "DROP TRIGGER ipam_service_kept ON ipam_service"),
        ("postgresql", "ALTER TABLE ipam_service DISABLE TRIGGER USER"),  # SQLite disables none
    ],
    indirect=["database_url"],
)
async def test_a_database_that_lets_history_be_rewritten_is_found(network: Network, how: str) -> None:
    async with network.database.begin() as db:
        await db.execute(text(how))
        told = [str(each) for check in HISTORY_CHECKS for each in await check(db, tenant_id=network.tenant_id)]
        await db.rollback()

    assert (
        "table ipam_service: may be rewritten by anybody: its trigger ipam_service_kept is gone or disabled; make it"
        " again (`CREATE TRIGGER ipam_service_kept`, as ipam/ddl.py or ipam/kept_ddl.py has it), and compare the table"
        " with a backup (docs/running.md)"
    ) in told
