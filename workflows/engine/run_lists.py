"""Lists of runs, as an operator reads them: the newest, what waits for whom, those that somebody may know of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, any_, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import RunRow, RunState


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs."""

    id: int
    journey: str
    business_key: str
    customer_id: int | None
    state: str
    current_step: str | None
    waiting_for: str | None
    waiting_on: str | None
    waiting_since: datetime | None
    wake_at: datetime | None
    reason: str | None
    reason_code: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


# Lists are made of columns of a table: rows of a mapped class would cost twice as much, and nobody changes them.
_RUN = RunRow.__table__.c
SUMMARIES = select(*(_RUN[name] for name in RunSummary.__dataclass_fields__))
"""The columns of a summary and no others: a run's input may be long."""


@dataclass(frozen=True)
class Among:
    """Runs that somebody may know of: for these customers (a query for their numbers), or those of this journey whose
    keys begin so."""

    customers: Select[int]
    journey: str
    key_prefix: str


async def list_runs(
    db: AsyncSession,
    *,
    tenant_id: str,
    states: Sequence[str] = (),
    journey: str | None = None,
    customer_id: int | None = None,
    created: tuple[datetime | None, datetime | None] = (None, None),
    among: Among | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunSummary]:
    """The newest runs first, a page at a time (``before_id``); ``created``: not before, and before these moments."""
    since, until = created
    by_time = since is not None or until is not None
    wanted: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (states, lambda: _RUN.state.in_(states)),
        (journey, lambda: _RUN.journey == journey),
        (customer_id, lambda: _RUN.customer_id == customer_id),
        (since, lambda: _RUN.created_at >= since),
        (until, lambda: _RUN.created_at < until),
        (before_id, lambda: _is_older_than(before_id) if by_time else _RUN.id < before_id),
    ]
    conditions = [_RUN.tenant_id == tenant_id, *(condition() for given, condition in wanted if given)]
    order = (_RUN.created_at.desc(), _RUN.id.desc()) if by_time else (_RUN.id.desc(),)
    query = SUMMARIES.where(*conditions)
    if among is not None:
        ways = _ways_to_know(among, is_postgresql=db.get_bind().dialect.name == "postgresql")
        query = SUMMARIES.where(_RUN.id.in_(_newest_of(ways, conditions, by_time=by_time, limit=limit)))
    return await _summaries(db, query.order_by(*order).limit(limit))


async def knows_run(db: AsyncSession, run_id: int, *, tenant_id: str, among: Among) -> bool:
    """Whether this run is one of those that somebody may know of."""
    query = select(_RUN.id).where(_RUN.id == run_id, _RUN.tenant_id == tenant_id, or_(*among_conditions(among)))
    return await db.scalar(query) is not None


def _is_older_than(run_id: int | None) -> ColumnElement[bool]:
    """In the order of starting, where runs of one moment follow their numbers."""
    mark = RunRow.__table__.alias().c
    moment = select(mark.created_at).where(mark.id == run_id).scalar_subquery()
    return or_(_RUN.created_at < moment, and_(_RUN.created_at == moment, _RUN.id < run_id))


def among_conditions(among: Among) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The two ways to know a run."""
    prefix = _RUN.business_key.startswith(among.key_prefix, autoescape=True)
    return _RUN.customer_id.in_(among.customers), and_(_RUN.journey == among.journey, prefix)


def _ways_to_know(among: Among, *, is_postgresql: bool) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """As ``among_conditions``. PostgreSQL reads every run there is when it is told IN; of an array it looks each value
    up, in an index that has all that is asked."""
    of_customers, of_key = among_conditions(among)
    if is_postgresql:
        of_customers = _RUN.customer_id == any_(func.array(among.customers.scalar_subquery()))
    return of_customers, of_key


def _newest_of(
    ways: Sequence[ColumnElement[bool]], conditions: Sequence[ColumnElement[bool]], *, by_time: bool, limit: int
) -> CompoundSelect[int]:
    """Each of the two ways to know a run has an index of its own, which their OR would leave unused. ``+ 0`` keeps a
    planner from walking all runs in their order until it has met enough of the few that are wanted."""
    order = (_RUN.created_at.desc(), _RUN.id.desc()) if by_time else ((_RUN.id + 0).desc(),)
    newest = [select(_RUN.id).where(*conditions, one).order_by(*order).limit(limit).subquery() for one in ways]
    return union(*(select(one.c.id) for one in newest))


async def find_runs(
    db: AsyncSession,
    *,
    tenant_id: str,
    run_id: int | None = None,
    journeys: Collection[str] = (),
    keys: Sequence[str] = (),
    among: Among | None = None,
) -> list[RunSummary]:
    """The run of that number, and those of these journeys that have one of the business keys; the newest first."""
    known = select(_RUN.id).where(_RUN.tenant_id == tenant_id)
    ways = [] if run_id is None else [known.where(_RUN.id == run_id)]
    if keys:
        ways.append(known.where(_RUN.journey.in_(journeys), _RUN.business_key.in_(keys)))
    if not ways:
        return []
    query = SUMMARIES.where(_RUN.tenant_id == tenant_id, or_(*(_RUN.id.in_(way) for way in ways)))
    if among is not None:
        query = query.where(or_(*among_conditions(among)))
    return await _summaries(db, query.order_by(_RUN.id.desc()))


async def waiting_runs(db: AsyncSession, *, tenant_id: str, waiting_for: str) -> list[RunSummary]:
    """Runs that wait for this signal, the longest waiting first; ``waiting_on`` names what about."""
    query = SUMMARIES.where(
        _RUN.tenant_id == tenant_id, _RUN.state == RunState.PENDING, _RUN.waiting_for == waiting_for
    ).order_by(_RUN.updated_at)
    return await _summaries(db, query)


async def summaries(
    db: AsyncSession, conditions: Sequence[ColumnElement[bool]], *, order: Sequence[ColumnElement[Any]], limit: int
) -> list[RunSummary]:
    """The runs of which this holds, in this order."""
    return await _summaries(db, SUMMARIES.where(*conditions).order_by(*order).limit(limit))


async def _summaries(db: AsyncSession, query: Select[Any]) -> list[RunSummary]:
    return [RunSummary(*row) for row in await db.execute(query)]
