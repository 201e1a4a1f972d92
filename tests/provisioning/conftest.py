"""An estate in good health, made once per kind of database, of which tests take copies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning.bootstrap import Appliance, open_appliance
from tests.conftest import DATABASES
from tests.support.appliances import one_original
from tests.support.healthy_estate import HealthyEstate, make_healthy_estate
from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def sqlite_estate(tmp_path_factory: pytest.TempPathFactory) -> HealthyEstate:
    return one_original(tmp_path_factory, "estate-sqlite", make_healthy_estate, HealthyEstate)


@pytest.fixture(scope="session")
def postgresql_estate(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> HealthyEstate:
    return one_original(tmp_path_factory, "estate-postgresql", make_healthy_estate, HealthyEstate, postgres)


@pytest.fixture(params=DATABASES)
def estate(request: pytest.FixtureRequest) -> HealthyEstate:
    """Runs 1 to 4: completed, waiting for the visit, held since the port is another one, cancelled."""
    made: HealthyEstate = request.getfixturevalue(f"{request.param}_estate")
    return made


@pytest.fixture
async def spoilable(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An appliance on a copy of the estate that may be spoilt."""
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        yield opened
