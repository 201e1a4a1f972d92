"""NASes by the beginning of their name, or by their address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.tables import Nas


class FoundNas(TypedDict):
    """A NAS by what it is known by."""

    name: str
    address: str
    dialect: str


class NasSearch:
    """Finds NASes of one tenant. Reads only."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def named(self, beginning: str, *, limit: int) -> list[FoundNas]:
        """Those whose name begins so, however it is written. All of a tenant's are read along their index: they are
        few."""
        begins = func.lower(func.substr(Nas.name, 1, len(beginning))) == beginning.lower()
        return await self._found(self._mine().where(begins).limit(limit))

    async def within(self, network: IPv4Network | IPv6Network, *, limit: int) -> list[FoundNas]:
        """Those with an address in this network, which may be one address."""
        if network.prefixlen == network.max_prefixlen:
            return await self._found(self._mine().where(Nas.address == str(network.network_address)))
        return [each for each in await self._found(self._mine()) if IPv4Address(each["address"]) in network][:limit]

    def _mine(self) -> Select[str, str, str]:
        return select(Nas.name, Nas.address, Nas.dialect).where(Nas.tenant_id == self._tenant_id).order_by(Nas.name)

    async def _found(self, query: Select[str, str, str]) -> list[FoundNas]:
        rows = await self._db.execute(query)
        return [FoundNas(name=name, address=address, dialect=dialect) for name, address, dialect in rows]
