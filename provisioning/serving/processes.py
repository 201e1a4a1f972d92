"""Several processes that answer at one address, and the one that keeps them: it answers nothing itself.

The first of them may be the worker. One that dies is replaced; one that dies before it has answered ends all of them,
since the next would do the same. When the keeper ends, however it does, a pipe ends that all of them watch.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess

import structlog

from provisioning.serving.server import Seat, listen_for_each

FAILED = 1
SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger(__name__)

Serve = Callable[[Seat, int], None]
"""Answers in this seat until told to stop; the number counts the processes from 0."""


@dataclass
class _Child:
    process: ForkProcess
    told: Connection
    answers: bool = False


class _Keeper:
    """Starts the processes, and starts them anew. They are forked, so nothing may run here but this."""

    def __init__(self, serve: Serve, seat: Callable[[Connection, int], Seat], woken: int, alive: int) -> None:
        self._serve = serve
        self._seat = seat
        self._woken = woken
        self._alive = alive
        self._children: dict[int, _Child] = {}

    def keep(self, count: int) -> int:
        """The exit status, once a signal has come or a process could not start."""
        try:
            for number in range(count):
                self._start(number)
            status = self._watch()
        finally:
            os.close(self._alive)
        for child in self._children.values():
            child.process.join()
            status = status or (FAILED if child.process.exitcode else 0)
        return status

    def _watch(self) -> int:
        while True:
            wakers = [child.told for child in self._children.values() if not child.answers]
            ready = wait([self._woken, *wakers, *(child.process.sentinel for child in self._children.values())])
            if self._woken in ready:
                return 0
            for number, child in list(self._children.items()):
                ended = child.process.sentinel in ready
                if child.told in ready or (ended and not child.answers):  # it may have told and ended since we looked
                    child.answers = _has_told(child.told)
                if ended:
                    if (status := self._lost(number, child)) is not None:
                        return status
                    self._start(number)

    def _lost(self, number: int, child: _Child) -> int | None:
        """The exit status if it is over for all."""
        child.process.join()
        child.told.close()
        status = child.process.exitcode
        if child.answers:
            log.error("a serving process has ended and is replaced", process=number, status=status)
            return None
        log.error("a serving process could not start", process=number, status=status)
        del self._children[number]
        return status if status is not None and status > 0 else FAILED

    def _start(self, number: int) -> None:
        told, telling = multiprocessing.Pipe(duplex=False)
        context = multiprocessing.get_context("fork")
        process = context.Process(target=self._be_one, args=(number, telling), name=f"serve-{number}")
        process.start()
        telling.close()
        self._children[number] = _Child(process, told)

    def _be_one(self, number: int, telling: Connection) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._alive)
        self._serve(self._seat(telling, number), number)


def serve_in_processes(serve: Serve, *, host: str, port: int, count: int) -> int:
    """Answers in so many processes until SIGTERM or SIGINT. The exit status: that of a process which could not start.

    Raises: AddressUnusable.
    """
    with listen_for_each(host, port, count) as sockets, _signals() as woken:
        ends, alive = os.pipe()
        gc.freeze()  # what is there by now is shared by all of them, as long as nobody writes to it

        def seat(telling: Connection, number: int) -> Seat:
            # All sockets stay open here: what waits at one whose process has died is answered by its successor.
            return Seat(sockets[number], ends, lambda: telling.send(True))

        keeper = _Keeper(serve, seat, woken, alive)
        try:
            return keeper.keep(count)
        finally:
            gc.unfreeze()
            os.close(ends)


@contextmanager
def _signals() -> Iterator[int]:
    """A pipe that can be read when a signal has come."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    earlier = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    signal.set_wakeup_fd(wakes)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in earlier.items():
            signal.signal(number, handler)
        os.close(woken)
        os.close(wakes)


def _has_told(told: Connection) -> bool:
    try:
        return bool(told.recv())
    except EOFError:  # it has ended before it answered anything
        return False
