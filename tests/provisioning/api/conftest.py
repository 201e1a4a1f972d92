"""The API on a copy of the healthy estate: on SQLite, or on both databases where the database can matter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.estate import import_estate
from tests.support.api import Api, open_api
from tests.support.appliances import ESTATE, Original
from tests.support.healthy_estate import HealthyEstate

PUBLIC_URL = "https://isp.example"


@pytest.fixture
async def api(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(sqlite_estate.copy(tmp_path / "copy", public_url="https://isp.example")) as opened:
        yield opened


@pytest.fixture
async def any_api(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(estate.copy(tmp_path / "copy", public_url="https://isp.example")) as opened:
        yield opened


@pytest.fixture
async def appliance(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    """An ISP called Isp that has sold nothing yet."""
    async with open_appliance(migrated_sqlite.copy(tmp_path, public_url=PUBLIC_URL, isp_name="Isp")) as opened:
        await import_estate(opened, ESTATE)
        yield opened


@pytest.fixture
async def browser(appliance: Appliance) -> AsyncIterator[httpx.AsyncClient]:
    """A customer's, at that ISP's public address."""
    transport = httpx.ASGITransport(create_app(appliance))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        yield client
