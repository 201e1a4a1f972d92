"""Prefixes that are routed to a business line besides what its plan gives it."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import (
    PoolExhausted,
    RequestInvalid,
    RouteNotServed,
    ServiceReleased,
    UnitElsewhere,
    UnitNotHeld,
    UnitTaken,
)
from tests.ipam.conftest import Network, small
from tests.ipam.upkeep.test_moving import two_bngs


def with_routes(described: dict[str, Any]) -> dict[str, Any]:
    north = [{"bng": "bng-1", "plan": "business"}]
    described["pool"] += [
        {"name": "office-nets", "kind": "ipv4_routed", "network": "198.51.100.0/28", "bindings": north},
        {"name": "office-nets6", "kind": "ipv6_routed", "network": "2001:db8:4000::/46", "bindings": north},
    ]
    return described


@pytest.fixture
async def routed(empty: Network) -> Network:
    await empty.apply(with_routes(small()))
    return empty


async def test_routed_prefixes_stand_in_the_answer_as_radius_writes_them(routed: Network) -> None:
    given = await routed.allocate(1, "LOC-1", "business")
    service = {"service_id": given["service_id"]}

    first = await routed.serve("route_prefix", **service, pool="office-nets", prefix="198.51.100.8/29")
    both = await routed.serve("route_prefix", **service, pool="office-nets6")
    again = await routed.serve("route_prefix", **service, pool="office-nets")

    assert (given["framed_routes"], given["framed_ipv6_routes"]) == ([], [])
    assert first["framed_routes"] == ["198.51.100.8/29 0.0.0.0 1"]
    assert first["ip_address"] == given["ip_address"]
    [route] = both["framed_ipv6_routes"]
    assert route.startswith("2001:db8:400")
    assert route.endswith("::/48 :: 1")
    assert again == both
    async with routed.database.begin() as db:
        assert await routed.service(db).all_resources() == [both]
    assert await routed.violations() == []


async def test_a_withdrawn_prefix_rests_and_so_does_one_of_a_released_service(routed: Network) -> None:
    lines = [await routed.allocate(customer, "LOC-1", "business") for customer in (1, 2, 3)]
    for line in lines[:2]:
        await routed.serve("route_prefix", service_id=line["service_id"], pool="office-nets")
    with pytest.raises(PoolExhausted):
        await routed.serve("route_prefix", service_id=lines[2]["service_id"], pool="office-nets")

    held = (await routed.serve("resources", service_id=lines[0]["service_id"]))["framed_routes"][0].split()[0]
    after = await routed.serve("withdraw_prefix", service_id=lines[0]["service_id"], prefix=held)
    again = await routed.serve("withdraw_prefix", service_id=lines[0]["service_id"], prefix=held)
    released = await routed.release(lines[1]["service_id"])

    assert after == again == lines[0]
    assert [unit["pool"] for unit in released["released"]] == ["office", "office-nets"]
    usage = await routed.usage("office-nets")
    assert (usage["size"], usage["quarantined"], usage["assigned"]) == (2, 2, 0)
    back = await routed.serve("route_prefix", service_id=lines[0]["service_id"], pool="office-nets")
    assert back["framed_routes"] == [f"{held} 0.0.0.0 1"]
    with pytest.raises(UnitNotHeld, match="and never was"):
        await routed.serve("withdraw_prefix", service_id=lines[2]["service_id"], prefix=held)
    assert await routed.violations() == []


async def test_what_can_not_be_routed_or_withdrawn_says_why(routed: Network) -> None:
    business = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    home = (await routed.allocate(2, "LOC-1"))["service_id"]
    other = (await routed.allocate(3, "LOC-1", "business"))["service_id"]
    await routed.serve("route_prefix", service_id=business, pool="office-nets", prefix="198.51.100.0/29")
    refused: list[tuple[type[Exception], str, str, dict[str, Any]]] = [
        (UnitElsewhere, "that serve it are none", "route_prefix", {"service_id": home, "pool": "office-nets"}),
        (UnitElsewhere, "office-nets, office-nets6", "route_prefix", {"service_id": other, "pool": "cgnat"}),
        (
            UnitTaken,
            f"held by service {business}",
            "route_prefix",
            {"service_id": other, "pool": "office-nets", "prefix": "198.51.100.0/29"},
        ),
        (
            RequestInvalid,
            "has 198.51.100.0/29 of office-nets",
            "route_prefix",
            {"service_id": business, "pool": "office-nets", "prefix": "198.51.100.8/29"},
        ),
        (
            UnitElsewhere,
            "hands that out",
            "route_prefix",
            {"service_id": other, "pool": "office-nets", "prefix": "2001:db8::/48"},
        ),
        (
            RequestInvalid,
            "host bits",
            "route_prefix",
            {"service_id": other, "pool": "office-nets", "prefix": "10.0.0.1/8"},
        ),
        (RequestInvalid, "no prefix length", "withdraw_prefix", {"service_id": other, "prefix": "198.51.100.0"}),
        (UnitNotHeld, "not among", "withdraw_prefix", {"service_id": other, "prefix": "198.51.100.0/29"}),
    ]

    for kind, words, verb, said in refused:
        with pytest.raises(kind, match=words):
            await routed.serve(verb, **said)

    await routed.release(other)
    with pytest.raises(ServiceReleased):
        await routed.serve("route_prefix", service_id=other, pool="office-nets")
    assert await routed.violations() == []


async def test_a_routed_prefix_follows_its_service_or_holds_it_back(empty: Network) -> None:
    described = with_routes(two_bngs())
    described["pool"].append(
        {"name": "office-south", "kind": "ipv4", "network": "203.0.113.64/29", "gateway": "203.0.113.65"}
        | {"bindings": [{"bng": "bng-2", "plan": "business"}]}
    )
    await empty.apply(described)
    line = (await empty.allocate(1, "LOC-1", "business"))["service_id"]
    routed = await empty.serve("route_prefix", service_id=line, pool="office-nets")
    said = {"service_id": line, "note": "they move"}

    near = await empty.serve("move_service", **said, service_location="LOC-3")
    with pytest.raises(RouteNotServed, match="pool office-nets serves no line there"):
        await empty.serve("move_service", **said, service_location="LOC-9")

    assert near["framed_routes"] == routed["framed_routes"]
    await empty.serve("withdraw_prefix", service_id=line, prefix=routed["framed_routes"][0].split()[0])
    assert (await empty.serve("move_service", **said, service_location="LOC-9"))["ip_address"].startswith("203.0.113.")
    assert await empty.violations() == []
