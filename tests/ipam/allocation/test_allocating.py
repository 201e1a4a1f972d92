"""What a service is given, and by which pool."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import (
    GatewayMissing,
    LocationUnknown,
    NetworkService,
    NoPoolBound,
    PlanUnknown,
    PoolExhausted,
    RequestInvalid,
    ServiceReleased,
    ServiceUnknown,
    UsernameTaken,
)
from ipam.tables import AddressPlan, Allocation, Location, Service, Vrf, table_of
from tests.ipam.conftest import REALM, STARTED_AT, TENANT, Network, one_pool, small

pytestmark = pytest.mark.both_databases


def host(address: str) -> int:
    return int(address.rsplit(".", 1)[1])


async def test_a_pppoe_line_gets_a_host_address_prefixes_the_shared_vlan_and_a_username(network: Network) -> None:
    given = await network.allocate(1001, "LOC-1", "fiber-100")

    address, wan, delegated = given["ip_address"], given["ipv6_wan_prefix"], given["delegated_prefix"]
    assert address.startswith("100.64.0.")
    assert 2 <= host(address) <= 14
    assert wan is not None
    assert wan.startswith("2001:db8:1000:")
    assert wan.endswith("::/64")
    assert delegated is not None
    assert delegated.startswith("2001:db8:2000:")
    assert delegated.endswith("::/56")
    assert given == {
        "service_id": 1,
        "ip_address": address,
        "ipv6_wan_prefix": wan,
        "delegated_prefix": delegated,
        "framed_pool": None,
        "prefix_length": 32,
        "gateway": None,
        "vlan_id": 110,
        "svlan": 110,
        "cvlan": None,
        "cpe_vlan_id": 35,
        "management_vlan": 4000,
        "username": "c1001-s1@isp.example",
        "access": "pppoe",
        "access_node": "OLT-1",
        "port": "0/1/0",
        "bng": "bng-1",
        "framed_routes": [],
        "framed_ipv6_routes": [],
    }


async def test_an_ipoe_line_gets_the_networks_mask_and_gateway_from_the_plans_own_pool(network: Network) -> None:
    given = await network.allocate(1001, "LOC-1", "business")

    assert given["ip_address"].startswith("203.0.113.")
    assert (given["prefix_length"], given["gateway"]) == (29, "203.0.113.1")
    assert (given["ipv6_wan_prefix"], given["delegated_prefix"]) == (None, None)


@pytest.mark.scenario("D4")
async def test_in_a_one_to_one_network_the_vlan_is_the_lines_own_inside_the_ports_s_vlan(network: Network) -> None:
    first = await network.allocate(1001, "LOC-2", "fiber-100")
    second = await network.allocate(1002, "LOC-2", "fiber-100")

    assert first["svlan"] == second["svlan"] == 210
    for given in (first, second):
        assert given["vlan_id"] == given["cvlan"]
        assert given["cvlan"] is not None
        assert 2 <= given["cvlan"] <= 4094
        assert not 100 <= given["cvlan"] <= 199
    assert first["cvlan"] != second["cvlan"]


async def test_where_the_bng_hands_out_its_pool_is_named_and_no_address_is_invented(network: Network) -> None:
    given = await network.allocate(1001, "LOC-1", "dynamic")

    assert given["ip_address"] == ""
    assert given["framed_pool"] == "POOL-A"
    assert given["prefix_length"] is None
    assert given["delegated_prefix"] is not None


async def test_a_plan_may_ask_for_a_c_vlan_where_lines_usually_share_one(empty: Network) -> None:
    described = small()
    described["plan"].append({"name": "metro-e", "access": "pppoe", "cvlan": "always"})
    described["svlan"].append(
        {"group": "metro", "vid": 111, "cvlans": ["300"], "bindings": [{"access_node": "OLT-1", "plan": "metro-e"}]}
    )
    await empty.apply(described)

    given = await empty.allocate(1001, "LOC-1", "metro-e")

    assert (given["vlan_id"], given["svlan"], given["cvlan"]) == (300, 111, 300)


async def test_a_premise_is_found_by_each_of_its_aliases(network: Network) -> None:
    async with network.database.begin() as db:
        service = network.service(db)
        found = [await service.locate(name) for name in ("LOC-1", "OLT-1/0/1/0/7", " DROP-7781 ")]
        unknown_port = await service.locate("LOC-3")

    assert [facts["location"] for facts in found] == ["LOC-1"] * 3
    assert found[0] == {
        "location": "LOC-1",
        "access_node": "OLT-1",
        "access_node_kind": "olt",
        "port": "0/1/0",
        "site": "north",
        "bng": "bng-1",
        "vlan_model": "n1",
        "cpe_vlan_id": 35,
        "management_vlan": 4000,
    }
    assert unknown_port["port"] is None


async def test_a_plan_is_described_by_name(network: Network) -> None:
    async with network.database.begin() as db:
        facts = await network.service(db).plan("dynamic")

    assert facts == {
        "plan": "dynamic",
        "access": "pppoe",
        "addressing": "framed_pool",
        "ipv4": True,
        "ipv6_wan": False,
        "ipv6_pd": True,
        "cvlan": "by_node",
    }


async def test_what_a_service_holds_reads_back_as_it_was_given(network: Network) -> None:
    given = [await network.allocate(1001, *where) for where in (("LOC-1", "dynamic"), ("LOC-2", "fiber-100"))]

    async with network.database.begin() as db:
        read = [await network.service(db).resources(each["service_id"]) for each in given]

    assert read == given


async def test_nothing_is_read_back_of_unknown_and_released_services(network: Network) -> None:
    given = await network.allocate()
    await network.release(given["service_id"])

    async with network.database.begin() as db:
        with pytest.raises(ServiceReleased) as released:
            await network.service(db).resources(given["service_id"])
        with pytest.raises(ServiceUnknown):
            await network.service(db).resources(999)

    assert released.value.released_at == STARTED_AT


async def test_unknown_names_are_refused_by_name_and_nothing_is_written(network: Network) -> None:
    with pytest.raises(LocationUnknown, match="LOC-9"):
        await network.allocate(1001, "LOC-9")
    with pytest.raises(RequestInvalid, match=r"2 faults.*'LOC-9'.*'fiber-9000'") as both:
        await network.allocate(1001, "LOC-9", "fiber-9000")
    with pytest.raises(PlanUnknown, match="fiber-9000"):
        await network.allocate(1001, "LOC-1", "fiber-9000")

    assert [fault.where for fault in both.value.faults] == ["service_location", "bandwidth_plan"]
    async with network.database.begin() as db:
        assert (await db.execute(select(Service.service_id))).all() == []


async def test_a_premise_of_another_tenant_is_unknown(network: Network) -> None:
    stranger = Network(network.database, network.clock, tenant_id="other")

    with pytest.raises(RequestInvalid, match="No premise is known as 'LOC-1'"):
        await stranger.allocate(1001, "LOC-1")


async def test_a_plan_without_pools_at_the_premise_names_all_that_is_missing(empty: Network) -> None:
    described = small()
    described["pool"] = [pool for pool in described["pool"] if pool["name"] not in ("wan6", "pd")]
    await empty.apply(described)

    with pytest.raises(NoPoolBound) as refused:
        await empty.allocate(1001, "LOC-1", "fiber-100")

    assert (refused.value.location, refused.value.plan, refused.value.bng) == ("LOC-1", "fiber-100", "bng-1")
    assert "needs an IPv6 WAN pool and a pool of delegated prefixes at LOC-1" in str(refused.value)


@pytest.mark.parametrize(
    ("location", "takes", "svlan", "why"),
    [
        (
            "LOC-1",
            "by_node",
            "metro/210",
            'S-VLAN metro/210 is bound there, but has C-VLANs (`cvlans`), one for each line. With `cvlan = "by_node"` a'
            ' plan takes one that is shared at a node with `vlan_model = "n1"`, as OLT-1 has it.',
        ),
        (
            "LOC-2",
            "never",
            "metro/210",
            'S-VLAN metro/210 is bound there, but has C-VLANs (`cvlans`), one for each line. With `cvlan = "never"` a'
            " plan takes one that is shared.",
        ),
        (
            "LOC-2",
            "by_node",
            "metro/110",
            'S-VLAN metro/110 is bound there, but has no `cvlans`: all lines share it. With `cvlan = "by_node"` a plan'
            ' takes a C-VLAN for each line at a node with `vlan_model = "one_to_one"`, as OLT-2 has it.',
        ),
        (
            "LOC-1",
            "always",
            "metro/110",
            'S-VLAN metro/110 is bound there, but has no `cvlans`: all lines share it. With `cvlan = "always"` a plan'
            " takes a C-VLAN for each line.",
        ),
    ],
)
async def test_an_s_vlan_of_the_other_kind_that_is_bound_there_is_named_with_what_it_does_not_fit(
    empty: Network, location: str, takes: str, svlan: str, why: str
) -> None:
    described = small()
    described["plan"].append({"name": "plain", "access": "pppoe", "cvlan": takes})
    only = [each for each in described["svlan"] if f"metro/{each['vid']}" == svlan]
    described["svlan"] = [each | {"bindings": [{"bng": "bng-1"}]} for each in only]
    await empty.apply(described)

    with pytest.raises(NoPoolBound) as refused:
        await empty.allocate(1001, location, "plain")

    assert str(refused.value).endswith(f"for this plan. {why} Bind one that fits, or correct that.")


async def test_an_s_vlan_of_either_kind_serves_the_plans_that_take_it_at_any_node(empty: Network) -> None:
    described = small()
    described["plan"] += [{"name": each, "access": "pppoe", "cvlan": each} for each in ("always", "never")]
    described["svlan"] = [each | {"bindings": [{"bng": "bng-1"}]} for each in described["svlan"]]
    await empty.apply(described)

    given = [
        await empty.allocate(customer, place, plan)
        for customer, (place, plan) in enumerate([("LOC-1", "always"), ("LOC-2", "never")], start=1)
    ]

    assert [each["svlan"] for each in given] == [210, 110]
    assert [each["cvlan"] is None for each in given] == [False, True]


async def test_an_ipoe_plan_is_never_served_without_a_gateway(empty: Network) -> None:
    described = one_pool("192.0.2.0/28")
    described["plan"].append({"name": "ipoe", "access": "ipoe"})
    await empty.apply(described)

    with pytest.raises(GatewayMissing, match="cgnat"):
        await empty.allocate(1001, "LOC-1", "ipoe")


@pytest.mark.parametrize("customer_id", [0, -7, 2**63])
async def test_customers_are_numbered_from_one(network: Network, customer_id: int) -> None:
    with pytest.raises(RequestInvalid, match="customer_id"):
        await network.allocate(customer_id)


@pytest.mark.parametrize("request_id", ["", " ", "x" * 201])
async def test_a_request_id_is_neither_empty_nor_endless(network: Network, request_id: str) -> None:
    with pytest.raises(RequestInvalid, match="request_id"):
        await network.allocate(request_id=request_id)


@pytest.mark.parametrize("realm", ["ISP.example", "isp example", "o'brien", "-isp", "x" * 41, "isp\n"])
async def test_a_realm_that_freeradius_would_not_look_up_is_refused(network: Network, realm: str) -> None:
    async with network.database.begin() as db:
        with pytest.raises(RequestInvalid, match="username_realm"):
            NetworkService(db, tenant_id=TENANT, now=network.clock, username_realm=realm)


async def test_without_a_realm_the_username_has_no_at_sign(network: Network) -> None:
    async with network.database.begin() as db:
        service = NetworkService(db, tenant_id=TENANT, now=network.clock, username_realm="")
        given = await service.allocate_resources(customer_id=1001, service_location="LOC-1", bandwidth_plan="fiber-100")

    assert given["username"] == f"c1001-s{given['service_id']}"


async def occupy_usernames(db: AsyncSession, count: int) -> int:
    """Former services with the usernames that the next services of customer 1001 would get; the first number."""
    place = await db.scalar(select(Location.id).where(Location.name == "LOC-1"))
    plan = await db.scalar(select(AddressPlan.id).where(AddressPlan.name == "fiber-100"))
    first = 5000 + count if db.get_bind().dialect.name == "sqlite" else 1
    ended = {"state": "released", "created_at": STARTED_AT, "released_at": STARTED_AT}
    served = {"tenant_id": TENANT, "customer_id": 7, "location_id": place, "plan_id": plan, **ended}
    names = [{"service_id": 5000 + n, "username": f"c1001-s{first + n}@{REALM}", **served} for n in range(count)]
    await db.execute(insert(table_of(Service)), names)
    return first


@pytest.mark.parametrize("at_once", [True, False], ids=["in one transaction with them", "in one of its own"])
async def test_the_next_number_is_taken_where_somebody_has_the_username_already(
    network: Network, at_once: bool
) -> None:
    async with network.database.begin() as db:
        first = await occupy_usernames(db, 3)
        if at_once:
            given = await network.service(db).allocate_resources(
                customer_id=1001, service_location="LOC-1", bandwidth_plan="fiber-100"
            )
    if not at_once:
        given = await network.allocate(1001)
    other = await network.allocate(1001)

    assert (given["service_id"], other["service_id"]) == (first + 3, first + 4)
    assert given["username"] == f"c1001-s{first + 3}@{REALM}"
    assert await network.violations() == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_however_many_usernames_are_taken_the_first_free_one_is_found(network: Network) -> None:
    async with network.database.begin() as db:
        first = await occupy_usernames(db, 100)

    given = [await network.allocate(1001) for _ in range(2)]

    assert [each["service_id"] for each in given] == [first + 100, first + 101]
    assert given[0]["username"] == f"c1001-s{first + 100}@{REALM}"
    assert await network.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # where the next try goes on from there
async def test_usernames_that_are_taken_one_after_the_other_are_refused_and_cost_no_address(network: Network) -> None:
    async with network.database.begin() as db:
        first = await occupy_usernames(db, 100)

    with pytest.raises(UsernameTaken) as refused:
        await network.allocate(1001)

    assert refused.value.username.startswith("c1001-s")
    assert first < int(refused.value.username.split("@")[0].removeprefix("c1001-s")) < first + 16
    async with network.database.begin() as db:
        assert (await db.execute(select(Allocation.id))).all() == []


async def test_after_a_refusal_the_callers_transaction_goes_on_and_keeps_its_own_rows(empty: Network) -> None:
    described = small()
    for pool in described["pool"]:
        if pool["name"] == "pd":
            pool["network"] = "2001:db8:2000::/56"
    await empty.apply(described)
    await empty.allocate(1001)

    async with empty.database.begin() as db:
        await db.execute(insert(table_of(Vrf)).values(tenant_id=TENANT, name="written before"))
        with pytest.raises(PoolExhausted, match="Pool pd is full: 1 of 1 assigned"):
            await empty.service(db).allocate_resources(
                customer_id=1002, service_location="LOC-1", bandwidth_plan="fiber-100"
            )
        await db.execute(insert(table_of(Vrf)).values(tenant_id=TENANT, name="written after"))

    async with empty.database.begin() as db:
        written = set(await db.scalars(select(Vrf.name).where(Vrf.name.like("written%"))))
        services = list(await db.scalars(select(Service.customer_id)))
    assert written == {"written before", "written after"}
    assert services == [1001]
    assert await empty.violations() == []


async def test_a_rolled_back_transaction_leaves_nothing(network: Network) -> None:
    class PoweredOff(Exception):
        pass

    with pytest.raises(PoweredOff):
        async with network.database.begin() as db:
            await network.service(db).allocate_resources(
                customer_id=1001, service_location="LOC-1", bandwidth_plan="fiber-100"
            )
            raise PoweredOff

    async with network.database.begin() as db:
        assert (await db.execute(select(Allocation.id))).all() == []
        assert (await db.execute(select(Service.service_id))).all() == []
    assert await network.violations() == []


async def test_the_most_specific_binding_wins_and_a_plans_own_before_all(empty: Network) -> None:
    def pool(name: str, third: int, **binding: object) -> dict[str, object]:
        return {"name": name, "kind": "ipv4", "network": f"10.0.{third}.0/29", "bindings": [binding]}

    described = small(
        plan=[{"name": "fiber-100", "access": "pppoe"}, {"name": "gold", "access": "pppoe"}],
        pool=[
            pool("of the bng", 1, bng="bng-1"),
            pool("of the site", 2, site="north"),
            pool("of the node", 3, access_node="OLT-1"),
            pool("of the port", 4, access_node="OLT-1", port="0/1/0"),
            pool("of gold", 5, bng="bng-1", plan="gold"),
        ],
    )
    described["site"].append({"name": "south"})
    described["access_node"].append({"name": "OLT-9", "site": "south", "bng": "bng-1", "ports": []})
    described["location"].append({"id": "LOC-9", "access_node": "OLT-9"})
    described["svlan"].append({"group": "metro", "vid": 300, "bindings": [{"access_node": "OLT-9"}]})
    await empty.apply(described)

    async def third_number(location: str, plan: str) -> int:
        return int((await empty.allocate(1001, location, plan))["ip_address"].split(".")[2])

    assert await third_number("LOC-1", "fiber-100") == 4
    assert await third_number("LOC-3", "fiber-100") == 3
    assert await third_number("LOC-2", "fiber-100") == 2
    assert await third_number("LOC-9", "fiber-100") == 1
    assert await third_number("LOC-1", "gold") == 5


async def test_pools_of_one_place_are_filled_in_order_of_priority(empty: Network) -> None:
    def pool(name: str, network: str, priority: int) -> dict[str, object]:
        return {"name": name, "kind": "ipv4", "network": network, "bindings": [{"bng": "bng-1", "priority": priority}]}

    await empty.apply(
        small(
            plan=[{"name": "fiber-100", "access": "pppoe"}],
            pool=[pool("second", "10.0.1.0/30", 20), pool("first", "10.0.0.0/30", 10)],
        )
    )

    given = [(await empty.allocate(customer))["ip_address"] for customer in range(1, 5)]

    assert {address.rsplit(".", 1)[0] for address in given[:2]} == {"10.0.0"}
    assert {address.rsplit(".", 1)[0] for address in given[2:]} == {"10.0.1"}
    with pytest.raises(PoolExhausted) as full:
        await empty.allocate(5)
    assert (full.value.pool, full.value.size, full.value.assigned) == ("first + second", 4, 4)
