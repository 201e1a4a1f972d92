"""What many ask for at the same time is done for all of them in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from radius.projection.radius_database import is_of_one
from radius.projection_errors import RadiusDatabaseUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
DATABASE_TROUBLE = (RadiusDatabaseUnavailable, OperationalError, InterfaceError, PoolTimeout)


def is_everybodys(error: BaseException) -> bool:
    """A database that doesn't answer one will not answer the others; what one waits for in vain is its own."""
    if isinstance(error, RadiusDatabaseUnavailable):
        return not error.of_one
    if isinstance(error, OperationalError):
        return not is_of_one(error)
    return isinstance(error, InterfaceError | PoolTimeout)


class Together(Generic[Item, Result]):
    """One go at a time, of ``most`` items at most: whoever comes meanwhile is in the next one.

    ``do`` returns for each item what it has for it, or the error that is its own. What it raises for several is tried
    for each half of them by itself, so that one's trouble is not the others': it must be safe to repeat. What nobody
    waits for any more is done nonetheless, once it has begun.
    """

    def __init__(self, do: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]], *, most: int) -> None:
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

    async def end(self, *, within_seconds: float) -> None:
        """Returns when nothing is being done. What is not done by then is broken off, and given as long once more."""
        if (at_it := self._at_it) is None:
            return
        _, still = await asyncio.wait((at_it,), timeout=within_seconds)
        if still:
            at_it.cancel()
            await asyncio.wait((at_it,), timeout=within_seconds)

    async def _work(self) -> None:
        some: Sequence[tuple[Item, asyncio.Future[Result]]] = ()
        try:
            while self._waiting:
                some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer(some)
        except asyncio.CancelledError:
            for _, answer in (*some, *self._waiting):
                answer.cancel()
            self._waiting = []
            raise
        finally:
            self._at_it = None

    async def _answer(self, some: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        some = [(item, answer) for item, answer in some if not answer.done()]
        if not some:
            return
        [results] = await asyncio.gather(self._do([item for item, _ in some]), return_exceptions=True)
        if isinstance(results, BaseException):
            if len(some) > 1 and not is_everybodys(results):
                half = len(some) // 2
                await self._answer(some[:half])
                await self._answer(some[half:])
                return
            for _, answer in some:
                if not answer.done():
                    answer.set_exception(results)
            return
        for (_, answer), result in zip(some, results, strict=True):
            if answer.done():
                continue
            if isinstance(result, Exception):
                answer.set_exception(result)
            else:
                answer.set_result(result)
