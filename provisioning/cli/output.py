"""Standard output that says so when it takes no more, as on a disk that is full."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputUnwritten(OSError):
    """Standard output could not be written. Where its reader has gone away, that is a ``BrokenPipeError`` instead."""


class _Output(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputUnwritten(error.errno, error.strerror) from error


def watch_output() -> None:
    """From now on what can't be written to standard output raises OutputUnwritten; else it is as it was."""
    before = sys.stdout
    if not isinstance(before, io.TextIOWrapper):
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(before.fileno(), "w", closefd=False)),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


def give_up_output() -> None:
    """What is still to be written goes nowhere: Python would try once more as it ends, and make another exit status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
