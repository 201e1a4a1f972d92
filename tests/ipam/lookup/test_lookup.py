"""What an address is, where in a pool its units are used, and how full the pools of a place are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ipam import AddressLookup, LoggedBlock, NameUnknown, RequestInvalid, ServiceUnknown
from ipam.lookup import address_facts
from ipam.usage.occupation import by_cell, units_per_cell
from tests.ipam.conftest import STARTED_AT, Network, corrupt, one_pool, small


async def look(network: Network, verb: str, *asked: Any, **said: Any) -> Any:
    async with network.database.begin() as db:
        lookup = AddressLookup(db, tenant_id=network.tenant_id, now=network.clock)
        return await getattr(lookup, verb)(*asked, **said)


async def in_every_state(network: Network) -> dict[int, int]:
    """A pool of sixteen with one unit in each state; the services by the last number of their address."""
    await network.apply(one_pool("192.0.2.0/28", gateway="192.0.2.1", quarantine_seconds=60))
    services = dict[int, int]()
    for last in (2, 3, 4, 9):
        services[last] = (await network.allocate(last, ip_address=f"192.0.2.{last}"))["service_id"]
    for last in (3, 4):
        await network.release(services[last])
        network.clock.forward(seconds=40)
    await network.keep("reserve", pool="cgnat", value="192.0.2.5", note="for the museum")
    await network.keep("exclude", pool="cgnat", span="192.0.2.6", note="a printer has it")
    await network.keep("drain", pool="cgnat", span="192.0.2.8/29", note="goes south")
    return services


async def test_an_address_says_how_it_stands_who_has_it_and_what_has_become_of_it(empty: Network) -> None:
    services = await in_every_state(empty)

    facts = {last: await look(empty, "find", f"192.0.2.{last}") for last in range(1, 11)}

    assert {last: (each["state"], each["note"]) for last, each in facts.items()} == {
        1: ("excluded", "gateway"),
        2: ("assigned", None),
        3: ("free", None),  # it has rested
        4: ("cooling", None),
        5: ("reserved", "for the museum"),
        6: ("excluded", "excluded by hand (a printer has it)"),
        7: ("free", None),
        8: ("draining", "goes south"),
        9: ("assigned", None),
        10: ("draining", "goes south"),
    }
    assert (facts[2]["holder"]["service_id"], facts[2]["holder"]["customer_id"]) == (services[2], 2)
    assert facts[4]["holder"] is None and facts[4]["available_at"] is not None
    assert [event["what"] for event in facts[4]["history"]] == ["assigned", "released"]
    assert {(each["pool"], each["role"], each["network"]) for each in facts.values()} == {
        ("cgnat", "public", "192.0.2.0/28")
    }


@pytest.mark.both_databases
async def test_what_is_drained_says_since_when_alone_and_in_a_list(empty: Network) -> None:
    await in_every_state(empty)
    began = empty.clock()
    empty.clock.forward(hours=1)
    await empty.keep("undrain", pool="cgnat", span="192.0.2.8")
    await empty.keep("drain", pool="cgnat", span="192.0.2.0/30", note="goes east")
    later = empty.clock()

    alone = {last: (await look(empty, "find", f"192.0.2.{last}"))["drained_since"] for last in (2, 5, 8, 9, 10)}
    listed = (await look(empty, "find", "192.0.2.0/28"))["within"]
    left = await empty.keep("left_behind", pool="cgnat")

    assert alone == {2: later, 5: None, 8: None, 9: began, 10: began}
    assert {each["value"]: each["drained_since"] for each in listed} == {
        "192.0.2.2": later,
        "192.0.2.5": None,
        "192.0.2.9": began,
    }
    assert {each["value"]: each["drained_since"] for each in left} == {"192.0.2.2": later, "192.0.2.9": began}


async def test_what_cools_off_in_a_drained_part_says_since_when_it_is_drained(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    given = await empty.allocate(1, ip_address="192.0.2.9")
    began = empty.clock()
    await empty.keep("drain", pool="cgnat", span="192.0.2.8/29", note="goes south")
    empty.clock.forward(minutes=1)
    await empty.release(given["service_id"])

    [listed] = (await look(empty, "find", "192.0.2.0/28"))["within"]
    [left] = await empty.keep("left_behind", pool="cgnat")

    assert listed == left
    assert (left["state"], left["drained_since"]) == ("quarantine", began)


@pytest.mark.both_databases
async def test_what_no_pool_has_any_more_says_which_had_it_until_when_and_why_it_went(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))
    given = await empty.allocate(1, ip_address="192.0.2.2")
    await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south")
    await empty.release(given["service_id"])
    empty.clock.forward(hours=1)
    await empty.keep("retire", pool="cgnat", note="sold")

    found = {each: await look(empty, "find", each) for each in ("192.0.2.2", "192.0.2.9", "192.0.2.0/28", "192.0.3.2")}

    assert {each: (facts["state"], facts["note"]) for each, facts in found.items()} == {
        "192.0.2.2": ("unpooled", "pool cgnat had it until 2030-01-01 13:00:00 UTC (sold)"),
        "192.0.2.9": ("unpooled", "pool cgnat had it until 2030-01-01 12:00:00 UTC (to the south)"),
        "192.0.2.0/28": ("unpooled", "pool cgnat had it until 2030-01-01 12:00:00 UTC (to the south)"),
        "192.0.3.2": ("unpooled", None),
    }
    again = {"name": "next", "kind": "ipv4", "network": "192.0.2.0/28", "bindings": [{"bng": "bng-1"}]}
    await empty.apply({"pool": [again]})
    assert (await look(empty, "find", "192.0.2.9"))["note"] is None


async def test_what_neither_anybody_has_nor_is_free_is_told_as_lost(empty: Network) -> None:
    await in_every_state(empty)
    await corrupt(empty, "DELETE FROM ipam_free_range")

    facts = {last: await look(empty, "find", f"192.0.2.{last}") for last in (1, 3, 7, 10)}

    assert {last: each["state"] for last, each in facts.items()} == {
        1: "excluded",
        3: "free",
        7: "lost",
        10: "draining",
    }
    assert facts[7]["note"] == "nobody has it, and yet it isn't free: see `firstlight check` (ipam.partition)"
    assert (await look(empty, "state_of", pool="cgnat", value="192.0.2.7"))["state"] == "lost"


async def test_a_prefix_lists_what_is_held_in_it_and_one_that_is_handed_out_is_as_an_address(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")

    delegated = await look(network, "find", str(given["delegated_prefix"]))
    inside_of_it = await look(network, "find", str(given["delegated_prefix"]).replace("::/56", ":1::7"))
    several = await look(network, "find", "100.64.0.0/28")

    assert (delegated["state"], delegated["holder"]["service_id"]) == ("assigned", given["service_id"])
    assert (inside_of_it["value"], inside_of_it["pool"]) == (given["delegated_prefix"], "pd")
    assert (several["state"], several["holder"]) == ("several", None)
    assert [(each["value"], each["service_id"]) for each in several["within"]] == [
        (given["ip_address"], given["service_id"])
    ]
    assert (await look(network, "find", "100.72.0.9"))["state"] == "by the BNG"
    assert await look(network, "known_elsewhere", "100.72.0.9") == "bng"
    assert await look(network, "known_elsewhere", "100.64.0.9") is None
    assert (await look(network, "find", "198.51.100.7"))["state"] == "unpooled"
    with pytest.raises(RequestInvalid, match="host bits"):
        await look(network, "find", "100.64.0.1/28")


async def test_of_very_much_that_is_held_in_a_prefix_the_first_are_listed_and_all_are_counted(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_facts, "MOST_WITHIN", 3)
    await empty.apply(one_pool("192.0.2.0/28"))
    for last in (4, 1, 2):
        await empty.keep("reserve", pool="cgnat", value=f"192.0.2.{last}", note="for the museum")
    all_of_it = await look(empty, "find", "192.0.2.0/28")
    await empty.keep("reserve", pool="cgnat", value="192.0.2.3", note="for the zoo")
    first = await look(empty, "find", "192.0.2.0/28")

    assert (len(all_of_it["within"]), all_of_it["within_total"]) == (3, 3)
    assert [each["value"] for each in first["within"]] == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    assert first["within_total"] == 4


async def test_what_has_cooled_off_is_neither_listed_in_a_prefix_nor_counted(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_facts, "MOST_WITHIN", 2)
    await in_every_state(empty)
    cooling = await look(empty, "find", "192.0.2.0/28")
    empty.clock.forward(seconds=40)
    rested = await look(empty, "find", "192.0.2.0/28")

    assert [(each["value"], each["state"]) for each in cooling["within"]] == [
        ("192.0.2.2", "assigned"),
        ("192.0.2.4", "quarantine"),
    ]
    assert [each["value"] for each in rested["within"]] == ["192.0.2.2", "192.0.2.5"]
    assert (cooling["within_total"], rested["within_total"]) == (4, 3)


@pytest.mark.both_databases
async def test_what_cools_off_where_nobody_is_given_it_says_until_when(empty: Network) -> None:
    services = await in_every_state(empty)
    await empty.release(services[9])
    await empty.keep("exclude", pool="cgnat", span="192.0.2.4", note="a printer has it")

    facts = {last: await look(empty, "find", f"192.0.2.{last}") for last in (4, 6, 8, 9)}
    several = await look(empty, "find", "192.0.2.0/28")
    state = await look(empty, "state_of", pool="cgnat", value="192.0.2.9")

    until = {last: STARTED_AT + timedelta(seconds=seconds) for last, seconds in ((4, 100), (9, 140))}
    assert {last: (each["state"], each["available_at"]) for last, each in facts.items()} == {
        4: ("excluded", until[4]),
        6: ("excluded", None),
        8: ("draining", None),
        9: ("draining", until[9]),
    }
    assert (state["state"], state["available_at"]) == ("draining", until[9])
    assert [(each["value"], each["state"], each["available_at"]) for each in several["within"]] == [
        ("192.0.2.2", "assigned", None),
        ("192.0.2.5", "reserved", None),
        ("192.0.2.4", "quarantine", until[4]),
        ("192.0.2.9", "quarantine", until[9]),
    ]
    assert several["within_total"] == 4
    empty.clock.forward(seconds=70)
    assert [(await look(empty, "find", f"192.0.2.{last}"))["available_at"] for last in (4, 9)] == [None, None]


async def test_a_prefix_around_pools_lists_them_and_an_outside_address_says_whose_it_is(empty: Network) -> None:
    described = one_pool("192.0.2.0/28", role="cgnat")
    described["pool"] += [
        {"name": "twin", "kind": "ipv4", "network": "192.0.2.0/28", "vrf": "blue"},
        {"name": "next", "kind": "ipv4", "network": "192.0.2.64/27"},
        {"name": "pd", "kind": "ipv6_pd", "network": "2001:db8::/48", "unit_length": 56},
    ]
    rule = {"pool": "cgnat", "outside": "203.0.113.0/31", "ports_per_subscriber": 1000}
    await empty.apply(described | {"vrf": [{"name": "blue"}], "nat_rule": [rule]})

    around = await look(empty, "find", "192.0.2.0/24")
    assert (around["state"], around["pool"]) == ("unpooled", None)
    assert [(each["pool"], each["network"], each["vrf"]) for each in around["pools"]] == [
        ("twin", "192.0.2.0/28", "blue"),
        ("cgnat", "192.0.2.0/28", "default"),
        ("next", "192.0.2.64/27", "default"),
    ]
    in_blue = await look(empty, "find", "192.0.2.0/24", vrf="blue")
    assert [each["pool"] for each in in_blue["pools"]] == ["twin"]
    assert [each["pool"] for each in (await look(empty, "find", "2001:db8::/32"))["pools"]] == ["pd"]
    outside = [
        await look(empty, "find", each) for each in ("203.0.113.1", "203.0.113.0/31", "203.0.113.2", "192.0.3.1")
    ]
    assert [(each["cgnat_of"], each["pools"]) for each in outside] == [
        ("cgnat", []),
        ("cgnat", []),
        (None, []),
        (None, []),
    ]
    assert (await look(empty, "find", "203.0.113.1", vrf="default"))["cgnat_of"] == "cgnat"
    assert (await look(empty, "find", "203.0.113.1", vrf="blue"))["cgnat_of"] is None
    await empty.ports("end_rule", pool="cgnat", reason="another box")
    assert (await look(empty, "find", "203.0.113.1"))["cgnat_of"] is None


async def test_what_a_rule_had_that_has_ended_hides_neither_the_next_rules_prefix_nor_a_pool(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", role="cgnat"))
    rule = {"pool": "cgnat", "ports_per_subscriber": 1000}
    found: list[tuple[str, str, str]] = []

    async def look_again() -> None:
        facts = await look(empty, "find", "203.0.113.129")
        found.append((facts["network"], facts["role"], facts["state"]))

    for outside in ("203.0.113.128/28", "203.0.113.128/27"):
        await empty.ports("define_rule", **rule, outside=outside)
        await look_again()
        empty.clock.forward(hours=1)
    await empty.ports("end_rule", pool="cgnat")
    await look_again()
    await empty.apply({"pool": [{"name": "public", "kind": "ipv4", "network": "203.0.113.0/24"}]})
    await look_again()

    assert found == [
        ("203.0.113.128/28", "public", "unpooled"),
        ("203.0.113.128/27", "public", "unpooled"),
        ("203.0.113.128/28", "container", "unpooled"),
        ("203.0.113.0/24", "public", "free"),
    ]


async def test_an_outside_address_that_a_log_alone_knows_says_so(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", role="cgnat") | {"vrf": [{"name": "blue"}]})
    block = LoggedBlock("198.51.100.7", 1024, 2047, "192.0.2.3", STARTED_AT - timedelta(hours=1))
    await empty.ports("import_blocks", blocks=[block], source="cgn-1")

    found = {each: await look(empty, "find", each) for each in ("198.51.100.7", "198.51.100.8", "198.51.100.0/24")}

    assert {each: facts["cgnat_logged"] for each, facts in found.items()} == {
        "198.51.100.7": True,
        "198.51.100.8": False,
        "198.51.100.0/24": False,
    }
    assert (await look(empty, "find", "198.51.100.7", vrf="default"))["cgnat_logged"] is True
    assert (await look(empty, "find", "198.51.100.7", vrf="blue"))["cgnat_logged"] is False


@pytest.mark.both_databases
async def test_an_outside_address_in_a_pool_says_so_beside_its_state(empty: Network) -> None:
    estate = one_pool("192.0.2.0/28", role="cgnat") | {"vrf": [{"name": "blue"}]}
    estate["pool"].append({"name": "public", "kind": "ipv4", "network": "198.51.100.0/24", "vrf": "blue"})
    estate["pool"].append({"name": "routed", "kind": "ipv4_routed", "network": "203.0.113.0/24", "unit_length": 29})
    await empty.apply(estate)
    await empty.keep("exclude", pool="public", span="198.51.100.7", note="the CGNAT's")
    await empty.keep("reserve", pool="routed", value="203.0.113.8/29", note="the CGNAT's")
    for outside in ("198.51.100.7", "203.0.113.9"):
        block = LoggedBlock(outside, 1024, 2047, "192.0.2.3", STARTED_AT - timedelta(hours=1))
        await empty.ports("import_blocks", blocks=[block], source="cgn-1")

    found = dict[str, tuple[str, str, bool]]()
    for each in ("198.51.100.7", "198.51.100.8", "203.0.113.9", "203.0.113.10", "203.0.113.8/29"):
        facts = await look(empty, "find", each)
        found[each] = (facts["value"], facts["state"], facts["cgnat_logged"])

    assert found == {
        "198.51.100.7": ("198.51.100.7", "excluded", True),  # in a VRF other than its subscribers'
        "198.51.100.8": ("198.51.100.8", "free", False),
        "203.0.113.9": ("203.0.113.8/29", "reserved", True),
        "203.0.113.10": ("203.0.113.8/29", "reserved", False),
        "203.0.113.8/29": ("203.0.113.8/29", "reserved", False),
    }


async def test_the_name_of_a_pool_is_told_from_what_is_no_address(network: Network) -> None:
    for name in ("cgnat", "metro/210"):
        instead = f"{name} is the name of a pool. `firstlight addresses usage {name}` says how full it is"
        with pytest.raises(RequestInvalid, match=instead):
            await look(network, "find", name)
    with pytest.raises(RequestInvalid, match="'cgnot' is not an IPv4 or IPv6 address"):
        await look(network, "find", "cgnot")


async def test_an_inside_address_says_its_ports_and_one_of_two_vrfs_must_be_named(empty: Network) -> None:
    twin = {"name": "twin", "kind": "ipv4", "network": "192.0.2.0/28", "vrf": "blue"}
    described = one_pool("192.0.2.0/28", role="cgnat")
    described["pool"].append(twin)
    rule = {"pool": "cgnat", "outside": "203.0.113.7/32", "ports_per_subscriber": 1000}
    await empty.apply(described | {"vrf": [{"name": "blue"}], "nat_rule": [rule]})

    with pytest.raises(RequestInvalid, match="blue, default"):
        await look(empty, "find", "192.0.2.3")
    [block] = (await look(empty, "find", "192.0.2.3", vrf="default"))["outside"]

    assert (block["outside"], block["first_port"], block["last_port"]) == ("203.0.113.7", 4024, 5023)
    assert (await look(empty, "find", "192.0.2.3", vrf="blue"))["outside"] == []


async def test_what_several_vrfs_have_is_told_of_each_of_them(empty: Network) -> None:
    described = small()
    twin = {"name": "twin", "kind": "ipv4", "network": "100.64.0.0/28", "vrf": "blue"}
    await empty.apply(described | {"pool": [*described["pool"], twin], "vrf": [{"name": "blue"}]})
    held = await empty.allocate(1, "LOC-1")

    both = await look(empty, "find_each", held["ip_address"])
    prefix = await look(empty, "find_each", "100.64.0.0/29")
    [nowhere] = await look(empty, "find_each", "8.8.8.8")

    assert [(each["vrf"], each["pool"], each["state"]) for each in both] == [
        ("blue", "twin", "free"),
        ("default", "cgnat", "assigned"),
    ]
    assert [each["holder"] and each["holder"]["service_id"] for each in both] == [None, held["service_id"]]
    assert [(each["vrf"], each["pool"], each["state"]) for each in prefix] == [
        ("blue", "twin", "several"),
        ("default", "cgnat", "several"),
    ]
    assert (nowhere["vrf"], nowhere["state"]) == (None, "unpooled")


async def test_the_cells_of_a_pool_add_up_to_the_whole_of_it_in_every_state(empty: Network) -> None:
    await in_every_state(empty)

    drawn = await look(empty, "occupation", "cgnat")
    vlans = await look(empty, "occupation", "metro/210")

    states = ("assigned", "cooling", "reserved", "draining", "excluded", "free")
    by_unit = {cell["first"]: {state for state in states if cell[state]} for cell in drawn["cells"]}
    assert (drawn["units"], drawn["units_per_cell"], len(drawn["cells"])) == (16, 1, 16)
    assert {last: by_unit[f"192.0.2.{last}"] for last in (1, 2, 3, 4, 5, 8)} == {
        1: {"excluded"},
        2: {"assigned"},
        3: {"free"},
        4: {"cooling"},
        5: {"reserved"},
        8: {"draining"},
    }
    usage = await empty.usage("cgnat")
    total = {state: sum(cell[state] for cell in drawn["cells"]) for state in states}
    assert (total["assigned"], total["cooling"], total["draining"], total["free"]) == (
        usage["assigned"],
        usage["quarantined"],
        usage["draining"],
        usage["free"],
    )
    assert vlans["units_per_cell"] == 4
    assert sum(cell["free"] for cell in vlans["cells"]) == (await empty.usage("metro/210"))["free"]
    with pytest.raises(NameUnknown):
        await look(empty, "occupation", "nowhere")


def test_a_large_pool_is_counted_in_few_cells_and_intervals_in_each_they_touch() -> None:
    assert [units_per_cell(span) for span in (1, 1024, 1025, 2**16, 2**24)] == [1, 1, 2, 64, 2**14]
    assert by_cell([(2, 9), (14, 14)], 4) == {0: 2, 1: 4, 2: 2, 3: 1}


async def test_the_pools_of_a_place_are_those_bound_to_it_and_to_what_is_inside(empty: Network) -> None:
    described = small()
    office, wan6 = described["pool"][1], described["pool"][3]
    office["bindings"] = [{"access_node": "OLT-1", "port": "0/1/0"}, {"site": "north", "plan": "business"}]
    wan6["bindings"] = [{"bng": "bng-1"}, {"access_node": "OLT-2"}]
    await empty.apply(described)
    await empty.allocate(1, "LOC-2")

    by_bng, by_site, by_node = [await look(empty, "usage_by_place", of) for of in ("bng", "site", "access_node")]

    assert [(each["place"], each["kind"], each["pools"], each["assigned"]) for each in by_bng] == [
        ("bng-1", "ipv4", ["cgnat"], 1),
        ("bng-1", "ipv6_pd", ["pd"], 1),
        ("bng-1", "ipv6_wan", ["wan6"], 1),
    ]
    assert [(each["place"], each["kind"], each["pools"]) for each in by_site] == [
        ("north", "cvlan", ["metro/210"]),
        ("north", "ipv4", ["office"]),
        ("north", "ipv6_wan", ["wan6"]),
    ]
    assert [(each["place"], each["kind"], each["size"], each["free"]) for each in by_node] == [
        ("OLT-1", "ipv4", 5, 5),
        ("OLT-2", "cvlan", 3993, 3992),
        ("OLT-2", "ipv6_wan", 16, 15),
    ]


async def test_a_service_is_told_of_also_when_it_was_released(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    assert await look(network, "plan_of", given["service_id"]) == "fiber-100"
    await network.release(given["service_id"])

    facts = await look(network, "service", given["service_id"])

    assert (facts["state"], facts["location"], facts["plan"]) == ("released", "LOC-1", "fiber-100")
    assert await look(network, "plan_of", given["service_id"]) is None
    assert facts["released_at"] == network.clock()
    with pytest.raises(ServiceUnknown):
        await look(network, "service", 2**40)
