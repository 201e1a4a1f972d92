"""The same request twice, one after the other and at the same time."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import func, select

from ipam import PoolExhausted, RequestConflict
from ipam.tables import Allocation, Service
from tests.ipam.conftest import Network, one_pool

pytestmark = pytest.mark.both_databases


async def test_the_same_request_gives_the_same_answer_and_one_service(network: Network) -> None:
    first = await network.allocate(request_id="ticket-1")
    network.clock.forward(days=1)

    assert await network.allocate(request_id="ticket-1") == first
    async with network.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Service)) == 1
        assert await db.scalar(select(func.count()).select_from(Allocation)) == 3


async def test_another_name_of_the_same_premise_is_the_same_request(network: Network) -> None:
    first = await network.allocate(location="LOC-1", request_id="ticket-1")

    assert await network.allocate(location="DROP-7781", request_id="ticket-1") == first


@pytest.mark.parametrize(
    ("customer_id", "location", "plan"),
    [(1002, "LOC-1", "fiber-100"), (1001, "LOC-3", "fiber-100"), (1001, "LOC-1", "business")],
)
async def test_the_same_request_with_other_input_is_a_conflict(
    network: Network, customer_id: int, location: str, plan: str
) -> None:
    given = await network.allocate(1001, "LOC-1", "fiber-100", request_id="ticket-1")

    with pytest.raises(RequestConflict) as conflict:
        await network.allocate(customer_id, location, plan, request_id="ticket-1")

    assert conflict.value.service_id == given["service_id"]
    assert conflict.value.recorded == "customer 1001 at LOC-1 on fiber-100"
    assert conflict.value.given == f"customer {customer_id} at {location} on {plan}"


async def test_two_tenants_may_use_the_same_request_id(network: Network) -> None:
    other = Network(network.database, network.clock, tenant_id="other")
    await other.apply(one_pool("198.51.100.0/28"))

    first = await network.allocate(request_id="ticket-1")
    second = await other.allocate(request_id="ticket-1")

    assert first["service_id"] != second["service_id"]


async def test_requests_without_an_id_are_services_of_their_own(network: Network) -> None:
    first, second = await network.allocate(), await network.allocate()

    assert first["service_id"] != second["service_id"]
    assert first["ip_address"] != second["ip_address"]


async def test_a_request_whose_service_was_released_brings_that_service_back(network: Network) -> None:
    first = await network.allocate(request_id="ticket-1")
    await network.release(first["service_id"])
    network.clock.forward(hours=2)

    assert await network.allocate(request_id="ticket-1") == first
    assert await network.violations() == []


async def test_a_service_that_comes_back_too_late_keeps_its_number_and_username(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", quarantine_seconds=60))
    first = await empty.allocate(1, request_id="ticket-1")
    second = await empty.allocate(2)
    await empty.release(first["service_id"])
    empty.clock.forward(minutes=2)
    await empty.allocate(3)

    with pytest.raises(PoolExhausted):
        await empty.allocate(1, request_id="ticket-1")
    await empty.release(second["service_id"])
    empty.clock.forward(minutes=2)
    again = await empty.allocate(1, request_id="ticket-1")

    assert (again["service_id"], again["username"]) == (first["service_id"], first["username"])
    assert again["ip_address"] == second["ip_address"]
    assert await empty.violations() == []


async def test_the_same_request_eight_times_at_once_makes_one_service(network: Network) -> None:
    answers = await asyncio.gather(*(network.allocate(request_id="ticket-1") for _ in range(8)))

    assert all(answer == answers[0] for answer in answers)
    async with network.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Service)) == 1
    assert await network.violations() == []


async def test_a_released_request_eight_times_at_once_brings_back_one_service(network: Network) -> None:
    first = await network.allocate(request_id="ticket-1")
    await network.release(first["service_id"])

    answers = await asyncio.gather(*(network.allocate(request_id="ticket-1") for _ in range(8)))

    assert all(answer == first for answer in answers)
    assert await network.violations() == []
