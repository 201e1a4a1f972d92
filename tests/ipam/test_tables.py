"""What the database itself refuses, whoever writes."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from ipam.addresses import parse_network, to_bytes
from ipam.tables import Pool, Prefix, Vrf, table_of
from tests.ipam.conftest import TENANT, Network

pytestmark = pytest.mark.both_databases

PREFIX = table_of(Prefix)


async def write_prefix(network: Network, text: str, role: str = "public", vrf: str = "default") -> None:
    parsed = parse_network(text)
    async with network.database.begin() as db:
        await db.execute(
            insert(PREFIX).values(
                tenant_id=TENANT,
                vrf_id=select(Vrf.id).where(Vrf.name == vrf).scalar_subquery(),
                family=parsed.family,
                network=text,
                first_address=to_bytes(parsed.family, parsed.first),
                last_address=to_bytes(parsed.family, parsed.last),
                length=parsed.length,
                role=role,
            )
        )


@pytest.fixture
async def two_vrfs(empty: Network) -> Network:
    async with empty.database.begin() as db:
        for name in ("default", "blue"):
            await db.execute(insert(table_of(Vrf)).values(tenant_id=TENANT, name=name))
    await write_prefix(empty, "10.0.1.0/24")
    await write_prefix(empty, "2001:db8:100::/40", "pd")
    return empty


@pytest.mark.parametrize(
    ("overlapping", "role"),
    [
        ("10.0.1.0/25", "cgnat"),
        ("10.0.1.255/32", "infra"),
        ("10.0.0.0/16", "public"),
        ("0.0.0.0/0", "public"),
        ("2001:db8:100:ff::/64", "wan6"),
        ("2001:db8::/32", "pd"),
    ],
)
async def test_assignable_prefixes_of_a_vrf_can_not_overlap(two_vrfs: Network, overlapping: str, role: str) -> None:
    with pytest.raises(IntegrityError, match="ipam_prefix_overlap"):
        await write_prefix(two_vrfs, overlapping, role)


@pytest.mark.parametrize(
    ("beside", "role", "vrf"),
    [
        ("10.0.0.0/24", "public", "default"),
        ("10.0.2.0/24", "public", "default"),
        ("10.0.1.0/24", "public", "blue"),
        ("10.0.0.0/8", "container", "default"),
        ("10.0.1.0/24", "container", "default"),
        ("2001:db8:200::/40", "pd", "default"),
    ],
)
async def test_neighbours_other_vrfs_and_containers_do_not_overlap(
    two_vrfs: Network, beside: str, role: str, vrf: str
) -> None:
    await write_prefix(two_vrfs, beside, role, vrf)

    async with two_vrfs.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Prefix)) == 3


async def test_a_container_can_not_become_assignable_over_others(two_vrfs: Network) -> None:
    await write_prefix(two_vrfs, "10.0.0.0/8", "container")

    with pytest.raises(IntegrityError, match="ipam_prefix_overlap"):
        async with two_vrfs.database.begin() as db:
            await db.execute(update(PREFIX).where(PREFIX.c.network == "10.0.0.0/8").values(role="public"))


async def test_a_prefix_may_be_changed_without_overlapping_itself(two_vrfs: Network) -> None:
    async with two_vrfs.database.begin() as db:
        await db.execute(update(PREFIX).where(PREFIX.c.network == "10.0.1.0/24").values(role="cgnat"))


FORBIDDEN = [
    "UPDATE ipam_allocation SET unit = 1",
    "UPDATE ipam_allocation SET state = 'quarantine'",
    "UPDATE ipam_allocation SET service_id = NULL",
    "UPDATE ipam_allocation SET service_id = 1",
    "UPDATE ipam_allocation SET service_id = 99",
    "UPDATE ipam_service SET username = 'c1-s1@isp.example'",
    "UPDATE ipam_service SET request_id = 'the same'",
    "UPDATE ipam_service SET state = 'released'",
    "UPDATE ipam_free_range SET last_unit = next_unit - 1",
    "UPDATE ipam_svlan SET vid = 4095",
    "UPDATE ipam_svlan SET vid = 1",
    "UPDATE ipam_svlan SET vid = 110",
    "UPDATE ipam_pool SET size = span + 1",
    "UPDATE ipam_pool SET prefix_id = (SELECT min(id) FROM ipam_prefix)",
    "UPDATE ipam_pool_binding SET svlan_id = 1",
    "UPDATE ipam_pool_binding SET site_id = 1",
    "UPDATE ipam_location SET port_id = 3",
    "UPDATE ipam_location_alias SET alias = 'LOC-1'",
    "UPDATE ipam_prefix SET first_address = last_address, last_address = first_address",
    "DELETE FROM ipam_service",
]


async def test_the_database_refuses_what_must_never_be(network: Network) -> None:
    await network.allocate(1, "LOC-1")
    await network.allocate(2, "LOC-1")

    accepted: list[str] = []
    for forbidden in FORBIDDEN:
        with suppress(IntegrityError):
            async with network.database.begin() as db:
                await db.execute(text(forbidden))
            accepted.append(forbidden)

    assert accepted == []
    assert await network.violations() == []


async def test_a_time_without_a_zone_can_not_be_stored(network: Network) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        async with network.database.begin() as db:
            naive = datetime(2030, 1, 1)  # noqa: DTZ001 - the very thing to be refused
            await db.execute(update(table_of(Pool)).values(defined_at=naive))
