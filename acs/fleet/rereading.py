"""Verified CPEs by turns: what a customer changes is in no Inform, so each is read back once more in a stated time.

The one whose turn was longest ago comes first, and each turn takes a share of the fleet: ten thousand that were
verified in one hour are not read in one hour again. The reading of a CPE that cannot be called waits for its next
Inform, and holds up no other's turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from acs.convergence.unreached import AMBIGUOUS
from acs.tables import AcsDevice

VERIFIED = ("verified", "accepted_unverifiable")
MOST_IN_A_TURN = 2_000
ROWS_AT_ONCE = 500
BEGUN_FOR = timedelta(minutes=15)
"""Longer than a turn takes; after that it is another's to take."""


@dataclass(frozen=True, slots=True)
class Rereading:
    """Every verified CPE once ``within``, by turns that come ``every``."""

    within: timedelta = timedelta(hours=24)
    every: timedelta = timedelta(minutes=5)

    def share_of(self, cpes: int) -> int:
        """How many of so many CPEs are read in one turn. They are due after half of the time, and need not take more
        than the other half."""
        return min(math.ceil(cpes * self.every / (self.within / 2)), MOST_IN_A_TURN)


async def begin_turns(
    db: AsyncSession,
    rereading: Rereading,
    *,
    tenant_id: str,
    acs_name: str,
    now: datetime,
    left_out: Sequence[ColumnElement[bool]] = (),
) -> list[str]:
    """The serials of those whose turn it is, for this process alone. Unless ``turns_taken`` says so of them, it is
    their turn again before long: a process that is killed in between has spent nobody's. Silent ones, and those whose
    serial several CPEs report, are passed over until that is over."""
    mine = (
        AcsDevice.tenant_id == tenant_id,
        AcsDevice.acs_name == acs_name,
        AcsDevice.state.in_(VERIFIED),
        AcsDevice.handed_over_at.is_(None),
    )
    cpes = await db.scalar(select(func.count()).select_from(AcsDevice).where(*mine)) or 0
    due = now - rereading.within / 2
    found = await db.scalars(
        select(AcsDevice)
        .options(load_only(AcsDevice.serial, AcsDevice.reread_at))
        .where(
            *mine,
            *left_out,
            AcsDevice.verified_at <= due,
            or_(AcsDevice.reread_at.is_(None), AcsDevice.reread_at <= due),
            or_(AcsDevice.unreached_why.is_(None), AcsDevice.unreached_why.not_in(("silent", AMBIGUOUS))),
        )
        .order_by(func.coalesce(AcsDevice.reread_at, AcsDevice.verified_at), AcsDevice.id)
        .limit(rereading.share_of(cpes))
        .with_for_update(skip_locked=True)
    )
    devices = list(found)
    for device in devices:
        device.reread_at = due + BEGUN_FOR
    return [device.serial for device in devices]


async def turns_taken(db: AsyncSession, serials: Sequence[str], *, tenant_id: str, now: datetime) -> None:
    """Each was read back, or its reading waits for its next Inform, or its row says what keeps it from that."""
    for start in range(0, len(serials), ROWS_AT_ONCE):
        await db.execute(
            update(AcsDevice)
            .where(
                AcsDevice.tenant_id == tenant_id,
                AcsDevice.serial.in_(serials[start : start + ROWS_AT_ONCE]),
                AcsDevice.state != "withdrawn",
            )
            .values(reread_at=now)
            .execution_options(synchronize_session=False)
        )
