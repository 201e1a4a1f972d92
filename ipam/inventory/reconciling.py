"""What RADIUS replies with, compared with what is allocated. Whose rows they are, and where from, is not known here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.answers import value_of
from ipam.inventory.answers import Difference
from ipam.inventory.lines import parsed, spelt
from ipam.tables import ASSIGNED, RESERVED, Allocation, Pool, Prefix, Service

ATTRIBUTES: Mapping[str, str] = {
    "ipv4": "Framed-IP-Address",
    "ipv6_wan": "Framed-IPv6-Prefix",
    "ipv6_pd": "Delegated-IPv6-Prefix",
    "ipv4_routed": "Framed-Route",
    "ipv6_routed": "Framed-IPv6-Route",
}
"""Which attribute tells a NAS of a unit of each kind; only these are compared."""
_OURS = {name.lower(): name for name in ATTRIBUTES.values()}

ReplyRow = tuple[str, str, str]
"""A username, an attribute, its value."""
Given = tuple[str, str]
"""An attribute and its value."""


@dataclass(frozen=True)
class Claim:
    """A live service, and what RADIUS should give it."""

    service_id: int
    customer_id: int
    username: str
    gives: frozenset[Given]


async def claims(db: AsyncSession, tenant_id: str) -> dict[str, Claim]:
    """By username, each live service that holds something that RADIUS gives."""
    whose = (Service.service_id, Service.customer_id, Service.username)
    statement = _units(tenant_id, *whose).join(Service, Service.service_id == Allocation.service_id)
    rows = await db.execute(statement.where(ASSIGNED).order_by(Service.service_id))
    found: dict[str, Claim] = {}
    for (service_id, customer_id, username), units in groupby(rows, key=lambda row: tuple(row[4:])):
        found[username] = Claim(service_id, customer_id, username, frozenset(_given(unit) for unit in units))
    return found


async def kept(db: AsyncSession, tenant_id: str) -> set[Given]:
    """What is reserved, as RADIUS would give it."""
    return {_given(row) for row in await db.execute(_units(tenant_id).where(RESERVED))}


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
    """Takes the rows of RADIUS one name after the other; what no row was about is missing there.

    What RADIUS gives to a name that is nobody's here is no difference as far as it is reserved: nobody else gets it.
    """

    def __init__(self, claimed: Mapping[str, Claim], reserved: Collection[Given] = ()) -> None:
        self._claimed = dict(claimed)
        self._reserved = frozenset(reserved)

    def compare(self, username: str, rows: Sequence[ReplyRow]) -> Difference | None:
        """All rows of one name at once."""
        claim = self._claimed.pop(username, None)
        gives = frozenset((_OURS[name.lower()], _spelt(value)) for _, name, value in rows if name.lower() in _OURS)
        if claim is None:
            gives -= self._reserved
            return _difference("unknown_to_ipam", username, None, gives) if gives else None
        if claim.gives == gives:
            return None
        return _difference("mismatched" if gives else "missing_in_radius", username, claim, gives)

    def missing(self) -> Iterator[Difference]:
        """Services of which RADIUS has no row at all, when every name was compared."""
        for username, claim in sorted(self._claimed.items()):
            yield _difference("missing_in_radius", username, claim, frozenset())


def _difference(what: str, username: str, claim: Claim | None, gives: frozenset[Given]) -> Difference:
    ours = claim.gives if claim else frozenset()
    return Difference(
        difference=what,  # type: ignore[typeddict-item]
        username=username,
        service_id=claim.service_id if claim else None,
        customer_id=claim.customer_id if claim else None,
        ipam=[f"{name}={value}" for name, value in sorted(ours - gives)],
        radius=[f"{name}={value}" for name, value in sorted(gives - ours)],
    )


def _spelt(value: str) -> str:
    """The one spelling, of a route its prefix; what is no address at all stays as it is, and so differs."""
    try:
        return spelt(parsed(value.split()[0]))
    except (ValueError, IndexError):
        return value
