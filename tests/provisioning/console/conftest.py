"""The console on a copy of the healthy estate: on SQLite, or on both databases where the database can matter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.console import Console, open_console
from tests.support.healthy_estate import HealthyEstate


@pytest.fixture
async def console(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Console]:
    async with open_console(sqlite_estate.copy(tmp_path / "copy")) as opened:
        yield opened


@pytest.fixture
async def any_console(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Console]:
    async with open_console(estate.copy(tmp_path / "copy")) as opened:
        yield opened
