"""Ports of CGNAT's outside addresses that were two subscribers' at one time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import and_, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import format_address
from ipam.bulk import AT_ONCE
from ipam.invariants import Violation
from ipam.nat.meeting import PortSweep
from ipam.tables import NatBlock, NatRule

_KEY = (NatBlock.outside, NatBlock.first_port, NatBlock.began_at)
"""In the order of its index, by which the blocks are read and swept."""


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
        )
        .order_by(NatRule.id, other.id)
    )
    return [
        Violation(f"port blocks of pool {row.name}", f"are those of pool {row.other} at the same time") for row in rules
    ]


async def _by_logs(db: AsyncSession, tenant_id: str) -> list[Violation]:
    """Swept and not joined: a day of a large CGNAT has hundreds of thousands of blocks, thousands for each address."""
    sweep, pairs = PortSweep[Any](), list[tuple[Any, Any]]()
    async for rows in _pages(db, tenant_id):
        pairs += ((row, met) if row.id < met.id else (met, row) for row in rows for met in sweep.met_by(row))
    pairs.sort(key=lambda pair: (pair[0].id, pair[1].id))
    return [
        Violation(
            f"port {format_address(first.outside)}:{first.first_port}",
            f"was given to two at one time, by {first.source} and {second.source}",
        )
        for first, second in pairs
    ]


async def _pages(db: AsyncSession, tenant_id: str) -> AsyncIterator[Sequence[Any]]:
    """All blocks by their key; between two pages others have a turn."""
    page = (
        select(*_KEY, NatBlock.last_port, NatBlock.ended_at, NatBlock.id, NatBlock.source)
        .where(NatBlock.tenant_id == tenant_id)
        .order_by(*_KEY)
        .limit(AT_ONCE)
    )
    rows = (await db.execute(page)).all()
    while rows:
        yield rows
        last = rows[-1]
        after = tuple_(*_KEY) > (last.outside, last.first_port, last.began_at)
        rows = (await db.execute(page.where(after))).all()
