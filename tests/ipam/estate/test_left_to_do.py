"""Entry by entry only that of a description is looked at which the network isn't like yet; nothing else is missed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, select

from ipam import AliasTaken, EstateRefused
from ipam.tables import Bng, Location, PoolBinding, table_of
from tests.ipam.conftest import Network, small

PORTS = [f"0/{port}" for port in range(5)]
RULE = {"pool": "cgnat", "outside": "203.0.113.64/28", "ports_per_subscriber": 4000}
AROUND = {"network": "10.0.0.0/8", "role": "container"}
CHANGES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "kind of a node": ("access_node", 0, {"kind": "dslam"}),
    "site of a node": ("access_node", 0, {"site": "south"}),
    "BNG of a node": ("access_node", 0, {"bng": "bng-2"}),
    "VLAN model of a node": ("access_node", 0, {"vlan_model": "one_to_one"}),
    "VLAN of its CPEs": ("access_node", 0, {"cpe_vlan_id": 36}),
    "VLAN of its management": ("access_node", 0, {"management_vlan": None}),
    "a port more": ("access_node", 0, {"ports": ["0/1/0", "0/1/1", "0/1/2"]}),
    "node of a premise": ("location", 2, {"access_node": "OLT-2"}),
    "port of a premise": ("location", 0, {"port": "0/1/1"}),
    "no port any more": ("location", 0, {"port": None}),
    "ONU": ("location", 0, {"onu": 0}),
    "circuit": ("location", 0, {"circuit_id": "circuit-1"}),
    "an alias more": ("location", 0, {"aliases": ["OLT-1/0/1/0/7", "DROP-7781", "DROP-7782"]}),
    "an alias less": ("location", 0, {"aliases": ["DROP-7781"]}),
    "access of a plan": ("plan", 0, {"access": "ipoe"}),
    "addressing of a plan": ("plan", 0, {"addressing": "dhcp"}),
    "C-VLANs of a plan": ("plan", 0, {"cvlan": "never"}),
    "role of a prefix": ("prefix", 0, {"role": "infra"}),
    "prefix of a pool": ("pool", 4, {"network": "2001:db8:3000::/48"}),
    "VRF of a pool": ("pool", 4, {"vrf": "blue"}),
    "units of a pool": ("pool", 4, {"unit_length": 60}),
    "name of a pool at the BNG": ("pool", 2, {"framed_pool": "POOL-B"}),
    "a pool of ours": ("pool", 2, {"framed_pool": None}),
    "role of a pool": ("pool", 0, {"role": "public"}),
    "gateway": ("pool", 0, {"gateway": "100.64.0.14"}),
    "no gateway any more": ("pool", 0, {"gateway": None}),
    "quarantine": ("pool", 0, {"quarantine_seconds": 3601}),
    "stickiness": ("pool", 0, {"sticky_seconds": 0}),
    "policy": ("pool", 0, {"policy": "reuse_first"}),
    "threshold": ("pool", 0, {"minimum_free": 1}),
    "an exclusion": ("pool", 0, {"exclude": ["100.64.0.9"]}),
    "another exclusion": ("pool", 1, {"exclude": ["203.0.113.3"]}),
    "ranges": ("pool", 0, {"ranges": ["100.64.0.2-100.64.0.9"]}),
    "a binding more": ("pool", 0, {"bindings": [{"bng": "bng-1"}, {"bng": "bng-2"}]}),
    "a binding less": ("pool", 0, {"bindings": []}),
    "a binding to a port": ("pool", 0, {"bindings": [{"access_node": "OLT-1", "port": "0/1/0"}]}),
    "plan of a binding": ("pool", 1, {"bindings": [{"bng": "bng-1"}]}),
    "priority of a binding": ("pool", 0, {"bindings": [{"bng": "bng-1", "priority": 9}]}),
    "outside of a rule": ("nat_rule", 0, {"outside": "203.0.113.80/28"}),
    "ports of a rule": ("nat_rule", 0, {"ports_per_subscriber": 3999}),
    "algorithm of a rule": ("nat_rule", 0, {"algorithm": "by_block"}),
    "VRF of a rule": ("nat_rule", 0, {"vrf": "blue"}),
    "numbers of a VLAN group": ("vlan_group", 0, {"reserved": []}),
    "binding of a shared S-VLAN": ("svlan", 0, {"bindings": [{"access_node": "OLT-1", "port": "0/1/0"}]}),
    "C-VLANs in a shared S-VLAN": ("svlan", 0, {"cvlans": ["2-9"]}),
    "no C-VLANs any more": ("svlan", 1, {"cvlans": [], "reserved": []}),
    "C-VLANs": ("svlan", 1, {"cvlans": ["2-3000"]}),
    "reserved C-VLANs": ("svlan", 1, {"reserved": []}),
    "formula": ("svlan", 1, {"cvlan_formula": "200+onu"}),
    "quarantine of C-VLANs": ("svlan", 1, {"quarantine_seconds": 0}),
    "node of C-VLANs": ("svlan", 1, {"bindings": [{"access_node": "OLT-2"}]}),
}


def estate(premises: int) -> dict[str, Any]:
    """All that a description may name grows with them: ports as they do, and of each other part there is a fifth."""
    every, fifth = range(premises), range(premises // 5)
    bindings = [[{"access_node": f"OLT-{n}", "port": "0/1"}, {"bng": "bng-0", "plan": f"plan-{n}"}] for n in fifth]
    return {
        "vrf": [{"name": f"vrf-{n}"} for n in fifth],
        "bng": [{"name": f"bng-{n}"} for n in fifth],
        "site": [{"name": f"site-{n}"} for n in fifth],
        "plan": [{"name": f"plan-{n}", "access": "pppoe"} for n in fifth],
        "access_node": [{"name": f"OLT-{n}", "site": f"site-{n}", "bng": f"bng-{n}", "ports": PORTS} for n in fifth],
        "location": [
            {
                "id": f"LOC-{n}",
                "access_node": f"OLT-{n // 5}",
                "port": PORTS[n % 5],
                "onu": n,
                "circuit_id": f"circuit-{n}",
                "aliases": [f"DROP-{n}", f"door-{n}"],
            }
            for n in every
        ],
        "prefix": [{"network": f"10.0.{n}.0/24", "role": ("container", "infra")[n % 2]} for n in fifth],
        "pool": [
            {
                "name": f"pool-{n}",
                "kind": "ipv4",
                "role": "cgnat",
                "network": f"100.64.{n}.0/28",
                "gateway": f"100.64.{n}.1" if n % 2 else None,
                "exclude": [f"100.64.{n}.9"],
                "bindings": bindings[n],
            }
            for n in fifth
        ],
        "nat_rule": [{"pool": f"pool-{n}", "outside": f"203.0.{n}.0/30", "ports_per_subscriber": 4000} for n in fifth],
        "vlan_group": [{"name": f"metro-{n}", "vids": ["100-399"], "reserved": ["150"]} for n in fifth],
        "svlan": [
            {
                "group": f"metro-{n}",
                "vid": 200 + n % 2,
                **({"cvlans": ["2-99"]} if n % 2 else {}),
                "bindings": bindings[n],
            }
            for n in fifth
        ],
    }


async def statements_to_apply(network: Network, described: dict[str, Any], changes: int) -> int:
    """So many, for so many changes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(network.database.engine.sync_engine, "before_cursor_execute", note)
    assert len(await network.apply(described)) == changes
    event.remove(network.database.engine.sync_engine, "before_cursor_execute", note)
    return len(seen)


async def test_what_is_as_described_is_asked_for_at_once_however_much_of_it_there_is(empty: Network) -> None:
    unchanged, changed = list[int](), list[int]()
    for premises in (10, 200):
        described = estate(premises)
        await empty.apply(described)
        unchanged.append(await statements_to_apply(empty, described, 0))
        described["plan"][0] |= {"ipv6_pd": True}
        described["location"][1] |= {"port": "0/3", "aliases": ["anew"]}
        described["access_node"][1] |= {"ports": [*PORTS, *(f"{premises}/{port}" for port in range(premises))]}
        changed.append(await statements_to_apply(empty, described, 3))
    assert unchanged[0] == unchanged[1] < 50
    assert changed[0] == changed[1] < 80


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_differs_is_changed_and_nothing_else_is(network: Network, what: str) -> None:
    section, number, changed = CHANGES[what]
    more = {"vrf": [{"name": "blue"}], "bng": [{"name": "bng-1"}, {"name": "bng-2"}], "prefix": [AROUND]}
    described = small(site=[{"name": "north"}, {"name": "south"}], nat_rule=[RULE], **more)
    await network.apply(described)
    assert await network.apply(described) == []

    entry = {**described[section][number], **changed}
    described[section] = [*described[section]]
    described[section][number] = {name: value for name, value in entry.items() if value is not None}

    [change] = await network.apply(described)
    assert change.startswith(f"{section} ")
    assert change.endswith(" changed")
    assert await network.apply(described) == []


async def test_premises_are_added_by_the_thousand_in_the_order_in_which_they_are_described(network: Network) -> None:
    asked: list[int] = []
    for number, premises in enumerate((10, 200)):
        names = [f"LOC-{number}-{each}" for each in range(premises, 0, -1)]
        places = [
            {"id": name, "access_node": "OLT-1", "port": ("0/1/0", None)[each % 2], "aliases": [f"DROP-{name}"]}
            for each, name in enumerate(names)
        ]
        asked.append(await statements_to_apply(network, {"location": [*small()["location"], *places]}, premises))
        async with network.database.begin() as db:
            in_order = select(Location.name).where(Location.name.in_(names)).order_by(Location.id)
            assert list(await db.scalars(in_order)) == names
            located = await network.service(db).locate(f"DROP-{names[1]}")
            assert (located["location"], located["port"]) == (names[1], None)
    assert asked[0] == asked[1]
    assert await network.violations() == []


async def test_what_is_in_the_way_of_new_premises_is_told_for_each_and_none_is_added(network: Network) -> None:
    drop, other = [
        {"id": name, "access_node": "OLT-1", "aliases": [alias]}
        for name, alias in (("LOC-8", "DROP-7781"), ("LOC-9", "LOC-2"))
    ]
    free = {"id": "LOC-7", "access_node": "OLT-2", "port": "0/2/0"}

    with pytest.raises(AliasTaken, match="'DROP-7781' can't lead to LOC-8: it already leads to LOC-1"):
        await network.apply({"location": [free, drop]})
    with pytest.raises(EstateRefused) as refused:
        await network.apply({"bng": [{"name": "bng-2"}], "location": [drop, free, other]})

    assert [fault.where for fault in refused.value.faults] == ["location LOC-8", "location LOC-9"]
    async with network.database.begin() as db:
        assert list(await db.scalars(select(Location.name))) == ["LOC-1", "LOC-2", "LOC-3"]
        assert list(await db.scalars(select(Bng.name))) == ["bng-1"]


async def test_bindings_stand_in_the_order_in_which_they_are_described(network: Network) -> None:
    plans = [{"name": f"plan-{number}", "access": "pppoe"} for number in range(40, 0, -1)]
    pool = {"name": "many", "kind": "ipv6_pd", "network": "2001:db8:4000::/48"}
    bound = [{"bng": "bng-1", "plan": plan["name"]} for plan in plans]
    await network.apply({"plan": plans, "pool": [{**pool, "bindings": bound[:-1]}]})
    seven = await statements_to_apply(network, {"pool": [{**pool, "bindings": [bound[-1], *bound[:-1]]}]}, 1)

    table = table_of(PoolBinding)
    async with network.database.begin() as db:
        pool_id = await db.scalar(select(table.c.pool_id).order_by(table.c.id.desc()).limit(1))
        in_order = select(table.c.plan_id).where(table.c.pool_id == pool_id).order_by(table.c.id)
        plan_ids = list(await db.scalars(in_order))
    assert plan_ids == sorted(plan_ids)
    assert len(plan_ids) == 40
    assert seven < 50
