"""How a pool hands out: which source goes first, how long a subject has a claim, and what may be said of it."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import validate_estate
from tests.ipam.conftest import Network, one_pool, small

pytestmark = pytest.mark.both_databases


async def test_a_pool_that_reuses_first_touches_nothing_fresh_while_something_has_rested(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=60, policy="reuse_first"))
    given = [await empty.allocate(customer) for customer in (1, 2, 3)]
    for service in given[1:]:
        await empty.release(service["service_id"])
        empty.clock.forward(seconds=1)
    cooling = (await empty.allocate(4))["ip_address"]
    empty.clock.forward(seconds=60)

    again = [(await empty.allocate(customer))["ip_address"] for customer in (11, 12, 13)]

    assert cooling not in {service["ip_address"] for service in given}
    assert again[:2] == [service["ip_address"] for service in given[1:]]
    assert again[2] not in {*again[:2], cooling, given[0]["ip_address"]}
    assert await empty.violations() == []


async def test_a_claim_to_a_former_address_ends_with_its_time(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=60, sticky_seconds=600))
    first = await empty.allocate(1)
    await empty.release(first["service_id"])
    empty.clock.forward(seconds=600)
    in_time = await empty.allocate(1)
    await empty.release(in_time["service_id"])
    empty.clock.forward(seconds=601)

    too_late = await empty.allocate(1)

    assert in_time["ip_address"] == first["ip_address"]
    assert too_late["ip_address"] != first["ip_address"]
    assert await empty.violations() == []


async def test_a_pool_without_claims_gives_nobody_their_former_address_before_its_time(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", quarantine_seconds=60, sticky_seconds=0))
    first = await empty.allocate(1)
    await empty.release(first["service_id"])
    empty.clock.forward(seconds=1)

    assert (await empty.allocate(1))["ip_address"] != first["ip_address"]


async def test_how_a_pool_hands_out_may_change_under_way(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0))
    first = await empty.allocate(1)
    await empty.release(first["service_id"])
    changed: dict[str, Any] = {"policy": "reuse_first", "sticky_seconds": 5, "warn_percent": 50, "minimum_free": 2}

    assert await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0, **changed)) == ["pool cgnat changed"]

    assert await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0, **changed)) == []
    assert (await empty.allocate(2))["ip_address"] == first["ip_address"]


@pytest.mark.parametrize(
    ("section", "changed", "fault"),
    [
        ("pool", {"warn_percent": 90, "crit_percent": 80}, "pool cgnat: crit_percent 80 is below warn_percent 90"),
        ("pool", {"minimum_free": 14}, "pool cgnat: minimum_free 14 is more than the 13 that it has"),
        ("pool", {"sticky_seconds": -1}, "pool cgnat: sticky_seconds: Input should be greater than or equal to 0"),
        ("pool", {"policy": "random"}, "pool cgnat: policy: Input should be 'fresh_first' or 'reuse_first'"),
        ("svlan", {"minimum_free": 9, "cvlans": ["2-9"]}, "svlan metro/110: minimum_free 9 is more than the 8 that it"),
        ("svlan", {"cvlan_formula": "onu+2"}, "svlan metro/110: a cvlan_formula without any cvlans"),
        ("svlan", {"cvlans": ["2-9"], "cvlan_formula": "onu+pon"}, "svlan number 1: cvlan_formula: 'onu+pon' is no"),
    ],
)
def test_what_a_pool_can_not_mean_is_a_fault(section: str, changed: dict[str, Any], fault: str) -> None:
    described = small()
    described[section][0] |= changed

    [found] = [str(each) for each in validate_estate(described)]

    assert found.startswith(fault)
