"""Is the FreeRADIUS that runs here free of what is known to hurt? Its text, its database and its answers are looked at.

Whatever could not be looked at is said, since nothing found there means nothing. Only reads; the login it tries is of
nobody and leaves no trace.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import datetime

from typing_extensions import TypedDict

from radius.doctor.database import database_traps
from radius.doctor.eap import eap_traps
from radius.doctor.eap_shown import eap_shown_traps
from radius.doctor.login_files import VARIABLE, login_file_traps
from radius.doctor.raddb import Raddb, read_raddb
from radius.doctor.running import running_traps
from radius.doctor.traps import Trap, config_traps, lifetime_traps, signing_traps
from radius.doctor.wire import Patient, answers
from radius.ports import Begin

SIGNS_BY_ITSELF = (3, 2, 5)
"""FreeRADIUS from here on puts a Message-Authenticator into replies, and can ask for it in requests."""
PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"


class Examination(TypedDict):
    """``traps`` is what will hurt; ``not_looked_at`` is where nobody could look, and why."""

    traps: list[Trap]
    not_looked_at: list[str]


async def examine(patient: Patient, radius_read: Begin, *, now: datetime) -> Examination:
    """Every trap that is found; what is down or unreadable is one itself, and the rest is looked at all the same."""
    unseen: list[str] = []
    traps: list[Trap] = []
    raddb = await asyncio.to_thread(_text, patient, traps, unseen)
    if raddb is not None and (malformed := malformed_traps(raddb)):
        traps += malformed
        unseen.append("what else stands in the configuration, since it can't be read as it is")
        raddb = None
    if raddb is not None:
        traps += await asyncio.to_thread(config_traps, raddb)
        traps += await asyncio.to_thread(eap_traps, raddb, unseen, now=now)
        if patient.nas_lifetime is not None:
            traps += lifetime_traps(raddb, int(patient.nas_lifetime.total_seconds()))
    traps += await database_traps(radius_read, unseen, oldest=now - patient.keep, now=now)
    folder = patient.environment.get(VARIABLE, "")
    traps += await asyncio.to_thread(login_file_traps, folder, unseen, now=now)
    answered = await answers(patient, raddb, traps, unseen)
    if raddb is not None and patient.config_dir is not None:
        traps += await asyncio.to_thread(running_traps, raddb, patient.config_dir, unseen, answered=answered)
    if answered:
        traps += [] if raddb is None else await eap_shown_traps(patient, raddb, unseen)
        if not any(trap["trap"] == "replies_unsigned" for trap in traps):
            traps += await _accepts_unsigned(patient, raddb)
    else:
        version = await _version(patient.program)
        traps += _by_version(raddb, version, unseen)
    return Examination(traps=traps, not_looked_at=unseen)


def _text(patient: Patient, traps: list[Trap], unseen: list[str]) -> Raddb | None:
    if patient.config_dir is None:
        unseen.append("the configuration: FIRSTLIGHT_RADIUS_CONFIG_DIR is not set")
        return None
    try:
        return read_raddb(patient.config_dir, environment=patient.environment)
    except OSError as error:
        unseen.append(f"the configuration: {error.filename} can't be read ({error.strerror})")
        traps.append(
            Trap(
                trap="configuration_unread",
                what=f"{error.filename} can't be read ({error.strerror})",
                why="Most of what hurts stands in the configuration, and none of it has been looked for.",
                fix="run it as who may read it (sudo -u freerad), or name the right folder with --config",
            )
        )
        return None


def malformed_traps(raddb: Raddb) -> list[Trap]:
    """Where the server would stop reading, or finds nobody to serve."""
    faults = list(raddb.malformed)
    if not faults and not any(raddb.servers()):
        faults = [f"{raddb.files[0]} and what it includes have no server that takes logins or accounting"]
    return [
        Trap(
            trap="configuration_malformed",
            what=fault,
            why="FreeRADIUS does not start with it: one that runs goes on until its next start, then nobody logs in.",
            fix=f"mend it, then freeradius -XC -d {raddb.files[0].parent} until it says that it appears to be OK",
        )
        for fault in faults
    ]


async def _accepts_unsigned(patient: Patient, raddb: Raddb | None) -> list[Trap]:
    """A login of nobody shows a reject alone: of accepts, the text and the version say whether they are signed."""
    version = await _version(patient.program) if raddb is not None else None
    return [] if version is None else _by_version(raddb, version, [])


def _by_version(raddb: Raddb | None, version: tuple[int, ...] | None, unseen: list[str]) -> list[Trap]:
    """Where no answer could be looked at: what the text and the version say of signed replies."""
    if version is None:
        unseen.append("FreeRADIUS' version: it is not installed on this machine")
    if version is not None and version >= SIGNS_BY_ITSELF:
        return []
    if raddb is not None:
        return signing_traps(raddb)
    return []


async def _version(program: str | None) -> tuple[int, ...] | None:
    found = program or shutil.which("freeradius", path=PROGRAM_FOLDERS) or shutil.which("radiusd", path=PROGRAM_FOLDERS)
    if found is None:
        return None
    asked = await asyncio.create_subprocess_exec(
        found, "-v", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await asked.communicate()
    numbers = re.search(rb"FreeRADIUS Version (\d+)\.(\d+)\.(\d+)", said)
    return None if numbers is None else tuple(int(each) for each in numbers.groups())
