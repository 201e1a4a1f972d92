"""What many ask for at the same time is done for all of them in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from radius.projection_errors import RadiusDatabaseUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
_EVERYBODYS = (RadiusDatabaseUnavailable, OperationalError, InterfaceError, PoolTimeout)
"""A database that doesn't answer one will not answer the others."""


class Together(Generic[Item, Result]):
    """One go at a time, of ``most`` items at most: whoever comes meanwhile is in the next one.

    What goes wrong with several is tried for each by itself, so that one's trouble is not the others': ``do`` must be
    safe to repeat. What nobody waits for any more is done nonetheless, once it has begun.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, most: int) -> None:
        self._do = do
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._at_it: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """What ``do`` has for this item; raises what it raises for it."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._at_it is None:
            self._at_it = asyncio.create_task(self._work())
        return await answer

    async def end(self) -> None:
        """Returns when nothing is being done."""
        if self._at_it is not None:
            await asyncio.wait((self._at_it,))

    async def _work(self) -> None:
        try:
            while self._waiting:
                some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer([(item, answer) for item, answer in some if not answer.done()])
        finally:
            self._at_it = None

    async def _answer(self, some: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not some:
            return
        [results] = await asyncio.gather(self._do([item for item, _ in some]), return_exceptions=True)
        if isinstance(results, BaseException):
            if len(some) > 1 and not isinstance(results, _EVERYBODYS):
                for each in some:
                    await self._answer([each])
                return
            for _, answer in some:
                if not answer.done():
                    answer.set_exception(results)
            return
        for (_, answer), result in zip(some, results, strict=True):
            if not answer.done():
                answer.set_result(result)
