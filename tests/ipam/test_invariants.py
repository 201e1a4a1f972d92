"""Each invariant finds the corruption it is there for, and nothing in a sound network."""

from __future__ import annotations

import pytest

from ipam import AllocatedResources, ServiceIncomplete, invariants
from ipam.invariants import SEE
from tests.ipam.conftest import Network, corrupt, found, one_pool


async def test_a_sound_network_has_no_violations(network: Network, two_services: list[AllocatedResources]) -> None:
    assert await found(network) == {}


async def test_other_tenants_are_not_looked_at(network: Network, two_services: list[AllocatedResources]) -> None:
    await corrupt(network, "DELETE FROM ipam_allocation")

    assert await found(Network(network.database, tenant_id="other")) == {}


async def test_what_a_released_service_still_holds_is_found(
    network: Network, two_services: list[AllocatedResources]
) -> None:
    await corrupt(network, "UPDATE ipam_service SET state = 'released', released_at = created_at WHERE service_id = 1")

    assert await found(network) == {
        "held_after_release": [
            f"service 1: is released but still holds {value} of pool {pool}; {SEE}"
            for pool, value in (
                ("cgnat", two_services[0]["ip_address"]),
                ("pd", two_services[0]["delegated_prefix"]),
                ("wan6", two_services[0]["ipv6_wan_prefix"]),
            )
        ]
    }


async def test_services_that_nobody_wants_are_found(network: Network, two_services: list[AllocatedResources]) -> None:
    async with network.database.begin() as db:
        sound = await invariants.leaked(db, tenant_id=network.tenant_id, live_service_ids=[1, 2, 3])
        leaked = await invariants.leaked(db, tenant_id=network.tenant_id, live_service_ids={1})

    assert sound == []
    assert [violation.service_id for violation in leaked] == [2]
    assert "c2-s2@isp.example" in leaked[0].what


@pytest.mark.parametrize(
    ("corruption", "missing", "place"),
    [
        ("UPDATE ipam_service SET svlan_id = NULL WHERE service_id = 1", "service 1: {} an S-VLAN", "LOC-1"),
        (
            "UPDATE ipam_allocation SET state = 'quarantine', service_id = NULL, available_at = assigned_at"
            " WHERE service_id = 2 AND pool_id = (SELECT id FROM ipam_pool WHERE kind = 'cvlan')",
            "service 2: {} a C-VLAN",
            "LOC-2",
        ),
        (
            "UPDATE ipam_allocation SET state = 'quarantine', service_id = NULL, available_at = assigned_at"
            " WHERE service_id = 1 AND pool_id = (SELECT id FROM ipam_pool WHERE name = 'pd')",
            "service 1: {} a delegated prefix",
            "LOC-1",
        ),
    ],
)
async def test_an_active_service_without_its_whole_set_is_found(
    network: Network, two_services: list[AllocatedResources], corruption: str, missing: str, place: str
) -> None:
    await corrupt(network, corruption)

    lacking = int(missing.split()[1].rstrip(":"))
    gives = f"`firstlight addresses move {lacking} --to={place} --reason WHY` gives it what it lacks"
    assert await found(network) == {
        "incomplete": [f"{missing.format('is active on plan fiber-100 without')}; {gives}"],
    }
    async with network.database.begin() as db:
        service = network.service(db)
        with pytest.raises(ServiceIncomplete):
            await service.resources(lacking)
        assert [each["service_id"] for each in await service.all_resources()] == [3 - lacking]

    await network.serve("move_service", service_id=lacking, service_location=place, note="as it was told")
    assert await found(network) == {}


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        ("DELETE FROM ipam_allocation", "has 13 never used and 0 used units, but should have 14 in all"),
        ("DELETE FROM ipam_free_range WHERE seq = 3", "has 11 never used and 1 used units, but should have 14 in all"),
        ("DELETE FROM ipam_exclusion WHERE first_unit = 0", "has 14 usable and 1 excluded units, but spans 16"),
        (
            "UPDATE ipam_allocation SET unit = 15",
            "has 1 used unit(s) that are excluded from being handed out (first 192.0.2.15)",
        ),
        ("UPDATE ipam_allocation SET unit = 16", "has 1 used unit(s) outside of its bounds (first unit 16)"),
        ("UPDATE ipam_allocation SET unit = 14", "has 1 used unit(s) that also lie in a free range (first 192.0.2.14)"),
        (
            "UPDATE ipam_free_range SET last_unit = 15 WHERE seq = 6",
            "has 1 free range(s) that reach into what is excluded (first 192.0.2.13)",
        ),
        (
            "UPDATE ipam_free_range SET last_unit = 99 WHERE seq = 6",
            "has 1 free range(s) that reach outside of its bounds (first 192.0.2.13)",
        ),
        (
            "UPDATE ipam_free_range SET next_unit = 11 WHERE seq = 6",
            "has 2 free range(s) that overlap another one (first 192.0.2.11)",
        ),
    ],
)
async def test_a_pool_that_lost_or_doubled_units_is_found(empty: Network, corruption: str, told: str) -> None:
    """Of addresses 1 to 14, in stripes of two, the first one is used."""
    await empty.apply(one_pool("192.0.2.0/28"))
    await empty.allocate(1)
    pool = "pool_id = (SELECT id FROM ipam_pool WHERE name = 'cgnat')"
    await corrupt(
        empty,
        "UPDATE ipam_allocation SET unit = 1",
        f"DELETE FROM ipam_free_range WHERE {pool}",
        *(
            "INSERT INTO ipam_free_range (tenant_id, pool_id, seq, next_unit, last_unit)"
            f" SELECT tenant_id, id, {seq}, {max(2, 2 * seq + 1)}, {2 * seq + 2} FROM ipam_pool WHERE name = 'cgnat'"
            for seq in range(7)
        ),
    )
    assert await found(empty) == {}

    await corrupt(empty, f"{corruption} {'AND' if 'WHERE' in corruption else 'WHERE'} {pool}")

    assert f"pool cgnat: {told}; {SEE}" in (await found(empty))["badly_partitioned"]
