"""Files that commands write: whole, or as they were before."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[TextIO]:
    """What is written takes the place of ``path`` at the end; if anything is raised before, that stays as it was.

    The file keeps its permissions and its owner, unless it is to have ``mode``. What is no file (a pipe, a terminal) is
    written to at once.

    Raises:
        OSError: names ``path``; it can't be written.
    """
    before = _stat(path)
    if before is not None and not stat.S_ISREG(before.st_mode):
        with path.open("w", encoding="utf-8", newline="") as target:
            yield target
        return
    if before is not None:
        path.open("a").close()  # refused to whoever may not write to it, though the folder lets it be replaced
    whole = path.resolve()
    draft = whole.with_name(f".firstlight-{secrets.token_hex(8)}")
    with _blamed_on(path):
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as target:
            yield target
        with _blamed_on(path):
            _put(draft, whole, before, mode)
    finally:
        draft.unlink(missing_ok=True)


def _stat(path: Path) -> os.stat_result | None:
    """None: it isn't there."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _put(draft: Path, whole: Path, before: os.stat_result | None, mode: int | None) -> None:
    if before is not None:
        try:
            os.chown(draft, before.st_uid, before.st_gid)
        except PermissionError:  # somebody else's, who lets us write to it: it stays theirs
            shutil.copyfile(draft, whole)
            return
    kept = stat.S_IMODE(before.st_mode) if mode is None and before is not None else mode
    if kept is not None:
        draft.chmod(kept)
    draft.replace(whole)


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    """Who typed the command knows this name, and not the draft's."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
