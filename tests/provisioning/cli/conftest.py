"""The command line as its users have it: commands typed, what is printed, and the exit status."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.settings import PREFIX, Settings
from tests.support.command_line import Typed, type_command
from tests.support.healthy_estate import HealthyEstate

Type = Callable[..., Typed]


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's settings, and a data folder of one's own."""
    for name in list(os.environ):
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTLIGHT_DATA_DIR", str(tmp_path / "data"))


@pytest.fixture
def type_() -> Type:
    """Types ``firstlight ...``; a traceback is a failure of the test."""

    return type_command


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[HealthyEstate], Settings]:
    """Points the environment at a copy of an estate."""

    def pointed(estate: HealthyEstate) -> Settings:
        settings = estate.copy(tmp_path / "data")
        monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", settings.database_url)
        return settings

    return pointed


@pytest.fixture
def isp(sqlite_estate: HealthyEstate, use: Callable[[HealthyEstate], Settings]) -> Settings:
    """A copy of the estate with one installation of each kind, on SQLite."""
    return use(sqlite_estate)


@pytest.fixture
def any_isp(estate: HealthyEstate, use: Callable[[HealthyEstate], Settings]) -> Settings:
    """The same on SQLite and on PostgreSQL."""
    return use(estate)
