"""Looking at plans: which there are, who is served by them, and what FreeRADIUS would tell a NAS of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.dialects import DIALECTS, dialect_named
from radius.plan_errors import RateNotExpressible, SeveralNotExpressible, TermsNotExpressible
from radius.plans.gardens import kept_pieces, only, pieces_of
from radius.plans.plans import find_plan, serves_another
from radius.plans.terms import PlanTerms, columns_of, terms_of
from radius.plans.wording import words_of
from radius.projection.projection import plan_group, plan_rows
from radius.results import DefinedPlan, ListedPlan, RenderedPlan, RenderedRow, UntoldPlan
from radius.tables import Nas, Plan, Subscriber

UNDER_PLAN = ("testing", "active", "suspended")


def plan_view(plan: Plan) -> DefinedPlan:
    """A plan as others see it."""
    return DefinedPlan(
        plan_id=plan.id, name=plan.name, terms=terms_of(plan), version=plan.version, projected=not plan.dirty
    )


async def list_plans(db: AsyncSession, tenant_id: str, *, after_id: int, limit: int) -> list[ListedPlan]:
    """Plans by their numbers, and how many subscribers each has."""
    mine = select(Plan).where(Plan.tenant_id == tenant_id, Plan.id > after_id).order_by(Plan.id).limit(limit)
    plans = list(await db.scalars(mine))
    numbers = [plan.id for plan in plans]
    on_it = await _counted(db, tenant_id, Subscriber.plan_id.in_(numbers), by="plan_id")
    in_it = await _counted(db, tenant_id, Subscriber.garden_plan_id.in_(numbers), by="garden_plan_id")
    return [
        ListedPlan(**plan_view(plan), subscribers=on_it.get(plan.id, 0), in_garden=in_it.get(plan.id, 0))
        for plan in plans
    ]


async def _counted(db: AsyncSession, tenant_id: str, which: ColumnElement[bool], *, by: str) -> Mapping[int, int]:
    column = getattr(Subscriber, by)
    rows = await db.execute(
        select(column, func.count())
        .where(Subscriber.tenant_id == tenant_id, Subscriber.state != "terminated", which)
        .group_by(column)
    )
    return {number: count for number, count in rows}


def served_by(plan: Plan) -> ColumnElement[bool]:
    """Whose sessions have something of this plan: those on it, and those whom it serves in place of theirs."""
    return (
        (Subscriber.tenant_id == plan.tenant_id)
        & Subscriber.state.in_(UNDER_PLAN)
        & or_(Subscriber.plan_id == plan.id, serves_another(plan))
    )


def render_plan(tenant_id: str, name: str, terms: PlanTerms, dialect: str | None = None) -> list[RenderedPlan]:
    """What would stand in its tables for a plan of these terms, for each dialect or for one. Nothing is written.
    The first, ``every``, is what every NAS is told. A dialect that cannot be told such a plan says why. Of both also
    what a line keeps of it in a walled garden, under groups of their own.

    Raises:
        DialectUnknown
    """
    asked = sorted(DIALECTS) if dialect is None else [dialect_named(dialect).name]
    plan = Plan(tenant_id=tenant_id, name=name, **columns_of(terms))
    rows: dict[str, list[RenderedRow]] = {each: [] for each in ("every", *DIALECTS)}
    of_dialect = {
        plan_group(tenant_id, name, each, piece=piece): each for each in DIALECTS for piece in (None, *pieces_of(terms))
    }
    for row in _rows(plan):
        rows[of_dialect.get(row["group"], "every")].append(row)
    return [
        RenderedPlan(dialect="every", rows=rows["every"], faults=[]),
        *(RenderedPlan(dialect=each, rows=rows[each], faults=_faults(each, name, terms)) for each in asked),
    ]


async def said_by_plans(db: AsyncSession, tenant_id: str) -> dict[str, frozenset[tuple[str, str]]]:
    """By the name of each plan the attributes and values that its groups have, whatever the dialect of a NAS."""
    plans = await db.scalars(select(Plan).where(Plan.tenant_id == tenant_id))
    return {plan.name: frozenset((row["attribute"], row["value"]) for row in _rows(plan)) for plan in plans}


async def untold(
    db: AsyncSession, tenant_id: str, *, plan: str | None = None, nas: str | None = None, over: str | None = None
) -> list[UntoldPlan]:
    """Which plans (or one) keep whom they serve out at which NASes (or one), by their names; with ``over``, whom that
    plan serves in place of them, who keeps but a part of what they say (``radius.plans.gardens``).

    Raises:
        PlanUnknown: there is no such plan to serve in their place.
    """
    mine = select(Plan).where(Plan.tenant_id == tenant_id, Plan.where_untold == "refuse_login").order_by(Plan.name)
    theirs = select(Nas).where(Nas.tenant_id == tenant_id, Nas.dialect.in_(DIALECTS)).order_by(Nas.name)
    plans = await db.scalars(mine if plan is None else mine.where(Plan.name == plan))
    nases = (await db.scalars(theirs if nas is None else theirs.where(Nas.name == nas))).all()
    serves = None if over is None else terms_of(await find_plan(db, tenant_id, over))
    return [
        UntoldPlan(plan=each.name, nas=at.name, faults=faults)
        for each in plans
        for at in nases
        if (faults := _faults(at.dialect, each.name, _left_in(terms_of(each), serves)))
    ]


def _left_in(terms: PlanTerms, over: PlanTerms | None) -> PlanTerms:
    return terms if over is None else only(terms, *kept_pieces(terms, over))


def _rows(plan: Plan) -> Iterator[RenderedRow]:
    for row in plan_rows(plan):
        columns = dict(row.columns)
        yield RenderedRow(
            table=row.table,
            group=row.owner,
            attribute=columns["attribute"],
            op=columns["op"],
            value=columns["value"],
        )


def _faults(dialect: str, plan: str, terms: PlanTerms) -> list[str]:
    try:
        words_of(DIALECTS[dialect], plan, terms)
    except SeveralNotExpressible as several:
        return list(several.faults)
    except TermsNotExpressible as refused:
        return list(refused.faults)
    except RateNotExpressible as refused:
        return [str(refused)]
    return []
