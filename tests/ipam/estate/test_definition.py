"""Carrying out a description of the network: again without effect, and never against what live services hold."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from ipam import (
    AliasTaken,
    BindingSpec,
    BngSpec,
    EstateInUse,
    EstateRefused,
    Fault,
    LocationSpec,
    LocationUnknown,
    NameUnknown,
    NetworkEstate,
    NetworkEstateSpec,
    NoPoolBound,
    Overlap,
    PoolExhausted,
    PoolSpec,
    PrefixSpec,
)
from ipam.tables import Bng, Exclusion, FreeRange, Pool, Prefix
from tests.ipam.conftest import Network, example, one_pool, small


def with_pool(name: str, **changed: Any) -> dict[str, Any]:
    described = small()
    for pool in described["pool"]:
        if pool["name"] == name:
            pool.update(changed)
    return described


async def test_the_example_of_the_package_works_as_it_stands(empty: Network) -> None:
    changes = await empty.apply(example())
    shared = await empty.allocate(1, "DROP-7781", "fiber-100")

    assert "pool north-cgnat created" in changes
    assert shared["ip_address"].startswith("100.64.")
    assert (shared["vlan_id"], shared["cpe_vlan_id"], shared["management_vlan"]) == (110, 35, 4000)
    assert await empty.violations() == []


async def test_the_same_description_twice_changes_nothing(network: Network) -> None:
    assert await network.apply(small()) == []


async def test_the_model_and_the_mapping_are_the_same_description(network: Network) -> None:
    async with network.database.begin() as db:
        assert await network.estate(db).apply(NetworkEstateSpec.model_validate(small())) == []


async def test_a_part_may_be_described_by_itself_later(network: Network) -> None:
    changes = await network.apply({"location": [{"id": "LOC-4", "access_node": "OLT-1", "port": "0/1/1"}]})

    assert changes == ["location LOC-4 created"]
    assert (await network.allocate(1, "LOC-4"))["port"] == "0/1/1"


async def test_what_is_wrong_anywhere_is_refused_with_all_faults_and_nothing_is_written(empty: Network) -> None:
    described = small()
    described["access_node"][0]["bng"] = "bng-9"
    described["pool"][0]["gateway"] = "10.0.0.1"

    with pytest.raises(EstateRefused) as refused:
        await empty.apply(described)

    assert [str(fault) for fault in refused.value.faults] == [
        "access_node OLT-1: there is no BNG bng-9",
        "pool cgnat: gateway 10.0.0.1 is not inside 100.64.0.0/28",
    ]
    async with empty.database.begin() as db:
        assert list(await db.scalars(select(Bng.name))) == []


async def test_a_change_refused_half_way_leaves_nothing_of_the_description(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {
        "bng": [{"name": "bng-2"}],
        "pool": [
            {"name": "office", "kind": "ipv4", "network": "10.0.0.0/28"},
            {"name": "next", "kind": "ipv4", "network": "100.64.0.0/29"},
        ],
    }

    async def before_it_was_there(*_: Any) -> list[Fault]:
        return []

    monkeypatch.setattr(NetworkEstate, "validate", before_it_was_there)
    with pytest.raises(Overlap) as refused:
        await network.apply(described)

    assert (refused.value.network, refused.value.other, refused.value.vrf) == (
        "100.64.0.0/29",
        "100.64.0.0/28 of pool cgnat",
        "default",
    )
    async with network.database.begin() as db:
        assert list(await db.scalars(select(Bng.name))) == ["bng-1"]
    assert (await network.usage("office"))["network"] == "203.0.113.0/29"


async def test_all_that_is_in_the_way_of_a_description_is_told_at_once(network: Network) -> None:
    rule = {"ports_per_subscriber": 4000, "outside": "198.51.100.0/30"}
    await network.apply(
        {
            "vrf": [{"name": "blue"}],
            "prefix": [{"network": "10.255.0.0/24", "role": "infra"}],
            "pool": [
                {"name": "sold", "kind": "ipv4", "network": "10.1.0.0/24", "quarantine_seconds": 0},
                {"name": "blue", "kind": "ipv4", "network": "100.64.0.0/28", "vrf": "blue"},
            ],
            "nat_rule": [{**rule, "pool": "cgnat"}],
        }
    )
    await network.keep("reserve", pool="sold", value="10.1.0.5", note="kept")
    await network.keep("unreserve", pool="sold", value="10.1.0.5", note="not kept")
    await network.keep("retire", pool="sold", note="sold")
    await network.keep("reserve", pool="office", value="203.0.113.3", note="kept")
    before = await network.export()

    with pytest.raises(EstateRefused) as refused:
        await network.apply(
            {
                "bng": [{"name": "bng-2"}],
                "prefix": [
                    {"network": "10.255.0.0/25", "role": "infra"},
                    {"network": "10.1.0.0/24", "role": "infra"},  # nobody's since it was sold
                    {"network": "100.64.0.0/10", "role": "container"},
                ],
                "pool": [
                    {"name": "inside", "kind": "ipv4", "network": "100.64.0.8/29"},
                    {"name": "around", "kind": "ipv6_pd", "network": "2001:db8::/34"},
                    {"name": "office", "kind": "ipv4", "network": "203.0.113.0/28"},
                    {"name": "onto", "kind": "ipv4", "network": "203.0.113.4/30"},
                    {"name": "sold", "kind": "ipv4", "network": "10.2.0.0/24"},
                    {"name": "public", "kind": "ipv4", "network": "198.51.100.0/24"},
                ],
                "nat_rule": [{**rule, "pool": "blue", "vrf": "blue"}],
            }
        )

    unused = "another prefix, kind, unit length or handing-out, though it has been in use"
    assert [str(fault) for fault in refused.value.faults] == [
        "pool onto: 203.0.113.4/30 overlaps 203.0.113.0/28 of pool office in VRF default",
        f"pool office: {unused}; define a new pool beside it and unbind this one",
        "pool sold: it was retired, and its name stands in the history of its addresses; take it out of the"
        " description, or give the new pool another name",
        "pool inside: 100.64.0.8/29 overlaps 100.64.0.0/28 of pool cgnat in VRF default, which is there already",
        "pool around: 2001:db8::/34 overlaps 2001:db8:1000::/60 of pool wan6 in VRF default, which is there already",
        "pool around: 2001:db8::/34 overlaps 2001:db8:2000::/48 of pool pd in VRF default, which is there already",
        "pool onto: 203.0.113.4/30 overlaps 203.0.113.0/29 of pool office in VRF default, which is there already",
        "pool public: 198.51.100.0/24 overlaps 198.51.100.0/30 of nat_rule cgnat in VRF default, which is there"
        " already",
        "prefix 10.255.0.0/25: 10.255.0.0/25 overlaps 10.255.0.0/24 of prefix 10.255.0.0/24 in VRF default, which is"
        " there already",
        "nat_rule blue: 198.51.100.0/30 overlaps 198.51.100.0/30 of nat_rule cgnat in VRF default, which is there"
        " already, and whoever asks for the holder of a port knows no VRF",
    ]
    assert await network.export() == before
    async with network.database.begin() as db:
        assert list(await db.scalars(select(Bng.name))) == ["bng-1"]


async def test_what_a_description_repeats_or_gives_up_is_in_nobody_s_way(network: Network) -> None:
    rule = {"pool": "cgnat", "ports_per_subscriber": 4000}
    said: dict[str, list[dict[str, Any]]] = {
        "prefix": [{"network": "10.255.0.0/24", "role": "infra"}],
        "nat_rule": [{**rule, "outside": "198.51.100.0/30"}],
    }
    await network.apply(said)
    assert await network.apply(small(**said)) == []

    assert await network.apply(
        {
            "prefix": [{"network": "10.255.0.0/24", "role": "container"}],
            "pool": [
                {"name": "office", "kind": "ipv4", "network": "203.0.113.64/29"},
                {"name": "next", "kind": "ipv4", "network": "203.0.113.0/28"},
                {"name": "of-infra", "kind": "ipv4", "network": "10.255.0.0/25"},
            ],
            "nat_rule": [{**rule, "outside": "198.51.100.0/29"}],
        }
    ) == [
        "prefix 10.255.0.0/24 in VRF default changed",
        "pool office changed",
        "pool next created",
        "pool of-infra created",
        "nat_rule cgnat changed",
    ]
    assert await network.violations() == []


async def test_an_entry_that_is_wrong_in_itself_may_have_given_up_what_another_one_takes(network: Network) -> None:
    described = {
        "pool": [
            {"name": "cgnat", "kind": "ipv4", "network": "10.0.0.1/28"},
            {"name": "next", "kind": "ipv4", "network": "100.64.0.0/29"},
        ]
    }
    async with network.database.begin() as db:
        found = await network.estate(db).validate(described)

    assert [str(fault) for fault in found] == [
        "pool cgnat: network: '10.0.0.1/28' has host bits set; do you mean 10.0.0.0/28?"
    ]


async def test_network_broadcast_gateway_and_reserved_addresses_are_never_free(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", gateway="192.0.2.1", exclude=["192.0.2.3-192.0.2.4"]))

    given = {(await empty.allocate(customer))["ip_address"] for customer in (1, 2, 3)}

    assert given == {"192.0.2.2", "192.0.2.5", "192.0.2.6"}
    with pytest.raises(PoolExhausted):
        await empty.allocate(4)
    async with empty.database.begin() as db:
        excluded = (
            select(Exclusion.first_unit, Exclusion.last_unit, Exclusion.reason)
            .join(Pool, Pool.id == Exclusion.pool_id)
            .order_by(Exclusion.first_unit)
        )
        assert [tuple(row) for row in await db.execute(excluded.where(Pool.name == "cgnat"))] == [
            (0, 0, "network address"),
            (1, 1, "gateway"),
            (3, 4, "reserved"),
            (7, 7, "broadcast address"),
        ]


async def test_a_pool_can_be_limited_to_ranges_of_its_prefix(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/24", ranges=["192.0.2.100-192.0.2.101", "192.0.2.200"]))

    given = {(await empty.allocate(customer))["ip_address"] for customer in (1, 2, 3)}

    assert given == {"192.0.2.100", "192.0.2.101", "192.0.2.200"}


@pytest.mark.parametrize(("pool", "rows", "size"), [("cgnat", 64, 2**24 - 2), ("metro/210", 9, 3993)])
async def test_a_big_pool_costs_a_few_rows(empty: Network, pool: str, rows: int, size: int) -> None:
    await empty.apply(one_pool("10.0.0.0/8"))

    async with empty.database.begin() as db:
        ranges = select(FreeRange.next_unit, FreeRange.last_unit).join(Pool, Pool.id == FreeRange.pool_id)
        found = (await db.execute(ranges.where(Pool.name == pool))).all()
        assert await db.scalar(select(Pool.size).where(Pool.name == pool)) == size
    assert len(found) == rows
    assert sum(last - first + 1 for first, last in found) == size
    assert await empty.violations() == []


async def test_a_prefix_of_too_many_units_is_capped_by_a_fault_not_by_a_crash(empty: Network) -> None:
    wide = {"name": "wan", "kind": "ipv6_wan", "network": "2001:db8::/64", "unit_length": 127}

    with pytest.raises(EstateRefused, match=r"more than 2\^62 units"):
        await empty.apply({"pool": [wide]})
    await empty.apply({"pool": [{**wide, "network": "2001:db8::/65"}]})

    assert await empty.violations() == []


async def test_exclusions_may_grow_and_shrink_around_what_is_assigned(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    held = (await empty.allocate(1))["ip_address"]
    others = [f"192.0.2.{last}" for last in range(1, 15) if f"192.0.2.{last}" != held]

    assert await empty.apply(one_pool("192.0.2.0/28", exclude=others)) == ["pool cgnat changed"]
    with pytest.raises(PoolExhausted) as full:
        await empty.allocate(2)
    assert (full.value.size, full.value.assigned) == (1, 1)
    await empty.apply(one_pool("192.0.2.0/28", exclude=others[1:]))

    assert (await empty.allocate(2))["ip_address"] == others[0]
    assert await empty.violations() == []


async def test_an_assigned_address_can_not_be_excluded(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    given = await empty.allocate(1)

    with pytest.raises(EstateInUse, match=rf"{given['ip_address']} \(service {given['service_id']}\)"):
        await empty.apply(one_pool("192.0.2.0/28", exclude=[given["ip_address"]]))

    assert await empty.violations() == []


async def test_an_address_in_quarantine_can_be_excluded_and_is_then_gone(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))
    given = await empty.allocate(1)
    await empty.release(given["service_id"])

    await empty.apply(one_pool("192.0.2.0/28", exclude=[given["ip_address"]]))

    assert (await empty.allocate(1))["ip_address"] != given["ip_address"]
    assert await empty.violations() == []


async def test_a_used_pool_keeps_its_prefix_and_an_unused_one_may_move(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    assert await empty.apply(one_pool("192.0.2.0/26")) == ["pool cgnat changed"]
    given = await empty.allocate(1)
    await empty.release(given["service_id"])

    with pytest.raises(EstateRefused, match=r"pool cgnat: another prefix, .* though it has been in use"):
        await empty.apply(one_pool("192.0.2.0/25"))
    with pytest.raises(EstateInUse, match="Pool cgnat"):
        async with empty.database.begin() as db:
            await empty.estate(db).define_pool(PoolSpec(name="cgnat", kind="ipv4", network="192.0.2.0/25"))

    async with empty.database.begin() as db:
        assert list(await db.scalars(select(Prefix.network))) == ["192.0.2.0/26"]
    assert await empty.violations() == []


async def test_a_pool_named_by_live_services_stays_the_bngs(network: Network) -> None:
    await network.allocate(1, "LOC-1", "dynamic")

    with pytest.raises(EstateRefused, match=r"pool at-the-bng: .* though it serves live services"):
        await network.apply(with_pool("at-the-bng", framed_pool="POOL-B"))


async def test_quarantine_gateway_and_bindings_may_change_under_way(network: Network) -> None:
    given = await network.allocate(1, "LOC-1", "business")
    free = "203.0.113.6" if given["ip_address"] != "203.0.113.6" else "203.0.113.5"

    changes = await network.apply(with_pool("office", gateway=free, quarantine_seconds=7, bindings=[]))

    assert changes == ["pool office changed"]
    async with network.database.begin() as db:
        assert (await network.service(db).resources(given["service_id"]))["gateway"] == free
    assert (await network.allocate(2, "LOC-1", "business"))["ip_address"].startswith("100.64.")
    assert await network.violations() == []


@pytest.mark.parametrize(
    "change", [{"access": "ipoe"}, {"addressing": "dhcp"}, {"ipv6_pd": False}, {"cvlan": "always"}]
)
async def test_a_plan_with_live_services_keeps_what_it_needs(network: Network, change: dict[str, Any]) -> None:
    given = await network.allocate(1, "LOC-1", "fiber-100")
    plan = {"name": "fiber-100", "access": "pppoe", "ipv6_wan": True, "ipv6_pd": True} | change

    with pytest.raises(EstateInUse, match="Plan fiber-100"):
        await network.apply({"plan": [plan]})
    await network.release(given["service_id"])

    assert await network.apply({"plan": [plan]}) == ["plan fiber-100 changed"]


MOVE = "Move its services first."
FORMER = (
    "It is behind bng-2: if it was re-homed, bng-1 is its former BNG, so write bng-2 in the description; else re-home"
    " it to bng-1."
)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, f"(bng, while 1 live services depend on it); nothing was written. {FORMER}"),
        ({"site": "south"}, f"(bng, site, while 1 live services depend on it); nothing was written. {FORMER} {MOVE}"),
        (
            {"site": "south", "bng": "bng-2"},
            f"(site, while 1 live services depend on it); nothing was written. {MOVE}",
        ),
    ],
)
async def test_a_description_that_still_has_a_re_homed_node_at_its_former_bng_says_so(
    empty: Network, change: dict[str, Any], told: str
) -> None:
    described = small(bng=[{"name": "bng-1"}, {"name": "bng-2"}], site=[{"name": "north"}, {"name": "south"}])
    for pool in described["pool"]:
        pool["bindings"] = [*pool["bindings"], *({**each, "bng": "bng-2"} for each in pool["bindings"])]
    await empty.apply(described)
    await empty.allocate(1, "LOC-1")
    await empty.keep("rehome", access_nodes=["OLT-1"], bng="bng-2", note="north is full")
    described["access_node"][0] |= change

    with pytest.raises(EstateInUse) as refused:
        await empty.apply(described)

    assert str(refused.value) == f"Access node OLT-1 can't be changed {told}"
    described["access_node"][0] |= {"site": "north", "bng": "bng-2"}
    assert await empty.apply(described) == []


@pytest.mark.parametrize("change", [{"bng": "bng-2"}, {"site": "south"}, {"vlan_model": "one_to_one"}])
async def test_an_access_node_with_live_services_stays_where_it_is(network: Network, change: dict[str, Any]) -> None:
    await network.apply({"bng": [{"name": "bng-2"}], "site": [{"name": "south"}]})
    given = await network.allocate(1, "LOC-1")
    node = small()["access_node"][0] | change

    with pytest.raises(EstateInUse, match="Access node OLT-1"):
        await network.apply({"access_node": [node]})
    await network.release(given["service_id"])

    assert await network.apply({"access_node": [node]}) == ["access_node OLT-1 changed"]


async def test_what_cpes_are_told_may_change_under_live_services(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    node = small()["access_node"][0] | {"cpe_vlan_id": 36, "ports": ["0/1/9"]}

    assert await network.apply({"access_node": [node]}) == ["access_node OLT-1 changed"]

    async with network.database.begin() as db:
        assert (await network.service(db).resources(given["service_id"]))["cpe_vlan_id"] == 36
        assert (await network.service(db).locate("LOC-1"))["port"] == "0/1/0"


async def test_a_premise_with_live_services_stays_at_its_node(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    moved = {"location": [{"id": "LOC-1", "access_node": "OLT-2", "port": "0/2/0"}]}

    with pytest.raises(EstateInUse, match="LOC-1"):
        await network.apply(moved)
    await network.release(given["service_id"])

    assert await network.apply(moved) == ["location LOC-1 changed"]


async def test_a_port_may_be_learnt_or_corrected_unless_the_service_holds_something_of_it(network: Network) -> None:
    await network.allocate(1, "LOC-3")
    of_port = await network.allocate(2, "LOC-2")
    await network.apply({"access_node": [small()["access_node"][1] | {"ports": ["0/2/1"]}]})

    def at(location: str, node: str, port: str) -> dict[str, Any]:
        return {"location": [{"id": location, "access_node": node, "port": port}]}

    assert await network.apply(at("LOC-3", "OLT-1", "0/1/0")) == ["location LOC-3 changed"]
    assert await network.apply(at("LOC-3", "OLT-1", "0/1/1")) == ["location LOC-3 changed"]
    with pytest.raises(EstateInUse, match="LOC-2"):
        await network.apply(at("LOC-2", "OLT-2", "0/2/1"))
    await network.release(of_port["service_id"])
    assert await network.apply(at("LOC-2", "OLT-2", "0/2/1")) == ["location LOC-2 changed"]


async def test_aliases_become_exactly_those_given(network: Network) -> None:
    await network.apply({"location": [{"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0", "aliases": ["NEW"]}]})

    async with network.database.begin() as db:
        service = network.service(db)
        assert (await service.locate("NEW"))["location"] == "LOC-1"
        assert (await service.locate("LOC-1"))["location"] == "LOC-1"
        with pytest.raises(LocationUnknown):
            await service.locate("DROP-7781")


@pytest.mark.parametrize("alias", ["DROP-7781", "LOC-1"])
async def test_an_alias_leads_to_one_premise_only(network: Network, alias: str) -> None:
    with pytest.raises(AliasTaken) as refused:
        await network.apply({"location": [{"id": "LOC-3", "access_node": "OLT-1", "aliases": [alias]}]})

    assert (refused.value.alias, refused.value.location, refused.value.held_by) == (alias, "LOC-3", "LOC-1")


async def test_premises_may_swap_what_leads_to_them_in_one_description(network: Network) -> None:
    first = {"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0"}
    third = {"id": "LOC-3", "access_node": "OLT-1"}
    await network.apply({"location": [{**first, "aliases": ["DROP-1", "stays"]}, {**third, "aliases": ["DROP-3"]}]})
    swapped = {"location": [{**first, "aliases": ["DROP-3", "stays"]}, {**third, "aliases": ["DROP-1"]}]}

    assert await network.apply(swapped) == ["location LOC-1 changed", "location LOC-3 changed"]

    async with network.database.begin() as db:
        led = {alias: (await network.service(db).locate(alias))["location"] for alias in ("DROP-1", "DROP-3", "stays")}
    assert led == {"DROP-1": "LOC-3", "DROP-3": "LOC-1", "stays": "LOC-1"}
    assert await network.apply(swapped) == []
    assert await network.apply({"location": [third]}) == ["location LOC-3 changed"]


async def test_all_that_stands_in_the_way_of_nodes_premises_and_plans_is_told_at_once(network: Network) -> None:
    await network.allocate(1, "LOC-1")
    described = small()
    [node] = [each for each in described["access_node"] if each["name"] == "OLT-1"]
    [plan] = [each for each in described["plan"] if each["name"] == "fiber-100"]
    node["vlan_model"] = "one_to_one"
    plan["ipv6_pd"] = not plan["ipv6_pd"]
    taken = [{"id": "LOC-3", "access_node": "OLT-1", "aliases": ["DROP-7781"]}, {"id": "LOC-1", "access_node": "OLT-2"}]

    with pytest.raises(EstateRefused) as refused:
        await network.apply({"access_node": [node], "location": taken, "plan": [plan]})

    assert [(each.where, each.what.split(" (")[0]) for each in refused.value.faults] == [
        ("Access node OLT-1", "can't be changed"),
        ("LOC-1", "can't be changed"),
        ("Plan fiber-100", "can't be changed"),
    ]
    stays = [{"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0", "aliases": ["DROP-7781"]}, taken[0]]
    with pytest.raises(EstateRefused, match="location LOC-3: alias 'DROP-7781' already leads to LOC-1"):
        await network.apply({"location": [taken[0]], "plan": [plan]})
    with pytest.raises(EstateRefused, match="DROP-7781 would lead to each of them"):
        await network.apply({"location": stays})
    assert await network.apply({"access_node": [{**node, "vlan_model": "n1"}]}) == []


async def unserved_after(network: Network, description: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    async with network.database.begin() as db:
        return {each.name: each.unserved for each in await network.estate(db).apply(description)}


async def test_a_refused_node_is_told_and_not_that_its_new_port_is_unknown(network: Network) -> None:
    await network.allocate(1, "LOC-1")
    [node] = [each for each in small()["access_node"] if each["name"] == "OLT-1"]
    node |= {"vlan_model": "one_to_one", "ports": [*node["ports"], "0/1/9"]}
    there = {"id": "LOC-9", "access_node": "OLT-1", "port": "0/1/9"}
    with pytest.raises(EstateInUse, match="Access node OLT-1 can't be changed"):
        await network.apply({"access_node": [node], "location": [there]})


async def test_who_keeps_what_was_bound_elsewhere_is_told(network: Network) -> None:
    one, other = [(await network.allocate(number, "LOC-1"))["service_id"] for number in (1, 2)]
    elsewhere = (await network.allocate(3, "LOC-2"))["service_id"]
    await network.release(other)

    applied = partial(unserved_after, network)
    to_olt_2 = with_pool("pd", bindings=[{"access_node": "OLT-2"}])
    assert await applied(to_olt_2) == {"pd": (one,)}
    assert await applied(to_olt_2) == {}
    assert await applied(with_pool("pd", bindings=[])) == {"pd": (one, elsewhere)}
    both = [{"access_node": "OLT-1"}, {"access_node": "OLT-2"}]
    assert await applied(with_pool("pd", bindings=both)) == {"pd": ()}
    assert await applied(with_pool("pd", bindings=[{**each, "plan": "fiber-100"} for each in both])) == {"pd": ()}


async def test_so_is_who_shares_a_vlan_or_a_pool_that_the_bng_hands_out(network: Network) -> None:
    one, dynamic = [(await network.allocate(1, "LOC-1", plan))["service_id"] for plan in ("fiber-100", "dynamic")]
    shared = {"group": "metro", "vid": 110, "bindings": [{"access_node": "OLT-1", "port": "0/1/1"}]}

    assert await unserved_after(network, {"svlan": [shared]}) == {"metro/110": (one, dynamic)}
    shared["bindings"] = [{"access_node": "OLT-1", "port": "0/1/0"}]
    assert await unserved_after(network, {"svlan": [shared]}) == {"metro/110": ()}
    [at_the_bng] = [each for each in small()["pool"] if each["name"] == "at-the-bng"]
    for_others = {**at_the_bng, "bindings": [{"bng": "bng-1", "plan": "fiber-100"}]}
    assert await unserved_after(network, {"pool": [for_others]}) == {"at-the-bng": (dynamic,)}


async def test_bindings_become_exactly_those_given(network: Network) -> None:
    await network.apply(with_pool("pd", bindings=[{"access_node": "OLT-2"}]))

    assert (await network.allocate(1, "LOC-2"))["delegated_prefix"] is not None
    with pytest.raises(NoPoolBound):
        await network.allocate(1, "LOC-1")


async def test_a_shared_s_vlan_with_live_services_can_not_become_one_with_c_vlans(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    described = {"svlan": [{"group": "metro", "vid": 110, "cvlans": ["2-9"], "bindings": [{"access_node": "OLT-1"}]}]}

    with pytest.raises(EstateInUse, match="S-VLAN metro/110"):
        await network.apply(described)
    await network.release(given["service_id"])

    assert await network.apply(described) == ["svlan metro/110 changed"]
    assert await network.violations() == []


async def test_c_vlans_in_use_stay_and_unused_ones_may_become_shared(network: Network) -> None:
    shared = {"svlan": [{"group": "metro", "vid": 210, "bindings": [{"access_node": "OLT-2"}]}]}
    assert await network.apply(shared) == ["svlan metro/210 changed"]
    assert await network.apply({"svlan": small()["svlan"]}) == ["svlan metro/210 changed"]
    await network.allocate(1, "LOC-2")

    with pytest.raises(EstateInUse, match="metro/210"):
        await network.apply(shared)


async def test_a_vlan_group_keeps_the_numbers_of_its_s_vlans(network: Network) -> None:
    with pytest.raises(EstateInUse, match="110"):
        await network.apply({"vlan_group": [{"name": "metro", "vids": ["200-399"]}]})

    changed = await network.apply({"vlan_group": [{"name": "metro", "vids": ["100-299"]}]})
    assert changed == ["vlan_group metro changed"]


async def test_the_same_prefix_may_exist_once_in_each_vrf(network: Network) -> None:
    twin = {"name": "cgnat-blue", "kind": "ipv4", "network": "100.64.0.0/28", "vrf": "blue"}

    assert await network.apply({"vrf": [{"name": "blue"}], "pool": [twin]}) == [
        "vrf blue created",
        "pool cgnat-blue created",
    ]
    for role in ("public", "cgnat"):  # that of the one that is there is told as any other is
        with pytest.raises(EstateRefused, match=r"overlaps 100\.64\.0\.0/28 of pool cgnat in VRF default"):
            await network.apply({"pool": [twin | {"name": "cgnat-red", "vrf": "default", "role": role}]})


async def test_containers_may_lie_around_pools_and_turn_into_infrastructure_only_where_free(network: Network) -> None:
    around = {"network": "100.64.0.0/10", "role": "container"}

    assert await network.apply({"prefix": [around]}) == ["prefix 100.64.0.0/10 in VRF default created"]
    assert await network.apply({"prefix": [around]}) == []
    with pytest.raises(EstateRefused, match=r"overlaps 100\.64\.0\.0/28 of pool cgnat in VRF default"):
        await network.apply({"prefix": [around | {"role": "infra"}]})
    loopbacks = {"network": "10.255.0.0/24", "role": "infra"}
    await network.apply({"prefix": [loopbacks]})
    assert await network.apply({"prefix": [loopbacks | {"role": "container"}]}) == [
        "prefix 10.255.0.0/24 in VRF default changed"
    ]
    assert await network.violations() == []


async def test_single_parts_are_defined_in_code_with_the_same_checks(network: Network) -> None:
    pool = PoolSpec(name="more", kind="ipv4", network="192.0.2.0/28", bindings=(BindingSpec(bng="bng-2"),))
    async with network.database.begin() as db:
        estate = network.estate(db)
        assert await estate.define_bng(BngSpec(name="bng-2")) == "created"
        assert await estate.define_pool(pool) == "created"
        assert await estate.define_pool(pool) == "unchanged"
        with pytest.raises(NameUnknown, match="access node 'OLT-9'"):
            await estate.define_location(LocationSpec(id="LOC-9", access_node="OLT-9"))
        with pytest.raises(NameUnknown, match="0/9/9"):
            await estate.define_location(LocationSpec(id="LOC-9", access_node="OLT-1", port="0/9/9"))
        with pytest.raises(EstateRefused, match="exactly one of"):
            await estate.define_pool(pool.model_copy(update={"bindings": (BindingSpec(bng="bng-2", site="north"),)}))
        with pytest.raises(EstateRefused, match="must name its access_node"):
            await estate.define_pool(pool.model_copy(update={"bindings": (BindingSpec(bng="bng-2", port="0/1/0"),)}))
        with pytest.raises(Overlap):
            await estate.define_prefix(PrefixSpec(network="192.0.2.0/30", role="infra"))
