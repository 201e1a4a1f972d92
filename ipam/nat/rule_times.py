"""Since when a box maps by a rule: also since before it was said here, as after a takeover or a change by night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address
from ipam.bulk import AT_ONCE
from ipam.errors import RequestInvalid
from ipam.nat.contradictions import BLOCK, differs
from ipam.nat.deterministic import PortMapping
from ipam.nat.rule_rows import HAS_HELD, told
from ipam.tables import NatBlock, NatRule


def past(since: datetime, now: datetime) -> None:
    """
    Raises:
        RequestInvalid: it has no zone, or is still to come: then the box may yet be set up otherwise.
    """
    if since.tzinfo is None:
        raise RequestInvalid("since", "has no zone")
    if since > now:
        raise RequestInvalid("since", f"is {told(since)}, which is still to come; say it when the box maps by it")


@dataclass(frozen=True)
class Dated:
    """A rule that is said to hold since a time; ``columns`` are its row's."""

    tenant_id: str
    pool_id: int
    vrf_id: int
    mapping: PortMapping
    columns: dict[str, Any]
    since: datetime


async def refuse_false(db: AsyncSession, rule: Dated, *, old: Any, is_same: bool) -> None:
    """``old`` is the rule of the pool in force, which is dated back if it ``is_same`` and else ends then.

    Raises:
        RequestInvalid: something else is known of that time, so that a port would have been two subscribers'.
    """
    await _refuse_doubled(db, rule, beside=None if old is None else old.id)
    await _refuse_against_logs(db, rule)
    if old is not None and not is_same and rule.since < old.since:
        begins = f"the rule in force of pool {old.name} holds since {told(old.since)}"
        raise RequestInvalid("since", f"is {told(rule.since)}, but {begins}")


async def end_assumed(db: AsyncSession, rule: Dated) -> None:
    """Blocks whose end was only assumed had ended when the rule began, as those have of which no end is known."""
    await db.execute(
        update(NatBlock)
        .where(*_under(rule), NatBlock.began_at < rule.since, NatBlock.ended_at > rule.since)
        .where(NatBlock.end_told.is_(False))
        .values(ended_at=rule.since)
        .execution_options(synchronize_session=False)
    )


async def _refuse_doubled(db: AsyncSession, rule: Dated, *, beside: int | None) -> None:
    """No other rule may have mapped the pool, or onto part of the outside, but the one that is replaced."""
    columns, since = rule.columns, rule.since
    of_outside = and_(
        NatRule.first_outside <= columns["last_outside"], NatRule.last_outside >= columns["first_outside"]
    )
    other = (
        await db.execute(
            select(NatRule.name, NatRule.since, NatRule.until)
            .where(
                NatRule.tenant_id == rule.tenant_id,
                or_(NatRule.pool_id == rule.pool_id, of_outside),
                NatRule.id != (beside or 0),
                or_(NatRule.until.is_(None), NatRule.until > since),
                HAS_HELD,
            )
            .order_by(NatRule.since.desc())
        )
    ).first()
    if other is not None:
        held = f"since {told(other.since)}" if other.until is None else f"until {told(other.until)}"
        raise RequestInvalid("since", f"is {told(since)}, but another rule of pool {other.name} held {held}")


async def _refuse_against_logs(db: AsyncSession, rule: Dated) -> None:
    """What a box has logged is known; what it would have computed is not said over it.

    A block without an end may have ended before the rule began: its log has only not said so. So may one whose end was
    only assumed.
    """
    mapping, since = rule.mapping, rule.since
    logged = (
        select(*BLOCK)
        .where(
            *_under(rule),
            or_(NatBlock.began_at >= since, and_(NatBlock.ended_at > since, NatBlock.end_told.is_not(False))),
        )
        .order_by(NatBlock.id)
        .limit(AT_ONCE)
    )
    rows: Sequence[Any] = ()
    while rows := (await db.execute(logged.where(NatBlock.id > (rows[-1].id if rows else 0)))).all():
        for row in rows:
            if differs(row, mapping, rule.vrf_id):
                block = f"{format_address(row.outside)}:{row.first_port}-{row.last_port}"
                whose = f"log {row.source} gives {block} to {format_address(row.inside)} after that, the rule doesn't"
                raise RequestInvalid("since", f"is {told(since)}, but {whose}")


def _under(rule: Dated) -> tuple[ColumnElement[bool], ...]:
    """Of a block: the rule maps onto its outside address."""
    columns = rule.columns
    of_outside = NatBlock.outside.between(columns["first_outside"], columns["last_outside"])
    return NatBlock.tenant_id == rule.tenant_id, of_outside
