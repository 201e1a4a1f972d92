"""Allocations that come from other systems: all of a file or nothing, and afterwards as if they had been made here."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from ipam import (
    ExportShape,
    ImportCounts,
    ImportRefused,
    ImportSource,
    UnitReserved,
    read_import,
    read_mapping,
    reply_file,
)
from ipam.inventory import new_services
from ipam.tables import Allocation, AllocationEvent, FreeRange, Pool, Service
from tests.ipam.conftest import STARTED_AT, Network, lines_of, one_pool, small

WHOLE = """\
value,pool,customer_id,username,location,plan,since,state,available_at,note
100.64.0.5,,5,ada@isp,LOC-1,fiber-100,2029-06-01T00:00:00Z,,,
2001:db8:1000:2::/64,wan6,5,ada@isp,DROP-7781,fiber-100,,,,
2001:db8:2000:500::/56,,5,ada@isp,LOC-1,fiber-100,,,,
100.64.0.6,,6,bob@isp,LOC-2,fiber-100,,,,
2001:db8:1000:3::/64,,6,bob@isp,LOC-2,fiber-100,,,,
2001:db8:2000:600::/56,,6,bob@isp,LOC-2,fiber-100,,,,
300,metro/210,6,bob@isp,LOC-2,fiber-100,,,,
100.64.0.7,cgnat,,,,,,reserved,,for the museum
100.64.0.8,cgnat,7,carl@isp,LOC-3,fiber-100,2029-12-31T00:00:00Z,quarantine,2030-01-02T00:00:00Z,
"""


async def test_what_a_file_says_is_held_kept_and_cooling_as_if_it_had_been_given_here(network: Network) -> None:
    counts = await network.bring_in(WHOLE)
    assert counts == {
        "lines": 9,
        "services": 3,
        "assigned": 7,
        "reserved": 1,
        "quarantine": 1,
        "updated": 0,
        "unchanged": 0,
        "skipped": 0,
        "outside_pools": 0,
        "first_outside": [],
        "mapping_unused": 0,
        "first_unused": [],
    }
    async with network.database.begin() as db:
        ids = {name: number for name, number in await db.execute(select(Service.username, Service.service_id))}
        ada = await network.service(db).resources(ids["ada@isp"])
        bob = await network.service(db).resources(ids["bob@isp"])
        assert await network.inventory(db).imported_service_ids() == [ids["ada@isp"], ids["bob@isp"]]
    assert (ada["ip_address"], ada["ipv6_wan_prefix"], ada["delegated_prefix"], ada["svlan"], ada["cvlan"]) == (
        "100.64.0.5",
        "2001:db8:1000:2::/64",
        "2001:db8:2000:500::/56",
        110,
        None,
    )
    assert (bob["ip_address"], bob["svlan"], bob["cvlan"], bob["vlan_id"]) == ("100.64.0.6", 210, 300, 300)
    with pytest.raises(UnitReserved):
        await network.allocate(9, ip_address="100.64.0.7")
    history = await network.keep("history", pool="cgnat", value="100.64.0.5")
    assert [(each["at"], each["what"], each["username"], each["note"]) for each in history] == [
        (datetime(2029, 6, 1, tzinfo=UTC), "assigned", "ada@isp", "imported from CSV")
    ]
    assert (await network.allocate(7, "LOC-3"))["ip_address"] == "100.64.0.8"  # who comes back gets the same
    assert (await network.usage("cgnat"))["free"] == 13 - 4
    assert await network.violations() == []


async def test_the_same_file_again_changes_nothing(network: Network) -> None:
    await network.bring_in(WHOLE)
    before = await network.export()
    network.clock.forward(minutes=5)

    again = await network.bring_in(WHOLE)

    assert {name: number for name, number in again.items() if number} == {"lines": 9, "unchanged": 9}
    assert await network.export() == before


async def test_all_that_the_network_says_against_each_line_is_said_at_once_and_nothing_is_written(
    network: Network,
) -> None:
    given = await network.allocate(1, ip_address="100.64.0.4")
    gone = await network.allocate(2, ip_address="100.64.0.5")
    await network.release(gone["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="kept")
    taken = {given["delegated_prefix"], gone["delegated_prefix"]}  # of stripes chosen by chance
    drained = next(each for each in (f"2001:db8:2000:f{n}00::/56" for n in range(3)) if each not in taken)
    await network.keep("drain", pool="pd", span=drained, note="to be sold")
    before = await network.export()
    lines = {
        "192.0.2.1,,,,,,": ["192.0.2.1 lies outside every pool"],
        "100.64.0.9,,,,,,moon": ["there is no VRF 'moon'"],
        "100.64.0.9,office,,,,,": ["100.64.0.9 lies outside pool office (203.0.113.0/29)"],
        "100.64.0.9,nowhere,,,,,": ["there is no pool 'nowhere'"],
        "2001:db8:2000::/60,,,,,,": [
            "2001:db8:2000::/60 is nothing that pool pd hands out (/56 of 2001:db8:2000::/48)"
        ],
        "100.72.0.9,,,,,,": ["pool at-the-bng is handed out by the BNG, which knows it as POOL-A"],
        "300,,,,,,": ["300 is a C-VLAN of many: say of which pool, such as metro/210"],
        "100.64.0.1,,,,,,": ["100.64.0.1 of pool cgnat is excluded: gateway"],
        "100.64.0.4,,,,,,": [
            f"100.64.0.4 of pool cgnat is held by service {given['service_id']} ({given['username']}, customer 1)"
        ],
        "100.64.0.5,,,,,,": ["100.64.0.5 of pool cgnat is in quarantine until 2030-01-01 13:00:00 UTC"],
        "100.64.0.6,,,,,,": ["100.64.0.6 of pool cgnat is reserved (kept)"],
        f"{drained},,,,,,": [f"{drained} lies in what is being drained of pool pd (to be sold)"],
        "100.64.0.9,,,,,,": [],
        "100.64.0.9,cgnat,,,,,": ["100.64.0.9 of pool cgnat stands in line 14 already"],
        "100.64.0.10,,5,,LOC-9,gold,": [
            "location: no premise is known as 'LOC-9'",
            "plan: there is no address plan 'gold'",
        ],
        f"100.64.0.11,,5,{given['username']},LOC-2,business,": [
            f"username {given['username']} is service {given['service_id']}'s, which exists without this",
        ],
        "100.64.0.12,,5,eve,LOC-1,fiber-100,": [
            "plan fiber-100 needs something of an IPv6 WAN pool at LOC-1, too; no line has it",
            "plan fiber-100 needs something of a pool of delegated prefixes at LOC-1, too; no line has it",
        ],
        "100.64.0.13,,5,eve,LOC-1,fiber-100,": ["the service has 100.64.0.12 in line 18 already"],
        "203.0.113.3,,7,dora,LOC-3,fiber-100,": [
            "pool office is not bound to where LOC-3 on plan fiber-100 terminates",
            "plan fiber-100 needs something of an IPv6 WAN pool at LOC-3, too; no line has it",
            "plan fiber-100 needs something of a pool of delegated prefixes at LOC-3, too; no line has it",
        ],
        "203.0.113.2,,6,eve,LOC-3,business,": [
            "eve in line 18 is customer 5's, not customer 6's",
            "eve in line 18 has plan fiber-100, not business",
            "eve in line 18 is at LOC-1, not at LOC-3",
            "the service has 100.64.0.12 in line 18 already",
        ],
    }
    found = await network.faults("\n".join(["value,pool,customer_id,username,location,plan,vrf", *lines]) + "\n")

    assert found == {number: faults for number, faults in enumerate(lines.values(), start=2) if faults}
    assert await network.export() == before
    assert await network.violations() == []


async def test_no_fault_of_a_line_hides_another_one(network: Network) -> None:
    await network.apply({"vrf": [{"name": "blue"}]})
    kinds = "ipv4, ipv6_wan, ipv6_pd, cvlan, ipv4_routed, ipv6_routed"
    no_pool, no_vrf, no_kind, no_state, no_place, no_plan = (
        "there is no pool 'nope'",
        "there is no VRF 'nix'",
        f"kind: 'foo' is none of {kinds}",
        "state: 'lost' is none of assigned, reserved, quarantine",
        "location: no premise is known as 'LOC-9'",
        "plan: there is no address plan 'gold'",
    )
    bng = "pool at-the-bng is handed out by the BNG, which knows it as POOL-A"
    lines = {
        "100.64.0.9,nope,nix,foo,,,,": [no_kind, no_pool, no_vrf],
        "192.0.2.1,,nix,foo,,,,": [no_kind, "192.0.2.1 lies outside every pool", no_vrf],
        "100.64.0.9,,blue,foo,,,,": [no_kind, "100.64.0.9 lies outside every pool of VRF blue"],
        "x,nope,nix,foo,lost,5,LOC-9,gold": [
            "'x' is not an IPv4 or IPv6 address",
            no_state,
            no_kind,
            no_place,
            no_plan,
            no_pool,
            no_vrf,
        ],
        "100.64.0.9,nope,,,lost,,LOC-9,gold": [
            no_state,
            "whose it is takes customer_id, location, plan: customer_id is missing",
            no_place,
            no_plan,
            no_pool,
        ],
        "100.64.0.9,,,,reserved,5,LOC-9,gold": [
            "what is reserved is nobody's: leave its owner out, or its state",
            no_place,
            no_plan,
        ],
        "192.0.2.1,cgnat,blue,ipv6_pd,,,,": [
            "pool cgnat is in VRF default, not in blue",
            "pool cgnat is of kind ipv4, not ipv6_pd",
            "192.0.2.1 lies outside pool cgnat (100.64.0.0/28)",
        ],
        "2001:db8:2000::/60,,,ipv6_wan,,,,": [
            "pool pd is of kind ipv6_pd, not ipv6_wan",
            "2001:db8:2000::/60 is nothing that pool pd hands out (/56 of 2001:db8:2000::/48)",
        ],
        "x,at-the-bng,blue,cvlan,,,,": [
            "'x' is no VLAN number 2..4094 (IEEE 802.1Q)",
            "pool at-the-bng is in VRF default, not in blue",
            "pool at-the-bng is of kind ipv4, not cvlan",
            bng,
        ],
        "300,cgnat,nix,,,,,": [no_vrf, "300 is no address, and pool cgnat has no C-VLANs"],
        "300,,nix,,,,,": ["300 is a C-VLAN of many: say of which pool, such as metro/210", no_vrf],
    }
    found = await network.faults("\n".join(["value,pool,vrf,kind,state,customer_id,location,plan", *lines]) + "\n")

    assert found == dict(enumerate(lines.values(), start=2))


async def test_a_location_without_an_owner_says_nothing_in_a_list_of_another_system(network: Network) -> None:
    counts = await network.bring_in("ip_address,location\n100.64.0.9/28,Rack 5\n", "netbox")

    assert counts["reserved"] == 1


async def test_what_is_refused_in_a_line_is_not_said_to_be_missing_besides(network: Network) -> None:
    found = await network.faults(
        "value,kind,customer_id,username,location,plan,cvlan\n"
        "100.64.0.300,,5,ada,LOC-1,fiber-100,\n"  # whatever it was to be, it may be what ada needs
        "2001:db8:1000:2::1/64,ipv6_wan,6,bob,LOC-1,fiber-100,\n"
        "100.64.0.5,,6,bob,LOC-1,fiber-100,\n"
        "2001:db8:2000:500::/56,,7,carl,LOC-9,fiber-100,\n"
        "100.64.0.6,,7,carl,LOC-1,fiber-100,\n"
        "203.0.113.2,,8,dora,LOC-2,business,4095\n"
        "100.64.0.7,,5,ada,LOC-1,fiber-100,\n"
        "10.0.0.1,,9,,LOC-1,fiber-100,\n"
        "2001:db8:1000:3::/64,,9,,LOC-1,fiber-100,\n"
    )

    wan6, pd = (
        f"plan fiber-100 needs something of {which} at LOC-1, too; no line has it"
        for which in ("an IPv6 WAN pool", "a pool of delegated prefixes")
    )
    assert found == {
        2: ["'100.64.0.300' is not an IPv4 or IPv6 address"],
        3: ["'2001:db8:1000:2::1/64' has host bits set; do you mean 2001:db8:1000:2::/64?", pd],
        5: ["location: no premise is known as 'LOC-9'"],
        6: [wan6],
        7: ["cvlan: '4095' is no VLAN number 2..4094 (IEEE 802.1Q)"],
        9: ["10.0.0.1 lies outside every pool", pd],
    }


async def test_a_service_whose_first_line_is_refused_may_have_given_something_back_elsewhere(network: Network) -> None:
    found = await network.faults(
        "value,state,customer_id,username,location,plan,available_at\n"
        "9.9.9.9,assigned,5,ada,LOC-1,fiber-100,\n"
        "100.64.0.5,quarantine,5,ada,LOC-3,fiber-100,2030-01-02T00:00:00Z\n"
    )

    assert found == {2: ["9.9.9.9 lies outside every pool"]}


async def test_a_quarantine_that_is_over_before_it_began_is_refused(network: Network) -> None:
    whose, names = "quarantine,5,LOC-1,fiber-100", "value,state,customer_id,location,plan,since,available_at\n"
    found = await network.faults(
        f"{names}100.64.0.5,{whose},2029-11-01T00:00:00Z,2029-10-01T00:00:00Z\n"
        f"100.64.0.7,{whose},2029-11-01T00:00:00Z,2029-11-01T00:00:00Z\n"
    )

    assert found == {
        2: ["available_at: 2029-10-01 00:00:00 UTC is before 2029-11-01 00:00:00 UTC, when it was given back (since)"],
    }


async def test_what_is_given_back_now_rests_from_now_on(network: Network) -> None:
    whose, names = (
        "quarantine,5,LOC-1,fiber-100",
        "value,state,customer_id,location,plan,available_at,sticky_until,since\n",
    )
    found = await network.faults(
        f"{names}100.64.0.5,{whose},2020-01-01T00:00:00Z,,\n"
        f"100.64.0.6,{whose},2030-01-02T00:00:00Z,2029-12-31T00:00:00Z,\n"
        f"100.64.0.7,{whose},2020-01-01T00:00:00Z,2018-12-31T00:00:00Z,2019-01-01T00:00:00Z\n"
    )

    now = "2030-01-01 12:00:00 UTC, and that is when it was given back where since is left out: say since when it rests"
    assert found == {
        2: [f"available_at: 2020-01-01 00:00:00 UTC is before {now}"],
        3: [f"sticky_until: 2029-12-31 00:00:00 UTC is before {now}"],
        4: ["sticky_until: 2018-12-31 00:00:00 UTC is before 2019-01-01 00:00:00 UTC, when it was given back (since)"],
    }
    rests = f"{names}100.64.0.5,{whose},2030-01-01T12:00:00Z,,\n100.64.0.6,{whose},2030-01-02T00:00:00Z,,\n"
    rests += f"100.64.0.7,{whose},2020-01-01T00:00:00Z,,2019-01-01T00:00:00Z\n"
    assert (await network.bring_in(rests))["quarantine"] == 3
    assert (await network.bring_in(rests))["unchanged"] == 3
    assert await network.violations() == []


async def test_a_time_that_has_not_come_or_that_history_knows_better_is_refused(network: Network) -> None:
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="kept")
    network.clock.forward(hours=1)
    await network.keep("unreserve", pool="cgnat", value="100.64.0.6", note="not any more")

    found = await network.faults(
        "value,since\n100.64.0.5,2030-01-02T00:00:00Z\n100.64.0.6,2030-01-01T12:30:00Z\n100.64.0.7,2030-01-01T12:30:00Z\n"
    )

    assert found == {
        2: ["since: 2030-01-02 00:00:00 UTC has not come yet"],
        3: ["since: 100.64.0.6 had another story until 2030-01-01 13:00:00 UTC (see its history)"],
    }


async def test_addresses_of_other_systems_are_kept_for_nobody_unless_a_mapping_says_whose_they_are(
    empty: Network,
) -> None:
    await empty.apply(
        one_pool("100.64.0.0/24", exclude=["100.64.0.1"]) | {"plan": [{"name": "fiber-100", "access": "pppoe"}]}
    )
    file = (
        "IP Address,VRF,Status,Description\n"
        "100.64.0.5/24,Global,Active,Ada Byron\n"
        "100.64.0.6/24,Global,Active,Bob Hill\n"
        "100.64.0.9/24,Global,Active,printer\n"
    )
    prefixes = (
        "prefix,status,description\n"
        "100.64.0.0/16,active,everything\n"
        "100.64.0.0/24,active,the pool itself\n"
        "100.64.0.8/30,reserved,the museum\n"
    )
    mapping = "address,customer_id,location,plan,username\n100.64.0.6,6,LOC-1,fiber-100,bob@isp\n"

    counts = await empty.bring_in(file, "netbox", mapping)
    assert (counts["services"], counts["assigned"], counts["reserved"]) == (1, 1, 2)
    counts = await empty.bring_in(prefixes, "netbox")
    assert (counts["reserved"], counts["updated"], counts["unchanged"], counts["skipped"]) == (3, 0, 1, 2)
    again = await empty.bring_in(file, "netbox", mapping)
    assert (again["updated"], again["unchanged"]) == (0, 3)

    exported = (await empty.export()).splitlines()
    assert [line.split(",")[3:8] + line.split(",")[12:] for line in exported[1:]] == [
        ["100.64.0.5", "reserved", "", "", "", "imported from NetBox: Ada Byron"],
        ["100.64.0.6", "assigned", "6", "bob@isp", "LOC-1", ""],
        ["100.64.0.8", "reserved", "", "", "", "imported from NetBox: the museum (reserved)"],
        ["100.64.0.9", "reserved", "", "", "", "imported from NetBox: printer"],
        *(
            ["100.64.0." + n, "reserved", "", "", "", "imported from NetBox: the museum (reserved)"]
            for n in ("10", "11")
        ),
    ]
    assert await empty.violations() == []


async def test_an_owner_who_is_half_known_is_refused_whatever_system_and_mapping_say_it(network: Network) -> None:
    lacks = "whose it is takes customer_id, location, plan: {} is missing"
    netbox = "IP Address,Description,cf_customer_id,cf_location,cf_plan\n"
    netbox += "100.64.0.5/28,cust seven,7,,fiber-100\n100.64.0.6/28,cust eight,8,LOC-3,\n100.64.0.7/28,printer,,,\n"
    assert await network.faults(netbox, "netbox") == {2: [lacks.format("location")], 3: [lacks.format("plan")]}
    rows = "username,attribute,op,value\nbob,Framed-IP-Address,:=,100.64.0.5\n"
    mapping = "username,customer_id,location,plan\nbob,6,LOC-3,\n"
    assert await network.faults(rows, "radreply", mapping) == {2: [lacks.format("plan")]}
    wrong = "ip address,customer_id,plan\n100.64.0.5,x,fiber-100\n"
    assert await network.faults(wrong, "phpipam") == {
        2: ["customer_id: 'x' is no positive whole number", lacks.format("location")]
    }
    counts = await network.bring_in("ip address,location\n100.64.0.5,Rack 7\n", "phpipam")  # a column of its own
    assert counts["reserved"] == 1


@pytest.mark.both_databases
async def test_what_a_mapping_has_that_is_in_no_line_is_counted_and_named(network: Network) -> None:
    rows = "username,attribute,op,value\nalice,Framed-IP-Address,:=,100.64.0.5\ncarl,Framed-IP-Netmask,:=,255.0.0.0\n"
    mapping = "username,address,customer_id,location,plan\nAlice,,5,LOC-3,fiber-100\ncarl,,6,LOC-3,fiber-100\n"
    counts = await network.bring_in(rows, "radreply", mapping + "bob,100.64.0.9,7,LOC-3,fiber-100\n")
    assert (counts["mapping_unused"], counts["first_unused"]) == (3, ["100.64.0.9", "Alice", "carl"])
    kept = await network.bring_in("value,state\n100.64.0.9,reserved\n", mapping="address\n100.64.0.9\n")
    assert (kept["reserved"], kept["mapping_unused"], kept["first_unused"]) == (1, 0, [])
    mapping = "address,username\n100.64.0.10,dora\n"
    used = await network.bring_in("IP Address\n100.64.0.10/28\n", "netbox", mapping)
    assert (used["mapping_unused"], used["first_unused"]) == (0, [])
    mapping = "address,username,customer_id,location,plan\n100.64.0.11,,5,LOC-3,fiber-100\n"
    mapping += ",eva,5,LOC-3,fiber-100\n,fred,6,LOC-3,fiber-100\n"
    headers: dict[ImportSource, str] = {"csv": "value,username", "phpipam": "ip address,username"}
    for source, header in headers.items():
        file = read_import(lines_of(f"{header}\n100.64.0.11,eva\n"), source, read_mapping(lines_of(mapping)))
        assert file.unused == ["fred"]


async def test_a_mapping_beside_a_file_of_ours_says_whose_its_addresses_are(empty: Network) -> None:
    await empty.apply(one_pool())
    mapping = "address,customer_id,location,plan,username\n192.0.2.5,5,LOC-1,fiber-100,ada@isp\n"

    counts = await empty.bring_in("value\n192.0.2.5\n192.0.2.6\n", mapping=mapping)

    assert (counts["services"], counts["assigned"], counts["reserved"]) == (1, 1, 1)
    assert [line.split(",")[3:8] for line in (await empty.export()).splitlines()[1:]] == [
        ["192.0.2.5", "assigned", "5", "ada@isp", "LOC-1"],
        ["192.0.2.6", "reserved", "", "", ""],
    ]
    assert await empty.violations() == []


@pytest.mark.parametrize("prefix_first", [True, False])
async def test_who_has_an_address_has_it_also_where_a_prefix_of_nobody_s_lies_around_it(
    empty: Network, prefix_first: bool
) -> None:
    await empty.apply(one_pool())
    lines = [",192.0.2.8/30,reserved,the museum,,,", "192.0.2.9/28,,active,Ada Byron,5,LOC-1,fiber-100"]
    lines = lines if prefix_first else lines[::-1]
    file = "\n".join(["IP Address,Prefix,Status,Description,customer_id,location,plan", *lines]) + "\n"

    counts = await empty.bring_in(file, "netbox")

    assert (counts["services"], counts["assigned"], counts["reserved"]) == (1, 1, 3)
    assert [line.split(",")[3:6] for line in (await empty.export()).splitlines()[1:]] == [
        ["192.0.2.8", "reserved", ""],
        ["192.0.2.9", "assigned", "5"],
        ["192.0.2.10", "reserved", ""],
        ["192.0.2.11", "reserved", ""],
    ]
    again = await empty.bring_in(file, "netbox")
    assert (again["unchanged"], again["services"]) == (4, 0)
    twice = file + "192.0.2.9/28,,active,Bob Hill,6,LOC-1,fiber-100\n"
    line = 3 if prefix_first else 2
    assert await empty.faults(twice, "netbox") == {4: [f"192.0.2.9 of pool cgnat stands in line {line} already"]}
    assert await empty.violations() == []


async def test_what_a_system_calls_something_else_by_now_is_called_so_here_and_its_history_says_both(
    network: Network,
) -> None:
    file = "IP Address,Description\n100.64.0.9/28,printer\n100.64.0.10/28,\n100.64.0.11/28,scanner\n"
    await network.bring_in(file, "netbox")
    await network.keep("reserve", pool="cgnat", value="100.64.0.12", note="by hand")
    network.clock.forward(minutes=5)
    renamed = file.replace("printer", "plotter").replace("10/28,", "10/28,camera")

    counts = await network.bring_in(renamed, "netbox")

    assert (counts["reserved"], counts["updated"], counts["unchanged"]) == (0, 2, 1)
    history = await network.keep("history", pool="cgnat", value="100.64.0.9")
    assert [(each["at"], each["what"], each["note"]) for each in history] == [
        (STARTED_AT, "reserved", "imported from NetBox: printer"),
        (network.clock(), "reserved", "imported from NetBox: plotter"),
    ]
    assert [line.split(",")[12] for line in (await network.export("cgnat")).splitlines()[1:]] == [
        "imported from NetBox: plotter",
        "imported from NetBox: camera",
        "imported from NetBox: scanner",
        "by hand",
    ]
    others = "ip address,description,username\n100.64.0.9,modem,ada\n100.64.0.12,modem,ada\n"
    assert await network.faults(others, "phpipam") == {
        2: ["100.64.0.9 of pool cgnat is reserved (imported from NetBox: plotter)"],
        3: ["100.64.0.12 of pool cgnat is reserved (by hand)"],
    }
    assert await network.violations() == []


@pytest.mark.parametrize("prefix_first", [True, False])
async def test_the_words_of_an_address_count_more_than_those_of_the_prefix_around_it(
    empty: Network, prefix_first: bool
) -> None:
    await empty.apply(one_pool())
    lines = [",192.0.2.8/31,the museum", "192.0.2.9/28,,printer"]
    lines = lines if prefix_first else lines[::-1]
    file = "\n".join(["IP Address,Prefix,Description", *lines]) + "\n"
    await empty.bring_in(file, "netbox")

    counts = await empty.bring_in(file.replace("printer", "plotter"), "netbox")

    assert (counts["updated"], counts["unchanged"]) == (1, 1)
    assert [line.split(",")[12] for line in (await empty.export()).splitlines()[1:]] == [
        "imported from NetBox: the museum",
        "imported from NetBox: plotter",
    ]


async def test_what_netbox_was_given_by_us_comes_back_in_its_later_lists(network: Network) -> None:
    held = await network.allocate(1, ip_address="100.64.0.4")
    gone = await network.allocate(2, ip_address="100.64.0.5")
    await network.release(gone["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="by hand")
    before = await network.export()

    shapes: dict[ExportShape, int] = {"netbox-addresses": 3, "netbox-prefixes": 4}
    for shape, lines in shapes.items():
        counts = await network.bring_in(await network.export(shape=shape), "netbox")
        assert {name: number for name, number in counts.items() if number} == {"lines": lines, "unchanged": lines}
    around = await network.bring_in("Prefix,Description\n100.64.0.4/30,customers\n", "netbox")
    assert (around["reserved"], around["unchanged"]) == (1, 3)
    await network.keep("unreserve", pool="cgnat", value="100.64.0.7", note="it was only to try")

    assert await network.export() == before
    another = "IP Address,username,customer_id,location,plan\n"
    another += "".join(f"100.64.0.{n}/28,eve,9,LOC-3,fiber-100\n" for n in (4, 5, 6))
    whose = f"held by service {held['service_id']} ({held['username']}, customer 1)"
    found = await network.faults(another, "netbox")
    assert found[2][-1] == f"100.64.0.4 of pool cgnat is {whose}"
    assert found[3][-1] == "100.64.0.5 of pool cgnat is in quarantine until 2030-01-01 13:00:00 UTC"
    assert found[4][-1] == "100.64.0.6 of pool cgnat is reserved (by hand)"
    network.clock.forward(hours=2)
    rested = await network.bring_in("IP Address,Description\n100.64.0.5/28,printer\n", "netbox")
    assert (rested["reserved"], rested["unchanged"]) == (1, 0)
    assert await network.violations() == []


async def test_what_was_kept_for_nobody_becomes_a_service_s_once_the_same_system_knows_whose_it_is(
    empty: Network,
) -> None:
    await empty.apply(one_pool())
    netbox = "IP Address,Description\n192.0.2.5/24,Ada Byron\n192.0.2.6/24,printer\n"
    await empty.bring_in(netbox, "netbox")
    radreply = "username,attribute,op,value\nbob,Framed-IP-Address,:=,192.0.2.7\n"
    await empty.bring_in(radreply, "radreply")
    await empty.keep("reserve", pool="cgnat", value="192.0.2.8", note="by hand")
    empty.clock.forward(minutes=5)

    owners = "address,customer_id,location,plan,username\n192.0.2.5,5,LOC-1,fiber-100,ada\n"
    counts = await empty.bring_in(netbox, "netbox", owners)
    assert (counts["services"], counts["assigned"], counts["unchanged"]) == (1, 1, 1)
    counts = await empty.bring_in(radreply, "radreply", "username,customer_id,location,plan\nbob,6,LOC-1,fiber-100\n")
    assert (counts["services"], counts["assigned"]) == (1, 1)

    history = await empty.keep("history", pool="cgnat", value="192.0.2.5")
    assert [(each["at"], each["what"], each["username"], each["note"]) for each in history] == [
        (STARTED_AT, "reserved", None, "imported from NetBox: Ada Byron"),
        (empty.clock(), "unreserved", None, "imported from NetBox: Ada Byron"),
        (empty.clock(), "assigned", "ada", "imported from NetBox: Ada Byron"),
    ]
    assert [line.split(",")[3:7] for line in (await empty.export()).splitlines()[1:]] == [
        ["192.0.2.5", "assigned", "5", "ada"],
        ["192.0.2.6", "reserved", "", ""],
        ["192.0.2.7", "assigned", "6", "bob"],
        ["192.0.2.8", "reserved", "", ""],
    ]
    assert (await empty.bring_in(netbox, "netbox", owners))["unchanged"] == 2
    others = "value,customer_id,username,location,plan\n192.0.2.6,9,eve,LOC-1,fiber-100\n"
    assert (await empty.faults(others))[2] == ["192.0.2.6 of pool cgnat is reserved (imported from NetBox: printer)"]
    by_hand = "IP Address,customer_id,location,plan\n192.0.2.8/24,9,LOC-1,fiber-100\n"
    assert (await empty.faults(by_hand, "netbox"))[2] == ["192.0.2.8 of pool cgnat is reserved (by hand)"]
    assert await empty.violations() == []


async def test_what_radreply_keeps_for_one_name_does_not_become_another_s_service_s(empty: Network) -> None:
    await empty.apply(one_pool())
    rows = "username,attribute,op,value\nbob,Framed-IP-Address,:=,192.0.2.7\n"
    await empty.bring_in(rows, "radreply")
    mapping = "username,customer_id,location,plan\neve,9,LOC-1,fiber-100\n"
    assert await empty.faults(rows.replace("bob", "eve"), "radreply", mapping) == {
        2: ["192.0.2.7 of pool cgnat is reserved (imported from radreply: bob)"]
    }


async def test_what_radreply_has_given_to_one_name_is_not_another_s_for_the_asking(network: Network) -> None:
    alice = "username,attribute,op,value\nalice,Framed-IP-Address,:=,100.64.0.5\n"
    await network.bring_in(alice, "radreply")

    assert await network.faults(alice.replace("alice", "bob"), "radreply") == {
        2: ["100.64.0.5 of pool cgnat is reserved (imported from radreply: alice)"]
    }
    assert (await network.bring_in(alice, "radreply"))["unchanged"] == 1


async def test_of_a_radius_database_what_no_pool_holds_and_nobody_owns_is_left_out_and_counted(
    network: Network,
) -> None:
    given = [("ext@isp", "100.64.0.5"), *((f"mgmt{n}", f"10.255.0.{n}") for n in range(1, 8))]
    rows = [(name, "Framed-IP-Address", ":=", address) for name, address in given]
    async with network.database.begin() as db:
        counts = await network.inventory(db).bring_in(reply_file(rows))
    assert (counts["lines"], counts["reserved"], counts["skipped"], counts["outside_pools"]) == (8, 1, 7, 7)
    assert counts["first_outside"] == [f"mgmt{n} 10.255.0.{n}" for n in range(1, 6)]

    mapping = read_mapping(["username,customer_id,location,plan\n", "mgmt2,5,LOC-3,fiber-100\n"])
    async with network.database.read() as db:
        wrong = [("late", "Framed-IP-Address", ":=", "100.72.0.5")]
        checked = await network.inventory(db).check(reply_file([*rows, *wrong], mapping))
    assert checked.faults == {
        4: ["10.255.0.2 lies outside every pool"],
        10: ["pool at-the-bng is handed out by the BNG, which knows it as POOL-A"],
    }
    twice = [("ann", "Framed-IP-Address", ":=", "100.64.0.9"), ("bob", "Framed-IP-Address", ":=", "100.64.0.9")]
    with pytest.raises(ImportRefused) as refused:
        async with network.database.begin() as db:
            await network.inventory(db).bring_in(reply_file([*twice, ("eve", "framed-ip-address", "=", "garbage")]))
    assert refused.value.faults == (
        ("bob's Framed-IP-Address", "100.64.0.9 of pool cgnat stands in ann's Framed-IP-Address already"),
        ("eve's framed-ip-address", "'garbage' is not an IPv4 or IPv6 address"),
    )
    text = "username,attribute,op,value\nmgmt,Framed-IP-Address,:=,10.255.0.1\n"
    assert await network.faults(text, "radreply") == {2: ["10.255.0.1 lies outside every pool"]}
    assert await network.violations() == []


@pytest.mark.both_databases
async def test_a_route_around_a_pool_is_refused_and_a_default_route_is_left_out(network: Network) -> None:
    routes = [("around", "203.0.112.0/22"), ("everything", "0.0.0.0/0"), ("elsewhere", "10.255.0.0/29")]
    rows = [(name, "Framed-Route", ":=", f"{route} 0.0.0.0 1") for name, route in routes]
    around = {name: "2001:db8::/32" for name in ("Framed-IPv6-Route", "Delegated-IPv6-Prefix")}
    rows += [("around", name, ":=", prefix) for name, prefix in around.items()]

    with pytest.raises(ImportRefused) as refused:
        async with network.database.begin() as db:
            await network.inventory(db).bring_in(reply_file(rows))
    async with network.database.begin() as db:
        counts = await network.inventory(db).bring_in(reply_file(row for row in rows if row[0] != "around"))

    assert refused.value.faults == (
        ("around's Framed-Route", "203.0.112.0/22 lies in no pool, but pools lie in it"),
        *((f"around's {name}", f"{prefix} lies in no pool, but pools lie in it") for name, prefix in around.items()),
    )
    assert (counts["reserved"], counts["outside_pools"]) == (0, 2)
    assert counts["first_outside"] == ["everything 0.0.0.0/0", "elsewhere 10.255.0.0/29"]


async def test_what_another_system_keeps_and_a_pool_leaves_out_stands_as_it_is(network: Network) -> None:
    file = "IP Address,Description\n100.64.0.1/28,gateway\n100.64.0.9/28,printer\n"

    counts = await network.bring_in(file, "netbox")

    assert (counts["reserved"], counts["unchanged"]) == (1, 1)
    assert await network.faults("value,state\n100.64.0.1,reserved\n") == {
        2: ["100.64.0.1 of pool cgnat is excluded: gateway"]
    }
    assert await network.violations() == []


async def test_an_address_within_a_prefix_that_is_handed_out_whole_keeps_all_of_it(network: Network) -> None:
    file = "ip address,description\n2001:db8:1000:2::1,router\n2001:db8:1000:2::2,printer\n"
    counts = await network.bring_in(file, "phpipam")
    assert (counts["reserved"], counts["lines"]) == (1, 2)
    assert "2001:db8:1000:2::/64,reserved,,,,,2030-01-01T12:00:00Z,,,imported from phpIPAM: router" in (
        await network.export("wan6")
    )


async def test_an_ipv6_address_of_radreply_holds_the_prefix_in_which_it_lies(network: Network) -> None:
    rows = (
        "username,attribute,op,value\n"
        "ada,Framed-IP-Address,:=,100.64.0.5\n"
        "ada,Framed-IPv6-Prefix,:=,2001:db8:1000:2::/64\n"
        "ada,Framed-IPv6-Address,:=,2001:db8:1000:2::1\n"
        "ada,Delegated-IPv6-Prefix,:=,2001:db8:2000:500::/56\n"
        "bob,framed-ipv6-address,:=,2001:db8:1000:3::1\n"
        "carl,Framed-IPv6-Address,:=,2001:db8:2000:601::1\n"
    )
    owner = "username,customer_id,location,plan\nada,5,LOC-1,fiber-100\n"

    for mapping in ("username\n", owner):
        counts = await network.bring_in(rows, "radreply", mapping)
        assert (counts["lines"], counts["skipped"]) == (6, 0)

    assert (counts["services"], counts["assigned"], counts["unchanged"]) == (1, 3, 2)
    assert sorted(line.split(",")[3:7] for line in (await network.export()).splitlines()[1:]) == [
        ["100.64.0.5", "assigned", "5", "ada"],
        ["2001:db8:1000:2::/64", "assigned", "5", "ada"],
        ["2001:db8:1000:3::/64", "reserved", "", ""],
        ["2001:db8:2000:500::/56", "assigned", "5", "ada"],
        ["2001:db8:2000:600::/56", "reserved", "", ""],
    ]
    wrong = "username,attribute,op,value\nada,Framed-IPv6-Address,:=,100.64.0.6\n"
    wrong += "eve,Framed-IPv6-Prefix,:=,2001:db8:1000:4::/64\neve2,Framed-IPv6-Address,:=,2001:db8:1000:4::1\n"
    wrong += "eve2,Framed-IPv6-Address,:=,2001:db8:1000:2::2\n"
    found = await network.faults(wrong, "radreply")
    assert found[2][0] == "Framed-IPv6-Address takes an IPv6 address (RFC 6911 s3.1)"
    assert found[4] == ["2001:db8:1000:4::/64 of pool wan6 stands in line 3 already"]
    assert found[5][0].startswith("2001:db8:1000:2::/64 of pool wan6 is held by service 1")
    assert await network.violations() == []


async def test_a_c_vlan_is_computed_named_in_a_column_or_missing(empty: Network) -> None:
    bound = [{"access_node": "OLT-2", "port": "0/2/0"}]
    computed = {"group": "metro", "vid": 210, "cvlans": ["2-4094"], "cvlan_formula": "onu + 100", "bindings": bound}
    network = small(
        location=[{"id": f"LOC-{onu}", "access_node": "OLT-2", "port": "0/2/0", "onu": onu} for onu in (1, 2, 3)]
        + [{"id": "LOC-9", "access_node": "OLT-2", "port": "0/2/0"}],
        svlan=[computed],
    )
    await empty.apply(network | {"plan": one_pool()["plan"], "pool": network["pool"][:1]})
    given = {"ada": "100.64.0.5", "bob": "100.64.0.6"}
    rows = "username\tattribute\top\tvalue\n"
    rows += "".join(f"{name}\tFramed-IP-Address\t:=\t{address}\n" for name, address in given.items())
    mapping = "username,customer_id,location,plan,cvlan\nada,1,LOC-1,fiber-100,\nbob,2,LOC-2,fiber-100,{bob}\n"

    assert await empty.faults(rows, "radreply", mapping.format(bob="101")) == {
        3: ["101 of pool metro/210 stands in line 2 already"]
    }
    await empty.bring_in(rows, "radreply", mapping.format(bob="300"))

    held = {line.split(",")[6]: line.split(",")[3] for line in (await empty.export("metro/210")).splitlines()[1:]}
    assert held == {"ada": "101", "bob": "300"}
    assert await empty.faults("value,customer_id,location,plan\n100.64.0.7,3,LOC-9,fiber-100\n") == {
        2: [
            "The C-VLAN of LOC-9 in S-VLAN metro/210 is onu + 100, but its onu is not known."
            " Enter the port and ONU of the premise."
        ]
    }
    assert await empty.violations() == []


async def test_a_service_without_a_username_gets_the_one_that_it_would_have_here(empty: Network) -> None:
    await empty.apply(one_pool())
    await empty.bring_in("value,customer_id,location,plan\n192.0.2.5,5,LOC-1,fiber-100\n")
    given = await empty.allocate(6)

    async with empty.database.begin() as db:
        names = list(await db.scalars(select(Service.username).order_by(Service.service_id)))
    assert names == ["c5-s1@isp.example", given["username"]]
    assert given["service_id"] == 2


async def test_a_service_that_has_ended_is_not_brought_back_by_a_file(empty: Network) -> None:
    await empty.apply(one_pool(quarantine_seconds=0))
    file = "value,customer_id,username,location,plan\n192.0.2.5,5,ada,LOC-1,fiber-100\n"
    await empty.bring_in(file)
    await empty.release(1)
    empty.clock.forward(minutes=1)

    assert await empty.faults(file) == {2: ["username ada was service 1's, which has been released"]}
    await empty.bring_in(file.replace("ada", "ada-2"))  # the same subject, and it has rested
    assert await empty.violations() == []


async def test_a_username_of_another_isp_on_the_same_database_is_refused_without_telling_whose_it_is(
    empty: Network,
) -> None:
    other = Network(empty.database, tenant_id="other")
    for isp in (empty, other):
        await isp.apply(one_pool())
    names = "value,customer_id,username,location,plan\n"
    await empty.bring_in(
        names + "192.0.2.5,5,ada,LOC-1,fiber-100\n192.0.2.6,6,bob,LOC-1,fiber-100\n192.0.2.7,7,,LOC-1,fiber-100\n"
    )
    file = names + "".join(
        f"192.0.2.{number},{number},{name},LOC-1,fiber-100\n"
        for number, name in ((5, "bob"), (6, "carl"), (7, "dora"), (8, "ada"), (9, "eve"))
    )
    tried = read_import(lines_of(file), "csv")
    async with other.database.read() as db:
        assert (await other.inventory(db).check(tried)).faults == {}  # what they have is not ours to read
    with pytest.raises(ImportRefused) as refused:
        await other.bring_in(file)
    words = "username {} is a service's of another ISP, on the same database"
    assert refused.value.by_line == {2: (words.format("bob"),), 5: (words.format("ada"),)}
    assert (await other.export()).splitlines()[1:] == []
    assert (await other.bring_in(file.replace("bob", "bob2").replace("ada", "ada2")))["services"] == 5
    assert await other.violations() == []


async def test_of_usernames_that_another_isp_has_some_are_named_where_there_are_many(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_services, "MOST_TAKEN", 3)
    other = Network(empty.database, tenant_id="other")
    file = "value,customer_id,username,location,plan\n"
    file += "".join(f"192.0.2.{n},{n},u{n},LOC-1,fiber-100\n" for n in range(5, 15))
    for isp in (empty, other):
        await isp.apply(one_pool())
    await empty.bring_in(file)
    with pytest.raises(ImportRefused) as refused:
        await other.bring_in(file)
    assert [*refused.value.by_line] == [2, 3, 4]


async def test_65536_addresses_come_in_at_once_and_what_is_left_between_them_is_free(empty: Network) -> None:
    await empty.apply(one_pool("10.0.0.0/15"))
    units = [unit for unit in range(1, 2**17) if unit % 65][:65536]
    owners = {unit: f"{unit},u{unit}@isp,LOC-1,fiber-100" for unit in units[::16]}
    lines = [f"10.{unit >> 16}.{unit >> 8 & 255}.{unit & 255},{owners.get(unit, ',,,')}" for unit in units]

    counts = await empty.bring_in("\n".join(["value,customer_id,username,location,plan", *lines]))

    assert (counts["assigned"], counts["reserved"], counts["services"]) == (4096, 61440, 4096)
    async with empty.database.begin() as db:
        rows = select(Allocation.state, func.count()).group_by(Allocation.state)
        assert {state: number for state, number in await db.execute(rows)} == {"assigned": 4096, "reserved": 61440}
        assert await db.scalar(select(func.count()).select_from(AllocationEvent)) == 65536
        holes = select(func.count()).select_from(FreeRange).join(Pool, Pool.id == FreeRange.pool_id)
        holes = holes.where(Pool.name == "cgnat", FreeRange.last_unit < units[-1])
        assert await db.scalar(holes) == units[-1] // 65
    usage = await empty.usage("cgnat")
    assert (usage["size"], usage["free"]) == (2**17 - 2, 2**17 - 2 - 65536)
    assert (await empty.allocate(70000))["ip_address"] not in {line.partition(",")[0] for line in lines}
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_the_planner_knows_of_many_that_came_in_and_nobody_tells_it_of_none_meanwhile(empty: Network) -> None:
    await empty.apply(one_pool("10.0.0.0/20"))
    lines = ["value", *(f"10.0.{unit >> 8}.{unit & 255}" for unit in range(1, 3001))]
    async with empty.database.begin() as db:
        await empty.inventory(db).bring_in(read_import(lines, "csv", read_mapping(["username"])))
        with pytest.raises(DBAPIError, match="lock timeout"):
            async with empty.database.begin() as other:
                await other.execute(text("SET LOCAL lock_timeout = '50ms'"))
                await other.execute(text("ANALYZE ipam_allocation"))
    async with empty.database.begin() as db:
        known = text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)")
        believed = [await db.scalar(known, {"name": name}) for name in ("ipam_allocation", "ipam_allocation_event")]
    assert believed == [3000, 3000]


async def test_free_space_in_as_many_pieces_as_can_be_is_still_asked_for_and_handed_out(empty: Network) -> None:
    await empty.apply(one_pool("10.0.0.0/20"))
    await empty.bring_in("value\n" + "".join(f"10.0.{unit >> 8}.{unit & 255}\n" for unit in range(1, 4094, 2)))

    async with empty.database.begin() as db:
        free = select(func.sum(FreeRange.last_unit - FreeRange.next_unit + 1), func.count())
        of_pool = free.join(Pool, Pool.id == FreeRange.pool_id).where(Pool.name == "cgnat")
        units, ranges = (await db.execute(of_pool)).one()
    assert (int(units), ranges) == (2047, 2047)
    assert int((await empty.allocate(1))["ip_address"].rpartition(".")[2]) % 2 == 0
    assert await empty.violations() == []


async def test_who_allocates_meanwhile_never_gets_what_is_being_imported(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/26"))
    text = "value\n" + "".join(f"192.0.2.{n}\n" for n in range(20, 40))

    async def bring_in() -> ImportCounts | None:
        try:
            return await empty.bring_in(text)
        except ImportRefused:  # somebody was quicker with one of them
            return None

    async def allocate(customer_id: int) -> Any:
        return (await empty.allocate(customer_id))["ip_address"]

    brought, *given = await asyncio.gather(bring_in(), *map(allocate, range(1, 9)))

    if brought is None:
        assert (await empty.usage("cgnat"))["reserved"] == 0
    else:
        assert brought["reserved"] == 20
        assert not {f"192.0.2.{n}" for n in range(20, 40)} & {*given}
    assert len({*given}) == 8
    assert await empty.violations() == []


async def test_a_line_where_only_an_s_vlan_of_the_other_kind_is_bound_is_told_which(empty: Network) -> None:
    described = one_pool("192.0.2.0/28")
    described["svlan"] = [described["svlan"][1] | {"bindings": [{"bng": "bng-1"}]}]
    await empty.apply(described)

    found = await empty.faults(
        "value,kind,customer_id,username,location,plan,cvlan\n192.0.2.5,,5,ada,LOC-1,fiber-100,\n"
    )

    assert found == {
        2: [
            "plan fiber-100 needs an S-VLAN there, but none is bound. S-VLAN metro/210 is bound there, but has C-VLANs"
            ' (`cvlans`), one for each line. With `cvlan = "by_node"` a plan takes one that is shared at a node with'
            ' `vlan_model = "n1"`, as OLT-1 has it.'
        ]
    }
