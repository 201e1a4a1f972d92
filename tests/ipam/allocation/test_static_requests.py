"""A given address, prefix or C-VLAN: had exactly, or refused with what is in the way."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ipam import (
    IpamError,
    LocationUnknown,
    PoolExhausted,
    RequestConflict,
    RequestInvalid,
    StaticResources,
    UnitCooling,
    UnitDraining,
    UnitElsewhere,
    UnitExcluded,
    UnitLost,
    UnitReserved,
    UnitTaken,
)
from tests.ipam.conftest import Network, corrupt, one_pool, small
from tests.ipam.upkeep.test_rehoming_many import two_bngs


async def test_what_is_named_is_had_exactly_and_the_rest_is_the_pools_choice(network: Network) -> None:
    given = await network.allocate(
        1, "LOC-2", ip_address="100.64.0.9", delegated_prefix="2001:db8:2000:0700::/56", cvlan=2001
    )

    assert (given["ip_address"], given["delegated_prefix"]) == ("100.64.0.9", "2001:db8:2000:700::/56")
    assert (given["cvlan"], given["svlan"]) == (2001, 210)
    assert str(given["ipv6_wan_prefix"]).endswith("::/64")
    assert await network.violations() == []
    others = {(await network.allocate(customer, "LOC-1"))["ip_address"] for customer in range(2, 14)}
    assert len(others) == 12
    assert "100.64.0.9" not in others
    with pytest.raises(PoolExhausted):
        await network.allocate(99, "LOC-1")


@pytest.mark.parametrize("first", ["192.0.2.1", "192.0.2.7", "192.0.2.14"])
async def test_every_place_in_a_free_range_may_be_carved_out(empty: Network, first: str) -> None:
    await empty.apply(one_pool("192.0.2.0/28", exclude=["192.0.2.3"]))

    given = [(await empty.allocate(1, ip_address=first))["ip_address"]]
    given += [(await empty.allocate(customer))["ip_address"] for customer in range(2, 14)]

    assert given[0] == first
    assert len(set(given)) == 13
    assert await empty.violations() == []


async def test_a_pool_of_another_priority_or_plan_may_be_named_if_it_serves_the_premise(empty: Network) -> None:
    def pool(name: str, network: str, **binding: Any) -> dict[str, Any]:
        return {"name": name, "kind": "ipv4", "network": network, "bindings": [binding]}

    described = small(plan=[{"name": "fiber-100", "access": "pppoe"}, {"name": "gold", "access": "pppoe"}])
    described["pool"] = [
        pool("of the node", "10.0.1.0/29", access_node="OLT-1"),
        pool("of the bng", "10.0.2.0/29", bng="bng-1"),
        pool("of gold", "10.0.3.0/29", bng="bng-1", plan="gold"),
    ]
    await empty.apply(described)

    assert (await empty.allocate(1, ip_address="10.0.2.5"))["ip_address"] == "10.0.2.5"
    with pytest.raises(UnitElsewhere, match="those that do: of the node, of the bng"):
        await empty.allocate(2, ip_address="10.0.3.5")


@pytest.mark.parametrize("verb", ["preview", "allocate_resources"])
async def test_a_number_that_no_pool_has_is_told_with_all_else_that_is_wrong(network: Network, verb: str) -> None:
    asked: dict[str, Any] = {"customer_id": 1, "service_location": "LOC-1", "bandwidth_plan": "fiber-100"}
    nowhere = {"ip_address": "8.8.8.8", "ipv6_wan_prefix": "2001:db8:ffff::/64", "delegated_prefix": "2001:db8::/56"}
    prefixes = ["ipv6_wan_prefix", "delegated_prefix"]
    wrong: list[tuple[dict[str, str], dict[str, Any], list[str]]] = [
        ({}, {**nowhere, "cvlan": 1}, ["cvlan", *nowhere]),
        ({"service_location": "LOC-77"}, nowhere, ["service_location", *nowhere]),
        ({"service_location": "LOC-77"}, {**nowhere, "ip_address": "100.64.0.4"}, ["service_location", *prefixes]),
        ({"bandwidth_plan": "tin"}, {"ip_address": "8.8.8.8", "cvlan": 7}, ["bandwidth_plan", "ip_address"]),
    ]

    for changed, numbers, wheres in wrong:
        with pytest.raises(RequestInvalid) as refused:
            await network.serve(verb, **{**asked, **changed}, static=StaticResources(**numbers))
        assert [fault.where for fault in refused.value.faults] == wheres
    assert "ip_address: 8.8.8.8 is nothing that a pool here hands out" in str(refused.value)
    with pytest.raises(LocationUnknown):
        static = StaticResources(ip_address="100.64.0.4")
        await network.serve(verb, **asked | {"service_location": "LOC-77"}, static=static)
    with pytest.raises(UnitElsewhere, match="those that do: cgnat"):
        await network.serve(verb, **asked, static=StaticResources(ip_address="8.8.8.8"))


async def test_what_is_in_the_way_is_told_and_nothing_is_taken(network: Network) -> None:
    first = await network.allocate(1, ip_address="100.64.0.4")
    cooling = await network.allocate(2, ip_address="100.64.0.5")
    await network.release(cooling["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="for the new radio link")
    refused: list[tuple[type[IpamError], str, dict[str, Any]]] = [
        (UnitTaken, f"100.64.0.4 of pool cgnat is held by service {first['service_id']}", {"ip_address": "100.64.0.4"}),
        (UnitCooling, "in quarantine until 2030-01-01 13:00:00 UTC", {"ip_address": "100.64.0.5"}),
        (UnitReserved, r"reserved \(for the new radio link\)", {"ip_address": "100.64.0.6"}),
        (UnitExcluded, "never handed out: gateway", {"ip_address": "100.64.0.1"}),
        (UnitExcluded, "never handed out: network address", {"ip_address": "100.64.0.0"}),
        (UnitElsewhere, "no pool that serves it hands that out", {"ip_address": "8.8.8.8"}),
        (UnitElsewhere, "no pool that serves it hands that out", {"delegated_prefix": "2001:db8:2000::/57"}),
        (UnitElsewhere, "takes nothing of a C-VLAN pool there", {"cvlan": 300}),
    ]

    for kind, words, static in refused:
        with pytest.raises(kind, match=words):
            await network.allocate(9, **static)

    with pytest.raises(RequestInvalid) as several:
        await network.allocate(9, ip_address="8.8.8.8", delegated_prefix="2001:db8:ffff::/56")
    assert [fault.where for fault in several.value.faults] == ["ip_address", "delegated_prefix"]
    assert (await network.usage("cgnat"))["assigned"] == 1
    assert (await network.usage("pd"))["assigned"] == 1
    assert await network.violations() == []


@pytest.mark.parametrize("verb", ["preview", "allocate_resources"])
async def test_what_neither_anybody_has_nor_is_free_is_refused_at_once_with_where_to_look(
    empty: Network, verb: str
) -> None:
    await empty.apply(one_pool())
    await corrupt(empty, "DELETE FROM ipam_free_range")

    with pytest.raises(UnitLost, match=r"^192\.0\.2\.5 of pool cgnat is nobody's and yet not free") as refused:
        await empty.serve(
            verb,
            customer_id=1,
            service_location="LOC-1",
            bandwidth_plan="fiber-100",
            static=StaticResources(ip_address="192.0.2.5"),
        )

    assert "`firstlight check` (ipam.partition)" in str(refused.value)
    with pytest.raises(UnitLost):
        await empty.keep("reserve", pool="cgnat", value="192.0.2.5", note="for the museum")


async def test_all_numbers_that_somebody_else_has_are_named_at_once(network: Network) -> None:
    first = await network.allocate(
        1,
        "LOC-1",
        ip_address="100.64.0.4",
        ipv6_wan_prefix="2001:db8:1000:5::/64",
        delegated_prefix="2001:db8:2000:700::/56",
    )
    await network.keep("reserve", pool="wan6", value="2001:db8:1000:4::/64", note="for the new radio link")

    with pytest.raises(RequestInvalid) as refused:
        await network.allocate(
            2,
            "LOC-1",
            ip_address="100.64.0.4",
            ipv6_wan_prefix="2001:db8:1000:4::/64",
            delegated_prefix="2001:db8:2000:700::/56",
        )

    held = f"is held by service {first['service_id']}"
    for fault, (field, says) in zip(
        refused.value.faults,
        (("ip_address", held), ("ipv6_wan_prefix", "for the new radio link"), ("delegated_prefix", held)),
        strict=True,
    ):
        assert (fault.where, says in fault.what) == (field, True)
    assert await network.violations() == []


async def test_everything_that_can_not_be_meant_is_named_at_once(network: Network) -> None:
    with pytest.raises(RequestInvalid) as refused:
        await network.allocate(
            1, ip_address="2001:db8::1", ipv6_wan_prefix="2001:db8::1/64", delegated_prefix="10.0.0.0/8", cvlan=4095
        )

    for fault in (
        "ip_address: '2001:db8::1' is not an IPv4 address",
        "ipv6_wan_prefix: '2001:db8::1/64' has host bits set",
        "delegated_prefix: '10.0.0.0/8' is not an IPv6 prefix",
        "cvlan: 4095 is no VLAN number 2..4094",
    ):
        assert fault in str(refused.value)


async def test_a_former_owner_may_have_it_back_and_others_once_it_has_rested(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    first = await empty.allocate(1, ip_address="192.0.2.9")
    await empty.release(first["service_id"])

    back = await empty.allocate(1, ip_address="192.0.2.9")
    await empty.release(back["service_id"])
    empty.clock.forward(seconds=600)
    other = await empty.allocate(2, ip_address="192.0.2.9")

    assert {first["ip_address"], back["ip_address"], other["ip_address"]} == {"192.0.2.9"}
    assert await empty.violations() == []


async def test_the_same_request_with_another_number_is_a_conflict(network: Network) -> None:
    given = await network.allocate(1, request_id="t-1", ip_address="100.64.0.9")

    assert await network.allocate(1, request_id="t-1", ip_address=" 100.64.0.9".strip()) == given
    for other in ({"ip_address": "100.64.0.8"}, {}):
        with pytest.raises(RequestConflict) as conflict:
            await network.allocate(1, request_id="t-1", **other)
        assert conflict.value.recorded == 'customer 1 at LOC-1 on fiber-100 with {"ip_address": "100.64.0.9"}'
    await network.release(given["service_id"])
    assert await network.allocate(1, request_id="t-1", ip_address="100.64.0.9") == given
    assert await network.violations() == []


async def test_many_who_name_numbers_at_once_and_many_who_do_not_share_one_pool(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/27"))

    async def one(customer: int) -> str | None:
        named = {"ip_address": f"192.0.2.{customer // 2 * 2 + 1}"} if customer % 3 else {}
        try:
            return (await empty.allocate(customer, **named))["ip_address"]
        except UnitTaken:
            return None

    given = [address for address in await asyncio.gather(*(one(customer) for customer in range(1, 25))) if address]

    assert len(given) == len(set(given)) >= 12
    assert await empty.violations() == []
    with pytest.raises(RequestInvalid):
        StaticResources(cvlan=1).checked()


RESERVED: dict[str, tuple[str, str]] = {
    "ip_address": ("cgnat", "100.64.0.6"),
    "ipv6_wan_prefix": ("wan6", "2001:db8:1000:5::/64"),
    "delegated_prefix": ("pd", "2001:db8:2000:700::/56"),
    "cvlan": ("metro/210", "300"),
}
"""By the name under which it can be asked for, a pool and what of it is reserved."""


async def reserved(network: Network) -> dict[str, Any]:
    """One of each kind, and how it is asked for."""
    for pool, value in RESERVED.values():
        await network.keep("reserve", pool=pool, value=value, note="for Mrs Smith")
    return {name: int(value) if name == "cvlan" else value for name, (_, value) in RESERVED.items()}


async def told_of(network: Network) -> list[list[tuple[str, int | None]]]:
    """What has become of each of them, and whose it was."""
    async with network.database.read() as db:
        histories = [await network.upkeep(db).history(pool=pool, value=value) for pool, value in RESERVED.values()]
    return [[(each["what"], each["service_id"]) for each in history] for history in histories]


async def test_what_is_reserved_is_given_to_who_says_so_and_the_history_tells_both(network: Network) -> None:
    static = await reserved(network)
    with pytest.raises(RequestInvalid) as refused:
        await network.allocate(1, "LOC-2", request_id="order-1", **static)
    assert [fault.where for fault in refused.value.faults] == list(static)
    assert all("ask for it with take_reserved (`--take-reserved`)" in fault.what for fault in refused.value.faults)
    assert await told_of(network) == 4 * [[("reserved", None)]]

    given = await network.allocate(1, "LOC-2", request_id="order-1", **static, take_reserved=True)
    again = await network.allocate(1, "LOC-2", request_id="order-1", **static, take_reserved=True)
    without = await network.allocate(1, "LOC-2", request_id="order-1", **static)

    assert {name: dict(given)[name] for name in static} == static
    assert given == again == without
    service_id = given["service_id"]
    assert await told_of(network) == 4 * [[("reserved", None), ("unreserved", None), ("assigned", service_id)]]
    assert [(await network.usage(pool))["reserved"] for pool, _ in RESERVED.values()] == [0, 0, 0, 0]
    assert await network.violations() == []

    await network.release(service_id)
    assert [(await network.usage(pool))["quarantined"] for pool, _ in RESERVED.values()] == [1, 1, 1, 1]
    assert await network.violations() == []


async def test_a_service_is_moved_to_what_is_reserved_for_it(network: Network) -> None:
    static = await reserved(network)
    service_id = (await network.allocate(1, "LOC-1"))["service_id"]
    asked = {"service_id": service_id, "service_location": "LOC-2", "note": "moves house", "request_id": "move-1"}
    with pytest.raises(RequestInvalid, match="take_reserved"):
        await network.serve("move_service", **asked, static=StaticResources(**static))

    wanted = StaticResources(**static, take_reserved=True)
    moved = await network.serve("move_service", **asked, static=wanted)

    assert {name: moved[name] for name in static} == static
    assert await network.serve("move_service", **asked, static=wanted) == moved
    assert await told_of(network) == 4 * [[("reserved", None), ("unreserved", None), ("assigned", service_id)]]
    assert await network.violations() == []


async def test_a_reservation_stays_where_something_else_stands_in_the_way(network: Network) -> None:
    static = await reserved(network)
    await network.allocate(2, "LOC-2", cvlan=301)
    asked = {"customer_id": 1, "service_location": "LOC-2", "bandwidth_plan": "fiber-100"}
    taken = StaticResources(**{**static, "cvlan": 301}, take_reserved=True)

    for verb in ("allocate_resources", "preview"):
        with pytest.raises(UnitTaken, match="301 of pool metro/210 is held by service 1"):
            await network.serve(verb, **asked, static=taken)
    await network.keep("drain", pool="cgnat", span="100.64.0.6", note="goes")
    for verb in ("allocate_resources", "preview"):
        with pytest.raises(UnitDraining, match="of pool cgnat is in a part that is being drained"):
            await network.serve(verb, **asked, static=StaticResources(**static, take_reserved=True))

    assert await told_of(network) == 4 * [[("reserved", None)]]
    assert await network.violations() == []


async def test_a_preview_takes_what_is_reserved_and_leaves_it_reserved(network: Network) -> None:
    static = await reserved(network)
    asked = {"customer_id": 1, "service_location": "LOC-2", "bandwidth_plan": "fiber-100"}
    with pytest.raises(RequestInvalid, match="take_reserved"):
        await network.serve("preview", **asked, static=StaticResources(**static))

    found = await network.serve("preview", **asked, static=StaticResources(**static, take_reserved=True))

    assert {(each["how"], each["value"]) for each in found} == {("named", value) for _, value in RESERVED.values()}
    assert await told_of(network) == 4 * [[("reserved", None)]]


async def test_who_takes_what_is_reserved_names_it(network: Network) -> None:
    with pytest.raises(RequestInvalid, match="take_reserved must come with what is reserved: ip_address"):
        await network.allocate(1, take_reserved=True)
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="for Mrs Smith")
    with pytest.raises(UnitReserved, match="Choose another one, or unreserve it"):
        await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="for the zoo")


async def test_what_is_computed_stays_reserved(empty: Network) -> None:
    """Nobody has asked for a computed C-VLAN."""
    await empty.apply(two_bngs())
    await empty.keep("reserve", pool="metro/211", value="101", note="for Mrs Smith")

    with pytest.raises(UnitReserved, match=r"It is the C-VLAN that follows from .*, or unreserve it"):
        await empty.allocate(1, "LOC-2-1", ip_address="100.64.0.9", take_reserved=True)
    given = await empty.allocate(1, "LOC-2-1", cvlan=101, take_reserved=True)

    assert (given["svlan"], given["cvlan"]) == (211, 101)
    assert await empty.violations() == []
