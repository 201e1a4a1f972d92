"""What RADIUS replies with, compared with what is allocated. Whose rows they are, and where from, is not known here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.answers import value_of
from ipam.inventory.answers import Difference, DifferenceKind
from ipam.inventory.lines import as_note, parsed, spelt_anew
from ipam.inventory.pools import PoolIndex
from ipam.inventory.shapes import THE_NAS_CHOOSES
from ipam.tables import ASSIGNED, RESERVED, Allocation, Pool, Prefix, Service
from ipam.upkeep.pool_units import all_pools

ATTRIBUTES: Mapping[str, str] = {
    "ipv4": "Framed-IP-Address",
    "ipv6_wan": "Framed-IPv6-Prefix",
    "ipv6_pd": "Delegated-IPv6-Prefix",
    "ipv4_routed": "Framed-Route",
    "ipv6_routed": "Framed-IPv6-Route",
}
"""Which attribute tells a NAS of a unit of each kind; only these are compared."""
_THE_NAS_CHOOSES = frozenset((ATTRIBUTES["ipv4"], address) for address in THE_NAS_CHOOSES)
_OURS = {name.lower(): name for name in ATTRIBUTES.values()}

NAMES_AT_ONCE = 1_000
ReplyRow = tuple[str, str, str]
"""A username, an attribute, its value."""
Given = tuple[str, str]
"""An attribute and its value."""


@dataclass(frozen=True)
class Claim:
    """A service that holds something, and what RADIUS should give it."""

    service_id: int
    customer_id: int
    username: str
    gives: frozenset[Given]


def _units(tenant_id: str, *more: Any) -> AnySelect:
    statement: AnySelect = select(Pool.kind, Prefix.first_address, Pool.unit_length, Allocation.unit, *more)
    return (
        statement.select_from(Allocation)
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(Allocation.tenant_id == tenant_id, Pool.kind.in_(ATTRIBUTES))
    )


def _given(row: Any) -> Given:
    return ATTRIBUTES[row.kind], value_of(row.first_address, row.unit_length, row.unit)


class Reconciliation:
    """Takes the rows of RADIUS some names at a time; what no row was about is missing there.

    Of a network of any size it keeps no more than which services it has seen, its pools, and what is reserved. What
    RADIUS gives to a name that is nobody's here is no difference as far as an import of radreply has reserved it for
    that name: nobody else gets it.
    """

    def __init__(self, db: AsyncSession, tenant_id: str) -> None:
        """``db`` sees one moment for as long as it takes."""
        self._db = db
        self._tenant_id = tenant_id
        self._seen: set[int] = set()
        self._known: tuple[PoolIndex, Mapping[Given, set[str]]] | None = None

    async def compare(self, by_name: Mapping[str, Sequence[ReplyRow]]) -> list[Difference]:
        """All rows of each name at once; best a thousand names at a time."""
        named = select(Service.service_id).where(Service.tenant_id == self._tenant_id, Service.username.in_(by_name))
        claimed = await self._claims((await self._db.scalars(named)).all())
        self._seen |= {claim.service_id for claim in claimed.values()}
        found: list[Difference] = []
        for name, rows in by_name.items():
            found += await self._compared(name, claimed.get(name), rows)
        return found

    async def missing(self) -> AsyncIterator[Difference]:
        """Services of which RADIUS has no row at all, when every name was compared."""
        holds = exists().where(Allocation.service_id == Service.service_id, ASSIGNED)
        holding = select(Service.service_id).where(Service.tenant_id == self._tenant_id, holds)
        page = holding.order_by(Service.service_id).limit(NAMES_AT_ONCE)
        last = 0
        while numbers := (await self._db.scalars(page.where(Service.service_id > last))).all():
            last = numbers[-1]
            unseen = [number for number in numbers if number not in self._seen]
            claimed = await self._claims(unseen)
            for username, claim in claimed.items():
                yield _difference("missing_in_radius", username, claim, frozenset())

    async def _compared(self, username: str, claim: Claim | None, rows: Sequence[ReplyRow]) -> list[Difference]:
        gives = frozenset((_OURS[name.lower()], _told(value)) for _, name, value in rows if name.lower() in _OURS)
        if claim is None or all(name != ATTRIBUTES["ipv4"] for name, _ in claim.gives):
            gives -= _THE_NAS_CHOOSES  # gives nothing that is allocated anywhere
        if claim is None:
            return await self._unclaimed(username, gives) if gives else []
        if claim.gives == gives:
            return []
        return [_difference("mismatched" if gives else "missing_in_radius", username, claim, gives)]

    async def _unclaimed(self, username: str, gives: frozenset[Given]) -> list[Difference]:
        """What a name that no live service has is given, by what can become of it."""
        pools, kept = await self._pools_and_reserved()
        own = as_note("radreply", username)
        gives = frozenset(given for given in gives if own not in kept.get(given, ()))
        outside = frozenset(given for given in gives if _is_outside(pools, given))
        otherwise = frozenset(given for given in gives if given in kept)
        parts: tuple[tuple[DifferenceKind, frozenset[Given]], ...] = (
            ("unknown_to_ipam", gives - outside - otherwise),
            ("reserved_otherwise", otherwise),
            ("outside_pools", outside),
        )
        return [_difference(what, username, None, part) for what, part in parts if part]

    async def _claims(self, service_ids: Sequence[int]) -> dict[str, Claim]:
        """By username, those of these services that hold something that RADIUS gives."""
        if not service_ids:
            return {}
        whose = (Service.service_id, Service.customer_id, Service.username)
        statement = _units(self._tenant_id, *whose).join(Service, Service.service_id == Allocation.service_id)
        # By what each holds, not by the service: PostgreSQL would read all that is held for every thousand.
        these = Allocation.service_id.in_(service_ids)
        rows = await self._db.execute(statement.where(ASSIGNED, these).order_by(Service.service_id))
        found: dict[str, Claim] = {}
        for (service_id, customer_id, username), units in groupby(rows, key=lambda row: tuple(row[4:])):
            found[username] = Claim(service_id, customer_id, username, frozenset(_given(unit) for unit in units))
        return found

    async def _pools_and_reserved(self) -> tuple[PoolIndex, Mapping[Given, set[str]]]:
        """And what that is reserved for, as RADIUS would give it."""
        if self._known is None:
            kept: defaultdict[Given, set[str]] = defaultdict(set)
            for row in await self._db.execute(_units(self._tenant_id, Allocation.note).where(RESERVED)):
                kept[_given(row)].add(row.note)
            self._known = PoolIndex(await all_pools(self._db, self._tenant_id)), kept
        return self._known


def _is_outside(pools: PoolIndex, given: Given) -> bool:
    try:
        return pools.is_outside(parsed(given[1]))
    except ValueError:  # what is no address at all lies nowhere
        return False


def _difference(what: DifferenceKind, username: str, claim: Claim | None, gives: frozenset[Given]) -> Difference:
    ours = claim.gives if claim else frozenset()
    return Difference(
        difference=what,
        username=username,
        service_id=claim.service_id if claim else None,
        customer_id=claim.customer_id if claim else None,
        ipam=[f"{name}={value}" for name, value in sorted(ours - gives)],
        radius=[f"{name}={value}" for name, value in sorted(gives - ours)],
    )


def _told(value: str) -> str:
    """In the one spelling, of a route its prefix; what is no address at all stays as it is, and so differs."""
    return spelt_anew("".join(value.split()[:1])) or value
