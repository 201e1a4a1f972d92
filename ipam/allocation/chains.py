"""Which pools may serve a premise on a plan: by what is bound where the premise terminates.

For each kind of resource the most specific binding wins: one made for this plan before one for all plans (or a business
line would overflow into the CGNAT pool), then port before access node before site before BNG. All bindings of that same
place form one chain, filled in order of priority; the next one serves when the one before it is full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import FIRST_VID, LAST_VID
from ipam.allocation.candidates import Candidate, Holder, bound
from ipam.allocation.cvlan_formula import parse_formula
from ipam.allocation.places import Place, Plan
from ipam.allocation.static_requests import NAME_OF, StaticResources
from ipam.errors import GatewayMissing, NoPoolBound
from ipam.kinds import KIND_IN_WORDS, Kind, wanted
from ipam.request_faults import RequestFaults
from ipam.unit_errors import CvlanNotComputable, UnitElsewhere

Chains = dict[Kind, list[Candidate]]


async def find_chains(
    db: AsyncSession, *, place: Place, plan: Plan, holder: Holder, static: StaticResources | None = None
) -> Chains:
    """For each kind that the plan needs: the bound pools in filling order.

    Raises:
        NoPoolBound, GatewayMissing: the plan can't be served at this premise.
        UnitElsewhere, CvlanNotComputable: what is asked for by its number, or is computed, can't be had here;
            RequestInvalid with all such numbers.
    """
    by_number = static.by_kind() if static else {}
    return chains_of(await bound(db, place, plan, holder), place, plan, wanted(plan, place), by_number)


def chains_of(
    found: Sequence[Candidate], place: Place, plan: Plan, kinds: Sequence[Kind], by_number: Mapping[Kind, str | int]
) -> Chains:
    """As ``find_chains``, of what is bound there."""
    bound_kinds = {candidate.kind for candidate in found}
    if unbound := [kind for kind in kinds if kind not in bound_kinds]:
        raise NoPoolBound(
            location=place.location,
            plan=plan.name,
            kind=" and ".join(KIND_IN_WORDS[kind] for kind in unbound),
            access_node=place.access_node,
            bng=place.bng,
            beside=other_svlans(found, unbound, place, plan),
        )
    chains: Chains = {}
    faults = _not_wanted(place, plan, kinds, by_number)
    for kind in kinds:
        chain = most_specific(of_kind := [candidate for candidate in found if candidate.kind == kind])
        if kind in by_number:
            named = faults.check(NAME_OF[kind], partial(by_its_number, of_kind, by_number[kind], place, plan))
            chain = [] if named is None else [named]
        elif kind == "cvlan" and chain[0].cvlan_formula is not None:
            chain = [computed(chain[0], place, plan)]
        if kind == "ipv4" and plan.access == "ipoe" and (blind := [c for c in chain if c.gateway is None]):
            raise GatewayMissing(pool=blind[0].name, plan=plan.name)
        chains[kind] = chain
    faults.refuse_if_any()
    return chains


def other_svlans(found: Sequence[Candidate], unbound: Sequence[Kind], place: Place, plan: Plan) -> str | None:
    """Which S-VLANs are bound there although the plan takes none of that kind, and why; None: it isn't that."""
    if "svlan" in unbound:
        other, are = "cvlan", "has C-VLANs (`cvlans`), one for each line"
        takes = "a plan takes one that is shared"
    elif "cvlan" in unbound:
        other, are = "svlan", "has no `cvlans`: all lines share it"
        takes = "a plan takes a C-VLAN for each line"
    else:
        return None
    names = sorted(candidate.name for candidate in found if candidate.kind == other)
    if not names:
        return None
    by_node = plan.cvlan == "by_node"
    of_node = f' at a node with `vlan_model = "{place.vlan_model}"`, as {place.access_node} has it' if by_node else ""
    bound = "; ".join(f"S-VLAN {name} is bound there, but {are}" for name in names)
    return f'{bound}. With `cvlan = "{plan.cvlan}"` {takes}{of_node}.'


def _not_wanted(place: Place, plan: Plan, kinds: Sequence[Kind], by_number: Mapping[Kind, str | int]) -> RequestFaults:
    """What is asked for by its number although the plan takes nothing of the kind there."""
    faults = RequestFaults()
    for kind, number in by_number.items():
        if kind not in kinds:
            why = f"the plan takes nothing of {KIND_IN_WORDS[kind]} there"
            refusal = UnitElsewhere(str(number), location=place.location, plan=plan.name, why=why)
            faults.note(NAME_OF[kind], refusal)
    return faults


def most_specific(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The chain of the most specific place, in the order to try: one that the subject knows, then by priority."""
    best = max((candidate.specificity for candidate in candidates), default=None)
    chain = [candidate for candidate in candidates if candidate.specificity == best]
    return sorted(chain, key=lambda candidate: (candidate.own_id is None, candidate.priority, candidate.name))


def by_its_number(found: Sequence[Candidate], number: str | int, place: Place, plan: Plan) -> Candidate:
    """Of the pools that serve the place, the one that has this address, prefix or C-VLAN.

    Raises:
        UnitElsewhere: none has.
    """
    ranked = sorted(found, key=lambda each: (-each.specificity[0], -each.specificity[1], each.priority, each.name))
    for candidate in ranked:
        unit = candidate.numbered(number)
        if unit is not None:
            return replace(candidate, given=unit)
    pools = ", ".join(candidate.name for candidate in ranked) or "none"
    why = f"no pool that serves it hands that out (those that do: {pools})"
    raise UnitElsewhere(str(number), location=place.location, plan=plan.name, why=why)


def computed(candidate: Candidate, place: Place, plan: Plan) -> Candidate:
    """The C-VLAN that follows from where the premise ends.

    Raises:
        CvlanNotComputable, UnitElsewhere: it lacks a part of that, or the number is none.
    """
    assert candidate.cvlan_formula is not None
    formula = parse_formula(candidate.cvlan_formula)
    if missing := formula.missing(port=place.port, onu=place.onu):
        raise CvlanNotComputable(
            location=place.location, svlan=candidate.name, formula=candidate.cvlan_formula, missing=missing
        )
    vid = formula.vid(port=place.port, onu=place.onu)
    computed_from = f"{candidate.cvlan_formula} ({formula.inputs(port=place.port, onu=place.onu)})"
    if not FIRST_VID <= vid <= LAST_VID:
        why = (
            f"{computed_from} comes to {vid}, which is no VLAN number {FIRST_VID}..{LAST_VID}; correct the port or ONU"
            " of the premise, or the formula"
        )
        raise UnitElsewhere(f"C-VLAN {vid}", location=place.location, plan=plan.name, svlan=candidate.name, why=why)
    return replace(candidate, given=vid, computed_from=computed_from)
