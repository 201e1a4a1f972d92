"""NASes that call themselves by an address by which nobody knows them, as their logins say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import nas
from radius.projection.projection import CALLS_ITSELF

SAID_WITHIN = timedelta(days=1)
LOOKED_BACK = 100_000
"""So many of the latest logins are read: there is no index by NAS, which each login would pay for."""


@dataclass(frozen=True)
class CalledOtherwise:
    """A NAS by its name and address, and as whose its logins came."""

    nas: str
    address: str
    said: str

    @property
    def sentence(self) -> str:
        return (
            f"Logins from NAS {self.nas} ({self.address}) come as those of {self.said}, which is no NAS, so no request"
            " about their sessions finds one (CoA, Disconnect). If it calls itself so: `firstlight nas change"
            f" {self.nas} --calls-itself {self.said} --reason ...`; if it hands on what others send, add those."
        )


async def called_otherwise(radius_db: AsyncSession, *, now: datetime) -> list[CalledOtherwise]:
    """Those of the last day's logins, by address."""
    source, said = radius_login.c.nas_address, radius_login.c.nas_said_address
    newest = await radius_db.scalar(select(func.max(radius_login.c.id)))
    if newest is None:
        return []
    lately = (radius_login.c.id > newest - LOOKED_BACK, radius_login.c.happened_at >= now - SAID_WITHIN)
    pairs = select(source, said).where(*lately, radius_login.c.accepted, said != source).distinct()
    found = (await radius_db.execute(pairs.order_by(source, said))).all()
    if not found:
        return []
    columns = (nas.c.nasname, nas.c.shortname, nas.c.description)
    known = {
        address: (name, description or "") for address, name, description in await radius_db.execute(select(*columns))
    }
    return [
        CalledOtherwise(known[address][0], address, other)
        for address, other in found
        if address in known and other not in known and other not in known[address][1].partition(CALLS_ITSELF)[2].split()
    ]
