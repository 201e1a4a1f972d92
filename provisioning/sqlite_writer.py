"""The one connection by which a process writes to SQLite, and the COMMITs that short transactions share.

SQLite has one writer at a time. So who wants to write queues up, each with its transaction as it came, and one task
lets one after the other in. Each has its turn, BEGIN to COMMIT, to itself, and no part in what becomes of another one.

What a short transaction costs is its COMMIT, which waits for the disk. Those that are known to be short and to wait for
nobody say so (*shared* turns). While only such ones wait, it isn't committed after each: they come into the same
transaction of SQLite's, each in a savepoint of its own, so that one which fails is undone by itself, and one COMMIT
serves them all (group commit). None of them is told anything before that COMMIT, of a success or of a failure: one that
was refused may have been so because of what another one of its group has written. If the COMMIT fails, it has failed
for all of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import aiosqlite

BUSY_TIMEOUT_MS = 30_000
GROUP_SIZE = 64
GROUP_SECONDS = 0.005
"""Nobody comes into a group whose first has waited for its COMMIT as long as this."""
GAP_SECONDS = 0.0005
"""For each that had a part in a COMMIT, but no more than `MOST_GAPS` times, until the BEGIN of who waits. Other
processes look whether the file is free again and again, with pauses that grow: without a gap those of a process that
always has somebody waiting would hardly find it so."""
MOST_GAPS = 4
PRAGMAS = (
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "wal_autocheckpoint=4000",  # 16 MiB: a page that is written again and again is carried into the file once
    "cache_size=-32768",  # 32 MiB
    "foreign_keys=ON",
    "recursive_triggers=ON",  # so that INSERT OR REPLACE meets the triggers that refuse a DELETE
)
BEGIN = "BEGIN IMMEDIATE"
SHARED_BEGIN = f"{BEGIN} -- shared"
"""Of a turn that may share its COMMIT; SQLite is told `BEGIN`."""
_SAVEPOINT, _RELEASE, _UNDO = (f"{verb} firstlight_turn" for verb in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))

T = TypeVar("T")


def _future() -> asyncio.Future[Any]:
    return asyncio.get_running_loop().create_future()


def _settle(future: asyncio.Future[Any], result: Any = None) -> None:
    """Whoever waited for it may have been called off."""
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # if nobody asks, nobody needs to be told
    else:
        future.set_result(result)


@dataclass(eq=False)
class Turn:
    """One transaction of somebody's: whether it shares its COMMIT, has begun, is to be kept, and what it was told of
    the outcome."""

    is_shared: bool
    begun: asyncio.Future[None] = field(default_factory=_future)
    ended: asyncio.Future[bool] = field(default_factory=_future)
    told: asyncio.Future[None] = field(default_factory=_future)

    def give_up(self) -> None:
        """Undoes it, and waits for nothing."""
        _settle(self.ended, False)


class SharedConnection:
    """SQLite's connection, with a thread of its own, and the queue of those who want to write by it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """As ``sqlite3.connect``."""
        self.driver = aiosqlite.connect(*arguments, **{**options, "isolation_level": None})
        cast("Any", self.driver)._thread.daemon = True  # one that nobody has closed keeps no process alive
        self.functions: set[str] = set()
        self.is_closed = False
        self._opening: asyncio.Task[None] | None = None
        self._users = 0
        self._lost_to: sqlite3.Error | None = None
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    async def join(self) -> None:
        """One more makes use of it; the first opens it.

        Raises: sqlite3.Error
        """
        self._users += 1
        is_open = False
        try:
            if self._opening is None:
                self._opening = asyncio.get_running_loop().create_task(self._open())
            await asyncio.shield(self._opening)
            is_open = True
        finally:
            if not is_open:
                await self.leave()

    async def leave(self) -> None:
        """The last closes it for good."""
        self._users -= 1
        if self._users:
            return
        self.is_closed = True
        if self._opening is not None:
            await asyncio.wait([self._opening])
        await self.driver.close()

    def drop(self) -> None:
        """As ``leave``, where nothing can be waited for."""
        self._users -= 1
        if not self._users:
            self.is_closed = True
            cast("Any", self.driver).stop()

    async def begin(self, *, shared: bool) -> Turn:
        """Waits until it is one's turn; nobody else writes by this connection before the turn has ended.
        ``shared``: it is short, waits for nobody, and may share its COMMIT with others.

        Raises: sqlite3.OperationalError, as SQLite does to those who wait for too long.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(self)
        turn, has_begun = queue.join(shared=shared), False
        try:
            async with asyncio.timeout(BUSY_TIMEOUT_MS / 1000):  # wait_for loses a cancellation now and then (gh-86296)
                await turn.begun
            has_begun = True
        except TimeoutError:
            raise sqlite3.OperationalError("database is locked") from None
        finally:
            if not has_begun:
                turn.give_up()
        return turn

    @staticmethod
    async def end(turn: Turn, *, keep: bool) -> None:
        """What was done in the turn is kept or undone, for good when this returns.

        Raises: sqlite3.Error: nothing is kept of what was done in it, nor in the others that share its COMMIT.
        """
        _settle(turn.ended, keep)
        await turn.told

    async def ask(self, what: Callable[[sqlite3.Connection], T], *, goes_on: bool = False) -> T:
        """Done in the connection's own thread. ``goes_on``: in the transaction that has begun, and in no other.

        Raises: sqlite3.Error: if SQLite has taken the transaction back, as it does when the disk is full or can't be
            written, that is what made it do so.
        """
        own = cast("Any", self.driver)
        try:
            return cast("T", await own._execute(lambda: self._go_on(own._conn, what) if goes_on else what(own._conn)))
        except ValueError as error:  # so aiosqlite says that it is closed
            raise sqlite3.OperationalError(str(error)) from error

    async def say(self, statements: list[str]) -> None:
        """What begins and ends turns, in one go. Raises: as ``ask``."""
        await self.ask(lambda plain: self._say(plain, statements))

    async def undo(self) -> None:
        """All of the transaction, if there is one. Raises: sqlite3.Error."""
        await self.ask(_undo)

    def undo_unseen(self) -> None:
        """The same, where nothing can be waited for; before anything that is asked afterwards."""
        own = cast("Any", self.driver)
        own._tx.put_nowait((None, lambda: _undo(own._conn)))

    async def _open(self) -> None:
        await self.driver
        await self.ask(lambda plain: [plain.execute(f"PRAGMA {each}").fetchall() for each in PRAGMAS])

    def _say(self, plain: sqlite3.Connection, statements: list[str]) -> None:
        for statement in statements:
            if statement == BEGIN:
                self._lost_to = None
                plain.execute(statement)
            else:
                self._go_on(plain, partial(_execute, statement))

    def _go_on(self, plain: sqlite3.Connection, what: Callable[[sqlite3.Connection], T]) -> T:
        """Without its transaction a statement would be kept by itself, and a savepoint would begin another one."""
        if _is_gone(plain):
            raise self._lost_to or sqlite3.OperationalError("the transaction was rolled back")
        try:
            return what(plain)
        except sqlite3.Error as error:
            if _is_gone(plain):
                self._lost_to = error
            raise


class _Queue:
    """Those of one event loop who want to write, and the task that lets them in while there are any."""

    def __init__(self, shared: SharedConnection) -> None:
        self._shared = shared
        self._waiting: deque[Turn] = deque()
        self._task: asyncio.Task[None] | None = None

    def join(self, *, shared: bool) -> Turn:
        turn = Turn(shared)
        self._waiting.append(turn)
        if self._task is None:
            self._start()
        return turn

    def _start(self, _before: asyncio.Task[None] | None = None) -> None:
        """Anew for those who still wait when the one before has ended: an event loop that ends calls all tasks off,
        this one as well, and what they do thereupon may have to be written."""
        self._task = None
        if self._waiting:
            self._task = asyncio.get_running_loop().create_task(self._serve())
            self._task.add_done_callback(self._start)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                served = await _Group(self._shared, self._waiting).serve()
                if self._waiting:
                    await asyncio.sleep(GAP_SECONDS * min(served, MOST_GAPS))
        except sqlite3.Error as error:  # the connection is gone
            for turn in self._waiting:
                _settle(turn.begun, error)
            self._waiting.clear()


class _Group:
    """One transaction that has its turn to itself, or several that come one after the other and share a COMMIT.

    The first needs no savepoint: what there is to undo is all there is. What is to be said to SQLite between two turns
    is said in one go with what begins the next one.
    """

    def __init__(self, shared: SharedConnection, waiting: deque[Turn]) -> None:
        self._shared = shared
        self._waiting = waiting
        self._ended: list[Turn] = []
        self._unsaid: list[str] = []
        self._closes_at = float("inf")

    async def serve(self) -> int:
        """Until nobody else comes in; how many had a part in the COMMIT. Raises: sqlite3.Error: there is no undoing."""
        try:
            while self._waiting and self._is_open():
                turn = self._waiting.popleft()
                if not turn.ended.done():  # else it was given up
                    await self._take(turn)
            if self._ended:
                await self._shared.say([*self._unsaid, "COMMIT"])
                self._tell(None)
        except sqlite3.Error as error:
            self._tell(error)
            await self._shared.undo()  # its thread is asked before anybody hears
        except asyncio.CancelledError:  # the event loop ends, and with it all who wait
            self._shared.undo_unseen()
            self._tell(sqlite3.OperationalError("interrupted"))
            raise
        return len(self._ended)

    def _is_open(self) -> bool:
        """Whether the next one comes in. Who wants a turn of its own waits for no more than the one that goes on."""
        if not self._ended:
            return True
        return (
            self._ended[0].is_shared
            and all(turn.is_shared for turn in self._waiting)
            and len(self._ended) < GROUP_SIZE
            and asyncio.get_running_loop().time() < self._closes_at
        )

    async def _take(self, turn: Turn) -> None:
        """Lets somebody in, and waits for the end of it.

        Raises: sqlite3.Error: all that the group has done is lost.
        """
        if self._ended:
            self._ended.append(turn)
            await self._shared.say([*self._unsaid, _SAVEPOINT])
            _settle(turn.begun)
            self._unsaid = [_RELEASE] if await turn.ended else [_UNDO, _RELEASE]
            return
        try:
            await self._shared.say([BEGIN])
        except sqlite3.Error as error:  # it alone has waited for another process, for too long
            _settle(turn.begun, error)
            return
        self._ended.append(turn)
        _settle(turn.begun)
        if await turn.ended:
            self._closes_at = asyncio.get_running_loop().time() + GROUP_SECONDS
            return
        await self._shared.undo()
        self._tell(None)
        self._ended.clear()

    def _tell(self, outcome: sqlite3.Error | None) -> None:
        for turn in self._ended:
            _settle(turn.begun, outcome)
            _settle(turn.told, outcome)


def _execute(statement: str, plain: sqlite3.Connection) -> None:
    plain.execute(statement)


def _is_gone(plain: sqlite3.Connection) -> bool:
    """There is no transaction."""
    return not plain.in_transaction


def _undo(plain: sqlite3.Connection) -> None:
    if not _is_gone(plain):
        plain.execute("ROLLBACK")
