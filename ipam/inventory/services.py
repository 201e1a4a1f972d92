"""Whether what a file says of a service is all that its plan needs, from pools that serve its place.

What lines share (an S-VLAN, a pool of the BNG's own) and a C-VLAN that is computed are looked up; nothing else is
made up for a service that lacks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ipam.allocation.candidates import Candidate
from ipam.allocation.chains import computed, most_specific, other_svlans
from ipam.allocation.static_requests import StaticResources
from ipam.errors import IpamError
from ipam.inventory.draft import Draft, DraftService, WantedUnit
from ipam.kinds import KIND_IN_WORDS, MOST_ROUTED_OF_A_POOL, ROUTED, Kind, wanted

Bound = Sequence[Candidate]


def complete_all(draft: Draft) -> None:
    """Finds what services lack (``DraftService.unmet``) or have too much, and adds what follows from where they are."""
    bound: dict[tuple[int, ...], Bound] = {}
    for service in draft.services.values():
        if not service.holds:
            continue
        place, plan = service.place, service.plan
        key = (place.bng_id, place.site_id, place.node_id, place.port_id or 0, plan.plan_id)
        if key not in bound:
            bound[key] = draft.known.bound.at(place, plan)
        _complete(draft, service, bound[key])


def _complete(draft: Draft, service: DraftService, bound: Bound) -> None:
    kinds = wanted(service.plan, service.place)
    held: dict[str, WantedUnit] = {}
    routed: Counter[int] = Counter()
    for unit in service.holds:
        kind = unit.pool.kind
        if kind in ROUTED:
            routed[unit.pool.pool_id] += 1
            if routed[unit.pool.pool_id] > MOST_ROUTED_OF_A_POOL:
                most = f"{MOST_ROUTED_OF_A_POOL} prefixes of pool {unit.pool.name} at most are routed to one service"
                draft.fault(unit.line, most)
            _served(service, unit, bound)
        elif kind in held:
            draft.fault(unit.line, f"the service has {held[kind].value} in {held[kind].line.where} already")
        elif kind not in kinds:
            draft.fault(unit.line, f"plan {service.plan.name} takes nothing of pool {unit.pool.name} there")
        else:
            held[kind] = unit
            _served(service, unit, bound)
    for kind in kinds:
        chain = most_specific([each for each in bound if each.kind == kind])
        if kind == "cvlan":
            _see_cvlan(draft, service, chain, bound, held.get(kind))
        elif kind in ("svlan", "framed_pool"):
            _name(service, kind, chain, bound)
        elif kind not in held and kind not in draft.open_kinds.get(service.key, ()):
            _lacks(service, kind)


def _served(service: DraftService, unit: WantedUnit, bound: Bound) -> None:
    serving = [each for each in bound if each.pool_id == unit.pool.pool_id and each.takes]
    if not serving:
        where = f"{service.place.location} on plan {service.plan.name}"
        service.unmet.append((unit.line, f"pool {unit.pool.name} is not bound to where {where} terminates"))
    elif unit.pool.kind == "ipv4" and service.plan.access == "ipoe" and unit.pool.gateway is None:
        why = f"plan {service.plan.name} is IPoE, but pool {unit.pool.name} has no gateway"
        service.unmet.append((unit.line, why))


def _name(service: DraftService, kind: Kind, chain: Bound, bound: Bound) -> None:
    """Shared by all lines there: the service's row names it."""
    if not chain:
        service.unmet.append((service.first, _unbound(service, kind, bound)))
    elif kind == "svlan":
        service.svlan_id = chain[0].svlan_id
    else:
        service.framed_pool_id = chain[0].pool_id


def _unbound(service: DraftService, kind: Kind, bound: Bound) -> str:
    beside = other_svlans(bound, [kind], service.place, service.plan)
    needs = f"plan {service.plan.name} needs {KIND_IN_WORDS[kind]} there, but none is bound"
    return needs if beside is None else f"{needs}. {beside}"


def _lacks(service: DraftService, kind: Kind) -> None:
    plan, place = service.plan.name, service.place.location
    why = f"plan {plan} needs something of {KIND_IN_WORDS[kind]} at {place}, too; no line has it"
    service.unmet.append((service.first, why))


def _see_cvlan(draft: Draft, service: DraftService, chain: Bound, bound: Bound, held: WantedUnit | None) -> None:
    """Its number stands in a line of its own or beside another one, or it follows from the port."""
    number = next((unit.line.cvlan for unit in service.holds if unit.line.cvlan), None)
    if held is not None:
        if number not in (None, held.unit):
            draft.fault(held.line, f"cvlan: another line of the service says {number}")
        number = held.unit
    if not chain:
        service.unmet.append((service.first, _unbound(service, "cvlan", bound)))
        return
    own = next((each for each in chain if held and each.pool_id == held.pool.pool_id), chain[0])
    follows = _computed(own, service)
    if number is None and not isinstance(follows, int):
        if "cvlan" in draft.open_kinds.get(service.key, ()):
            return
        missing = "its C-VLAN is missing: a column cvlan, or a line of its own, may say it"
        service.unmet.append((service.first, follows or missing))
        return
    if own.cvlan_formula is not None and number not in (None, follows):
        service.static_request = StaticResources(cvlan=number).as_text()
    if held is None:
        unit = number if number is not None else int(follows)
        pool = draft.known.vlan_pools[own.pool_id]
        service.holds.append(WantedUnit(service.first, pool, unit, service, service.holds[0].subject))
        if number is None:
            service.follows = service.holds[-1]
        draft.want(service.holds[-1])


def _computed(own: Candidate, service: DraftService) -> int | str:
    """The C-VLAN that follows from the port, or why none does; empty: there is no formula."""
    if own.cvlan_formula is None:
        return ""
    try:
        return computed(own, service.place, service.plan).given or ""
    except IpamError as exc:
        return str(exc)
