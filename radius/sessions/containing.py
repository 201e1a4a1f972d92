"""Which of the prefixes that sessions ever had contain an address: whoever had one of them had the address."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from ipaddress import IPv6Network
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    not_,
    select,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.ext.asyncio import AsyncSession

from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import dialect_of
from radius.sessions.sessions import PREFIXES
from radius.sessions.tables import radius_session_archive

SHORTEST_PREFIX = 32
"""No line is given a shorter IPv6 prefix."""


async def prefixes_that_contain(db: AsyncSession, asked: IPv6Network) -> list[tuple[str, str]]:
    """The name of a column of ``PREFIXES`` and a prefix that stands in it as it stands there, for each that contains
    what is asked for or is it. One with bits behind its length is found on PostgreSQL alone."""
    shortest = min(SHORTEST_PREFIX, asked.prefixlen)
    if dialect_of(db) == "postgresql":
        found = await db.execute(_nearest(), {"address": str(asked), "shortest": shortest})
    else:
        lengths = range(shortest, asked.prefixlen + 1)
        containing = [str(asked.supernet(new_prefix=length)) for length in lengths]
        found = await db.execute(_of_any_length(), {"containing": containing})
    return [(name, prefix) for name, prefix in found]


@cache
def _of_any_length() -> Select[Any]:
    """On SQLite, where they are texts and to look costs next to nothing."""
    each = []
    for table in (radacct, radius_session_archive):
        for name in PREFIXES:
            column = table.c[name]
            among = bindparam("containing", expanding=True, type_=Text)
            held = select(literal_column(f"'{name}'", Text).label("name"), column.label("prefix"))
            each.append(held.where(column.is_not(None), column.in_(among)))
    found = union(*each).subquery()
    return select(found.c.name, found.c.prefix)


@cache
def _nearest() -> Select[Any]:
    """On PostgreSQL, which sorts a prefix before what it contains: the last one up to the address either contains it,
    or shows how long the next that does can be, and what is between is never looked at. A look for each of a hundred
    lengths, into each part of the archive, took twice as long."""
    asked = _asked()
    each = []
    for name in PREFIXES:
        begin = select(_up_to_length(func.masklen(asked)).label("bound"), cast(None, INET).label("found"))
        step = begin.cte(f"{name}_step", recursive=True)
        step = step.union_all(_next_step(name, step.c.bound))
        told = select(literal_column(f"'{name}'", Text).label("name"), cast(step.c.found, Text).label("prefix"))
        each.append(told.where(_contains(step.c.found, asked), func.masklen(step.c.found) >= _shortest()))
    found = union_all(*each).subquery()
    return select(found.c.name, found.c.prefix)


def _next_step(name: str, bound: ColumnElement[Any]) -> Select[Any]:
    """The last prefix up to the bound, and the next bound, which is before that prefix: none, if no other can be
    wanted. One may have bits behind its length, as its NAS said it; of one length those come after the one without."""
    asked = _asked()
    last = select(_last_up_to(name, bound).label("found")).where(bound.is_not(None))
    found = last.offset(literal_column("0")).subquery().c.found  # else it is looked for wherever it is named
    length = case(
        (func.family(found) != func.family(asked), -1),
        (not_(_contains(found, asked)), func.masklen(cast(func.inet_merge(found, asked), INET))),
        else_=func.masklen(found) - 1,
    )
    has_bits_behind = _contains(found, asked) & (found != func.network(found, type_=INET))
    following = case(
        (has_bits_behind, found.op("-")(literal_column("1"))), (length >= _shortest(), _up_to_length(length))
    )
    return select(following, found).where(found.is_not(None))


def _up_to_length(length: ColumnElement[Any]) -> ColumnElement[Any]:
    """The last that there can be of the prefixes of that length, and of shorter ones, that contain the address."""
    return func.broadcast(func.set_masklen(_asked(), length), type_=INET)


def _last_up_to(name: str, bound: ColumnElement[Any]) -> ColumnElement[Any]:
    last: Sequence[ColumnElement[Any]] = [
        select(table.c[name])
        .where(table.c[name] <= bound)
        .order_by(table.c[name].desc())
        .limit(literal_column("1"))
        .scalar_subquery()
        for table in (radacct, radius_session_archive)
    ]
    return func.greatest(*last, type_=INET)


def _asked() -> ColumnElement[Any]:
    return cast(bindparam("address", type_=String), INET)


def _shortest() -> ColumnElement[int]:
    return bindparam("shortest", type_=Integer)


def _contains(prefix: ColumnElement[Any], asked: ColumnElement[Any]) -> ColumnElement[bool]:
    return prefix.op(">>=", is_comparison=True)(asked)
