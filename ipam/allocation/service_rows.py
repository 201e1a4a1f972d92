"""The row of a new service, and what its line logs in as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import CursorResult, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.orders import Order
from ipam.allocation.places import Place, Plan
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


def service_row(
    order: Order, place: Place, plan: Plan, holder: Holder, chosen: Sequence[Candidate], username: str
) -> dict[str, Any]:
    """What is said of the service that the order makes."""
    return {
        "tenant_id": holder.tenant_id,
        "service_id": holder.service_id,
        "request_id": order.request_id,
        "customer_id": order.customer_id,
        "location_id": place.location_id,
        "plan_id": plan.plan_id,
        "username": username,
        "static_request": order.static_text,
        "created_at": holder.at,
        **named_only(chosen),
    }


def named_only(chosen: Sequence[Candidate]) -> dict[str, int | None]:
    """What a service refers to without taking a unit of it."""
    by_kind = {candidate.kind: candidate for candidate in chosen}
    shared, framed = by_kind.get("svlan"), by_kind.get("framed_pool")
    return {"svlan_id": shared.svlan_id if shared else None, "framed_pool_id": framed.pool_id if framed else None}


async def number_of_free_name(db: AsyncSession, first: int, *, customer_id: int, realm: str) -> int:
    """The first number from that one on with which a line of the customer's would log in as nobody else does, of any
    ISP on this database."""
    theirs = (Service.username > f"c{customer_id}-s", Service.username < f"c{customer_id}-t")
    taken = set(await db.scalars(select(Service.username).where(*theirs)))
    return next(number for number in count(first) if username_of(customer_id, number, realm) not in taken)


def username_of(customer_id: int, service_id: int, realm: str) -> str:
    """What a line logs in as, if nobody has said."""
    name = f"c{customer_id}-s{service_id}"
    return f"{name}@{realm}" if realm else name
