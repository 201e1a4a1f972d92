"""The command line as its users have it: commands typed, what is printed, and the exit status."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from provisioning.cli import app
from provisioning.settings import PREFIX, Settings
from tests.support.healthy_estate import HealthyEstate


@dataclass(frozen=True)
class Typed:
    """What came of a command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one value that a program reads."""
        lines = self.out.splitlines()
        assert len(lines) == 1, self.out
        return json.loads(lines[0])


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

    def typed(*words: object) -> Typed:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Typed(result.exit_code, result.stdout, result.stderr)

    return typed


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
