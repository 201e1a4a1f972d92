"""What must always hold for operations on CPEs, as questions ``firstlight check`` asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.invariants import Finding
from acs.operations.paths import holds_secret
from acs.operations.records import KINDS, OperationKind
from acs.operations.tables import AcsOperation
from acs.templates.rendering import SECRET_REF


async def operations_nobody_ends(db: AsyncSession, *, tenant_id: str, now: datetime, after: timedelta) -> list[Finding]:
    """An operation ends, at the latest when its effect is not waited for any more."""
    found = await db.scalars(
        select(AcsOperation)
        .where(
            AcsOperation.tenant_id == tenant_id,
            AcsOperation.ended_at.is_(None),
            AcsOperation.expires_at < now - after,
        )
        .order_by(AcsOperation.id)
    )
    return [
        Finding(
            f"operation {row.id}",
            f"Operation {row.id} ({row.kind.replace('_', ' ')} of CPE {row.device_serial}) should have ended by"
            f" {row.expires_at:%Y-%m-%d %H:%M} UTC: does a worker run, and does it reach the ACS?",
        )
        for row in found
        if row.expires_at + KINDS[cast(OperationKind, row.kind)].settling < now - after
    ]


async def operations_with_secrets(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """No operation's record has a password or passphrase. Names what it is, never the value."""
    found = await db.scalars(select(AcsOperation).where(AcsOperation.tenant_id == tenant_id).order_by(AcsOperation.id))
    findings: list[Finding] = []
    for row in found:
        read = (row.result or {}).get("parameters", {})
        shown = [path for path, said in read.items() if isinstance(said, dict) and said.get("value")]
        named = [path for path in (*row.arguments.get("values", {}), *shown) if holds_secret(path)]
        passphrase = row.arguments.get("passphrase")
        if passphrase is not None and not SECRET_REF.fullmatch(str(passphrase)):
            named.append("the passphrase")
        findings += [
            Finding(f"operation {row.id}", f"Operation {row.id} has {path} of CPE {row.device_serial} in clear.")
            for path in named
        ]
    return findings
