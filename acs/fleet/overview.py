"""The fleet at a glance: how many CPEs are in which state, since when the oldest is, and why some cannot be reached."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.convergence.unreached import CAUSES
from acs.tables import AcsDevice, AcsSeenDevice


class StateCount(TypedDict):
    """``oldest_serial`` is the one that has been without any change longest, since ``oldest_since``."""

    state: str
    devices: int
    oldest_serial: str
    oldest_since: datetime


class CauseCount(TypedDict):
    """CPEs that cannot be reached for one cause: in words, what to do, and the one that is so longest."""

    why: str
    devices: int
    words: str
    remedy: str
    oldest_serial: str
    oldest_since: datetime | None


class FleetOverview(TypedDict):
    """``handed_over``: CPEs that a person has to look at; ``unbound``: CPEs at the ACS that serve nobody."""

    states: list[StateCount]
    unreached: list[CauseCount]
    handed_over: int
    unbound: int


async def overview(db: AsyncSession, *, tenant_id: str) -> FleetOverview:
    """Counted in the database; CPEs that were withdrawn are left out."""
    live = (AcsDevice.tenant_id == tenant_id, AcsDevice.state != "withdrawn")
    states: list[StateCount] = []
    by_state = select(AcsDevice.state, func.count(), func.min(AcsDevice.updated_at)).where(*live)
    for state, devices, since in await db.execute(by_state.group_by(AcsDevice.state).order_by(AcsDevice.state)):
        oldest = select(AcsDevice.serial).where(*live, AcsDevice.state == state, AcsDevice.updated_at == since)
        serial = (await db.scalars(oldest.order_by(AcsDevice.id).limit(1))).one()
        states.append(StateCount(state=state, devices=devices, oldest_serial=serial, oldest_since=since))
    unreached: list[CauseCount] = []
    why_and_since = select(AcsDevice.unreached_why, func.count(), func.min(AcsDevice.unreached_since))
    known = why_and_since.where(*live, AcsDevice.unreached_why.is_not(None)).group_by(AcsDevice.unreached_why)
    for why, devices, first in await db.execute(known.order_by(AcsDevice.unreached_why)):
        oldest = select(AcsDevice.serial).where(
            *live, AcsDevice.unreached_why == why, AcsDevice.unreached_since == first
        )
        serial = (await db.scalars(oldest.order_by(AcsDevice.id).limit(1))).one()
        cause = CAUSES[str(why)]
        unreached.append(
            CauseCount(
                why=str(why),
                devices=devices,
                words=cause.words,
                remedy=cause.remedy,
                oldest_serial=serial,
                oldest_since=first,
            )
        )
    handed_over = await db.scalar(select(func.count()).where(*live, AcsDevice.handed_over_at.is_not(None)))
    bound = select(AcsDevice.serial).where(*live)
    unbound = await db.scalar(
        select(func.count()).where(AcsSeenDevice.tenant_id == tenant_id, AcsSeenDevice.serial.not_in(bound))
    )
    return FleetOverview(states=states, unreached=unreached, handed_over=handed_over or 0, unbound=unbound or 0)
