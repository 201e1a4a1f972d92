"""What is served: the healthy estate, on SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.api import Api, open_api
from tests.support.healthy_estate import HealthyEstate


@pytest.fixture
async def api(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Api]:
    async with open_api(sqlite_estate.copy(tmp_path / "copy", public_url="https://isp.example")) as opened:
        yield opened
