"""What plans said, and from when to when: a session that began before a change may have what was said then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.plans.gardens import in_garden
from radius.plans.terms import PlanTerms, terms_of
from radius.tables import FormerPlanTerms, Plan

MOST_FORMER = 50
"""So many former terms of a plan are looked at."""
_LISTS = ("dns_ipv4", "dns_ipv6")


@dataclass(frozen=True)
class FormerTerms:
    """What an open session may have: terms of a plan, and from when to when they were so; None: always, and still.

    ``after_others``: before ``since`` there were others of which nothing is known.
    ``until_change``: of an earlier change, which this one follows; who began rightly under that change, or under one
    between the two, does not have them. ``ends``: nor can it be brought from them to what is wanted.
    """

    terms: PlanTerms
    since: datetime | None = None
    until: datetime | None = None
    after_others: bool = False
    until_change: int | None = None
    ends: bool = False


async def keep_former(db: AsyncSession, plan: Plan, terms: PlanTerms, *, now: datetime) -> None:
    """The terms of a locked plan that are about to be others."""
    kept = FormerPlanTerms(
        tenant_id=plan.tenant_id,
        plan_id=plan.id,
        version=plan.version,
        terms=json.dumps(terms_as_json(terms)),
        since=plan.updated_at,
        until=now,
    )
    db.add(kept)
    await db.flush()


async def ever_said(db: AsyncSession, plan: Plan) -> list[FormerTerms]:
    """What a plan says and said, the present terms first."""
    mine = select(FormerPlanTerms).where(
        FormerPlanTerms.tenant_id == plan.tenant_id, FormerPlanTerms.plan_id == plan.id
    )
    former = list(await db.scalars(mine.order_by(FormerPlanTerms.version.desc()).limit(MOST_FORMER)))
    every = [FormerTerms(terms_of(plan), plan.updated_at)]
    every += [FormerTerms(terms_from_json(json.loads(each.terms)), each.since, each.until) for each in former]
    is_whole = (former[-1] if former else plan).version == 1
    oldest = every.pop()
    begins = None if is_whole else oldest.since
    return [*every, FormerTerms(oldest.terms, begins, oldest.until, after_others=not is_whole)]


async def ever_said_in_garden(db: AsyncSession, plan: Plan, garden: Plan) -> list[FormerTerms]:
    """The same of a line in a walled garden: what both said at the same time."""
    plans, gardens = await ever_said(db, plan), await ever_said(db, garden)
    both = []
    for own in plans:
        for walled in gardens:
            since = max((each for each in (own.since, walled.since) if each is not None), default=None)
            until = min((each for each in (own.until, walled.until) if each is not None), default=None)
            if since is None or until is None or since < until:
                after = any(each.after_others and since == each.since for each in (own, walled))
                both.append(FormerTerms(in_garden(own.terms, walled.terms), since, until, after))
    return both


def terms_as_json(terms: PlanTerms) -> dict[str, Any]:
    """As it can be kept."""
    return asdict(terms)


def terms_from_json(said: Mapping[str, Any]) -> PlanTerms:
    """As it was kept."""
    return PlanTerms(**{**said, **{name: tuple(said[name]) for name in _LISTS}})
