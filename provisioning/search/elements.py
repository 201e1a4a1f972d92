"""What the network is made of and has a name: pools and NASes. There are hundreds of each at most, and no lines."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from ipam import NamedPool, PoolSearch
from provisioning.search.hits import BEGINS, WHOLE, Hit
from provisioning.search.recognise import Clue, ClueKind, network_of
from provisioning.sight import Sight
from radius import FoundNas, NasSearch


class Elements:
    """Finds pools and NASes, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, sight: Sight, limit: int) -> None:
        self._sight = sight
        self._pools = PoolSearch(db, tenant_id=tenant_id)
        self._nases = NasSearch(db, tenant_id=tenant_id)
        self._limit = limit

    async def named(self, clue: Clue) -> list[Hit]:
        """Pools and NASes whose name begins so."""
        hits: list[Hit] = []
        if self._sight.may("addresses.read"):
            hits += [_pool_hit(each, clue) for each in await self._pools.named(clue.value, limit=self._limit)]
        if self._sight.may("nas.read"):
            for each in await self._nases.named(clue.value, limit=self._limit):
                whole = each["name"].lower() == clue.value.lower()
                hits.append(_nas_hit(each, *_fit(whole), clue.kind))
        return hits

    async def at_address(self, clue: Clue) -> list[Hit]:
        """The NASes that have this address, or one in this prefix."""
        network = network_of(clue.value)
        if network.version != 4 or not self._sight.may("nas.read"):
            return []
        is_one = network.prefixlen == network.max_prefixlen
        fit = (WHOLE, "its address") if is_one else (BEGINS, f"its address is in {network}")
        found = await self._nases.within(network, limit=self._limit)
        return [_nas_hit(each, *fit, clue.kind) for each in found]


def _fit(whole: bool) -> tuple[int, str]:
    return (WHOLE, "its name") if whole else (BEGINS, "its name begins so")


def _pool_hit(pool: NamedPool, clue: Clue) -> Hit:
    score, why = _fit(pool["pool"].casefold() == clue.value.casefold())
    about = f"{pool['kind'].replace('_', ' ')}, {pool['size']} to give out"
    if pool["framed_pool"] is not None:
        about = f"{pool['kind']}, given out by the BNG as {pool['framed_pool']}"
    return Hit("pool", pool["pool"], pool["pool"], about, [why], [clue.kind], score)


def _nas_hit(nas: FoundNas, score: int, why: str, kind: ClueKind) -> Hit:
    return Hit("nas", nas["name"], nas["name"], f"{nas['address']}, {nas['dialect']}", [why], [kind], score)
