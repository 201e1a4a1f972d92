"""Which pools a transaction was refused for, since they were exhausted: also where that is one fault among others."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

_EXHAUSTED = "firstlight_exhausted"


def note_exhausted(db: AsyncSession, pools: Iterable[str]) -> None:
    """They had nothing for it."""
    db.info.setdefault(_EXHAUSTED, set()).update(pools)


def exhausted_in(db: AsyncSession) -> frozenset[str]:
    """The names of the pools that had nothing for what was asked in it; it may be over."""
    return frozenset(db.info.get(_EXHAUSTED, ()))
