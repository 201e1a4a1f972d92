"""Whoever changes something about a pool looks at it when nobody else changes it any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ipam.errors import EstateRefused, IpamError, NameUnknown, RequestInvalid
from tests.ipam.conftest import Network, one_pool, small
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer

SAID: dict[str, dict[str, Any]] = {
    "exclude": {"span": "192.0.2.12"},
    "drain": {"span": "192.0.2.12"},
    "reserve": {"value": "192.0.2.12"},
    "shrink": {"network": "192.0.2.0/30"},
    "retire": {},
}


async def after(empty: Network, first: str, act: str, **said: Any) -> IpamError | bool | None:
    """What comes of the act when somebody who shrinks or retires the pool has it wait."""
    async with empty.database.begin() as db:
        upkeep = empty.upkeep(db)
        if first == "shrink":
            await upkeep.shrink(pool="cgnat", network="192.0.2.0/29", note="smaller")
        else:
            await upkeep.retire(pool="cgnat", note="sold")
        task = asyncio.create_task(empty.keep(act, pool="cgnat", note="meanwhile", **said))
        await until_it_waits_for_us(db, task)
    try:
        return bool(await task)
    except IpamError as error:
        return error


@pytest.mark.parametrize("act", SAID)
async def test_a_pool_that_is_retired_meanwhile_is_none_any_more(empty: Network, act: str) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))

    told = await after(empty, "retire", act, **SAID[act])

    assert isinstance(told, NameUnknown), told
    assert await empty.violations() == []


@pytest.mark.parametrize("act", ["exclude", "drain", "reserve"])
async def test_what_a_pool_has_lost_meanwhile_is_refused_as_none_of_its_own(empty: Network, act: str) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))

    told = await after(empty, "shrink", act, **SAID[act])

    assert isinstance(told, RequestInvalid) and "192.0.2.12" in str(told), told
    assert await empty.violations() == []


async def test_all_of_a_pool_that_is_shrunk_meanwhile_is_what_is_left_of_it(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))

    assert await after(empty, "shrink", "drain") is True

    assert (await empty.usage("cgnat"))["draining"] == 6
    assert await empty.keep("undrain", pool="cgnat", note="back") is True
    assert ((await empty.usage("cgnat"))["free"], await empty.violations()) == (6, [])


async def test_a_description_is_compared_with_what_another_one_has_just_made_of_the_network(network: Network) -> None:
    narrower = {"vlan_group": [{"name": "metro", "vids": ["100-250"]}]}
    async with network.database.begin() as db:
        await network.estate(db).apply(narrower)
        svlan = {"group": "metro", "vid": 300, "cvlans": ["2-100"], "bindings": [{"access_node": "OLT-1"}]}
        task = asyncio.create_task(network.apply({"svlan": [svlan]}))
        await until_it_waits_for_us(db, task)

    with pytest.raises(EstateRefused, match="VLAN group metro may not use 300"):
        await task


async def test_a_rule_of_port_blocks_maps_a_pool_as_it_is_after_it_was_shrunk(network: Network) -> None:
    assert small()["pool"][0]["network"] == "100.64.0.0/28"
    async with network.database.begin() as db:
        await network.upkeep(db).shrink(pool="cgnat", network="100.64.0.0/29", note="smaller")
        rule = {"pool": "cgnat", "outside": "198.51.100.0/30", "ports_per_subscriber": 4000}
        task = asyncio.create_task(network.ports("define_rule", **rule))
        await until_it_waits_for_us(db, task)

    assert await task is True
    assert await network.violations() == []
