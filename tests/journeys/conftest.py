"""One laboratory for all journeys on one kind of database: opened once, a household for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import DATABASES
from tests.support.lab import JourneyLab, open_journey_lab
from tests.support.postgres import PostgresServer


@pytest_asyncio.fixture(scope="package", loop_scope="session", params=DATABASES)
async def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JourneyLab]:
    """The whole ISP with its worker running, and a check at the very end that nothing was left over by anybody."""
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings = {"database_url": server.create_database(), "radius_database_url": server.create_database()}
    home = tmp_path_factory.mktemp("journeys") / "lab"
    async with open_journey_lab(home, **settings) as opened:
        yield opened
        assert await opened.broken_invariants() == []
