"""What ``SessionLooks`` asks of sessions, as SQL. A page is one statement, and each statement is made once: to make
one, or to send one more, costs more than to have it answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Float,
    Integer,
    Select,
    String,
    Subquery,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from radius.projection.freeradius_tables import nas, radacct, radusergroup
from radius.sessions.aliveness import REAPED, REPLACED, interval_of, ours, silent_at
from radius.sessions.sessions import OF_ANY, as_read
from radius.sessions.tables import radius_session_archive

BOTH = (radacct, radius_session_archive)
ENDED_AT_LAST_WORD = (REAPED, REPLACED)
STARTS_LOOKED_AT = 50
"""Nearly always an address is one session's at a time, so who had it began last before; so many are looked at first."""
MOST_HOLDERS = 1000
UNHEARD_FOR = timedelta(days=7)
"""Whoever gave no sign of life for longer had nothing any more, whatever its interval."""


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
        wanted.append(radacct.c.radacctid < bindparam("before", type_=radacct.c.radacctid.type))
    if "moment" in asked:
        last = func.coalesce(radacct.c.acctupdatetime, radacct.c.acctstarttime)
        wanted.append(last < bindparam("not_since", type_=radacct.c.acctstarttime.type))
        wanted.append(silent_at(radacct, bindparam("moment", type_=Float), dialect))
    page = _sessions(radacct, radacct.c.username).where(*wanted).order_by(radacct.c.radacctid.desc())
    found, told = _told([page.limit(bindparam("limit", type_=Integer))], dialect)
    return told.order_by(found.c.radacctid.desc())


@cache
def users_page(dialect: str, names: int, *, is_first: bool) -> Select[Any]:
    """The sessions of ``username0``, ``username1`` and so on, the one that began last first. Unless it is the first
    page, those behind the session whose number is ``before``; none, if it is nobody's of them."""
    usernames = [bindparam(f"username{number}", type_=String) for number in range(names)]
    limit, before = bindparam("limit", type_=Integer), bindparam("before", type_=radacct.c.radacctid.type)
    behind = _began(before, usernames)
    pages = []  # of each name by itself: so they come from its index in their order
    for table in BOTH:
        at, number = table.c.acctstarttime, table.c.radacctid
        for username in usernames:
            page = _sessions(table, username).where(table.c.username == username, at.is_not(None))
            if not is_first:
                began = select(behind.c.began).scalar_subquery()
                page = page.where(at <= began, or_(at < began, number < before))
            pages.append(page.order_by(at.desc(), number.desc()).limit(limit))
    found, told = _told(pages, dialect)
    return told.order_by(found.c.acctstarttime.desc(), found.c.radacctid.desc()).limit(limit)


@cache
def holders(dialect: str, columns: tuple[str, ...], *, every: bool = False) -> Select[Any]:
    """The sessions with ``given0`` in the first of these columns, ``given1`` in the second and so on, that began by
    ``at`` and did not end before, and those of which nobody heard the end; the one that began last first, and twice if
    two columns say so. Of each the index has them in their order, and those before the last few are not looked at,
    unless it is ``every`` one that is asked for.
    """
    pages = []
    for table in BOTH:
        began = table.c.acctstarttime
        at = bindparam("at", type_=began.type)
        for number, name in enumerate(columns):
            given = bindparam(f"given{number}", type_=table.c[name].type)
            held = _sessions(table, table.c.username).where(table.c[name] == given, began <= at)
            if every:
                held = held.where(_had(table, not_before=bindparam("unheard_since", type_=began.type)))
            most = MOST_HOLDERS if every else STARTS_LOOKED_AT
            pages.append(held.order_by(began.desc()).limit(literal_column(str(most))))
    found, told = _told(pages, dialect)
    return told.where(_had(found)).order_by(found.c.acctstarttime.desc(), found.c.radacctid.desc())


def _had(sessions: Table | Subquery, *, not_before: ColumnElement[Any] | None = None) -> ColumnElement[bool]:
    """It was not over at ``at``, as far as anybody knows; ``not_before``: it gave no sign of life since."""
    ended = sessions.c.acctstoptime
    unheard = or_(*(sessions.c.acctterminatecause == cause for cause in ENDED_AT_LAST_WORD))
    lately = unheard if not_before is None else unheard & (ended >= not_before)
    return or_(ended.is_(None), ended >= bindparam("at", type_=ended.type), lately)


def _sessions(table: Table, username: ColumnElement[Any]) -> Select[Any]:
    """Each of the tenant ``tenant_id``, with what ``_told`` has to know of it."""
    mine = ours(username, bindparam("tenant_id", type_=String))
    return select(*(table.c[name] for name in OF_ANY), table.c.acctinterval).where(mine)


def _told(pages: Sequence[Select[Any]], dialect: str) -> tuple[Subquery, Select[Any]]:
    """All that was found, and of each the columns of ``OF_ANY``, the interval at which it accounts, and the name of its
    NAS. An existing server may have a NAS twice."""
    each = [page.subquery() for page in pages]
    found = each[0] if len(each) == 1 else union_all(*(select(page) for page in each)).subquery("found")
    nas_address: ColumnElement[str] = cast(found.c.nasipaddress, Text)
    if dialect == "postgresql":
        nas_address = func.split_part(nas_address, "/", 1)
    its_nas = select(nas.c.shortname).where(nas.c.nasname == nas_address).order_by(nas.c.id).limit(1)
    return found, select(*as_read(found), interval_of(found, dialect), its_nas.scalar_subquery())


def _began(number: ColumnElement[Any], usernames: Sequence[ColumnElement[Any]]) -> CTE:
    """When the session of that number began, if it is one of theirs: found once, however often it is asked for. In the
    archive of a server that was once begun anew a number may stand twice."""
    each = []
    for table in BOTH:
        theirs = select(table.c.acctstarttime).where(table.c.username.in_(usernames), table.c.radacctid == number)
        these = theirs.offset(literal_column("0")).subquery()  # else PostgreSQL may look for the last by time
        each.append(select(func.max(these.c.acctstarttime)))
    began = func.coalesce(*(one.scalar_subquery() for one in each), type_=radacct.c.acctstarttime.type)
    return select(began.label("began")).cte("behind")
