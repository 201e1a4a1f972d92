"""A NAS that FreeRADIUS knows already, from before Firstlight: it is taken over with the secret that it has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.nas_errors import NothingToAdopt
from radius.ports import Begin
from radius.projection.freeradius_tables import nas, radius_projection
from radius.projection.projection import is_marked_as_anothers
from radius.projection.radius_database import ledger_entry, radius_transaction

_KEPT = re.compile(r"[!-~]{1,64}")


async def secret_to_adopt(radius_read: Begin, address: str, *, tenant_id: str) -> str | None:
    """The secret of the NAS at this address in FreeRADIUS' table, where nobody here has written it; None: its row there
    is this ISP's own already. It may be a short one, or that of others as well: who looks for traps (``radius.doctor``)
    says so.

    Raises:
        NothingToAdopt: there is no such row, it is no more the ISP's than another's, or its secret can't be kept.
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_read) as db:
        entry = await ledger_entry(db, "nas", address)
        if entry is not None:
            if entry.tenant_id == tenant_id:
                return None
            raise NothingToAdopt(address, "it is another ISP's")
        columns = (nas.c.secret, nas.c.server, nas.c.description)
        rows = (await db.execute(select(*columns).where(nas.c.nasname == address))).all()
        secrets = sorted({secret for secret, _, _ in rows})
        why = (
            await _not_ours(db, [description or "" for _, _, description in rows], tenant_id)
            or (None if rows else await _nowhere(db, address))
            or _unfit(secrets, sorted({server for _, server, _ in rows if server}))
        )
    if why is not None:
        raise NothingToAdopt(address, why)
    return str(secrets[0])


async def _not_ours(db: AsyncSession, descriptions: Sequence[str], tenant_id: str) -> str | None:
    if any(is_marked_as_anothers(each, tenant_id) for each in descriptions):
        return "its row says that Firstlight has written it for another ISP"
    others = select(radius_projection.c.name).where(radius_projection.c.tenant_id != tenant_id).limit(1)
    if await db.scalar(others) is not None:
        return (
            "other ISPs are served there as well, and nobody has written down whose it is. Remove its row, and tell the"
            " NAS the secret that was made for it"
        )
    return None


async def _nowhere(db: AsyncSession, address: str) -> str:
    """Why there is no row of that address alone: FreeRADIUS takes networks in its place."""
    written = await db.scalars(select(nas.c.nasname).where(nas.c.nasname.contains("/")))
    around = {name: network for name in written if (network := _network(name)) and IPv4Address(address) in network}
    if not around:
        return "FreeRADIUS has no NAS of that address in its table nas"
    nearest = max(around, key=lambda name: around[name].prefixlen)
    if around[nearest].num_addresses == 1:
        return f"its row says {nearest}, and a NAS is known by its address alone: write it as {address} there first"
    return f"it stands there as part of {nearest}: give it a row of its own there first, with the same secret"


def _network(name: str) -> IPv4Network | None:
    try:
        return IPv4Network(name, strict=False)
    except ValueError:
        return None


def _unfit(secrets: Sequence[str], servers: Sequence[str]) -> str | None:
    if servers:
        return f"its row is for the virtual server {servers[0][:60]}, which is none of Firstlight's"
    if len(secrets) > 1:
        return f"it stands there {len(secrets)} times, each time with another secret: remove what isn't so"
    if not _KEPT.fullmatch(secrets[0]):
        return "its secret has blanks, other characters than ASCII's, or more than 64 of them"
    return None
