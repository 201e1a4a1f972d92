"""Prefixes that are routed to a business line besides what its plan gives it."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from ipam import (
    AddressLookup,
    ImportRefused,
    PoolExhausted,
    RequestInvalid,
    RouteNotServed,
    ServiceReleased,
    UnitDraining,
    UnitElsewhere,
    UnitNotHeld,
    UnitReserved,
    UnitTaken,
)
from ipam.tables import ASSIGNED, Allocation, Service
from tests.ipam.conftest import Network, small
from tests.ipam.upkeep.test_moving import two_bngs

BY_IT = " 0.0.0.0 1"


def with_routes(described: dict[str, Any]) -> dict[str, Any]:
    north = [{"bng": "bng-1", "plan": "business"}]
    described["pool"] += [
        {"name": "office-nets", "kind": "ipv4_routed", "network": "198.51.100.0/28", "bindings": north},
        {"name": "many-nets", "kind": "ipv4_routed", "network": "198.51.101.0/24", "bindings": north},
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


async def test_a_prefix_that_is_reserved_is_routed_to_whom_it_is_kept_for_in_one_act(routed: Network) -> None:
    kept, pool = "198.51.100.8/29", "office-nets"
    await routed.keep("reserve", pool=pool, value=kept, note="for the bakery")
    service_id = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    asked = {"service_id": service_id, "pool": pool}
    with pytest.raises(UnitReserved, match=r"\(for the bakery\).*ask for it with take_reserved \(`--take-reserved`\)"):
        await routed.serve("route_prefix", **asked, prefix=kept)
    with pytest.raises(RequestInvalid, match="take_reserved must come with what is reserved: prefix"):
        await routed.serve("route_prefix", **asked, take_reserved=True)
    by_choice = (await routed.serve("route_prefix", **asked))["framed_routes"]

    given = await routed.serve("route_prefix", **asked, prefix=kept, take_reserved=True)
    again = await routed.serve("route_prefix", **asked, prefix=kept, take_reserved=True)

    assert by_choice == [f"198.51.100.0/29{BY_IT}"]
    assert given["framed_routes"] == [*by_choice, kept + BY_IT]
    assert again == given
    async with routed.database.begin() as db:
        told = await routed.upkeep(db).history(pool=pool, value=kept)
    assert [event["what"] for event in told] == ["reserved", "unreserved", "assigned"]
    assert (await routed.usage(pool))["reserved"] == 0
    assert await routed.violations() == []


async def test_a_prefix_that_is_drained_stays_reserved(routed: Network) -> None:
    kept, pool = "198.51.100.8/29", "office-nets"
    await routed.keep("reserve", pool=pool, value=kept, note="for the bakery")
    await routed.keep("drain", pool=pool, span=kept, note="goes")
    service_id = (await routed.allocate(1, "LOC-1", "business"))["service_id"]

    with pytest.raises(UnitDraining):
        await routed.serve("route_prefix", service_id=service_id, pool=pool, prefix=kept, take_reserved=True)

    assert (await routed.usage(pool))["reserved"] == 1
    assert await routed.violations() == []


async def test_a_service_has_as_many_of_a_pool_as_it_is_told_to_and_gives_each_back_by_itself(routed: Network) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    many = {"service_id": service, "pool": "many-nets"}

    three = (await routed.serve("route_prefix", **many, count=3))["framed_routes"]
    again = (await routed.serve("route_prefix", **many, count=2))["framed_routes"]
    named = (await routed.serve("route_prefix", **many, prefix="198.51.101.248/29"))["framed_routes"]
    first, *others = [route.split()[0] for route in three]
    left = (await routed.serve("withdraw_prefix", service_id=service, prefix=first))["framed_routes"]
    back = (await routed.serve("route_prefix", **many, count=4))["framed_routes"]

    assert len(set(three)) == 3
    assert again == three == sorted(three, key=lambda route: IPv4Network(route.split()[0]))
    assert named == [*three, "198.51.101.248/29 0.0.0.0 1"]
    assert [route.split()[0] for route in left] == [*others, "198.51.101.248/29"]
    assert sorted(back) == sorted(named)  # what was withdrawn last is its own
    assert await routed.violations() == []
    released = (await routed.release(service))["released"]
    assert {unit["value"] for unit in released if unit["pool"] == "many-nets"} == {each.split()[0] for each in back}
    usage = await routed.usage("many-nets")
    assert (usage["assigned"], usage["quarantined"]) == (0, 4)
    assert await routed.violations() == []


async def test_of_several_that_a_pool_has_not_all_none_is_taken(routed: Network) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    async with routed.database.begin() as db:
        with pytest.raises(PoolExhausted):
            await routed.service(db).route_prefix(service_id=service, pool="office-nets", count=3)
    usage = await routed.usage("office-nets")
    assert (usage["assigned"], usage["quarantined"], usage["free"]) == (0, 0, 2)
    assert await routed.violations() == []


async def test_what_is_refused_of_several_is_told_with_the_numbers_of_the_pool_as_it_stays(routed: Network) -> None:
    first, second = [(await routed.allocate(customer, "LOC-1", "business"))["service_id"] for customer in (1, 2)]
    many = {"pool": "office-nets", "count": 3}
    with pytest.raises(PoolExhausted) as empty:
        await routed.serve("route_prefix", service_id=first, **many)
    await routed.serve("route_prefix", service_id=second, pool="office-nets")
    with pytest.raises(PoolExhausted) as half:
        await routed.serve("route_prefix", service_id=first, **many | {"count": 2})
    await routed.serve("route_prefix", service_id=first, pool="office-nets")
    with pytest.raises(PoolExhausted) as full:
        await routed.serve("route_prefix", service_id=first, **many)

    numbers = [(each.value.assigned, each.value.free, each.value.wanted) for each in (empty, half, full)]
    assert numbers == [(0, 2, 3), (1, 1, 2), (2, 0, 2)]
    assert [(each.value.size, each.value.quarantined, each.value.draining) for each in (empty, full)] == [(2, 0, 0)] * 2
    assert str(empty.value).startswith(
        "Pool office-nets has too few: 3 are wanted, 2 of 2 are free, 0 assigned, 0 in quarantine."
    )
    assert str(full.value).startswith("Pool office-nets is full: 2 of 2 assigned, 0 in quarantine.")


async def test_no_more_of_a_pool_are_routed_to_one_service_than_its_nas_can_be_told_in_a_packet(
    routed: Network,
) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    routes = (await routed.serve("route_prefix", service_id=service, pool="many-nets", count=16))["framed_routes"]
    taken = {IPv4Network(route.split()[0]) for route in routes}
    another = next(each for each in IPv4Network("198.51.101.0/24").subnets(new_prefix=29) if each not in taken)
    with pytest.raises(RequestInvalid, match=f"one too many: service {service} has 16 of many-nets"):
        await routed.serve("route_prefix", service_id=service, pool="many-nets", prefix=str(another))
    for _ in range(3):  # the numbers that are given back are used again
        await routed.serve("withdraw_prefix", service_id=service, prefix=routes[7].split()[0])
        await routed.serve("route_prefix", service_id=service, pool="many-nets", count=16)
    assert (await routed.usage("many-nets"))["assigned"] == 16


async def test_a_prefix_that_is_being_drained_is_not_counted_and_can_be_withdrawn_for_another_one(
    routed: Network,
) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    many = {"service_id": service, "pool": "many-nets"}
    for prefix in ("198.51.101.8/29", "198.51.101.128/29"):
        await routed.serve("route_prefix", **many, prefix=prefix)
    await routed.keep("drain", pool="many-nets", span="198.51.101.0/25", note="goes south")

    said = await routed.serve("route_prefix", **many, prefix="198.51.101.8/29")
    one = await routed.serve("route_prefix", **many)
    two = await routed.serve("route_prefix", **many, count=2)
    left = await routed.serve("withdraw_prefix", service_id=service, prefix="198.51.101.8/29")

    assert said == one
    assert (len(one["framed_routes"]), len(two["framed_routes"]), len(left["framed_routes"])) == (2, 3, 2)
    drained = IPv4Network("198.51.101.0/25")
    assert not any(IPv4Network(route.split()[0]).subnet_of(drained) for route in left["framed_routes"])
    assert await routed.serve("route_prefix", **many, count=2) == left
    assert [each["state"] for each in await routed.keep("left_behind", pool="many-nets")] == ["quarantine"]
    assert await routed.violations() == []


async def test_with_as_many_as_can_be_one_that_is_drained_is_withdrawn_first(routed: Network) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    many = {"service_id": service, "pool": "many-nets"}
    routes = (await routed.serve("route_prefix", **many, count=16))["framed_routes"]
    first = routes[0].split()[0]
    await routed.keep("drain", pool="many-nets", span=first, note="goes south")

    has = f"service {service} has 16 of many-nets, 1 of them being drained: withdraw one of those first"
    with pytest.raises(RequestInvalid, match=has):
        await routed.serve("route_prefix", **many, count=16)
    await routed.serve("withdraw_prefix", service_id=service, prefix=first)
    after = (await routed.serve("route_prefix", **many, count=16))["framed_routes"]

    assert len(after) == 16
    assert routes[0] not in after
    assert await routed.violations() == []


async def test_several_of_a_pool_come_in_from_a_file_and_go_out_as_they_came(routed: Network) -> None:
    service = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    held = (await routed.serve("route_prefix", service_id=service, pool="many-nets", count=3))["framed_routes"]
    file = await routed.export()
    await routed.release(service)
    async with routed.database.begin() as db:
        [username] = await db.scalars(select(Service.username))
    another = file.replace(username, "again@isp")

    assert (await routed.bring_in(another))["services"] == 1

    assert await routed.export() == another
    again = (await routed.serve("resources", service_id=service + 1))["framed_routes"]
    assert again == held
    await routed.serve("withdraw_prefix", service_id=service + 1, prefix=held[0].split()[0])
    assert await routed.violations() == []


async def test_a_file_with_too_many_of_a_pool_for_one_service_is_refused(routed: Network) -> None:
    nets = [str(each) for each in IPv4Network("198.51.101.0/24").subnets(new_prefix=29)][:17]
    values = ["203.0.113.2", *nets]
    lines = "".join(f"{each},1,x@isp,LOC-1,business\n" for each in values)
    with pytest.raises(ImportRefused) as refused:
        await routed.bring_in(f"value,customer_id,username,location,plan\n{lines}")
    [fault] = refused.value.faults
    assert (fault.where, fault.what) == (
        "line 19",
        "16 prefixes of pool many-nets at most are routed to one service",
    )
    assert (await routed.usage("many-nets"))["assigned"] == 0


async def test_the_database_itself_refuses_a_second_address_of_a_pool(routed: Network) -> None:
    line = await routed.allocate(1, "LOC-1", "business")
    async with routed.database.begin() as db:
        [mine] = await db.scalars(select(Allocation).where(Allocation.service_id == line["service_id"], ASSIGNED))
        second = {"tenant_id": mine.tenant_id, "pool_id": mine.pool_id, "unit": mine.unit + 1, "state": "assigned"}
        second |= {"service_id": mine.service_id, "subject": mine.subject, "assigned_at": mine.assigned_at}
        with pytest.raises(IntegrityError, match=r"held_by|service_id, ipam_allocation\.pool_id"):
            await db.execute(insert(Allocation), [second])
        await db.rollback()


async def test_what_can_not_be_routed_or_withdrawn_says_why(routed: Network) -> None:
    business = (await routed.allocate(1, "LOC-1", "business"))["service_id"]
    home = (await routed.allocate(2, "LOC-1"))["service_id"]
    other = (await routed.allocate(3, "LOC-1", "business"))["service_id"]
    await routed.serve("route_prefix", service_id=business, pool="office-nets", prefix="198.51.100.0/29")
    several = {"service_id": business, "pool": "many-nets"}
    refused: list[tuple[type[Exception], str, str, dict[str, Any]]] = [
        (UnitElsewhere, "that serve it are none", "route_prefix", {"service_id": home, "pool": "office-nets"}),
        (UnitElsewhere, "many-nets, office-nets, office-nets6", "route_prefix", {"service_id": other, "pool": "cgnat"}),
        (
            UnitTaken,
            f"held by service {business}",
            "route_prefix",
            {"service_id": other, "pool": "office-nets", "prefix": "198.51.100.0/29"},
        ),
        (RequestInvalid, "count is 17; a service has 1 to 16", "route_prefix", {**several, "count": 17}),
        (RequestInvalid, "count is 0;", "route_prefix", {**several, "count": 0}),
        (
            RequestInvalid,
            "count goes without a prefix",
            "route_prefix",
            {**several, "prefix": "198.51.101.0/29", "count": 2},
        ),
        (PoolExhausted, "office-nets", "route_prefix", {"service_id": business, "pool": "office-nets", "count": 3}),
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


HOST_ROUTE = "203.0.113.70/32 0.0.0.0 1"


def with_single_addresses() -> dict[str, Any]:
    described = small()
    hosts = {"name": "hosts", "kind": "ipv4_routed", "network": "203.0.113.64/26", "unit_length": 32}
    described["pool"].append(hosts | {"bindings": [{"bng": "bng-1", "plan": "business"}]})
    return described


async def test_a_single_address_is_routed_with_its_length_and_is_taken_back_by_it(empty: Network) -> None:
    await empty.apply(with_single_addresses())
    given = await empty.allocate(1, "LOC-1", "business")
    service = {"service_id": given["service_id"]}

    routed = await empty.serve("route_prefix", **service, pool="hosts", prefix="203.0.113.70/32")
    again = await empty.serve("route_prefix", **service, pool="hosts", prefix="203.0.113.70/32")
    first = await empty.serve("withdraw_prefix", **service, prefix="203.0.113.70/32")
    second = await empty.serve("withdraw_prefix", **service, prefix="203.0.113.70/32")

    assert routed["framed_routes"] == again["framed_routes"] == [HOST_ROUTE]
    assert first == second == given
    assert (await empty.usage("hosts"))["quarantined"] == 1
    with pytest.raises(UnitNotHeld, match=r"203\.0\.113\.71/32 .*and never was"):
        await empty.serve("withdraw_prefix", **service, prefix="203.0.113.71/32")
    assert await empty.violations() == []


async def test_files_looks_and_radius_agree_about_a_single_address_that_is_routed(empty: Network) -> None:
    await empty.apply(with_single_addresses())
    given = await empty.allocate(1, "LOC-1", "business")
    await empty.serve("route_prefix", service_id=given["service_id"], pool="hosts", prefix="203.0.113.70/32")
    rows = [
        (given["username"], "Framed-IP-Address", given["ip_address"]),
        (given["username"], "Framed-Route", HOST_ROUTE),
    ]

    async with empty.database.read() as db:
        assert await empty.inventory(db).reconciliation().compare({given["username"]: rows}) == []
    async with empty.database.read() as db:
        lookup = AddressLookup(db, tenant_id=empty.tenant_id, now=empty.clock)
        looked = [await lookup.find(asked) for asked in ("203.0.113.70", "203.0.113.70/32")]
    told = [await empty.keep("history_of_address", address=asked) for asked in ("203.0.113.70", "203.0.113.70/32")]
    assert [(each["pool"], each["value"], each["state"]) for each in looked] == [
        ("hosts", "203.0.113.70", "assigned")
    ] * 2
    assert [[each["what"] for each in events] for events in told] == [["assigned"], ["assigned"]]
    file = await empty.export()
    assert ",203.0.113.70,assigned," in file
    await empty.release(given["service_id"])
    another = file.replace(given["username"], "again@isp")
    await empty.bring_in(another)
    assert await empty.export() == another
    back = await empty.serve("resources", service_id=given["service_id"] + 1)
    assert back["framed_routes"] == [HOST_ROUTE]
    assert await empty.violations() == []


async def test_rows_of_radius_with_a_single_address_that_is_routed_are_taken_over(empty: Network) -> None:
    await empty.apply(with_single_addresses())
    replies = [
        "x@isp,Framed-IP-Address,:=,203.0.113.2,1,LOC-1,business",
        f"x@isp,Framed-Route,+=,{HOST_ROUTE},1,LOC-1,business",
    ]

    await empty.bring_in(
        "\n".join(["username,attribute,op,value,customer_id,location,plan", *replies]), source="radreply"
    )

    assert (await empty.serve("resources", service_id=1))["framed_routes"] == [HOST_ROUTE]
    assert await empty.violations() == []
