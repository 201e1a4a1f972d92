"""Whose a session is where several have had its name one after the other: the last one was terminated, or goes by
another name since, and somebody has this one by now.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.lists import among
from radius.projection.projection import class_label
from radius.sessions.sessions import Session
from radius.subscribers.former_names import given_up_by
from radius.tables import FormerUsername, Subscriber


@dataclass(frozen=True)
class Namesake:
    """Who has, or had, a name: since when, and what its sessions bear as their Class."""

    subscriber_id: int
    since: datetime
    label: str


_LABEL = re.compile(r"(subscriber|service)-([1-9][0-9]{0,17})")
Namesakes = Mapping[str, Sequence[Namesake]]
"""Of each name that several have had, who, the first one first."""


@dataclass(frozen=True)
class OwnNames:
    """The names under which sessions of one subscriber stand, the present one first, and who else has or had such a
    name: its sessions are not theirs."""

    names: Sequence[str]
    subscriber_id: int | None = None
    """None: nobody has the name any more, and what stands under it is shown."""
    namesakes: Namesakes = field(default_factory=dict)

    def has(self, username: str, label: str | None, began: datetime | None) -> bool:
        """Whether a session under one of the names is its own."""
        whose = self.namesakes.get(username)
        return whose is None or owner_of(label, began, whose) == self.subscriber_id


async def own_names(db: AsyncSession, tenant_id: str, subscriber_id: int, username: str) -> OwnNames:
    """Of the subscriber with this present name."""
    given_up = (await given_up_by(db, tenant_id, [subscriber_id])).get(subscriber_id, {})
    names = (username, *reversed(given_up))
    return OwnNames(names, subscriber_id, await namesakes_of(db, tenant_id, names))


async def namesakes_of(db: AsyncSession, tenant_id: str, names: Collection[str]) -> Namesakes:
    """Of these names."""
    every = await holders_of(db, tenant_id, names)
    return {name: whose for name, whose in every.items() if len(whose) > 1}


async def holders_of(db: AsyncSession, tenant_id: str, names: Collection[str]) -> Namesakes:
    """Of each of these names everybody who has it, or had it until they were terminated or gave it up; also where it
    was only one. A name that nobody had is left out."""
    columns = (Subscriber.id, Subscriber.created_at, Subscriber.service_id)
    has = select(Subscriber.username, *columns).where(
        Subscriber.tenant_id == tenant_id, among(db, Subscriber.username, names)
    )
    its_own = and_(Subscriber.tenant_id == FormerUsername.tenant_id, Subscriber.id == FormerUsername.subscriber_id)
    had = select(FormerUsername.username, *columns).join(Subscriber, its_own)
    had = had.where(FormerUsername.tenant_id == tenant_id, among(db, FormerUsername.username, names))
    rows = [*await db.execute(has), *await db.execute(had)]
    times = Counter(row.username for row in rows)
    since = await _since(db, tenant_id, {row.id for row in rows if times[row.username] > 1})
    found: dict[str, list[Namesake]] = {}
    for name, number, created_at, service_id in rows:
        whose = found.setdefault(name, [])
        whose.append(Namesake(number, since.get((number, name), created_at), class_label(number, service_id)))
    return {name: sorted(whose, key=lambda each: (each.since, each.subscriber_id)) for name, whose in found.items()}


async def _since(db: AsyncSession, tenant_id: str, numbers: Collection[int]) -> dict[tuple[int, str], datetime]:
    """Since when each of these subscribers has had a name, but for its first one: since it gave up the one before."""
    if not numbers:
        return {}
    mine = (FormerUsername.tenant_id == tenant_id, among(db, FormerUsername.subscriber_id, numbers))
    given_up = select(FormerUsername.subscriber_id, FormerUsername.username, FormerUsername.given_up_at).where(*mine)
    since: dict[tuple[int, str], datetime] = {}
    last: dict[int, datetime] = {}
    for number, name, given_up_at in await db.execute(given_up.order_by(FormerUsername.id)):
        if number in last:
            since[number, name] = last[number]
        last[number] = given_up_at
    present = select(Subscriber.id, Subscriber.username).where(Subscriber.tenant_id == tenant_id)
    for number, name in await db.execute(present.where(among(db, Subscriber.id, list(last)))):
        since[number, name] = last[number]
    return since


async def bearers_of(db: AsyncSession, tenant_id: str, labels: Collection[str]) -> dict[str, tuple[int, str]]:
    """By Class the number and present name of the one whose sessions bear it. What is no Class of ours is left out, and
    that of a service which several have had one after the other."""
    numbers: dict[str, list[int]] = {"subscriber": [], "service": []}
    for label in labels:
        if said := _LABEL.fullmatch(label):
            numbers[said[1]].append(int(said[2]))
    theirs = select(Subscriber.id, Subscriber.service_id, Subscriber.username).where(
        Subscriber.tenant_id == tenant_id,
        or_(
            among(db, Subscriber.id, numbers["subscriber"]) & Subscriber.service_id.is_(None),
            among(db, Subscriber.service_id, numbers["service"]),
        ),
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for number, service_id, username in await db.execute(theirs):
        found.setdefault(class_label(number, service_id), []).append((number, username))
    return {label: of_one[0] for label, of_one in found.items() if len(of_one) == 1}


def those_of(who: Collection[int], sessions: Sequence[Session], namesakes: Namesakes) -> list[Session]:
    """The sessions, of those under names of these subscribers, that are not somebody else's who has, or had, such a
    name."""
    return [
        session
        for session in sessions
        if (whose := namesakes.get(session.username)) is None
        or owner_of(session.label, session.started_at, whose) in who
    ]


def owner_of(label: str | None, began: datetime | None, namesakes: Sequence[Namesake]) -> int:
    """The number of the one whose a session is: by its Class, which the NAS repeats; where that doesn't tell, by when
    it began, which is as right as the clock of its NAS."""
    bearers = [each for each in namesakes if each.label == label] or namesakes  # one service may have had several
    before = [each for each in bearers if began is None or each.since <= began]
    return (before[-1] if before else bearers[0]).subscriber_id
