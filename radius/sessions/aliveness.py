"""Whether an open session is alive, as SQL: it is to account every so often, and three times of that without a word are
silence.

How often stands where FreeRADIUS reads it: the subscriber's or the plan's Acct-Interim-Interval. A session may have
begun under another plan, so what was seen of it counts if that is more (``acctinterval``). Where neither of them says
anything, what was seen counts from ten minutes on. ``queries.conf`` of ``deploy/freeradius`` says the same for logins.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Table,
    and_,
    case,
    cast,
    extract,
    func,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.treatment import MISSED_INTERIMS
from radius.plans.terms import MIN_INTERIM_SECONDS
from radius.projection.freeradius_tables import radgroupreply, radius_projection, radreply, radusergroup
from radius.projection.radius_database import dialect_of

INTERIM = "Acct-Interim-Interval"
OBSERVED_AT_LEAST_SECONDS = 600
"""One gap may be an interim out of turn, and a server with queries of its own notes the last gap, whatever it was."""
REOPENS = "firstlight"
"""``connectinfo_stop`` of an open session that our accounting queries write: they open it again after it was reaped."""
REAPED = "Lost-Carrier-Reaped"
"""The cause of a session that was closed for its silence: its next word opens it again, its Stop corrects it."""

REOPENED = "Reopened"
"""What stands in the cause's place of a session that is open again, until it is told what has changed meanwhile."""
REPLACED = "Replaced"
"""The cause of a session whose line has begun another: as above, if that word is of a time after the other's Start."""


def in_accounting(username: str) -> str:
    """A name as it may stand there: as it is, since an existing server writes names that ours never would. NUL is in
    none, and PostgreSQL refuses to be asked for it.
    """
    return username.replace("\x00", "\ufffd")


def interval_of(sessions: FromClause, dialect: str) -> ColumnElement[Any]:
    """In seconds how often a session accounts; NULL where nobody has said it and nothing was seen."""
    own = select(func.max(_number(radreply.c.value, dialect))).where(
        radreply.c.username == sessions.c.username, radreply.c.attribute == INTERIM
    )
    plans = (
        select(func.max(_number(radgroupreply.c.value, dialect)))
        .join(radusergroup, radusergroup.c.groupname == radgroupreply.c.groupname)
        .where(radusergroup.c.username == sessions.c.username, radgroupreply.c.attribute == INTERIM)
    )
    declared = func.coalesce(own.scalar_subquery(), plans.scalar_subquery())
    longer = func.max if dialect == "sqlite" else func.greatest
    observed = sessions.c.acctinterval
    at_least = case((observed < OBSERVED_AT_LEAST_SECONDS, OBSERVED_AT_LEAST_SECONDS), else_=observed)
    return func.nullif(longer(func.coalesce(declared, at_least, 0), func.coalesce(observed, 0)), 0)


def seconds_of(moment: Column[Any], dialect: str) -> ColumnElement[Any]:
    """A moment as seconds since 1970."""
    return type_coerce(moment, Integer) if dialect == "sqlite" else extract("epoch", moment)


def silent_at(sessions: Table, moment: float | ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """Whether a session has missed its interims by then (seconds since 1970); NULL where its interval is not known."""
    last = func.coalesce(seconds_of(sessions.c.acctupdatetime, dialect), seconds_of(sessions.c.acctstarttime, dialect))
    return last + MISSED_INTERIMS * interval_of(sessions, dialect) < moment


def shortest_interval(dialect: str) -> ColumnElement[Any]:
    """The least that a plan says, in seconds; NULL where none says it. There are few plans, and many subscribers."""
    return (
        select(func.min(_number(radgroupreply.c.value, dialect)))
        .where(radgroupreply.c.attribute == INTERIM)
        .scalar_subquery()
    )


async def worth_a_look_after(db: AsyncSession) -> timedelta:
    """What was heard of less long ago has missed no interims, whatever it is: so much is cheap to ask."""
    least = await db.scalar(select(shortest_interval(dialect_of(db)))) or MIN_INTERIM_SECONDS
    return MISSED_INTERIMS * timedelta(seconds=max(least, MIN_INTERIM_SECONDS))


def ours(username: ColumnElement[Any], tenant_id: str | ColumnElement[Any]) -> ColumnElement[bool]:
    """Sessions of this tenant's subscribers, and those of nobody who is known here.

    Where all sessions are of one username, that is what should be given and not the column: it is then asked once, and
    not for each session.
    """
    anothers = select(radius_projection.c.name).where(
        radius_projection.c.kind == "subscriber",
        radius_projection.c.name == username,
        radius_projection.c.tenant_id != tenant_id,
    )
    return ~anothers.exists()


def _number(value: Column[Any], dialect: str) -> ColumnElement[Any]:
    """An existing server's row may hold anything."""
    forms = {"sqlite": ("NOT GLOB", "*[^0-9]*"), "postgresql": ("~", "^[0-9]*$")}
    operator, pattern = forms[dialect]
    digits = and_(value.op(operator)(pattern), func.length(value).between(1, 9))
    return case((digits, cast(value, Integer)))
