"""Each invariant of what has become of addresses finds the corruption it is there for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from ipam import AllocatedResources, LoggedBlock
from ipam.invariants import SEE
from tests.ipam.allocation.test_cvlan_formula import computed
from tests.ipam.conftest import HISTORY_CHECKS, STARTED_AT, Network, corrupt, found, laid_open, one_pool


async def test_a_network_in_which_everything_was_done_has_no_violations(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600, role="cgnat"))
    lines = [await empty.allocate(customer, ip_address=f"192.0.2.{customer}") for customer in (1, 2, 3)]
    await empty.serve("move_service", service_id=lines[0]["service_id"], service_location="LOC-3", note="moves")
    for line in lines[1:]:
        await empty.release(line["service_id"])
    await empty.keep("lift", pool="cgnat", value=lines[1]["ip_address"], note="urgent")
    await empty.allocate(4, ip_address=lines[1]["ip_address"])
    await empty.keep("reserve", pool="cgnat", value="192.0.2.14", note="kept")
    await empty.keep("drain", pool="cgnat", span="192.0.2.8/29", note="moving")
    await empty.ports("define_rule", pool="cgnat", outside="203.0.113.0/30", ports_per_subscriber=2000)

    assert await found(empty, HISTORY_CHECKS) == {}
    assert await empty.violations() == []


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        (
            "UPDATE ipam_allocation SET service_id = 3 WHERE service_id = 1 AND pool_id ="
            " (SELECT id FROM ipam_pool WHERE name = 'pd')",
            ["{pd} of pool pd: is held by service 3, but its history says held by service 1"],
        ),
        (
            "UPDATE ipam_allocation SET state = 'quarantine', available_at = assigned_at, service_id = NULL"
            " WHERE service_id = 2 AND pool_id = (SELECT id FROM ipam_pool WHERE kind = 'cvlan')",
            ["{cvlan} of pool metro/210: is in quarantine, but its history says held by service 2"],
        ),
        (
            "DELETE FROM ipam_allocation WHERE service_id = 1 AND pool_id ="
            " (SELECT id FROM ipam_pool WHERE name = 'cgnat')",
            ["{v4} of pool cgnat: is nobody's, but its history says held by service 1"],
        ),
        (
            "INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, subject, assigned_at, note)"
            " SELECT tenant_id, id, 4, 'reserved', '', defined_at, 'x' FROM ipam_pool WHERE name = 'office'",
            ["203.0.113.4 of pool office: is reserved, but its history says nothing"],
        ),
        *(
            (
                f"UPDATE ipam_allocation SET available_at = '{day} 00:00:00.000000' WHERE state = 'quarantine'"
                " AND pool_id = (SELECT id FROM ipam_pool WHERE name = 'cgnat')",
                [
                    f"{{cooling}} of pool cgnat: is in quarantine until {day} 00:00:00 UTC, but its history says until"
                    " 2030-01-01 13:00:00 UTC"
                ],
            )
            for day in ("2126-01-01", "2020-01-01")
        ),
    ],
)
async def test_a_unit_off_its_history_is_found(
    network: Network, two_services: list[AllocatedResources], corruption: str, told: list[str]
) -> None:
    first, second = two_services
    [cooling] = [line.split(",")[3] for line in (await network.export("cgnat")).splitlines() if "quarantine" in line]
    await corrupt(network, corruption)

    values = {"cooling": cooling, "pd": first["delegated_prefix"], "v4": first["ip_address"], "cvlan": second["cvlan"]}
    assert await found(network, HISTORY_CHECKS) == {
        "off_its_history": [f"{each.format(**values)}; {SEE}" for each in told]
    }


@pytest.mark.parametrize(
    ("pool", "service", "told"),
    [
        ("999", "1", "names pool 999, which isn't there"),
        ("(SELECT min(id) FROM ipam_pool)", "999", "names a service that isn't there"),
    ],
)
async def test_a_history_of_what_is_not_there_is_found(network: Network, pool: str, service: str, told: str) -> None:
    await network.allocate(1)
    await corrupt(
        network,
        "INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at, available_at)"
        f" SELECT tenant_id, {pool}, 77, {service}, 'released', created_at, created_at FROM ipam_service",
    )

    [violation] = (await found(network, HISTORY_CHECKS))["off_its_history"]
    assert violation.startswith("entry ")
    assert violation.endswith(f" of the history of addresses: {told}")


async def test_a_service_that_is_not_where_it_was_moved_to_is_found(network: Network) -> None:
    given = await network.allocate(1, "LOC-1")
    await network.serve("move_service", service_id=given["service_id"], service_location="LOC-3", note="moves")

    await corrupt(network, "UPDATE ipam_service SET location_id = (SELECT id FROM ipam_location WHERE name = 'LOC-1')")

    assert (await found(network, HISTORY_CHECKS))["off_its_history"] == [
        "service 1: is at LOC-1, but was moved to LOC-3 last"
    ]


async def test_what_went_to_another_customer_too_early_is_found(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"], quarantine_seconds=600))
    await empty.release((await empty.allocate(1))["service_id"])
    await corrupt(empty, "UPDATE ipam_allocation SET available_at = assigned_at")
    given = await empty.allocate(2)

    assert await found(empty, HISTORY_CHECKS) == {
        "given_too_early": [
            f"{given['ip_address']} of pool cgnat: went from service 1 to service 2 before its quarantine was over"
        ]
    }


async def test_a_c_vlan_that_does_not_follow_from_its_port_is_found(empty: Network) -> None:
    await empty.apply(computed(LOC_1=7, LOC_2=8))
    for customer, location in ((1, "LOC-1"), (2, "LOC-2")):
        await empty.allocate(customer, location)
    await empty.allocate(3, "LOC-1", cvlan=3000)

    await corrupt(
        empty,
        "UPDATE ipam_location SET onu = 70 WHERE name = 'LOC-1'",
        "UPDATE ipam_location SET onu = NULL WHERE name = 'LOC-2'",
    )

    said = "service {}: has C-VLAN {} in metro/210, but 1000*port + onu + 2 at {} is {}"
    assert await found(empty, HISTORY_CHECKS) == {
        "cvlans_not_as_computed": [said.format(1, 9, "LOC-1", 72), said.format(2, 10, "LOC-2", "nothing")]
    }


async def test_a_rule_that_was_corrected_at_once_has_held_no_ports_that_another_pools_rule_has(empty: Network) -> None:
    described: dict[str, Any] = one_pool("100.64.0.0/28")
    described["pool"].append({"name": "more", "kind": "ipv4", "network": "100.64.1.0/28"})
    await empty.apply(described)
    empty.clock.forward(hours=10)
    since = empty.clock.at - timedelta(hours=2)
    terms: dict[str, Any] = {"ports_per_subscriber": 2000}
    await empty.ports("define_rule", pool="cgnat", outside="203.0.113.0/30", since=since, **terms)
    empty.clock.forward(minutes=3)
    await empty.ports("define_rule", pool="cgnat", outside="203.0.113.4/30", since=since, **terms)
    empty.clock.forward(minutes=3)

    earlier = since - timedelta(hours=1)
    assert await empty.ports("define_rule", pool="more", outside="203.0.113.0/30", since=earlier, **terms)

    assert await found(empty, HISTORY_CHECKS) == {}


async def test_ports_that_two_had_at_one_time_are_found(empty: Network) -> None:
    described: dict[str, Any] = one_pool("100.64.0.0/28")
    described["pool"].append({"name": "more", "kind": "ipv4", "network": "100.64.1.0/28"})
    await empty.apply(described)
    for pool, outside in (("cgnat", "203.0.113.0/30"), ("more", "198.51.100.0/30")):
        await empty.ports("define_rule", pool=pool, outside=outside, ports_per_subscriber=2000)
    block = LoggedBlock("203.0.113.77", 1024, 1535, "100.64.0.9", STARTED_AT)
    await empty.ports("import_blocks", blocks=[block], source="a")
    assert await found(empty, HISTORY_CHECKS) == {}

    async with laid_open(empty, "ipam_nat_rule") as db:
        first = "(SELECT {} FROM ipam_nat_rule WHERE name = 'cgnat')"
        same = ", ".join(f"{column} = {first.format(column)}" for column in ("first_outside", "last_outside"))
        await db.execute(text(f"UPDATE ipam_nat_rule SET {same} WHERE name = 'more'"))
    await corrupt(
        empty,
        "INSERT INTO ipam_nat_block (tenant_id, outside, first_port, last_port, vrf_id, inside, began_at, source)"
        " SELECT tenant_id, outside, 1535, 2046, vrf_id, inside, began_at, 'b' FROM ipam_nat_block",
    )

    assert await found(empty, HISTORY_CHECKS) == {
        "ports_of_two": [
            "port blocks of pool cgnat: are those of pool more at the same time",
            "port 203.0.113.77:1024: was given to two at one time, by a and b",
        ]
    }
