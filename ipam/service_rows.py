"""The row of a new service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.tables import Service, table_of

COLUMNS = (
    "tenant_id",
    "service_id",
    "request_id",
    "customer_id",
    "location_id",
    "plan_id",
    "username",
    "static_request",
    "created_at",
    "svlan_id",
    "framed_pool_id",
)
"""What is said of a service that begins; its state is ``active``."""
_SERVICE = table_of(Service)
_INSERT = {
    # The count of rows, not RETURNING: for that SQLite looks through all that refers to services.
    dialect.dialect.name: dialect.insert(_SERVICE)
    .on_conflict_do_nothing(index_elements=["tenant_id", "request_id"])
    .execution_options(preserve_rowcount=True)
    for dialect in (postgresql, sqlite)
}


async def insert_service(db: AsyncSession, row: Mapping[str, Any]) -> bool:
    """False: the same request was made by somebody else just now; PostgreSQL has waited for its outcome."""
    connection = await db.connection()
    inserted: CursorResult[Any] = await connection.execute(_INSERT[connection.dialect.name], {**row, "state": "active"})
    return inserted.rowcount == 1
