"""What comes back, when it may go to somebody else, and who gets it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ipam import PoolExhausted, ServiceUnknown
from tests.ipam.conftest import STARTED_AT, Network, one_pool


async def test_release_tells_what_came_back_and_until_when_it_rests(network: Network) -> None:
    given = await network.allocate()

    released = await network.release(given["service_id"])

    assert released["service_id"] == given["service_id"]
    assert released["released_at"] == STARTED_AT
    assert {unit["pool"]: (unit["value"], unit["available_at"]) for unit in released["released"]} == {
        "cgnat": (given["ip_address"], STARTED_AT + timedelta(hours=1)),
        "pd": (given["delegated_prefix"], STARTED_AT + timedelta(days=1)),
        "wan6": (given["ipv6_wan_prefix"], STARTED_AT + timedelta(days=1)),
    }


async def test_release_again_gives_the_same_answer_and_changes_nothing(network: Network) -> None:
    given = await network.allocate()
    first = await network.release(given["service_id"])
    network.clock.forward(hours=5)

    assert await network.release(given["service_id"]) == first
    assert await network.violations() == []


async def test_release_again_tells_the_quarantine_of_then_whatever_has_become_of_it_since(empty: Network) -> None:
    await empty.apply(one_pool(quarantine_seconds=3600))
    lifted, drained = await empty.allocate(1, ip_address="192.0.2.3"), await empty.allocate(2, ip_address="192.0.2.9")
    first = [await empty.release(each["service_id"]) for each in (lifted, drained)]
    empty.clock.forward(seconds=60)
    await empty.keep("lift", pool="cgnat", value="192.0.2.3", note="the customer is back")
    await empty.keep("drain", pool="cgnat", span="192.0.2.8/29", note="goes south")

    again = [await empty.release(each["service_id"]) for each in (lifted, drained)]

    assert again == first
    rests_until = STARTED_AT + timedelta(hours=1)
    assert [unit["available_at"] for each in again for unit in each["released"]] == [rests_until] * 2


async def test_release_again_tells_of_a_drain_that_has_ended_when_the_quarantine_of_then_is_over(
    empty: Network,
) -> None:
    await empty.apply(one_pool(quarantine_seconds=3600))
    given = await empty.allocate(1, ip_address="192.0.2.9")
    await empty.keep("drain", pool="cgnat", span="192.0.2.8/29", note="goes south")
    first = await empty.release(given["service_id"])
    again = await empty.release(given["service_id"])
    await empty.keep("undrain", pool="cgnat", span="192.0.2.8/29")

    undrained = await empty.release(given["service_id"])

    told = [[unit["available_at"] for unit in each["released"]] for each in (first, again, undrained)]
    assert told == [[None], [None], [STARTED_AT + timedelta(hours=1)]]


async def test_a_c_vlan_comes_back_as_its_number(network: Network) -> None:
    given = await network.allocate(location="LOC-2")

    released = await network.release(given["service_id"])

    assert ("metro/210", str(given["cvlan"])) in {(unit["pool"], unit["value"]) for unit in released["released"]}


async def test_a_service_that_never_was_can_not_be_released(network: Network) -> None:
    with pytest.raises(ServiceUnknown, match="999"):
        await network.release(999)


async def test_another_tenants_service_can_not_be_released(network: Network) -> None:
    given = await network.allocate()
    stranger = Network(network.database, network.clock, tenant_id="other")

    with pytest.raises(ServiceUnknown):
        await stranger.release(given["service_id"])


async def test_nobody_else_gets_an_address_before_its_quarantine_is_over(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", quarantine_seconds=600))
    first = await empty.allocate(1)
    await empty.allocate(2)
    await empty.release(first["service_id"])
    empty.clock.forward(seconds=599)

    with pytest.raises(PoolExhausted) as full:
        await empty.allocate(3)
    assert (full.value.size, full.value.assigned, full.value.quarantined) == (2, 1, 1)
    assert full.value.next_available_at == STARTED_AT + timedelta(seconds=600)

    empty.clock.forward(seconds=1)
    assert (await empty.allocate(3))["ip_address"] == first["ip_address"]
    assert await empty.violations() == []


async def test_who_comes_back_to_the_same_premise_gets_the_same_addresses_at_once(network: Network) -> None:
    before = await network.allocate(1001)
    await network.allocate(1002)
    await network.release(before["service_id"])

    after = await network.allocate(1001)

    assert after["ip_address"] == before["ip_address"]
    assert after["ipv6_wan_prefix"] == before["ipv6_wan_prefix"]
    assert after["delegated_prefix"] == before["delegated_prefix"]
    assert after["service_id"] != before["service_id"]


async def test_a_former_address_is_kept_for_its_subject_while_fresh_ones_last(network: Network) -> None:
    before = await network.allocate(1001)
    await network.release(before["service_id"])
    network.clock.forward(days=30)
    stranger = await network.allocate(1002)

    after = await network.allocate(1001)

    assert stranger["ip_address"] != before["ip_address"]
    assert after["ip_address"] == before["ip_address"]


async def test_the_same_customer_at_another_premise_is_another_subject(network: Network) -> None:
    before = await network.allocate(1001)
    await network.release(before["service_id"])

    elsewhere = await network.allocate(1001, "LOC-3")

    assert elsewhere["ip_address"] != before["ip_address"]
    assert elsewhere["delegated_prefix"] != before["delegated_prefix"]
    assert (await network.allocate(1001))["ip_address"] == before["ip_address"]


async def test_another_customer_at_the_same_premise_is_another_subject(network: Network) -> None:
    before = await network.allocate(1001)
    await network.release(before["service_id"])

    assert (await network.allocate(1002))["ip_address"] != before["ip_address"]


async def test_reuse_begins_with_the_one_that_has_rested_longest(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=60))
    given = [await empty.allocate(customer) for customer in range(1, 7)]
    order = [given[index] for index in (3, 0, 5, 2)]
    for service in order:
        await empty.release(service["service_id"])
        empty.clock.forward(seconds=1)
    empty.clock.forward(seconds=60)

    again = [(await empty.allocate(customer))["ip_address"] for customer in range(101, 105)]

    assert again == [service["ip_address"] for service in order]


async def test_fresh_addresses_go_first_so_that_used_ones_rest_as_long_as_possible(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0))
    first = await empty.allocate(1)
    await empty.release(first["service_id"])

    others = [(await empty.allocate(customer))["ip_address"] for customer in range(2, 7)]

    assert first["ip_address"] not in others
    assert (await empty.allocate(7))["ip_address"] == first["ip_address"]
