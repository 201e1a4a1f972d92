"""Whose a session is where several have had its name one after the other: the last one was terminated, or goes by
another name since, and somebody has this one by now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.lists import among
from radius.projection.labels import LABEL
from radius.projection.projection import class_label
from radius.sessions.sessions import Session
from radius.subscribers.name_holders import Holder, holders_of, owner_of
from radius.tables import Subscriber

Namesakes = Mapping[str, Sequence[Holder]]
"""Of each name that several have had, who, the first one first."""


class SessionMark(NamedTuple):
    """What of a session tells whose it is."""

    username: str
    label: str | None
    began: datetime | None


async def namesakes_of(db: AsyncSession, tenant_id: str, names: Collection[str]) -> Namesakes:
    """Of these names."""
    every = await holders_of(db, tenant_id, names)
    return {name: whose for name, whose in every.items() if len({each.subscriber_id for each in whose}) > 1}


async def bearers_of(db: AsyncSession, tenant_id: str, labels: Collection[str]) -> dict[str, tuple[int, str]]:
    """By Class the number and present name of the one whose sessions bear it. What is no Class of ours is left out, and
    that of a service which several have had one after the other."""
    numbers: dict[str, list[int]] = {"subscriber": [], "service": []}
    for label in labels:
        if said := LABEL.fullmatch(label):
            numbers[said[1]].append(int(said[2]))
    theirs = select(Subscriber.id, Subscriber.service_id, Subscriber.username, Subscriber.tenant_id)
    by_number = theirs.where(among(db, Subscriber.id, numbers["subscriber"]))
    by_service = theirs.where(Subscriber.tenant_id == tenant_id, among(db, Subscriber.service_id, numbers["service"]))
    # asked for both at once, or for the tenant with the number, SQLite would read all of the tenant's subscribers
    rows = [*await db.execute(by_number.where(Subscriber.service_id.is_(None))), *await db.execute(by_service)]
    found: dict[str, list[tuple[int, str]]] = {}
    for number, service_id, username, tenant in rows:
        if tenant == tenant_id:
            found.setdefault(class_label(number, service_id), []).append((number, username))
    return {label: of_one[0] for label, of_one in found.items() if len(of_one) == 1}


async def owners_of(db: AsyncSession, tenant_id: str, marks: Sequence[SessionMark]) -> list[int | None]:
    """Of each of these sessions the number of the one whose it is: by its Class; where that tells nobody, or one of
    several, by who has or had its name. None: nobody here."""
    bearers = await bearers_of(db, tenant_id, {mark.label for mark in marks if mark.label})
    untold = {mark.username for mark in marks if mark.label not in bearers}
    holders = await holders_of(db, tenant_id, untold) if untold else {}
    owners: list[int | None] = []
    for mark in marks:
        if mark.label in bearers:
            owners.append(bearers[mark.label][0])
        else:
            theirs = holders[mark.username]
            owners.append(owner_of(mark.label, mark.began, theirs) if theirs else None)
    return owners


def those_of(who: Collection[int], sessions: Sequence[Session], namesakes: Namesakes) -> list[Session]:
    """The sessions, of those under names of these subscribers, that are not somebody else's who has, or had, such a
    name."""
    return [
        session
        for session in sessions
        if (whose := namesakes.get(session.username)) is None
        or owner_of(session.label, session.started_at, whose) in who
    ]
