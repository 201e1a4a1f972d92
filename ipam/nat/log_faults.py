"""What speaks against a box's log, whatever its lines say of one another: all of it, part by part."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import cast, null, select, union_all

from ipam.addresses import BITS, from_bytes, parse_address, to_bytes
from ipam.errors import Fault, NameUnknown
from ipam.estate.rows import EstateRows
from ipam.nat.deterministic import LAST_PORT
from ipam.nat.rule_rows import told
from ipam.tables import IN_THE_NETWORK, RESERVED, Allocation, Exclusion, FormerPrefix, Pool, Prefix, UtcDateTime

PARTS = frozenset({"outside", "first_port", "last_port", "inside", "vrf", "began_at", "ended_at"})
"""Of a block; where all are known, it is one that may be held against others."""
CLOCK_AHEAD = timedelta(minutes=5)
"""So far a box's clock may be ahead of ours."""


def faults_of(said: Mapping[str, Any]) -> Iterator[Fault]:
    """What of a block can't be meant, by itself; ``said``: those of its parts that are known, as in ``LoggedBlock``."""
    numbers: dict[str, int] = {}
    for name in ("outside", "inside"):
        if name in said:
            try:
                family, numbers[name] = parse_address(said[name])
                if family != 4:
                    yield Fault(name, f"{said[name]} is not IPv4")
            except ValueError as exc:
                yield Fault(name, str(exc))
    if len(numbers) > 1 and numbers["outside"] == numbers["inside"]:
        yield Fault("outside", f"{said['outside']} is the inside address as well")
    first, last = said.get("first_port"), said.get("last_port")
    if first is not None and last is not None and not 1 <= first <= last <= LAST_PORT:
        where = "last_port" if 1 <= first <= LAST_PORT else "first_port"
        yield Fault(where, f"ports {first} to {last} don't lie in 1..{LAST_PORT}")
    for name, port, other in (("first_port", first, last), ("last_port", last, first)):
        if port is not None and other is None and not 1 <= port <= LAST_PORT:  # the other one is malformed
            yield Fault(name, f"port {port} doesn't lie in 1..{LAST_PORT}")
    yield from _of_times(said.get("began_at"), said.get("ended_at"))


def _of_times(began_at: datetime | None, ended_at: datetime | None) -> Iterator[Fault]:
    unzoned = [
        name for name, at in (("began_at", began_at), ("ended_at", ended_at)) if at is not None and at.tzinfo is None
    ]
    yield from (Fault(name, "the time has no zone") for name in unzoned)
    if not unzoned and began_at is not None and ended_at is not None and ended_at < began_at:
        yield Fault("ended_at", "it ends before it begins")


def source_faults(source: str) -> list[Fault]:
    """By it the next log of a box is known again."""
    return [] if source.strip() else [Fault("source", "is blank: say which box or log it is")]


@dataclass(frozen=True)
class HeldAgainst:
    """What a log is held against: VRFs (an unknown one is why), and pools of IPv4 as they stand and stood."""

    now: datetime
    vrfs: Mapping[str, int | str]
    pools: Sequence[Any]
    kept: Collection[tuple[int, int]]
    """Units (with their pool) that aren't handed out: a box may have them."""
    _around: dict[bytes, list[Any]] = field(default_factory=dict)

    def faults(self, said: Mapping[str, Any]) -> list[Fault]:
        """What of a block, of which ``said`` is known, can't be meant here and now."""
        found = list(faults_of(said))
        for name, does in (("began_at", "begins"), ("ended_at", "ends")):
            at = said.get(name)
            if at is not None and at.tzinfo is not None and at > self.now + CLOCK_AHEAD:
                found.append(Fault(name, f"it {does} at {told(at)}, which is still to come"))
                break  # one that has yet to begin ends later still
        if "vrf" in said and isinstance(unknown := self.vrfs[said["vrf"]], str):
            found.append(Fault("vrf", unknown))
        return found

    def pool_faults(self, said: Mapping[str, Any]) -> Iterator[Fault]:
        """What the pools that there are and were say against a block, as far as it is known and nothing else is wrong
        with it."""
        if said.keys() >= {"outside", "ended_at"}:
            yield from self._outside_faults(said)
        if said.keys() >= {"inside", "vrf", "began_at"}:
            yield from self._inside_faults(said)

    def _outside_faults(self, said: Mapping[str, Any]) -> Iterator[Fault]:
        """A block that was over before a pool was defined says nothing against it."""
        ended_at = said["ended_at"]
        for pool in self._pools_around(said["outside"]):
            over = ended_at is not None and ended_at <= pool.defined_at
            if pool.until is None and not over and (pool.id, _unit(pool, said["outside"])) not in self.kept:
                yield Fault("outside", _handed_out(said["outside"], pool))

    def _inside_faults(self, said: Mapping[str, Any]) -> Iterator[Fault]:
        """A pool that was retired or has shrunk since is one of then."""
        vrf_id, began_at = self.vrfs[said["vrf"]], said["began_at"]
        around = [pool for pool in self._pools_around(said["inside"]) if pool.vrf_id == vrf_id]
        if not any(pool.until is None or pool.until > began_at for pool in around):
            yield Fault("inside", f"{said['inside']} was in no pool of VRF {said['vrf']} then")

    def _pools_around(self, text: str) -> list[Any]:
        address = to_bytes(*parse_address(text))
        if address not in self._around:
            around = [pool for pool in self.pools if pool.first_address <= address <= pool.last_address]
            self._around[address] = around
        return self._around[address]


async def network_of(rows: EstateRows, blocks: Sequence[Mapping[str, Any]], now: datetime) -> HeldAgainst:
    """What these blocks are to be held against."""
    vrfs = dict[str, int | str]()
    for name in sorted({block["vrf"] for block in blocks if "vrf" in block}):
        try:
            vrfs[name] = await rows.id_of("vrf", name)
        except NameUnknown as unknown:
            vrfs[name] = str(unknown)
    pools = (await rows.db.execute(_pools(rows.tenant_id))).all()
    outside = _readable(block["outside"] for block in blocks if "outside" in block)
    return HeldAgainst(now, vrfs, pools, await _not_handed_out(rows, pools, outside))


def _handed_out(outside: str, pool: Any) -> str:
    """With the way out, if it is the CGNAT's all the same: in a BNG's pool nothing can be excluded or reserved."""
    if pool.framed_pool is None:
        says = f"{outside} is pool {pool.name}'s to hand out to subscribers"
        return f"{says}; if the CGNAT has it, exclude or reserve it there"
    says = f"{outside} is pool {pool.name}'s, which the BNG hands out as {pool.framed_pool}"
    return f"{says}; if the CGNAT has it, correct the pool's network in the estate"


def _pools(tenant_id: str) -> Any:
    now, former = (
        select(
            Pool.id,
            Pool.name,
            Pool.unit_length,
            Pool.framed_pool,
            Pool.defined_at,
            prefix.vrf_id,
            prefix.first_address,
            prefix.last_address,
            until,
        ).where(Pool.tenant_id == tenant_id, Pool.kind.in_(("ipv4", "ipv4_routed")))
        for prefix, until in ((Prefix, cast(null(), UtcDateTime).label("until")), (FormerPrefix, FormerPrefix.until))
    )
    return union_all(
        now.join(Prefix, Prefix.id == Pool.prefix_id).where(IN_THE_NETWORK),
        former.join(FormerPrefix, FormerPrefix.pool_id == Pool.id),
    )


async def _not_handed_out(rows: EstateRows, pools: Sequence[Any], outside: Iterable[str]) -> set[tuple[int, int]]:
    """Of the units that these addresses are, those that are excluded or reserved."""
    addresses = {to_bytes(*parse_address(text)): text for text in outside}
    units = {
        (pool.id, _unit(pool, text))
        for address, text in addresses.items()
        for pool in pools
        if pool.until is None and pool.first_address <= address <= pool.last_address
    }
    pool_ids = {pool_id for pool_id, _ in units}
    if not pool_ids:
        return set()
    excluded = select(Exclusion.pool_id, Exclusion.first_unit, Exclusion.last_unit).where(
        Exclusion.pool_id.in_(pool_ids)
    )
    reserved = select(Allocation.pool_id, Allocation.unit, Allocation.unit).where(
        RESERVED, Allocation.pool_id.in_(pool_ids)
    )
    spans = [tuple(row) for kept in (excluded, reserved) for row in await rows.db.execute(kept)]
    return {
        (pool_id, unit) for pool_id, unit in units for of, low, high in spans if of == pool_id and low <= unit <= high
    }


def _unit(pool: Any, text: str) -> int:
    family, number = parse_address(text)
    unit_length: int = pool.unit_length
    return (number - from_bytes(pool.first_address)[1]) >> (BITS[family] - unit_length)


def _readable(texts: Iterable[str]) -> Iterator[str]:
    for text in set(texts):
        try:
            parse_address(text)
        except ValueError:
            continue
        yield text
