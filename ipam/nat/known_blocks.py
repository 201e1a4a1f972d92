"""The blocks of ports that logs have told of, as of a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address
from ipam.nat.rule_rows import HAS_HELD, held_at
from ipam.tables import NatBlock, NatRule, Vrf
from ipam.units import Interval
from ipam.upkeep.answers import NatBlockAt, PortsKnown


async def covering(
    db: AsyncSession, tenant_id: str, outside: bytes, port: int, at: datetime
) -> tuple[NatBlockAt, str] | None:
    """The block that a port lay in then, and the VRF of its inside address."""
    of_port = (NatBlock.outside == outside, NatBlock.first_port <= port, NatBlock.last_port >= port)
    row = (await db.execute(_at(tenant_id, at).where(*of_port))).first()
    return None if row is None else (_told(row), row.vrf)


async def ports_of(db: AsyncSession, tenant_id: str, outside: bytes, at: datetime) -> list[Interval]:
    """The ports of an outside address that lay in a block then."""
    return [
        (row.first_port, row.last_port)
        for row in await db.execute(_at(tenant_id, at).where(NatBlock.outside == outside))
    ]


async def of_inside(
    db: AsyncSession, tenant_id: str, inside: bytes, at: datetime, vrf: str | None
) -> list[tuple[NatBlockAt, str]]:
    """All blocks that an inside address had then, and the VRF of each."""
    in_vrf = [Vrf.name == vrf] if vrf else []
    rows = await db.execute(_at(tenant_id, at).where(NatBlock.inside == inside, *in_vrf))
    return [(_told(row), row.vrf) for row in rows]


async def is_told(db: AsyncSession, tenant_id: str, outside: bytes, at: datetime) -> PortsKnown:
    """Whether anything tells whose the ports of an outside address were then."""
    over = (NatRule.tenant_id == tenant_id, NatRule.first_outside <= outside, NatRule.last_outside >= outside)
    ruled = select(NatRule.id).where(*over, *held_at(at)).limit(1)
    logged = _at(tenant_id, at).where(NatBlock.outside == outside).limit(1)
    if any([(await db.execute(each)).first() is not None for each in (ruled, logged)]):
        return PortsKnown(known=True, known_from=None)
    of_address = (NatBlock.tenant_id == tenant_id, NatBlock.outside == outside)
    begins = (
        select(func.min(NatRule.since)).where(*over, NatRule.since > at, HAS_HELD),
        select(func.min(NatBlock.began_at)).where(*of_address, NatBlock.began_at > at),
    )
    found = [await db.scalar(each) for each in begins]
    return PortsKnown(known=False, known_from=min((each for each in found if each is not None), default=None))


def _at(tenant_id: str, at: datetime) -> Any:
    """The blocks of that time. One whose end no log has told ended at the latest when a rule began over its address."""
    ended_by_a_rule = exists().where(
        NatRule.tenant_id == tenant_id,
        NatRule.first_outside <= NatBlock.outside,
        NatRule.last_outside >= NatBlock.outside,
        NatRule.since > NatBlock.began_at,
        NatRule.since <= at,
        HAS_HELD,
    )
    return (
        select(*NatBlock.__table__.columns, Vrf.name.label("vrf"))
        .join(Vrf, Vrf.id == NatBlock.vrf_id)
        .where(
            NatBlock.tenant_id == tenant_id,
            NatBlock.began_at <= at,
            or_(and_(NatBlock.ended_at.is_(None), ~ended_by_a_rule), NatBlock.ended_at > at),
        )
        .order_by(NatBlock.outside, NatBlock.first_port)
    )


def _told(row: Any) -> NatBlockAt:
    return NatBlockAt(
        outside=format_address(row.outside),
        first_port=row.first_port,
        last_port=row.last_port,
        inside=format_address(row.inside),
        source=f"log {row.source}",
    )
