"""Customers' rows, for whoever makes one or sells to one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer_keys import note_keys
from provisioning.commercial.errors import CustomerUnknown
from provisioning.commercial.selling.selling_errors import CustomerInUse, CustomerWithdrawn
from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.commercial.tables import Customer, Subscription

# Two registrations may want the same next number; each loser sees the winner's row on its next try.
NUMBERING_ATTEMPTS = 20
_AT_ONCE = 5000
HOW_ELSEWHERE = "--customers-elsewhere, customers_elsewhere in the API, if it is another system's"


async def active_customer(db: AsyncSession, tenant_id: str, customer_id: int, *, hold: bool = False) -> Customer:
    """The customer, who may be sold to. ``hold``: nobody changes them until the transaction ends.

    Raises: CustomerUnknown, CustomerWithdrawn.
    """
    row = await db.get(Customer, (tenant_id, customer_id), with_for_update=hold or None, populate_existing=hold)
    if row is None:
        raise CustomerUnknown(customer_id)
    if row.state == "withdrawn":
        raise CustomerWithdrawn(customer_id, row.withdrawal_reason)
    return row


async def unregistered(
    db: AsyncSession, tenant_id: str, numbers: Collection[int], *, elsewhere: bool = False
) -> dict[int, str]:
    """Those of the numbers that no customer here has, each with what to say of it and how to have it taken. None
    of them where no customer is registered at all, or where somebody says that they live ``elsewhere``: then they are
    another system's."""
    mine = select(Customer.id).where(Customer.tenant_id == tenant_id)
    if elsewhere or not numbers or await db.scalar(mine.limit(1)) is None:
        return {}
    asked, known = sorted(set(numbers)), set[int]()
    for start in range(0, len(asked), _AT_ONCE):
        known.update(await db.scalars(mine.where(Customer.id.in_(asked[start : start + _AT_ONCE]))))
    return {each: f"no customer {each} is registered here ({HOW_ELSEWHERE})" for each in asked if each not in known}


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
        await note_keys(db, tenant_id, row.id, name=row.name, email=row.email, phone=row.phone)
    return row


async def withdraw(db: AsyncSession, customer: Customer, now: datetime, reason: str) -> None:
    """Nothing is sold to them any more; the record, which the caller has locked, stays with its number.

    Raises: CustomerInUse (a running bill, an open order).
    """
    await _refuse_in_use(db, customer)
    customer.state, customer.withdrawn_at, customer.withdrawal_reason = "withdrawn", now, reason
    await db.flush()  # a later question in this transaction must find it withdrawn


async def _refuse_in_use(db: AsyncSession, customer: Customer) -> None:
    bill = await db.scalar(
        select(Subscription.id)
        .where(
            Subscription.tenant_id == customer.tenant_id,
            Subscription.customer_id == customer.id,
            Subscription.state != "cancelled",
        )
        .limit(1)
    )
    if bill is not None:
        raise CustomerInUse(customer.id, f"subscription {bill} running or waiting for its line")
    order = await db.scalar(
        select(SalesOrder.id)
        .where(
            SalesOrder.tenant_id == customer.tenant_id,
            SalesOrder.customer_id == customer.id,
            SalesOrder.ended_at.is_(None),
        )
        .limit(1)
    )
    if order is not None:
        raise CustomerInUse(customer.id, f"order {order} open")
