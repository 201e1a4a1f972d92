"""Ports of CGNAT's outside addresses that were two subscribers' at one time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import and_, case, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import format_address
from ipam.bulk import AT_ONCE
from ipam.invariants import Violation
from ipam.nat.meeting import PortSweep
from ipam.nat.rule_rows import HAS_HELD, has_held
from ipam.tables import NatBlock, NatRule

_KEY = (NatBlock.outside, NatBlock.first_port, NatBlock.began_at)
"""In the order of its index, by which the blocks are looked through."""


async def ports_of_two(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """No port of an outside address was two subscribers' at one time, by rules or by logs."""
    return [*await _by_rules(db, tenant_id), *await _by_logs(db, tenant_id)]


async def _by_rules(db: AsyncSession, tenant_id: str) -> list[Violation]:
    other = aliased(NatRule)
    rules = await db.execute(
        select(NatRule.name, other.name.label("other"))
        .join(other, and_(other.tenant_id == NatRule.tenant_id, other.id > NatRule.id))
        .where(
            NatRule.tenant_id == tenant_id,
            NatRule.first_outside <= other.last_outside,
            other.first_outside <= NatRule.last_outside,
            or_(NatRule.until.is_(None), other.since < NatRule.until),
            or_(other.until.is_(None), NatRule.since < other.until),
            HAS_HELD,
            has_held(other),
        )
        .order_by(NatRule.id, other.id)
    )
    return [
        Violation(f"port blocks of pool {row.name}", f"are those of pool {row.other} at the same time") for row in rules
    ]


async def _by_logs(db: AsyncSession, tenant_id: str) -> list[Violation]:
    """Swept and not joined: a day of a large CGNAT has hundreds of thousands of blocks, thousands for each address."""
    sweep, pairs = PortSweep[Any](), list[tuple[Any, Any]]()
    for first, last in await _where_some_may_have_met(db, tenant_id):
        async for rows in _pages(db, tenant_id, first, last):
            pairs += ((row, met) if row.id < met.id else (met, row) for row in rows for met in sweep.met_by(row))
    pairs.sort(key=lambda pair: (pair[0].id, pair[1].id))
    return [
        Violation(
            f"port {format_address(first.outside)}:{first.first_port}",
            f"was given to two at one time, by {first.source} and {second.source}",
        )
        for first, second in pairs
    ]


async def _where_some_may_have_met(db: AsyncSession, tenant_id: str) -> list[tuple[bytes, bytes]]:
    """Outside addresses, from one to another. Those between these have blocks that can't have met.

    That is so where each block had ended before the next one of the same first port began, where all of one first port
    have the same last one, and where that is before the next first port. The database sees it in one go through its
    index, in a third of the time that sweeping takes or less; most boxes give out their ports like this.
    """
    columns = (NatBlock.outside, NatBlock.first_port, NatBlock.last_port, NatBlock.began_at)
    before = (NatBlock.first_port, NatBlock.last_port, NatBlock.ended_at)
    lags = (
        func.lag(column)
        .over(partition_by=NatBlock.outside, order_by=(NatBlock.first_port, NatBlock.began_at))
        .label(f"{column.name}_before")
        for column in before
    )
    each = select(*columns, *lags).where(NatBlock.tenant_id == tenant_id).subquery().c
    same_port = or_(
        each.ended_at_before.is_(None),
        each.ended_at_before > each.began_at,
        each.last_port_before != each.last_port,
    )
    may_meet = case(
        (each.first_port_before == each.first_port, same_port), else_=each.last_port_before >= each.first_port
    )
    of_address = func.max(case((may_meet, 1), else_=0)).label("may_meet")
    addresses = await db.execute(select(each.outside, of_address).group_by(each.outside).order_by(each.outside))
    runs = [[row.outside for row in rows] for may, rows in groupby(addresses, key=attrgetter("may_meet")) if may]
    return [(run[0], run[-1]) for run in runs]


async def _pages(db: AsyncSession, tenant_id: str, first: bytes, last: bytes) -> AsyncIterator[Sequence[Any]]:
    """All blocks of these outside addresses by their key; between two pages others have a turn."""
    page = (
        select(*_KEY, NatBlock.last_port, NatBlock.ended_at, NatBlock.id, NatBlock.source)
        .where(NatBlock.tenant_id == tenant_id, NatBlock.outside <= last)
        .order_by(*_KEY)
        .limit(AT_ONCE)
    )
    rows = (await db.execute(page.where(NatBlock.outside >= first))).all()
    while rows:
        yield rows
        seen = rows[-1]
        # Alone: beside another lower bound SQLite would go through all from that on, for each page.
        after = tuple_(*_KEY) > (seen.outside, seen.first_port, seen.began_at)
        rows = (await db.execute(page.where(after))).all()
