"""What our own records say of the ACSes that will hurt. Only reads."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.doctor import AcsTrap
from acs.presets.tables import AcsPresetInstall
from acs.tables import AcsDevice

SHOWN = 5
"""Serials that are named of each ACS."""


async def examine_acs_records(
    db: AsyncSession, *, tenant_id: str, configured: Collection[str], now: datetime
) -> list[AcsTrap]:
    """CPEs that are bound to an ACS which is not configured, and installs that were left in the middle."""
    return [*await _lost_cpes(db, tenant_id, configured), *await _open_installs(db, tenant_id, now)]


async def _lost_cpes(db: AsyncSession, tenant_id: str, configured: Collection[str]) -> list[AcsTrap]:
    lost = (
        AcsDevice.tenant_id == tenant_id,
        AcsDevice.state != "withdrawn",
        AcsDevice.acs_name.not_in(sorted(configured)),
    )
    counted = await db.execute(
        select(AcsDevice.acs_name, func.count()).where(*lost).group_by(AcsDevice.acs_name).order_by(AcsDevice.acs_name)
    )
    traps: list[AcsTrap] = []
    for acs_name, count in counted.all():
        query = select(AcsDevice.serial).where(*lost, AcsDevice.acs_name == acs_name).order_by(AcsDevice.id)
        serials = ", ".join(await db.scalars(query.limit(SHOWN)))
        more = f" and {count - SHOWN} more" if count > SHOWN else ""
        traps.append(
            AcsTrap(
                trap="acs_not_configured",
                what=f"{count} CPE(s) are bound to ACS {acs_name}, which is not configured: {serials}{more}",
                why="Nobody asks that ACS, so they get no settings, and nothing that is done to them is carried out.",
                fix=f"name {acs_name} in FIRSTLIGHT_GENIEACS_NBI_URLS, or"
                " firstlight devices move SERIAL --acs NAME --reason ...",
            )
        )
    return traps


async def _open_installs(db: AsyncSession, tenant_id: str, now: datetime) -> list[AcsTrap]:
    found = await db.scalars(
        select(AcsPresetInstall)
        .where(AcsPresetInstall.tenant_id == tenant_id, AcsPresetInstall.ended_at.is_(None))
        .order_by(AcsPresetInstall.acs_name)
    )
    return [
        AcsTrap(
            trap="preset_install_unfinished",
            what=f"ACS {row.acs_name}: an install of {row.begun_at:%Y-%m-%d %H:%M} UTC was left in the middle."
            f" {row.reason}",
            why="Part of our presets and scripts may be there, and the rest not.",
            fix=f"firstlight devices acs install --acs {row.acs_name}, or rollback",
        )
        for row in found
        if row.leased_until is None or row.leased_until < now
    ]
