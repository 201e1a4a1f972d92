"""The one connection by which a process writes to SQLite, and the COMMITs that those who write share.

SQLite has one writer at a time, and what a short transaction costs is its COMMIT, which waits for the disk. So who
wants to write queues up, each with its transaction as it came, and one task lets one after the other in. While others
wait, it doesn't commit after each: they come into the same transaction of SQLite's, each in a savepoint of its own, so
that one which fails is undone by itself, and one COMMIT serves them all (group commit).

Nobody is told anything before that COMMIT, of a success or of a failure: a transaction that was refused may have been
so because of what another one of its group has written. If the COMMIT fails, it has failed for all of them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import aiosqlite

BUSY_TIMEOUT_MS = 30_000
GROUP_SIZE = 64
GROUP_SECONDS = 0.005
"""Nobody comes into a group whose first has waited for its COMMIT as long as this."""
PRAGMAS = (
    f"busy_timeout={BUSY_TIMEOUT_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",  # so that INSERT OR REPLACE meets the triggers that refuse a DELETE
)
_BEGIN = "BEGIN IMMEDIATE"
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
    """One transaction of somebody's: whether it has begun, is to be kept, and what it was told of the outcome."""

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

    async def begin(self) -> Turn:
        """Waits until it is one's turn; nobody else writes by this connection before the turn has ended.

        Raises: sqlite3.OperationalError, as SQLite does to those who wait for too long.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(self.driver)
        turn, has_begun = queue.join(), False
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

        Raises: sqlite3.Error: nothing is kept of all that its group has done.
        """
        _settle(turn.ended, keep)
        await turn.told

    async def _open(self) -> None:
        await self.driver
        await _asked(self.driver, lambda plain: [plain.execute(f"PRAGMA {each}").fetchall() for each in PRAGMAS])


class _Queue:
    """Those of one event loop who want to write, and the task that lets them in while there are any."""

    def __init__(self, driver: aiosqlite.Connection) -> None:
        self._driver = driver
        self._waiting: deque[Turn] = deque()
        self._task: asyncio.Task[None] | None = None

    def join(self) -> Turn:
        turn = Turn()
        self._waiting.append(turn)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._serve())
        return turn

    async def _serve(self) -> None:
        try:
            while self._waiting:
                await _Group(self._driver, self._waiting).serve()
        except sqlite3.Error as error:  # the connection is gone
            for turn in self._waiting:
                _settle(turn.begun, error)
            self._waiting.clear()


class _Group:
    """Transactions that come one after the other and share a COMMIT.

    The first needs no savepoint: what there is to undo is all there is. What is to be said to SQLite between two turns
    is said in one go with what begins the next one.
    """

    def __init__(self, driver: aiosqlite.Connection, waiting: deque[Turn]) -> None:
        self._driver = driver
        self._waiting = waiting
        self._ended: list[Turn] = []
        self._unsaid: list[str] = []
        self._closes_at = float("inf")

    async def serve(self) -> None:
        """Until nobody waits, or it has taken in enough of them."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and len(self._ended) < GROUP_SIZE and loop.time() < self._closes_at:
                turn = self._waiting.popleft()
                if not turn.ended.done():  # else it was given up
                    await self._take(turn)
            if self._ended:
                await self._say("COMMIT")
                self._tell(None)
        except sqlite3.Error as error:
            self._tell(error)
            await _asked(self._driver, _undo_all)  # its thread is asked before anybody hears
        except asyncio.CancelledError:  # the event loop ends, and with it all who wait
            cast("Any", self._driver)._tx.put_nowait((None, lambda: _undo_all(cast("Any", self._driver)._conn)))
            self._tell(sqlite3.OperationalError("interrupted"))
            raise

    async def _take(self, turn: Turn) -> None:
        """Lets somebody in, and waits for the end of it.

        Raises: sqlite3.Error: all that the group has done is lost.
        """
        if self._ended:
            self._ended.append(turn)
            await self._say(_SAVEPOINT)
            _settle(turn.begun)
            self._unsaid = [_RELEASE] if await turn.ended else [_UNDO, _RELEASE]
            return
        try:
            await self._say(_BEGIN)
        except sqlite3.Error as error:  # it alone has waited for another process, for too long
            _settle(turn.begun, error)
            return
        self._ended.append(turn)
        _settle(turn.begun)
        if await turn.ended:
            self._closes_at = asyncio.get_running_loop().time() + GROUP_SECONDS
            return
        await _asked(self._driver, _undo_all)
        self._tell(None)
        self._ended.clear()

    async def _say(self, what: str) -> None:
        said, self._unsaid = [*self._unsaid, what], []
        await _asked(self._driver, lambda plain: _say(plain, said))

    def _tell(self, outcome: sqlite3.Error | None) -> None:
        for turn in self._ended:
            _settle(turn.begun, outcome)
            _settle(turn.told, outcome)


def _say(plain: sqlite3.Connection, statements: list[str]) -> None:
    """
    Raises: sqlite3.OperationalError: the transaction is gone. SQLite takes one back by itself when the disk is full or
        can't be written, and a savepoint would begin another one.
    """
    for statement in statements:
        if statement != _BEGIN and not plain.in_transaction:
            raise sqlite3.OperationalError("the transaction was rolled back")
        plain.execute(statement)


def _undo_all(plain: sqlite3.Connection) -> None:
    if plain.in_transaction:
        plain.execute("ROLLBACK")


async def _asked(driver: aiosqlite.Connection, what: Callable[[sqlite3.Connection], T]) -> T:
    """Done in the connection's own thread.

    Raises: sqlite3.Error
    """
    own = cast("Any", driver)
    try:
        return cast("T", await own._execute(lambda: what(own._conn)))
    except ValueError as error:  # so aiosqlite says that it is closed
        raise sqlite3.OperationalError(str(error)) from error
