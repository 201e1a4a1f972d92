"""What is looked for by its beginning is read along an index, behind row-level security too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceSearch
from provisioning.commercial import CustomerSearch
from provisioning.commercial.payments import payments_referred_to
from provisioning.commercial.payments.tables import Payment
from provisioning.commercial.tables import Customer
from provisioning.database import Database
from radius import SubscriberSearch
from tests.support.appliances import Original

TENANT = "north"
Ask = Callable[[AsyncSession], Awaitable[Any]]
ASKED: dict[str, Ask] = {
    "ix_radius_subscriber_begins": lambda db: SubscriberSearch(db, tenant_id=TENANT).named("c7", limit=20),
    "ix_customer_key_found": lambda db: CustomerSearch(db, tenant_id=TENANT).named("wald", limit=20),
    "ix_acs_device_serial": lambda db: DeviceSearch(db, tenant_id=TENANT).bound("HWTC", limit=20),
    "ix_acs_seen_device_begins": lambda db: DeviceSearch(db, tenant_id=TENANT).unbound("HWTC", limit=20),
}


@pytest.fixture
async def walled(migrated: Original, tmp_path: Path) -> AsyncIterator[Database]:
    """One tenant's way into a migrated database."""
    opened = Database(migrated.copy_database(tmp_path), tenant_id=TENANT)
    yield opened
    await opened.close()


@pytest.mark.both_databases
async def test_a_beginning_is_a_range_of_its_index_which_is_in_the_order_that_is_wanted(walled: Database) -> None:
    for index, ask in ASKED.items():
        plan = await _plan(walled, ask)
        assert index in plan, plan
        assert "Sort" not in plan and "ORDER BY" not in plan, plan


@pytest.mark.both_databases
async def test_a_payment_is_found_by_its_reference_without_reading_all_payments(walled: Database) -> None:
    await _take_payments(walled)  # of an empty table PostgreSQL takes any index
    plan = await _plan(walled, lambda db: payments_referred_to(db, "pi_3Q9", tenant_id=TENANT))
    if walled.is_postgresql:
        [by] = [line for line in plan.splitlines() if "Index Cond" in line]
        assert "provider_ref" in by, plan
    else:
        assert "ix_payment_provider_ref (tenant_id=? AND provider=? AND provider_ref=?)" in plan, plan


async def _take_payments(walled: Database) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    same = {
        **{"tenant_id": TENANT, "customer_id": 1, "amount_minor": 100, "currency": "EUR", "method": "card"},
        **{"provider": "stripe", "state": "captured", "requested_at": at, "captured_at": at},
    }
    each = [
        {**same, "order_id": n, "idempotency_key": f"k{n}", "provider_ref": f"pi_{n}", "request_id": f"r{n}"}
        for n in range(1, 301)
    ]
    async with walled.begin() as db:
        customer = {"tenant_id": TENANT, "id": 1, "name": "Waldmann", "email": "w@isp.example", "registered_at": at}
        await db.execute(insert(Customer).values(**customer))
        await db.execute(insert(Payment), each)
        await db.execute(text("ANALYZE payment"))


async def _plan(walled: Database, ask: Ask) -> str:
    asked: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    async with walled.read() as db:
        connection = await db.connection()
        if walled.is_postgresql:  # which reads a table that is small as a whole, if it may
            for setting in ("enable_seqscan = off", "enable_bitmapscan = off", "random_page_cost = 1.1"):
                await connection.execute(text(f"SET LOCAL {setting}"))
        event.listen(walled.reading.sync_engine, "before_cursor_execute", hear)
        await ask(db)
        event.remove(walled.reading.sync_engine, "before_cursor_execute", hear)
        explain = "EXPLAIN " if walled.is_postgresql else "EXPLAIN QUERY PLAN "
        statement, parameters = asked[0]
        return "\n".join(str(row) for row in await connection.exec_driver_sql(explain + statement, parameters))
