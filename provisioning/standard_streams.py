"""Standard input, output and error, of which whoever starts the program may have left any closed (``<&-``)."""

from __future__ import annotations

import os
import sys

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_missing() -> None:
    """Opens each of them that is missing on the null device, for the programs that this one starts, too.

    Its number would be given to what is opened next: what is printed would go into a database's file or socket, and
    libuv ends a process that closes one of that number. So nothing else may be open yet.
    """
    for number, (name, mode) in enumerate(STREAMS):
        if _is_open(number):
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        assert opened == number, "the lowest number that is free"
        os.set_inheritable(number, True)
        stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process is there
        setattr(sys, name, stream)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
