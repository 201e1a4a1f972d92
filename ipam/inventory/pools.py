"""In which pool an imported address, prefix or C-VLAN lies, and which units of it that is: numbers alone."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ipam.addresses import BITS, Family, Network, from_bytes
from ipam.estate.spec import DEFAULT_VRF
from ipam.inventory.lines import KINDS, ImportLine
from ipam.upkeep.pool_units import KnownPool

MOST_UNITS_OF_A_LINE = 65_536
Located = tuple[KnownPool, int, int]
"""A pool, and the first and last of its units."""
Choice = Callable[[Sequence[Located]], Sequence[Located]]
"""Which of several is meant, as far as somebody knows."""


class NotLocated(ValueError):
    """It is nothing of ours, or not what it is said to be; with all that speaks against it."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(faults))


class PoolIndex:
    """All pools of a network, found by name, or by the addresses that they hold."""

    def __init__(self, pools: Iterable[KnownPool], vrfs: Iterable[str] = ()) -> None:
        """``vrfs``: those without a pool, too."""
        self._by_name = {pool.name: pool for pool in pools}
        self._all_vrfs = {DEFAULT_VRF, *vrfs}
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
        self._vrfs = sorted({vrf for vrf, _ in self._pools})

    def locate(self, line: ImportLine, choice: Choice = list) -> Located | None:
        """None: it is the network of a pool (or of several) and nothing that a pool has handed out, or has no value.
        Of ``choice`` is asked what stands in several VRFs.

        Raises:
            NotLocated: it can be nothing of ours. Its pool and VRF are looked up whatever is wrong with its value.
        """
        faults, line = list[str](), self._in_its_vrf(line)
        pool = self._named(line, faults) if line.pool else self._holder(line, choice, faults)
        if line.vrf and line.vrf not in self._all_vrfs:
            faults.append(f"there is no VRF {line.vrf[:120]!r}")
        if pool is not None:
            faults += self._contradictions(line, pool)
        if faults:
            raise NotLocated(faults)
        if pool is None or line.network is None:
            return None if pool is None or line.vid is None else (pool, line.vid, line.vid)
        own = self._networks[pool.pool_id]
        assert own is not None, "it holds the line's"
        return None if _is_whole(line.network, pool, own) else (pool, *_units(line.network, pool, own))

    def several(self, line: ImportLine) -> list[Located]:
        """All that its address may mean where it says no VRF and stands in several, as far as they hand out such."""
        if line.network is None or line.vrf or line.pool:
            return []
        found = self._holding_any(line.network, self._vrfs)
        if len(found) > 1:
            found = [pool for pool in self._narrowed(line, found) if not [*self._contradictions(line, pool)]]
        return self._located(line.network, found) if len(found) > 1 else []

    def is_outside(self, network: Network) -> bool:
        """Whether no pool of any VRF holds all of it or lies in it; a default route is no allocation."""
        covers = network.length > 0 and any(self._covers(vrf, network) for vrf in self._vrfs)
        return not covers and not self._holding_any(network, self._vrfs)

    def _in_its_vrf(self, line: ImportLine) -> ImportLine:
        """With the name that its VRF has here; where none has one of its names, with the last of them."""
        if not line.vrf or line.vrf in self._all_vrfs:
            return line
        known = [name for name in line.vrf_else if name in self._all_vrfs]
        return replace(line, vrf=[*known, *line.vrf_else[-1:], line.vrf][0])

    def _named(self, line: ImportLine, faults: list[str]) -> KnownPool | None:
        pool = self._by_name.get(line.pool)
        if pool is None:
            faults.append(f"there is no pool {line.pool[:120]!r}")
        return pool

    def _holder(self, line: ImportLine, choice: Choice, faults: list[str]) -> KnownPool | None:
        """The pool in which its value lies. In a VRF that nobody knows it may still lie nowhere."""
        network, is_known = line.network, line.vrf in self._all_vrfs
        if line.vid is not None:
            faults.append(f"{line.value} is a C-VLAN of many: say of which pool, such as metro/210")
        if network is None:
            return None
        vrfs = [line.vrf] if is_known else self._vrfs
        found = self._holding_any(network, vrfs)
        if not found and not any(self._covers(vrf, network) for vrf in vrfs):
            faults.append(f"{line.value} lies outside every pool" + (f" of VRF {line.vrf}" if is_known else ""))
        elif not found and line.is_exact:
            faults.append(f"{line.value} lies in no pool, but pools lie in it")
        if line.vrf and not is_known:
            return None
        if len(found) > 1:
            found = self._narrowed(line, found)
        if len(found) > 1:
            found = [pool for pool, _, _ in choice(self._located(network, found))]
        if len(found) > 1:
            vrfs = [str(pool.vrf) for pool in found]
            faults.append(f"{line.value} exists in the VRFs {', '.join(vrfs)}: say which, in a column vrf")
            return None
        return found[0] if found else None

    def _holding_any(self, network: Network, vrfs: Iterable[str]) -> list[KnownPool]:
        return [held for vrf in vrfs if (held := self._holding(vrf, network)) is not None]

    def _narrowed(self, line: ImportLine, found: list[KnownPool]) -> list[KnownPool]:
        """Those that hand out such as its address is; of these the one in the VRF that it means by naming none."""
        fitting = [pool for pool in found if not [*self._contradictions(line, pool)]] or found
        return [pool for pool in fitting if pool.vrf in line.vrf_else] or fitting

    def _located(self, network: Network, pools: Iterable[KnownPool]) -> list[Located]:
        return [(pool, *_units(network, pool, own)) for pool in pools if (own := self._networks[pool.pool_id])]

    def _contradictions(self, line: ImportLine, pool: KnownPool) -> Iterator[str]:
        """Between what it says and the pool that it names or lies in."""
        network, own = line.network, self._networks[pool.pool_id]
        if line.vrf in self._all_vrfs and pool.vrf not in (None, line.vrf):
            yield f"pool {pool.name} is in VRF {pool.vrf}, not in {line.vrf}"
        if line.kind in KINDS and line.kind != pool.kind:
            yield f"pool {pool.name} is of kind {pool.kind}, not {line.kind}"
        if line.vid is not None and pool.base is not None:
            yield f"{line.value} is no address, and pool {pool.name} has no C-VLANs"
        if network is not None and (
            own is None or not own.holds(network.family, network.first) or not own.holds(own.family, network.last)
        ):
            yield f"{line.value} lies outside pool {pool.name} ({pool.network or 'of C-VLANs'})"
        elif pool.framed_pool is not None:
            yield f"pool {pool.name} is handed out by the BNG, which knows it as {pool.framed_pool}"
        elif network is not None and own is not None:
            yield from _unit_faults(line, network, pool, own)

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


def _unit_faults(line: ImportLine, network: Network, pool: KnownPool, own: Network) -> Iterator[str]:
    if line.is_exact and network.length != pool.unit_length:
        yield f"{line.value} is nothing that pool {pool.name} hands out (/{pool.unit_length} of {pool.network})"
    elif not _is_whole(network, pool, own):
        first, last = _units(network, pool, own)
        if last - first >= MOST_UNITS_OF_A_LINE:
            yield f"{line.value} is {last - first + 1} units of pool {pool.name}: exclude it there instead"


def _is_whole(network: Network, pool: KnownPool, own: Network) -> bool:
    return network.length <= own.length and pool.span > 1


def _units(network: Network, pool: KnownPool, own: Network) -> tuple[int, int]:
    assert pool.unit_length is not None, "it has a network"
    shift = own.bits - pool.unit_length
    return (network.first - own.first) >> shift, (network.last - own.first) >> shift


def _network(pool: KnownPool) -> Network | None:
    if pool.base is None:
        return None
    family, first = from_bytes(pool.base)
    return Network(family, first, min(pool.prefix_length or 0, BITS[family]))
