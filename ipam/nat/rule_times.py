"""Since when a box maps by a rule: also since before it was said here, as after a takeover or a change by night."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.errors import RequestInvalid
from ipam.tables import NatRule


def past(since: datetime, now: datetime) -> None:
    """
    Raises:
        RequestInvalid: it has no zone, or is still to come: then the box may yet be set up otherwise.
    """
    if since.tzinfo is None:
        raise RequestInvalid("since", "has no zone")
    if since > now:
        raise RequestInvalid("since", f"is {_told(since)}, which is still to come; say it when the box maps by it")


async def refuse_doubled(
    db: AsyncSession, tenant_id: str, pool_id: int, columns: dict[str, Any], since: datetime, *, beside: int | None
) -> None:
    """From ``since`` on no other rule maps the pool, or onto part of the outside; ``beside`` is what the rule replaces.

    Raises:
        RequestInvalid: one did, so that a port would have been two subscribers' at one time.
    """
    of_outside = and_(
        NatRule.first_outside <= columns["last_outside"], NatRule.last_outside >= columns["first_outside"]
    )
    other = (
        await db.execute(
            select(NatRule.name, NatRule.since, NatRule.until)
            .where(
                NatRule.tenant_id == tenant_id,
                or_(NatRule.pool_id == pool_id, of_outside),
                NatRule.id != (beside or 0),
                # one that was replaced at once has never held
                or_(NatRule.until.is_(None), and_(NatRule.until > since, NatRule.until > NatRule.since)),
            )
            .order_by(NatRule.since.desc())
        )
    ).first()
    if other is not None:
        held = f"since {_told(other.since)}" if other.until is None else f"until {_told(other.until)}"
        raise RequestInvalid("since", f"is {_told(since)}, but another rule of pool {other.name} held {held}")


def refuse_before(rule: Any, since: datetime) -> None:
    """
    Raises:
        RequestInvalid: what is replaced would have ended before it began.
    """
    if since < rule.since:
        begins = f"the rule in force of pool {rule.name} holds since {_told(rule.since)}"
        raise RequestInvalid("since", f"is {_told(since)}, but {begins}")


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
