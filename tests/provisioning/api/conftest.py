"""The appliance over HTTP, asked in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from provisioning.api import public_tenant
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.estate import import_estate
from tests.support.appliances import ESTATE, Original

PUBLIC_URL = "https://isp.example"


@pytest.fixture
async def appliance(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated_sqlite.copy(tmp_path, public_url=PUBLIC_URL, isp_name="Isp")) as opened:
        await import_estate(opened, ESTATE)
        yield opened


@pytest.fixture
def browser_of() -> Callable[[Appliance], httpx.AsyncClient]:
    def opened(appliance: Appliance) -> httpx.AsyncClient:
        app = FastAPI()
        app.state.appliance = appliance
        app.include_router(public_tenant.router)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL)

    return opened


@pytest.fixture
async def browser(
    appliance: Appliance, browser_of: Callable[[Appliance], httpx.AsyncClient]
) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(appliance) as client:
        yield client
