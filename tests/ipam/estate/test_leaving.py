"""A pool that the BNG hands out is changed or retired once nobody live has anything of it; what was had is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from ipam import EstateInUse, EstateRefused, NoPoolBound, PoolNotEmpty, PoolSpec, RequestInvalid
from ipam.holdings import find_service
from ipam.tables import FormerPrefix, Pool, Prefix, Service
from tests.ipam.conftest import Network, small
from tests.support.postgres import until_it_waits_for_us

LIVE = "serves live services, to which the BNG gives addresses of it"


def described(**changed: Any) -> dict[str, Any]:
    """The small network with its BNG's pool changed; None: left out."""
    estate = small()
    for pool in estate["pool"]:
        if pool["name"] == "at-the-bng":
            pool |= changed
            for name in [name for name, value in changed.items() if value is None]:
                del pool[name]
    return estate


async def had(network: Network, service_id: int) -> str | None:
    """As what the BNG knew the pool that the service has, or had last."""
    async with network.database.begin() as db:
        return (await find_service(db, network.tenant_id, service_id)).framed_pool


async def standing(network: Network) -> list[tuple[str, str, bool]]:
    """The BNG's pools by their names, their prefixes, and whether they were retired."""
    async with network.database.begin() as db:
        found = await db.execute(
            select(Pool.name, Prefix.network, Pool.retired_at)
            .join(Prefix, Prefix.id == Pool.prefix_id)
            .where(Pool.framed_pool.is_not(None))
            .order_by(Pool.id)
        )
        return [(name, prefix, retired_at is not None) for name, prefix, retired_at in found]


@pytest.mark.parametrize(
    ("changed", "network_then"),
    [
        ({"network": "100.73.0.0/16"}, "100.73.0.0/16"),
        ({"framed_pool": "POOL-B"}, "100.72.0.0/16"),
        ({"network": "100.72.0.0/15"}, "100.72.0.0/15"),
    ],
)
async def test_a_bngs_pool_whose_services_are_all_released_may_become_another_one(
    network: Network, changed: dict[str, str], network_then: str
) -> None:
    first = (await network.allocate(1, "LOC-1", "dynamic"))["service_id"]
    await network.release(first)

    assert await network.apply(described(**changed)) == ["pool at-the-bng changed"]

    assert await network.apply(described(**changed)) == []
    former, present = await standing(network)
    assert former[0].startswith("at-the-bng until 2030-01-01 12:00:00 UTC (number ")
    assert former[1:] == ("100.72.0.0/16", True)
    assert present == ("at-the-bng", network_then, False)
    assert await had(network, first) == "POOL-A"
    second = await network.allocate(2, "LOC-1", "dynamic")
    assert second["framed_pool"] == changed.get("framed_pool", "POOL-A")
    assert await network.violations() == []
    await network.release(second["service_id"])
    assert await network.apply(described()) == ["pool at-the-bng changed"]
    assert [is_retired for *_, is_retired in await standing(network)] == [True, True, False]
    assert await had(network, second["service_id"]) == changed.get("framed_pool", "POOL-A")
    assert await network.violations() == []


async def test_a_bngs_pool_may_be_handed_out_by_us_once_its_services_are_released(network: Network) -> None:
    service_id = (await network.allocate(1, "LOC-1", "dynamic"))["service_id"]
    await network.release(service_id)

    assert await network.apply(described(framed_pool=None)) == ["pool at-the-bng changed"]

    assert (await network.usage("at-the-bng"))["size"] == 65_534
    assert await had(network, service_id) == "POOL-A"
    with pytest.raises(NoPoolBound):
        await network.allocate(2, "LOC-1", "dynamic")
    assert await network.violations() == []


async def test_a_bngs_pool_that_was_never_given_to_anybody_leaves_no_trace(network: Network) -> None:
    assert await network.apply(described(network="100.73.0.0/16")) == ["pool at-the-bng changed"]
    assert await standing(network) == [("at-the-bng", "100.73.0.0/16", False)]
    await network.keep("retire", pool="at-the-bng", note="not needed")
    assert await standing(network) == []


async def test_a_bngs_pool_stays_what_it_is_while_live_services_have_addresses_of_it(network: Network) -> None:
    await network.allocate(1, "LOC-1", "dynamic")

    with pytest.raises(EstateRefused) as refused:
        await network.apply(described(network="100.73.0.0/16"))
    assert [str(fault) for fault in refused.value.faults] == [
        f"pool at-the-bng: another prefix, kind, unit length or handing-out, though it {LIVE}; define a new pool beside"
        " it and unbind this one"
    ]
    with pytest.raises(EstateInUse, match=LIVE):
        async with network.database.begin() as db:
            pool = PoolSpec(name="at-the-bng", kind="ipv4", network="100.73.0.0/16", framed_pool="POOL-A")
            await network.estate(db).define_pool(pool)
    assert await standing(network) == [("at-the-bng", "100.72.0.0/16", False)]


async def test_a_bngs_pool_is_retired_when_its_last_service_has_gone_and_its_space_is_free(network: Network) -> None:
    stays = await network.allocate(1, "LOC-1", "dynamic")
    goes = await network.allocate(2, "LOC-3", "dynamic")

    with pytest.raises(PoolNotEmpty) as refused:
        await network.keep("retire", pool="at-the-bng", note="sold")
    assert str(refused.value) == (
        "Pool at-the-bng can't be retired: to 2 live services the BNG gives addresses of it, as POOL-A:"
        f" service 1 of customer 1, {stays['username']}, at LOC-1, service 2 of customer 2, {goes['username']}, at"
        " LOC-3; nothing was changed. Unbind it in the estate, so that nobody else is given it, then move (to where"
        " they are, too) or release them."
    )
    other = {"name": "other", "kind": "ipv4", "network": "100.80.0.0/16", "framed_pool": "POOL-B"}
    estate = described(bindings=[])
    estate["pool"].append({**other, "bindings": [{"bng": "bng-1", "plan": "dynamic"}]})
    await network.apply(estate)
    moved = await network.serve("move_service", service_id=1, service_location="LOC-1", note="to the other pool")
    assert moved["framed_pool"] == "POOL-B"
    await network.release(2)
    await network.keep("retire", pool="at-the-bng", note="sold")

    assert await standing(network) == [("at-the-bng", "100.72.0.0/16", True), ("other", "100.80.0.0/16", False)]
    assert [await had(network, each) for each in (1, 2)] == ["POOL-B", "POOL-A"]
    async with network.database.begin() as db:
        assert list(await db.execute(select(FormerPrefix.network, FormerPrefix.note))) == [("100.72.0.0/16", "sold")]
    again = {"name": "next", "kind": "ipv4", "network": "100.72.0.0/24", "bindings": [{"bng": "bng-1"}]}
    assert await network.apply({"pool": [again]}) == ["pool next created"]
    with pytest.raises(EstateRefused, match="it was retired"):
        await network.apply(described())
    assert await network.violations() == []


async def test_what_is_only_for_pools_of_ours_stays_refused_and_a_retirement_needs_a_reason(network: Network) -> None:
    with pytest.raises(RequestInvalid, match="handed out by the BNG, which knows it as POOL-A"):
        await network.keep("drain", pool="at-the-bng", note="x")
    with pytest.raises(RequestInvalid) as refused:
        await network.keep("retire", pool="nowhere", note=" ")
    assert [fault.where for fault in refused.value.faults] == ["reason", "pool"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize("request_id", [None, "order-2"])
async def test_nobody_is_given_a_bngs_pool_that_is_just_going(network: Network, request_id: str | None) -> None:
    first = (await network.allocate(1, "LOC-1", "dynamic", request_id=request_id))["service_id"]
    await network.release(first)

    async with network.database.begin() as db:
        await network.upkeep(db).retire(pool="at-the-bng", note="sold")
        task = asyncio.create_task(network.allocate(1, "LOC-1", "dynamic", request_id=request_id))
        await until_it_waits_for_us(db, task)
    with pytest.raises(NoPoolBound):
        await task

    async with network.database.begin() as db:
        assert list(await db.scalars(select(Service.state))) == ["released"]
    assert await network.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_who_is_just_being_given_a_bngs_pool_keeps_it_from_going(network: Network) -> None:
    async with network.database.begin() as db:
        await network.service(db).allocate_resources(customer_id=1, service_location="LOC-1", bandwidth_plan="dynamic")
        task = asyncio.create_task(network.keep("retire", pool="at-the-bng", note="sold"))
        await until_it_waits_for_us(db, task)
    with pytest.raises(PoolNotEmpty, match="1 live service the BNG"):
        await task
