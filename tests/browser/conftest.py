"""A laboratory with its worker running, the server on it, and a browser: opened once for all tests of a database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import DATABASES
from tests.support.browser import Machine, open_browser
from tests.support.console import add_user
from tests.support.lab import JourneyLab, open_journey_lab
from tests.support.postgres import PostgresServer
from tests.support.secure import Secure, open_secure

PEOPLE = {"ada": "admin", "nora": "noc", "dora": "dispatch"}


@pytest_asyncio.fixture(scope="package", loop_scope="session", params=DATABASES)
async def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JourneyLab]:
    """The whole ISP; ada, nora and dora may sign in."""
    settings: dict[str, Any] = {}
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        settings = {"database_url": server.create_database(), "radius_database_url": server.create_database()}
    home = tmp_path_factory.mktemp("browser") / "lab"
    async with open_journey_lab(home, **settings) as opened:
        for name, role in PEOPLE.items():
            await add_user(opened.appliance, name, role)  # type: ignore[arg-type]
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def machine(lab: JourneyLab) -> AsyncIterator[Machine]:
    async with open_browser(lab.appliance) as opened:
        yield opened


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def secure(lab: JourneyLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secure]:
    """The same appliance at an https address by the laboratory's own CA, and a browser whose user trusts that CA."""
    async with open_secure(lab, tmp_path_factory.mktemp("secure")) as opened:
        yield opened
