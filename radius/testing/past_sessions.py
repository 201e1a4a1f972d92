"""Sessions of a time before the laboratory began, as FreeRADIUS has accounted for them then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import md5
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_nas_heard

AT_ONCE = 2_000


@dataclass(frozen=True)
class PastSession:
    """One session. ``ended_at`` None: its NAS has said nothing of an end; ``heard_at``: when it was heard of last."""

    username: str
    nas_address: str
    nas_port: str
    calling_station: str
    ipv4: str
    delegated_prefix: str | None
    started_at: datetime
    heard_at: datetime
    ended_at: datetime | None
    cause: str | None
    input_octets: int
    output_octets: int


async def write_past_sessions(db: AsyncSession, sessions: Sequence[PastSession]) -> None:
    """Adds them to radacct, in the caller's transaction of the radius database."""
    rows = [_row(each) for each in sessions]
    for start in range(0, len(rows), AT_ONCE):
        await db.execute(insert(radacct), rows[start : start + AT_ONCE])


async def write_silence(db: AsyncSession, nas_address: str, *, since: datetime, now: datetime, sessions: int) -> None:
    """Notes that a NAS was heard last at ``since``, as whoever looked meanwhile would have."""
    heard = {"heard_at": since, "changed_at": since, "heard_since": None, "looked_at": now, "open_sessions": sessions}
    await db.execute(insert(radius_nas_heard).values(nasipaddress=nas_address, **heard))


def _row(session: PastSession) -> dict[str, Any]:
    named = f"{session.username} {session.nas_address} {session.started_at.isoformat()}"
    number = md5(named.encode(), usedforsecurity=False).hexdigest()
    lasted: timedelta = session.heard_at - session.started_at
    return {
        "acctuniqueid": number,
        "acctsessionid": number[:16],
        "username": session.username,
        "nasipaddress": session.nas_address,
        "nasportid": session.nas_port,
        "nasporttype": "Virtual",
        "acctstarttime": session.started_at,
        "acctupdatetime": session.heard_at,
        "acctstoptime": session.ended_at,
        "acctsessiontime": int(lasted.total_seconds()),
        "acctinputoctets": session.input_octets,
        "acctoutputoctets": session.output_octets,
        "callingstationid": session.calling_station,
        "acctterminatecause": session.cause,
        "servicetype": "Framed-User",
        "framedprotocol": "PPP",
        "framedipaddress": session.ipv4,
        "delegatedipv6prefix": session.delegated_prefix,
    }
