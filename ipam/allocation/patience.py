"""Coming again in a moment when others were quicker: nobody waits for a lock, so nobody can wait in a circle."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from ipam.errors import PoolBusy

T = TypeVar("T")

PATIENCE_SECONDS = 5.0
"""How long others may hold the last units of a pool. Meanwhile the caller's locks are held, so this is short."""
SHORTEST_PAUSE_SECONDS = 0.002
LONGEST_PAUSE_SECONDS = 0.03


class OthersWereQuicker(Exception):
    """Others have locked all that is left: undo, and come again in a moment. Never leaves the package."""

    def __init__(self, pools: Iterable[str]) -> None:
        self.pools = tuple(pools)
        super().__init__(", ".join(self.pools))


async def patiently(
    db: AsyncSession, attempt: Callable[[frozenset[str]], Awaitable[T]], *, leaves_nothing: bool = False
) -> T:
    """What the attempt returns, once nobody is in its way; it is told the pools that it has found locked before.

    ``leaves_nothing``: whatever it raises, it has written and locked nothing, so that there is nothing to undo.

    Raises:
        PoolBusy: somebody was, for too long.
    """
    waited_seconds, locked = 0.0, frozenset[str]()
    connection = await db.connection()  # whose savepoints ask nothing of the objects that the session keeps
    while True:
        try:
            async with nullcontext() if leaves_nothing else connection.begin_nested():
                return await attempt(locked)
        except OthersWereQuicker as late:
            locked |= frozenset(late.pools)
            if waited_seconds > PATIENCE_SECONDS:
                raise PoolBusy(" and ".join(late.pools), waited_seconds=round(waited_seconds)) from late
            pause_seconds = random.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause_seconds)
            waited_seconds += pause_seconds
