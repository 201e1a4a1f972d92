"""Where lines are, and how many services are behind a BNG, an access node or a port."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import AddressLookup
from tests.ipam.conftest import Network, one_pool


async def look(network: Network, verb: str, *asked: Any, **said: Any) -> Any:
    async with network.database.begin() as db:
        lookup = AddressLookup(db, tenant_id=network.tenant_id, now=network.clock)
        return await getattr(lookup, verb)(*asked, **said)


@pytest.mark.both_databases
async def test_a_line_is_behind_its_port_and_counted_there(network: Network) -> None:
    first, second, third = [
        await network.allocate(number, location) for number, location in ((1, "LOC-1"), (2, "LOC-2"), (3, "LOC-3"))
    ]
    usernames = [each["username"] for each in (first, second, third)]
    places = {each["username"]: each for each in await look(network, "places_of", [*usernames, "nobody@isp.example"])}
    assert [(places[name]["access_node"], places[name]["port"]) for name in usernames] == [
        ("OLT-1", "0/1/0"),
        ("OLT-2", "0/2/0"),
        ("OLT-1", None),
    ]
    assert (places[usernames[0]]["service_id"], places[usernames[0]]["customer_id"]) == (first["service_id"], 1)
    bng = places[usernames[0]]["bng"]
    behind = {
        (bng,): 3,
        (bng, "OLT-1"): 2,
        (bng, "OLT-1", "0/1/0"): 1,
        (bng, "OLT-1", None): 1,
        (bng, "OLT-9"): 0,
        ("bng-none",): 0,
    }
    assert {place: await look(network, "services_behind", place, most=10) for place in behind} == behind
    assert await look(network, "services_behind", (bng,), most=2) == 2
    await network.release(first["service_id"])
    assert await look(network, "services_behind", (bng, "OLT-1"), most=10) == 1
    assert sorted(each["username"] for each in await look(network, "places_of", usernames)) == sorted(usernames[1:])
    assert await look(network, "places_of_locations", ["LOC-1", "LOC-3", "LOC-none"]) == {
        "LOC-1": (bng, "OLT-1", "0/1/0"),
        "LOC-3": (bng, "OLT-1", None),
    }


@pytest.mark.both_databases
async def test_of_all_that_a_service_holds_its_vrf_is_known(empty: Network) -> None:
    described = one_pool()
    described["pool"][0]["bindings"] = [{"bng": "bng-1", "plan": "fiber-100"}]
    twin = {"name": "twin", "kind": "ipv4", "vrf": "blue", "network": "192.0.2.0/28"}
    wide = {"name": "wide", "kind": "ipv6_pd", "vrf": "blue", "network": "2001:db8:4000::/40", "unit_length": 56}
    for pool in (twin, wide):
        described["pool"].append({**pool, "bindings": [{"bng": "bng-1", "plan": "fiber-blue"}]})
    plan = {"name": "fiber-blue", "access": "pppoe", "ipv6_pd": True}
    await empty.apply(described | {"vrf": [{"name": "blue"}], "plan": [*described["plan"], plan]})
    default = await empty.allocate(1, "LOC-1", ip_address="192.0.2.9")
    blue = await empty.allocate(2, "LOC-1", "fiber-blue", ip_address="192.0.2.9")
    gone = await empty.allocate(3, "LOC-1")
    await empty.release(gone["service_id"])

    names = [each["username"] for each in (default, blue, gone)]
    assert await look(empty, "vrfs_of", [*names, "nobody@isp.example"]) == {
        names[0]: {"192.0.2.9/32": "default"},
        names[1]: {"192.0.2.9/32": "blue", str(blue["delegated_prefix"]): "blue"},
    }
