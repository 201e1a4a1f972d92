"""What RADIUS replies with, compared with what is allocated."""

from __future__ import annotations

from collections import defaultdict

import pytest
from sqlalchemy import update

from ipam import Difference
from ipam.inventory import reconciling
from ipam.tables import Service
from tests.ipam.conftest import Network

CHOSEN = {
    "ip_address": "100.64.0.4",
    "ipv6_wan_prefix": "2001:db8:1000:2::/64",
    "delegated_prefix": "2001:db8:2000:200::/56",
}
OTHERS = {"ipv6_wan_prefix": "2001:db8:1000:3::/64", "delegated_prefix": "2001:db8:2000:300::/56"}


async def compared(network: Network, *somes: list[tuple[str, str, str]]) -> list[Difference]:
    """Some rows after others."""
    async with network.database.read() as db:
        reconciliation = network.inventory(db).reconciliation()
        found = [each for rows in somes for each in await reconciliation.compare(by_name(rows))]
        return [*found, *[each async for each in reconciliation.remaining()]]


def by_name(rows: list[tuple[str, str, str]]) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(row)
    return found


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
    assert told[:2] == [("mismatched", names[2]), ("held_otherwise", "eve@isp")]
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
    given = [await network.allocate(n, "LOC-1", ip_address=f"100.64.0.{n + 3}") for n in (1, 2, 3, 4)]
    first, second, third, gone = given
    await network.release(gone["service_id"])
    rows = [
        ("dora@isp", "Framed-IP-Address", "100.64.0.13"),
        (first["username"], "Framed-IP-Address", "192.0.2.9"),
        (first["username"], "Framed-IPv6-Prefix", str(first["ipv6_wan_prefix"])),
        (second["username"], "Reply-Message", "This line is not in service yet."),
        ("eve@isp", "Framed-IP-Address", "100.64.0.14"),
        ("eve@isp", "Delegated-IPv6-Prefix", "not a prefix"),
    ]

    found = {
        each["username"]: each
        for each in await compared(network, rows)
        if (each["username"], each["difference"]) != ("eve@isp", "unfit")
    }

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
        "radius": ["Framed-IP-Address=100.64.0.14"],
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
        ("bob", "reserved_otherwise", ["Framed-IP-Address=100.64.0.6"]),
        ("bob", "outside_pools", ["Framed-Route=10.255.0.0/29"]),
        ("eve", "unfit", ["Framed-IP-Address=100.64.0.300"]),
        ("bob", "unknown_to_ipam", ["Framed-IP-Address=100.64.0.7"]),
    ]
    assert {each["service_id"] for each in found} == {None}


async def test_what_an_import_would_refuse_is_not_told_as_what_it_would_take_over(network: Network) -> None:
    held = await network.allocate(1, **CHOSEN)
    gone = await network.allocate(2, **(CHOSEN | {"ip_address": "100.64.0.5"} | OTHERS))
    await network.release(gone["service_id"])
    await network.keep("drain", pool="pd", span="2001:db8:2000:f000::/56", note="to be sold")
    name, address = held["username"], "Framed-IP-Address"
    whole = [
        (name, address, "100.64.0.7"),  # a service is given what it doesn't hold
        (name, "Framed-IPv6-Prefix", str(held["ipv6_wan_prefix"])),
        (name, "Delegated-IPv6-Prefix", str(held["delegated_prefix"])),
    ]
    rows = {
        "of-a-service": (address, "100.64.0.4", "held_otherwise"),
        "cooling": (address, "100.64.0.5", "held_otherwise"),
        "twice-1": (address, "100.64.0.6", "given_twice"),
        "twice-2": (address, "100.64.0.6", "given_twice"),
        "as-a-service": (address, "100.64.0.7", "given_twice"),
        "gateway": (address, "100.64.0.1", "unfit"),
        "of-the-bng": (address, "100.72.0.9", "unfit"),
        "garbage": (address, "garbage", "unfit"),
        "too-large": ("Delegated-IPv6-Prefix", "2001:db8:2000::/52", "unfit"),
        "drained": ("Delegated-IPv6-Prefix", "2001:db8:2000:f000::/56", "unfit"),
        "of-another-kind": ("Framed-Route", "100.64.0.8/32", "unfit"),
        "around-a-pool": ("Framed-Route", "203.0.112.0/22 0.0.0.0 1", "unfit"),
        "around-the-bngs": ("Framed-Route", "100.72.0.0/15 0.0.0.0 1", "unfit"),
        "everything": ("Framed-Route", "0.0.0.0/0 0.0.0.0 1", "outside_pools"),
        "host-bits": ("Framed-Route", "203.0.113.3/29 0.0.0.0 1", "unfit"),
        "no-ipv6": ("Framed-IPv6-Address", "100.64.0.8", "unfit"),
        "free": (address, "100.64.0.9", "unknown_to_ipam"),
        "inside": ("Framed-IPv6-Address", "2001:db8:1000:e::1", "unknown_to_ipam"),
        "beside": ("framed-ipv6-address", "2001:db8:1000:e::2", "unknown_to_ipam"),
    }

    found = await compared(network, [*whole, *((who, *given[:2]) for who, given in rows.items())])

    assert {each["username"]: each["difference"] for each in found if each["service_id"] is None} == {
        who: kind for who, (_, _, kind) in rows.items()
    }
    taken = [f"{who},{name},:=,{value}" for who, (name, value, kind) in rows.items() if kind == "unknown_to_ipam"]
    counts = await network.bring_in("\n".join(["username,attribute,op,value", *taken]), "radreply")
    assert counts["reserved"] == 2
    network.clock.forward(hours=2)
    again = await compared(network, [(who, *rows[who][:2]) for who in ("cooling", "free", "inside", "beside")])
    assert [(each["username"], each["difference"]) for each in again if each["service_id"] is None] == [
        ("beside", "reserved_otherwise"),
        ("cooling", "unknown_to_ipam"),
    ]


@pytest.mark.both_databases
async def test_what_two_names_are_given_is_told_of_both_however_far_apart_they_are_read(network: Network) -> None:
    held, address = await network.allocate(1, **CHOSEN), "Framed-IP-Address"
    first = [("a", address, "100.64.0.6"), ("b", address, "100.64.0.7"), ("b", address, "100.64.0.8")]
    last = [("c", address, "100.64.0.6"), (held["username"], address, "100.64.0.7")]

    found = await compared(network, first, [("between", address, "100.64.0.9")], last)

    assert [(each["username"], each["difference"], each["radius"]) for each in found if not each["service_id"]] == [
        ("a", "given_twice", ["Framed-IP-Address=100.64.0.6"]),
        ("b", "given_twice", ["Framed-IP-Address=100.64.0.7"]),
        ("b", "unknown_to_ipam", ["Framed-IP-Address=100.64.0.8"]),
        ("between", "unknown_to_ipam", ["Framed-IP-Address=100.64.0.9"]),
        ("c", "given_twice", ["Framed-IP-Address=100.64.0.6"]),
    ]


async def test_an_address_in_the_prefix_of_its_service_is_no_difference(network: Network) -> None:
    given = await network.allocate(1, **CHOSEN)
    name, wan = given["username"], str(given["ipv6_wan_prefix"]).removesuffix("/64")
    rows = [
        (name, "Framed-IP-Address", str(given["ip_address"])),
        (name, "framed-ipv6-address", f"{wan}1"),
        (name, "Delegated-IPv6-Prefix", str(given["delegated_prefix"])),
    ]
    assert await compared(network, rows) == []

    [found] = await compared(network, [*rows, (name, "Framed-IPv6-Address", "2001:db8:1000:f::1")])
    assert (found["difference"], found["ipam"], found["radius"]) == (
        "mismatched",
        [],
        ["Framed-IPv6-Address=2001:db8:1000:f::1"],
    )


async def test_only_a_route_has_more_words_than_its_prefix(network: Network) -> None:
    given = await network.allocate(1, **CHOSEN)
    name, address = given["username"], "Framed-IP-Address"
    whole = [
        (name, "Framed-IPv6-Prefix", CHOSEN["ipv6_wan_prefix"]),
        (name, "Delegated-IPv6-Prefix", CHOSEN["delegated_prefix"]),
    ]
    assert await compared(network, [*whole, (name, address, " 100.64.0.4 ")]) == []

    found = await compared(network, [*whole, (name, address, "100.64.0.4 oops"), ("eve", address, "100.64.0.9 x")])

    assert [(each["username"], each["difference"], each["ipam"], each["radius"]) for each in found] == [
        (name, "mismatched", ["Framed-IP-Address=100.64.0.4"], ["Framed-IP-Address=100.64.0.4 oops"]),
        ("eve", "unfit", [], ["Framed-IP-Address=100.64.0.9 x"]),
    ]
