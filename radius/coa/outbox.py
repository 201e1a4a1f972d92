"""A change of a subscriber and what its open sessions are to be told, kept in one transaction and read again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.former import each_once, inherited, kept
from radius.coa.tables import Act, SessionChange, SessionTreatment
from radius.coa.treatment import Treated
from radius.errors import RequestConflict, RequestRefused, SessionChangeUnknown
from radius.escapes import shown
from radius.lists import among, insert_rows
from radius.plans.gardens import in_garden
from radius.plans.history import FormerTerms, ever_said, ever_said_in_garden
from radius.plans.terms import PlanTerms, terms_of
from radius.results import SessionChangeView, TreatedSession
from radius.subscribers.requests import MAX_REQUEST_ID_LENGTH
from radius.tables import Plan, Subscriber

_AT_ONCE = 2000
_TREATED = [getattr(SessionTreatment, each.name) for each in fields(Treated)]


async def former_of(db: AsyncSession, subscriber: Subscriber) -> list[FormerTerms]:
    """What sessions of this subscriber may have: what its plan says and said, or its garden over its plan."""
    plan, garden = await _plans_of(db, subscriber)
    return await (ever_said(db, plan) if garden is None else ever_said_in_garden(db, plan, garden))


async def as_served(db: AsyncSession, subscriber: Subscriber) -> list[FormerTerms]:
    """The same where sessions go on with what they have, whatever that is."""
    return [FormerTerms(await served_terms(db, subscriber))]


async def served_terms(db: AsyncSession, subscriber: Subscriber) -> PlanTerms:
    """What a session of this subscriber has: its plan's terms, or those of its garden over its plan."""
    plan, garden = await _plans_of(db, subscriber)
    return terms_of(plan) if garden is None else in_garden(terms_of(plan), terms_of(garden))


async def _plans_of(db: AsyncSession, subscriber: Subscriber) -> tuple[Plan, Plan | None]:
    plan = await db.get_one(Plan, subscriber.plan_id)
    garden_id = subscriber.over_plan_id
    return plan, None if garden_id is None else await db.get_one(Plan, garden_id)


def fingerprint(act: Act, subscriber_id: int, **said: object) -> str:
    """Equal for equal requests."""
    return fingerprints(act, [subscriber_id], **said)[subscriber_id]


def fingerprints(act: Act, subscriber_ids: Iterable[int], **said: object) -> dict[int, str]:
    """The same of many of whom the same is asked."""
    every = json.dumps(said, sort_keys=True)  # once for all of them
    return {each: hashlib.sha256(f'["{act}", {each}, {every}]'.encode()).hexdigest() for each in subscriber_ids}


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
    former: Sequence[FormerTerms],
    must_end: bool,
    request: tuple[str | None, str],
    now: datetime,
) -> SessionChange:
    """The change of a locked subscriber, due at once. What an earlier one has not shown yet comes to it.

    Raises:
        RequestConflict: another subscriber's change has this request id by now.
    """
    terms, earlier = [*former], await newest(db, subscriber)
    if earlier is not None and earlier.state == "pending":
        terms += inherited(earlier)
        earlier.state, earlier.settled_at = "superseded", now
    request_id, mark = request
    change = SessionChange(
        tenant_id=subscriber.tenant_id,
        subscriber_id=subscriber.id,
        act=act,
        request_id=request_id,
        request_fingerprint=mark,
        former=kept(each_once(terms)),
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


async def add_changes(
    db: AsyncSession,
    made: Sequence[tuple[Subscriber, Sequence[FormerTerms], str]],
    act: Act,
    *,
    must_end: bool = False,
    now: datetime,
) -> None:
    """The same for many locked subscribers of one tenant, each with what its sessions may have and the fingerprint of
    what is asked for, which nobody has given a request id."""
    for start in range(0, len(made), _AT_ONCE):
        some = made[start : start + _AT_ONCE]
        tenant_id, numbers = some[0][0].tenant_id, [subscriber.id for subscriber, _, _ in some]
        pending = select(SessionChange).where(
            SessionChange.tenant_id == tenant_id,
            among(db, SessionChange.subscriber_id, numbers),
            SessionChange.state == "pending",
        )
        # in one order, as others lock several of them
        held = await db.scalars(pending.order_by(SessionChange.id).with_for_update())
        earlier = {change.subscriber_id: change for change in held}
        rows = []
        for subscriber, former, mark in some:
            before = earlier.get(subscriber.id)
            terms = [*former, *([] if before is None else inherited(before))]
            if before is not None:
                before.state, before.settled_at = "superseded", now
            rows.append(
                {
                    "tenant_id": tenant_id,
                    "subscriber_id": subscriber.id,
                    "act": act,
                    "request_fingerprint": mark,
                    "former": kept(each_once(terms)),
                    "must_end": must_end,
                    "state": "pending",
                    "attempts": 0,
                    "due_at": now,
                    "created_at": now,
                }
            )
        await db.flush()
        await insert_rows(db, cast(Table, SessionChange.__table__), rows)


async def change_of(db: AsyncSession, tenant_id: str, change_id: int) -> SessionChange:
    """The change, or ``SessionChangeUnknown``."""
    change = await db.scalar(
        select(SessionChange).where(SessionChange.tenant_id == tenant_id, SessionChange.id == change_id)
    )
    if change is None:
        raise SessionChangeUnknown(change_id)
    return change


async def treatments_of(db: AsyncSession, change_ids: Sequence[int]) -> list[Treated]:
    """Every session of these changes."""
    found = select(*_TREATED).where(among(db, SessionTreatment.change_id, change_ids))
    return [Treated(*row) for row in await db.execute(found.order_by(SessionTreatment.id))]


async def views(db: AsyncSession, changes: Sequence[SessionChange]) -> list[SessionChangeView]:
    """The changes with what became of each session."""
    treated = await treatments_of(db, [change.id for change in changes])
    return [_view(change, (each for each in treated if each.change_id == change.id)) for change in changes]


def _view(change: SessionChange, treated: Iterable[Treated]) -> SessionChangeView:
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
                session_id=shown(each.session_id),
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
