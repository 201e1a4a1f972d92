"""All faults of a description at once, each in words that lead to the line to correct."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import NetworkEstateSpec, validate_estate
from tests.ipam.conftest import Network, example, small


def faults(description: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in validate_estate(description)]


def test_faultless_descriptions_have_no_faults() -> None:
    assert faults(example()) == []
    assert faults(small()) == []
    assert validate_estate(NetworkEstateSpec.model_validate(small())) == []
    assert faults({}) == []


def test_faults_of_every_kind_are_named_at_once() -> None:
    described = small()
    described["pools"] = []
    described["bng"] = "bng-1"
    described["access_node"][0] |= {"cpe_vlan_id": 4095, "colour": "red"}
    described["location"][0]["id"] = "HWTC12345678"
    described["location"][1]["port"] = "9/9/9"
    described["pool"][0]["network"] = "100.64.0.1/28"
    described["pool"][0]["bindings"] = [{"sites": "north"}]
    described["svlan"][0]["vid"] = 1
    described["vlan_group"][0]["vids"] = ["1-399"]

    found = faults(described)

    assert found[:8] == [
        "bng: must be a list; write [[bng]]",
        "access_node OLT-1: cpe_vlan_id: Input should be less than or equal to 4094",
        "access_node OLT-1: colour: is not known here; known are name, kind, site, bng, vlan_model, cpe_vlan_id,"
        " management_vlan, ports",
        "location HWTC12345678: id: String should match pattern '^LOC-[A-Za-z0-9][A-Za-z0-9._-]*$'",
        "pool cgnat: network: '100.64.0.1/28' has host bits set; do you mean 100.64.0.0/28?",
        "pool cgnat: bindings.0.sites: is not known here; did you mean site?",
        "vlan_group metro: vids: '1-399' reaches outside the usable VLAN numbers 2..4094 (IEEE 802.1Q)",
        "svlan number 1: vid: Input should be greater than or equal to 2",
    ]
    assert "pools: is no part of a network description" in found[8]
    assert "access_node OLT-2: there is no BNG bng-1" in found
    assert "location LOC-2: access node OLT-2 has no port 9/9/9" in found


def test_a_part_that_is_wrong_in_itself_is_not_reported_again_by_those_who_refer_to_it() -> None:
    described = small()
    described["access_node"][0]["cpe_vlan_id"] = 0

    assert faults(described) == [
        "access_node OLT-1: cpe_vlan_id: Input should be greater than or equal to 1",
    ]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"network": "100.64.0.0"}, "network: '100.64.0.0' has no prefix length; write for example 100.64.0.0/24"),
        ({"network": "100.64.0/28"}, "network: '100.64.0/28' is not an IPv4 or IPv6 prefix"),
        (
            {"network": "192.0.2.0/0.0.0.255"},
            "network: '192.0.2.0/0.0.0.255' has a wildcard mask, but a prefix length is meant;"
            " do you mean 192.0.2.0/24?",
        ),
        (
            {"network": "2001:db8::/64", "gateway": None},
            "2001:db8::/64 is IPv6, but a pool of kind ipv4 needs IPv4",
        ),
        ({"role": "pd"}, "role pd doesn't fit kind ipv4; it takes public or cgnat or infra"),
        ({"unit_length": 30}, "unit_length 30: IPv4 is handed out as single addresses (32)"),
        ({"gateway": "100.64.0.0"}, "gateway 100.64.0.0 is the network's own or its broadcast address"),
        ({"gateway": "100.64.0"}, "gateway: '100.64.0' is not an IPv4 or IPv6 address"),
        ({"exclude": ["100.64.0.9-100.64.0.20"]}, "exclude: 100.64.0.9-100.64.0.20 is not inside 100.64.0.0/28"),
        (
            {"exclude": ["100.64.0.9-100.64.0.2"]},
            "exclude.0: '100.64.0.9-100.64.0.2' does not run from a lower to a higher address of one family",
        ),
        ({"exclude": ["100.64.0.0/28"]}, "nothing is left of 100.64.0.0/28 to hand out"),
        ({"network": "100.64.0.0/32", "gateway": None, "ranges": ["::1"]}, "ranges: ::1 is not inside 100.64.0.0/32"),
        ({"quarantine_seconds": -1}, "quarantine_seconds: Input should be greater than or equal to 0"),
        ({"framed_pool": "POOL A"}, "framed_pool: String should match pattern '^[A-Za-z0-9][A-Za-z0-9._-]*$'"),
        ({"vrf": "blue"}, "there is no VRF blue"),
        ({"bindings": [{"bng": "bng-9"}]}, "there is no BNG bng-9"),
        ({"bindings": [{"access_node": "OLT-1", "port": "9"}]}, "access node OLT-1 has no port 9"),
        ({"bindings": [{"port": "9"}]}, "a binding to port 9 must name its access_node"),
        ({"bindings": [{}]}, "a binding names exactly one of bng, site and access_node (and may add a port)"),
        (
            {"bindings": [{"bng": "bng-1", "priority": 1}, {"bng": "bng-1", "priority": 2}]},
            "is bound twice to the same place for the same plan",
        ),
        (
            {"gateway": None, "bindings": [{"bng": "bng-1", "plan": "business"}]},
            "serves the IPoE plan business and so needs a gateway",
        ),
    ],
)
def test_a_faulty_pool_says_what_and_why(changed: dict[str, Any], fault: str) -> None:
    described = small()
    described["pool"][0] |= changed

    assert [f"pool cgnat: {fault}"] == faults(described)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"network": "100.66.0.0/24"}, "100.66.0.0/24 is IPv4, but a pool of kind ipv6_pd needs IPv6"),
        ({"unit_length": 40}, "unit_length 40: 2001:db8:2000::/48 can be handed out as /48 to /64"),
        ({"unit_length": 65}, "unit_length 65: 2001:db8:2000::/48 can be handed out as /48 to /64"),
        ({"gateway": "2001:db8:2000::1"}, "gateway is for IPv4 pools only; an IPv6 router announces itself"),
        ({"framed_pool": "POOL-B"}, "framed_pool is for IPv4 pools only"),
        ({"network": "::/0"}, "network: '::/0' covers the IPv4-mapped addresses ::ffff:0:0/96"),
    ],
)
def test_a_faulty_pool_of_prefixes_says_what_and_why(changed: dict[str, Any], fault: str) -> None:
    described = small()
    described["pool"][4] |= changed

    assert [f"pool pd: {fault}"] == faults(described)


@pytest.mark.parametrize(
    ("network", "fault"),
    [
        ("0.0.0.0/24", "0.0.0.0/8 is this network"),
        ("127.0.0.0/24", "127.0.0.0/8 is loopback"),
        ("126.0.0.0/7", "127.0.0.0/8 is loopback"),
        ("169.254.8.0/24", "169.254.0.0/16 is link-local"),
        ("224.0.0.0/24", "224.0.0.0/4 is multicast"),
        ("240.0.0.0/24", "240.0.0.0/4 is reserved"),
        ("255.255.255.0/24", "240.0.0.0/4 is reserved"),
        ("::/128", "::/128 is the unspecified address"),
        ("::1/128", "::1/128 is loopback"),
        ("fe80::/40", "fe80::/10 is link-local"),
        ("ff00::/40", "ff00::/8 is multicast"),
    ],
)
def test_what_no_router_forwards_to_a_line_is_no_pool(network: str, fault: str) -> None:
    described = small()
    kind = {"kind": "ipv6_wan", "unit_length": 127, "role": None} if ":" in network else {}
    described["pool"][0] |= {"network": network, "gateway": None, **kind}

    assert f"pool cgnat: {network} can't be handed out to lines: {fault} (RFC 6890)" in faults(described)


@pytest.mark.parametrize(
    "network",
    [
        *("8.8.8.0/24", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"),
        *("192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "223.255.255.0/24", "1.0.0.0/24"),
        *("2001:db8:7000::/40", "fd00::/40", "2000::/40"),
    ],
)
def test_a_pool_may_stand_on_anything_else(network: str) -> None:
    kind = {"kind": "ipv6_pd", "role": "pd"} if ":" in network else {"kind": "ipv4", "role": "cgnat"}

    assert faults({"pool": [{"name": "own", "network": network, **kind}]}) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"network": "2001:db8:aaaa::/112", "unit_length": 128},
            "unit_length 128: RADIUS tells of a line's prefix, not of a single address (Framed-IPv6-Prefix, RFC 3162"
            " s2.3); write a network of /64 or shorter and leave unit_length out: each line has a /64 of it",
        ),
        (
            {"network": "2001:db8:aaaa::/128"},
            "2001:db8:aaaa::/128 is too small: ipv6_wan is handed out as /127 or shorter",
        ),
        (
            {"network": "2001:db8:aaaa::/112"},
            "unit_length 64: 2001:db8:aaaa::/112 can be handed out as /112 to /127",
        ),
    ],
)
def test_what_radius_can_not_tell_a_line_of_is_no_wan_pool(changed: dict[str, Any], fault: str) -> None:
    described = small()
    described["pool"][3] |= changed

    assert faults(described) == [f"pool wan6: {fault}"]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"vid": 150}, "svlan metro/150: VLAN group metro may not use 150"),
        ({"vid": 99}, "svlan metro/99: VLAN group metro may not use 99"),
        ({"group": "rural"}, "svlan rural/210: there is no VLAN group rural"),
        ({"cvlans": ["0-4094"]}, "svlan number 2: cvlans: '0-4094' reaches outside the usable VLAN numbers 2..4094"),
        ({"cvlans": ["2-4095"]}, "svlan number 2: cvlans: '2-4095' reaches outside the usable VLAN numbers 2..4094"),
        ({"cvlans": ["9-2"]}, "svlan number 2: cvlans: '9-2' runs backwards"),
        ({"cvlans": ["all"]}, "svlan number 2: cvlans: 'all' is neither a VLAN number nor a range such as 100-199"),
        ({"cvlans": ["100-120"]}, "svlan metro/210: no C-VLAN is left to hand out"),
        ({"cvlans": []}, "svlan metro/210: reserved C-VLANs without any cvlans"),
        *(
            (
                {"cvlan_formula": formula},
                f"svlan number 2: cvlan_formula: '{formula}' gives every line the same C-VLAN: what it is computed of"
                " is multiplied by 0",
            )
            for formula in ("onu*0", "0*port + 0*onu + 7")
        ),
    ],
)
def test_a_faulty_s_vlan_says_what_and_why(changed: dict[str, Any], fault: str) -> None:
    described = small()
    described["svlan"][1] |= changed

    (found,) = faults(described)

    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"vids": []},
            "vids: is empty; it takes the S-VLANs of the group, and reserved those that nobody may use",
        ),
        (
            {"vids": ["10-20", "30"], "reserved": ["30-32", "9"]},
            "reserved: 9,31-32 is not among its vids 10-20,30",
        ),
    ],
)
def test_a_faulty_vlan_group_says_what_and_why(changed: dict[str, Any], fault: str) -> None:
    group = {"name": "other", "vids": ["100-399"], "reserved": [], **changed}

    assert faults({"vlan_group": [group]}) == [f"vlan_group other: {fault}"]


def test_what_a_vlan_group_says_twice_of_its_numbers_it_says_once() -> None:
    group = {"name": "other", "vids": ["10-20", "15-30"], "reserved": ["12-16", "14-18"]}

    assert faults({"vlan_group": [group], "svlan": [{"group": "other", "vid": 25}]}) == []
    assert faults({"vlan_group": [group], "svlan": [{"group": "other", "vid": 18}]}) == [
        "svlan other/18: VLAN group other may not use 18"
    ]


def test_doubles_are_found_in_every_section() -> None:
    described = small()
    described["pool"].append(dict(described["pool"][0]))
    described["access_node"][0]["ports"].append("0/1/0")
    described["location"][2]["aliases"] = ["LOC-1"]

    assert faults(described) == [
        "pool cgnat: is defined twice",
        "access_node OLT-1: port 0/1/0 is listed twice",
        "location LOC-1, LOC-3: LOC-1 would lead to each of them",
        "pool cgnat: 100.64.0.0/28 overlaps 100.64.0.0/28 of pool cgnat in VRF default",
    ]


def test_every_overlap_within_a_vrf_is_found_and_none_across_vrfs() -> None:
    described = small()
    described["vrf"] = [{"name": "blue"}]
    described["prefix"] = [
        {"network": "100.64.0.0/10", "role": "container"},
        {"network": "100.64.0.8/29", "role": "infra"},
        {"network": "2001:db8::/32", "role": "infra"},
        {"network": "203.0.113.0/24", "role": "infra", "vrf": "blue"},
    ]

    assert faults(described) == [
        "prefix 100.64.0.8/29: 100.64.0.8/29 overlaps 100.64.0.0/28 of pool cgnat in VRF default",
        "pool wan6: 2001:db8:1000::/60 overlaps 2001:db8::/32 of prefix 2001:db8::/32 in VRF default",
        "pool pd: 2001:db8:2000::/48 overlaps 2001:db8::/32 of prefix 2001:db8::/32 in VRF default",
    ]


async def test_names_that_the_database_knows_may_be_referred_to(network: Network) -> None:
    described = {
        "location": [
            {"id": "LOC-8", "access_node": "OLT-1", "port": "0/1/1"},
            {"id": "LOC-9", "access_node": "OLT-1", "port": "0/9/9"},
        ],
        "svlan": [{"group": "metro", "vid": 150}],
    }

    async with network.database.begin() as db:
        found = await network.estate(db).validate(described)

    assert [str(fault) for fault in found] == [
        "location LOC-9: access node OLT-1 has no port 0/9/9",
        "svlan metro/150: VLAN group metro may not use 150",
    ]
    assert len(faults(described)) == 3


def test_what_is_wrong_with_rules_of_the_cgnat_is_named_with_all_else() -> None:
    rule = {"outside": "203.0.113.0/30", "ports_per_subscriber": 1000}
    described = small(
        nat_rule=[
            {**rule, "pool": "cgnat", "outside": "203.0.113.1/30"},
            {**rule, "pool": "cgnat", "ports_per_subscriber": 40_000, "first_port": 70_000, "algorithm": "by_hand"},
            {**rule, "pool": "pd", "vrf": "blue"},
            {**rule, "pool": "at-the-bng", "outside": "192.0.2.0/30"},
            {**rule, "pool": "nowhere", "outside": "203.0.113.0/29"},
            {**rule, "pool": "office", "outside": "198.51.100.0/32", "ports_per_subscriber": 60_000, "last_port": 9000},
        ]
    )

    assert [fault for fault in faults(described) if fault.startswith("nat_rule") or "nat_rule" in fault] == [
        "nat_rule cgnat: outside: '203.0.113.1/30' has host bits set; do you mean 203.0.113.0/30?",
        "nat_rule cgnat: algorithm: Input should be 'by_address' or 'by_block'",
        "nat_rule pd: there is no VRF blue",
        "nat_rule pd: pool pd hands out no IPv4 addresses",
        "nat_rule at-the-bng: pool at-the-bng hands out no IPv4 addresses",
        "nat_rule nowhere: there is no pool nowhere",
        "nat_rule office: pool office (203.0.113.0/29, role public) is not behind a CGNAT: name the pool whose"
        " addresses it maps, or give this one the role cgnat in the estate",
        "nat_rule office: ports_per_subscriber 60000 is not in 1..7977",
        "nat_rule nowhere: 203.0.113.0/29 overlaps 203.0.113.0/29 of pool office in VRF default",
        "nat_rule pd: 203.0.113.0/30 overlaps 203.0.113.0/29 of nat_rule nowhere in VRF default, and whoever asks for"
        " the holder of a port knows no VRF",
    ]
