"""Files that commands write: what they were to say, or as they were before."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[TextIO]:
    """What is written takes the place of what the file at ``path`` says, at the end; if anything is raised before, that
    stays as it was. A new one is gone again if not all of it could be written.

    It is opened at once, so that nothing is done for a file that can't be written to. It stays the same file: a link
    to it, one that is mounted, or one of somebody else who lets us write to it too. ``mode``: the permissions that it
    is to have before it says anything. What is no file (a pipe, a terminal) is written to at once.

    Raises:
        OSError: names ``path``; it can't be written, or can't be given ``mode``. Or the folder of temporary files,
            where what it is to say is kept until then.
    """
    is_new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666 if mode is None else mode)
    with _text(io.BufferedWriter(_Named(handle, "w", str(path)))) as target:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            yield target
            return
        is_whole = False
        try:
            with _draft() as draft:
                yield draft
                if mode is not None:
                    with _naming(str(path)):
                        os.fchmod(handle, mode)
                draft.seek(0)
                target.truncate(0)
                shutil.copyfileobj(draft, target)
                target.flush()
            is_whole = True
        finally:
            if is_new and not is_whole:
                path.unlink(missing_ok=True)


class _Named(io.FileIO):
    """Who typed the command knows the name of the file, and not its handle."""

    def __init__(self, handle: int, mode: str, known_as: str) -> None:
        super().__init__(handle, mode)
        self._known_as = known_as

    def write(self, data: ReadableBuffer, /) -> int:
        with _naming(self._known_as):
            return super().write(data)

    def truncate(self, size: int | None = None, /) -> int:
        with _naming(self._known_as):
            return super().truncate(size)


@contextmanager
def _draft() -> Iterator[TextIO]:
    """A file without a name, where such files are; what can't be written names that folder."""
    with tempfile.TemporaryFile(buffering=0) as nameless:
        raw = _Named(os.dup(nameless.fileno()), "r+", tempfile.gettempdir())
        with _text(io.BufferedRandom(raw)) as draft:
            yield draft


def _text(buffer: io.BufferedWriter | io.BufferedRandom) -> TextIO:
    return io.TextIOWrapper(buffer, encoding="utf-8", newline="")


@contextmanager
def _naming(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
