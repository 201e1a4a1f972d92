"""A pool keeps a gateway for as long as live IPoE services have addresses of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from ipam import EstateInUse, EstateRefused, GatewayMissing, NetworkEstateSpec
from ipam.tables import Prefix
from tests.ipam.conftest import Network, small
from tests.support.postgres import until_it_waits_for_us

GATEWAY = "203.0.113.1"


def described(gateway: str | None = GATEWAY, **more: Any) -> dict[str, Any]:
    """A pool bound for all plans, of which IPoE services are given addresses, too."""
    pool = {"name": "office", "kind": "ipv4", "network": "203.0.113.0/29", "bindings": [{"bng": "bng-1"}], **more}
    plans = [{"name": "fiber-100", "access": "pppoe"}, {"name": "business", "access": "ipoe"}]
    plans.append({"name": "leased", "access": "ipoe", "addressing": "dhcp"})
    estate = small(pool=[pool if gateway is None else {**pool, "gateway": gateway}], plan=plans)
    for place in estate["location"]:
        place["circuit_id"] = f"circuit of {place['id']}"
    return estate


async def gateways(network: Network) -> list[bytes | None]:
    async with network.database.begin() as db:
        return list(await db.scalars(select(Prefix.gateway)))


@pytest.mark.parametrize("plan", ["business", "leased"])
async def test_a_gateway_stays_while_live_services_need_it_and_goes_after_them(empty: Network, plan: str) -> None:
    await empty.apply(described())
    before = await gateways(empty)
    one = (await empty.allocate(1, "LOC-1", plan))["service_id"]
    two = (await empty.allocate(2, "LOC-3", plan))["service_id"]
    needed = (
        f"no gateway, while 2 live IPoE services have addresses of it; keep gateway {GATEWAY} or name another one, or"
        " release or move those services first"
    )

    wrong = {**described(None), "svlan": [{"group": "nowhere", "vid": 110}]}
    with pytest.raises(EstateRefused) as refused:
        await empty.apply(wrong)
    assert [str(fault) for fault in refused.value.faults] == [
        "svlan nowhere/110: there is no VLAN group nowhere",
        f"pool office: {needed}",
    ]
    spec = NetworkEstateSpec.model_validate(described(None))
    with pytest.raises(EstateRefused, match="no gateway, while 2 live IPoE services"):
        async with empty.database.begin() as db:
            await empty.estate(db).apply(spec)
    with pytest.raises(EstateInUse) as in_use:
        async with empty.database.begin() as db:
            await empty.estate(db).define_pool(spec.pools[0])
    assert in_use.value.instead.startswith(f"Keep gateway {GATEWAY} or name another one")

    assert await gateways(empty) == before
    await empty.release(one)
    with pytest.raises(EstateRefused, match="no gateway, while 1 live IPoE service has an address of it"):
        await empty.apply(described(None))
    await empty.release(two)
    assert await empty.apply(described(None)) == ["pool office changed"]
    assert await gateways(empty) == [None]
    assert await empty.apply(described(None)) == []


async def test_another_gateway_is_no_loss_and_pppoe_services_need_none(empty: Network) -> None:
    await empty.apply(described())
    held = (await empty.allocate(1, "LOC-1", "business"))["ip_address"]
    free = "203.0.113.5" if held != "203.0.113.5" else "203.0.113.6"

    assert await empty.apply(described(free)) == ["pool office changed"]
    assert (await empty.serve("resources", service_id=1))["gateway"] == free
    with pytest.raises(EstateInUse, match=f"{held} \\(service 1\\)"):
        await empty.apply(described(held))
    await empty.release(1)
    await empty.allocate(2, "LOC-1", "fiber-100")
    assert await empty.apply(described(None)) == ["pool office changed"]
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_who_is_just_being_given_an_address_keeps_its_gateway(empty: Network) -> None:
    await empty.apply(described())
    async with empty.database.begin() as db:
        await empty.service(db).allocate_resources(customer_id=1, service_location="LOC-1", bandwidth_plan="business")
        task = asyncio.create_task(empty.apply(described(None)))
        await until_it_waits_for_us(db, task)
    with pytest.raises(EstateInUse, match="no gateway, while 1 live IPoE service has an address of it"):
        await task


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_who_comes_while_a_gateway_goes_is_given_no_address_without_one(empty: Network) -> None:
    await empty.apply(described())
    async with empty.database.begin() as db:
        await empty.estate(db).apply({"pool": described(None)["pool"]})
        task = asyncio.create_task(empty.allocate(1, "LOC-1", "business"))
        await until_it_waits_for_us(db, task)
    with pytest.raises(GatewayMissing):
        await task
    assert await empty.violations() == []
