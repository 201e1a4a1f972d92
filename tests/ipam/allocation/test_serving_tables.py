"""What serves a place is worked out once for each state of the network, and never told of another state."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, text

from ipam.errors import PoolExhausted
from ipam.tables import NetworkVersion, Pool, Serving
from provisioning.database import Database
from tests.ipam.conftest import Network, small

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
]


async def kept(network: Network) -> list[tuple[int, int, str, int]]:
    async with network.database.begin() as db:
        rows = await db.execute(
            select(Serving.node_id, Serving.port_id, Serving.plan, Serving.version).order_by(
                Serving.node_id, Serving.port_id, Serving.plan
            )
        )
        return [(node, port, plan, version) for node, port, plan, version in rows]


async def version_of(network: Network) -> int | None:
    async with network.database.begin() as db:
        return await db.scalar(select(NetworkVersion.version).where(NetworkVersion.tenant_id == network.tenant_id))


def with_pool_at_the_port(network: str = "198.51.100.0/28") -> dict[str, Any]:
    described = small()
    described["pool"].append(
        {
            "name": "of the port",
            "kind": "ipv4",
            "network": network,
            "bindings": [{"access_node": "OLT-1", "port": "0/1/0"}],
        }
    )
    return described


async def test_premises_of_one_port_share_what_was_worked_out_for_the_first_and_keep_their_own_names(
    network: Network,
) -> None:
    described = small()
    beside = described["location"][0]
    described["location"].append({**beside, "id": "LOC-7", "aliases": []})
    await network.apply(described)

    first = await network.allocate(1, beside["id"])
    [row] = await kept(network)
    second = await network.allocate(2, "LOC-7")

    assert await kept(network) == [row]
    assert (first["access_node"], first["port"]) == (second["access_node"], second["port"])
    assert (await network.serve("service_at", address=second["ip_address"]))["location"] == "LOC-7"
    assert await network.violations() == []


async def test_a_network_as_it_was_counts_no_further_and_a_change_counts_once(network: Network) -> None:
    before = await version_of(network)
    await network.apply(small())
    assert await version_of(network) == before

    await network.apply(with_pool_at_the_port())
    assert await version_of(network) == (before or 0) + 1


async def test_what_a_transaction_has_changed_serves_in_it_and_is_kept_by_the_next(network: Network) -> None:
    await network.allocate(1)
    [row] = await kept(network)
    async with network.database.begin() as db:
        await network.estate(db).apply(with_pool_at_the_port())
        inside = await network.service(db).allocate_resources(
            customer_id=2, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        async with db.begin_nested() as savepoint:
            taken = await db.scalar(select(func.count()).select_from(Serving).where(Serving.version > row[3]))
            await savepoint.rollback()

    assert inside["ip_address"].startswith("198.51.100.")
    assert taken == 0
    assert await kept(network) == [row]
    after = await network.allocate(3)
    assert after["ip_address"].startswith("198.51.100.")
    assert await kept(network) == [(*row[:3], row[3] + 1)]


async def test_a_change_that_is_taken_back_leaves_what_was_worked_out_before(network: Network) -> None:
    first = await network.allocate(1)
    [row] = await kept(network)
    with pytest.raises(ZeroDivisionError):
        async with network.database.begin() as db:
            await network.estate(db).apply(with_pool_at_the_port())
            raise ZeroDivisionError
    again = await network.allocate(2)

    assert again["ip_address"].split(".")[:3] == first["ip_address"].split(".")[:3]
    assert await kept(network) == [row]


async def test_what_is_worked_out_while_another_changes_the_network_does_not_outlive_the_change(
    network: Network,
) -> None:
    elsewhere = Network(Database(network.database.url.render_as_string(hide_password=False)), network.clock)
    async with elsewhere.database.begin() as db:
        await elsewhere.estate(db).apply(with_pool_at_the_port())
        meanwhile = await network.allocate(1)
    afterwards = await network.allocate(2)
    await elsewhere.database.close()

    assert meanwhile["ip_address"].startswith("100.64.0.")
    assert afterwards["ip_address"].startswith("198.51.100.")


@pytest.mark.parametrize(
    "changed",
    [
        "pools = (SELECT array_agg(p.id) FROM unnest(pools) AS o (id) LEFT JOIN ipam_pool p ON p.id = o.id + 1)",
        "standings = array_replace(standings, 0, 4)",
        "wanted = wanted + 1",
        "firsts = firsts || 1",
        "drawn = ARRAY[drawn[2], drawn[1]] || drawn[3:]",
        "hints = array_remove(hints, hints[1])",
        "facts = replace(facts, '\"OLT-1\"', '\"OLT-2\"')",
        "facts = '{}'",
        "plan_id = (SELECT id FROM ipam_address_plan AS other WHERE other.id <> plan_id ORDER BY id LIMIT 1)",
    ],
)
async def test_what_is_kept_and_is_not_what_is_bound_there_is_found(network: Network, changed: str) -> None:
    await network.allocate(1)
    assert await network.violations() == []
    async with network.database.begin() as db:
        await db.execute(text(f"UPDATE ipam_serving SET {changed}"))

    assert await network.violations() == [
        "what is kept of who serves plan fiber-100 at OLT-1 0/1/0: isn't what is bound there"
    ]
    await network.apply(with_pool_at_the_port())
    assert await network.violations() == []


async def test_who_comes_back_is_asked_for_anew_and_nothing_of_it_is_kept_for_others(network: Network) -> None:
    before = await network.allocate(1)
    [row] = await kept(network)
    await network.release(before["service_id"])
    other = await network.allocate(2)
    again = await network.allocate(1)

    assert again["ip_address"] == before["ip_address"] != other["ip_address"]
    assert await kept(network) == [row]


async def drawn(network: Network) -> list[list[str] | None]:
    """Of each row that is kept the pools that are drawn from at once."""
    async with network.database.begin() as db:
        names = {number: name for number, name in await db.execute(select(Pool.id, Pool.name))}
        rows = (await db.scalars(select(Serving.drawn))).all()
    return [None if pools is None else [names[each] for each in pools] for pools in rows]


async def test_what_is_drawn_at_once_is_one_of_each_pool_and_each_of_them_but_once(network: Network) -> None:
    given = [await network.allocate(number) for number in range(1, 9)]

    assert await drawn(network) == [["cgnat", "pd", "wan6"]]
    for kind in ("ip_address", "ipv6_wan_prefix", "delegated_prefix"):
        assert len({each[kind] for each in given}) == 8
    assert {each["vlan_id"] for each in given} == {110}
    assert await network.violations() == []


async def test_a_pool_that_was_used_up_once_is_drawn_from_with_the_others_no_more_and_the_next_of_its_chain_serves(
    network: Network,
) -> None:
    await network.apply(with_second_pool())
    given = [await network.allocate(number) for number in range(1, 17)]

    assert await drawn(network) == [None]
    of_first = [each for each in given if each["ip_address"].startswith("100.64.0.")]
    assert len(of_first) == 13
    assert given[:13] == of_first
    assert len({each["ip_address"] for each in given}) == len({each["delegated_prefix"] for each in given}) == 16
    assert await network.violations() == []


async def test_what_is_drawn_at_once_is_of_nobody_when_one_of_the_pools_has_nothing_left(network: Network) -> None:
    for number in range(1, 14):
        await network.allocate(number)
    before = await free_of(network)
    with pytest.raises(PoolExhausted):
        await network.allocate(14)

    assert await free_of(network) == before
    assert await network.violations() == []


async def free_of(network: Network) -> dict[str, int]:
    return {each["pool"]: each["free"] for each in await network.serve("utilisation")}


def with_second_pool() -> dict[str, Any]:
    described = small()
    beside = {"name": "cgnat-2", "kind": "ipv4", "network": "100.65.0.0/24", "role": "cgnat", "gateway": "100.65.0.1"}
    described["pool"].append({**beside, "bindings": [{"bng": "bng-1", "priority": 200}]})
    return described


async def test_where_the_bng_hands_out_one_of_them_the_others_are_gone_through_one_by_one(network: Network) -> None:
    await network.allocate(1, plan="dynamic")

    assert await drawn(network) == [None]


async def test_a_pool_that_hands_out_used_units_first_is_gone_through_by_itself(network: Network) -> None:
    described = small()
    described["pool"][0]["policy"] = "reuse_first"
    await network.apply(described)
    await network.allocate(1)

    assert await drawn(network) == [None]
