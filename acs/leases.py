"""Work that one process at a time may do: it holds a lease, which lapses by itself when the process is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from acs.ports import Sleep

log = structlog.get_logger(__name__)


class _Heart:
    """The renewals of one lease, until its block ends or it has lapsed."""

    def __init__(
        self, renew: Callable[[], Awaitable[bool]], *, every_seconds: float, lease: timedelta, pulse: Sleep
    ) -> None:
        self._renew = renew
        self._every_seconds = every_seconds
        self._lease_seconds = lease.total_seconds()
        self._pulse = pulse
        self.block_has_ended = False
        self.lapsed: Exception | None = None
        """What kept it from being renewed for so long that it has lapsed."""

    async def beat(self, block: asyncio.Task[object]) -> None:
        """Renew it while it is held; when that fails until it has lapsed, cancel the ``block`` that it is for."""
        unrenewed = 0.0
        while True:
            await self._pulse(self._every_seconds)
            try:
                if not await self._renew():
                    return
                unrenewed = 0.0
            except Exception as error:  # noqa: BLE001 - whatever it was, the next one may come through
                unrenewed += self._every_seconds
                log.warning("lease could not be renewed", unrenewed_seconds=unrenewed, why=type(error).__name__)
                if unrenewed >= self._lease_seconds and not self.block_has_ended:
                    self.lapsed = error
                    block.cancel()
                    return


@asynccontextmanager
async def kept(
    renew: Callable[[], Awaitable[bool]], *, every_seconds: float, lease: timedelta, pulse: Sleep
) -> AsyncIterator[None]:
    """The lease is renewed for as long as the block runs, however slow the other side is.

    ``renew`` says False once it is not held any more. ``lease`` is how long it lasts after a renewal, and ``pulse`` the
    wait between two renewals, in real time. One that fails is tried again; when none has come through until the lease
    has lapsed, the block is cancelled, and what went wrong with the last one is raised.
    """
    block = asyncio.current_task()
    assert block is not None, "only a task can be cancelled"
    heart = _Heart(renew, every_seconds=every_seconds, lease=lease, pulse=pulse)
    beating = asyncio.create_task(heart.beat(block))
    try:
        yield
    except asyncio.CancelledError:
        if heart.lapsed is None or block.uncancel() > 0:
            raise
        raise heart.lapsed from None
    finally:
        heart.block_has_ended = True
        beating.cancel()
        await asyncio.wait({beating})
