"""A change of a subscriber and what its open sessions are to be told, kept in one transaction and read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.change_tables import Act, SessionChange, SessionTreatment
from radius.errors import RequestConflict, RequestRefused, SessionChangeUnknown
from radius.gardens import in_garden
from radius.results import SessionChangeView, TreatedSession
from radius.subscribers import MAX_REQUEST_ID_LENGTH
from radius.tables import Plan, Subscriber
from radius.terms import PlanTerms, terms_of

_LISTS = ("dns_ipv4", "dns_ipv6")


@dataclass(frozen=True)
class FormerTerms:
    """What an open session may have: the terms of a plan as they were when the change was made, and since when they
    were so. A session of before may have the plan's earlier ones, unless that is None."""

    terms: PlanTerms
    since: datetime | None


async def former_of(db: AsyncSession, subscriber: Subscriber) -> FormerTerms:
    """What a session of this subscriber has, if it began since then."""
    plan, garden = await _plans_of(db, subscriber)
    if garden is None:
        return FormerTerms(terms_of(plan), plan.updated_at)
    return FormerTerms(in_garden(terms_of(plan), terms_of(garden)), max(plan.updated_at, garden.updated_at))


async def served_terms(db: AsyncSession, subscriber: Subscriber) -> PlanTerms:
    """What a session of this subscriber has: its plan's terms, or those of its garden over its plan."""
    return (await former_of(db, subscriber)).terms


async def _plans_of(db: AsyncSession, subscriber: Subscriber) -> tuple[Plan, Plan | None]:
    plan = await db.get_one(Plan, subscriber.plan_id)
    garden_id = subscriber.garden_plan_id
    return plan, None if garden_id is None else await db.get_one(Plan, garden_id)


def fingerprint(act: Act, subscriber_id: int, **said: object) -> str:
    """Equal for equal requests."""
    return hashlib.sha256(json.dumps([act, subscriber_id, said], sort_keys=True).encode()).hexdigest()


async def made_before(db: AsyncSession, tenant_id: str, request_id: str | None, mark: str) -> SessionChange | None:
    """What this request has done already.

    Raises:
        RequestRefused, RequestConflict
    """
    if request_id is None:
        return None
    if not (request_id.isprintable() and 1 <= len(request_id) <= MAX_REQUEST_ID_LENGTH):
        raise RequestRefused([f"its request id needs 1 to {MAX_REQUEST_ID_LENGTH} characters that can be seen"])
    earlier = await db.scalar(
        select(SessionChange).where(SessionChange.tenant_id == tenant_id, SessionChange.request_id == request_id)
    )
    if earlier is not None and earlier.request_fingerprint != mark:
        raise RequestConflict(request_id)
    return earlier


async def newest(db: AsyncSession, subscriber: Subscriber) -> SessionChange | None:
    """The change of this subscriber that was made last."""
    mine = select(SessionChange).where(
        SessionChange.tenant_id == subscriber.tenant_id, SessionChange.subscriber_id == subscriber.id
    )
    return await db.scalar(mine.order_by(SessionChange.id.desc()).limit(1))


async def add_change(
    db: AsyncSession,
    subscriber: Subscriber,
    act: Act,
    *,
    former: FormerTerms,
    must_end: bool,
    request: tuple[str | None, str],
    now: datetime,
) -> SessionChange:
    """The change of a locked subscriber, due at once. What an earlier one has not shown yet comes to it.

    Raises:
        RequestConflict: another subscriber's change has this request id by now.
    """
    terms, earlier = [former], await newest(db, subscriber)
    if earlier is not None and earlier.state == "pending":
        terms += former_terms(earlier)
        must_end = must_end or earlier.must_end
        earlier.state, earlier.settled_at = "superseded", now
    request_id, mark = request
    change = SessionChange(
        tenant_id=subscriber.tenant_id,
        subscriber_id=subscriber.id,
        act=act,
        request_id=request_id,
        request_fingerprint=mark,
        former=json.dumps([_kept(each) for each in dict.fromkeys(terms)]),
        must_end=must_end,
        state="pending",
        attempts=0,
        due_at=now,
        created_at=now,
    )
    try:
        async with db.begin_nested():
            db.add(change)
            await db.flush()
    except IntegrityError as exc:
        raise RequestConflict(request_id or "") from exc
    return change


def _kept(former: FormerTerms) -> dict[str, object]:
    since = None if former.since is None else former.since.isoformat()
    return {"terms": asdict(former.terms), "since": since}


def former_terms(change: SessionChange) -> list[FormerTerms]:
    """What its open sessions may have."""
    return [
        FormerTerms(
            terms=PlanTerms(**{**said["terms"], **{name: tuple(said["terms"][name]) for name in _LISTS}}),
            since=None if said["since"] is None else datetime.fromisoformat(said["since"]),
        )
        for said in json.loads(change.former)
    ]


async def brought_at(db: AsyncSession, change: SessionChange) -> dict[int, datetime]:
    """By its number in accounting, when a session was last brought to what it had before this change."""
    brought = (
        select(SessionTreatment.radacct_id, func.max(SessionTreatment.asked_at))
        .join(SessionChange, SessionChange.id == SessionTreatment.change_id)
        .where(
            SessionChange.tenant_id == change.tenant_id,
            SessionChange.subscriber_id == change.subscriber_id,
            SessionChange.id < change.id,
            SessionTreatment.said == "changed",
            SessionTreatment.confirmed_at.is_not(None),
        )
        .group_by(SessionTreatment.radacct_id)
    )
    return {number: at for number, at in await db.execute(brought) if at is not None}


async def change_of(db: AsyncSession, tenant_id: str, change_id: int) -> SessionChange:
    """The change, or ``SessionChangeUnknown``."""
    change = await db.scalar(
        select(SessionChange).where(SessionChange.tenant_id == tenant_id, SessionChange.id == change_id)
    )
    if change is None:
        raise SessionChangeUnknown(change_id)
    return change


async def treatments_of(db: AsyncSession, change_ids: Sequence[int]) -> list[SessionTreatment]:
    """Every session of these changes."""
    found = select(SessionTreatment).where(SessionTreatment.change_id.in_(change_ids))
    return list(await db.scalars(found.order_by(SessionTreatment.id)))


async def views(db: AsyncSession, changes: Sequence[SessionChange]) -> list[SessionChangeView]:
    """The changes with what became of each session."""
    treated = await treatments_of(db, [change.id for change in changes])
    return [_view(change, (each for each in treated if each.change_id == change.id)) for change in changes]


def _view(change: SessionChange, treated: Iterable[SessionTreatment]) -> SessionChangeView:
    return SessionChangeView(
        change_id=change.id,
        subscriber_id=change.subscriber_id,
        act=change.act,
        state=change.state,
        attempts=change.attempts,
        made_at=change.created_at,
        carried_at=change.carried_at,
        settled_at=change.settled_at,
        next_at=change.due_at if change.state == "pending" else None,
        sessions=[
            TreatedSession(
                session_id=each.session_id,
                nas_address=each.nas_address,
                said=each.said,
                error_cause=each.error_cause,
                reason=each.reason,
                asked_at=each.asked_at,
                confirmed_at=each.confirmed_at,
            )
            for each in treated
        ],
    )
