"""What a file of existing allocations comes to on this network: which units, and of which services.

Nothing is read here: what must be known of the network comes along. All that is wrong with a line is gathered by its
number, and what is wrong with a service stands at the first of its lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ipam.addresses import Network
from ipam.allocation.candidates import EverythingBound
from ipam.allocation.places import Place, Plan
from ipam.holdings import subject_of
from ipam.inventory.lines import ImportLine, kinds_meant
from ipam.inventory.pools import Located, NotLocated, PoolIndex
from ipam.moments import at_second
from ipam.units import UnitKey
from ipam.upkeep.pool_units import KnownPool

ServiceKey = str | tuple[int, int, int]
"""By which lines of one service are known: its username, or else its customer, premise and plan."""


@dataclass(frozen=True)
class Account:
    """A service that exists, by its username."""

    service_id: int
    username: str
    state: str
    customer_id: int
    location_id: int
    plan_id: int


@dataclass(frozen=True)
class KnownNetwork:
    """What a draft must know: pools, premises by the names in the file, plans, bindings, accounts by username.
    ``by_name``: of units that lines name somebody of and that several VRFs have, who has which, by username."""

    pools: PoolIndex
    places: Mapping[str, Place]
    plans: Mapping[str, Plan]
    bound: EverythingBound
    accounts: Mapping[str, Account]
    vlan_pools: Mapping[int, KnownPool]
    by_name: Mapping[UnitKey, str]


@dataclass(eq=False)
class DraftService:
    """A service to be; ``place`` and ``plan`` are those of what it holds, or of what it has given back last."""

    username: str
    customer_id: int
    place: Place
    plan: Plan
    first: ImportLine
    key: ServiceKey
    holds: list[WantedUnit] = field(default_factory=list)
    gave_back: list[WantedUnit] = field(default_factory=list)
    svlan_id: int | None = None
    framed_pool_id: int | None = None
    static_request: str | None = None
    existing: Account | None = None
    unmet: list[tuple[ImportLine, str]] = field(default_factory=list)
    """What a new one lacks, or has of what doesn't serve it: one that exists keeps what it has, whatever was bound
    elsewhere since, and a file may name a part of it."""
    follows: WantedUnit | None = None
    """The C-VLAN that no line has, computed from where it is."""
    row_id: int = 0
    """Its number, once it has one."""


@dataclass(frozen=True, eq=False)
class WantedUnit:
    """A unit that somebody has, has just given back, or that is kept."""

    line: ImportLine
    pool: KnownPool
    unit: int
    service: DraftService | None
    subject: str = ""

    @property
    def key(self) -> UnitKey:
        return self.pool.pool_id, self.unit

    @property
    def value(self) -> str:
        return self.pool.value(self.unit)


class Draft:
    """Units and services of a file, and what is wrong with its lines. Of a live one (``ImportFile``), ``outside`` is
    what was left out because no pool holds it."""

    def __init__(self, known: KnownNetwork, now: datetime, *, is_live: bool = False) -> None:
        self.known = known
        self.now = now
        self.is_live = is_live
        self.outside: list[ImportLine] = []
        self.faults: defaultdict[int, list[str]] = defaultdict(list)
        self.units: dict[UnitKey, WantedUnit] = {}
        self.services: dict[ServiceKey, DraftService] = {}
        self.open_kinds: defaultdict[ServiceKey, set[str]] = defaultdict(set)
        """Of which a service may have something in a line that is refused."""
        self.listed: dict[tuple[int, Network], tuple[ImportLine, DraftService | None]] = {}
        """What lists of other systems have by its pool, and by which line first."""
        self.skipped = 0

    def add_all(self, lines: Iterable[ImportLine]) -> None:
        for line in lines:
            if line.skipped:
                self.skipped += 1
            else:
                self._add(line)

    def fault(self, line: ImportLine, what: str) -> None:
        """Once, though each of its units (an address and its C-VLAN, a prefix of many) says so."""
        if self.faults[line.number][-1:] != [what]:
            self.faults[line.number].append(what)

    def want(self, unit: WantedUnit) -> bool:
        """Of two lines that mean one unit one is a prefix of nobody's around the other, or both stand for a part of it,
        or the second one is wrong. False: its service has it by another line, of which this is only a part."""
        other = self.units.setdefault(unit.key, unit)
        if other is unit or _is_around(unit, other):
            return True
        if _is_around(other, unit):
            self.units[unit.key] = unit
            return True
        if _is_part_of_the_same(unit, other):
            return False
        parts = not (unit.line.is_exact or other.line.is_exact) and unit.line.network != other.line.network
        if not (parts and unit.service is None and other.service is None):
            self.fault(unit.line, f"{unit.value} of pool {unit.pool.name} stands in {other.line.where} already")
        return True

    def _add(self, line: ImportLine) -> None:
        for fault in line.faults:
            self.fault(line, fault)
        if line.since is not None and line.since > self.now:
            self.fault(line, f"since: {at_second(line.since)} has not come yet")
        if line.state == "quarantine":
            self._rests_after(line)
        service, subject = self._service_of(line)
        located = self._located(line, service)
        if located is not None and self._is_listed(line, located[0], service):
            self.skipped += 1
        elif located is not None:
            self._add_units(line, located, service, subject)
        if self.faults.get(line.number) and line.state != "quarantine":
            self._leave_open(line, service, located)

    def _rests_after(self, line: ImportLine) -> None:
        """It was given back before it may go to somebody else, or to nobody but who had it."""
        since = line.since or self.now
        why = "when it was given back (since)"
        if line.since is None:
            why = "and that is when it was given back where since is left out: say since when it rests"
        for name, until in (("available_at", line.available_at), ("sticky_until", line.sticky_until)):
            if until is not None and until < since:
                before = f"{at_second(until)} is before {at_second(since)}"
                self.fault(line, f"{name}: {before}, {why}")

    def _add_units(self, line: ImportLine, located: Located, service: DraftService | None, subject: str) -> None:
        pool, first, last = located
        for number in range(first, last + 1):
            unit = WantedUnit(line, pool, number, service, subject)
            if self.want(unit) and service is not None:
                (service.holds if line.state == "assigned" else service.gave_back).append(unit)

    def _is_listed(self, line: ImportLine, pool: KnownPool, service: DraftService | None) -> bool:
        """Whether a line before has the same, of the same or likewise of nobody: NetBox has an address once for each
        interface with it (VRRP, anycast), phpIPAM once in each section."""
        if line.is_exact or line.network is None:
            return False
        first, whose = self.listed.setdefault((pool.pool_id, line.network), (line, service))
        same = (first.username, first.state, first.cvlan) == (line.username, line.state, line.cvlan)
        return first is not line and whose is service and same

    def _located(self, line: ImportLine, service: DraftService | None) -> Located | None:
        """None: it can't be said, or it is no allocation."""
        pools, network = self.known.pools, line.network
        if self.is_live and line.state == "reserved" and network is not None and pools.is_outside(network):
            self.outside.append(line)
            self.skipped += 1
            return None
        try:
            located = pools.locate(line, lambda several: self._meant(line, service, several))
        except NotLocated as exc:
            for fault in exc.faults:
                self.fault(line, fault)
            return None
        if located is None:
            self.skipped += 0 if network is None else 1
            return None
        pool, first, last = located
        if service is not None and first != last:
            self.fault(line, f"{line.value} is {last - first + 1} units of pool {pool.name}, and not one of a service")
            return None
        return located

    def _meant(self, line: ImportLine, service: DraftService | None, several: Sequence[Located]) -> Sequence[Located]:
        """Of what stands in several VRFs what its name has already, or else what serves its premise and plan."""
        by_name = self.known.by_name
        has = [each for each in several if line.username and by_name.get((each[0].pool_id, each[1])) == line.username]
        if has or service is None or line.state != "assigned":
            return has or several
        bound = self.known.bound.at(service.place, service.plan)
        serving = {candidate.pool_id for candidate in bound if candidate.takes}
        return [each for each in several if each[0].pool_id in serving] or several

    def _leave_open(self, line: ImportLine, service: DraftService | None, located: Located | None) -> None:
        """What is refused in a line may be just what its service seems to lack: that isn't a second fault."""
        key = line.username if service is None else service.key
        if not key:
            return
        if any(fault.startswith("cvlan:") for fault in line.faults):
            self.open_kinds[key].add("cvlan")
        if located is None:
            self.open_kinds[key] |= kinds_meant(line)
        elif service is None:
            self.open_kinds[key].add(located[0].kind)

    def _service_of(self, line: ImportLine) -> tuple[DraftService | None, str]:
        """The service of a line, and the subject who had or has what the line says. Names are looked up of any."""
        place, plan = self.known.places.get(line.location), self.known.plans.get(line.plan)
        if line.location and place is None:
            self.fault(line, f"location: no premise is known as {line.location[:120]!r}")
        if line.plan and plan is None:
            self.fault(line, f"plan: there is no address plan {line.plan[:120]!r}")
        if place is None or plan is None or line.customer_id is None or line.state not in ("assigned", "quarantine"):
            return None, ""
        key: ServiceKey = line.username or (line.customer_id, place.location_id, plan.plan_id)
        service = self.services.get(key)
        if service is None:
            service = DraftService(line.username, line.customer_id, place, plan, line, key)
            service.existing = self.known.accounts.get(line.username)
            self.services[key] = service
        else:
            self._agree(service, line, place, plan)
        return service, subject_of(line.customer_id, place.location_id)

    def _agree(self, service: DraftService, line: ImportLine, place: Place, plan: Plan) -> None:
        """Who had something elsewhere before is the same service; what it holds now, it holds at one place."""
        whose = f"{service.username or 'the service'} in {service.first.where}"
        if line.customer_id != service.customer_id:
            self.fault(line, f"{whose} is customer {service.customer_id}'s, not customer {line.customer_id}'s")
        if plan != service.plan:
            self.fault(line, f"{whose} has plan {service.plan.name}, not {plan.name}")
        if place == service.place:
            return
        if line.state == "assigned" and service.holds:
            self.fault(line, f"{whose} is at {service.place.location}, not at {place.location}")
        elif line.state == "assigned" or (not service.holds and _is_later(line, service.gave_back)):
            service.place = place


def _is_around(nobodys: WantedUnit, other: WantedUnit) -> bool:
    """Whether that is a larger prefix that is kept for nobody, and the other one lies in it."""
    around, inner = nobodys.line.network, other.line.network
    if nobodys.line.state != "reserved" or around is None or inner is None:
        return False
    if nobodys.line.is_exact and nobodys.line.username != other.line.username:  # of radreply it is that name's
        return False
    return around.length < inner.length and around.holds(inner.family, inner.first)


def _is_part_of_the_same(unit: WantedUnit, other: WantedUnit) -> bool:
    """Whether one service has it by both lines, and one of them is an address in it."""
    same = unit.service is not None and unit.service is other.service and unit.line.state == other.line.state
    return same and unit.line.network != other.line.network and not (unit.line.is_exact and other.line.is_exact)


def _is_later(line: ImportLine, gave_back: Sequence[WantedUnit]) -> bool:
    """Than what was given back before; that is nothing, where the lines before were refused."""
    return not gave_back or _since(line) > _since(gave_back[-1].line)


def _since(line: ImportLine) -> float:
    return line.since.timestamp() if line.since else float("inf")
