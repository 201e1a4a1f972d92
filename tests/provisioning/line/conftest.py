"""A database with the line orders, a clock, and a line to ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.database import Database
from provisioning.line import LineOrderRow
from provisioning.line.testing import LabOlt
from provisioning.tables import ProvisioningBase

SERIAL = "HWTC12345678"


class Clock:
    """Each look is a second later."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.moment += timedelta(seconds=1)
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def database(database: Database) -> Database:
    table = LineOrderRow.metadata.tables[LineOrderRow.__tablename__]
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: ProvisioningBase.metadata.create_all(sync, tables=[table]))
    return database


@pytest.fixture
def line() -> dict[str, Any]:
    """What a journey asks for."""
    return {
        "customer_id": 17,
        "service_id": 42,
        "device_serial": SERIAL,
        "access_node": "OLT-1",
        "port": "0/1/3",
        "svlan": 200,
        "cvlan": 1203,
        "management_vlan": 4000,
        "line_profile": "fiber_1gbps",
    }


@pytest.fixture
async def olt() -> AsyncIterator[LabOlt]:
    async with LabOlt() as lab:
        yield lab
