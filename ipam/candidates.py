"""Which pools may serve a premise on a plan: by what is bound where the premise terminates.

For each kind of resource the most specific binding wins: one made for this plan before one for all plans (or a business
line would overflow into the CGNAT pool), then port before access node before site before BNG. All bindings of that same
place form one chain, filled in order of priority; the next one serves when the one before it is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Executable, Integer, Label, Text, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import Held
from ipam.errors import GatewayMissing, NoPoolBound
from ipam.kinds import KIND_IN_WORDS, Kind, wanted
from ipam.places import Place, Plan
from ipam.tables import IN_QUARANTINE, Allocation, FreeRange, Pool, PoolBinding, Prefix, Svlan, UtcDateTime, VlanGroup


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

    @property
    def takes(self) -> bool:
        """Whether a unit is taken; a shared S-VLAN and a BNG's pool are only named."""
        return self.kind not in ("svlan", "framed_pool")

    @property
    def has_something(self) -> bool:
        return not self.takes or not (self.own_id is None and self.range_seq is None and self.oldest_id is None)

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


Chains = dict[Kind, list[Candidate]]


@dataclass(frozen=True)
class Holder:
    """For whom units are taken, and when."""

    tenant_id: str
    service_id: int
    subject: str
    at: datetime


async def find_chains(db: AsyncSession, *, place: Place, plan: Plan, holder: Holder) -> Chains:
    """For each kind that the plan needs: the bound pools in filling order.

    Raises:
        NoPoolBound, GatewayMissing: the plan can't be served at this premise.
    """
    found = await _bound(db, place, plan, holder)
    chains: Chains = {}
    for kind in wanted(plan, place):
        chain = most_specific([candidate for candidate in found if candidate.kind == kind])
        if not chain:
            raise NoPoolBound(
                location=place.location,
                plan=plan.name,
                kind=KIND_IN_WORDS[kind],
                access_node=place.access_node,
                bng=place.bng,
            )
        if kind == "ipv4" and plan.access == "ipoe" and (blind := [c for c in chain if c.gateway is None]):
            raise GatewayMissing(pool=blind[0].name, plan=plan.name)
        chains[kind] = chain
    return chains


def most_specific(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The chain of the most specific place, in the order to try: one that the subject knows, then by priority."""
    best = max((candidate.specificity for candidate in candidates), default=None)
    chain = [candidate for candidate in candidates if candidate.specificity == best]
    return sorted(chain, key=lambda candidate: (candidate.own_id is None, candidate.priority, candidate.name))


async def _bound(db: AsyncSession, place: Place, plan: Plan, holder: Holder) -> list[Candidate]:
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
    return [_candidate(row) for row in await db.execute(_BOUND, given)]


def _what_could_be_taken() -> list[Label[Any]]:
    """Each by a look-up of its own: joined, the planner may read the ranges of all pools."""
    mine = and_(Allocation.pool_id == Pool.id, IN_QUARANTINE)
    own = (
        select(Allocation.id)
        .where(mine, Allocation.subject == bindparam("subject", type_=Text))
        .order_by(Allocation.available_at.desc(), Allocation.id.desc())
    )
    oldest = (
        select(Allocation.id)
        .where(mine, Allocation.available_at <= bindparam("at", type_=UtcDateTime))
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
    return [each.limit(1).correlate(Pool).scalar_subquery().label(name) for name, each in lookups.items()]


def _bound_statement() -> Executable:
    places = (PoolBinding.bng_id, PoolBinding.site_id, PoolBinding.node_id, PoolBinding.port_id)
    return (
        select(
            PoolBinding.plan_id,
            PoolBinding.port_id,
            PoolBinding.node_id,
            PoolBinding.site_id,
            PoolBinding.priority,
            Pool.id.label("pool_id"),
            Pool.kind,
            Pool.name,
            Pool.unit_length,
            Pool.framed_pool,
            Prefix.first_address,
            Prefix.length,
            Prefix.gateway,
            Svlan.id.label("svlan_id"),
            Svlan.vid,
            VlanGroup.name.label("vlan_group"),
            *_what_could_be_taken(),
        )
        .select_from(PoolBinding)
        .outerjoin(Pool, Pool.id == PoolBinding.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == func.coalesce(Pool.svlan_id, PoolBinding.svlan_id))
        .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(
            PoolBinding.tenant_id == bindparam("tenant_id", type_=Text),
            or_(*(column == bindparam(column.key, type_=Integer) for column in places)),
            or_(PoolBinding.plan_id.is_(None), PoolBinding.plan_id == bindparam("plan_id", type_=Integer)),
        )
    )


# Built once: a statement's shape costs more to build than to send.
_BOUND = _bound_statement()


def _candidate(row: Any) -> Candidate:
    kind = "svlan" if row.pool_id is None else "framed_pool" if row.framed_pool else row.kind
    place = 3 if row.port_id else 2 if row.node_id else 1 if row.site_id else 0
    return Candidate(
        kind=cast(Kind, kind),
        name=row.name or f"{row.vlan_group}/{row.vid}",
        specificity=(0 if row.plan_id is None else 1, place),
        priority=row.priority,
        pool_id=row.pool_id or 0,
        svlan_id=row.svlan_id,
        svlan_vid=row.vid,
        framed_pool=row.framed_pool,
        base=row.first_address,
        unit_length=row.unit_length,
        prefix_length=row.length,
        gateway=row.gateway,
        own_id=row.own_id,
        range_seq=row.seq,
        next_unit=row.next_unit,
        last_unit=row.last_unit,
        last_seq=row.last_seq,
        oldest_id=row.oldest_id,
    )
