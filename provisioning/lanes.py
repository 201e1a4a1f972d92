"""Lanes of deliveries: each receiver is served for itself, so that a slow one holds up nobody but itself.

A delivery that is in the hands of a process is *claimed*: a moment in its row until which nobody else takes it. A claim
must outlast whatever the delivery may take, or a second process begins it anew while the first is still at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

Receiver = TypeVar("Receiver", bound=Hashable)
Claimed = TypeVar("Claimed")

CLAIM_MARGIN = timedelta(minutes=1)
"""For the transactions before and after a delivery."""
STOP_WITHIN_SECONDS = 0.5
"""As long as a transaction may take: one that is broken off may lose its connection."""


def claim_for(longest_seconds: float) -> timedelta:
    """How long what may take that long is claimed."""
    return timedelta(seconds=longest_seconds) + CLAIM_MARGIN


class Lanes(Generic[Receiver]):
    """One task a receiver, while there is something for it. ``serve`` does all that is due, and tells how much."""

    def __init__(self, serve: Callable[[Receiver], Awaitable[int]], *, what: str) -> None:
        self._serve = serve
        self._what = what
        self._at_work: dict[Receiver, asyncio.Task[int]] = {}

    def start(self, due: Iterable[Receiver]) -> int:
        """Begins with each that isn't served already, and waits for none; how much those did that have ended since.

        Raises: ExceptionGroup of what went wrong with those.
        """
        ended = [self._at_work.pop(each) for each, task in list(self._at_work.items()) if task.done()]
        for receiver in due:
            if receiver not in self._at_work:
                self._at_work[receiver] = asyncio.create_task(self._all_for(receiver))
        errors = [error for task in ended if isinstance(error := task.exception(), Exception)]
        if errors:
            raise ExceptionGroup(f"{self._what} that could not be served", errors)
        return sum(task.result() for task in ended)

    async def drain(self) -> int:
        """Waits for all that was begun; how much they did.

        Raises: ExceptionGroup of what went wrong.
        """
        await asyncio.gather(*self._at_work.values(), return_exceptions=True)
        return self.start(())

    async def stop(self) -> None:
        """Gives what is under way a moment to end by itself, then gives it up; its claims run out."""
        if self._at_work:
            await asyncio.wait(self._at_work.values(), timeout=STOP_WITHIN_SECONDS)
        for task in self._at_work.values():
            task.cancel()
        await asyncio.gather(*self._at_work.values(), return_exceptions=True)
        self._at_work.clear()

    async def _all_for(self, receiver: Receiver) -> int:
        return await self._serve(receiver)


async def each_to_its_end(deliver: Callable[[Claimed], Awaitable[None]], claimed: Sequence[Claimed]) -> int:
    """Delivers all at once; how many they were. Raises: the first error, after the others have come to their end."""
    ended = await asyncio.gather(*(deliver(one) for one in claimed), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error
    return len(claimed)
