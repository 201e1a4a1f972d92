"""The tables of field work in a new database, two technicians, and one known moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.database import Database
from provisioning.field import Technicians, VisitRecord, Visits
from tests.conftest import DATABASES, migrated_copy

TENANT = "north"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEN = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    """That time of the day on which visits are booked in these tests."""
    return TEN.replace(hour=hour, minute=minute)


def visits(db: AsyncSession, tenant_id: str = TENANT, now: Callable[[], datetime] = lambda: NOW) -> Visits:
    return Visits(db, tenant_id=tenant_id, now=now)


async def book(
    db: AsyncSession,
    *,
    starts_at: datetime = TEN,
    minutes: int = 120,
    technician_id: int = 1,
    customer_id: int = 42,
    planned_port: str | None = None,
    request_id: str | None = None,
) -> VisitRecord:
    return await visits(db).book(
        customer_id=customer_id,
        technician_id=technician_id,
        starts_at=starts_at,
        duration_minutes=minutes,
        address="1 High Street",
        location="LOC-1",
        planned_port=planned_port,
        request_id=request_id,
    )


async def tomorrow(db: AsyncSession) -> list[VisitRecord]:
    return await visits(db).visits(starts_at=TEN - timedelta(hours=10), ends_at=TEN + timedelta(hours=14))


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """With the appliance's tables, and nothing in them."""
    return migrated_copy(request, tmp_path)


@pytest.fixture
async def begin(database: Database) -> Begin:
    async with database.begin() as db:
        for tenant_id in (TENANT, "south"):
            people = Technicians(db, tenant_id=tenant_id)
            await people.register(technician_id=1, name="Tom", email="tom@isp.example", skills=["splicing"])
            await people.register(technician_id=2, name="Uma")
    return database.begin
