"""Where lines are, and how many services are behind a BNG, an access node or a port."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import AddressLookup
from tests.ipam.conftest import Network


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
    assert [each["username"] for each in await look(network, "places_of", usernames)] == usernames[1:]
    assert await look(network, "places_of_locations", ["LOC-1", "LOC-3", "LOC-none"]) == {
        "LOC-1": (bng, "OLT-1", "0/1/0"),
        "LOC-3": (bng, "OLT-1", None),
    }
