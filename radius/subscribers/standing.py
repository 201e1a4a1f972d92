"""How the subscribers of a customer and of a service stand, for whoever shows it or acts on it."""

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


async def live_username_of_service(db: AsyncSession, *, tenant_id: str, service_id: int) -> str | None:
    """Who logs in to this service; None if nobody does (any more)."""
    username: str | None = await db.scalar(
        select(Subscriber.username)
        .where(Subscriber.tenant_id == tenant_id, Subscriber.service_id == service_id, Subscriber.state != "terminated")
        .order_by(Subscriber.id.desc())
        .limit(1)
    )
    return username
