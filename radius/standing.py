"""How a customer's subscribers stand, for whoever shows it to the customer."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.states import State
from radius.tables import Subscriber


async def states_of_customer(db: AsyncSession, *, tenant_id: str, customer_id: int) -> list[State]:
    """The state of each of the customer's subscribers, terminated ones too, in the order in which they were made."""
    rows = await db.scalars(
        select(Subscriber.state)
        .where(Subscriber.tenant_id == tenant_id, Subscriber.customer_id == customer_id)
        .order_by(Subscriber.id)
    )
    return list(rows)
