"""What RADIUS replies with, compared with what is allocated."""

from __future__ import annotations

from collections import defaultdict

import pytest
from sqlalchemy import update

from ipam import Difference
from ipam.inventory import reconciling
from ipam.tables import Service
from tests.ipam.conftest import Network


async def compared(network: Network, rows: list[tuple[str, str, str]]) -> list[Difference]:
    by_name: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows:
        by_name[row[0]].append(row)
    async with network.database.read() as db:
        reconciliation = network.inventory(db).reconciliation()
        found = await reconciliation.compare(by_name)
        return [*found, *[each async for each in reconciliation.missing()]]


async def test_what_agrees_is_not_mentioned_however_it_is_spelt(network: Network) -> None:
    given = await network.allocate(1)
    name, wan = given["username"], str(given["ipv6_wan_prefix"])
    rows = [
        (name, "Framed-IP-Address", given["ip_address"]),
        (name, "framed-ipv6-prefix", wan.upper()),
        (name, "Delegated-IPv6-Prefix", str(given["delegated_prefix"])),
        (name, "Framed-IP-Netmask", "255.255.255.255"),
        ("nobody", "Reply-Message", "no address of anybody's"),
        ("roamer", "Framed-IP-Address", "255.255.255.254"),  # the NAS chooses: no import could take it over
    ]
    assert await compared(network, rows) == []


async def test_many_services_are_looked_through_some_at_a_time(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "NAMES_AT_ONCE", 2)
    names = [(await network.allocate(customer))["username"] for customer in range(1, 6)]
    known = (await network.serve("resources", service_id=3))["ip_address"]

    found = await compared(network, [(names[2], "Framed-IP-Address", known), ("eve@isp", "Framed-IP-Address", known)])

    told = [(each["difference"], each["username"]) for each in found]
    assert told[:2] == [("mismatched", names[2]), ("unknown_to_ipam", "eve@isp")]
    assert told[2:] == [("missing_in_radius", name) for name in (*names[:2], *names[3:])]


async def test_what_is_held_is_missing_there_also_when_its_service_was_released(network: Network) -> None:
    given = await network.allocate(1)
    async with network.database.begin() as db:
        at = network.clock()
        await db.execute(update(Service).values(state="released", released_at=at))

    [missing] = await compared(network, [])

    assert (missing["difference"], missing["username"]) == ("missing_in_radius", given["username"])
    assert f"Framed-IP-Address={given['ip_address']}" in missing["ipam"]


async def test_each_difference_says_what_only_one_side_has(network: Network) -> None:
    await network.keep("reserve", pool="cgnat", value="100.64.0.13", note="imported from radreply: dora@isp")
    first, second, third = [await network.allocate(n, "LOC-1") for n in (1, 2, 3)]
    await network.release((await network.allocate(4, "LOC-1"))["service_id"])
    rows = [
        ("dora@isp", "Framed-IP-Address", "100.64.0.13"),
        (first["username"], "Framed-IP-Address", "192.0.2.9"),
        (first["username"], "Framed-IPv6-Prefix", str(first["ipv6_wan_prefix"])),
        (second["username"], "Reply-Message", "This line is not in service yet."),
        ("eve@isp", "Framed-IP-Address", "100.64.0.14"),
        ("eve@isp", "Delegated-IPv6-Prefix", "not a prefix"),
    ]

    found = {each["username"]: each for each in await compared(network, rows)}

    assert found[first["username"]] == {
        "difference": "mismatched",
        "username": first["username"],
        "service_id": first["service_id"],
        "customer_id": 1,
        "ipam": [f"Delegated-IPv6-Prefix={first['delegated_prefix']}", f"Framed-IP-Address={first['ip_address']}"],
        "radius": ["Framed-IP-Address=192.0.2.9"],
    }
    for lost in (second, third):
        assert found[lost["username"]]["difference"] == "missing_in_radius"
        assert len(found[lost["username"]]["ipam"]) == 3
    assert found["eve@isp"] == {
        "difference": "unknown_to_ipam",
        "username": "eve@isp",
        "service_id": None,
        "customer_id": None,
        "ipam": [],
        "radius": ["Delegated-IPv6-Prefix=not a prefix", "Framed-IP-Address=100.64.0.14"],
    }
    assert len(found) == 4


async def test_what_is_reserved_for_something_else_or_lies_in_no_pool_is_told_as_that(network: Network) -> None:
    for number, note in ((4, "core router loopback"), (5, "imported from radreply: ann"), (6, "imported from NetBox")):
        await network.keep("reserve", pool="cgnat", value=f"100.64.0.{number}", note=note)
    rows = [
        ("ghost", "Framed-IP-Address", "100.64.0.4"),
        ("ann", "Framed-IP-Address", "100.64.0.5"),
        ("ann2", "Framed-IP-Address", "100.64.0.5"),
        ("bob", "Framed-IP-Address", "100.64.0.6"),
        ("bob", "Framed-IP-Address", "100.64.0.7"),
        ("bob", "Framed-Route", "10.255.0.0/29 0.0.0.0 1"),
        ("eve", "Framed-IP-Address", "100.64.0.300"),
    ]

    found = await compared(network, rows)

    assert [(each["username"], each["difference"], each["radius"]) for each in found] == [
        ("ghost", "reserved_otherwise", ["Framed-IP-Address=100.64.0.4"]),
        ("ann2", "reserved_otherwise", ["Framed-IP-Address=100.64.0.5"]),  # that is ann's
        ("bob", "unknown_to_ipam", ["Framed-IP-Address=100.64.0.7"]),
        ("bob", "reserved_otherwise", ["Framed-IP-Address=100.64.0.6"]),
        ("bob", "outside_pools", ["Framed-Route=10.255.0.0/29"]),
        ("eve", "unknown_to_ipam", ["Framed-IP-Address=100.64.0.300"]),
    ]
    assert {each["service_id"] for each in found} == {None}
