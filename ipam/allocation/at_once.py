"""A new service in one turn of the database, where nothing is out of the ordinary.

What an allocation costs beside a bare INSERT is above all turns: to send a statement and to wait for it costs more than
what it does. So all of a service is asked and taken in one: by a function of PostgreSQL's, or by a script that runs
where SQLite does. Anything else (a request that was made before, a name that nobody knows, a computed C-VLAN, a pool
that is exhausted or whose last units others hold) leaves all as it was, and ``ipam.allocation.giving`` goes about it in
steps.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation import at_once_postgresql, at_once_sqlite
from ipam.allocation.given import Given
from ipam.allocation.orders import Order


async def give_at_once(db: AsyncSession, order: Order, *, tenant_id: str, realm: str, at: datetime) -> Given | None:
    """What the service was given; None: nothing was done, and it is for others to find out why."""
    if order.static is not None:
        return None
    connection = await db.connection()
    if connection.dialect.name == "postgresql":
        return await at_once_postgresql.give_at_once(connection, order, tenant_id=tenant_id, realm=realm, at=at)
    return await at_once_sqlite.give_at_once(connection, order, tenant_id=tenant_id, realm=realm, at=at)
