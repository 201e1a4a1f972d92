"""What else is free, for those whose slot was refused: looked for when their transaction has ended.

Many who want the same thing at once share one look, as long as it has not begun; and few look at the same time. So of
a thousand who come too late, each is told what was free after they were refused, and the calendar is read a few times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.field.errors import SlotRefused
from provisioning.field.fitting import Asked
from provisioning.field.search import Search, SlotOffer

MOST_AT_ONCE = 2


class Alternatives:
    """Completes refusals. ``read`` opens a transaction that only reads."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        *,
        search: Callable[[AsyncSession], Search],
    ) -> None:
        self._read = read
        self._search = search
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting: dict[Asked, asyncio.Task[list[SlotOffer]]] = {}

    async def tell(self, refused: SlotRefused) -> None:
        """Puts into the refusal what is nearest and free, if it says what was asked for.

        Raises: SQLAlchemyError: nothing was changed.
        """
        if refused.asked is not None:
            refused.alternatives = await self._of(refused.asked)

    async def _of(self, asked: Asked) -> list[SlotOffer]:
        look = self._waiting.get(asked)
        if look is None:
            look = self._waiting[asked] = asyncio.create_task(self._looked(asked))
        return await asyncio.shield(look)  # whoever gives up takes it from nobody else

    async def _looked(self, asked: Asked) -> list[SlotOffer]:
        async with self._turns:
            del self._waiting[asked]  # who comes from now on wants to see what has changed since
            async with self._read() as db:
                return await self._search(db).near(asked)
