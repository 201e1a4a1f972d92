"""What a subscriber has used: octets of whole days (UTC), each counted once, never backwards.

A session's counters are over its whole life, so what it used is their growth, never a sum of interims. Shortly after
midnight the clock notes how far each session has come (``UsageCount``): by that a session is split at the border of a
day, to within one interim. Where nobody noted it in time, the growth is of several days and is said to be so: such a
piece counts for a span that has all of its days, and is named apart for one that has some.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select

from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_usage_counted

PAST_MIDNIGHT = timedelta(minutes=15)
"""What was told so shortly after a day's end is of that day."""


@dataclass(frozen=True)
class Used:
    """A part of a session's use, of the days from ``first_day`` to ``last_day``."""

    username: str
    first_day: date
    last_day: date
    input_octets: int
    output_octets: int
    session_seconds: int

    def plus(self, other: Used) -> Used:
        return replace(
            self,
            input_octets=self.input_octets + other.input_octets,
            output_octets=self.output_octets + other.output_octets,
            session_seconds=self.session_seconds + other.session_seconds,
        )


def midnight(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), tzinfo=UTC)


def growth(row: Row[Any]) -> Used | None:
    """What a session has used that is not counted yet; None: nothing. Of a row of ``sessions_and_counted``."""
    began = row.counted_until or row.acctstarttime
    ended = row.acctstoptime or row.acctupdatetime or row.acctstarttime
    grown = [
        max(0, (told or 0) - (counted or 0))
        for told, counted in (
            (row.acctinputoctets, row.counted_input),
            (row.acctoutputoctets, row.counted_output),
            (row.acctsessiontime, row.counted_seconds),
        )
    ]
    if began is None or not row.username or not any(grown):
        return None
    first, last = days_between(began, ended)
    return Used(row.username, first, last, *grown)


def days_between(began: datetime, ended: datetime) -> tuple[date, date]:
    """The days that what was used in between may be of."""
    first, last = began.date(), max(began, ended).date()
    if last > first and max(began, ended) - midnight(last) <= PAST_MIDNIGHT:
        last -= timedelta(days=1)
    return first, last


def sessions_and_counted(*which: ColumnElement[bool]) -> Select[Any]:
    """Sessions in radacct, each with what of it is counted."""
    counted = radius_usage_counted.c
    return (
        select(
            radacct.c.radacctid,
            radacct.c.username,
            radacct.c.acctstarttime,
            radacct.c.acctupdatetime,
            radacct.c.acctstoptime,
            radacct.c.acctinputoctets,
            radacct.c.acctoutputoctets,
            radacct.c.acctsessiontime,
            counted.input_octets.label("counted_input"),
            counted.output_octets.label("counted_output"),
            counted.session_seconds.label("counted_seconds"),
            counted.counted_until,
        )
        .outerjoin(radius_usage_counted, counted.radacctid == radacct.c.radacctid)
        .where(*which)
    )


def may_have_grown() -> ColumnElement[bool]:
    """Of sessions in radacct: nothing is counted of them, or less than they tell of."""
    counted = radius_usage_counted.c
    return or_(
        counted.radacctid.is_(None),
        func.coalesce(radacct.c.acctinputoctets, 0) > counted.input_octets,
        func.coalesce(radacct.c.acctoutputoctets, 0) > counted.output_octets,
        and_(radacct.c.acctsessiontime.is_not(None), radacct.c.acctsessiontime > counted.session_seconds),
    )
