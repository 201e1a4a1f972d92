"""What must always hold for line orders: read-only questions for ``firstlight check``. No finding means it holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.line.tables import LIVE_STATES, LineOrderRow

Vlans = tuple[int, int | None]
"""S-VLAN and C-VLAN; no C-VLAN where all lines of a node share the S-VLAN."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what about, and one plain sentence."""

    subject: str
    sentence: str


async def lines_of_ended_services(
    db: AsyncSession, *, tenant_id: str, live_service_ids: Collection[int]
) -> list[Finding]:
    """A line is kept on the OLT only for a service that lives; the caller knows which do."""
    live = frozenset(live_service_ids)
    return [
        Finding(
            f"line order {line.id}",
            f"Line order {line.id} keeps ONT {line.device_serial} on {line.access_node} ({line.state}), but its service"
            f" {line.service_id} has ended.",
        )
        for line in await _live(db, tenant_id)
        if line.service_id not in live
    ]


async def lines_not_as_allocated(db: AsyncSession, *, tenant_id: str, allocated: Mapping[int, Vlans]) -> list[Finding]:
    """The OLT was told the VLANs that the service was allocated, by service id."""
    return [
        Finding(
            f"line order {line.id}",
            f"Line order {line.id} puts ONT {line.device_serial} into VLAN {_words(told)}, but service"
            f" {line.service_id} was allocated {_words(allocated[line.service_id])}.",
        )
        for line in await _live(db, tenant_id)
        if line.service_id in allocated and (told := (line.svlan, line.cvlan)) != allocated[line.service_id]
    ]


async def vlans_given_twice(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """Where every line has a C-VLAN of its own, no two lines of an access node share one."""
    shared = (
        select(LineOrderRow.access_node, LineOrderRow.svlan, LineOrderRow.cvlan, func.count())
        .where(
            LineOrderRow.tenant_id == tenant_id,
            LineOrderRow.state.in_(LIVE_STATES),
            LineOrderRow.cvlan.is_not(None),
        )
        .group_by(LineOrderRow.access_node, LineOrderRow.svlan, LineOrderRow.cvlan)
        .having(func.count() > 1)
    )
    return [
        Finding(
            f"VLAN {_words((svlan, cvlan))} of {node}",
            f"VLAN {_words((svlan, cvlan))} of {node} is given to {lines} lines at once.",
        )
        for node, svlan, cvlan, lines in await db.execute(shared)
    ]


async def _live(db: AsyncSession, tenant_id: str) -> list[LineOrderRow]:
    found = await db.scalars(
        select(LineOrderRow)
        .where(LineOrderRow.tenant_id == tenant_id, LineOrderRow.state.in_(LIVE_STATES))
        .order_by(LineOrderRow.id)
    )
    return list(found)


def _words(vlans: Vlans) -> str:
    svlan, cvlan = vlans
    return str(svlan) if cvlan is None else f"{svlan}.{cvlan}"
