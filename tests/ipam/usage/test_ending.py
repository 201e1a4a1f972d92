"""A pool that was told as full and leaves the network: who was told hears that it is over, in the same transaction."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ipam import NetworkEstate, NetworkUpkeep, PoolCrossing, PoolNotEmpty, sample_pools
from tests.ipam.conftest import Network, one_pool, small
from tests.ipam.usage.test_sampling import look, samples
from tests.support.postgres import until_it_waits_for_us

NETWORK = "192.0.2.0/29"
GONE = {"level": "ok", "previous_level": "exhausted", "size": 0, "free": 0, "chain_size": 0, "used_percent": 0.0}


async def retire(network: Network) -> list[PoolCrossing]:
    """What is told meanwhile."""
    told: list[PoolCrossing] = []
    async with network.database.begin() as db:
        known: dict[str, Any] = {"tenant_id": network.tenant_id, "now": network.clock}
        await NetworkUpkeep(db, **known, tell=_into(told)).retire(pool="cgnat", note="sold")
    return told


async def described(network: Network, description: dict[str, Any]) -> list[PoolCrossing]:
    told: list[PoolCrossing] = []
    async with network.database.begin() as db:
        known: dict[str, Any] = {"tenant_id": network.tenant_id, "now": network.clock}
        await NetworkEstate(db, **known, tell=_into(told)).apply(description)
    return told


def _into(told: list[PoolCrossing]) -> Any:
    async def tell(crossing: PoolCrossing) -> None:
        told.append(crossing)

    return tell


async def fill(network: Network) -> int:
    """Told as full, and empty again; the pool's number."""
    given = [await network.allocate(customer) for customer in range(1, 7)]
    assert await look(network) == [("cgnat", "ok", "exhausted", 0)]
    for each in given:
        await network.release(each["service_id"])
    network.clock.forward(minutes=1)
    return (await network.usage("cgnat"))["pool_id"]


async def test_a_full_pool_that_is_emptied_and_retired_is_told_as_recovered(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK, quarantine_seconds=0, sticky_seconds=0))
    pool_id = await fill(empty)
    await empty.keep("drain", pool="cgnat", note="sold")

    [told] = await retire(empty)

    assert {name: told[name] for name in GONE} == GONE  # type: ignore[literal-required]
    assert (told["pool_id"], told["pool"], told["kind"], told["network"]) == (pool_id, "cgnat", "ipv4", NETWORK)
    assert (told["chain"], told["at"]) == (["cgnat"], empty.clock())
    empty.clock.forward(hours=12)
    assert await look(empty) == []
    assert await empty.violations() == []


async def test_a_pool_that_nobody_ever_used_is_told_as_recovered_too(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK))
    await empty.keep("drain", pool="cgnat", note="sold")
    assert await look(empty) == [("cgnat", "ok", "exhausted", 0)]

    [told] = await retire(empty)

    assert {name: told[name] for name in GONE} == GONE  # type: ignore[literal-required]
    assert await samples(empty) == 1  # of the C-VLANs


async def test_nothing_is_told_of_a_pool_that_was_well_or_is_not_retired(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK, quarantine_seconds=600))
    given = await empty.allocate(1)
    await look(empty)
    with pytest.raises(PoolNotEmpty):
        await retire(empty)
    await empty.release(given["service_id"])
    empty.clock.forward(hours=1)
    assert await look(empty) == []
    assert await retire(empty) == []


@pytest.mark.parametrize(
    "pool", [{"network": "198.51.100.0/29"}, {"network": NETWORK, "framed_pool": "bng-own"}], ids=["another", "bng"]
)
async def test_a_pool_that_is_replaced_or_handed_to_the_bng_is_told_as_recovered(
    empty: Network, pool: dict[str, Any]
) -> None:
    await empty.apply(one_pool(NETWORK))
    pool_id = (await empty.usage("cgnat"))["pool_id"]
    await empty.keep("drain", pool="cgnat", note="not ours")
    await look(empty)
    await empty.keep("undrain", pool="cgnat")

    [told] = await described(empty, {"pool": one_pool(**pool)["pool"]})

    assert {name: told[name] for name in GONE} == GONE  # type: ignore[literal-required]
    assert (told["pool_id"], told["network"]) == (pool_id, NETWORK)
    empty.clock.forward(minutes=5)
    assert await look(empty) == []


async def test_c_vlans_that_are_taken_out_of_their_s_vlan_are_told_as_recovered(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK))
    await empty.keep("drain", pool="metro/210", note="shared from now on")
    assert [each[0] for each in await look(empty)] == ["metro/210"]
    await empty.keep("undrain", pool="metro/210")
    shared = [{"group": "metro", "vid": 210, "bindings": [{"access_node": "OLT-2"}]}]

    [told] = await described(empty, {"svlan": [small()["svlan"][0], *shared]})

    assert (told["pool"], told["kind"], told["network"], told["level"]) == ("metro/210", "cvlan", "metro/210", "ok")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_who_retires_a_pool_waits_for_who_looks_at_it(empty: Network) -> None:
    await empty.apply(one_pool(NETWORK))
    await empty.keep("drain", pool="cgnat", note="sold")
    async with empty.database.begin() as db:
        [seen] = await sample_pools(db, tenant_id=empty.tenant_id, at=empty.clock())
        retiring = asyncio.create_task(retire(empty))
        await until_it_waits_for_us(db, retiring)
    [told] = await retiring

    assert (seen["level"], told["previous_level"]) == ("exhausted", "exhausted")
