"""Worker processes that end, or freeze, exactly where a test says: SIGKILL and SIGSTOP by their own hand.

The server (`worker_server` starts it) imports the appliance once and forks a worker whenever one is started, so that a
start costs a fraction of a second. A worker reads its plan from a file at every instant that it reaches, and writes
each one to a trace first. Its clock is the test's, which may move it.

Instants are those that the engine names (``apply_device.effect``), and both sides of every COMMIT that writes:
``commit(apply_device: acs_device).before``, wherever the commit is made, by us or by DBOS.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import importlib
import json
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dbos._workflow_commands
import structlog
import uvloop
from babel import Locale
from dbos._sys_db import SystemDatabase
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import configure_mappers

import provisioning.database
from acs import Patience
from provisioning.__main__ import COLLECT_AFTER
from provisioning.bootstrap import open_appliance
from provisioning.commercial.mails.wording import Wording
from provisioning.configured import trusted_authorities
from provisioning.logs import configure_logs
from provisioning.settings import load_settings
from provisioning.worker import Pace, open_worker
from radius import Retransmission
from tests.support.clock import SharedClock
from tests.support.compiled_once import compile_once

PR_SET_PDEATHSIG = 1  # prctl(2): a worker must not outlive the server that forked it
ANY = "*"
QUICK = Pace(
    look_every_seconds=0.2,
    visits_every_seconds=0.5,
    lost_every_seconds=1.0,
    expire_every_seconds=86400.0,  # what comes of days is swept by the people's side, or a run would begin unasked
    cpe_patience=Patience(
        first_poll_seconds=0.05, slowest_poll_seconds=0.2, reached_seconds=6.0, unreached_seconds=0.5
    ),
    nas_retransmission=Retransmission(sends=3, first_wait_seconds=0.2),
)
IDLE_IN_TRANSACTION_SECONDS = 2
IMPORTED_LATE = (
    "aiosqlite",
    "anyio._backends._asyncio",
    "apscheduler.executors.asyncio",
    "apscheduler.triggers.interval",
    "certifi",
    "dbos._sys_db_postgres",
    "dbos._sys_db_sqlite",
    "encodings.idna",
    "httpcore",
    "psycopg",
    "stripe._stripe_client",
)
"""What a worker would import when it comes to need it, and again every time."""
WRITES = re.compile(r"(?<!FOR )\b(?:INSERT INTO|DELETE FROM|UPDATE)\s+(?!SET\b|OF\b)([\w.\"]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Instant:
    """The n-th time that a process reaches a named point; the point ``*`` is any that the engine names."""

    point: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.point}#{self.nth}"

    @classmethod
    def parse(cls, text: str) -> Instant:
        point, _, nth = text.rpartition("#")
        return cls(point, int(nth)) if point and nth.isdigit() else cls(text)

    @property
    def is_commit(self) -> bool:
        return self.point.startswith("commit(")


@dataclass(frozen=True)
class Plan:
    """What a worker does to itself, and when."""

    signal: int
    at: Instant


class Home:
    """The files by which a test and the workers of one database talk: the plan, the trace, what they logged, and the
    clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.plan_file = folder / "plan.json"
        self.trace_file = folder / "trace.txt"
        self.log_file = folder / "worker.log"
        self.clock = SharedClock(folder / "clock")

    def arm(self, plan: Plan | None) -> None:
        """From now on, every living worker counts anew and acts at that instant; None: none does."""
        draft = self.plan_file.with_suffix(".new")
        draft.write_text(json.dumps({"signal": plan.signal, **asdict(plan.at)}) if plan else "")
        draft.replace(self.plan_file)

    def trace(self, offset: int = 0) -> list[str]:
        """The points that were reached since the trace had this size."""
        if not self.trace_file.exists():
            return []
        return self.trace_file.read_bytes()[offset:].decode().splitlines()

    @property
    def trace_size(self) -> int:
        return self.trace_file.stat().st_size if self.trace_file.exists() else 0

    def log_tail(self, lines: int = 40) -> str:
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


# -- in the worker -----------------------------------------------------------------------------------------------------


class Executioner:
    """Writes down every instant, and signals its own process at the planned one."""

    def __init__(self, home: Home) -> None:
        self._plan_file = home.plan_file
        self._trace = os.open(home.trace_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._lock = threading.Lock()
        self._counted_for = ""
        self._seen: Counter[str] = Counter()

    def __call__(self, point: str) -> None:
        with self._lock:
            os.write(self._trace, f"{point}\n".encode())
            planned = self._plan_file.read_text() if self._plan_file.exists() else ""
            if planned != self._counted_for:
                self._counted_for, self._seen = planned, Counter()
            self._seen[point] += 1
            self._seen[ANY] += not point.startswith("commit(")
            if not planned:
                return
            plan = json.loads(planned)
            if plan["point"] in (point, ANY) and self._seen[plan["point"]] == plan["nth"]:
                os.write(self._trace, f"! {signal.Signals(plan['signal']).name}\n".encode())
                os.kill(os.getpid(), plan["signal"])


class Watched:
    """Who hears of the COMMITs of this process; None: nobody."""

    reached: Executioner | None = None


def watch_commits() -> None:
    """Both sides of every COMMIT after a write, in every engine of this process, become instants of who is watching."""

    @event.listens_for(Engine, "begin")
    def begins(connection: Any) -> None:
        connection.info["written"] = {}

    @event.listens_for(Engine, "before_cursor_execute")
    def writes(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if Watched.reached and commits_itself(connection) and (tables := tables_of(statement)):
            Watched.reached(f"{_commit_of(tables)}.before")

    @event.listens_for(Engine, "after_cursor_execute")
    def has_written(connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        tables = tables_of(statement) if Watched.reached else {}
        if tables and Watched.reached and commits_itself(connection):
            Watched.reached(f"{_commit_of(tables)}.after")
        elif tables and cursor.rowcount != 0:
            connection.info.setdefault("written", {}).update(tables)

    plain: Any = DefaultDialect.do_commit

    def do_commit(self: Any, connection: Any) -> None:
        written = getattr(connection, "info", {}).pop("written", None)
        if not written or Watched.reached is None:
            plain(self, connection)
            return
        name = _commit_of(written)
        Watched.reached(f"{name}.before")
        plain(self, connection)
        Watched.reached(f"{name}.after")

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def commits_itself(connection: Any) -> bool:
    """Whether each statement is a transaction of its own (DBOS records a segment's end so)."""
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT")


def tables_of(statement: str) -> dict[str, None]:
    """The tables that a statement writes to, in order."""
    return dict.fromkeys(table.replace('"', "") for table in WRITES.findall(statement))


def _commit_of(tables: Iterable[str]) -> str:
    context = structlog.contextvars.get_contextvars()
    who = context.get("step") or ("segment" if "run_id" in context else "worker")
    return f"commit({who}: {'+'.join(tables)})"


async def _work(order: dict[str, Any], home: Home, until_told: Callable[[asyncio.Event], None]) -> None:
    reached = Executioner(home)
    Watched.reached = reached if order["commits"] else None
    async with (
        open_appliance(load_settings(**order["settings"]), clock=home.clock.now) as appliance,
        open_worker(appliance, at=reached, pace=QUICK),
    ):
        stop = asyncio.Event()
        until_told(stop)
        if order["rehearses"]:
            _say({"number": order["number"], "pid": os.getpid()})
        await stop.wait()


def _until_terminated(stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)


def _become_worker(order: dict[str, Any]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    home = Home(Path(order["home"]))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number in (1, 2):
        _log_to(home, number)
    uvloop.run(_work(order, home, _until_terminated))


def _log_to(home: Home, number: int) -> None:
    log = os.open(home.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, number)
    os.close(log)


# -- the server that forks ---------------------------------------------------------------------------------------------


def serve() -> None:
    """Reads one order a line, forks a worker for each, and says when one ends. Ends with its standard input."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    make_ready()
    _say({"ready": os.getpid()})
    import select

    orders = Orders()
    while True:
        readable, _, _ = select.select([0, woken], [], [])
        if woken in readable:
            os.read(woken, 1024)
            _tell_the_dead()
        if 0 in readable and not orders.read():
            return
        while (order := orders.next()) is not None:
            if order["rehearses"]:
                _rehearse(order, orders)
            else:
                _fork(order)


class Orders:
    """What is asked of the server, a line each."""

    def __init__(self) -> None:
        self._buffered = b""

    def read(self) -> bool:
        """False when nobody will ask for anything any more."""
        chunk = os.read(0, 65536)
        self._buffered += chunk
        return bool(chunk)

    def next(self) -> dict[str, Any] | None:
        line, end, rest = self._buffered.partition(b"\n")
        if not end:
            return None
        self._buffered = rest
        order: dict[str, Any] = json.loads(line)
        return order


def _rehearse(order: dict[str, Any], orders: Orders) -> None:
    """Is a worker itself until the next order: those who are forked later begin with what it had to work out first."""

    def until_next_order(stop: asyncio.Event) -> None:
        asyncio.get_running_loop().add_reader(0, stop.set)

    home, ours = Home(Path(order["home"])), os.dup(2)
    _log_to(home, 2)
    try:
        uvloop.run(_work(order, home, until_next_order))
    finally:
        os.dup2(ours, 2)
        os.close(ours)
    assert orders.read() and orders.next() == {}, "only its end may be asked of a rehearsal"
    gc.collect()
    gc.freeze()
    _say({"number": order["number"], "rests": True})


def make_ready() -> None:
    """What every worker would do once and anew: a tenth of a second here and there."""
    provisioning.database.POSTGRES_IDLE_IN_TRANSACTION_SECONDS = IDLE_IN_TRANSACTION_SECONDS
    gc.set_threshold(COLLECT_AFTER)
    configure_logs(level="info", form="console")
    for name in IMPORTED_LATE:
        importlib.import_module(name)
    compile_once()
    watch_commits()
    spare_the_queue()
    configure_mappers()
    trusted_authorities()
    words = Wording(Locale.parse("en"), ZoneInfo("UTC"))  # a language's own words are read from a file
    words.moment(datetime.now(UTC))
    words.money(1, "EUR")
    gc.collect()
    gc.freeze()


def spare_the_queue() -> None:
    """DBOS looks for what nobody here uses: workflows with a delay or a time limit, and versions newer than ours (each
    segment names its own). Hundreds of workers, most of them idle, pay a sixth of their time for that."""
    dbos._workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = 3600.0
    SystemDatabase._is_latest_version = lambda *_: True  # type: ignore[method-assign]


def _fork(order: dict[str, Any]) -> None:
    child = os.fork()
    if child:
        _say({"number": order["number"], "pid": child})
        return
    status = 1
    try:
        _become_worker(order)
        status = 0
    except BaseException:  # noqa: BLE001 - the forked copy must never go on as the server
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _tell_the_dead() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say({"died": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(words: dict[str, Any]) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    serve()
