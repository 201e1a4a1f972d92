"""Work that one process at a time may do: it holds a lease, which lapses by itself when the process is killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from acs.ports import Sleep


@asynccontextmanager
async def kept(renew: Callable[[], Awaitable[bool]], *, every_seconds: float, pulse: Sleep) -> AsyncIterator[None]:
    """The lease is renewed for as long as the block runs, however slow the other side is.

    ``renew`` says False once it is not held any more. ``pulse`` is the wait between two renewals, in real time. What
    goes wrong with a renewal is raised at the end of the block.
    """

    async def beat() -> None:
        while True:
            await pulse(every_seconds)
            if not await renew():
                return

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.wait({beating})
        if not beating.cancelled():
            beating.result()
