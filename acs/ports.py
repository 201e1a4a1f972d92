"""What ``acs`` asks of whoever composes it: a way into a transaction, a clock, a place for secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Opens a transaction that commits at the end of the block."""

Now = Callable[[], datetime]
"""The time, aware, in UTC."""

Sleep = Callable[[float], Awaitable[None]]
"""Lets that many seconds pass."""


class Secrets(Protocol):
    """Keeps secrets sealed under a reference such as ``secret:device/HWTC12345678/wifi``."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        """Keep ``plaintext`` under ``ref``, in place of what was there."""

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        """The plaintext under ``ref``."""
        ...

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        """The plaintexts by reference; one that is not kept or does not open is left out."""
        ...

    async def discard(self, db: AsyncSession, ref: str) -> None:
        """Forget what is under ``ref``; nothing there is fine."""
