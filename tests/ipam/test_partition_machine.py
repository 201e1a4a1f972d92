"""Anything that operators and journeys may do, in any order: afterwards every unit is accounted for exactly once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from ipam import (
    EstateInUse,
    ImportRefused,
    IpamError,
    PoolExhausted,
    PoolSpec,
    UnitCooling,
    UnitDraining,
    UnitExcluded,
    UnitNotHeld,
    UnitReserved,
    UnitTaken,
    invariants,
)
from ipam.tables import Service
from provisioning.database import Database
from tests.ipam.conftest import Network, one_pool
from tests.support.machines import walk

T = TypeVar("T")
Subject = tuple[int, str]

QUARANTINE_SECONDS = 100
STICKY_SECONDS = 250
UNITS = [f"192.0.2.{last}" for last in range(1, 15)]
PLACES = ("LOC-1", "LOC-3")
TENANTS = itertools.count(1)
NAMES = itertools.count(1)
"""Of services: FreeRADIUS has one table for all tenants."""


class Addresses(RuleBasedStateMachine):
    """A pool of fourteen addresses, four customers at two premises, and a model that is a handful of dictionaries."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.network = Network(Database(self.database_url), tenant_id=f"tenant {next(TENANTS)}")
        self.held: dict[int, tuple[Subject, str]] = {}
        """service: (customer and premise, address)"""
        self.resting: dict[str, tuple[Subject, Any, Any]] = {}
        """address: (last subject, available at, sticky until)"""
        self.away: dict[str, tuple[Subject, Any, Any]] = {}
        """The same of what is excluded or drained: it has no row, and cools off all the same."""
        self.reserved: set[str] = set()
        self.unreserved: set[str] = set()
        """That was the last that has become of them."""
        self.drained: set[str] = set()
        self.described_out: set[str] = set()
        self.by_hand: set[str] = set()
        """Excluded by the description of the network, and by an operator."""
        self.requests: dict[str, int] = {}
        self.policy = "fresh_first"
        self.do(self.network.apply(self.described(set())))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def described(self, excluded: set[str]) -> dict[str, Any]:
        times = {"quarantine_seconds": QUARANTINE_SECONDS, "sticky_seconds": STICKY_SECONDS}
        return one_pool("192.0.2.0/28", exclude=sorted(excluded), policy=self.policy, **times)

    async def describe_pool(self, excluded: set[str]) -> None:
        async with self.network.database.begin() as db:
            await self.network.estate(db).define_pool(PoolSpec.model_validate(self.described(excluded)["pool"][0]))

    async def service_named(self, username: str) -> int:
        async with self.network.database.read() as db:
            return (await db.scalars(select(Service.service_id).where(Service.username == username))).one()

    async def faults(self) -> list[str]:
        async with self.network.database.begin() as db:
            partition = await invariants.badly_partitioned(db, tenant_id=self.network.tenant_id)
            twice = await invariants.given_twice(db, tenant_id=self.network.tenant_id)
        return [str(violation) for violation in partition + twice]

    def settle(self) -> None:
        """What rests where nothing is handed out has no row; handed out again it rests on, if it still has to."""
        nobodys = self.excluded | self.drained
        self.away |= {address: self.resting.pop(address) for address in nobodys & self.resting.keys()}
        back = {address: self.away.pop(address) for address in self.away.keys() - nobodys}
        self.resting |= {address: rest for address, rest in back.items() if rest[1] > self.network.clock.at}

    @property
    def excluded(self) -> set[str]:
        return self.described_out | self.by_hand

    @property
    def in_use(self) -> set[str]:
        return {address for _, address in self.held.values()}

    def available(self, subject: Subject | None) -> set[str]:
        now = self.network.clock.at
        cooling = {
            address
            for address, (last, until, sticky) in self.resting.items()
            if until > now and not (last == subject and sticky >= now)
        }
        return set(UNITS) - self.excluded - self.drained - self.reserved - self.in_use - cooling

    def own(self, subject: Subject) -> set[str]:
        now = self.network.clock.at
        return {address for address, (last, _, sticky) in self.resting.items() if last == subject and sticky >= now}

    def in_the_way(self, address: str, subject: Subject | None) -> type[IpamError] | None:
        """What refuses this very address to the subject."""
        if address in self.in_use:
            return UnitTaken
        if address in self.reserved:
            return UnitReserved
        if address in self.resting:
            last, until, _ = self.resting[address]
            return UnitCooling if until > self.network.clock.at and last != subject else None
        if address in self.excluded:
            return UnitExcluded
        return UnitDraining if address in self.drained else None

    @rule(
        customer=st.integers(1, 4),
        place=st.sampled_from(PLACES),
        request=st.one_of(st.none(), st.sampled_from("abc")),
    )
    def allocate(self, customer: int, place: str, request: str | None) -> None:
        request_id = None if request is None else f"{request}{customer}{place}"
        known, subject = self.requests.get(request_id or ""), (customer, place)
        if known in self.held and self.held[known][0] != subject:
            return  # it was moved meanwhile: another request would be a conflict
        available, own = self.available(subject), self.own(subject)
        try:
            given = self.do(self.network.allocate(customer, place, request_id=request_id))
        except PoolExhausted as full:
            assert known not in self.held
            assert available == set()
            assert full.assigned == len(self.held)
            assert full.reserved == len(self.reserved)
            assert full.draining == len(self.drained - self.excluded - self.in_use - self.reserved)
            assert full.assigned + full.quarantined + full.reserved + full.draining == full.size
            return
        service_id, address = given["service_id"], given["ip_address"]
        if known is not None:
            assert service_id == known
        if known in self.held:
            assert self.held[service_id] == (subject, address)
            return
        assert address in (own or available)
        rested, fresh = available & self.resting.keys(), available - self.resting.keys()
        if not own:
            assert address in ((rested or fresh) if self.policy == "reuse_first" else (fresh or rested))
        self.take(service_id, subject, address)
        if request_id:
            self.requests[request_id] = service_id

    def one_of(self, which: int) -> int | None:
        """Not drawn from those who hold something: who does may differ, as lots are drawn where units are taken."""
        return sorted(self.held)[which % len(self.held)] if self.held else None

    def rest(self, address: str, subject: Subject) -> None:
        now = self.network.clock.at
        until, sticky = now + timedelta(seconds=QUARANTINE_SECONDS), now + timedelta(seconds=STICKY_SECONDS)
        self.resting[address] = (subject, until, sticky)
        self.settle()

    def take(self, service_id: int, subject: Subject, address: str) -> None:
        self.resting.pop(address, None)
        self.unreserved.discard(address)
        self.held[service_id] = (subject, address)

    @rule(customer=st.integers(1, 4), place=st.sampled_from(PLACES), address=st.sampled_from(UNITS))
    def allocate_this_very_one(self, customer: int, place: str, address: str) -> None:
        refusal = self.in_the_way(address, (customer, place))
        try:
            given = self.do(self.network.allocate(customer, place, ip_address=address))
        except IpamError as refused:
            assert type(refused) is refusal
            return
        assert refusal is None
        assert given["ip_address"] == address
        self.take(given["service_id"], (customer, place), address)

    @rule(which=st.integers(0, 99))
    def release(self, which: int) -> None:
        if (service_id := self.one_of(which)) is None:
            return
        subject, address = self.held.pop(service_id)
        released = self.do(self.network.release(service_id))
        (unit,) = released["released"]
        assert unit["value"] == address
        until = self.network.clock.at + timedelta(seconds=QUARANTINE_SECONDS)
        assert unit["available_at"] == (None if address in self.drained else until)
        self.rest(address, subject)
        assert self.do(self.network.release(service_id)) == released

    @rule(which=st.integers(0, 99), place=st.sampled_from(PLACES))
    def move(self, which: int, place: str) -> None:
        if (service_id := self.one_of(which)) is None:
            return
        former, address = self.held[service_id]
        subject = (former[0], place)
        available, own = self.available(subject), self.own(subject)
        moving = self.network.serve("move_service", service_id=service_id, service_location=place, note="moves house")
        try:
            moved = self.do(moving)["ip_address"]
        except PoolExhausted:
            assert address in self.drained
            assert available == set()
            return
        assert moved in ((own or available) if address in self.drained else {address})
        self.take(service_id, subject, moved)
        if moved != address:
            self.rest(address, former)

    @rule(seconds=st.sampled_from([1, QUARANTINE_SECONDS - 1, QUARANTINE_SECONDS, STICKY_SECONDS]))
    def wait(self, seconds: int) -> None:
        self.network.clock.forward(seconds=seconds)

    @rule(address=st.sampled_from(UNITS))
    def reserve(self, address: str) -> None:
        refusal = self.in_the_way(address, None)
        try:
            changed = self.do(self.network.keep("reserve", pool="cgnat", value=address, note="kept"))
        except IpamError as refused:
            assert type(refused) is refusal
            return
        assert changed == (refusal is None)
        assert refusal in (None, UnitReserved)
        self.resting.pop(address, None)
        self.reserved.add(address)
        self.unreserved.discard(address)

    @rule(address=st.sampled_from(UNITS))
    def unreserve(self, address: str) -> None:
        try:
            changed = self.do(self.network.keep("unreserve", pool="cgnat", value=address, note="no longer"))
        except UnitNotHeld:
            assert address not in self.reserved | self.unreserved
            return
        assert changed == (address in self.reserved)
        assert changed or address in self.unreserved
        self.reserved.discard(address)
        self.unreserved.add(address)

    @rule(address=st.sampled_from(UNITS))
    def lift(self, address: str) -> None:
        now = self.network.clock.at
        rest = self.resting.get(address) or self.away.get(address)
        rests = rest is not None and rest[1] > now
        try:
            changed = self.do(self.network.keep("lift", pool="cgnat", value=address, note="urgent"))
        except UnitNotHeld:
            assert not rests
            return
        assert changed == rests
        self.away.pop(address, None)
        if changed and address in self.resting:
            subject, _, sticky = self.resting[address]
            self.resting[address] = (subject, now, sticky)

    @rule(excluded=st.sets(st.sampled_from(UNITS), max_size=8), policy=st.sampled_from(["fresh_first", "reuse_first"]))
    def describe(self, excluded: set[str], policy: str) -> None:
        before, self.policy = self.policy, policy
        try:
            self.do(self.describe_pool(excluded))
        except EstateInUse:
            assert excluded & (self.in_use | self.reserved)
            self.policy = before
            return
        self.described_out = excluded
        assert not excluded & (self.in_use | self.reserved)
        self.settle()

    @rule(first=st.integers(0, 13), many=st.integers(1, 6))
    def exclude(self, first: int, many: int) -> None:
        part = UNITS[first : first + many]
        new = set(part) - self.excluded
        try:
            changed = self.do(self.network.keep("exclude", pool="cgnat", span=f"{part[0]}-{part[-1]}", note="broken"))
        except EstateInUse:
            assert new & (self.in_use | self.reserved)
            return
        assert not new & (self.in_use | self.reserved)
        assert changed == bool(set(part) - self.by_hand)
        self.by_hand |= set(part)
        self.settle()

    @rule(first=st.integers(0, 13), many=st.integers(1, 14))
    def include(self, first: int, many: int) -> None:
        part = UNITS[first : first + many]
        changed = self.do(self.network.keep("include", pool="cgnat", span=f"{part[0]}-{part[-1]}"))
        assert changed == bool(set(part) & self.by_hand)
        self.by_hand -= set(part)
        self.settle()

    @rule(customer=st.integers(1, 4), place=st.sampled_from(PLACES), address=st.sampled_from(UNITS))
    def bring_in(self, customer: int, place: str, address: str) -> None:
        """Of another system, as a service of its own."""
        subject, username = (customer, place), f"other-{next(NAMES)}@isp"
        refusal = self.in_the_way(address, subject)
        line = f"value,customer_id,username,location,plan\n{address},{customer},{username},{place},fiber-100\n"
        try:
            counts = self.do(self.network.bring_in(line))
        except ImportRefused as refused:
            assert refusal is not None
            assert len(refused.faults) == 1
            return
        assert refusal is None
        assert (counts["services"], counts["assigned"]) == (1, 1)
        self.take(self.do(self.service_named(username)), subject, address)

    @rule(first=st.integers(0, 13), many=st.integers(1, 14))
    def drain(self, first: int, many: int) -> None:
        part = UNITS[first : first + many]
        changed = self.do(self.network.keep("drain", pool="cgnat", span=f"{part[0]}-{part[-1]}", note="moving"))
        assert changed == bool(set(part) - self.drained)
        self.drained |= set(part)
        self.settle()
        left = {each["value"] for each in self.do(self.network.keep("left_behind", pool="cgnat"))}
        cooling = {address for address, (_, until, _) in self.away.items() if until > self.network.clock.at}
        assert left == self.drained & (self.in_use | self.reserved | cooling)

    @rule(first=st.integers(0, 13), many=st.integers(1, 14))
    def undrain(self, first: int, many: int) -> None:
        part = UNITS[first : first + many]
        changed = self.do(self.network.keep("undrain", pool="cgnat", span=f"{part[0]}-{part[-1]}"))
        assert changed == bool(set(part) & self.drained)
        self.drained -= set(part)
        self.settle()

    @invariant()
    def every_unit_is_accounted_for_once(self) -> None:
        assert self.do(self.faults()) == []
        used = [address for _, address in self.held.values()]
        assert len(used) == len(set(used))
        assert not set(used) & (self.excluded | self.reserved)

    def teardown(self) -> None:
        assert self.do(self.network.violations()) == []
        usage = self.do(self.network.usage("cgnat"))
        nobodys = self.drained - self.excluded - self.in_use - self.reserved
        assert (usage["assigned"], usage["reserved"], usage["draining"]) == (
            len(self.held),
            len(self.reserved),
            len(nobodys),
        )
        assert usage["quarantined"] == sum(until > self.network.clock.at for _, until, _ in self.resting.values())
        self.do(self.network.database.close())
        self.runner.close()


@pytest.mark.both_databases
def test_the_pool_stays_whole_whatever_happens(database_url: str) -> None:
    walk(Addresses, database_url=database_url, walks=6, steps=30)
