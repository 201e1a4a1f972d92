"""Files that commands write: what they were to say, or as they were before."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[TextIO]:
    """What is written takes the place of what the file at ``path`` says, at the end; if anything is raised before, that
    stays as it was.

    It is opened at once, so that nothing is done for a file that can't be written to. It stays the same file: a link
    to it, one that is mounted, or one of somebody else who lets us write to it too. ``mode``: the permissions that it
    is to have before it says anything. What is no file (a pipe, a terminal) is written to at once.

    Raises:
        OSError: names ``path``; it can't be written, or can't be given ``mode``.
    """
    is_new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666 if mode is None else mode)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as target:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            yield target
            return
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as draft:
            is_whole = False
            try:
                yield draft
                is_whole = True
            finally:
                if is_new and not is_whole:
                    path.unlink(missing_ok=True)
            if mode is not None:
                _give(path, handle, mode)
            draft.seek(0)
            target.truncate(0)
            shutil.copyfileobj(draft, target)


def _give(path: Path, handle: int, mode: int) -> None:
    """Who typed the command knows the name of the file, and not its handle."""
    try:
        os.fchmod(handle, mode)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
