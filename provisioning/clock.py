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
    every_seconds: float
    do: Callable[[], Awaitable[Any]]
    at_once: bool = False  # also when the process starts


class Clock:
    """Runs ticks; never two of the same at once, and never lets one that fails stop the others."""

    def __init__(self, ticks: Sequence[Tick]) -> None:
        self._ticks = ticks
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._under_way: set[asyncio.Task[Any]] = set()
        self._stopping = False

    def start(self) -> None:
        for tick in self._ticks:
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
