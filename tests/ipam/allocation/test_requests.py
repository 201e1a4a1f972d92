"""The same request twice, one after the other and at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from ipam import PoolExhausted, RequestConflict, RequestInvalid, StaticResources
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


async def test_a_request_may_say_where_its_service_was_first_and_where_it_was_moved_to(network: Network) -> None:
    first = await network.allocate(1, "LOC-1", request_id="ticket-1")
    for location in ("LOC-2", "LOC-3"):
        now = await network.serve(
            "move_service", service_id=first["service_id"], service_location=location, note="they move house"
        )

    assert now != first
    for location in ("LOC-1", "LOC-3"):
        assert await network.allocate(1, location, request_id="ticket-1") == now
    with pytest.raises(RequestConflict) as conflict:
        await network.allocate(1, "LOC-2", request_id="ticket-1")
    assert conflict.value.recorded == "customer 1 at LOC-1 on fiber-100, now at LOC-3"
    assert conflict.value.given == "customer 1 at LOC-2 on fiber-100"
    await network.release(first["service_id"])
    assert await network.allocate(1, "LOC-1", request_id="ticket-1") == now  # where it belongs still
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


async def test_all_that_speaks_against_a_request_is_told_at_once(network: Network) -> None:
    wrong: list[tuple[str, dict[str, Any], list[str]]] = [
        (
            "allocate_resources",
            {
                "customer_id": 0,
                "service_location": "LOC-9",
                "bandwidth_plan": "fiber-9000",
                "request_id": " ",
                "static": StaticResources(ip_address="300.1.1.1", cvlan=1),
            },
            ["customer_id", "request_id", "ip_address", "cvlan", "service_location", "bandwidth_plan"],
        ),
        (
            "preview",
            {"customer_id": -1, "service_location": "LOC-1", "bandwidth_plan": "fiber-9000"},
            ["customer_id", "bandwidth_plan"],
        ),
        (
            "move_service",
            {"service_id": 99, "service_location": "LOC-9", "note": " ", "static": StaticResources(cvlan=4095)},
            ["reason", "cvlan", "service_id", "service_location"],
        ),
        (
            "route_prefix",
            {"service_id": 99, "pool": "cgnat", "prefix": "10.0.0.1/8"},
            ["prefix", "service_id"],
        ),
        ("withdraw_prefix", {"service_id": 2**40, "prefix": "10"}, ["prefix", "service_id"]),
    ]

    for verb, said, wheres in wrong:
        with pytest.raises(RequestInvalid) as refused:
            await network.serve(verb, **said)
        assert [fault.where for fault in refused.value.faults] == wheres
        assert f"{len(wheres)} faults, nothing was written: {wheres[0]}: " in str(refused.value)
    async with network.database.begin() as db:
        assert await network.service(db).active_service_ids() == []
