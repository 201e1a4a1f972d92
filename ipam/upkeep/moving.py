"""Services that go on elsewhere: what the new place can serve is kept, the rest is given back and given anew."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.allocation.candidates import Candidate, Holder, bound
from ipam.allocation.carving import Unit
from ipam.allocation.chains import Chains, by_its_number, chains_of, computed, most_specific
from ipam.allocation.patience import patiently
from ipam.allocation.places import Place, Plan
from ipam.allocation.service_rows import named_only
from ipam.allocation.static_requests import StaticResources
from ipam.allocator import choose, take
from ipam.errors import NotServed, RequestConflict
from ipam.events import note_event
from ipam.holdings import HeldUnit, Line
from ipam.kinds import ROUTED, Kind, wanted
from ipam.request_faults import RequestFaults
from ipam.tables import Allocation, Location, Service, ServiceMove, table_of
from ipam.unit_errors import RouteNotServed, UnitError
from ipam.upkeep.answers import MovedService
from ipam.upkeep.returning import give_back

_ALLOCATION = table_of(Allocation)
_SERVICE = table_of(Service)


async def move(
    db: AsyncSession,
    *,
    line: Line,
    place: Place,
    holder: Holder,
    note: str,
    request_id: str | None = None,
    static: StaticResources | None = None,
) -> MovedService:
    """Let a live service, whose row is locked, go on at ``place`` with what its plan needs there.

    Raises:
        RouteNotServed: a routed prefix of it can't follow.
        As for an allocation: what it needs there can't be given.
        NotServed: with all of that, if it is more than one thing.
        RequestConflict: the same request has moved another service meanwhile.
    """
    named = static.as_text() if static else None
    row = move_row(line, place, holder, note, request_id=request_id, static=named)

    async def attempt(locked: frozenset[str]) -> MovedService:
        moved = await _move(db, line, place, holder, note, static, locked)
        await db.execute(insert(ServiceMove), row)  # PostgreSQL waits for whoever is at the same request just now
        return moved

    try:
        return await patiently(db, attempt)
    except IntegrityError:
        await was_made(db, tenant_id=holder.tenant_id, line=line, place=place, request_id=request_id, static=static)
        raise


def move_row(
    line: Line, place: Place, holder: Holder, note: str, *, request_id: str | None = None, static: str | None = None
) -> dict[str, object]:
    return {
        "tenant_id": holder.tenant_id,
        "service_id": line.service_id,
        "from_location_id": line.place.location_id,
        "to_location_id": place.location_id,
        "request_id": request_id,
        "static_request": static,
        "note": note,
        "at": holder.at,
    }


async def was_made(
    db: AsyncSession,
    *,
    tenant_id: str,
    line: Line,
    place: Place,
    request_id: str | None,
    static: StaticResources | None,
) -> bool:
    """Whether this request has moved the service there already.

    Raises:
        RequestConflict: it has done something else.
    """
    if request_id is None:
        return False
    made = (
        await db.execute(
            select(ServiceMove.service_id, ServiceMove.to_location_id, ServiceMove.static_request, Location.name)
            .join(Location, Location.id == ServiceMove.to_location_id)
            .where(ServiceMove.tenant_id == tenant_id, ServiceMove.request_id == request_id)
        )
    ).first()
    if made is None:
        return False
    named = static.as_text() if static else None
    given = (line.service_id, place.location_id, named)
    if given != (made.service_id, made.to_location_id, made.static_request):
        recorded = f"moving service {made.service_id} to {made.name}" + _with(made.static_request)
        wanted = f"moving service {line.service_id} to {place.location}" + _with(named)
        raise RequestConflict(request_id, service_id=made.service_id, recorded=recorded, given=wanted)
    return True


def _with(static: str | None) -> str:
    return f" with {static}" if static else ""


async def _move(
    db: AsyncSession,
    line: Line,
    place: Place,
    holder: Holder,
    note: str,
    static: StaticResources | None,
    locked: frozenset[str],
) -> MovedService:
    held = await holdings.units_of(db, line.service_id)
    found = await bound(db, place, line.plan, holder)
    by_number = static.by_kind() if static else {}
    named = (await cvlans_named(db, [line]))[line.service_id]
    faults = RequestFaults()
    kept = kept_of(line, place, held, found, by_number, named, faults)
    choosing = partial(choose, db, at=holder.at, locked=locked)
    chosen = await chosen_of(line, place, found, kept, by_number, choosing, faults)
    faults.refuse_if_any(partial(NotServed, exhausted=faults.exhausted))
    gone = [unit for unit in held if unit not in kept]
    if gone:
        of_pools = [unit.pool_id for unit in gone]
        await give_back(
            db, tenant_id=holder.tenant_id, service_id=line.service_id, at=holder.at, pools=of_pools, note=note
        )
    await _keep(db, kept, holder, note)
    taken = await take(db, chosen, holder)  # after all that may wait for a row of ours
    here = {"location_id": place.location_id, **named_only(chosen)}
    await db.execute(update(_SERVICE).where(_SERVICE.c.service_id == line.service_id).values(**here))
    return MovedService(
        service_id=line.service_id,
        customer_id=line.customer_id,
        username=line.username,
        location=place.location,
        kept=[unit.value for unit in kept],
        given=[each.value for each, candidate in zip(taken, chosen, strict=True) if candidate.takes],
        given_back=[unit.value for unit in gone],
    )


async def cvlans_named(db: AsyncSession, lines: Collection[Line]) -> dict[int, set[int]]:
    """The C-VLANs that were asked for by their numbers, of each of these services."""
    moves = select(ServiceMove.service_id, ServiceMove.static_request).where(
        ServiceMove.service_id.in_([line.service_id for line in lines]), ServiceMove.static_request.is_not(None)
    )
    asked = [(line.service_id, line.static_request) for line in lines if line.static_request is not None]
    named: dict[int, set[int]] = {line.service_id: set() for line in lines}
    for service_id, static in [*asked, *await db.execute(moves)]:
        if (number := json.loads(static).get("cvlan")) is not None:
            named[service_id].add(number)
    return named


def kept_of(
    line: Line,
    place: Place,
    held: Sequence[HeldUnit],
    found: Sequence[Candidate],
    by_number: Mapping[Kind, str | int],
    named: Collection[int],
    faults: RequestFaults,
) -> list[HeldUnit]:
    """What the new place serves as well, unless something else is asked for, or a C-VLAN is another one there;
    ``named`` are those that were asked for by their numbers.

    What is being drained isn't kept: so a move to where the service is already gets it out of there. A routed prefix
    that can't follow is a fault.
    """
    serving = {candidate.pool_id: candidate for candidate in found if candidate.takes}
    needed: set[Kind] = {*wanted(line.plan, place), *ROUTED}
    kept: list[HeldUnit] = []
    for unit in held:
        candidate = serving.get(unit.pool_id)
        if unit.kind in ROUTED and candidate is None:
            stays = RouteNotServed(unit.value, pool=unit.pool, service_id=line.service_id, location=place.location)
            faults.note(whose(line), stays)
        if candidate is None or unit.kind not in needed or (unit.is_drained and unit.kind not in ROUTED):
            continue
        if unit.kind in by_number and candidate.numbered(by_number[unit.kind]) != unit.unit:
            continue
        if unit.kind == "cvlan" and not _stays(unit, line, place, found, by_number, named):
            continue
        kept.append(unit)
    return kept


def _stays(
    unit: HeldUnit,
    line: Line,
    place: Place,
    found: Sequence[Candidate],
    by_number: Mapping[Kind, str | int],
    named: Collection[int],
) -> bool:
    """Whether a C-VLAN that is served there stays the line's. Where the line ends as before, nobody changes its VLAN
    unasked, unless another one follows there by now; elsewhere it has what a new line would have: of the most specific
    S-VLAN."""
    is_asked, ends_as_before = "cvlan" in by_number, _end_of(line.place) == _end_of(place)
    if ends_as_before and (is_asked or unit.unit in named):
        return True
    serving = [candidate for candidate in found if candidate.kind == "cvlan"]
    if is_asked:
        return by_its_number(serving, unit.unit, place, line.plan).pool_id == unit.pool_id
    its_own = next(candidate for candidate in serving if candidate.pool_id == unit.pool_id)
    if its_own.cvlan_formula is not None and follows(its_own, place, line.plan) != unit.unit:
        return False
    return ends_as_before or unit.pool_id in {candidate.pool_id for candidate in most_specific(serving)}


def _end_of(place: Place) -> tuple[int, int | None, int | None]:
    return place.node_id, place.port_id, place.onu


def follows(candidate: Candidate, place: Place, plan: Plan) -> int | None:
    """The C-VLAN that is computed there; None: none can be, which whoever asks for another one is told."""
    try:
        return computed(candidate, place, plan).given
    except UnitError:
        return None


async def chosen_of(
    line: Line,
    place: Place,
    found: Sequence[Candidate],
    kept: Sequence[HeldUnit],
    by_number: Mapping[Kind, str | int],
    choosing: Callable[[Chains], Awaitable[list[Candidate]]],
    faults: RequestFaults,
) -> list[Candidate]:
    """Where what it doesn't keep comes from; each kind that can't be had is a fault."""
    kept_kinds = {unit.kind for unit in kept}
    missing = missing_of(line, place, kept)
    bound_kinds = {candidate.kind for candidate in found}
    unbound = [kind for kind in missing if kind not in bound_kinds]
    asked = {kind: number for kind, number in by_number.items() if kind not in kept_kinds and kind not in unbound}
    of_pools = partial(chains_of, found, place, line.plan)
    faults.check(whose(line), partial(of_pools, unbound, {}))
    chains = faults.check(whose(line), partial(of_pools, [kind for kind in missing if kind in bound_kinds], asked))
    chosen: list[Candidate] = []
    for kind, chain in (chains or {}).items():
        chosen += await faults.look(whose(line), choosing({kind: chain})) or []
    return chosen


def missing_of(line: Line, place: Place, kept: Sequence[HeldUnit]) -> list[Kind]:
    """What its plan needs there beside what it keeps."""
    kept_kinds = {unit.kind for unit in kept}
    return [kind for kind in wanted(line.plan, place) if kind not in kept_kinds]


def whose(line: Line) -> str:
    """A service where something is said of it among others."""
    return f"service {line.service_id}"


async def _keep(db: AsyncSession, kept: Sequence[HeldUnit], holder: Holder, note: str) -> None:
    for unit in kept:
        await db.execute(
            update(_ALLOCATION).where(_ALLOCATION.c.id == unit.allocation_id).values(subject=holder.subject)
        )
        moved = Unit(holder.tenant_id, unit.pool_id, unit.unit, unit.pool, unit.value)
        await note_event(db, moved, what="moved", at=holder.at, service_id=holder.service_id, note=note)
