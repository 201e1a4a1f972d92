"""A private PostgreSQL for one test run and all its processes: initdb in a temporary directory, a Unix socket, one
database per test.

Databases belong to an ordinary role, as an ISP's do: a superuser would pass row-level security.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.database import Database

T = TypeVar("T")

SUPERUSER, OWNER = "postgres", "firstlight"
INSTALL = "apt-get install postgresql"
CONNECTIONS = 500
MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 * 2**30
HOME = "firstlight-pg-"
NO_RUN_LASTS_SECONDS = 3 * 3600


WHO_WAITS_FOR_US = text("""
WITH RECURSIVE waiting AS MATERIALIZED (
    SELECT pid, pg_blocking_pids(pid) AS holders FROM pg_locks WHERE NOT granted
), ours (pid) AS (
    SELECT pg_backend_pid() UNION SELECT waiting.pid FROM waiting JOIN ours ON ours.pid = ANY (waiting.holders)
)
SELECT count(*) - 1 FROM ours
""")
"""How many wait for a lock that this transaction has, or for one that is behind it: who comes second to a row waits for
who waits for it already. Those of other tests, on the same server, wait for others."""


async def until_it_waits_for_us(db: AsyncSession, task: asyncio.Task[Any], *, others: int = 0) -> None:
    """Until the task has come to a lock that this transaction has, as so many others have before."""
    while (await db.scalar(WHO_WAITS_FOR_US) or 0) <= others:
        assert not task.done()
        await asyncio.sleep(0)


async def tried_in_vain(database: Database, act: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """The act under way, when it has undone its first attempt: it waits for no lock, and comes again in a moment."""
    undone = asyncio.Event()

    def note(*_: object) -> None:
        undone.set()

    engine = database.engine.sync_engine
    event.listen(engine, "rollback_savepoint", note)
    task = asyncio.create_task(act)
    await undone.wait()
    event.remove(engine, "rollback_savepoint", note)
    return task


class PostgresServer:
    """``start()``, then ``create_database()`` as often as wanted, then ``stop()``.

    Other processes ``attach()`` to the one that runs in this ``home``, and ``detach()``.
    """

    def __init__(self, home: Path | None = None, *, durable: bool = False) -> None:
        self.home = home or _new_home(durable=durable)
        self.durable = durable

    def start(self) -> None:
        data = self.home / "data"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.home, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(data), "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-c listen_addresses='' -c unix_socket_directories={self.home} -c max_connections={CONNECTIONS}"
        options += " -c dynamic_shared_memory_type=mmap"  # in its home, with which it goes
        if not self.durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        self._run("pg_ctl", "-D", str(data), "-w", "-l", str(self.home / "log"), "-o", options, "start")
        self.attach()
        self._admin.execute(f"CREATE ROLE {OWNER} LOGIN")

    def attach(self) -> None:
        self._admin = psycopg.connect(f"host={self.home} user={SUPERUSER} dbname=postgres", autocommit=True)

    def detach(self) -> None:
        self._admin.close()

    def create_database(self, template: str = "template1") -> str:
        """The URL of a new, empty database, or of a copy of one that nobody is connected to."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._admin.execute(f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE {template} STRATEGY FILE_COPY".encode())
        return f"postgresql+psycopg://{OWNER}@/{name}?host={self.home}"

    def drop_database(self, url: str) -> None:
        """Thousands of them would fill the memory."""
        self._admin.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)".encode())

    def stop(self) -> None:
        self.detach()
        self._run("pg_ctl", "-D", str(self.home / "data"), "-m", "immediate", "stop")
        # Hundreds of databases: on some disks this takes minutes, for which nobody has to wait.
        subprocess.run(["setsid", "--fork", "rm", "-rf", "--", self.home], check=False)

    def _run(self, program: str, *arguments: str) -> None:
        command = [_binary(program), *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.home, check=False)
        if done.returncode:
            log = self.home / "log"
            raise RuntimeError(f"{program} failed: {done.stderr}\n{log.read_text() if log.exists() else ''}")


def as_superuser(url: str | URL) -> URL:
    """The same database for who may do everything; on SQLite everybody may."""
    made = make_url(url)
    return made.set(username=SUPERUSER) if made.get_backend_name() == "postgresql" else made


def clear_away(folder: Path) -> None:
    """Ends the servers of test runs that were killed, and removes their files: in memory they leave less and less room.

    Whose run is meant to go on is left alone, also when its number can't be seen from here.
    """
    for home in folder.glob(f"{HOME}*-*"):
        owner = home.name.removeprefix(HOME).partition("-")[0]
        lives = not owner.isdecimal() or Path("/proc", owner).exists()
        if lives or time.time() - home.stat().st_mtime < NO_RUN_LASTS_SECONDS:
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            server = int((home / "data" / "postmaster.pid").read_text().splitlines()[0])
            if str(home).encode() in Path("/proc", str(server), "cmdline").read_bytes():
                os.kill(server, signal.SIGQUIT)
        shutil.rmtree(home, ignore_errors=True)


def _new_home(*, durable: bool) -> Path:
    """On the disk if it has to be durable; else in memory where there is room: a copy of a database is hundreds of
    files, which take a disk half a second."""
    parent = None if durable else _memory()
    return Path(tempfile.mkdtemp(prefix=f"{HOME}{os.getpid()}-", dir=parent))


def _memory() -> str | None:
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
    clear_away(MEMORY)
    space = os.statvfs(MEMORY)
    return str(MEMORY) if space.f_bavail * space.f_frsize >= ROOM_BYTES else None


def _binary(program: str) -> str:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / program).exists():
            return str(folder / program)
    found = shutil.which(program)
    if not found:
        raise RuntimeError(f"{program} is missing; install it with: {INSTALL}")
    return found
