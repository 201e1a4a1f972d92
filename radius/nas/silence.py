"""NASes from which no accounting comes any more, and those from which it comes again: each told once.

A NAS counts as silent by its sessions' intervals (``radius.sessions.reaper``). It has to be heard without a pause for a
while before it counts as heard again, so one whose accounting comes and goes is told of once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.sessions.reaper import NasGuard
from radius.tables import Nas

HEARD_FOR = timedelta(minutes=15)
"""Three of the longest usual intervals."""


@dataclass(frozen=True)
class NasSilence:
    """A NAS has fallen silent, or is heard again; ``since`` is when it was heard last, or since when it is."""

    nas_id: int
    name: str
    kind: Literal["silent", "heard_again"]
    since: datetime
    open_sessions: int


async def note_silence(
    db: AsyncSession, *, tenant_id: str, guards: Iterable[NasGuard], now: datetime
) -> list[NasSilence]:
    """What is to be told of the NASes that were looked at, noted as told."""
    seen = {guard["nas_address"]: guard for guard in guards if guard["sends_interims"]}
    mine = select(Nas).where(Nas.tenant_id == tenant_id, Nas.address.in_(seen)).order_by(Nas.id)
    told: list[NasSilence] = []
    for nas in list(await db.scalars(mine.with_for_update())):
        guard = seen[nas.address]
        silent, heard = guard["silent_since"], guard["heard_since"]
        if silent is not None and nas.silent_told_at is None:
            nas.silent_told_at = now
            told.append(NasSilence(nas.id, nas.name, "silent", silent, guard["open_sessions"]))
        elif nas.silent_told_at is not None and silent is None and heard is not None and now - heard >= HEARD_FOR:
            nas.silent_told_at = None
            told.append(NasSilence(nas.id, nas.name, "heard_again", heard, guard["open_sessions"]))
    await db.flush()
    return told
