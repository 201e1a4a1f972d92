"""What one subscriber has used under a name that others had before or after it. ``radius_usage_daily`` goes by names
alone, so what stands there is shared out by the sessions, in radacct and the archive, whose owner is known.

Of days on which sessions of several are counted, nobody is charged with more than is surely its own: with the least
that its own sessions, or what is left beside those of the others, amount to. That is exact wherever the sessions of one
of them lie within those days, or nobody else's lie behind them. Where no session is kept any more, a day is of the one
who had the name as it began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_session_archive, radius_usage_daily
from radius.sessions.usage import PAST_MIDNIGHT, Used, days_between, growth, midnight, sessions_and_counted
from radius.subscribers.name_holders import HeldName


@dataclass(frozen=True)
class OwnUse:
    """Of one subscriber under one name: ``days`` are what is counted by days and ``grown`` what its sessions have used
    since. ``of_begun`` is all that the sessions which began within the span have used, whatever day it is of."""

    days: Sequence[Used]
    grown: Sequence[Used]
    of_begun: Used


@dataclass(frozen=True)
class _Counted:
    """What of a session is in the days, and the days that it may be of."""

    is_own: bool
    used: Used


async def own_use(
    db: AsyncSession, held: Collection[HeldName], *, first_day: date, began_before: datetime
) -> Mapping[tuple[str, int | None], OwnUse]:
    """By name and owner, from the begin of the first day (UTC) on; ``began_before`` leaves out what a NAS' wrong clock
    puts later. ``db`` is the radius database's."""
    names = {each.username for each in held}
    days: dict[str, list[Used]] = {name: [] for name in names}
    for row in await db.execute(_days(names, first_day)):
        days[row.username].append(Used(*row))
    sessions: dict[str, list[Row[Any]]] = {name: [] for name in names}
    for statement in (_in_radacct(names, first_day), _in_archive(names, first_day)):
        for row in await db.execute(statement):
            sessions[row.username].append(row)
    return {
        (each.username, each.owner): _own_use(
            each, days[each.username], sessions[each.username], first_day, began_before
        )
        for each in held
    }


def _days(names: Collection[str], first_day: date) -> Select[Any]:
    columns = radius_usage_daily.c
    found = (columns.username, columns.since_day, columns.day)
    used = (columns.input_octets, columns.output_octets, columns.session_seconds)
    return select(*found, *used).where(columns.username.in_(names), columns.day >= first_day)


def _heard_since(table: Table, names: Collection[str], first_day: date) -> tuple[ColumnElement[bool], ...]:
    at = midnight(first_day)
    heard = or_(table.c.acctstoptime >= at, table.c.acctupdatetime >= at, table.c.acctstoptime.is_(None))
    return (table.c.username.in_(names), heard)


def _in_radacct(names: Collection[str], first_day: date) -> Select[Any]:
    return sessions_and_counted(*_heard_since(radacct, names, first_day)).add_columns(radacct.c["class"].label("label"))


def _in_archive(names: Collection[str], first_day: date) -> Select[Any]:
    """All of them is counted."""
    of = radius_session_archive.c
    counted = {"counted_input": of.acctinputoctets, "counted_output": of.acctoutputoctets}
    columns = [
        *(of.radacctid, of.username, of.acctstarttime, of.acctupdatetime, of.acctstoptime),
        *(of.acctinputoctets, of.acctoutputoctets, of.acctsessiontime),
        *(func.coalesce(told, 0).label(name) for name, told in counted.items()),
        func.coalesce(of.acctsessiontime, 0).label("counted_seconds"),
        of.acctstoptime.label("counted_until"),
        of["class"].label("label"),
    ]
    return select(*columns).where(*_heard_since(radius_session_archive, names, first_day))


def _own_use(
    held: HeldName, days: Sequence[Used], rows: Sequence[Row[Any]], first_day: date, began_before: datetime
) -> OwnUse:
    whose = [(row, not held.is_anothers(row.label, row.acctstarttime)) for row in rows]
    own = [row for row, is_own in whose if is_own and row.acctstarttime and row.acctstarttime < began_before]
    counted = [one for row, is_own in whose if (one := _counted(row, is_own=is_own))]
    begun = [row for row in own if row.acctstarttime >= midnight(first_day)]
    shares = (_share(held, one, [each for each in days if each is not one], counted, first_day) for one in days)
    return OwnUse(
        days=[share for share in shares if share is not None],
        grown=[grown for row in own if (grown := growth(row)) is not None],
        of_begun=_sum(_told(row) for row in begun),
    )


def _counted(row: Row[Any], *, is_own: bool) -> _Counted | None:
    """None: nothing is. Each night an open session is noted as counted, also one that was not heard for weeks, of which
    nothing is counted behind its last word."""
    began, until = row.acctstarttime, row.counted_until
    if until is None:
        return None
    first, last = days_between(began or until, until)
    told = row.acctstoptime or row.acctupdatetime or began or until
    # what came in late is of the day on which it came
    last = min(last, max(first, (told + PAST_MIDNIGHT).date()))
    octets = (row.counted_input or 0, row.counted_output or 0, row.counted_seconds or 0)
    return _Counted(is_own, Used(row.username, first, last, *octets))


def _told(row: Row[Any]) -> Used:
    """All that a session is known to have used."""
    pairs = (
        (row.acctinputoctets, row.counted_input),
        (row.acctoutputoctets, row.counted_output),
        (row.acctsessiontime, row.counted_seconds),
    )
    day = row.acctstarttime.date()
    return Used(row.username, day, day, *(max(told or 0, counted or 0) for told, counted in pairs))


def _share(
    held: HeldName, piece: Used, others: Sequence[Used], counted: Sequence[_Counted], first_day: date
) -> Used | None:
    """What of a piece is the owner's; None: it had no part in it."""
    parts = [
        each for each in counted if each.used.first_day <= piece.first_day and each.used.last_day >= piece.last_day
    ]
    own, anothers = [one for one in parts if one.is_own], [one for one in parts if not one.is_own]
    if not parts:
        return piece if held.had_at(midnight(piece.first_day)) == held.owner else None
    if not own or not anothers:
        return piece if own else None
    days = (piece.first_day, piece.last_day)
    surely = [
        _sum(each.used for each in own if (each.used.first_day, each.used.last_day) == days),
        _less(piece, (each.used for each in anothers)),
    ]
    if piece.first_day >= first_day:  # else not all of the others are known
        begun = _sum(each.used for each in counted if each.is_own and each.used.first_day >= piece.first_day)
        surely.append(_less(begun, (each for each in others if each.last_day >= piece.first_day)))
    amounts = {name: max(0, *(getattr(each, name) for each in surely)) for name in _AMOUNTS}
    return replace(piece, **{name: min(amount, getattr(piece, name)) for name, amount in amounts.items()})


_AMOUNTS = ("input_octets", "output_octets", "session_seconds")
_NOTHING = Used("", date.min, date.min, 0, 0, 0)


def _sum(used: Iterable[Used]) -> Used:
    total = _NOTHING
    for one in used:
        total = total.plus(one)
    return total


def _less(used: Used, others: Iterable[Used]) -> Used:
    """What is left, which may be below zero."""
    taken = _sum(others)
    return replace(used, **{name: getattr(used, name) - getattr(taken, name) for name in _AMOUNTS})
