"""The laboratory: a world, an appliance in it, and what has to be there before a ticket can come."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acs.testing import Clock, WallClock
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.estate import import_estate
from provisioning.lab.database import empty_lab_database
from provisioning.lab.errors import DemoFailed
from provisioning.lab.phone import FOLDER as PHONES
from provisioning.lab.world import LabWorld, open_world
from provisioning.migrations import migrate
from provisioning.settings import PREFIX, Settings, default_radius_database, default_radius_schema, load_settings
from provisioning.vault import create_keyring

ENDS_WITHIN_SECONDS = 10.0
LAB_REALM = "isp.example"
ITS_OWN: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "radius_database_url": default_radius_database,
    "radius_database_schema": lambda own: default_radius_schema(
        {"radius_database_url": default_radius_database(own), **own}
    ),
    "sealing_key_file": lambda own: own["data_dir"] / "sealing-key.json",
    "smtp_user": lambda _: None,
    "smtp_password_file": lambda _: None,
    "line_webhook_url": lambda _: None,
    "line_webhook_secret_file": lambda _: None,
    "stripe_api_key_file": lambda _: None,
    "stripe_webhook_secret_file": lambda _: None,
}
"""What a laboratory has in the place of what an ISP's environment names, by the laboratory's other settings."""

Say = Callable[[str], None]
"""Hears one sentence at a time of what is happening."""


@dataclass
class Lab:
    """A world and an appliance in it, ready for tickets."""

    world: LabWorld
    appliance: Appliance

    @property
    def has_lab_acs(self) -> bool:
        """False when the environment names a GenieACS: its CPEs are real, and so is who plugs them in."""
        return self.appliance.settings.genieacs_nbi_url == self.world.acs.url


@asynccontextmanager
async def open_lab(
    home: Path, estate: Path, say: Say, *, clock: Clock | None = None, sells: bool = False, **overrides: Any
) -> AsyncIterator[Lab]:
    """An empty database, the world, FreeRADIUS on its tables, the estate imported. Nothing moves runs yet.

    ``clock`` is the time of the appliance and of the ACS, ``overrides`` are settings that win over everything. One that
    ``sells`` takes cards and has systems of its own to tell, beside what every ISP has.
    """
    clock = clock or WallClock()
    await asyncio.to_thread(_end_what_was_left, home)
    await asyncio.to_thread(_empty_folder, home)
    async with open_world(home, clock=clock, sells=sells) as world:
        settings = lab_settings(home, world, **overrides)
        if aside := set_aside(settings):
            say(f"not gone by, since a laboratory has its own: {', '.join(aside)}")
        await empty_lab_database(settings)
        await asyncio.to_thread(create_keyring, settings.sealing_key_file, now=utc_now)
        async with open_appliance(settings, clock=clock.now) as appliance:
            await migrate(appliance.database, appliance.radius_database)
            say(f"the tables are made in {_where(appliance, home)}")
        server = await world.start_freeradius(
            home / "freeradius", settings.radius_database_url, settings.radius_database_schema
        )
        say(f"FreeRADIUS answers on 127.0.0.1:{server.auth_port}, the ACS on {settings.genieacs_nbi_url}")
        settings = settings.model_copy(update=world.freeradius_settings())
        async with open_appliance(settings, clock=clock.now) as appliance:
            counts = (await import_estate(appliance, estate)).counts
            say("the estate is imported: " + ", ".join(f"{kind} {count}" for kind, count in counts.items() if count))
            await _connect_nas(world, appliance)
            yield Lab(world, appliance)


def lab_settings(home: Path, world: LabWorld, **overrides: Any) -> Settings:
    """The environment's settings, and the world's addresses where the environment names none.

    Of a real ISP's environment nothing may be written into, opened or paid with: the radius database, the sealing key
    and whatever another system is reached by are the laboratory's own, whatever the environment says.
    """
    given = load_settings()
    named = given.model_fields_set
    own = world.settings()
    if given.genieacs_nbi_url is not None:
        own["genieacs_nbi_url"] = given.genieacs_nbi_url
    own["database_url"] = (
        given.database_url if "database_url" in named else f"sqlite+aiosqlite:///{home.absolute()}/firstlight.db"
    )
    own |= {"data_dir": home.absolute(), "username_realm": LAB_REALM, **overrides}
    for name, value_of in ITS_OWN.items():
        if name in named and name not in own:
            own[name] = value_of(own)
    return load_settings(**own)


def set_aside(settings: Settings) -> list[str]:
    """The variables of the environment that the laboratory does not go by."""
    given = load_settings()
    changed = (name for name in given.model_fields_set if getattr(given, name) != getattr(settings, name))
    return sorted(PREFIX + name.upper() for name in changed)


async def _connect_nas(world: LabWorld, appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        nas = (await appliance.services(db).radius_service.nas_list())[0]
        secret = await appliance.vault.reveal(db, nas["secret"])
    port = await world.connect_nas(nas["name"], secret)
    async with appliance.database.begin() as db:
        await appliance.services(db).radius_service.define_nas(
            name=nas["name"], address=nas["address"], dialect=nas["dialect"], coa_port=port
        )
    await appliance.projector.project_nas()


def _where(appliance: Appliance, home: Path) -> str:
    if appliance.database.is_postgresql:
        return f"PostgreSQL, database {appliance.database.url.database}"
    return f"SQLite, {home / 'firstlight.db'}"


def _end_what_was_left(home: Path) -> None:
    """A demo that was killed leaves its FreeRADIUS behind; the configuration it was started with tells which it is.
    Returns once it has ended. Raises: DemoFailed where it doesn't."""
    configuration = str(home.absolute() / "freeradius" / "raddb").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if configuration in command:
            _end(int(process.name))


def _end(number: int) -> None:
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    ending = select.poll()
    ending.register(process, select.POLLIN)
    try:
        for word in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(process, word)
            if ending.poll(ENDS_WITHIN_SECONDS * 1000):
                return
    except ProcessLookupError:
        return  # it has ended by itself
    finally:
        os.close(process)
    raise DemoFailed(f"FreeRADIUS of an earlier demo still runs as process {number}, though it was told to end")


def _empty_folder(home: Path) -> None:
    """But for the CA that phones trust."""
    home.mkdir(parents=True, exist_ok=True)
    for each in home.iterdir():
        if each.is_symlink() or not each.is_dir():
            each.unlink(missing_ok=True)
        elif each.name != PHONES:
            shutil.rmtree(each)
