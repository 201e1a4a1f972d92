"""What is bound to where a premise terminates, and what could be taken from it at the moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Label,
    Text,
    bindparam,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import unit_numbered
from ipam.allocation.carving import Unit
from ipam.allocation.places import AnySelect, Place, Plan
from ipam.answers import Held
from ipam.kinds import UNITLESS, Kind
from ipam.tables import (
    IN_QUARANTINE,
    Allocation,
    FreeRange,
    Location,
    Pool,
    PoolBinding,
    Prefix,
    Svlan,
    UtcDateTime,
    VlanGroup,
)


@dataclass(frozen=True)
class Candidate:
    """One bound pool (or shared S-VLAN), and what could be taken from it when we looked."""

    kind: Kind
    name: str
    specificity: tuple[int, int]
    priority: int
    pool_id: int
    """0 for a shared S-VLAN, from which nothing is taken."""
    svlan_id: int | None
    svlan_vid: int | None
    framed_pool: str | None
    base: bytes | None
    unit_length: int | None
    prefix_length: int | None
    gateway: bytes | None
    reuse_first: bool
    """Used units go before never used ones."""
    cvlan_formula: str | None
    own_id: int | None
    """The subject's own former unit, still in quarantine."""
    range_seq: int | None
    """The first free range, and its bounds."""
    next_unit: int | None
    last_unit: int | None
    last_seq: int | None
    """The last free range: writers begin somewhere from the first to the last."""
    oldest_id: int | None
    """The unit that has been out of quarantine for the longest time."""
    given: int | None = None
    """The unit to be taken, where it was asked for or is computed; else it is the pool's choice."""
    computed_from: str | None = None
    """The formula that ``given`` follows from, and what it took of the premise."""

    @property
    def is_computed(self) -> bool:
        return self.computed_from is not None

    @property
    def takes(self) -> bool:
        """Whether a unit is taken; a shared S-VLAN and a BNG's pool are only named."""
        return self.kind not in UNITLESS

    @property
    def has_something(self) -> bool:
        sources = (self.given, self.own_id, self.range_seq, self.oldest_id)
        return not self.takes or any(source is not None for source in sources)

    @property
    def reused_id(self) -> int | None:
        """The used unit whose turn it is; None: a never used one's."""
        if self.own_id is not None or self.range_seq is None or self.reuse_first:
            return self.own_id or self.oldest_id
        return None

    def numbered(self, number: str | int) -> int | None:
        """The unit that has this address, prefix or C-VLAN; None: it isn't of this pool."""
        return unit_numbered(self.base, self.prefix_length, self.unit_length, number)

    def unit(self, number: int, tenant_id: str) -> Unit:
        return Unit(tenant_id, self.pool_id, number, self.name, self.held(number).value, self.computed_from)

    def held(self, unit: int | None) -> Held:
        return Held(
            kind=self.kind,
            unit=unit,
            base=self.base,
            unit_length=self.unit_length,
            prefix_length=self.prefix_length,
            gateway=self.gateway,
            svlan_vid=self.svlan_vid,
            framed_pool=self.framed_pool,
        )


@dataclass(frozen=True)
class Holder:
    """For whom units are taken, and when."""

    tenant_id: str
    service_id: int
    subject: str
    at: datetime
    takes_reserved: bool | None = None
    """Whether what is asked for by its number may be reserved; None: that can't be said where they ask."""


async def bound(db: AsyncSession, place: Place, plan: Plan, holder: Holder) -> list[Candidate]:
    """Everything that may serve the plan there, of any kind and however specific its binding."""
    given = {
        "tenant_id": holder.tenant_id,
        "bng_id": place.bng_id,
        "site_id": place.site_id,
        "node_id": place.node_id,
        "port_id": place.port_id or 0,
        "plan_id": plan.plan_id,
        "subject": holder.subject,
        "at": holder.at,
    }
    return [candidate_from(row) for row in await db.execute(_BOUND, given)]


def what_could_be_taken(subject: ColumnElement[str], *, units: bool = True) -> list[Label[Any]]:
    """Each by a look-up of its own: joined, the planner may read the ranges of all pools. ``units``: the bounds of the
    first range as well."""
    own = (
        select(Allocation.id)
        .where(
            Allocation.pool_id == Pool.id,
            IN_QUARANTINE,
            Allocation.subject == subject,
            or_(Allocation.sticky_until.is_(None), Allocation.sticky_until >= bindparam("at", type_=UtcDateTime)),
        )
        .order_by(Allocation.available_at.desc(), Allocation.id.desc())
    )
    oldest = (
        select(Allocation.id)
        .where(Allocation.pool_id == Pool.id, Allocation.available_at <= bindparam("at", type_=UtcDateTime))
        .order_by(Allocation.available_at, Allocation.id)
    )
    ranges = select(FreeRange.seq).where(FreeRange.pool_id == Pool.id)
    forwards = ranges.order_by(FreeRange.pool_id, FreeRange.seq)
    lookups = {
        "seq": forwards,
        "next_unit": forwards.with_only_columns(FreeRange.next_unit),
        "last_unit": forwards.with_only_columns(FreeRange.last_unit),
        "last_seq": ranges.order_by(FreeRange.pool_id.desc(), FreeRange.seq.desc()),
        "own_id": own,
        "oldest_id": oldest,
    }
    unknown = () if units else ("next_unit", "last_unit")
    return [
        null().label(name)
        if name in unknown
        else each.limit(literal_column("1")).correlate(Pool, Location).scalar_subquery().label(name)
        for name, each in lookups.items()
    ]


_PLACES = (PoolBinding.bng_id, PoolBinding.site_id, PoolBinding.node_id, PoolBinding.port_id)

CANDIDATE_COLUMNS: tuple[Any, ...] = (
    PoolBinding.id.label("binding_id"),
    *(column.label(f"bound_{column.key}") for column in (PoolBinding.plan_id, *_PLACES)),
    PoolBinding.priority,
    Pool.id.label("pool_id"),
    Pool.kind,
    Pool.name,
    Pool.unit_length,
    Pool.framed_pool,
    Pool.policy,
    Prefix.first_address,
    Prefix.length,
    Prefix.gateway,
    Svlan.id.label("svlan_id"),
    Svlan.vid,
    Svlan.cvlan_formula,
    VlanGroup.name.label("vlan_group"),
)


@dataclass(frozen=True)
class EverythingBound:
    """All bindings of a network, to be asked for many places without a question to the database for each."""

    by_place: Mapping[tuple[str, int], Sequence[tuple[int | None, Candidate]]]

    def at(self, place: Place, plan: Plan) -> list[Candidate]:
        """Everything that may serve the plan there; what could be taken of it isn't known."""
        ids = zip(_PLACES, (place.bng_id, place.site_id, place.node_id, place.port_id), strict=True)
        return [
            candidate
            for column, place_id in ids
            for plan_id, candidate in self.by_place.get((column.key, place_id or 0), ())
            if plan_id in (None, plan.plan_id)
        ]


async def everything_bound(db: AsyncSession, tenant_id: str) -> EverythingBound:
    """Every pool and shared S-VLAN by the place that it is bound to."""
    unknown = ("seq", "next_unit", "last_unit", "last_seq", "own_id", "oldest_id")
    rows = await db.execute(
        _bindings(*(null().label(name) for name in unknown)).where(PoolBinding.tenant_id == tenant_id)
    )
    by_place: dict[tuple[str, int], list[tuple[int | None, Candidate]]] = defaultdict(list)
    for row in rows:
        places = [(each.key, getattr(row, f"bound_{each.key}")) for each in _PLACES]
        [(column, place_id)] = [(key, found) for key, found in places if found is not None]
        by_place[column, place_id].append((row.bound_plan_id, candidate_from(row)))
    return EverythingBound(by_place)


def _bound_statement() -> Executable:
    return _bindings(*what_could_be_taken(bindparam("subject", type_=Text))).where(
        PoolBinding.tenant_id == bindparam("tenant_id", type_=Text),
        or_(*(column == bindparam(column.key, type_=Integer) for column in _PLACES)),
        or_(PoolBinding.plan_id.is_(None), PoolBinding.plan_id == bindparam("plan_id", type_=Integer)),
    )


def _bindings(*what_could_be_taken: Label[Any]) -> AnySelect:
    return with_bound(select(*CANDIDATE_COLUMNS, *what_could_be_taken).select_from(PoolBinding))


def with_bound(statement: AnySelect) -> AnySelect:
    """Join a statement that has bindings to what is bound by them."""
    return (
        statement.outerjoin(Pool, Pool.id == PoolBinding.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == func.coalesce(Pool.svlan_id, PoolBinding.svlan_id))
        .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
    )


# Built once: a statement's shape costs more to build than to send.
_BOUND = _bound_statement()


def candidate_from(row: Any) -> Candidate:
    """Of a row that has ``CANDIDATE_COLUMNS`` and ``what_could_be_taken``."""
    kind = "svlan" if row.pool_id is None else "framed_pool" if row.framed_pool else row.kind
    place = 3 if row.bound_port_id else 2 if row.bound_node_id else 1 if row.bound_site_id else 0
    return Candidate(
        kind=cast(Kind, kind),
        name=row.name or f"{row.vlan_group}/{row.vid}",
        specificity=(0 if row.bound_plan_id is None else 1, place),
        priority=row.priority,
        pool_id=row.pool_id or 0,
        svlan_id=row.svlan_id,
        svlan_vid=row.vid,
        framed_pool=row.framed_pool,
        base=row.first_address,
        unit_length=row.unit_length,
        prefix_length=row.length,
        gateway=row.gateway,
        reuse_first=row.policy == "reuse_first",
        cvlan_formula=row.cvlan_formula,
        own_id=row.own_id,
        range_seq=row.seq,
        next_unit=row.next_unit,
        last_unit=row.last_unit,
        last_seq=row.last_seq,
        oldest_id=row.oldest_id,
    )
