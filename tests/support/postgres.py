"""A private PostgreSQL for one test run: initdb in a temporary directory, a Unix socket, one database per test."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

INSTALL = "apt-get install postgresql"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 12 * 2**30


class PostgresServer:
    """``start()``, then ``create_database()`` as often as wanted, then ``stop()``."""

    def __init__(self, *, durable: bool = False) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="firstlight-pg-", dir=_memory() if not durable else None))
        self.durable = durable
        self._user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def start(self) -> None:
        data = self.home / "data"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.home, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-c listen_addresses='' -c unix_socket_directories={self.home} -c max_connections=200"
        if not self.durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        self._run("pg_ctl", "-D", str(data), "-w", "-l", str(self.home / "log"), "-o", options, "start")

    def create_database(self, template: str = "template1") -> str:
        """The URL of a new, empty database."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", str(self.home), "-U", "postgres", "-T", template, name)
        return f"postgresql+psycopg://postgres@/{name}?host={self.home}"

    def stop(self) -> None:
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


def _memory() -> str | None:
    """The file system in memory, where there is one with room: copies of databases cost little there."""
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return None
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
