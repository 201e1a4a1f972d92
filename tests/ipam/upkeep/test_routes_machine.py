"""Prefixes that are routed to services, in any order: as many as were asked for, all or none, and nobody else's."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ipam import IpamError, PoolExhausted, ServiceReleased, UnitCooling, UnitDraining, UnitNotHeld, UnitTaken
from provisioning.database import Database
from tests.ipam.conftest import Network, small
from tests.support.machines import walk

T = TypeVar("T")

QUARANTINE_SECONDS = 100
NETS = [str(net) for net in ip_network("198.51.100.0/26").subnets(new_prefix=29)]
PLACES = ("LOC-1", "LOC-3")
WHO = st.integers(0, 2)
NET = st.sampled_from(NETS)
TENANTS = itertools.count(1)


def described() -> dict[str, Any]:
    network = small()
    bindings = [{"bng": "bng-1", "plan": "business"}]
    pool = {"name": "nets", "kind": "ipv4_routed", "network": "198.51.100.0/26", "bindings": bindings}
    network["pool"].append({**pool, "quarantine_seconds": QUARANTINE_SECONDS})
    return network


class Routes(RuleBasedStateMachine):
    """Three customers, one service each, and eight prefixes."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.network = Network(Database(self.database_url), tenant_id=f"routes {next(TENANTS)}")
        self.do(self.network.apply(described()))
        given = [self.do(self.network.allocate(n, PLACES[0], "business", request_id=f"r{n}")) for n in (1, 2, 3)]
        self.services = [each["service_id"] for each in given]
        self.places = [PLACES[0]] * 3
        self.live = [True] * 3
        self.held: list[set[str]] = [set(), set(), set()]
        self.had: list[set[str]] = [set(), set(), set()]
        self.resting: dict[str, tuple[tuple[int, str], datetime]] = {}
        self.away: dict[str, tuple[tuple[int, str], datetime]] = {}
        """What rests where it is being drained has no row."""
        self.drained: set[str] = set()

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> datetime:
        return self.network.clock.at

    @property
    def in_use(self) -> set[str]:
        return {net for nets in self.held for net in nets}

    def subject(self, who: int) -> tuple[int, str]:
        return who, self.places[who]

    def free_for(self, who: int) -> tuple[set[str], set[str]]:
        """What it could be given, and what of that was its own before."""
        own = {net for net, (last, _) in self.resting.items() if last == self.subject(who)}
        cooling = {net for net, (_, until) in self.resting.items() if until > self.now} - own
        return set(NETS) - self.drained - self.in_use - cooling, own

    def settle(self) -> None:
        self.away |= {net: self.resting.pop(net) for net in self.drained & self.resting.keys()}
        self.resting |= {net: self.away.pop(net) for net in self.away.keys() - self.drained}

    def rest(self, who: int, nets: set[str]) -> None:
        until = self.now + timedelta(seconds=QUARANTINE_SECONDS)
        self.resting |= {net: (self.subject(who), until) for net in nets}
        self.held[who] -= nets
        self.settle()

    def take(self, who: int, nets: set[str]) -> None:
        for net in nets:
            self.resting.pop(net, None)
        self.held[who] |= nets
        self.had[who] |= nets

    def routed(self, who: int, **said: Any) -> set[str]:
        work = self.network.serve("route_prefix", service_id=self.services[who], pool="nets", **said)
        return {route.split()[0] for route in self.do(work)["framed_routes"]}

    @rule(who=WHO, count=st.integers(1, 5))
    def route(self, who: int, count: int) -> None:
        (free, own), lacks = self.free_for(who), max(count - len(self.held[who] - self.drained), 0)
        try:
            has = self.routed(who, count=count)
        except ServiceReleased:
            assert not self.live[who]
            return
        except PoolExhausted:
            assert len(free) < lacks
            return
        new = has - self.held[who]
        assert has >= self.held[who]
        assert len(new) == lacks
        assert new <= free
        assert new <= own or new >= own
        self.take(who, new)

    @rule(who=WHO, net=NET)
    def route_this_very_one(self, who: int, net: str) -> None:
        has_it, (free, _) = net in self.held[who], self.free_for(who)
        try:
            has = self.routed(who, prefix=net)
        except ServiceReleased:
            assert not self.live[who]
            return
        except IpamError as refused:
            why = UnitTaken if net in self.in_use else UnitDraining if net in self.drained else UnitCooling
            assert (type(refused), has_it, net in free) == (why, False, False)
            return
        assert has == self.held[who] | {net}
        assert has_it or net in free
        self.take(who, {net})

    @rule(who=WHO, net=NET)
    def withdraw(self, who: int, net: str) -> None:
        work = self.network.serve("withdraw_prefix", service_id=self.services[who], prefix=net)
        try:
            left = {route.split()[0] for route in self.do(work)["framed_routes"]}
        except ServiceReleased:
            assert not self.live[who]
            return
        except UnitNotHeld:
            assert net not in self.had[who]
            return
        assert left == self.held[who] - {net}
        assert net in self.had[who]
        self.rest(who, self.held[who] & {net})

    @rule(who=WHO)
    def end_or_begin_again(self, who: int) -> None:
        if self.live[who]:
            released = self.do(self.network.release(self.services[who]))["released"]
            assert {each["value"] for each in released if each["pool"] == "nets"} == self.held[who]
            self.rest(who, set(self.held[who]))
        else:
            again = self.network.allocate(who + 1, self.places[who], "business", request_id=f"r{who + 1}")
            assert self.do(again)["framed_routes"] == []
        self.live[who] = not self.live[who]

    @rule(who=WHO, place=st.sampled_from(PLACES))
    def move(self, who: int, place: str) -> None:
        if not self.live[who]:
            return
        said = {"service_id": self.services[who], "service_location": place, "note": "moves house"}
        moved = self.do(self.network.serve("move_service", **said))
        self.places[who] = place
        assert {route.split()[0] for route in moved["framed_routes"]} == self.held[who]

    @rule(seconds=st.sampled_from([1, QUARANTINE_SECONDS]))
    def wait(self, seconds: int) -> None:
        self.network.clock.forward(seconds=seconds)

    @rule(net=NET)
    def drain(self, net: str) -> None:
        assert self.do(self.network.keep("drain", pool="nets", span=net, note="sold")) == (net not in self.drained)
        self.drained.add(net)
        self.settle()

    @rule(net=NET)
    def undrain(self, net: str) -> None:
        assert self.do(self.network.keep("undrain", pool="nets", span=net)) == (net in self.drained)
        self.drained.discard(net)
        self.settle()

    @invariant()
    def each_has_what_it_was_given(self) -> None:
        for who, service_id in enumerate(self.services):
            if self.live[who]:
                has = self.do(self.network.serve("resources", service_id=service_id))["framed_routes"]
                assert {route.split()[0] for route in has} == self.held[who]
        assert self.do(self.network.violations()) == []

    def teardown(self) -> None:
        usage = self.do(self.network.usage("nets"))
        assert usage["assigned"] == sum(len(nets) for nets in self.held)
        assert usage["quarantined"] == sum(until > self.now for _, until in self.resting.values())
        self.do(self.network.database.close())
        self.runner.close()


@pytest.mark.both_databases
def test_routed_prefixes_are_as_many_as_asked_for_and_nobody_elses(database_url: str) -> None:
    walk(Routes, database_url=database_url, walks=4, steps=25)
