"""Carries logins from the files in which FreeRADIUS writes them into ``radius_login``: each exactly once.

FreeRADIUS appends to ``logins`` in a folder of its own. That file is taken by renaming it, is held locked while it is
read (FreeRADIUS then begins another one), and is taken away when all of it is in the table. How much of it is there is
kept in the same transaction as the rows, so whoever goes on after a kill neither repeats a line nor leaves one out.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast
from uuid import uuid4

import structlog
from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.copying import copy_text
from radius.errors import LoginFolderUnusable
from radius.lists import is_postgresql
from radius.logins.lines import LoginLine, read_lines
from radius.logins.tables import radius_login, radius_login_source
from radius.ports import Begin, Now
from radius.projection.radius_database import radius_transaction

AT_ONCE = 2000
"""So many lines go into one transaction: on SQLite, nobody else writes meanwhile."""
SAYS_SO_EVERY = timedelta(seconds=10)
"""How often it is kept that nothing was there to be carried."""
WRITTEN = "logins"
TAKEN = "logins.taken-"
UNREADABLE = "logins.unreadable"
IDENTITY = ".source"
NEVER = datetime.fromtimestamp(0, UTC)

log = structlog.get_logger(__name__)


def nothing_happens(_moment: str) -> None:
    """Where a test could end the process."""


class LoginCarrier:
    """Carries what one folder has; several of them, in whatever processes of this machine, take turns."""

    def __init__(
        self, folder: Path, radius_begin: Begin, *, now: Now, at: Callable[[str], None] = nothing_happens
    ) -> None:
        self._folder = folder
        self._begin = radius_begin
        self._now = now
        self._at = at
        self._said_at: datetime | None = None

    async def carry(self) -> int:
        """All that has been written until now: how many logins came into the table. Nothing where another process
        carries the same folder just now.

        Raises:
            LoginFolderUnusable: the folder or a file in it can't be read and written.
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: nothing is lost, and the next time goes on.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with self._turn() as source:
                return 0 if source is None else await self._carry_all(source)
        except OSError as error:
            raise LoginFolderUnusable(self._folder, error) from error

    @contextmanager
    def _turn(self) -> Iterator[str | None]:
        """The folder's identity, or None: it is another's turn."""
        path = self._folder / IDENTITY
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            source = held.read().strip()
            if not source:
                source = uuid4().hex
                held.write(f"{source}\n")
                held.flush()
                os.fsync(held.fileno())
            yield source

    async def _carry_all(self, source: str) -> int:
        began, carried = self._now(), 0
        taken = await asyncio.to_thread(self._take)
        self._at("taken")
        for path in taken:
            carried += await self._carry_file(source, path)
        if not carried and self._said_at is not None and began < self._said_at + SAYS_SO_EVERY:
            return 0
        async with radius_transaction(self._begin) as db:
            await _keep(db, source, self._place, file=None, octets=0, at=began)
        self._said_at = began
        return carried

    def _take(self) -> list[Path]:
        """What is to be carried, the oldest first. Those of before are from a process that was killed, and then
        FreeRADIUS may be writing to the last of them still: nothing that is newer goes before."""
        written = self._folder / WRITTEN
        if written.exists() and written.stat().st_size:
            written.rename(self._folder / f"{TAKEN}{time.time_ns():020d}")
        return sorted(self._folder.glob(f"{TAKEN}*"))

    async def _carry_file(self, source: str, path: Path) -> int:
        carried = 0
        with path.open("r+b") as file:
            await asyncio.to_thread(fcntl.lockf, file, fcntl.LOCK_EX)  # until who writes in it is done
            file.seek(await self._carried_octets(source, path.name))
            while lines := await asyncio.to_thread(_some, file):
                carried += await self._carry_lines(source, path.name, lines, file.tell())
                self._at("carried some")
            self._at("carried a file")
            await asyncio.to_thread(path.unlink)
        return carried

    async def _carried_octets(self, source: str, name: str) -> int:
        kept = select(radius_login_source.c.carried_octets)
        mine = (radius_login_source.c.source == source, radius_login_source.c.file == name)
        async with radius_transaction(self._begin) as db:
            return await db.scalar(kept.where(*mine)) or 0

    async def _carry_lines(self, source: str, name: str, lines: list[bytes], octets: int) -> int:
        logins, unreadable = await asyncio.to_thread(read_lines, lines)
        if unreadable:
            await asyncio.to_thread(self._put_aside, unreadable)
            log.warning("lines of logins were not understood", lines=len(unreadable), kept_in=str(self._unreadable))
        async with radius_transaction(self._begin) as db:
            await _write(db, logins)
            await _keep(db, source, self._place, file=name, octets=octets, at=None)
        return len(logins)

    def _put_aside(self, lines: list[bytes]) -> None:
        opened = os.open(self._unreadable, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(opened, "wb") as aside:
            aside.writelines(line.rstrip(b"\n") + b"\n" for line in lines)

    @property
    def _unreadable(self) -> Path:
        return self._folder / UNREADABLE

    @property
    def _place(self) -> str:
        return f"{socket.gethostname()}:{self._folder}"


def _some(file: BinaryIO) -> list[bytes]:
    return list(islice(iter(file.readline, b""), AT_ONCE))


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
    """PostgreSQL, COPY, "Text Format": what FreeRADIUS escapes has nothing in it that is COPY's own, but the file may
    be another's."""
    if value is None:
        return r"\N"
    if isinstance(value, datetime):
        return str(int(value.timestamp()))
    return str(value).replace("\\", r"\\").replace("\r", r"\r")


async def _keep(
    db: AsyncSession, source: str, place: str, *, file: str | None, octets: int, at: datetime | None
) -> None:
    """``at``: all was carried that was there by then."""
    state = {"place": place, "file": file, "carried_octets": octets, **({} if at is None else {"carried_at": at})}
    mine = radius_login_source.c.source == source
    known = cast("CursorResult[Any]", await db.execute(update(radius_login_source).where(mine).values(state)))
    if not known.rowcount:
        first = {"source": source, "carried_at": NEVER, **state}
        await db.execute(insert(radius_login_source).values(first))
