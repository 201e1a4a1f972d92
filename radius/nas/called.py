"""NASes that call themselves by an address by which nobody knows them, as their logins say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.logins.tables import radius_login
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radius_projection
from radius.projection.projection import CALLS_ITSELF
from radius.projection.radius_database import radius_transaction

SAID_WITHIN = timedelta(days=1)
LOOKED_BACK = 100_000
"""So many of the latest logins are read: there is no index by NAS, which each login would pay for."""
TAKEN_UP_WITHIN = timedelta(minutes=1)
"""After FreeRADIUS was told; its clock may be another one than ours."""


@dataclass(frozen=True)
class CalledOtherwise:
    """A NAS by its name and address, and as whose its logins came. ``known_as``: by which other addresses it is known;
    ``isp``: whose it is, where that isn't clear.

    ``why``: ``untold`` nobody has said that it calls itself so; ``unheeded`` FreeRADIUS is told, and does not go by it;
    ``undefined`` nobody here has defined it.
    """

    nas: str
    address: str
    said: str
    why: Literal["untold", "unheeded", "undefined"]
    known_as: tuple[str, ...] = ()
    isp: str | None = None

    @property
    def sentence(self) -> str:
        whose = f"{self.address}, of ISP {self.isp}" if self.isp else self.address
        if self.why == "unheeded":
            return (
                f"Logins from NAS {self.nas} ({whose}) count as those of {self.said}, though FreeRADIUS is told that it"
                " calls itself so, and no request about their sessions finds one (CoA, Disconnect): take the new raddb"
                " (policy nas_as_known)."
            )
        finding = (
            f"Logins from NAS {self.nas} ({whose}) come as those of {self.said}, which is no NAS, so no request"
            " about their sessions finds one (CoA, Disconnect)."
        )
        if self.why == "undefined":
            return (
                f"{finding} Nobody here has defined {self.nas}: `firstlight nas add`, with --calls-itself {self.said}"
                " if it calls itself so, and then `nas adopt`; if it hands on what others send, add those."
            )
        return (
            f"{finding} If it calls itself so: `firstlight nas change {self.nas} {self._options} --reason ...`, and in"
            " the estate's file, if it stands there; if it hands on what others send, add those."
        )

    @property
    def _options(self) -> str:
        """All that it calls itself then, one of a family."""
        family = ip_address(self.said).version
        kept = [each for each in self.known_as if ip_address(each).version != family]
        return " ".join(f"--calls-itself {each}" for each in [*kept, self.said])


@dataclass(frozen=True)
class _Known:
    """A NAS of table nas; ``told_at``: since when FreeRADIUS has it so, None: nobody here has written it."""

    name: str
    calls_itself: tuple[str, ...]
    told_at: datetime | None
    isp: str | None


async def called_otherwise(radius_db: AsyncSession, *, now: datetime) -> list[CalledOtherwise]:
    """Those of the last day's logins, by address. What one NAS alone calls itself is that one's, whoever hands on its
    logins."""
    source, said = radius_login.c.nas_address, radius_login.c.nas_said_address
    newest = await radius_db.scalar(select(func.max(radius_login.c.id)))
    if newest is None:
        return []
    lately = (radius_login.c.id > newest - LOOKED_BACK, radius_login.c.happened_at >= now - SAID_WITHIN)
    pairs = select(source, said, func.max(radius_login.c.happened_at))
    pairs = pairs.where(*lately, radius_login.c.accepted, said != source).group_by(source, said)
    found = (await radius_db.execute(pairs.order_by(source, said))).all()
    known = await _known(radius_db) if found else {}
    told = Counter(each for one in known.values() for each in one.calls_itself)
    return [
        one
        for address, other, last_at in found
        if address in known and other not in known
        for one in _judged(address, known[address], other, last_at, is_one_others=told[other] == 1)
    ]


async def how_called(radius_read: Begin, address: str, *, now: datetime) -> list[CalledOtherwise]:
    """The same of one NAS.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_read) as radius_db:
        return [one for one in await called_otherwise(radius_db, now=now) if one.address == address]


def _judged(
    address: str, known: _Known, said: str, last_at: datetime, *, is_one_others: bool
) -> Sequence[CalledOtherwise]:
    if known.told_at is None:
        why: Literal["untold", "unheeded", "undefined"] = "undefined"
    elif said in known.calls_itself:
        if last_at <= known.told_at + TAKEN_UP_WITHIN:
            return ()
        why = "unheeded"
    else:
        why = "untold"
    if is_one_others and why != "unheeded":
        return ()
    return (CalledOtherwise(known.name, address, said, why, known.calls_itself, known.isp),)


async def _known(radius_db: AsyncSession) -> dict[str, _Known]:
    ours = radius_projection.c
    entries = await radius_db.execute(select(ours.name, ours.tenant_id, ours.projected_at).where(ours.kind == "nas"))
    written = {name: (tenant, at) for name, tenant, at in entries}
    are_several = len({tenant for tenant, _ in written.values()}) > 1
    columns = (nas.c.nasname, nas.c.shortname, nas.c.description)
    known = {}
    for address, name, description in await radius_db.execute(select(*columns)):
        tenant, at = written.get(address, (None, None))
        told = (description or "").partition(CALLS_ITSELF)[2].split() if at is not None else ()
        known[address] = _Known(name or address, tuple(told), at, tenant if are_several else None)
    return known
