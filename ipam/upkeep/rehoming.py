"""Access nodes go behind another BNG, and their services with them, many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.allocation.candidates import Candidate, EverythingBound, Holder, bound, everything_bound
from ipam.allocation.chains import most_specific
from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.allocation.service_rows import named_only
from ipam.allocation.stock import Stock
from ipam.allocator import choose, take
from ipam.answers import Held, PoolUsage
from ipam.bulk import AT_ONCE, insert_many, update_many
from ipam.errors import Fault, IpamError, NotServed, PoolExhausted
from ipam.estate.rows import EstateRows
from ipam.holdings import HeldUnit, Line
from ipam.kinds import ROUTED, UNITLESS
from ipam.request_faults import RequestFaults
from ipam.tables import AccessNode, AllocationEvent, Location, Service, ServiceMove, table_of
from ipam.upkeep.answers import MovedService
from ipam.upkeep.computed_cvlans import ComputedCvlans
from ipam.upkeep.moving import chosen_of, cvlans_named, follows, kept_of, missing_of, move_row, whose
from ipam.upkeep.returning import give_back_units
from ipam.usage import usage
from ipam.usage.shortage import short_of

MOST_ADDRESSES = 4
_EVENT, _MOVE, _SERVICE = table_of(AllocationEvent), table_of(ServiceMove), table_of(Service)


@dataclass(frozen=True)
class Rehomed:
    """What became of the live services behind access nodes that went behind another BNG."""

    moved: Sequence[MovedService]
    not_served: tuple[int, ...]
    """Services that lack something there. While there is one, whoever asked has to undo all of it."""
    faults: tuple[Fault, ...]
    """What each of them lacks, with whose it is and which addresses it keeps therefore."""
    exhausted: tuple[PoolExhausted, ...] = ()
    """The pools that have too few for them, as they are without them, and how many they want."""

    @property
    def refusal(self) -> NotServed | None:
        """With all these faults; None: all services are served there."""
        return NotServed(self.faults, exhausted=self.exhausted) if self.faults else None


@dataclass
class _Going:
    """A service that goes on behind the other BNG: what it had, what of it is served there, and what it is given."""

    line: Line
    holder: Holder
    held: Sequence[HeldUnit]
    kept: Sequence[HeldUnit]
    found: Sequence[Candidate]
    """What is bound there; how much of it is left isn't known."""
    faults: RequestFaults
    chosen: Sequence[Candidate] = field(default=())
    taken: Sequence[Held] = field(default=())

    @property
    def gone(self) -> list[HeldUnit]:
        return [unit for unit in self.held if unit not in self.kept]

    @property
    def pools(self) -> Iterator[Candidate]:
        """Those of which it may take something: of the most specific place for each kind that it lacks."""
        for kind in missing_of(self.line, self.line.place, self.kept):
            if kind not in UNITLESS:
                yield from most_specific([candidate for candidate in self.found if candidate.kind == kind])

    @property
    def cvlans(self) -> list[Candidate]:
        """S-VLANs of which it may take a C-VLAN."""
        if "cvlan" not in missing_of(self.line, self.line.place, self.kept):
            return []
        return most_specific([candidate for candidate in self.found if candidate.kind == "cvlan"])

    @property
    def wants(self) -> Iterator[tuple[str, ...]]:
        """The pools of which it takes something, and those that have nothing for it."""
        yield from ((candidate.name,) for candidate in self.chosen if candidate.takes)
        yield from (error.pools for error in self.faults.errors if isinstance(error, PoolExhausted))

    def answer(self) -> MovedService:
        given = zip(self.taken, self.chosen, strict=True)
        return MovedService(
            service_id=self.line.service_id,
            customer_id=self.line.customer_id,
            username=self.line.username,
            location=self.line.place.location,
            kept=[unit.value for unit in self.kept],
            given=[each.value for each, candidate in given if candidate.takes],
            given_back=[unit.value for unit in self.gone],
        )

    def refusals(self) -> Iterator[Fault]:
        """What it lacks, with whose it is and its addresses, the first of them if they are many."""
        held = [unit for unit in self.held if unit.kind != "cvlan"]
        values = [unit.value for unit in sorted(held, key=lambda unit: unit.kind in ROUTED)]
        more = [f"{len(values) - MOST_ADDRESSES} more"] if len(values) > MOST_ADDRESSES else []
        keeps = f"of customer {self.line.customer_id}, {self.line.username}"
        if addresses := ", ".join([*values[:MOST_ADDRESSES], *more]):
            keeps += f", with {addresses}"
        return (Fault(fault.where, f"{keeps}: {fault.what}") for fault in self.faults.all)


async def rehome(rows: EstateRows, access_nodes: Sequence[str], bng: str, *, note: str, at: datetime) -> Rehomed:
    """A node that is behind that BNG already is left as it is, with all that its services hold.

    Raises:
        NameUnknown: no such BNG or access node.
    """
    await rows.be_alone()
    db = rows.db
    before = await usage.read(db, rows.tenant_id, at=at)
    bng_id = await rows.id_of("bng", bng)
    node_ids = [await rows.id_of("access_node", name) for name in access_nodes]
    leaving = select(AccessNode.id).where(AccessNode.id.in_(node_ids), AccessNode.bng_id != bng_id)
    changed = set(await db.scalars(leaving))  # and so they stay, as we are alone
    await rows.hold(Location, node_id=changed)
    for node_id in changed:
        await rows.change(AccessNode, node_id, bng_id=bng_id)
    behind = (
        select(Service.service_id)
        .join(Location, Location.id == Service.location_id)
        .where(Service.state == "active", Location.node_id.in_(changed))
        .order_by(Service.service_id)
    )
    service_ids = list(await db.scalars(behind))
    everything = await everything_bound(db, rows.tenant_id)
    parts: list[list[_Going]] = []
    for start in range(0, len(service_ids), AT_ONCE):
        some = service_ids[start : start + AT_ONCE]
        going = await _going(db, rows.tenant_id, some, everything, changed=changed, at=at)
        await _give_back(rows, going, note=note, at=at)
        parts.append(going)
    for going in parts:
        await _go(rows, going, note=note, at=at)
    return _rehomed([each for going in parts for each in going], before)


def _rehomed(going: Sequence[_Going], before: Sequence[PoolUsage]) -> Rehomed:
    """What has become of each; what a pool lacks is told with its numbers as they were ``before``."""
    moved = [each.answer() for each in going if not each.faults.all]
    refused = [each for each in going if each.faults.all]
    wants = Counter(pools for each in going for pools in each.wants)
    for each in refused:
        each.faults.tell(partial(_undone, before, wants))
    faults = tuple(fault for each in refused for fault in each.refusals())
    exhausted = {error.pools: error for each in refused for error in each.faults.exhausted}
    not_served = tuple(each.line.service_id for each in refused)
    return Rehomed(moved, not_served, faults, tuple(exhausted.values()))


def _undone(before: Sequence[PoolUsage], wants: Mapping[tuple[str, ...], int], error: IpamError) -> IpamError:
    """A pool that others of these services had emptied, with its numbers as it is without them."""
    if not isinstance(error, PoolExhausted):
        return error
    wanted = sum(count for pools, count in wants.items() if not set(pools).isdisjoint(error.pools))
    told = short_of(error, before, wanted=wanted)
    return told if told.free < wanted else error  # else others have taken the rest meanwhile


async def _going(
    db: AsyncSession,
    tenant_id: str,
    service_ids: Sequence[int],
    everything: EverythingBound,
    *,
    changed: set[int],
    at: datetime,
) -> list[_Going]:
    """Those of the services that go with a node of ``changed``, locked."""
    lines = await holdings.lines_to_change(db, tenant_id, service_ids)
    held = await holdings.units_of_each(db, [line.service_id for line in lines])
    named = await cvlans_named(db, lines)
    going = []
    for line in lines:
        if line.released or line.place.node_id not in changed:
            continue  # by now, as others had it when we came
        place, units, faults = line.place, held[line.service_id], RequestFaults()  # as it is by now
        holder = Holder(tenant_id, line.service_id, holdings.subject_of(line.customer_id, place.location_id), at)
        found = everything.at(place, line.plan)
        kept = kept_of(line, place, units, found, {}, named[line.service_id], faults)
        going.append(_Going(line, holder, units, kept, found, faults))
    return going


async def _give_back(rows: EstateRows, going: Sequence[_Going], *, note: str, at: datetime) -> None:
    """What is not served there, before the first of all is given anything: one may need what another one has."""
    gone = [unit.allocation_id for each in going for unit in each.gone]
    await give_back_units(rows.db, sorted(gone), tenant_id=rows.tenant_id, at=at, note=note)


async def _go(rows: EstateRows, going: Sequence[_Going], *, note: str, at: datetime) -> None:
    """Each of these is given what it lacks, and what it keeps goes with it."""
    db, tenant_id = rows.db, rows.tenant_id
    wishes = [(each.holder.subject, each.pools) for each in going]
    stock = await Stock.of(db, wishes, tenant_id=tenant_id, at=at)
    cvlans = await ComputedCvlans.of(rows, _computed(going), at=at)
    for each in going:
        await _give(db, each, stock, cvlans)
    await stock.write()
    await cvlans.write()
    served = [each for each in going if not each.faults.all]
    told = {"tenant_id": tenant_id, "what": "moved", "at": at, "available_at": None, "note": note}
    events = [
        {**told, "pool_id": unit.pool_id, "unit": unit.unit, "service_id": each.line.service_id}
        for each in served
        for unit in each.kept
    ]
    await insert_many(db, _EVENT, events)
    await insert_many(db, _MOVE, [move_row(each.line, each.line.place, each.holder, note) for each in served])
    # What a service's row refers to; where it is doesn't change.
    refer = [{"service_id": each.line.service_id, **named_only(each.chosen)} for each in served]
    await update_many(db, _SERVICE, ("service_id",), refer)


def _computed(going: Sequence[_Going]) -> Iterator[tuple[int, int]]:
    """Pool and C-VLAN of all that may follow from where their premises end. A pool that serves some as one of several
    of which the next free one is taken is left out: there the C-VLANs are taken one by one."""
    chains = [each.cvlans for each in going]
    mixed = {
        candidate.pool_id
        for chain in chains
        if any(candidate.cvlan_formula is None for candidate in chain)
        for candidate in chain
    }
    for each, chain in zip(going, chains, strict=True):
        for candidate in chain:
            if candidate.pool_id not in mixed:
                number = follows(candidate, each.line.place, each.line.plan)
                if number is not None:
                    yield candidate.pool_id, number


async def _give(db: AsyncSession, each: _Going, stock: Stock, cvlans: ComputedCvlans) -> None:
    """What it lacks, or a fault for all that can't be had."""
    subject, place, faults = each.holder.subject, each.line.place, RequestFaults()
    choosing = partial(stock.choose, subject)
    try:
        chosen = await chosen_of(each.line, place, stock.seen_by(each.found, subject), each.kept, {}, choosing, faults)
        each.chosen = chosen
        each.faults.add(faults)  # of who stays where it is for another one all else that it lacks is told
        for candidate in chosen:
            if candidate.is_computed and not each.faults.all:
                await each.faults.look(whose(each.line), cvlans.take(candidate, each.holder))
    except OthersWereQuicker:
        await _give_alone(db, each, stock, cvlans)
        return
    if not each.faults.all:
        each.taken = await stock.take(chosen, each.holder)


async def _give_alone(db: AsyncSession, each: _Going, stock: Stock, cvlans: ComputedCvlans) -> None:
    """Others have locked what is left of a pool, or a C-VLAN: it comes again in a moment, until they have let go."""
    await stock.let_go(each.pools)
    await cvlans.write()
    await each.faults.look(whose(each.line), patiently(db, partial(_take, db, each)))
    if not each.faults.all:
        stock.taken_elsewhere(each.chosen, each.taken)
        cvlans.taken_elsewhere(each.chosen, each.holder)


async def _take(db: AsyncSession, each: _Going, locked: frozenset[str]) -> None:
    faults = RequestFaults()  # of this attempt alone
    found = await bound(db, each.line.place, each.line.plan, each.holder)
    choosing = partial(choose, db, at=each.holder.at, locked=locked)
    each.chosen = await chosen_of(each.line, each.line.place, found, each.kept, {}, choosing, faults)
    each.faults.add(faults)
    if not each.faults.all:
        each.taken = await take(db, each.chosen, each.holder)
