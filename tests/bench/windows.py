"""Clients, each a process of its own, that do the same thing over and over for as long as a window is open."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, Protocol, Self

import structlog

from tests.bench.lines import Pair, Tally

Side = Literal["floor", "ours"]
Act = Callable[[], Awaitable[float]]
"""Does one operation, and says how many milliseconds it took."""
Acts = dict[Side, Act]
WARM = 12
"""After so many times on a connection PostgreSQL plans a statement no more: psycopg prepares its sixth, and the server
makes five plans of its own before it keeps one."""
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Window:
    """Who opens it says what is done in it, for how long, how often at most and at least by each who does it, and how
    many do it at once in each client."""

    side: Side
    seconds: float
    at_most: int
    at_least: int = 0
    at_once: int = 1


class Work(Protocol):
    """What is measured. It is sent to each client, who opens it there."""

    def opened(self, client: int) -> AbstractAsyncContextManager[Acts]:
        """Both sides, on connections of the client's own."""


class Clients:
    """``with Clients(8) as clients``, before there is an event loop: the processes are forked."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._pipes: list[Connection] = []
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        for number in range(self._count):
            ours, theirs = FORK.Pipe()
            process = FORK.Process(target=_serve, args=(theirs, number), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._closing.callback(process.join)
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        self._closing.close()

    def alternate(
        self, work: Work, *, clients: int, runs: int, seconds: float, at_most: int, warm: int = WARM, at_once: int = 1
    ) -> list[Pair]:
        """The floor and ours in turn, ``runs`` times, after a short turn of each that isn't counted. ``at_most``: how
        many operations of ours there may be in all; ``warm``: how many of each are done at least beforehand, by each of
        those ``at_once`` in each client."""
        some = max(at_most // (clients * at_once * (runs + 1)), 1)
        pipes = self._pipes[:clients]
        try:
            _ask(pipes, work)
            for side in ("floor", "ours"):
                _ask(pipes, Window(side, seconds / 4, some, warm, at_once))
            return [
                Pair(*(Tally(_ask(pipes, Window(side, seconds, some, 0, at_once))) for side in ("floor", "ours")))
                for _ in range(runs)
            ]
        finally:
            _ask(pipes, "close")


def _ask(pipes: Sequence[Connection], what: Work | Window | str) -> list[list[float]]:
    """All at once; what went wrong at one of them is raised here when all have answered. For each who has done it: how
    long each time took."""
    for pipe in pipes:
        pipe.send(what)
    answers = [pipe.recv() for pipe in pipes]
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [each for answer in answers for each in answer]


def _serve(pipe: Connection, number: int) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_answer(pipe, number))


async def _answer(pipe: Connection, number: int) -> None:
    """One work after the other; each ends with "close", whatever has become of it."""
    while (work := pipe.recv()) is not None:
        try:
            async with work.opened(number) as acts:
                pipe.send([])
                while isinstance(window := pipe.recv(), Window):
                    pipe.send(await _tried(acts[window.side], window, number))
        except Exception as error:  # noqa: BLE001 - the one who asked raises it
            pipe.send(_failed(number, error))
            pipe.recv()
        pipe.send([])


async def _tried(act: Act, window: Window, number: int) -> list[list[float]] | RuntimeError:
    try:
        return await asyncio.gather(*(_look(act, window) for _ in range(window.at_once)))
    except Exception as error:  # noqa: BLE001 - the one who asked raises it
        return _failed(number, error)


def _failed(number: int, error: Exception) -> RuntimeError:
    return RuntimeError(f"client {number}: {type(error).__name__}: {error}")


async def _look(act: Act, window: Window) -> list[float]:
    took: list[float] = []
    until = time.perf_counter() + window.seconds
    while len(took) < window.at_most and (len(took) < window.at_least or time.perf_counter() < until):
        took.append(await act())
    return took
