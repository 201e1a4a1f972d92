"""Whole services in any order, from pools that are scarce: each has all that its plan needs, or nothing was written."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import func, select

from ipam import AllocatedResources, IpamError, PoolExhausted, RequestInvalid
from ipam.tables import Allocation, AllocationEvent, FreeRange, Service
from provisioning.database import Database
from tests.ipam.allocation.test_cost import statements
from tests.ipam.conftest import Network, small
from tests.support.machines import walk

T = TypeVar("T")

QUARANTINE_SECONDS = 100
POOLS = {"cgnat": "100.64.0.0/28", "wan6": "2001:db8:1000::/61", "pd": "2001:db8:2000::/53"}
"""Thirteen addresses, and eight prefixes of each kind."""
VIDS = {2, 3, 6, 7}
NO_VIDS = (0, 1, 4, 5, 8, 4094, 4095)
"""Reserved, outside of the S-VLAN's range, or nobody's anywhere (IEEE 802.1Q)."""
PARTS = ("ip_address", "ipv6_wan_prefix", "delegated_prefix", "cvlan")
TENANTS = itertools.count(1)


def scarce() -> dict[str, Any]:
    described = small(plan=[{"name": "fiber-100", "access": "pppoe", "ipv6_wan": True, "ipv6_pd": True}])
    described["pool"] = [
        {**pool, "network": POOLS[pool["name"]], "quarantine_seconds": QUARANTINE_SECONDS, "sticky_seconds": 0}
        for pool in described["pool"]
        if pool["name"] in POOLS
    ]
    described["svlan"][1] |= {"cvlans": ["2-7"], "reserved": ["4-5"]}
    return described


class Services(RuleBasedStateMachine):
    """A line at LOC-1 shares its VLAN, one at LOC-2 has its own; the model is what each service was answered."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.network = Network(Database(self.database_url), tenant_id=f"services {next(TENANTS)}")
        self.held: dict[int, AllocatedResources] = {}
        self.requests: dict[int, str] = {}
        self.customers = 0
        self.resting: list[tuple[str, str, Any]] = []
        """(part, value, available at)"""
        self.do(self.network.apply(scarce()))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def rows(self) -> list[Any]:
        """How much stands in every table that an allocation writes."""
        async with self.network.database.read() as db:
            counts = [
                await db.scalar(select(func.count()).select_from(model).where(model.tenant_id == tenant))
                for tenant in (self.network.tenant_id,)
                for model in (Allocation, AllocationEvent, Service)
            ]
            free = func.sum(FreeRange.last_unit - FreeRange.next_unit + 1)
            return [*counts, await db.scalar(select(free).where(FreeRange.tenant_id == self.network.tenant_id))]

    async def counted(self, asked: list[Any], work: Coroutine[Any, Any, T]) -> T:
        """``asked`` is all that the database is asked meanwhile."""
        async with statements(self.network, asked):
            return await work

    def most_statements(self, place: str) -> int:
        """However full the pools are: in one turn, or in steps, as ``test_cost`` says of an unused network."""
        if self.network.database.is_postgresql:
            return 5 if place == "LOC-1" else 6
        return 13 if place == "LOC-1" else 16

    def room(self, part: str) -> int:
        """How many of this kind anybody could be given now."""
        whole: int = {"ip_address": 13, "ipv6_wan_prefix": 8, "delegated_prefix": 8, "cvlan": len(VIDS)}[part]
        cooling = len([value for kind, value, until in self.resting if kind == part and until > self.network.clock.at])
        held = [each for each in self.held.values() if each[part] is not None]  # type: ignore[literal-required]
        return whole - cooling - len(held)

    def needs(self, place: str) -> tuple[str, ...]:
        return PARTS if place == "LOC-2" else PARTS[:3]

    @rule(place=st.sampled_from(["LOC-1", "LOC-2"]))
    def allocate(self, place: str) -> None:
        self.customers += 1
        customer, request = self.customers, f"{self.customers}/{place}"
        full = [part for part in self.needs(place) if self.room(part) <= 0]
        before, asked = self.do(self.rows()), list[Any]()
        try:
            given = self.do(self.counted(asked, self.network.allocate(customer, place, request_id=request)))
        except PoolExhausted:
            assert full
            assert self.do(self.rows()) == before
            return
        assert not full
        assert len(asked) <= self.most_statements(place)
        self.requests[given["service_id"]] = request
        self.take(given, place)

    def take(self, given: AllocatedResources, place: str) -> None:
        assert all(given[part] is not None for part in self.needs(place))  # type: ignore[literal-required]
        for part in PARTS:
            value = str(given[part])  # type: ignore[literal-required]
            assert not [each for each in self.resting if each[:2] == (part, value) and each[2] > self.network.clock.at]
        self.resting = [each for each in self.resting if str(given[each[0]]) != each[1]]  # type: ignore[literal-required]
        self.held[given["service_id"]] = given

    @rule(vid=st.sampled_from(NO_VIDS))
    def ask_for_a_number_that_nobody_gets(self, vid: int) -> None:
        before = self.do(self.rows())
        try:
            self.do(self.network.allocate(9000, "LOC-2", cvlan=vid))
        except IpamError as refused:
            assert isinstance(refused, RequestInvalid) == (vid in (0, 1, 4095))
            assert self.do(self.rows()) == before
            return
        raise AssertionError(f"C-VLAN {vid} was given")

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        service_id = data.draw(st.sampled_from(sorted(self.held)))
        given, before = self.held[service_id], self.do(self.rows())
        customer, place = self.requests[service_id].split("/")
        again = self.do(self.network.allocate(int(customer), place, request_id=self.requests[service_id]))
        assert again == given
        assert self.do(self.rows()) == before

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        service_id = data.draw(st.sampled_from(sorted(self.held)))
        given = self.held.pop(service_id)
        released = self.do(self.network.release(service_id))["released"]
        mine = {str(given[part]): part for part in PARTS if given[part] is not None}  # type: ignore[literal-required]
        assert {each["value"] for each in released} == mine.keys()
        self.resting += [(mine[each["value"]], each["value"], each["available_at"]) for each in released]

    @rule(seconds=st.sampled_from([1, QUARANTINE_SECONDS]))
    def wait(self, seconds: int) -> None:
        self.network.clock.forward(seconds=seconds)

    @invariant()
    def every_service_has_all_of_it_and_nobody_else_has(self) -> None:
        for part in PARTS:
            given = [each[part] for each in self.held.values() if each[part] is not None]  # type: ignore[literal-required]
            assert len(given) == len(set(given))
        assert {each["cvlan"] for each in self.held.values()} <= {None, *VIDS}
        assert self.do(self.network.violations()) == []

    def teardown(self) -> None:
        for service_id, given in self.held.items():
            assert self.do(self.network.serve("resources", service_id=service_id)) == given
        self.do(self.network.database.close())
        self.runner.close()


@pytest.mark.both_databases
def test_every_service_has_all_of_its_parts_or_nothing_was_written(database_url: str) -> None:
    walk(Services, database_url=database_url, walks=3, steps=25)
