"""Who had a name when: several may have had it, one after the other, and accounting goes by names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.lists import among
from radius.projection.projection import class_label
from radius.subscribers.former_names import IS_GIVEN_UP
from radius.tables import FormerUsername, Subscriber


@dataclass(frozen=True)
class Holder:
    """Who has or had a name: since when, and what its sessions bear as their Class (RFC 2865 s5.25)."""

    subscriber_id: int
    since: datetime
    label: str


def owner_of(label: str | None, began: datetime | None, holders: Sequence[Holder]) -> int:
    """The number of the one, of all who have or had its name, whose a session is: by its Class, which the NAS repeats;
    where that doesn't tell, by when it began, which is as right as the clock of its NAS. What began before anybody had
    the name is the first one's: it may have come with an import."""
    bearers = [each for each in holders if each.label == label] or holders  # one service may have had several
    before = [each for each in bearers if began is None or _second(each.since) <= began]
    return (before[-1] if before else bearers[0]).subscriber_id


def _second(moment: datetime) -> datetime:
    """As accounting has it."""
    return moment.replace(microsecond=0)


@dataclass(frozen=True)
class HeldName:
    """A name of the subscriber ``owner``, and all who have or had it, the first one first. Without holders it is what
    nobody here has or had, and everything under it counts."""

    username: str
    owner: int | None = None
    holders: Sequence[Holder] = ()

    @property
    def is_shared(self) -> bool:
        """Whether what stands under it may be somebody else's."""
        return any(each.subscriber_id != self.owner for each in self.holders)

    def is_anothers(self, label: str | None, began: datetime | None) -> bool:
        """Whether a session under it is somebody else's."""
        return bool(self.holders) and owner_of(label, began, self.holders) != self.owner

    @property
    def spans(self) -> Sequence[tuple[datetime | None, datetime | None]]:
        """From when to when a session under it began that is the owner's, of each time that it had it, the first one
        first; None: nobody else had it before, or has had it since."""
        found: list[tuple[datetime | None, datetime | None]] = []
        for at, each in enumerate(self.holders):
            if each.subscriber_id != self.owner:
                continue
            goes_on = at > 0 and self.holders[at - 1].subscriber_id == self.owner
            since = found.pop()[0] if goes_on else _second(each.since) if at else None
            behind = self.holders[at + 1 : at + 2]
            found.append((since, _second(behind[0].since) if behind else None))
        return found

    def had_at(self, moment: datetime) -> int:
        """Who had it then."""
        return owner_of(None, moment, self.holders)


async def names_of_each(
    db: AsyncSession, tenant_id: str, subscriber_ids: Collection[int]
) -> Mapping[int, Sequence[HeldName]]:
    """By subscriber its name and then every one that it gave up, the latest first: also those that somebody else has
    by now."""
    present = select(Subscriber.id, Subscriber.username, Subscriber.tenant_id).where(
        among(db, Subscriber.id, subscriber_ids)
    )
    former = select(FormerUsername.subscriber_id, FormerUsername.username).where(
        FormerUsername.tenant_id == tenant_id,
        among(db, FormerUsername.subscriber_id, subscriber_ids),
        IS_GIVEN_UP,
    )
    # asked for the tenant as well, SQLite would read all of its subscribers, and below all names that it has seen
    whose = await db.execute(present)
    names: dict[int, list[str]] = {number: [name] for number, name, tenant in whose if tenant == tenant_id}
    for number, name in await db.execute(former.order_by(FormerUsername.id.desc())):
        names[number].append(name)
    holders = await holders_of(db, tenant_id, {name for theirs in names.values() for name in theirs})
    return {number: [HeldName(name, number, holders[name]) for name in theirs] for number, theirs in names.items()}


async def holders_of(db: AsyncSession, tenant_id: str, names: Collection[str]) -> dict[str, list[Holder]]:
    """Of each of these names who has or had it: one that gave it up and took it back is told for each time. Nobody of
    another tenant can have had it (``refuse_taken``)."""
    gave_up = select(FormerUsername.subscriber_id, FormerUsername.tenant_id).where(
        among(db, FormerUsername.username, names)
    )
    columns = (Subscriber.id, Subscriber.service_id, Subscriber.username, Subscriber.created_at)
    whose = select(*columns).where(Subscriber.tenant_id == tenant_id)
    numbers = {number for number, tenant in await db.execute(gave_up) if tenant == tenant_id}
    had = {row.id: row for row in await db.execute(whose.where(among(db, Subscriber.username, names)))}
    if missing := numbers - had.keys():
        had |= {row.id: row for row in await db.execute(whose.where(among(db, Subscriber.id, missing)))}
    given_up = select(FormerUsername.subscriber_id, FormerUsername.username, FormerUsername.given_up_at).where(
        FormerUsername.tenant_id == tenant_id, among(db, FormerUsername.subscriber_id, had)
    )
    former: dict[int, list[tuple[str, datetime]]] = {}
    for number, name, at in await db.execute(given_up.order_by(FormerUsername.given_up_at, FormerUsername.id)):
        former.setdefault(number, []).append((name, at))
    found: dict[str, list[Holder]] = {name: [] for name in names}
    for number, service_id, username, created_at in sorted(had.values(), key=lambda row: row.id):
        label = class_label(number, service_id)
        given = former.get(number, [])
        begins = [created_at, *(until for _, until in given)]
        for name, since in zip([*(name for name, _ in given), username], begins, strict=True):
            if name in found:
                found[name].append(Holder(number, since, label))
    return {name: sorted(each, key=lambda holder: holder.since) for name, each in found.items()}
