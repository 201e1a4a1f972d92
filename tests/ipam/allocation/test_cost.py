"""The cost of an allocation doesn't grow with the size of a pool, nor with how full it is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH
from sqlalchemy import event, text

import ipam.allocation.giving
from ipam import NetworkService
from ipam.allocation import at_once_postgresql
from provisioning.database import Database
from tests.ipam.conftest import REALM, Network, small
from tests.support.postgres import as_superuser

USED = 5_000


@asynccontextmanager
async def statements(network: Network, seen: list[tuple[str, Any]]) -> AsyncIterator[None]:
    """All that is sent to the database meanwhile; on SQLite what it carries out, COMMIT and scripts included."""
    engine = network.database.engine
    if not network.database.is_postgresql:

        def trace(statement: str) -> None:
            # So SQLite comments on what its triggers do; or it says the statement again that has set them off.
            if not statement.startswith("--") and statement not in [each for each, _ in seen[-1:]]:
                seen.append((statement, ()))

        async with engine.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_trace_callback(trace)
        yield
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.set_trace_callback(None)
        return

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        seen.append((statement, parameters))

    asked_with_its_begin = at_once_postgresql._begun_and_asked  # beside SQLAlchemy, so that its events don't tell

    async def noted(driven: Any, asked: tuple[Any, ...], kept: Any) -> bytes | None:
        seen.append(((at_once_postgresql._BEGIN + at_once_postgresql._CALL_ALONE).decode(), asked))
        return await asked_with_its_begin(driven, asked, kept)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    with patch.object(at_once_postgresql, "_begun_and_asked", noted):
        yield
    event.remove(engine.sync_engine, "before_cursor_execute", note)


def sized(v4: str, wan6: str, pd: str) -> dict[str, Any]:
    described = small()
    for pool in described["pool"]:
        if pool["name"] == "cgnat":
            pool |= {"network": v4, "gateway": None}
        pool["network"] = {"wan6": wan6, "pd": pd}.get(pool["name"], pool["network"])
    return described


async def cost_of_one(network: Network, customer: int, location: str = "LOC-1") -> int:
    seen: list[tuple[str, Any]] = []
    async with statements(network, seen):
        await network.allocate(customer, location, request_id=f"ticket-{customer}")
    return len(seen)


async def test_statements_per_service_are_few_and_constant(network: Network) -> None:
    """PostgreSQL: one, and four more where a last unit was to be found in steps. SQLite, in one turn: BEGIN, the
    question, the service, three statements of each of three pools, COMMIT."""
    expected, at_most = (1, 5) if network.database.is_postgresql else (13, 13)
    large = Network(network.database, network.clock, tenant_id="large")
    await large.apply(sized("10.0.0.0/8", "2001:db8:1000::/40", "2001:db8:2000::/36"))

    assert await cost_of_one(network, 1) == expected
    assert await cost_of_one(large, 1) == expected
    assert await cost_of_one(large, 2, "LOC-3") == expected
    to_the_brim = [await cost_of_one(network, customer) for customer in range(2, 14)]
    assert max(to_the_brim) <= at_most
    async with network.database.begin() as db:
        for service_id in await network.service(db).active_service_ids():
            await network.service(db).release_resources(service_id=service_id)
    network.clock.forward(days=2)
    again = [await cost_of_one(network, customer) for customer in range(101, 114)]
    assert max(again) <= at_most


async def fill(network: Network, *, counted: bool = True) -> None:
    """Thousands of used units in each pool, half of them out of quarantine; CGNAT's are used before new ones.

    ``counted``: the database has looked at the rows since, and knows how many there are of what."""
    described = sized("10.0.0.0/16", "2001:db8:1000::/48", "2001:db8:2000::/40")
    next(pool for pool in described["pool"] if pool["name"] == "cgnat")["policy"] = "reuse_first"
    await network.apply(described)
    numbers = "SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < :used"
    async with network.database.begin() as db:
        for pool in ("cgnat", "wan6", "pd"):
            await db.execute(
                text(
                    f"WITH RECURSIVE numbers AS ({numbers}) INSERT INTO ipam_allocation"
                    " (tenant_id, pool_id, unit, state, subject, assigned_at, available_at, note)"
                    " SELECT p.tenant_id, p.id, n + 50000, CASE n % 2 WHEN 0 THEN 'quarantine' ELSE 'reserved' END,"
                    " 'somebody ' || n, p.defined_at, CASE n % 2 WHEN 0 THEN p.defined_at END,"
                    " CASE n % 2 WHEN 1 THEN 'kept' END"
                    " FROM numbers, ipam_pool AS p WHERE p.name = :pool AND p.tenant_id = :tenant_id"
                ),
                {"used": USED, "pool": pool, "tenant_id": network.tenant_id},
            )
        await db.execute(text("DELETE FROM ipam_free_range WHERE last_unit > 50000"))  # what is used is not free
        if counted:
            await db.execute(text("ANALYZE"))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_no_statement_is_so_long_that_the_driver_parses_it_anew_each_time(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Any]] = []
    async with statements(network, seen):
        await network.allocate(1)
        monkeypatch.setattr(ipam.allocation.giving, "give_at_once", nothing_at_once)
        await network.allocate(2)

    assert max(len(statement) for statement, _ in seen) <= MAX_CACHED_STATEMENT_LENGTH


async def nothing_at_once(*_: Any, **__: Any) -> None:
    """As if something were out of the ordinary."""


async def plans_of_one(network: Network) -> str:
    """How the database carries out each statement of an allocation, asked with the very statements and values."""
    seen: list[tuple[str, Any]] = []
    async with statements(network, seen):
        await network.allocate(1)
    how = "EXPLAIN" if network.database.is_postgresql else "EXPLAIN QUERY PLAN"
    found: list[str] = []
    async with network.database.engine.begin() as connection:
        for statement, parameters in seen:
            if statement.lstrip().startswith(("SELECT", "WITH", "INSERT", "UPDATE")) and not isinstance(
                parameters, list
            ):
                rows = await connection.exec_driver_sql(f"{how} {statement}", parameters)
                found += [str(row[-1]) for row in rows]
    return "\n".join(found)


async def plans_inside(network: Network) -> str:
    """The same of what a function of PostgreSQL's does: the server tells a superuser's session."""
    database, told = Database(as_superuser(network.database.url).render_as_string(hide_password=False)), list[str]()
    async with database.begin() as db:
        connection = await db.connection()
        await connection.exec_driver_sql("LOAD 'auto_explain'")
        for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_level = notice"):
            await connection.exec_driver_sql(f"SET auto_explain.{setting}")
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_notice_handler(lambda notice: told.append(notice.message_primary))
        service = NetworkService(db, tenant_id=network.tenant_id, now=network.clock, username_realm=REALM)
        await service.allocate_resources(customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100")
    await database.close()
    return "\n".join(told)


def by_index_alone(plans: str) -> bool:
    """Whether no row of pools is looked for by walking through a table, and both orders of used units are indexed."""
    walked = re.search(r"(Seq Scan on|SCAN) (ipam_allocation|ipam_free_range|a|f)\b", plans)
    return walked is None and "ipam_allocation_own" in plans and "ipam_allocation_oldest" in plans


async def test_units_are_found_by_index_alone(empty: Network) -> None:
    await fill(empty)

    plans = await (plans_inside if empty.database.is_postgresql else plans_of_one)(empty)

    assert by_index_alone(plans), plans


@pytest.mark.parametrize("counted", ["never", "when nothing was there"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_units_are_found_by_the_right_index_though_nobody_has_counted_them(empty: Network, counted: str) -> None:
    """PostgreSQL takes the pools for empty, and to read all that rests there and sort it for as good as an index."""
    if counted != "never":
        async with empty.database.begin() as db:
            await db.execute(text("ANALYZE"))
    await fill(empty, counted=False)

    plans = await plans_inside(empty)

    assert by_index_alone(plans), plans
    assert "Sort Key: available_at" not in plans, plans


async def test_in_steps_units_are_found_by_index_alone_too(empty: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(empty)
    monkeypatch.setattr(ipam.allocation.giving, "give_at_once", nothing_at_once)

    plans = await plans_of_one(empty)

    assert by_index_alone(plans), plans
