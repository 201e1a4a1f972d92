"""What must always be true of what PostgreSQL has kept of who serves a place (``ipam.allocation.serving_tables``)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import and_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import Candidate, EverythingBound, everything_bound
from ipam.allocation.places import PLAN_COLUMNS, Place, Plan
from ipam.invariants import Violation
from ipam.kinds import wanted
from ipam.tables import AccessNode, AccessPort, AddressPlan, Bng, NetworkVersion, Serving, Site

NODES_AT_ONCE = 50
"""Of each of them there may be a row for every port and plan."""
_OF_THE_PREMISE = ("location_id", "location", "onu")
"""What premises that are served alike don't share: it is told of each anew."""
_PLACE = (
    literal(0),
    literal(""),
    AccessNode.id,
    AccessPort.id,
    AccessNode.site_id,
    AccessNode.bng_id,
    AccessNode.name,
    AccessNode.kind,
    AccessNode.vlan_model,
    AccessNode.cpe_vlan_id,
    AccessNode.management_vlan,
    AccessPort.name,
    literal(None),
    Site.name,
    Bng.name,
)


async def served_otherwise(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """What is kept of who serves a place, for the network as it is, is what its bindings say."""
    kept = (
        select(Serving, *_PLACE, *PLAN_COLUMNS)
        .join(NetworkVersion, NetworkVersion.tenant_id == Serving.tenant_id)
        .join(AccessNode, AccessNode.id == Serving.node_id)
        .join(Site, Site.id == AccessNode.site_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .outerjoin(AccessPort, AccessPort.id == Serving.port_id)
        .outerjoin(AddressPlan, and_(AddressPlan.tenant_id == Serving.tenant_id, AddressPlan.name == Serving.plan))
        .where(Serving.tenant_id == tenant_id, Serving.version == NetworkVersion.version)
        .order_by(AccessNode.name, AccessPort.name, Serving.plan)
    )
    nodes = select(Serving.node_id).distinct().where(Serving.tenant_id == tenant_id).order_by(Serving.node_id)
    everything: EverythingBound | None = None
    found: list[Violation] = []
    last = 0
    while page := (await db.scalars(nodes.where(Serving.node_id > last).limit(NODES_AT_ONCE))).all():
        last = page[-1]
        everything = everything or await everything_bound(db, tenant_id)
        rows = await db.execute(kept.where(Serving.node_id.in_(page)))
        found += [each for row in rows if (each := _violation(row, everything)) is not None]
    return found


def _violation(row: Any, everything: EverythingBound) -> Violation | None:
    said: Serving = row[0]
    place, plan = Place(*row[1 : len(_PLACE) + 1]), Plan(*row[len(_PLACE) + 1 :])
    if plan.plan_id is not None and _agrees(said, place, plan, everything.at(place, plan)):
        return None
    where = f"{place.access_node} {place.port}" if place.port else place.access_node
    return Violation(f"what is kept of who serves plan {said.plan} at {where}", "isn't what is bound there")


def _agrees(said: Serving, place: Place, plan: Plan, bound: Sequence[Candidate]) -> bool:
    kinds = wanted(plan, place)
    ranked = sorted(
        (each for each in bound if each.kind in kinds),
        key=lambda each: (each.kind, -_standing(each), each.priority, each.name),
    )
    try:
        facts = json.loads(said.facts)
        told = sorted(_told(said, facts), key=lambda each: each[0])  # which kind comes first is of no account
        asked = {name: facts["asked"][name] for name in _asked(place, plan)}
    except (ValueError, KeyError, TypeError):
        return False
    return (
        said.plan_id == plan.plan_id
        and said.wanted == len(kinds)
        and asked == _asked(place, plan)
        and facts["asked"]["kinds"] == kinds
        and told == [_expected(each) for each in ranked]
        and _draws_from_the_first(said)
    )


def _draws_from_the_first(said: Serving) -> bool:
    firsts = [at for at, kind in enumerate(said.kinds) if kind not in said.kinds[:at]]
    units = [at for at in firsts if said.kinds[at] != "svlan"]
    if said.firsts != [at + 1 for at in firsts] or said.hints != [said.last_seqs[at] for at in units]:
        return False
    if said.drawn is None:
        return True
    is_plain = all(said.kinds[at] != "framed_pool" and not said.reuses[at] for at in units)
    return is_plain and said.drawn == [said.pools[at] for at in units]


def _asked(place: Place, plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in (asdict(place) | asdict(plan)).items() if name not in _OF_THE_PREMISE}


def _standing(candidate: Candidate) -> int:
    of_plan, of_place = candidate.specificity
    return 4 * of_plan + of_place


def _expected(candidate: Candidate) -> tuple[Any, ...]:
    return (
        candidate.kind,
        _standing(candidate),
        candidate.pool_id or None,
        candidate.reuse_first,
        candidate.svlan_id,
        _hex(candidate.base),
        candidate.unit_length,
        candidate.prefix_length,
        _hex(candidate.gateway),
        candidate.svlan_vid,
        candidate.framed_pool,
    )


def _told(said: Serving, facts: dict[str, Any]) -> list[tuple[Any, ...]]:
    """
    Raises:
        ValueError, KeyError, TypeError: no function of ours has written that.
    """
    columns = (
        said.kinds,
        said.standings,
        said.pools,
        [bool(each) for each in said.reuses],
        said.svlans,
        *(facts[name] for name in ("bases", "unit_lengths", "lengths", "gateways", "vids", "framed")),
    )
    if facts["kinds"] != columns[0]:
        raise ValueError("two lists of kinds that differ")
    return list(zip(*columns, strict=True))


def _hex(value: bytes | None) -> str | None:
    return None if value is None else f"\\x{value.hex()}"
