"""A whole prefix goes, once nobody has anything of it; who had what of it is still found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ipam import EstateRefused, NameUnknown, NoPoolBound, PoolNotEmpty, RequestInvalid
from ipam.tables import NatRule, Pool, Prefix
from tests.ipam.conftest import STARTED_AT, Network, one_pool

NETWORK = "192.0.2.0/28"


async def names(network: Network) -> list[str]:
    async with network.database.begin() as db:
        return [used["pool"] for used in await network.service(db).utilisation() if used["kind"] == "ipv4"]


async def test_a_pool_goes_when_it_is_empty_and_its_space_may_be_used_by_another(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK, quarantine_seconds=600))
    given = await empty.allocate(1, ip_address="192.0.2.5")
    await empty.keep("reserve", pool="cgnat", value="192.0.2.14", note="for the museum")

    with pytest.raises(PoolNotEmpty) as refused:
        await empty.keep("retire", pool="cgnat", note="sold")
    assert refused.value.in_use == 2
    assert refused.value.left == (
        f"{given['ip_address']} (service 1 of customer 1, {given['username']}, at LOC-1)",
        "192.0.2.14 (for the museum)",
    )
    assert (await empty.usage("cgnat"))["draining"] == 0
    await empty.keep("drain", pool="cgnat", note="sold")
    await empty.keep("unreserve", pool="cgnat", value="192.0.2.14", note="it moved")
    empty.clock.forward(minutes=2)
    await empty.release(given["service_id"])
    with pytest.raises(PoolNotEmpty, match=r"in quarantine until 2030-01-01 12:12:00 UTC"):
        await empty.keep("retire", pool="cgnat", note="sold")
    empty.clock.forward(hours=1)
    await empty.keep("retire", pool="cgnat", note="sold")

    assert await names(empty) == []
    assert await empty.violations() == []
    with pytest.raises(NameUnknown):
        await empty.keep("retire", pool="cgnat", note="sold")
    with pytest.raises(EstateRefused, match="it was retired"):
        await empty.apply(one_pool(NETWORK))
    again: dict[str, Any] = {"name": "next", "kind": "ipv4", "network": NETWORK, "bindings": [{"bng": "bng-1"}]}
    assert await empty.apply({"pool": [again]}) == ["pool next created"]
    empty.clock.forward(minutes=1)
    new = await empty.allocate(2, ip_address=given["ip_address"])
    async with empty.database.begin() as db:
        service = empty.service(db)
        then = await service.service_at(address=given["ip_address"], at=STARTED_AT + timedelta(minutes=1))
        now = await service.service_at(address=given["ip_address"])
    assert then is not None
    assert (then["pool"], then["service_id"]) == ("cgnat", given["service_id"])
    assert now is not None
    assert (now["pool"], now["service_id"]) == ("next", new["service_id"])
    assert await empty.violations() == []


async def test_a_pool_that_was_never_used_goes_without_a_trace(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK))
    await empty.keep("retire", pool="cgnat", note="not needed")

    async with empty.database.begin() as db:
        assert list(await db.scalars(select(Pool.name).where(Pool.kind == "ipv4"))) == []
        assert list(await db.scalars(select(Prefix.network))) == []
    assert await empty.apply(one_pool(NETWORK)) == ["pool cgnat created"]
    assert await empty.violations() == []


async def test_a_container_of_the_same_prefix_is_the_one_that_stays(empty: Network) -> None:
    container = {"prefix": [{"network": NETWORK, "role": "container"}]}
    await empty.apply(one_pool(NETWORK, quarantine_seconds=0))
    await empty.apply(container)
    await empty.release((await empty.allocate(1))["service_id"])
    empty.clock.forward(minutes=1)
    await empty.keep("retire", pool="cgnat", note="sold")

    assert await empty.apply(container) == []
    async with empty.database.begin() as db:
        assert list(await db.execute(select(Prefix.network, Prefix.role))) == [(NETWORK, "container")]
    again: dict[str, Any] = {"name": "next", "kind": "ipv4", "network": NETWORK, "quarantine_seconds": 0}
    await empty.apply({"pool": [{**again, "bindings": [{"bng": "bng-1"}]}]})
    await empty.release((await empty.allocate(2))["service_id"])
    empty.clock.forward(minutes=1)
    await empty.keep("retire", pool="next", note="sold")
    assert await names(empty) == []
    assert await empty.apply(container) == []
    async with empty.database.begin() as db:
        assert list(await db.execute(select(Prefix.network, Prefix.role))) == [(NETWORK, "container")]
    assert await empty.violations() == []


async def test_pools_retired_on_one_prefix_one_after_the_other_are_each_found_at_their_time(empty: Network) -> None:
    await empty.apply(one_pool("198.51.100.0/30"))  # with a premise behind bng-1
    await empty.keep("retire", pool="cgnat", note="not needed")
    given: list[int] = []
    for name in ("first", "second", "third"):
        described: dict[str, Any] = {"name": name, "kind": "ipv4", "network": NETWORK, "quarantine_seconds": 0}
        await empty.apply({"pool": [{**described, "bindings": [{"bng": "bng-1"}]}]})
        given.append((await empty.allocate(len(given) + 1, ip_address="192.0.2.2"))["service_id"])
        empty.clock.forward(minutes=10)
        await empty.release(given[-1])
        empty.clock.forward(minutes=1)
        await empty.keep("retire", pool=name, note="renumbered")

    assert await names(empty) == []
    async with empty.database.begin() as db:
        found = [
            await empty.service(db).service_at(address="192.0.2.2", at=STARTED_AT + timedelta(minutes=minutes))
            for minutes in (5, 16, 27, 32)
        ]
        ever = await empty.upkeep(db).history_of_address(address="192.0.2.2")
    told = [each and (each["pool"], each["service_id"]) for each in found]
    assert told == [*zip(("first", "second", "third"), given, strict=True), None]
    assert [each["pool"] for each in ever] == ["first", "first", "second", "second", "third", "third"]
    assert await empty.violations() == []


async def test_who_had_an_address_then_is_found_also_when_its_pools_successor_has_shrunk(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK, quarantine_seconds=0))
    given = await empty.allocate(1, ip_address="192.0.2.2")
    empty.clock.forward(minutes=10)
    await empty.release(given["service_id"])
    empty.clock.forward(minutes=1)
    await empty.keep("retire", pool="cgnat", note="sold")
    empty.clock.forward(minutes=1)
    again: dict[str, Any] = {"name": "next", "kind": "ipv4", "network": NETWORK, "quarantine_seconds": 0}
    await empty.apply({"pool": [{**again, "bindings": [{"bng": "bng-1"}]}]})
    new = await empty.allocate(2, ip_address=given["ip_address"])
    empty.clock.forward(minutes=1)
    for network in ("192.0.2.0/29", "192.0.2.0/30"):
        await empty.keep("shrink", pool="next", network=network, note="sold in part")
        empty.clock.forward(minutes=1)

    async with empty.database.begin() as db:
        found = [
            await empty.service(db).service_at(address=given["ip_address"], at=STARTED_AT + timedelta(minutes=minutes))
            for minutes in (5, 11, 12, 13, 15)
        ]
    assert [each and (each["pool"], each["service_id"]) for each in found] == [
        ("cgnat", given["service_id"]),
        None,
        *[("next", new["service_id"])] * 3,
    ]


async def test_a_pool_goes_whose_network_was_the_outside_of_a_rule_that_has_ended(empty: Network) -> None:
    outside = "198.51.100.0/30"
    await empty.apply(one_pool(NETWORK, quarantine_seconds=0, role="cgnat"))
    await empty.ports("define_rule", pool="cgnat", outside=outside, ports_per_subscriber=1000)
    empty.clock.forward(minutes=1)
    await empty.ports("end_rule", pool="cgnat")
    public: dict[str, Any] = {"name": "public", "kind": "ipv4", "network": outside, "quarantine_seconds": 0}
    await empty.apply({"pool": [{**public, "bindings": [{"bng": "bng-1"}]}]})
    await empty.keep("drain", pool="cgnat", note="so that the other one serves")
    empty.clock.forward(minutes=1)
    await empty.release((await empty.allocate(1))["service_id"])
    empty.clock.forward(minutes=1)
    await empty.keep("retire", pool="public", note="sold")

    assert await names(empty) == ["cgnat"]
    async with empty.database.begin() as db:
        rules = select(Prefix.network, Prefix.role).join(NatRule, NatRule.prefix_id == Prefix.id)
        assert list(await db.execute(rules)) == [(outside, "container")]
    assert await empty.violations() == []


async def test_nobody_is_given_anything_of_what_is_gone_and_a_vlan_pool_does_not_go(network: Network) -> None:
    await network.keep("retire", pool="cgnat", note="sold")

    with pytest.raises(NoPoolBound, match="an IPv4 pool"):
        await network.allocate(1)
    with pytest.raises(RequestInvalid, match="stands on no prefix"):
        await network.keep("retire", pool="metro/210", note="sold")
