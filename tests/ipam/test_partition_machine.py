"""Anything that operators and journeys may do, in any order: afterwards every unit is accounted for exactly once."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ipam import EstateInUse, PoolExhausted, PoolSpec, invariants
from provisioning.database import Database
from tests.ipam.conftest import Network, one_pool

T = TypeVar("T")

QUARANTINE_SECONDS = 100
UNITS = [f"192.0.2.{last}" for last in range(1, 15)]
TENANTS = itertools.count(1)


class Addresses(RuleBasedStateMachine):
    """A pool of fourteen addresses, four customers at one premise, and a model that is a handful of dictionaries."""

    database_url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.network = Network(Database(self.database_url), tenant_id=f"tenant {next(TENANTS)}")
        self.held: dict[int, tuple[int, str]] = {}
        """service: (customer, address)"""
        self.resting: dict[str, tuple[int, Any]] = {}
        """address: (last customer, available at)"""
        self.excluded: set[str] = set()
        self.requests: dict[str, int] = {}
        self.do(self.network.apply(one_pool("192.0.2.0/28", quarantine_seconds=QUARANTINE_SECONDS)))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def exclude_from_pool(self, excluded: set[str]) -> None:
        described = one_pool("192.0.2.0/28", exclude=sorted(excluded), quarantine_seconds=QUARANTINE_SECONDS)
        async with self.network.database.begin() as db:
            await self.network.estate(db).define_pool(PoolSpec.model_validate(described["pool"][0]))

    async def faults(self) -> list[str]:
        async with self.network.database.begin() as db:
            partition = await invariants.badly_partitioned(db, tenant_id=self.network.tenant_id)
            twice = await invariants.given_twice(db, tenant_id=self.network.tenant_id)
        return [str(violation) for violation in partition + twice]

    def available(self, customer: int) -> set[str]:
        now = self.network.clock.at
        used = {address for _, address in self.held.values()}
        cooling = {address for address, (last, until) in self.resting.items() if until > now and last != customer}
        return set(UNITS) - self.excluded - used - cooling

    @rule(customer=st.integers(1, 4), request=st.one_of(st.none(), st.sampled_from("abc")))
    def allocate(self, customer: int, request: str | None) -> None:
        request_id = None if request is None else f"{request}{customer}"
        known = self.requests.get(request_id or "")
        available = self.available(customer)
        own = {address for address, (last, _) in self.resting.items() if last == customer} - self.excluded
        try:
            given = self.do(self.network.allocate(customer, request_id=request_id))
        except PoolExhausted as full:
            assert known not in self.held
            assert available == set()
            assert full.assigned == len(self.held)
            assert full.assigned + full.quarantined == full.size
            return
        service_id, address = given["service_id"], given["ip_address"]
        if known is not None:
            assert service_id == known
        if known in self.held:
            assert self.held[service_id] == (customer, address)
            return
        assert address in (own or available)
        self.resting.pop(address, None)
        self.held[service_id] = (customer, address)
        if request_id:
            self.requests[request_id] = service_id

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        service_id = data.draw(st.sampled_from(sorted(self.held)))
        customer, address = self.held.pop(service_id)
        released = self.do(self.network.release(service_id))
        (unit,) = released["released"]
        assert unit["value"] == address
        self.resting[address] = (customer, unit["available_at"])
        assert self.do(self.network.release(service_id)) == released

    @rule(seconds=st.sampled_from([1, QUARANTINE_SECONDS - 1, QUARANTINE_SECONDS]))
    def wait(self, seconds: int) -> None:
        self.network.clock.forward(seconds=seconds)

    @rule(excluded=st.sets(st.sampled_from(UNITS), max_size=8))
    def exclude(self, excluded: set[str]) -> None:
        try:
            self.do(self.exclude_from_pool(excluded))
        except EstateInUse:
            assert excluded & {address for _, address in self.held.values()}
            return
        self.excluded = excluded
        assert not excluded & {address for _, address in self.held.values()}
        self.resting = {address: rest for address, rest in self.resting.items() if address not in excluded}

    @invariant()
    def every_unit_is_accounted_for_once(self) -> None:
        assert self.do(self.faults()) == []
        used = [address for _, address in self.held.values()]
        assert len(used) == len(set(used))
        assert not set(used) & self.excluded

    def teardown(self) -> None:
        assert self.do(self.network.violations()) == []
        self.do(self.network.database.close())
        self.runner.close()


def test_the_pool_stays_whole_whatever_happens(database_url: str) -> None:
    machine = type("AddressesOnThisDatabase", (Addresses,), {"database_url": database_url})
    quiet = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure(wrapper_class=quiet)
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=8,
                stateful_step_count=20,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        structlog.reset_defaults()
