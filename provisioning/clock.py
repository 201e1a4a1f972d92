"""The clock of every process: what has to happen again and again, declared in code, kept in memory, led by nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

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

    def start(self) -> None:
        for tick in self._ticks:
            first = {"next_run_time": datetime.now(UTC)} if tick.at_once else {}
            self._scheduler.add_job(
                _run,
                "interval",
                args=[tick],
                seconds=tick.every_seconds,
                id=tick.name,
                max_instances=1,
                coalesce=True,
                **first,
            )
        self._scheduler.start()

    def stop(self) -> None:
        self._scheduler.shutdown(wait=False)


async def _run(tick: Tick) -> None:
    try:
        await tick.do()
    except Exception:
        log.exception("a recurring job failed", job=tick.name)
