"""SQLite for SQLAlchemy, without the turns that two threads take for each statement.

aiosqlite asks its thread four times for one statement: for a cursor, to execute, for the rows, to close. Each time
both threads wait for the lock of the interpreter, which costs far more than SQLite does. So what writes, and may have
to wait for who writes, asks once and is told everything (``writing_driver``; those of one process share a connection,
``provisioning.sqlite_writer``). What reads waits for nobody in WAL mode
and is mostly done in a fraction of a millisecond: it is done on the spot, and only what turns out to take longer is
done anew in a thread, so that nobody waits for it (``reading_driver``). The rows are the same: SQLAlchemy fetches all
of them in any case.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util.concurrency import await_

from provisioning.sqlite_writer import BEGIN, BUSY_TIMEOUT_MS, SHARED_BEGIN, SharedConnection, Turn

ON_THE_SPOT_SECONDS = 0.005
"""How long a statement that reads may hold up everything else in its process."""
STEPS_BETWEEN_LOOKS = 2_000
"""Of SQLite's virtual machine, after which it is looked at the time: well under a millisecond."""
NOT_ON_THE_SPOT = (sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_BUSY)

Act = Callable[[sqlite3.Cursor], list[Any]]


@dataclass
class _Outcome:
    """What a closed cursor has left."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    arraysize: int = 1

    def close(self) -> None:
        """It is closed already."""


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """One whose every statement is one ``act``."""

    __slots__ = ()
    _awaitable_cursor_close: ClassVar[bool] = False  # type: ignore[misc]

    def _make_new_cursor(self, connection: Any) -> Any:
        return _Outcome()

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        def act(cursor: sqlite3.Cursor) -> list[Any]:
            cursor.execute(operation, () if parameters is None else parameters)
            return cursor.fetchall() if cursor.description else []

        self._act(act)

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        def act(cursor: sqlite3.Cursor) -> list[Any]:
            cursor.executemany(operation, seq_of_parameters)
            return []

        self._act(act)

    def _act(self, act: Act) -> None:
        try:
            self._cursor, rows = cast("Any", self._adapt_connection).act(act)
        except (sqlite3.Error, ValueError) as error:
            self._adapt_connection._handle_exception(error)
        self._rows = deque(rows)


class _WritingCursor(_Cursor):
    """One whose BEGIN waits for its turn."""

    __slots__ = ()

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        if operation in (BEGIN, SHARED_BEGIN):
            cast("_Writing", self._adapt_connection).begin(shared=operation == SHARED_BEGIN)
        else:
            super().execute(operation, parameters)


class _Writing(AsyncAdapt_aiosqlite_connection):
    """What SQLAlchemy takes for a connection of its own. It is the one of the whole process, for a turn at a time."""

    __slots__ = ("_has_left", "_shared", "_turn")
    _cursor_cls = _WritingCursor

    def __init__(self, dbapi: Any, shared: SharedConnection) -> None:
        super().__init__(dbapi, cast("Any", shared.driver))
        self._shared = shared
        self._turn: Turn | None = None
        self._has_left = False

    def act(self, act: Act) -> tuple[_Outcome, list[Any]]:
        return await_(self._asked(act))

    async def _asked(self, act: Act) -> tuple[_Outcome, list[Any]]:
        in_turn = self._turn is not None
        async with self._execute_mutex:
            return await self._shared.ask(lambda plain: _whole(plain, act), goes_on=in_turn)

    def begin(self, *, shared: bool) -> None:
        try:
            self._turn = await_(self._shared.begin(shared=shared))
        except sqlite3.Error as error:
            self._handle_exception(error)

    def commit(self) -> None:
        self._end(keep=True)

    def rollback(self) -> None:
        self._end(keep=False)

    def _end(self, *, keep: bool) -> None:
        turn, self._turn = self._turn, None
        if turn is None:
            return
        try:
            await_(self._shared.end(turn, keep=keep))
        except sqlite3.Error as error:
            if keep or not _is_called_off():  # else that is what is to be heard of
                self._handle_exception(error)

    def close(self) -> None:
        if self._goes():
            await_(self._shared.leave())

    async def _terminate_graceful_close(self) -> None:
        if self._goes():
            await self._shared.leave()

    def _terminate_force_close(self) -> None:
        if self._goes():
            self._shared.drop()

    def _goes(self) -> bool:
        """Once only: SQLAlchemy closes by force as well what it was called off from closing, while that goes on."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give_up()
        had_left, self._has_left = self._has_left, True
        return not had_left

    def create_function(self, *args: Any, **kw: Any) -> None:
        if args[0] not in self._shared.functions:
            super().create_function(*args, **kw)
            self._shared.functions.add(args[0])


class _Reading(AsyncAdapt_aiosqlite_connection):
    """A connection of SQLite's own, used where it stands. Its transaction begins with the first statement."""

    __slots__ = ("_until",)
    _cursor_cls = _Cursor

    def __init__(self, dbapi: Any, connection: sqlite3.Connection) -> None:
        super().__init__(dbapi, cast("Any", connection))
        self._until = 0.0
        connection.set_progress_handler(lambda: time.monotonic() > self._until, STEPS_BETWEEN_LOOKS)

    @property
    def _own(self) -> sqlite3.Connection:
        return cast("sqlite3.Connection", self._connection)

    def act(self, act: Act) -> tuple[_Outcome, list[Any]]:
        # SQLAlchemy wants to see that a driver awaits something; and who reads again and again lets others have a turn.
        await_(_nothing() if self._own.in_transaction else asyncio.sleep(0))
        self._until = time.monotonic() + ON_THE_SPOT_SECONDS
        try:
            return _whole(self._own, act, begins=True)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in NOT_ON_THE_SPOT:
                raise
        return await_(self._elsewhere(act))

    async def _elsewhere(self, act: Act) -> tuple[_Outcome, list[Any]]:
        """In a thread, for as long as it takes; who doesn't want it any more ends it."""
        self._until = float("inf")
        working = asyncio.get_running_loop().run_in_executor(None, self._patiently, act)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self._own.interrupt()
            await asyncio.gather(working, return_exceptions=True)
            raise

    def _patiently(self, act: Act) -> tuple[_Outcome, list[Any]]:
        self._own.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        try:
            return _whole(self._own, act, begins=True)
        finally:
            self._own.execute("PRAGMA busy_timeout=0")

    def rollback(self) -> None:
        self._own.rollback()

    def commit(self) -> None:
        self._own.commit()

    def close(self) -> None:
        self._own.close()

    def terminate(self) -> None:
        self._own.close()

    def create_function(self, *args: Any, **kw: Any) -> None:
        self._own.create_function(*args, **kw)


async def _nothing() -> None:
    """Waits for nothing."""


def _is_called_off() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _whole(connection: sqlite3.Connection, act: Act, *, begins: bool = False) -> tuple[_Outcome, list[Any]]:
    if begins and not connection.in_transaction:
        connection.execute("BEGIN")
    cursor = connection.cursor()
    try:
        rows = act(cursor)
        return _Outcome(cursor.description, cursor.rowcount, cursor.lastrowid), rows
    finally:
        cursor.close()


class _WritingDriver(AsyncAdapt_aiosqlite_dbapi):
    """All of its connections are one, until it is told to begin anew."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)
        self._shared: SharedConnection | None = None

    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        if self._shared is None or self._shared.is_closed:
            self._shared = SharedConnection(*arg, **kw)
        shared = self._shared
        await_(shared.join())
        return _Writing(self, shared)

    def renew(self) -> None:
        """Who connects from here on gets a new one; the one before is closed with the last that uses it."""
        self._shared = None


class _ReadingDriver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> AsyncAdapt_aiosqlite_connection:
        own = {"timeout": 0, "isolation_level": None, "check_same_thread": False}
        connection: sqlite3.Connection = self.sqlite.connect(*arg, **{**kw, **own})
        connection.execute("PRAGMA query_only=ON")
        return _Reading(self, connection)


def writing_driver() -> Any:
    """What SQLAlchemy takes for the driver's module; for one engine, which tells it when it was disposed of."""
    return _WritingDriver()


def reading_driver() -> Any:
    """The same for connections that read: each transaction sees one moment, and writes nothing."""
    return _ReadingDriver(aiosqlite, sqlite3)
