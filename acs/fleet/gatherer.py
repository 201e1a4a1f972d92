"""Many who ask the same thing at about the same time are answered by one question.

What is done for one CPE is written once (``acs.convergence``). For thousands at a time the same steps run side by side,
and what each of them asks of the ACS and of the database meets here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar

from acs.ports import Sleep

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Gatherer(Generic[Item, Answer]):
    """Collects for ``pause_seconds``, then ``answer``s up to ``most`` items at once; each asker gets its own.

    ``answer`` gives for each item, in order, its answer or the error to raise for it. What ``answer`` itself raises is
    raised to all. ``kind`` says which items may go together. With ``alone`` there is one batch at a time.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], Coroutine[Any, Any, Sequence[Answer | Exception]]],
        *,
        most: int,
        pause_seconds: float,
        sleep: Sleep,
        kind: Callable[[Item], Hashable] = lambda _item: None,
        alone: bool = False,
    ) -> None:
        self._answer = answer
        self._most = most
        self._pause_seconds = pause_seconds
        self._sleep = sleep
        self._kind = kind
        self._turn = asyncio.Semaphore(1 if alone else 4)
        self._waiting: dict[Hashable, list[tuple[Item, asyncio.Future[Answer]]]] = {}
        self._batches: set[asyncio.Task[None]] = set()

    async def ask(self, item: Item) -> Answer:
        """The answer for this one, in company. Raises: what ``answer`` gives or raises for it."""
        kind = self._kind(item)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(kind, [])
        waiting.append((item, answered))
        if len(waiting) == 1 or len(waiting) % self._most == 1:
            batch = asyncio.create_task(self._collect(kind))
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)
        return await answered

    async def _collect(self, kind: Hashable) -> None:
        await self._sleep(self._pause_seconds)
        async with self._turn:
            waiting = self._waiting.pop(kind, [])
            if len(waiting) > self._most:
                self._waiting[kind] = waiting[self._most :]
            batch = [each for each in waiting[: self._most] if not each[1].done()]
            if batch:
                await self._settle(batch)

    async def _settle(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        asking = {asyncio.create_task(self._answer([item for item, _ in batch]))}
        try:
            [asked], _ = await asyncio.wait(asking)
        finally:
            for task in asking:
                task.cancel()
        if asked.cancelled():
            for _, answered in batch:
                answered.cancel()
            return
        error = asked.exception()  # raised again to each who asked: nobody waits for ever
        answers: Sequence[Answer | BaseException] = asked.result() if error is None else [error] * len(batch)
        for (_, answered), answer in zip(batch, answers, strict=True):
            if answered.done():
                continue
            if isinstance(answer, BaseException):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)

    async def close(self) -> None:
        """Lets what is under way end; nobody asks any more."""
        await asyncio.gather(*self._batches, return_exceptions=True)
