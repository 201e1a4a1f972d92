"""What is wrong with some parts of what is asked of a subscriber, while others are not known: each fault with its part.

Nothing is locked or written. Whether a name is taken is told only of a customer who is known: it may be their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.encoder import safe_username
from radius.errors import EncodingRefused, UsernameRefused, UsernameTaken
from radius.plan_errors import PlanUnknown
from radius.plans.plans import find_plan
from radius.projection.projection import FramedAddresses, checked_addresses
from radius.subscribers.external_ids import external_id_faults
from radius.subscribers.former_names import refuse_taken
from radius.subscribers.requests import SubscriberRequest, made_before
from radius.tables import Subscriber
from radius.verb_errors import ExternalIdTaken


async def faults_by_part(
    db: AsyncSession, tenant_id: str, said: Mapping[str, Any], *, asker: int | None = None
) -> list[tuple[str, str]]:
    """Of ``username``, ``customer_id``, ``plan``, ``garden``, ``ipv4_pool`` and ``external_id``. ``asker`` is who asks
    for another name or number; without one a new subscriber is asked for."""
    faults: list[tuple[str, str]] = []
    if said.get("username") is not None:
        faults += [("username", fault) for fault in await _of_name(db, tenant_id, said, asker)]
    for part in ("plan", "garden"):
        if said.get(part) is not None:
            try:
                await find_plan(db, tenant_id, said[part])
            except PlanUnknown as unknown:
                faults.append((part, str(unknown)))
    faults += [("ipv4_pool", fault) for fault in _of_pool(said)]
    if said.get("external_id") is not None:
        faults += [("external_id", fault) for fault in await _of_number(db, tenant_id, said, asker)]
    return faults


async def _of_name(db: AsyncSession, tenant_id: str, said: Mapping[str, Any], asker: int | None) -> list[str]:
    username, customer_id = said["username"], said.get("customer_id")
    try:
        safe_username(username)
        if customer_id is not None:
            await refuse_taken(db, tenant_id, customer_id, username, asker=asker)
    except UsernameRefused as refused:
        return [str(refused)]
    except UsernameTaken as taken:
        if asker is None and "plan" in said:
            pool, number = FramedAddresses(ipv4_pool=said.get("ipv4_pool")), said.get("external_id")
            request = SubscriberRequest(customer_id or 0, username, said["plan"], None, pool, number)
            if await made_before(db, tenant_id, request, None) is not None:
                return []
        return [str(taken)]
    return []


def _of_pool(said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("ipv4_pool") is not None:
        try:
            checked_addresses("the subscriber", FramedAddresses(ipv4_pool=said["ipv4_pool"]))
        except EncodingRefused as refused:
            yield str(refused)


async def _of_number(db: AsyncSession, tenant_id: str, said: Mapping[str, Any], asker: int | None) -> list[str]:
    number = said["external_id"]
    if faults := external_id_faults(number):
        return faults
    mine = select(Subscriber.id, Subscriber.username).where(
        Subscriber.tenant_id == tenant_id, Subscriber.external_id == number, Subscriber.state != "terminated"
    )
    holder = (await db.execute(mine)).first()
    if holder is None or (holder.username == said.get("username") if asker is None else holder.id == asker):
        return []
    return [str(ExternalIdTaken(number))]
