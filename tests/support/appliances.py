"""An appliance on a migrated, otherwise empty database, with the estate of the demo or without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.migrations import migrate
from provisioning.settings import load_settings
from provisioning.vault import create_keyring

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
ESTATE = EXAMPLES / "lab-estate.toml"
TICKET = EXAMPLES / "install-ticket.json"


@asynccontextmanager
async def migrated_appliance(folder: Path, database_url: str, **settings: Any) -> AsyncIterator[Appliance]:
    """Opened for the time of the block."""
    chosen = load_settings(data_dir=folder, database_url=database_url, **settings)
    if not chosen.sealing_key_file.exists():
        create_keyring(chosen.sealing_key_file, now=utc_now)
    async with open_appliance(chosen) as appliance:
        await migrate(appliance.database, appliance.radius_database)
        yield appliance
