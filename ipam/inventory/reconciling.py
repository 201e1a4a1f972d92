"""What RADIUS replies with, compared with what is allocated. Whose rows they are, and where from, is not known here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.answers import value_of
from ipam.inventory.answers import Difference, DifferenceKind
from ipam.inventory.lines import parsed, spelt_anew
from ipam.inventory.shapes import ATTRIBUTES, INSIDE, THE_NAS_CHOOSES
from ipam.inventory.unclaimed import Given, Unclaimed
from ipam.kinds import ROUTED
from ipam.tables import ASSIGNED, Allocation, Pool, Prefix, Service

_THE_NAS_CHOOSES = frozenset((ATTRIBUTES["ipv4"], address) for address in THE_NAS_CHOOSES)
_ROUTES = frozenset(ATTRIBUTES[kind] for kind in ROUTED)
"""Behind their prefix stand a gateway and a metric (RFC 2865 s5.22, RFC 3162 s2.5)."""
_OURS = {name.lower(): name for name in (*ATTRIBUTES.values(), INSIDE)}
"""Only these are compared."""

NAMES_AT_ONCE = 1_000
ReplyRow = tuple[str, str, str]
"""A username, an attribute, its value."""


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

    Of a network of any size it keeps no more than which services it has seen, its pools, and what is given that nobody
    holds. What RADIUS gives to a name that is nobody's here is no difference as far as an import of radreply has
    reserved it for that name: nobody else gets it.
    """

    def __init__(self, db: AsyncSession, tenant_id: str, *, at: datetime) -> None:
        """``db`` sees one moment for as long as it takes."""
        self._db = db
        self._tenant_id = tenant_id
        self._seen: set[int] = set()
        self._unclaimed = Unclaimed(db, tenant_id, at)

    async def compare(self, by_name: Mapping[str, Sequence[ReplyRow]]) -> list[Difference]:
        """All rows of each name at once; best a thousand names at a time. What RADIUS gives that is nobody's here comes
        with ``remaining``."""
        named = select(Service.service_id).where(Service.tenant_id == self._tenant_id, Service.username.in_(by_name))
        claimed = await self._claims((await self._db.scalars(named)).all())
        self._seen |= {claim.service_id for claim in claimed.values()}
        gives = {name: _gives(rows, claimed.get(name)) for name, rows in by_name.items()}
        unclaimed = {name: given for name, given in gives.items() if given and name not in claimed}
        besides = {name: gives[name] - claim.gives for name, claim in claimed.items()}
        found = [_compared(claim, gives[name]) for name, claim in claimed.items() if claim.gives != gives[name]]
        parts = await self._unclaimed.sorted_out(unclaimed, besides)
        return [*found, *(_difference(what, name, None, part) for name, what, part in parts)]

    async def remaining(self) -> AsyncIterator[Difference]:
        """When every name was compared: what RADIUS gives that is nobody's here, to one name or to several, and
        services of which it has no row at all."""
        for name, what, part in self._unclaimed.left():
            yield _difference(what, name, None, part)
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


def _gives(rows: Iterable[ReplyRow], claim: Claim | None) -> frozenset[Given]:
    """In the spelling in which services hold it."""
    told = ((_OURS[name.lower()], value) for _, name, value in rows if name.lower() in _OURS)
    gives = frozenset((name, _told(name, value)) for name, value in told)
    if claim is None or all(name != ATTRIBUTES["ipv4"] for name, _ in claim.gives):
        gives -= _THE_NAS_CHOOSES  # gives nothing that is allocated anywhere
    if claim is None:
        return gives
    return frozenset(_as_held(given, claim) for given in gives)


def _as_held(given: Given, claim: Claim) -> Given:
    """Of an address in a prefix that its service holds, that prefix."""
    if given[0] != INSIDE or spelt_anew(given[1]) is None:
        return given
    address = parsed(given[1])
    prefixes = (ours for ours in claim.gives if parsed(ours[1]).holds(address.family, address.first))
    return next(prefixes, given)


def _compared(claim: Claim, gives: frozenset[Given]) -> Difference:
    return _difference("mismatched" if gives else "missing_in_radius", claim.username, claim, gives)


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


def _told(name: str, value: str) -> str:
    """In the one spelling, of a route its prefix; what is no address at all stays as it is, and so differs."""
    return spelt_anew("".join(value.split()[:1]) if name in _ROUTES else value.strip()) or value
