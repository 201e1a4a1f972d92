"""In which pool an imported address, prefix or C-VLAN lies, and which units of it that is: numbers alone."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from ipam.addresses import BITS, Family, Network, from_bytes
from ipam.inventory.lines import ImportLine
from ipam.upkeep.pool_units import KnownPool

MOST_UNITS_OF_A_LINE = 65_536
Located = tuple[KnownPool, int, int]
"""A pool, and the first and last of its units."""


class OutsideEveryPool(ValueError):
    """It is nothing of ours."""


class PoolIndex:
    """All pools of a network, found by name, or by the addresses that they hold."""

    def __init__(self, pools: Iterable[KnownPool]) -> None:
        self._by_name = {pool.name: pool for pool in pools}
        self._networks = {pool.pool_id: _network(pool) for pool in self._by_name.values()}
        sorted_by: dict[tuple[str, Family], list[tuple[int, KnownPool]]] = defaultdict(list)
        for pool in self._by_name.values():
            if pool.base is not None:
                family, first = from_bytes(pool.base)
                sorted_by[pool.vrf or "", family].append((first, pool))
        self._firsts: dict[tuple[str, Family], list[int]] = {}
        self._pools: dict[tuple[str, Family], list[KnownPool]] = {}
        for key, found in sorted_by.items():
            found.sort(key=lambda each: each[0])
            self._firsts[key], self._pools[key] = [first for first, _ in found], [pool for _, pool in found]

    def locate(self, line: ImportLine) -> Located | None:
        """None: it is the network of a pool (or of several) and nothing that a pool has handed out.

        Raises:
            OutsideEveryPool: no pool holds it.
            ValueError: says why it can be nothing of ours.
        """
        pool = self._of_network(line, line.network) if line.network is not None else self._of_vlan(line)
        if pool is None:
            return None
        if pool.framed_pool is not None:
            raise ValueError(f"pool {pool.name} is handed out by the BNG, which knows it as {pool.framed_pool}")
        if line.kind and line.kind != pool.kind:
            raise ValueError(f"{line.value} lies in pool {pool.name} of kind {pool.kind}, not {line.kind}")
        if line.network is None:
            assert line.vid is not None, "a line without faults has a value"
            return pool, line.vid, line.vid
        return _units(line, line.network, pool, self._networks[pool.pool_id])

    def is_outside(self, network: Network) -> bool:
        """Whether no pool of any VRF holds all of it."""
        return all(self._holding(vrf, network) is None for vrf in {vrf for vrf, _ in self._pools})

    def _of_vlan(self, line: ImportLine) -> KnownPool:
        if not line.pool:
            raise ValueError(f"{line.value} is a C-VLAN of many: say of which pool, such as metro/210")
        pool = self._named(line.pool)
        if pool.base is not None:
            raise ValueError(f"{line.value} is no address, and pool {pool.name} has no C-VLANs")
        return pool

    def _of_network(self, line: ImportLine, network: Network) -> KnownPool | None:
        if line.pool:
            pool = self._named(line.pool)
            own = self._networks[pool.pool_id]
            if line.vrf not in ("", pool.vrf):
                raise ValueError(f"pool {pool.name} is in VRF {pool.vrf}, not in {line.vrf}")
            if own is None or not own.holds(network.family, network.first) or not own.holds(own.family, network.last):
                raise ValueError(f"{line.value} lies outside pool {pool.name} ({pool.network or 'of C-VLANs'})")
            return pool
        vrfs = [line.vrf] if line.vrf else sorted({vrf for vrf, _ in self._pools})
        found = [held for vrf in vrfs if (held := self._holding(vrf, network)) is not None]
        if len(found) > 1:
            raise ValueError(f"{line.value} exists in the VRFs {', '.join(str(pool.vrf) for pool in found)}: say which")
        if not found and (line.is_exact or not any(self._covers(vrf, network) for vrf in vrfs)):
            raise OutsideEveryPool(
                f"{line.value} lies outside every pool" + (f" of VRF {line.vrf}" if line.vrf else "")
            )
        return found[0] if found else None

    def _named(self, name: str) -> KnownPool:
        if (pool := self._by_name.get(name)) is None:
            raise ValueError(f"there is no pool {name[:120]!r}")
        return pool

    def _holding(self, vrf: str, network: Network) -> KnownPool | None:
        key = (vrf, network.family)
        place = bisect_right(self._firsts.get(key, ()), network.first) - 1
        if place < 0:
            return None
        pool = self._pools[key][place]
        own = self._networks[pool.pool_id]
        return pool if own is not None and network.last <= own.last else None

    def _covers(self, vrf: str, network: Network) -> bool:
        """Whether a pool lies in it."""
        firsts = self._firsts.get((vrf, network.family), [])
        return bisect_right(firsts, network.last) > bisect_right(firsts, network.first - 1)


def _units(line: ImportLine, network: Network, pool: KnownPool, own: Network | None) -> Located | None:
    assert own is not None and pool.unit_length is not None
    if line.is_exact and network.length != pool.unit_length:
        raise ValueError(
            f"{line.value} is nothing that pool {pool.name} hands out (/{pool.unit_length} of {pool.network})"
        )
    if network.length <= own.length and pool.span > 1:
        return None
    shift = own.bits - pool.unit_length
    first, last = (network.first - own.first) >> shift, (network.last - own.first) >> shift
    if last - first >= MOST_UNITS_OF_A_LINE:
        raise ValueError(f"{line.value} is {last - first + 1} units of pool {pool.name}: exclude it there instead")
    return pool, first, last


def _network(pool: KnownPool) -> Network | None:
    if pool.base is None:
        return None
    family, first = from_bytes(pool.base)
    return Network(family, first, min(pool.prefix_length or 0, BITS[family]))
