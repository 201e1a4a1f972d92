"""The fleet at a glance: how many CPEs are in which state, since when the oldest is, and why some cannot be reached."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.convergence.unreached import CAUSES
from acs.provisioning_codes import WAITING
from acs.tables import AcsDevice, AcsSeenDevice

REFUSED = (AcsDevice.refused_at.is_not(None), AcsDevice.state.in_(WAITING))
"""CPEs that wait for their first settings, and were told nothing in a session."""


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
    """``handed_over``: CPEs that a person has to look at; ``refused``: those that wait for their first settings, and
    were told nothing in a session; ``unbound``: CPEs at the ACS that serve nobody."""

    states: list[StateCount]
    unreached: list[CauseCount]
    handed_over: int
    refused: int
    unbound: int


class FleetTrouble(TypedDict):
    """Of a fleet only what is not as it should be, as in ``FleetOverview``; ``handed_over_since``: when the first of
    those that a person has to look at was left to them."""

    states: list[StateCount]
    unreached: list[CauseCount]
    handed_over: int
    handed_over_since: datetime | None


async def overview(db: AsyncSession, *, tenant_id: str) -> FleetOverview:
    """Counted in the database; CPEs that were withdrawn are left out."""
    live = (AcsDevice.tenant_id == tenant_id, AcsDevice.state != "withdrawn")
    bound = select(AcsDevice.serial).where(*live)
    handed_over, _ = await _handed_over(db, live)
    unbound = await db.scalar(
        select(func.count()).where(AcsSeenDevice.tenant_id == tenant_id, AcsSeenDevice.serial.not_in(bound))
    )
    return FleetOverview(
        states=await _states(db, live),
        unreached=await _unreached(db, live),
        handed_over=handed_over,
        refused=await db.scalar(select(func.count()).where(*live, *REFUSED)) or 0,
        unbound=unbound or 0,
    )


async def trouble(db: AsyncSession, *, tenant_id: str, states: Collection[str]) -> FleetTrouble:
    """How many CPEs are in these states, cannot be reached or are left to a person: along indexes that know no others,
    so that it costs little where all is well."""
    mine = AcsDevice.tenant_id == tenant_id
    live = (mine, AcsDevice.state != "withdrawn")
    handed_over, since = await _handed_over(db, live)
    return FleetTrouble(
        states=await _states(db, (mine, AcsDevice.state.in_(states))),
        unreached=await _unreached(db, live),
        handed_over=handed_over,
        handed_over_since=since,
    )


async def _states(db: AsyncSession, which: Sequence[ColumnElement[bool]]) -> list[StateCount]:
    """Counted in an index, and the oldest of each state at its end of one: of a fleet that is well, no row is read."""
    states: list[StateCount] = []
    by_state = select(AcsDevice.state, func.count()).where(*which).group_by(AcsDevice.state).order_by(AcsDevice.state)
    for state, devices in (await db.execute(by_state)).all():
        in_state = select(AcsDevice.serial, AcsDevice.updated_at).where(*which, AcsDevice.state == state)
        oldest = (await db.execute(in_state.order_by(AcsDevice.updated_at, AcsDevice.id).limit(1))).one_or_none()
        if oldest is not None:  # else the last of them has left that state meanwhile
            states.append(
                StateCount(state=state, devices=devices, oldest_serial=oldest.serial, oldest_since=oldest.updated_at)
            )
    return states


async def _unreached(db: AsyncSession, live: Sequence[ColumnElement[bool]]) -> list[CauseCount]:
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
    return unreached


async def _handed_over(db: AsyncSession, live: Sequence[ColumnElement[bool]]) -> tuple[int, datetime | None]:
    """How many were left to a person, and when the first of them was."""
    left = select(func.count(), func.min(AcsDevice.handed_over_at)).where(*live, AcsDevice.handed_over_at.is_not(None))
    devices, since = (await db.execute(left)).one()
    return devices, since
