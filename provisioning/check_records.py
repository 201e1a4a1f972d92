"""What each check has found, kept: pages show the last one, with its time, and ask nothing anew."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, Index, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.check import CheckResult, Finding
from provisioning.tables import ProvisioningBase, RowId, TenantId

MOST_FINDINGS = 200
"""Of one check; how many there were is kept beside them."""
KEPT_CHECKS = 200


class InvariantCheck(ProvisioningBase):
    """One check: when, how many invariants were asked, how many are broken, and the first of the findings."""

    __tablename__ = "invariant_check"
    __table_args__ = (Index("ix_invariant_check_newest", "tenant_id", "id"),)

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    checked_at: Mapped[datetime]
    took_seconds: Mapped[float] = mapped_column(Float(53))
    asked: Mapped[int]
    failed: Mapped[int]
    found: Mapped[int]
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


@dataclass(frozen=True)
class RecordedCheck:
    """A check as it was kept. ``found``: how many findings there were, of which ``findings`` are the first."""

    checked_at: datetime
    took_seconds: float
    asked: int
    failed: int
    found: int
    findings: list[Finding]


async def record_check(
    db: AsyncSession, result: CheckResult, *, tenant_id: str, checked_at: datetime, took_seconds: float
) -> None:
    """Keeps it in the caller's transaction, and forgets the oldest ones."""
    db.add(
        InvariantCheck(
            tenant_id=tenant_id,
            checked_at=checked_at,
            took_seconds=round(took_seconds, 3),
            asked=result.asked,
            failed=result.failed,
            found=len(result.findings),
            findings=[asdict(finding) for finding in result.findings[:MOST_FINDINGS]],
        )
    )
    await db.flush()
    mine = InvariantCheck.tenant_id == tenant_id
    newest = select(InvariantCheck.id).where(mine).order_by(InvariantCheck.id.desc()).offset(KEPT_CHECKS).limit(1)
    oldest = await db.scalar(newest)
    if oldest is not None:
        await db.execute(delete(InvariantCheck).where(mine, InvariantCheck.id <= oldest))


async def last_check(db: AsyncSession, *, tenant_id: str) -> RecordedCheck | None:
    """The newest one; None: nobody has ever checked."""
    row = await db.scalar(
        select(InvariantCheck).where(InvariantCheck.tenant_id == tenant_id).order_by(InvariantCheck.id.desc()).limit(1)
    )
    if row is None:
        return None
    findings = [Finding(**finding) for finding in row.findings]
    return RecordedCheck(row.checked_at, row.took_seconds, row.asked, row.failed, row.found, findings)
