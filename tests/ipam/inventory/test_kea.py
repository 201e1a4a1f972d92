"""What Kea is told: each line by its circuit-id, and which lines can't be told."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from ipam import AliasTaken
from ipam.tables import Pool
from tests.ipam.conftest import Network, small


def by_dhcp() -> dict[str, Any]:
    described = small()
    described["plan"].append({"name": "cable", "access": "ipoe", "addressing": "dhcp", "ipv6_pd": True})
    more = {"name": "more", "kind": "ipv4", "network": "100.64.1.0/28", "gateway": "100.64.1.1"}
    described["pool"].append({**more, "bindings": [{"bng": "bng-1"}]})
    described["location"][0]["circuit_id"] = "OLT-1 xpon 0/1/0:7"
    described["location"][1]["circuit_id"] = "OLT-2 xpon 0/2/0:1"
    return described


def by_subnet(network: dict[str, Any]) -> dict[str, list[str]]:
    """The addresses that are reserved in each subnet of a shared network."""
    return {each["subnet"]: [one["ip-address"] for one in each["reservations"]] for each in network["subnet4"]}


async def test_lines_on_dhcp_plans_become_reservations_by_circuit_id(empty: Network) -> None:
    await empty.apply(by_dhcp())
    high = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.1.9")
    low = await empty.allocate(2, "OLT-2 xpon 0/2/0:1", "cable", ip_address="100.64.0.3")
    await empty.allocate(3, "LOC-3", "fiber-100")
    nameless = await empty.allocate(4, "LOC-3", "cable")
    await empty.release((await empty.allocate(5, "LOC-3", "cable"))["service_id"])

    told = await empty.serve("kea_reservations")

    first, second = b"OLT-2 xpon 0/2/0:1".hex(":"), b"OLT-1 xpon 0/1/0:7".hex(":")
    assert second.startswith("4f:4c:54:2d:31:20")
    async with empty.database.begin() as db:
        pools = {name: number for name, number in await db.execute(select(Pool.name, Pool.id))}
    assert told["dhcp4"] == {
        "host-reservation-identifiers": ["circuit-id"],
        # the relay's address lies in one of them, whichever a line's comes from
        "shared-networks": [
            {
                "name": "bng-1",
                "subnet4": [
                    {
                        "id": pools["cgnat"],
                        "subnet": "100.64.0.0/28",
                        "option-data": [{"name": "routers", "data": "100.64.0.1"}],
                        "reservations": [{"circuit-id": first, "ip-address": "100.64.0.3"}],
                    },
                    {
                        "id": pools["more"],
                        "subnet": "100.64.1.0/28",
                        "option-data": [{"name": "routers", "data": "100.64.1.1"}],
                        "reservations": [{"circuit-id": second, "ip-address": "100.64.1.9"}],
                    },
                ],
            }
        ],
        "subnet4": [],
    }
    prefixes = {each["flex-id"]: each["prefixes"] for each in told["dhcp6"]["reservations"]}
    assert prefixes == {first: [low["delegated_prefix"]], second: [high["delegated_prefix"]]}
    how = (told["dhcp6"]["host-reservation-identifiers"], told["dhcp6"]["reservations-global"])
    assert how == (["flex-id"], True)  # without these Kea's DHCPv6 server looks for none of them
    [left_out] = told["left_out"]
    assert (left_out["service_id"], left_out["location"]) == (nameless["service_id"], "LOC-3")
    assert "no circuit_id" in left_out["why"]


async def test_two_services_behind_one_circuit_id_are_both_left_out(empty: Network) -> None:
    await empty.apply(by_dhcp())
    given = [await empty.allocate(customer, "LOC-1", "cable") for customer in (1, 2)]

    told = await empty.serve("kea_reservations")

    assert (told["dhcp4"]["subnet4"], told["dhcp6"]["reservations"]) == ([], [])
    assert sorted(each["service_id"] for each in told["left_out"]) == [line["service_id"] for line in given]
    assert {each["why"] for each in told["left_out"]} == {
        "several services share the circuit_id OLT-1 xpon 0/1/0:7, which Kea knows once"
    }


async def test_a_circuit_id_leads_to_one_premise(empty: Network) -> None:
    described = by_dhcp()
    await empty.apply(described)

    with pytest.raises(AliasTaken):
        await empty.apply({"location": [{**described["location"][2], "circuit_id": "OLT-1 xpon 0/1/0:7"}]})


async def test_subnets_of_bngs_that_share_none_stand_by_themselves(empty: Network) -> None:
    described = by_dhcp()
    described["bng"].append({"name": "bng-2"})
    described["access_node"][1]["bng"] = "bng-2"
    described["pool"][-1]["bindings"] = [{"bng": "bng-2"}]
    [prefixes] = (pool for pool in described["pool"] if pool["name"] == "pd")
    prefixes["bindings"] = [{"bng": "bng-1"}, {"bng": "bng-2"}]
    await empty.apply(described)
    await empty.allocate(1, "LOC-1", "cable")
    await empty.allocate(2, "OLT-2 xpon 0/2/0:1", "cable")

    told = (await empty.serve("kea_reservations"))["dhcp4"]

    assert "shared-networks" not in told
    assert [each["subnet"] for each in told["subnet4"]] == ["100.64.0.0/28", "100.64.1.0/28"]


async def test_a_subnet_without_a_line_is_told_since_the_relay_may_be_in_it(empty: Network) -> None:
    await empty.apply(by_dhcp())
    given = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.1.9")

    told = (await empty.serve("kea_reservations"))["dhcp4"]

    [network] = told["shared-networks"]
    assert (network["name"], by_subnet(network)) == (
        "bng-1",
        {"100.64.0.0/28": [], "100.64.1.0/28": [given["ip_address"]]},
    )


async def test_a_subnet_behind_a_bng_without_lines_by_dhcp_is_nothing_to_kea(empty: Network) -> None:
    described = by_dhcp()
    described["bng"].append({"name": "bng-2"})
    described["access_node"][1]["bng"] = "bng-2"
    described["pool"][-1]["bindings"] = [{"access_node": "OLT-2"}]
    await empty.apply(described)
    await empty.allocate(1, "LOC-1", "cable")

    told = (await empty.serve("kea_reservations"))["dhcp4"]

    assert [each["subnet"] for each in told["subnet4"]] == ["100.64.0.0/28"]
    assert "shared-networks" not in told


def in_two_tables() -> dict[str, Any]:
    described = by_dhcp()
    described["vrf"] = [{"name": "blue"}]
    twin = {"name": "twin", "kind": "ipv4", "network": "100.64.0.0/28", "vrf": "blue", "gateway": "100.64.0.1"}
    described["pool"].append({**twin, "bindings": [{"access_node": "OLT-2"}]})
    return described


async def test_of_a_network_in_two_routing_tables_the_later_pools_lines_are_left_out(empty: Network) -> None:
    await empty.apply(in_two_tables())
    first = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.0.3")
    later = await empty.allocate(2, "LOC-2", "cable")

    told = await empty.serve("kea_reservations")

    [network] = told["dhcp4"]["shared-networks"]
    assert by_subnet(network) == {"100.64.0.0/28": [first["ip_address"]], "100.64.1.0/28": []}
    assert [(each["service_id"], each["why"]) for each in told["left_out"]] == [
        (
            later["service_id"],
            "100.64.0.0/28 is told for another routing table already, and Kea knows a subnet once",
        )
    ]


async def test_a_line_that_kea_cannot_know_takes_its_network_from_nobody(empty: Network) -> None:
    described = in_two_tables()
    del described["location"][0]["circuit_id"]
    await empty.apply(described)
    nameless = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.0.3")
    known = await empty.allocate(2, "LOC-2", "cable")

    told = await empty.serve("kea_reservations")

    [network] = told["dhcp4"]["shared-networks"]
    assert by_subnet(network) == {"100.64.0.0/28": [known["ip_address"]], "100.64.1.0/28": []}
    assert [each["service_id"] for each in told["left_out"]] == [nameless["service_id"]]


async def test_what_lies_across_an_earlier_pool_s_network_is_left_out_whatever_its_size(empty: Network) -> None:
    described = in_two_tables()
    described["pool"][-1] |= {"network": "100.64.0.0/27"}
    await empty.apply(described)
    first = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.0.3")
    later = await empty.allocate(2, "LOC-2", "cable")

    told = await empty.serve("kea_reservations")

    [network] = told["dhcp4"]["shared-networks"]
    assert by_subnet(network) == {"100.64.0.0/28": [first["ip_address"]], "100.64.1.0/28": []}
    assert [(each["service_id"], each["why"]) for each in told["left_out"]] == [
        (
            later["service_id"],
            "100.64.0.0/27 lies across 100.64.0.0/28, which is told for another routing table already,"
            " and Kea knows a subnet once",
        )
    ]


async def test_of_delegated_prefixes_in_two_routing_tables_those_of_the_later_pool_are_left_out(empty: Network) -> None:
    described = in_two_tables()
    described["pool"][-1] |= {"network": "100.64.2.0/28", "gateway": "100.64.2.1"}
    twin = {"name": "pd-twin", "kind": "ipv6_pd", "network": "2001:db8:2000::/47", "vrf": "blue"}
    described["pool"].append({**twin, "bindings": [{"access_node": "OLT-2"}]})
    await empty.apply(described)
    first = await empty.allocate(1, "LOC-1", "cable")
    later = await empty.allocate(2, "LOC-2", "cable", delegated_prefix=first["delegated_prefix"])
    assert later["delegated_prefix"] == first["delegated_prefix"]

    told = await empty.serve("kea_reservations")

    assert [each["prefixes"] for each in told["dhcp6"]["reservations"]] == [[first["delegated_prefix"]]]
    assert later["ip_address"] not in str(told["dhcp4"])
    assert [(each["service_id"], each["why"]) for each in told["left_out"]] == [
        (
            later["service_id"],
            "2001:db8:2000::/47 lies across 2001:db8:2000::/48, which is told for another routing table already,"
            " and Kea knows a prefix once",
        )
    ]


async def test_a_line_that_is_left_out_for_its_prefix_takes_its_ipv4_network_from_nobody(empty: Network) -> None:
    described = in_two_tables()
    described["location"][2]["circuit_id"] = "OLT-1 xpon 0/1/0:9"
    described["plan"].append({"name": "cable-4", "access": "ipoe", "addressing": "dhcp"})
    described["pool"][-1]["bindings"] = [{"access_node": "OLT-1", "plan": "cable-4"}]
    twin = {"name": "pd-twin", "kind": "ipv6_pd", "network": "2001:db8:2000::/47", "vrf": "blue"}
    described["pool"].append({**twin, "bindings": [{"access_node": "OLT-1", "plan": "cable"}]})
    await empty.apply(described)
    with_later_prefix = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.0.3")
    with_first_prefix = await empty.allocate(2, "LOC-2", "cable", ip_address="100.64.1.9")
    with_later_address = await empty.allocate(3, "LOC-3", "cable-4")

    told = await empty.serve("kea_reservations")

    prefixes = [each["prefixes"] for each in told["dhcp6"]["reservations"]]
    assert prefixes == [[with_first_prefix["delegated_prefix"]]]
    assert [(each["service_id"], each["why"][:42]) for each in told["left_out"]] == [
        (with_later_prefix["service_id"], "2001:db8:2000::/47 lies across 2001:db8:20"),
    ]
    [network] = told["dhcp4"]["shared-networks"]
    assert by_subnet(network) == {
        "100.64.0.0/28": [with_later_address["ip_address"]],
        "100.64.1.0/28": [with_first_prefix["ip_address"]],
    }


async def test_where_each_of_two_lines_has_one_pool_that_was_made_first_one_of_them_is_told(empty: Network) -> None:
    described = in_two_tables()
    described["pool"][-1] |= {"bindings": [{"access_node": "OLT-2"}]}
    first = {"name": "pd-first", "kind": "ipv6_pd", "network": "2001:db8:2000::/47", "vrf": "blue"}
    described["pool"].insert(0, {**first, "bindings": [{"access_node": "OLT-2"}]})
    await empty.apply(described)
    one = await empty.allocate(1, "LOC-1", "cable", ip_address="100.64.0.3")
    other = await empty.allocate(2, "LOC-2", "cable")

    told = await empty.serve("kea_reservations")

    assert [each["prefixes"] for each in told["dhcp6"]["reservations"]] == [[one["delegated_prefix"]]]
    assert [(each["service_id"], each["why"]) for each in told["left_out"]] == [
        (other["service_id"], "100.64.0.0/28 is told for another routing table already, and Kea knows a subnet once")
    ]
