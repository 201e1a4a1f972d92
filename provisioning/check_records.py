"""What each check has found, kept: pages show the last one, with its time, and ask nothing anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Float, Index, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.check import CheckResult, Finding
from provisioning.tables import ProvisioningBase, RowId, TenantId

MOST_OF_ONE = 10
"""So many findings of each invariant are kept, or shown unless all are asked for, and how many there were: one that is
broken often hides no other."""
KEPT_CHECKS = 200


class InvariantCheck(ProvisioningBase):
    """One check: when, how many invariants were asked, how many are broken, how often each of these, and the first
    findings of each."""

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
    counts: Mapped[dict[str, int]] = mapped_column(JSON)


@dataclass(frozen=True)
class RecordedCheck:
    """A check as it was kept. ``found``: how many findings there were; ``counts``: of each broken invariant, in the
    order of asking; ``findings``: the first of each. Of a check that an earlier release kept, ``counts`` may lack some
    of the ``failed`` ones, and tell of others what was kept of them.
    """

    checked_at: datetime
    took_seconds: float
    asked: int
    failed: int
    found: int
    findings: list[Finding]
    counts: dict[str, int]


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
            findings=[asdict(finding) for finding in _first_of_each(result.findings)],
            counts=Counter(finding.invariant for finding in result.findings),
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
    return RecordedCheck(row.checked_at, row.took_seconds, row.asked, row.failed, row.found, findings, row.counts)


def _first_of_each(findings: Sequence[Finding]) -> list[Finding]:
    met: Counter[str] = Counter()
    first = []
    for finding in findings:
        met[finding.invariant] += 1
        if met[finding.invariant] <= MOST_OF_ONE:
            first.append(finding)
    return first
