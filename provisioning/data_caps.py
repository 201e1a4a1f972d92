"""Data caps of the subscribers: when their billing months begin, and what is told of a cap as an event."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import PublishEvent
from provisioning.commercial.tables import Subscription
from radius import CapCrossing, SessionChangeView, SubscriberView

BY = "clock"
CAP_EVENTS = {
    "warned": "subscriber.data_cap_warning",
    "reached": "subscriber.data_cap_reached",
    "lifted": "subscriber.data_cap_lifted",
    "ended": "subscriber.data_cap_lifted",
}
"""What is told of a data cap. None of them starts a journey."""


async def billing_days(db: AsyncSession, tenant_id: str, service_ids: Collection[int]) -> Mapping[int, int]:
    """By service the day of the month on which its subscription began and is billed; those without one, or whose bill
    has not begun or is over, are left out."""
    mine = select(Subscription.service_id, Subscription.anchor_day).where(
        Subscription.tenant_id == tenant_id,
        Subscription.service_id.in_(service_ids),
        Subscription.anchor_day.is_not(None),
        Subscription.billing_stopped_at.is_(None),
    )
    rows = await db.execute(mine.order_by(Subscription.id))
    return {service_id: day for service_id, day in rows if service_id is not None and day is not None}


async def billed_plan(db: AsyncSession, tenant_id: str, service_id: int) -> str | None:
    """The plan that a service is billed for; None: it is not."""
    plan: str | None = await db.scalar(
        select(Subscription.plan)
        .where(Subscription.tenant_id == tenant_id, Subscription.service_id == service_id)
        .where(Subscription.billing_stopped_at.is_(None))
        .order_by(Subscription.id.desc())
        .limit(1)
    )
    return plan


async def tell_of_cap(db: AsyncSession, publish: PublishEvent, crossing: CapCrossing) -> None:
    """An event of what has happened, in its transaction."""
    subject = f"subscriber/{crossing.subscriber_id}"
    said = {
        "subscriber_id": crossing.subscriber_id,
        "customer_id": crossing.customer_id,
        "service_id": crossing.service_id,
        "plan": crossing.plan,
        "served_by": crossing.served_by,
        "allowance_octets": crossing.allowance_octets,
        "used_octets": crossing.used_octets,
        "since": crossing.period.begins.isoformat(),
        "until": crossing.period.ends.isoformat(),
    }
    key = f"{subject}/data-cap/{crossing.ordinal}"
    await publish(db, CAP_EVENTS[crossing.kind], subject, said, key, BY)


async def tell_lifted(
    db: AsyncSession, publish: PublishEvent, subscriber: SubscriberView, change: SessionChangeView
) -> None:
    """The same of a cap that was lifted by hand."""
    subject = f"subscriber/{subscriber['subscriber_id']}"
    numbers = {name: subscriber[name] for name in ("subscriber_id", "customer_id", "service_id")}
    said = {**numbers, "plan": subscriber["plan"], "served_by": subscriber["plan"]}
    key = f"{subject}/data-cap/change/{change['change_id']}"
    await publish(db, CAP_EVENTS["lifted"], subject, said, key, "operator")
