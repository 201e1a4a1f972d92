"""Whose a session is where several have had its name one after the other: the last one was terminated, and somebody has
the name by now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.lists import among
from radius.projection.projection import class_label
from radius.tables import Subscriber


@dataclass(frozen=True)
class Namesake:
    """Who has, or had, a name: since when, and what its sessions bear as their Class."""

    subscriber_id: int
    since: datetime
    label: str


Namesakes = Mapping[str, Sequence[Namesake]]
"""Of each name that several have had, who, the first one first."""


async def namesakes_of(db: AsyncSession, tenant_id: str, names: Collection[str]) -> Namesakes:
    """Of these names."""
    columns = (Subscriber.username, Subscriber.id, Subscriber.created_at, Subscriber.service_id)
    mine = select(*columns).where(Subscriber.tenant_id == tenant_id, among(db, Subscriber.username, names))
    found: dict[str, list[Namesake]] = {}
    for name, number, since, service_id in await db.execute(mine.order_by(Subscriber.created_at, Subscriber.id)):
        found.setdefault(name, []).append(Namesake(number, since, class_label(number, service_id)))
    return {name: whose for name, whose in found.items() if len(whose) > 1}


def owner_of(label: str | None, began: datetime | None, namesakes: Sequence[Namesake]) -> int:
    """The number of the one whose a session is: by its Class, which the NAS repeats; where that doesn't tell, by when
    it began, which is as right as the clock of its NAS."""
    bearers = [each for each in namesakes if each.label == label]
    if len(bearers) == 1:
        return bearers[0].subscriber_id
    before = [each for each in namesakes if began is None or each.since <= began]
    return (before[-1] if before else namesakes[0]).subscriber_id
