"""Originals of databases, made once in a test run, of which tests take copies: migrating each would take minutes."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop
from sqlalchemy.engine import make_url

from provisioning.bootstrap import open_appliance, utc_now
from provisioning.migrations import migrate
from provisioning.settings import Settings, load_settings
from provisioning.vault import create_keyring
from tests.support.postgres import PostgresServer
from tests.support.shared import made_once, shared_folder

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
ESTATE = EXAMPLES / "lab-estate.toml"
TICKET = EXAMPLES / "install-ticket.json"
COPIES: list[tuple[PostgresServer, str]] = []
"""Of this process, that are still there; ``tests/conftest.py`` drops them at the end of their test."""


@dataclass(frozen=True)
class Original:
    """A database nobody works in, and its keyring."""

    home: Path
    database_url: str | None  # None: the SQLite files in ``home``
    postgres: PostgresServer | None

    def copy(self, to: Path, **settings: Any) -> Settings:
        """The settings of a copy of its own."""
        url = self.copy_database(to)
        shutil.copy2(self.home / "sealing-key.json", to)
        return load_settings(data_dir=to, database_url=url, **settings)

    def copy_database(self, to: Path) -> str:
        """The URL of a copy of its own."""
        to.mkdir(parents=True, exist_ok=True)
        if self.database_url is None:
            for file in self.home.glob("*.db*"):
                shutil.copy2(file, to)
            return f"sqlite+aiosqlite:///{to}/firstlight.db"
        assert self.postgres is not None
        url = self.postgres.create_database(template=str(make_url(self.database_url).database))
        COPIES.append((self.postgres, url))
        return url


Kind = TypeVar("Kind", bound=Original)


def one_original(
    factory: pytest.TempPathFactory,
    name: str,
    make: Callable[[Path, PostgresServer | None], Awaitable[Kind]],
    kind: type[Kind],
    postgres: PostgresServer | None = None,
) -> Kind:
    """What ``make`` makes, once in a test run for all its processes.

    In an event loop of its own, so that the fixtures it is for serve tests of commands, which have no loop, as well.
    """

    async def told(home: Path) -> dict[str, Any]:
        made = await make(home, postgres)
        said = {field.name: getattr(made, field.name) for field in fields(made) if field.name != "postgres"}
        return {**said, "home": str(made.home)}

    said = uvloop.run(made_once(shared_folder(factory), name, told))
    return kind(**{**said, "home": Path(said["home"]), "postgres": postgres})


async def make_migrated(home: Path, postgres: PostgresServer | None) -> Original:
    """Tables and a keyring, and nothing in them."""
    database_url = postgres.create_database() if postgres else None
    settings = load_settings(data_dir=home, database_url=database_url or f"sqlite+aiosqlite:///{home}/firstlight.db")
    create_keyring(settings.sealing_key_file, now=utc_now)
    async with open_appliance(settings) as appliance:
        await migrate(appliance.database, appliance.radius_database)
    return Original(home, database_url, postgres)
