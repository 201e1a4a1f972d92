"""Rules of port blocks as they stand in the database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import from_bytes, to_bytes
from ipam.nat.deterministic import PortMapping
from ipam.tables import NatRule, Pool, Prefix, Vrf


def has_held(rule: type[NatRule]) -> ColumnElement[bool]:
    """One that was replaced at once never has."""
    return or_(rule.until.is_(None), rule.until > rule.since)


HAS_HELD = has_held(NatRule)


def rules_of(tenant_id: str) -> Any:
    """All that there ever were, each with the VRF of its inside addresses."""
    return (
        select(*NatRule.__table__.columns, Vrf.name.label("vrf"), Vrf.id.label("vrf_id"))
        .join(Pool, Pool.id == NatRule.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .where(NatRule.tenant_id == tenant_id)
    )


async def first_rule(db: AsyncSession, tenant_id: str, *which: ColumnElement[bool]) -> Any:
    """The first of these that ``which`` says; None: none is so."""
    return (await db.execute(rules_of(tenant_id).where(*which))).first()


def held_at(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Of a rule: it held then."""
    return NatRule.since <= at, or_(NatRule.until.is_(None), NatRule.until > at)


def columns_of(mapping: PortMapping) -> dict[str, Any]:
    """What is kept of it."""
    return {
        "first_outside": to_bytes(4, mapping.first_outside),
        "last_outside": to_bytes(4, mapping.first_outside + mapping.outside_count - 1),
        "first_inside": to_bytes(4, mapping.first_inside),
        "inside_count": mapping.inside_count,
        "first_port": mapping.first_port,
        "last_port": mapping.last_port,
        "ports_per_subscriber": mapping.ports_per_subscriber,
        "algorithm": mapping.algorithm,
    }


def mapping_of(rule: Any) -> PortMapping:
    """Of a row of ``rules_of``."""
    first, last = from_bytes(rule.first_outside)[1], from_bytes(rule.last_outside)[1]
    return PortMapping(
        first,
        last - first + 1,
        from_bytes(rule.first_inside)[1],
        rule.inside_count,
        rule.ports_per_subscriber,
        rule.algorithm,
        rule.first_port,
        rule.last_port,
    )


def told(at: datetime) -> str:
    """In UTC, to its fraction of a second, in which two that are held against one another may differ."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
