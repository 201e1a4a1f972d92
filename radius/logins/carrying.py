"""Carries logins from the files in which FreeRADIUS writes them into ``radius_login``: each once, whoever is killed.

FreeRADIUS appends to ``logins`` in a folder of its own. That file is taken by renaming it, is held locked while it is
read (FreeRADIUS then begins another one), and is taken away when all of it is in the table. How much of it is there is
kept in the same transaction as the rows, so who goes on after a kill neither repeats a line nor leaves one out.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

import structlog
from sqlalchemy import CursorResult, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.copying import copy_text
from radius.errors import LoginFolderUnusable, RadiusError
from radius.lists import is_postgresql
from radius.logins.lines import LoginLine, read_lines
from radius.logins.tables import radius_login, radius_login_file, radius_login_folder
from radius.ports import Begin, Now
from radius.projection.radius_database import radius_transaction

AT_ONCE = 2000
"""So many lines go into one transaction: on SQLite, nobody else writes meanwhile."""
LONGEST_LINE = 8192
"""FreeRADIUS writes no longer ones; a file of something else is not read as a whole."""
SAYS_SO_EVERY = timedelta(seconds=10)
"""How often it is kept that nothing was there to be carried."""
LONGEST_PAUSE_SECONDS = 60.0
"""What fails is tried again after twice as long each time, up to here."""
WRITTEN = "logins"
TAKEN = "logins.taken-"
UNREADABLE = "logins.unreadable"
TURN = ".carrier"

log = structlog.get_logger(__name__)


def nothing_happens(_moment: str) -> None:
    """Where a test could end the process."""


class LoginCarrier:
    """Carries what one folder has; several of them, in whatever processes of this machine, take turns."""

    def __init__(
        self,
        folder: Path,
        radius_begin: Begin,
        *,
        now: Now,
        at: Callable[[str], None] = nothing_happens,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._place = f"{socket.gethostname()}:{folder}"
        self._begin = radius_begin
        self._now = now
        self._at = at
        self._monotonic = monotonic
        self._said_at: datetime | None = None
        self._pause_seconds = 0.0
        self._rests_until = -1.0

    async def carry(self) -> int | None:
        """All that has been written until now: how many logins came into the table. None where another process carries
        the same folder just now, and nothing right after a failure.

        Raises:
            LoginFolderUnusable: the folder or a file in it can't be read and written.
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: nothing is lost, and a later time goes on.
        """
        if self._monotonic() < self._rests_until:
            return 0
        try:
            carried = await self._carry()
        except (OSError, RadiusError) as error:
            self._pause_seconds = min(max(1.0, 2 * self._pause_seconds), LONGEST_PAUSE_SECONDS)
            self._rests_until = self._monotonic() + self._pause_seconds
            if isinstance(error, OSError):
                raise LoginFolderUnusable(self._folder, error) from error
            raise
        self._pause_seconds = 0.0
        return carried

    async def _carry(self) -> int | None:
        if not await asyncio.to_thread(self._folder.exists):
            return 0  # FreeRADIUS has written nothing yet
        held = await asyncio.to_thread(self._turn)
        if held is None:
            return None
        try:
            return await self._carry_all()
        finally:
            os.close(held)

    def _turn(self) -> int | None:
        """What is held as long as it is ours; None: it is another's."""
        held = os.open(self._folder / TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            return None
        return held

    async def _carry_all(self) -> int:
        began, carried = self._now(), 0
        taken = await asyncio.to_thread(self._take)
        self._at("taken")
        for path in taken:
            lines = await self._carry_file(path)
            if lines is None:
                return carried
            carried += lines
        if taken:
            await asyncio.to_thread(_sync, self._folder)
        elif self._said_at is not None and began < self._said_at + SAYS_SO_EVERY:
            return 0
        async with radius_transaction(self._begin) as db:
            # none of these is there any more, whoever carried it
            await db.execute(delete(radius_login_file).where(radius_login_file.c.place == self._place))
            await _alive(db, self._place, began, carried_at=began, is_used=bool(taken))
        self._said_at = began
        return carried

    def _take(self) -> list[Path]:
        """What is to be carried, the oldest first. Those of before are from a process that was killed, and FreeRADIUS
        may have one of them open until it is locked or gone."""
        written = self._folder / WRITTEN
        if written.exists() and written.stat().st_size:
            written.rename(self._folder / f"{TAKEN}{time.time_ns():020d}-{uuid4().hex[:8]}")
        return sorted(self._folder.glob(f"{TAKEN}*"))

    async def _carry_file(self, path: Path) -> int | None:
        """None: somebody is writing in it just now."""
        carried = 0
        with path.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            file.seek(await self._carried_octets(path.name))
            while lines := await asyncio.to_thread(_some, file):
                carried += await self._carry_lines(path.name, lines, file.tell())
                self._at("carried some")
            self._at("carried a file")
            path.unlink()  # noqa: ASYNC240 - while it is locked, which a cancelled thread would not see to
        return carried

    async def _carried_octets(self, name: str) -> int:
        kept = select(radius_login_file.c.carried_octets).where(radius_login_file.c.file == name)
        async with radius_transaction(self._begin) as db:
            return await db.scalar(kept) or 0

    async def _carry_lines(self, name: str, lines: list[bytes], octets: int) -> int:
        logins, unreadable = await asyncio.to_thread(read_lines, lines)
        async with radius_transaction(self._begin) as db:
            await _write(db, logins)
            await _keep(db, self._place, name, octets)
            await _alive(db, self._place, self._now())
        if unreadable:
            await asyncio.to_thread(self._put_aside, unreadable)
        return len(logins)

    def _put_aside(self, lines: list[bytes]) -> None:
        """The last of them, for whoever looks: what can't be kept, on a disk that is full, holds up nothing."""
        path = self._folder / UNREADABLE
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as aside:
                aside.writelines(line.rstrip(b"\n") + b"\n" for line in lines)
        except OSError as error:
            log.warning("lines of logins were not understood", lines=len(lines), not_kept=str(error))
        else:
            log.warning("lines of logins were not understood", lines=len(lines), last_in=str(path))


def _some(file: BinaryIO) -> list[bytes]:
    return list(islice(iter(lambda: file.readline(LONGEST_LINE), b""), AT_ONCE))


def _sync(folder: Path) -> None:
    """What was taken away stays away, also when the machine loses its power."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


async def _write(db: AsyncSession, logins: list[LoginLine]) -> None:
    if not logins:
        return
    if is_postgresql(db):
        statement = f"COPY {radius_login.name} ({', '.join(LoginLine._fields)}) FROM STDIN"
        await copy_text(db, statement, await asyncio.to_thread(_as_copied, logins))
    else:
        await db.execute(insert(radius_login), [login._asdict() for login in logins])


def _as_copied(logins: list[LoginLine]) -> str:
    return "".join("\t".join(map(_copied, login)) + "\n" for login in logins)


def _copied(value: Any) -> str:
    """PostgreSQL, COPY, "Text Format". No field has a tab or an end of a line."""
    if value is None:
        return r"\N"
    if isinstance(value, datetime):
        return str(int(value.timestamp()))
    return str(value).replace("\\", r"\\")


async def _keep(db: AsyncSession, place: str, file: str, octets: int) -> None:
    mine = update(radius_login_file).where(radius_login_file.c.file == file).values(carried_octets=octets)
    if not cast("CursorResult[Any]", await db.execute(mine)).rowcount:
        await db.execute(insert(radius_login_file).values(file=file, place=place, carried_octets=octets))


async def _alive(
    db: AsyncSession, place: str, at: datetime, *, carried_at: datetime | None = None, is_used: bool = True
) -> None:
    """Somebody carries there. ``carried_at``: all is carried that was there by then. Unless it ``is_used``, a folder
    that nobody knows of stays unknown."""
    state = {"alive_at": at, **({} if carried_at is None else {"carried_at": carried_at})}
    mine = update(radius_login_folder).where(radius_login_folder.c.place == place).values(state)
    if not cast("CursorResult[Any]", await db.execute(mine)).rowcount and is_used:
        await db.execute(insert(radius_login_folder).values({"place": place, "carried_at": at, **state}))
