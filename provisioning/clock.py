"""The clock of every process: what has to happen again and again, declared in code, kept in memory, led by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

STOP_WITHIN_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tick:
    """One recurring job of this process. It looks at the database, so that missing a beat only delays it."""

    name: str
    every_seconds: float | None  # None: only when another tick has found something for it to do
    do: Callable[[], Awaitable[Any]]
    at_once: bool = False  # also when the process starts


class Clock:
    """Runs ticks; never two of the same at once, and never lets one that fails stop the others."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self._ticks = {tick.name: tick for tick in ticks}
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._under_way: set[asyncio.Task[Any]] = set()
        self._begun: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    def start(self) -> None:
        for tick in self._ticks.values():
            if tick.every_seconds is None:
                continue
            first = {"next_run_time": datetime.now(UTC)} if tick.at_once else {}
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[tick],
                seconds=tick.every_seconds,
                id=tick.name,
                max_instances=1,
                coalesce=True,
                **first,
            )
        self._scheduler.start()

    def begin(self, name: str) -> bool:
        """Its beat is now. False: the one before is still under way, and the next look finds what that leaves."""
        if name in self._begun or self._stopping:
            return False
        task = self._begun[name] = asyncio.create_task(self._run(self._ticks[name]), name=name)
        self._under_way.add(task)
        task.add_done_callback(lambda _: self._begun.pop(name))
        return True

    async def stop(self) -> None:
        """Starts nothing more, and gives what is under way a moment to end by itself."""
        self._scheduler.remove_all_jobs()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=STOP_WITHIN_SECONDS)
        self._stopping = True
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        self._scheduler.shutdown(wait=False)

    async def _run(self, tick: Tick) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await tick.do()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except Exception:  # the clock job: the next beat tries again
            log.exception("a recurring job failed", job=tick.name)
        finally:
            self._under_way.discard(task)
