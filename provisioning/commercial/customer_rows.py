"""Customers' rows, for whoever makes one or sells to one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import CustomerUnknown
from provisioning.commercial.selling_errors import CustomerWithdrawn
from provisioning.commercial.tables import Customer

# Two registrations may want the same next number; each loser sees the winner's row on its next try.
NUMBERING_ATTEMPTS = 20


async def active_customer(db: AsyncSession, tenant_id: str, customer_id: int) -> Customer:
    """The customer, who may be sold to.

    Raises: CustomerUnknown, CustomerWithdrawn.
    """
    row = await db.get(Customer, (tenant_id, customer_id))
    if row is None:
        raise CustomerUnknown(customer_id)
    if row.state == "withdrawn":
        raise CustomerWithdrawn(customer_id, row.withdrawal_reason)
    return row


async def try_to_add(db: AsyncSession, tenant_id: str, *, number: int | None, now: datetime, **facts: Any) -> Customer:
    """A new customer under this number, or under the next free one, in a savepoint of its own.

    Raises: IntegrityError if somebody else has just taken the number or the request.
    """
    next_number = (
        select(func.coalesce(func.max(Customer.id), 0) + 1).where(Customer.tenant_id == tenant_id).scalar_subquery()
    )
    async with db.begin_nested():
        row: Customer | None = await db.scalar(
            insert(Customer)
            .values(tenant_id=tenant_id, id=number or next_number, registered_at=now, **facts)
            .returning(Customer)
        )
    assert row is not None
    return row
