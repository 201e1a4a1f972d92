"""What serves a place is worked out once for each state of the network, and never told of another state."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select, text

from ipam.tables import NetworkVersion, Serving
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
