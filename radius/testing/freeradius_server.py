"""Debian's FreeRADIUS as a plain child process, with the product's own raddb, on free loopback ports.

Blocking on purpose, as starting a process is; from asyncio: ``await asyncio.to_thread(server.start)``.
"""

from __future__ import annotations

import secrets as randomness
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.engine import URL, make_url

from radius.testing.errors import FreeRadiusFailed, FreeRadiusMissing
from radius.testing.wire import status_answers

LoginQueries = Literal["one", "two", "five"]

_PROGRAM_FOLDERS = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
_POSTGRESQL_DRIVER = Path("/usr/lib/freeradius/rlm_sql_postgresql.so")
_START_SECONDS = 10.0
_STOP_SECONDS = 5.0
_PORT_ATTEMPTS = 3
_LOG_TAIL_LINES = 40


@dataclass(frozen=True)
class Ports:
    """The UDP ports of one server."""

    auth: int
    acct: int
    status: int


class FreeRadiusServer:
    """``start()``, then ask it on ``auth_port`` and ``acct_port``, then ``stop()``; or ``with FreeRadiusServer(...)``.

    ``database_url`` is the radius database as SQLAlchemy writes it (``sqlite+aiosqlite:///...`` or
    ``postgresql+psycopg://...``, unix sockets too) and ``schema`` its PostgreSQL schema; its tables should exist.
    ``raddb`` is copied to ``run_dir`` with private modes first: FreeRADIUS refuses a configuration that others may
    write. NASes come from the table ``nas``; one that changed there is known ``nas_lifetime_seconds`` later.
    """

    def __init__(
        self,
        *,
        raddb: Path,
        run_dir: Path,
        database_url: str,
        schema: str | None = None,
        nas_network: str = "127.0.0.0/8",
        nas_lifetime_seconds: int = 1,
        reject_delay_seconds: int = 0,
        require_message_authenticator: bool = True,
        login_queries: LoginQueries = "one",
    ) -> None:
        self._raddb = raddb
        self._run_dir = run_dir.absolute()
        self._url = make_url(database_url)
        self._schema = schema
        self.nas_lifetime_seconds = nas_lifetime_seconds
        self._options = {
            "FIRSTLIGHT_FREERADIUS_NAS_NETWORK": nas_network,
            "FIRSTLIGHT_FREERADIUS_NAS_LIFETIME_SECONDS": str(nas_lifetime_seconds),
            "FIRSTLIGHT_FREERADIUS_REJECT_DELAY_SECONDS": str(reject_delay_seconds),
            "FIRSTLIGHT_FREERADIUS_REQUIRE_MESSAGE_AUTHENTICATOR": "yes" if require_message_authenticator else "no",
            "FIRSTLIGHT_FREERADIUS_LOGIN_QUERIES": login_queries,
            "FIRSTLIGHT_FREERADIUS_LOGIN_DIR": "",
            "FIRSTLIGHT_FREERADIUS_EAP": "",
            "FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE": "",
            "FIRSTLIGHT_FREERADIUS_EAP_KEY": "",
        }
        self._status_secret = randomness.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: Ports | None = None

    def __enter__(self) -> FreeRadiusServer:
        self.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        self.stop()

    @property
    def auth_port(self) -> int:
        return self._started_ports.auth

    @property
    def acct_port(self) -> int:
        return self._started_ports.acct

    @property
    def raddb(self) -> Path:
        """The copy of the configuration that it reads."""
        return self._run_dir / "raddb"

    @property
    def log_file(self) -> Path:
        return self._run_dir / "radius.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def serve_eap(self, *, certificate: Path, key: Path, kind: str = "peap") -> None:
        """EAP of that kind from the next start on, with these PEM files."""
        self._options |= {
            "FIRSTLIGHT_FREERADIUS_EAP": kind,
            "FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE": str(certificate),
            "FIRSTLIGHT_FREERADIUS_EAP_KEY": str(key),
        }

    def write_logins_to(self, folder: Path) -> None:
        """From the next start on a login is a line of a file in that folder, for ``LoginCarrier``."""
        self._options["FIRSTLIGHT_FREERADIUS_LOGIN_DIR"] = str(folder)

    def start(self) -> None:
        """Start the server and wait until it answers a Status-Server.

        Raises:
            FreeRadiusMissing: it, or its PostgreSQL driver, is not installed.
            FreeRadiusFailed: it did not come up; the error shows the end of its log.
        """
        program = self._program()
        self._copy_raddb()
        for attempt in range(_PORT_ATTEMPTS):
            # started again it is where its NASes know it
            ports = _free_ports() if self._ports is None or attempt else self._ports
            try:
                self._start(program, ports)
            except FreeRadiusFailed as failed:
                self.stop()
                # somebody else took a port between our look and its bind
                if attempt + 1 == _PORT_ATTEMPTS or "Address already in use" not in failed.log_tail:
                    raise
            else:
                return

    def stop(self) -> None:
        """End the server; nothing happens when it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log_tail(self) -> str:
        """The last lines of what the server wrote: its output until the log is open, then the log."""
        text = "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in (self._run_dir / "output.log", self._run_dir / "radius.log")
            if path.exists()
        )
        return "\n".join(text.splitlines()[-_LOG_TAIL_LINES:])

    @property
    def _started_ports(self) -> Ports:
        if self._ports is None:
            raise FreeRadiusFailed("was not started", "")
        return self._ports

    def _program(self) -> str:
        # other distributions call it radiusd
        found = shutil.which("freeradius", path=_PROGRAM_FOLDERS) or shutil.which("radiusd", path=_PROGRAM_FOLDERS)
        if found is None:
            raise FreeRadiusMissing("FreeRADIUS")
        if self._url.get_backend_name() == "postgresql" and not _POSTGRESQL_DRIVER.exists():
            raise FreeRadiusMissing("FreeRADIUS' driver for PostgreSQL")
        return found

    def _copy_raddb(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy = self._run_dir / "raddb"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self._raddb, copy)
        for path in (copy, *copy.rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)

    def _start(self, program: str, ports: Ports) -> None:
        for name in ("output.log", "radius.log"):
            (self._run_dir / name).unlink(missing_ok=True)
        with (self._run_dir / "output.log").open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed program with arguments of our own
                [program, "-d", str(self._run_dir / "raddb"), "-n", "radiusd", "-f"],
                env=self._environment(ports),
                cwd=self._run_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in a terminal is for whoever started us, who then stops this server
            )
        self._ports = ports
        waited = 0.0
        while not status_answers(ports.status, self._status_secret, seconds=0.1):
            waited += 0.1
            if self._process.poll() is not None:
                raise FreeRadiusFailed(f"ended with status {self._process.returncode}", self.log_tail())
            if waited >= _START_SECONDS:
                raise FreeRadiusFailed(f"did not answer within {_START_SECONDS:g} s", self.log_tail())

    def _environment(self, ports: Ports) -> dict[str, str]:
        backend = self._url.get_backend_name()
        return {
            "PATH": "/usr/bin:/bin",
            "FIRSTLIGHT_FREERADIUS_RADDB": str(self._run_dir / "raddb"),
            "FIRSTLIGHT_FREERADIUS_RUN_DIR": str(self._run_dir),
            "FIRSTLIGHT_FREERADIUS_LISTEN_ADDRESS": "127.0.0.1",
            "FIRSTLIGHT_FREERADIUS_AUTH_PORT": str(ports.auth),
            "FIRSTLIGHT_FREERADIUS_ACCT_PORT": str(ports.acct),
            "FIRSTLIGHT_FREERADIUS_STATUS_PORT": str(ports.status),
            "FIRSTLIGHT_FREERADIUS_STATUS_SECRET": self._status_secret,
            "FIRSTLIGHT_FREERADIUS_SQL": backend,
            "FIRSTLIGHT_FREERADIUS_SQLITE_FILE": self._url.database or "" if backend == "sqlite" else "",
            "FIRSTLIGHT_FREERADIUS_POSTGRESQL": libpq_string(self._url, self._schema) if backend != "sqlite" else "",
            **({"PGPASSWORD": self._url.password} if self._url.password else {}),
            **self._options,
        }


def libpq_string(url: URL, schema: str | None) -> str:
    """A SQLAlchemy URL in libpq's own words, without the password (that one travels as PGPASSWORD)."""
    query = {name: value if isinstance(value, str) else value[0] for name, value in url.query.items()}
    words = {
        "host": url.host or query.get("host"),
        "port": str(url.port) if url.port else query.get("port"),
        "user": url.username,
        "dbname": url.database,
        "sslmode": query.get("sslmode"),
        "options": f"-csearch_path={schema}" if schema else None,
    }
    return " ".join(f"{name}={_quoted(value)}" for name, value in words.items() if value)


def _quoted(value: str) -> str:
    if not any(character in value for character in " '\\"):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _free_ports() -> Ports:
    """Three UDP ports nobody uses at this moment."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        auth, acct, status = (one.getsockname()[1] for one in sockets)
    finally:
        for one in sockets:
            one.close()
    return Ports(auth=auth, acct=acct, status=status)
