"""What constraints make impossible is found all the same, should somebody ever take them away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ipam import AllocatedResources
from tests.conftest import DATABASES
from tests.ipam.conftest import Network, corrupt, found, make_tables
from tests.support.postgres import PostgresServer

# A copy of the table without its constraints takes its place.
BARE = (
    "CREATE TABLE bare AS SELECT * FROM ipam_allocation",
    "DROP TABLE ipam_allocation",
    "ALTER TABLE bare RENAME TO ipam_allocation",
)


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody uses afterwards, since these tests take its constraints away."""
    url = f"sqlite+aiosqlite:///{tmp_path}/corrupt.db"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.create_database()
    asyncio.run(make_tables(url, filled="network" in request.fixturenames))
    return url


async def test_an_address_given_twice_is_found(network: Network, two_services: list[AllocatedResources]) -> None:
    address, victim = two_services[0]["ip_address"], two_services[1]["service_id"]
    unit = address.rsplit(".", 1)[1]

    await corrupt(
        network,
        *BARE,
        f"UPDATE ipam_allocation SET unit = {unit} WHERE service_id = {victim}"
        " AND pool_id = (SELECT id FROM ipam_pool WHERE name = 'cgnat')",
    )

    assert f"{address} of pool cgnat: is given twice" in (await found(network))["given_twice"]


async def test_a_c_vlan_given_twice_is_found(network: Network, two_services: list[AllocatedResources]) -> None:
    cvlan = two_services[1]["cvlan"]

    await corrupt(
        network,
        *BARE,
        "INSERT INTO ipam_allocation (tenant_id, id, pool_id, unit, state, service_id, subject, assigned_at)"
        " SELECT tenant_id, 999, pool_id, unit, state, 1, subject, assigned_at FROM ipam_allocation"
        " WHERE pool_id = (SELECT id FROM ipam_pool WHERE kind = 'cvlan')",
    )

    assert f"{cvlan} of pool metro/210: is given twice" in (await found(network))["given_twice"]


async def test_a_service_with_two_addresses_of_a_kind_is_found(
    network: Network, two_services: list[AllocatedResources]
) -> None:
    await corrupt(network, *BARE, "UPDATE ipam_allocation SET service_id = 1 WHERE service_id = 2")

    assert "service 1: holds 2 of kind ipv4" in (await found(network))["given_twice"]


async def test_overlapping_prefixes_are_found(network: Network) -> None:
    drop = (
        ["ALTER TABLE ipam_prefix DROP CONSTRAINT ipam_prefix_overlap"]
        if network.database.is_postgresql
        else ["DROP TRIGGER ipam_prefix_overlap_insert"]
    )
    await corrupt(
        network,
        *drop,
        "INSERT INTO ipam_prefix (tenant_id, vrf_id, family, network, first_address, last_address, length, role)"
        " SELECT tenant_id, vrf_id, family, '100.64.0.0/32', first_address, first_address, 32, role"
        " FROM ipam_prefix WHERE network = '100.64.0.0/28'",
    )

    assert await found(network) == {
        "overlapping": ["prefix 100.64.0.0/32: overlaps 100.64.0.0/28 in VRF default"],
    }
