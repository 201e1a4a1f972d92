"""A NAS of which nothing has come for an hour, with a session that is open there."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, insert

from provisioning.database import Database
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_nas_heard


async def silent_nas(radius_database: Database, address: str, username: str, *, now: datetime) -> None:
    """As the worker's last look has left it."""
    last = now - timedelta(hours=1)
    async with radius_database.begin() as db:
        await db.execute(delete(radacct))
        await db.execute(delete(radius_nas_heard))
        session = {"acctsessionid": "S-1", "acctuniqueid": "u-1", "username": username, "nasipaddress": address}
        await db.execute(insert(radacct).values(**session, acctstarttime=last, acctupdatetime=last))
        heard = {"nasipaddress": address, "heard_at": last, "changed_at": last, "looked_at": now, "open_sessions": 1}
        await db.execute(insert(radius_nas_heard).values(heard))
