"""CPEs that the ACS knows and nobody has bound: kept in ``acs_seen_device`` as long as that is so."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from operator import itemgetter

from sqlalchemy import and_, delete, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from acs.convergence.seen_devices import SeenDevice
from acs.refused_first_sessions import RefusedFirstSession, told_of
from acs.serials import canonical_serial, is_serial
from acs.tables import AcsDevice, AcsRefusedSerial, AcsSeenDevice


class UnboundDevice(TypedDict):
    """A CPE that serves nobody. Times: ``first_seen_at`` is ours, ``last_inform_at`` the ACS's."""

    number: int
    device_id: str
    serial: str
    oui: str | None
    product_class: str | None
    first_seen_at: datetime
    last_inform_at: datetime | None
    first_session_refused: RefusedFirstSession | None
    """When a CPE with its serial number was last told nothing in its first session, why, and what to do."""


async def note_unbound(db: AsyncSession, found: Sequence[SeenDevice], *, tenant_id: str, now: datetime) -> int:
    """Write these down, once each however often they are seen; returns how many were not known before."""
    if not found:
        return 0
    ids = [seen["device_id"] for seen in found]
    mine = (AcsSeenDevice.tenant_id == tenant_id, AcsSeenDevice.device_id.in_(ids))
    known = set(await db.scalars(select(AcsSeenDevice.device_id).where(*mine)))
    rows = [
        {
            "tenant_id": tenant_id,
            "device_id": seen["device_id"],
            "serial": canonical_serial(seen["serial"]) if is_serial(seen["serial"]) else seen["serial"],
            "oui": seen["oui"],
            "product_class": seen["product_class"],
            "first_seen_at": now,
            "last_inform_at": seen["last_inform"],
        }
        for seen in sorted(found, key=itemgetter("device_id"))  # who looks beside us takes them in that order too
    ]
    insert = insert_postgresql if db.get_bind().dialect.name == "postgresql" else insert_sqlite
    statement = insert(AcsSeenDevice)
    await db.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "device_id"], set_={"last_inform_at": statement.excluded.last_inform_at}
        ),
        rows,
    )
    return len(set(ids) - known)


async def forget_bound(db: AsyncSession, device_ids: Collection[str], *, tenant_id: str) -> None:
    """These serve somebody by now."""
    if device_ids:
        await db.execute(
            delete(AcsSeenDevice).where(
                AcsSeenDevice.tenant_id == tenant_id, AcsSeenDevice.device_id.in_(list(device_ids))
            )
        )


async def unbound(
    db: AsyncSession, *, tenant_id: str, before: int | None = None, limit: int = 50
) -> list[UnboundDevice]:
    """The newest first, a page at a time (``before`` a number); none that was bound since it was seen."""
    live = select(AcsDevice.serial).where(AcsDevice.tenant_id == tenant_id, AcsDevice.state != "withdrawn")
    query = (
        select(AcsSeenDevice, AcsRefusedSerial)
        .outerjoin(
            AcsRefusedSerial,
            and_(
                AcsRefusedSerial.tenant_id == AcsSeenDevice.tenant_id,
                AcsRefusedSerial.serial == AcsSeenDevice.serial,
            ),
        )
        .where(AcsSeenDevice.tenant_id == tenant_id, AcsSeenDevice.serial.not_in(live))
        .order_by(AcsSeenDevice.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(AcsSeenDevice.id < before)
    return [
        UnboundDevice(
            number=row.id,
            device_id=row.device_id,
            serial=row.serial,
            oui=row.oui,
            product_class=row.product_class,
            first_seen_at=row.first_seen_at,
            last_inform_at=row.last_inform_at,
            first_session_refused=None
            if refused is None
            else told_of(row.serial, refused.refused_at, refused.refused_why, refused.refused_by),
        )
        for row, refused in await db.execute(query)
    ]
