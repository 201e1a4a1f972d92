"""What the sessions of a subscriber were told of by earlier changes, and which of them began rightly under those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.dynamic_authorization import SESSION_CONTEXT_NOT_FOUND
from radius.coa.outbox import treatments_of
from radius.coa.tables import SessionChange, SessionTreatment
from radius.coa.treatment import Carried, Treated
from radius.lists import among
from radius.plans.history import FormerTerms


@dataclass(frozen=True)
class LastTold:
    """When a session was last brought to what it had before a change, and whether it was asked for something since that
    may have come through. ``was_unknown``: its NAS has said that it knows of no such session, for the first time after
    accounting had told of it ``heard_at``."""

    at: datetime | None = None
    asked_since: bool = False
    was_unknown: bool = False
    heard_at: datetime | None = None


@dataclass(frozen=True)
class EarlierChange:
    """One that another has followed before it was borne out."""

    id: int
    carried: Carried
    treated: Sequence[Treated]


async def last_told(db: AsyncSession, tenant_id: str, changes: Mapping[int, int]) -> dict[int, dict[int, LastTold]]:
    """By change, of its subscriber's sessions, by their numbers in accounting, those that have been told of changes up
    to that one. ``changes``: the subscriber of each."""
    if not changes:
        return {}
    kept = SessionTreatment
    asked = (
        select(
            *(SessionChange.subscriber_id, kept.change_id, kept.radacct_id, kept.said, kept.error_cause),
            *(kept.asked_at, kept.confirmed_at, kept.heard_at),
        )
        .join(SessionChange, SessionChange.id == kept.change_id)
        .where(
            SessionChange.tenant_id == tenant_id,
            among(db, SessionChange.subscriber_id, set(changes.values())),
            kept.asked_at.is_not(None),
            kept.said.in_(("changed", "unanswered", "refused", "unknown_to_nas")),
        )
        .order_by(kept.id)
    )
    of_subscriber: dict[int, list[Any]] = {}
    for row in await db.execute(asked):
        of_subscriber.setdefault(row.subscriber_id, []).append(row)
    return {change_id: _told_up_to(change_id, of_subscriber.get(whose, ())) for change_id, whose in changes.items()}


def _told_up_to(change_id: int, asked: Iterable[Any]) -> dict[int, LastTold]:
    told: dict[int, LastTold] = {}
    for each in asked:
        if each.change_id > change_id:
            continue
        before = told.get(each.radacct_id, LastTold())
        if each.said == "changed" and each.confirmed_at is not None and each.change_id != change_id:
            before = replace(before, at=each.asked_at, asked_since=False)
        elif each.said != "unknown_to_nas":
            before = replace(before, asked_since=True)
        if each.said == "changed":  # it knows it
            before = replace(before, was_unknown=False, heard_at=None)
        elif each.error_cause == SESSION_CONTEXT_NOT_FOUND and not before.was_unknown:
            before = replace(before, was_unknown=True, heard_at=each.heard_at)
        told[each.radacct_id] = before
    return told


async def earlier_ones(
    db: AsyncSession, tenant_id: str, changes: Mapping[int, tuple[int, Sequence[FormerTerms]]]
) -> dict[int, list[EarlierChange]]:
    """By change the earlier ones that FreeRADIUS showed before it, the newest first, as far as it has taken something
    over from them. ``changes``: of each its subscriber, and what its sessions may have."""
    since = {
        number: min((each.until_change for each in former if each.until_change is not None), default=None)
        for number, (_, former) in changes.items()
    }
    follows = {number: first for number, first in since.items() if first is not None}
    if not follows:
        return {}
    whose = {changes[number][0] for number in follows}
    made: dict[int, list[EarlierChange]] = {each: [] for each in whose}
    shown = (
        select(SessionChange.id, SessionChange.subscriber_id, SessionChange.carried_at, SessionChange.right_above)
        .where(SessionChange.tenant_id == tenant_id, among(db, SessionChange.subscriber_id, whose))
        .where(SessionChange.id >= min(follows.values()), SessionChange.carried_at.is_not(None))
        .order_by(SessionChange.id.desc())
    )
    found = list(await db.execute(shown))
    treated: dict[int, list[Treated]] = {row.id: [] for row in found}
    for each in await treatments_of(db, list(treated)):
        treated[each.change_id].append(each)
    for row in found:
        one = EarlierChange(row.id, Carried(row.carried_at, row.right_above), treated[row.id])
        made[row.subscriber_id].append(one)
    return {
        number: [each for each in made[changes[number][0]] if first <= each.id < number]
        for number, first in follows.items()
    }
