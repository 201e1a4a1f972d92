"""What ``SessionLooks`` asks, as SQL. Each statement is made once: to make it costs more than to have it answered."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Table,
    any_,
    bindparam,
    cast,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql

from radius.projection.freeradius_tables import radacct, radusergroup
from radius.sessions.aliveness import interval_of, ours, silent_at
from radius.sessions.sessions import as_read

STARTS_LOOKED_AT = 50
"""An address is one session's at a time, so who had it began last before; this many of those are looked at."""


def _sessions(table: Table, dialect: str, username: ColumnElement[Any]) -> Select[Any]:
    """Each of the tenant ``tenant_id`` with the interval at which it accounts."""
    interval = interval_of(table, dialect).label("interval_seconds")
    return select(*as_read(table), interval).where(ours(username, bindparam("tenant_id", type_=String)))


@cache
def online_page(dialect: str, asked: frozenset[str]) -> Select[Any]:
    """The open sessions, the newest first. ``asked`` names what the question says: ``nas_address``, ``group`` (who is
    in it), ``before`` (the number of a session), ``not_since`` and ``moment`` (silent since then and at that one)."""
    wanted: list[ColumnElement[bool]] = [radacct.c.acctstoptime.is_(None)]
    if "nas_address" in asked:
        wanted.append(radacct.c.nasipaddress == bindparam("nas_address", type_=radacct.c.nasipaddress.type))
    if "group" in asked:
        member = select(radusergroup.c.username).where(
            radusergroup.c.username == radacct.c.username,
            radusergroup.c.groupname == bindparam("group", type_=String),
        )
        wanted.append(member.exists())
    if "before" in asked:
        wanted.append(radacct.c.radacctid < bindparam("before", type_=Integer))
    if "moment" in asked:
        last = func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime)
        wanted.append(last < bindparam("not_since", type_=radacct.c.acctstarttime.type))
        wanted.append(silent_at(radacct, bindparam("moment", type_=Float), dialect))
    page = _sessions(radacct, dialect, radacct.c.username).where(*wanted).order_by(radacct.c.radacctid.desc())
    return page.limit(bindparam("limit", type_=Integer))


@cache
def users_page(table: Table, dialect: str, *, is_first: bool) -> Select[Any]:
    """The sessions of ``username``, the one that began last first; unless it is the first page, behind the session
    ``before``, which began at ``began``."""
    at, number, username = table.c.acctstarttime, table.c.radacctid, bindparam("username", type_=String)
    page = _sessions(table, dialect, username).where(table.c.username == username, at.is_not(None))
    if not is_first:
        began, before = bindparam("began", type_=at.type), bindparam("before", type_=Integer)
        page = page.where(at <= began, or_(at < began, number < before))
    return page.order_by(at.desc(), number.desc()).limit(bindparam("limit", type_=Integer))


@cache
def numbered(table: Table, dialect: str) -> Select[Any]:
    """The sessions whose number and beginning are among ``keys``, whosever they are."""
    interval = interval_of(table, dialect).label("interval_seconds")
    keys: BindParameter[Any] = bindparam("keys", expanding=True)
    return select(*as_read(table), interval).where(tuple_(table.c.radacctid, table.c.acctstarttime).in_(keys))


@cache
def last_begun(table: Table, dialect: str, column: str, *, is_one: bool) -> Select[Any]:
    """Number, beginning and end of the sessions that have one of ``values`` in that column and began by ``at``.

    Of one value (``value``) the index has them in their order, and those before the last few are not looked at.
    """
    began = table.c.acctstarttime
    return (
        select(
            table.c.radacctid,
            began,
            table.c.acctstoptime,
            table.c.acctterminatecause,
            interval_of(table, dialect).label("interval_seconds"),
        )
        .where(
            table.c[column] == bindparam("value", type_=table.c[column].type)
            if is_one
            else _one_of(table.c[column], dialect),
            ours(table.c.username, bindparam("tenant_id", type_=String)),
            began <= bindparam("at", type_=began.type),
        )
        .order_by(began.desc())
        .limit(STARTS_LOOKED_AT)
    )


def _one_of(column: ColumnElement[Any], dialect: str) -> ColumnElement[bool]:
    """By equality: that is what an index answers on both databases."""
    if dialect == "postgresql":  # as one parameter: a hundred cost more than the question
        values = bindparam("values", type_=postgresql.ARRAY(postgresql.INET))
        return column.is_not(None) & (column == any_(cast(values, postgresql.ARRAY(postgresql.INET))))
    return column.is_not(None) & column.in_(bindparam("values", expanding=True))
