"""Is the FreeRADIUS that runs here free of what is known to hurt? Its text, its database and its answers are looked at.

Whatever could not be looked at is said, since nothing found there means nothing. Only reads; the login it tries is of
nobody and leaves no trace.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.canary import ACCESS_ACCEPT, LOOKED_UP, WAITS, AuthDoor, CanaryReply, NotFromHere, ask_as
from radius.freeradius_tables import radacct, radpostauth
from radius.login_tables import radius_login
from radius.ports import Begin
from radius.raddb import Raddb, read_raddb
from radius.raddb_checks import Trap, config_traps, signing_traps
from radius.radius_database import radius_transaction

SIGNS_BY_ITSELF = (3, 2, 5)
"""FreeRADIUS from here on puts a Message-Authenticator into replies, and can ask for it in requests."""
LOGIN_BEFORE_SESSION = timedelta(hours=1)
"""A session's Accounting-Start follows its login at once, by clocks that differ."""
PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"

_LEADING = (
    ("radcheck", "username"),
    ("radreply", "username"),
    ("radusergroup", "username"),
    ("radgroupcheck", "groupname"),
    ("radgroupreply", "groupname"),
    ("radacct", "acctuniqueid"),
    ("radacct", "username"),
    ("radacct", "nasipaddress"),
    ("radacct", "framedipaddress"),
)


class Examination(TypedDict):
    """``traps`` is what will hurt; ``not_looked_at`` is where nobody could look, and why."""

    traps: list[Trap]
    not_looked_at: list[str]


@dataclass(frozen=True)
class Patient:
    """What is examined. ``doors``: the NASes of ours as which FreeRADIUS may be asked; one of them must be of this
    machine. ``keep``: how long logins are kept. ``environment``: what its configuration takes from there."""

    config_dir: Path | None
    doors: Sequence[AuthDoor]
    keep: timedelta
    environment: Mapping[str, str] = field(default_factory=dict)
    program: str | None = None
    """None: the one that is installed here."""
    waits: Iterable[float] = WAITS


async def examine(patient: Patient, radius_read: Begin, *, now: datetime) -> Examination:
    """Every trap that is found.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    unseen: list[str] = []
    raddb = await asyncio.to_thread(_text, patient, unseen)
    traps = [] if raddb is None else await asyncio.to_thread(config_traps, raddb)
    async with radius_transaction(radius_read) as db:
        traps += [*await _of_tables(db), *await _of_rows(db, now - patient.keep), *await _log_not_written(db)]
    if not await _wire(patient, raddb, traps, unseen):
        version = await _version(patient.program)
        traps += _by_version(raddb, version, unseen)
    return Examination(traps=traps, not_looked_at=unseen)


def _text(patient: Patient, unseen: list[str]) -> Raddb | None:
    if patient.config_dir is None:
        unseen.append("the configuration: FIRSTLIGHT_RADIUS_CONFIG_DIR is not set")
        return None
    try:
        return read_raddb(patient.config_dir, environment=patient.environment)
    except OSError as error:
        unseen.append(f"the configuration: {error.filename} can't be read ({error.strerror})")
        return None


async def _of_tables(db: AsyncSession) -> list[Trap]:
    traps = [
        Trap(
            trap="index_missing",
            what=f"no index of {table} begins with {column}",
            why="Each login or accounting packet reads the whole table: 25 to 50 times slower at 100,000 subscribers.",
            fix=f"CREATE INDEX {table}_by_{column} ON {table} ({column});",
        )
        for table, column in await (await db.connection()).run_sync(_missing_indexes)
    ]
    if db.get_bind().dialect.name == "sqlite":
        mode = await db.scalar(text("PRAGMA journal_mode"))
        if mode != "wal":
            traps.append(
                Trap(
                    trap="sqlite_not_wal",
                    what=f"the radius database's journal mode is {mode}",
                    why="Whoever reads holds up whoever writes, and most accounting is lost while we write.",
                    fix="PRAGMA journal_mode=WAL;",
                )
            )
    return traps


def _missing_indexes(connection: Connection) -> list[tuple[str, str]]:
    look = inspect(connection)
    there = set(look.get_table_names())
    return [(table, column) for table, column in _LEADING if table in there and column not in _leading(look, table)]


def _leading(look: Any, table: str) -> Collection[str]:
    indexes = [index["column_names"] for index in look.get_indexes(table)]
    unique = [one["column_names"] for one in look.get_unique_constraints(table)]
    keys = [look.get_pk_constraint(table)["constrained_columns"]]
    return {columns[0] for columns in (*indexes, *unique, *keys) if columns}


async def _of_rows(db: AsyncSession, oldest: datetime) -> list[Trap]:
    traps = []
    passwords = select(func.count()).select_from(radpostauth).where(func.coalesce(radpostauth.c["pass"], "") != "")
    if count := await db.scalar(passwords):
        traps.append(
            Trap(
                trap="passwords_kept",
                what=f"radpostauth holds {count} password(s)",
                why="Whoever reads that table or a backup of it has them.",
                fix="UPDATE radpostauth SET pass = '';",
            )
        )
    late = oldest - timedelta(days=1)
    for table, at, fix in (
        (radius_login, radius_login.c.happened_at, "start a worker (`firstlight worker`): it forgets what is old"),
        (
            radpostauth,
            radpostauth.c.authdate,
            "nightly: DELETE FROM radpostauth WHERE authdate < now() - interval '30 days';",
        ),
    ):
        first = await db.scalar(select(at).order_by(table.c.id).limit(1))
        if first is not None and first < late:
            traps.append(
                Trap(
                    trap="never_forgotten",
                    what=f"{table.name} holds rows since {first:%Y-%m-%d}",
                    why="The log of logins fills the disk, and it tells of people: who was online when and where.",
                    fix=fix,
                )
            )
    return traps


async def _log_not_written(db: AsyncSession) -> list[Trap]:
    """Sessions that begin without a login: the newest of each is looked at."""
    started, logged = radacct.c.acctstarttime, radius_login.c.happened_at
    session = await db.scalar(select(started).order_by(radacct.c.radacctid.desc()).limit(1))
    login = await db.scalar(select(logged).order_by(radius_login.c.id.desc()).limit(1))
    if session is None or (login is not None and login >= session - LOGIN_BEFORE_SESSION):
        return []
    return [
        Trap(
            trap="login_log_not_written",
            what=f"a session began {session:%Y-%m-%d %H:%MZ}, and radius_login has "
            + ("no login" if login is None else f"none since {login:%Y-%m-%d %H:%MZ}"),
            why="Who is refused is told nowhere: FreeRADIUS lets in as ever, and each INSERT fails without a word.",
            fix="grant it what docs/radius-logins.md says; call log_the_login and log_the_refusal in post-auth",
        )
    ]


async def _wire(patient: Patient, raddb: Raddb | None, traps: list[Trap], unseen: list[str]) -> bool:
    """What its answers show; False: there was none."""
    for door in patient.doors:
        try:
            reply = await ask_as(door, waits=patient.waits)
        except NotFromHere:
            continue
        except OSError as error:
            unseen.append(f"FreeRADIUS' answers: no way to {door.host} port {door.port} ({error.strerror})")
            return False
        traps += await _of_answers(patient, door, reply)
        if reply is not None:
            traps += _of_refusal(f"{door.host} port {door.port}", reply, raddb, unseen)
        return reply is not None
    unseen.append(
        "FreeRADIUS' answers: no NAS of ours has an address of this machine;"
        " `firstlight nas add doctor 127.0.0.1 --dialect mikrotik --reason doctor` makes one"
    )
    return False


def _of_refusal(where: str, reply: CanaryReply, raddb: Raddb | None, unseen: list[str]) -> list[Trap]:
    """Whether nobody is refused since he is nobody, or since everybody is."""
    if reply.code == ACCESS_ACCEPT:
        return [
            Trap(
                trap="nobody_let_in",
                what=f"{where} accepts a login of nobody with any password",
                why="Whoever asks is online, and nobody pays.",
                fix="no DEFAULT user and no Auth-Type := Accept; radius.log and `freeradius -X` show which row or line",
            )
        ]
    if reply.looked_up:
        return []
    if raddb is None or not any(value == LOOKED_UP for one in raddb.root.every() for _, value in one.values):
        unseen.append("whether FreeRADIUS lets anybody in: it refuses a login of nobody, and its words don't say why")
        return []
    return [
        Trap(
            trap="everybody_refused",
            what=f"{where} refuses a login of nobody without having looked for it",
            why="A table or a grant is missing, so everybody is refused, or it runs with an older configuration.",
            fix="systemctl restart freeradius; `firstlight migrate`; radius.log names the query that fails",
        )
    ]


async def _of_answers(patient: Patient, door: AuthDoor, reply: CanaryReply | None) -> list[Trap]:
    where = f"{door.host} port {door.port}"
    if reply is None:
        return [
            Trap(
                trap="no_answer",
                what=f"FreeRADIUS at {where} does not answer a login as {door.nas_name} ({door.nas_address})",
                why="Nobody can log in while it, or its database, is down.",
                fix="systemctl status freeradius; tail radius.log",
            )
        ]
    traps = []
    if not reply.authenticated_first:
        traps.append(
            Trap(
                trap="replies_unsigned",
                what=f"the reply of {where} does not begin with a Message-Authenticator",
                why="It can be forged by who sits in between (BlastRADIUS, CVE-2024-3596).",
                fix="authorize { update reply { &Message-Authenticator := 0x00 } ... }, as its first line",
            )
        )
    if await ask_as(door, authenticated=False, waits=patient.waits) is not None:
        traps.append(
            Trap(
                trap="unsigned_requests",
                what=f"{where} answers a request without a Message-Authenticator",
                why="The other half of BlastRADIUS: a request can be changed on its way.",
                fix="FIRSTLIGHT_FREERADIUS_REQUIRE_MESSAGE_AUTHENTICATOR=yes, or require_message_authenticator = yes",
            )
        )
    return traps


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
