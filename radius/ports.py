"""What ``radius`` asks of whoever composes it: a way into a transaction, a clock, a place for secrets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncSession

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Opens a transaction that commits at the end of the block."""

Now = Callable[[], datetime]
"""The time, aware, in UTC."""


class Secrets(Protocol):
    """Keeps secrets sealed under a reference such as ``secret:subscriber/42``."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        """Keep ``plaintext`` under ``ref``, in place of what was there."""

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        """The plaintext under ``ref``. Why there is none, or it does not open, is said by an error with a ``code``
        and ``transient``, whose words are for operators and hold no secret."""
        ...

    async def discard(self, db: AsyncSession, ref: str) -> None:
        """Forget what is under ``ref``; nothing there is fine."""


class ManySecrets(Secrets, Protocol):
    """The same for thousands at once, in a few statements."""

    async def seal_many(self, db: AsyncSession, plaintexts: Mapping[str, str]) -> None:
        """Keep each plaintext under its reference, in place of what was there."""

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        """The plaintexts by reference; one under which nothing is kept, or which does not open, is left out."""
        ...
