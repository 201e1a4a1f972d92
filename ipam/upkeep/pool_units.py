"""Pools and units by the names and numbers that operators know."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import (
    BITS,
    LAST_VID,
    Network,
    from_bytes,
    parse_span,
    parse_vids,
    unit_numbered,
)
from ipam.allocation.carving import Unit
from ipam.allocation.places import AnySelect
from ipam.answers import span_of, value_of
from ipam.errors import NameUnknown, RequestInvalid
from ipam.kinds import Kind
from ipam.lookup.history import Numbered
from ipam.tables import IN_THE_NETWORK, Allocation, Pool, Prefix, Vrf, table_of
from ipam.units import MOST_STRIPES, VLAN_STRIPES, Interval

LONGEST_NOTE = 500


@dataclass(frozen=True)
class KnownPool:
    """A pool, and the prefix that it stands on (a C-VLAN pool has none)."""

    tenant_id: str
    pool_id: int
    name: str
    kind: str
    span: int
    unit_length: int | None
    framed_pool: str | None
    prefix_id: int | None
    network: str | None
    base: bytes | None
    prefix_length: int | None
    gateway: bytes | None
    vrf_id: int | None
    vrf: str | None
    role: str | None

    @property
    def stripes(self) -> int:
        return VLAN_STRIPES if self.kind == "cvlan" else MOST_STRIPES

    def value(self, unit: int) -> str:
        return value_of(self.base, self.unit_length, unit)

    def numbered(self, unit: int) -> Numbered:
        return Numbered(self.pool_id, self.name, self.base, self.unit_length, unit)

    def unit(self, value: str) -> Unit:
        """The unit that has this address, prefix or C-VLAN.

        Raises:
            RequestInvalid: the pool hands out no such thing.
        """
        try:
            if self.base is None and not (value.isascii() and value.strip().isdecimal()):
                raise ValueError(f"{value!r} is no VLAN number")
            number = int(value) if self.base is None else value
            unit = unit_numbered(self.base, self.prefix_length, self.unit_length, number)
        except ValueError as exc:
            raise RequestInvalid("value", f"is nothing that pool {self.name} hands out: {exc}") from exc
        if unit is None:
            what = f"/{self.unit_length} of {self.network}" if self.base else f"C-VLANs 0..{LAST_VID + 1}"
            raise RequestInvalid("value", f"{value} is nothing that pool {self.name} hands out ({what})")
        return Unit(self.tenant_id, self.pool_id, unit, self.name, self.value(unit))

    def units(self, text: str) -> Interval:
        """One that the pool hands out, or several: from-to, or a prefix around them.

        Raises:
            RequestInvalid: neither.
        """
        try:
            unit = self.unit(text).unit
        except RequestInvalid:
            with suppress(RequestInvalid):
                first, last = self.interval(text)
                if first != last:
                    return first, last
            raise
        return unit, unit

    def interval(self, span: str | None) -> Interval:
        """The units that a span of addresses or VLAN numbers touches; without one, all of them.

        Raises:
            RequestInvalid: it isn't inside of the pool.
        """
        if span is None:
            return 0, self.span - 1
        try:
            if self.base is None or self.unit_length is None:
                [vids] = parse_vids([span])
                return vids
            family, first, last = parse_span(span)
        except ValueError as exc:
            raise RequestInvalid("span", f"can't be meant: {exc}") from exc
        own_family, base = from_bytes(self.base)
        network = Network(own_family, base, self.prefix_length or 0)
        if not (network.holds(family, first) and network.holds(family, last)):
            raise RequestInvalid("span", f"{span} is not inside {self.network} of pool {self.name}")
        shift = BITS[own_family] - self.unit_length
        return (first - base) >> shift, (last - base) >> shift

    def part(self, span: str) -> str:
        """All of the units that the span touches, which may be more than it says, in one spelling for each."""
        return span_of(self.base, self.unit_length, *self.interval(span))


_POOLS: AnySelect = (
    select(
        Pool.tenant_id,
        Pool.id,
        Pool.name,
        Pool.kind,
        Pool.span,
        Pool.unit_length,
        Pool.framed_pool,
        Prefix.id,
        Prefix.network,
        Prefix.first_address,
        Prefix.length,
        Prefix.gateway,
        Vrf.id,
        Vrf.name,
        Prefix.role,
    )
    .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
    .outerjoin(Vrf, Vrf.id == Prefix.vrf_id)
    .where(IN_THE_NETWORK)
)


async def all_pools(db: AsyncSession, tenant_id: str, kind: Kind | None = None) -> list[KnownPool]:
    """Every pool (of the ``kind``), by name; those that a BNG hands out as well."""
    of_kind = [] if kind is None else [Pool.kind == kind]
    found = await db.execute(_POOLS.where(Pool.tenant_id == tenant_id, *of_kind).order_by(Pool.name))
    return [KnownPool(*row) for row in found]


async def find_pool(db: AsyncSession, tenant_id: str, name: str, *, include_framed: bool = False) -> KnownPool:
    """``include_framed``: also one that the BNG hands out.

    Raises:
        NameUnknown: there is none of that name.
        RequestInvalid: the BNG hands it out, not we.
    """
    found = (await db.execute(_POOLS.where(Pool.tenant_id == tenant_id, Pool.name == name))).first()
    if found is None:
        raise NameUnknown("pool", name)
    pool = KnownPool(*found)
    if pool.framed_pool is not None and not include_framed:
        raise RequestInvalid("pool", f"{name} is handed out by the BNG, which knows it as {pool.framed_pool}")
    return pool


def checked_note(note: str) -> str:
    """The reason of what is done by hand, as it is kept.

    Raises:
        RequestInvalid: it says nothing, or too much.
    """
    said = " ".join(note.split())
    if not said or len(said) > LONGEST_NOTE or not said.isprintable():
        raise RequestInvalid("reason", f"must say why, in 1 to {LONGEST_NOTE} characters")
    return said


async def locked_row(db: AsyncSession, unit: Unit) -> Any:
    """The unit's row, or None if it has none or others hold it."""
    table = table_of(Allocation)
    of_unit = select(table).where(table.c.pool_id == unit.pool_id, table.c.unit == unit.unit)
    return (await db.execute(of_unit.with_for_update(skip_locked=True))).first()
