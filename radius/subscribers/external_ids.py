"""The ISP's own number of a subscriber: one of a number among those that are not terminated."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.errors import RequestRefused, SubscriberTerminated, SubscriberUnknown
from radius.tables import Subscriber
from radius.verb_errors import ExternalIdTaken

MAX_EXTERNAL_ID_LENGTH = 128


def external_id_faults(external_id: str | None) -> list[str]:
    """What is wrong with the ISP's own number of a subscriber, in plain phrases."""
    if external_id is None or (
        external_id.isprintable()
        and external_id == external_id.strip()
        and 1 <= len(external_id) <= MAX_EXTERNAL_ID_LENGTH
    ):
        return []
    return [f"its external id needs 1 to {MAX_EXTERNAL_ID_LENGTH} characters that can be seen, no blank around them"]


async def give_external_id(db: AsyncSession, subscriber: Subscriber, external_id: str | None, now: datetime) -> None:
    """Let a locked subscriber be known by this number of the ISP's own.

    Raises:
        RequestRefused: such a number cannot be kept.
        SubscriberTerminated, ExternalIdTaken
    """
    if faults := external_id_faults(external_id):
        raise RequestRefused(faults)
    if subscriber.state == "terminated":
        raise SubscriberTerminated(subscriber.username)
    if subscriber.external_id == external_id:
        return
    try:
        async with db.begin_nested():
            subscriber.external_id, subscriber.updated_at = external_id, now
            await db.flush()  # the constraint's answer is needed now
    except IntegrityError as exc:
        raise ExternalIdTaken(external_id or "") from exc


async def known_as(db: AsyncSession, tenant_id: str, external_id: str) -> Subscriber:
    """The subscriber that has this number and is not terminated, or ``SubscriberUnknown``."""
    mine = (Subscriber.tenant_id == tenant_id, Subscriber.external_id == external_id, Subscriber.state != "terminated")
    subscriber = await db.scalar(select(Subscriber).where(*mine))
    if subscriber is None:
        raise SubscriberUnknown(f"with external id {external_id}")
    return subscriber


async def last_known_as(db: AsyncSession, tenant_id: str, external_id: str) -> Subscriber:
    """The same; where there is none, the one that had this number and was terminated last."""
    try:
        return await known_as(db, tenant_id, external_id)
    except SubscriberUnknown:
        had_it = select(Subscriber).where(Subscriber.tenant_id == tenant_id, Subscriber.external_id == external_id)
        had_it = had_it.where(Subscriber.state == "terminated")  # somebody may have been given it just now
        subscriber = await db.scalar(had_it.order_by(Subscriber.updated_at.desc(), Subscriber.id.desc()).limit(1))
        if subscriber is None:
            raise
        return subscriber


async def refuse_taken_number(db: AsyncSession, tenant_id: str, external_id: str | None) -> None:
    """Raises: RequestRefused; ExternalIdTaken when a subscriber that is not terminated has it."""
    if faults := external_id_faults(external_id):
        raise RequestRefused(faults)
    mine = (Subscriber.tenant_id == tenant_id, Subscriber.external_id == external_id, Subscriber.state != "terminated")
    if external_id is not None and await db.scalar(select(Subscriber.id).where(*mine)) is not None:
        raise ExternalIdTaken(external_id)
