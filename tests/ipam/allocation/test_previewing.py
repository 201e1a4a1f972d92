"""What a customer would get: told without a trace."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from ipam import IpamError, LocationUnknown, PoolBusy, PoolExhausted, StaticResources, UnitTaken
from ipam.allocation import previewing
from ipam.allocation.patience import OthersWereQuicker
from ipam.allocator import choose
from ipam.tables import AllocationEvent, IpamBase
from tests.ipam.conftest import Network, one_pool, small

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def preview(network: Network, customer: int, location: str, plan: str = "fiber-100", **named: Any) -> list[Any]:
    static = StaticResources(**named) if named else None
    async with network.database.read() as db:
        told = await network.service(db).preview(
            customer_id=customer, service_location=location, bandwidth_plan=plan, static=static
        )
    return [(each["kind"], each["pool"], each["how"], each["value"]) for each in told]


async def drawn_from(network: Network, customer: int) -> list[int | None]:
    async with network.database.read() as db:
        asked: dict[str, Any] = {"customer_id": customer, "service_location": "LOC-1", "bandwidth_plan": "fiber-100"}
        return [each["drawn_from"] for each in await network.service(db).preview(**asked) if each["kind"] == "ipv4"]


async def rows(network: Network) -> dict[str, int]:
    async with network.database.begin() as db:
        return {
            table.name: await db.scalar(select(func.count()).select_from(table)) or 0
            for table in IpamBase.metadata.sorted_tables
        }


async def test_a_preview_names_each_pool_and_what_is_certain_and_writes_nothing(network: Network) -> None:
    before = await network.allocate(1, "LOC-1")
    await network.release(before["service_id"])
    at_first = await rows(network)

    assert await preview(network, 1, "DROP-7781") == [
        ("ipv4", "cgnat", "former", before["ip_address"]),
        ("ipv6_wan", "wan6", "former", before["ipv6_wan_prefix"]),
        ("ipv6_pd", "pd", "former", before["delegated_prefix"]),
        ("svlan", "metro/110", "shared", "110"),
    ]
    told = await preview(network, 2, "LOC-2", cvlan=77)
    assert [each[:3] for each in told] == [
        ("ipv4", "cgnat", "fresh"),
        ("ipv6_wan", "wan6", "fresh"),
        ("ipv6_pd", "pd", "fresh"),
        ("cvlan", "metro/210", "named"),
    ]
    assert told[3][3] == "77"
    assert (await preview(network, 2, "LOC-1", "dynamic"))[0] == ("framed_pool", "at-the-bng", "by the BNG", "POOL-A")
    assert await rows(network) == at_first
    assert (await network.allocate(1, "LOC-1"))["ip_address"] == before["ip_address"]


@pytest.mark.both_databases
async def test_a_preview_names_the_fresh_unit_that_is_next_or_of_how_many_one_is_drawn(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    told = (await preview(empty, 1, "LOC-1"))[0][3]
    given = (await empty.allocate(1))["ip_address"]
    drawn = empty.database.is_postgresql  # of as many ranges as the pool has
    assert told == (None if drawn else given)
    assert await drawn_from(empty, 2) == [13 if drawn else None]

    for customer in range(2, 14):
        await empty.allocate(customer)
    assert await drawn_from(empty, 14) == [None]
    [last] = [each[3] for each in await preview(empty, 14, "LOC-1") if each[0] == "ipv4"]
    assert last == (await empty.allocate(14))["ip_address"]  # the only one, on either database


@on_postgresql
async def test_a_pool_that_is_full_at_one_look_and_not_at_the_next_is_looked_at_anew(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(one_pool("192.0.2.0/30", quarantine_seconds=0))
    held = [await empty.allocate(customer) for customer in (1, 2)]

    async def choose_later(*asked: Any) -> Any:
        if held:
            await empty.release(held.pop()["service_id"])
        return await choose(*asked)

    monkeypatch.setattr(previewing, "choose", choose_later)
    async with empty.database.begin() as db:
        told = await empty.service(db).preview(customer_id=3, service_location="LOC-1", bandwidth_plan="fiber-100")

    assert [(each["pool"], each["how"]) for each in told] == [("cgnat", "reused"), ("metro/110", "shared")]


async def test_a_preview_of_what_others_change_at_each_look_says_so_and_that_it_may_be_tried_again(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(one_pool())

    async def choose_in_vain(*_asked: Any) -> Any:
        raise OthersWereQuicker(["cgnat"])

    monkeypatch.setattr(previewing, "choose", choose_in_vain)
    with pytest.raises(PoolBusy) as busy:
        await preview(empty, 1, "LOC-1")

    assert str(busy.value) == (
        "Pool cgnat is not full, but others changed its last free rows at each look; nothing was allocated. Try again."
    )


async def test_a_preview_refuses_what_the_allocation_would(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", quarantine_seconds=60))
    first = await empty.allocate(1, ip_address="192.0.2.1")
    with pytest.raises(UnitTaken):
        await preview(empty, 2, "LOC-1", ip_address="192.0.2.1")
    await empty.allocate(2)
    with pytest.raises(PoolExhausted):
        await preview(empty, 3, "LOC-1")
    with pytest.raises(LocationUnknown):
        await preview(empty, 3, "LOC-77")
    await empty.release(first["service_id"])
    empty.clock.forward(seconds=60)

    assert (await preview(empty, 3, "LOC-1"))[0] == ("ipv4", "cgnat", "reused", "192.0.2.1")
    async with empty.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(AllocationEvent)) == 3


@pytest.mark.parametrize(
    ("asked", "faults"),
    [
        ({"ip_address": "100.64.0.1", "cvlan": 8}, ["ip_address", "cvlan"]),
        (
            {"ip_address": "100.64.0.2", "delegated_prefix": "2001:db8:2000::/56", "cvlan": 9},
            ["ip_address", "delegated_prefix"],
        ),
        ({"ip_address": "100.64.0.2", "cvlan": 77}, []),
        ({}, []),
        ({"cvlan": 150}, []),
        ({"ip_address": "100.64.0.9", "cvlan": 77}, []),
        ({"ip_address": "192.0.2.9", "cvlan": 8}, []),
    ],
)
async def test_a_preview_refuses_numbers_and_what_is_computed_in_the_words_of_the_allocation(
    empty: Network, asked: dict[str, Any], faults: list[str]
) -> None:
    described = small()
    described["svlan"][1]["cvlan_formula"] = "port + 8*onu"
    described["location"][1]["onu"] = 1
    await empty.apply(described)
    first = await empty.allocate(1, "LOC-2", ip_address="100.64.0.2", delegated_prefix="2001:db8:2000::/56")
    assert first["cvlan"] == 8
    await empty.keep("reserve", pool="cgnat", value="100.64.0.9", note="for the museum")

    with pytest.raises(IpamError) as previewed:
        await preview(empty, 2, "LOC-2", **asked)
    with pytest.raises(IpamError) as refused:
        await empty.allocate(2, "LOC-2", **asked)

    assert (type(previewed.value), str(previewed.value)) == (type(refused.value), str(refused.value))
    assert [fault.where for fault in getattr(previewed.value, "faults", ())] == faults
    assert str(vars(previewed.value)) == str(vars(refused.value))
