"""A NAS that FreeRADIUS knows already, from before Firstlight: it is taken over with the secret that it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.nas_errors import NothingToAdopt
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radius_projection
from radius.projection.radius_database import ledger_entry, radius_transaction

_KEPT = re.compile(r"[!-~]{1,64}")


async def secret_to_adopt(radius_read: Begin, address: str, *, tenant_id: str) -> str:
    """The secret of the NAS at this address in FreeRADIUS' table, where nobody here has written it. It may be a short
    one, or that of others as well: who looks for traps (``radius.doctor``) says so.

    Raises:
        NothingToAdopt: there is no such row, it is no more the ISP's than another's, or its secret can't be kept.
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_read) as db:
        rows = (await db.execute(select(nas.c.secret, nas.c.server).where(nas.c.nasname == address))).all()
        secrets = sorted({secret for secret, _ in rows})
        why = await _not_ours(db, address, tenant_id) or _unfit(
            secrets, sorted({server for _, server in rows if server})
        )
    if why is not None:
        raise NothingToAdopt(address, why)
    return str(secrets[0])


async def _not_ours(db: AsyncSession, address: str, tenant_id: str) -> str | None:
    entry = await ledger_entry(db, "nas", address)
    if entry is not None:
        return "Firstlight has written it itself" if entry.tenant_id == tenant_id else "it is another ISP's"
    others = select(radius_projection.c.name).where(radius_projection.c.tenant_id != tenant_id).limit(1)
    if await db.scalar(others) is not None:
        return (
            "other ISPs are served there as well, and nobody has written down whose it is. Remove its row, and tell the"
            " NAS the secret that was made for it"
        )
    return None


def _unfit(secrets: Sequence[str], servers: Sequence[str]) -> str | None:
    if not secrets:
        return "FreeRADIUS has no NAS of that address in its table nas"
    if servers:
        return f"its row is for the virtual server {servers[0][:60]}, which is none of Firstlight's"
    if len(secrets) > 1:
        return f"it stands there {len(secrets)} times, each time with another secret: remove what isn't so"
    if not _KEPT.fullmatch(secrets[0]):
        return "its secret has blanks, other characters than ASCII's, or more than 64 of them"
    return None
