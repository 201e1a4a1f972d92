"""All that an allocation must know before it takes anything, in one question to the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    ScalarSelect,
    Text,
    and_,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import CANDIDATE_COLUMNS, Candidate, candidate_from, what_could_be_taken, with_bound
from ipam.allocation.places import (
    PLACE_COLUMNS,
    PLAN_COLUMNS,
    TENANT,
    AnySelect,
    Place,
    Plan,
    find_plan,
    place_from,
    plan_from,
    premise,
)
from ipam.allocation.service_rows import number_of_free_name
from ipam.errors import LocationUnknown, PlanUnknown
from ipam.holdings import subject_of
from ipam.request_faults import RequestFaults
from ipam.tables import BOUND_THERE, AddressPlan, Location, PoolBinding, Service


@dataclass(frozen=True)
class Wish:
    """A request with its names resolved, and what may serve it."""

    place: Place
    plan: Plan
    earlier_service_id: int | None
    """The service that the same request id has already made."""
    next_service_id: int
    bound: Sequence[Candidate]
    """Everything that is bound there, and what could be taken of it when we looked."""


async def resolve(
    db: AsyncSession,
    *,
    tenant_id: str,
    customer_id: int,
    service_location: str,
    plan: str,
    request_id: str | None,
    at: datetime,
) -> Wish:
    """
    Raises:
        LocationUnknown, PlanUnknown: as their names say; RequestInvalid with both.
    """
    given = {
        "tenant_id": tenant_id,
        "location_alias": service_location.strip(),
        "plan": plan,
        "request_id": request_id,
        "customer": subject_of(customer_id, ""),
        "at": at,
    }
    connection = await db.connection()
    rows = (await connection.execute(question(connection.dialect.name), given)).all()
    if not rows:
        faults = RequestFaults()
        faults.note("service_location", LocationUnknown(service_location))
        await faults.look("bandwidth_plan", find_plan(db, tenant_id, plan))
        faults.refuse_if_any()
    first = rows[0]
    if first.plan_id is None:
        raise PlanUnknown(plan)
    found = [candidate_from(row) for row in rows if row.binding_id is not None]
    return Wish(place_from(first), plan_from(first), first.earlier_service_id, first.next_service_id, found)


@cache
def question(dialect: str) -> AnySelect:
    """A row for each binding, or one if there is none. Built once: a statement's shape costs more to build than to
    send."""
    request_id = bindparam("request_id", type_=Text)
    subject = bindparam("customer", type_=Text).concat(cast(Location.id, Text))
    is_sqlite = dialect == "sqlite"
    number = _next_service_id() if is_sqlite else _drawn_service_id().c.service_id
    asked = premise(
        *PLACE_COLUMNS,
        *PLAN_COLUMNS,
        Service.service_id.label("earlier_service_id"),
        number.label("next_service_id"),
        *CANDIDATE_COLUMNS,
        *what_could_be_taken(subject, units=is_sqlite),  # PostgreSQL reads them from the row that it locks
    )
    if not is_sqlite:
        asked = asked.join(number.table, true())
    named = and_(AddressPlan.tenant_id == TENANT, AddressPlan.name == bindparam("plan", type_=Text))
    asked = asked.outerjoin(AddressPlan, named)
    asked = asked.outerjoin(Service, and_(Service.tenant_id == TENANT, Service.request_id == request_id))
    return with_bound(asked.outerjoin(PoolBinding, _bound_there()))


async def number_after(db: AsyncSession, number: int, *, customer_id: int, realm: str) -> int:
    """Another number for a service that nobody has or will have, where this one won't do. SQLite has no sequence that
    would be further on at the next try, so there it is the first one whose username is free."""
    if db.get_bind().dialect.name == "sqlite":
        return await number_of_free_name(db, number + 1, customer_id=customer_id, realm=realm)
    drawn: int = (await db.execute(select(_drawn_service_id().c.service_id))).scalar_one()
    return drawn


def _bound_there() -> Any:
    of_plan = or_(PoolBinding.plan_id.is_(None), PoolBinding.plan_id == AddressPlan.id)
    return and_(PoolBinding.tenant_id == TENANT, BOUND_THERE, of_plan)


def _drawn_service_id() -> CTE:
    """A number that no other service has or will have; the username is made from it before the row is written. Drawn
    once, however many rows the question has."""
    sequence: ColumnElement[Any] = literal_column(f"pg_get_serial_sequence('{Service.__tablename__}', 'service_id')")
    drawn = func.nextval(sequence, type_=Integer)
    return select(drawn.label("service_id")).cte("drawn")


def _next_service_id() -> ScalarSelect[int]:
    """SQLite: the transaction already holds the one write lock, and services are never deleted."""
    return select(func.coalesce(func.max(Service.service_id), 0) + 1).scalar_subquery()
