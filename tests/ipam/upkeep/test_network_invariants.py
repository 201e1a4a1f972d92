"""What of the network may never be handed out, and what stands on what: each corruption is found, with what to do."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.ipam.conftest import CHECKS, Network, corrupt, found, laid_open

AGAIN = "bring the network's description in again (`firstlight import ESTATE`)"
CGNAT = "(SELECT id FROM ipam_pool WHERE name = 'cgnat')"
CVLANS = "(SELECT id FROM ipam_pool WHERE name = 'metro/210')"


def _let_in(pool_id: str, unit: int) -> str:
    """Of the one row that excludes it, and maybe its neighbour, nothing is left."""
    return f"DELETE FROM ipam_exclusion WHERE pool_id = {pool_id} AND {unit} BETWEEN first_unit AND last_unit"


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        (
            _let_in(CVLANS, 0),
            [
                "0 of pool metro/210: is the priority tag, which no line may have, but isn't excluded",
                "1 of pool metro/210: is the default VLAN, which no line may have, but isn't excluded",
            ],
        ),
        (
            _let_in(CVLANS, 4095),
            ["4095 of pool metro/210: is reserved (IEEE 802.1Q), which no line may have, but isn't excluded"],
        ),
        (
            _let_in(CGNAT, 1),
            ["100.64.0.1 of pool cgnat: is its gateway, which no line may have, but isn't excluded"],
        ),
        (
            _let_in(CGNAT, 15),
            ["100.64.0.15 of pool cgnat: is its broadcast address, which no line may have, but isn't excluded"],
        ),
        (
            "UPDATE ipam_svlan SET vid = 150 WHERE vid = 110",
            [
                "S-VLAN metro/150: isn't one that VLAN group metro may use (100-149,151-399): correct its number, or"
                " the group's vids, and bring the network's description in again (`firstlight import ESTATE`)"
            ],
        ),
    ],
)
async def test_what_no_line_may_have_is_found_where_it_may_be_handed_out(
    network: Network, corruption: str, told: list[str]
) -> None:
    await corrupt(network, corruption)

    assert (await found(network))["never_handed_out"] == [
        each if each.startswith("S-VLAN") else f"{each}: {AGAIN}" for each in told
    ]


async def test_who_has_a_gateway_is_told_how_to_get_another_address(network: Network) -> None:
    await network.allocate(1)
    await corrupt(
        network, _let_in(CGNAT, 1), f"UPDATE ipam_allocation SET unit = 1 WHERE pool_id = {CGNAT} AND service_id = 1"
    )

    assert (await found(network))["never_handed_out"] == [
        "100.64.0.1 of pool cgnat: is its gateway, which no line may have, but isn't excluded, and service 1 has it:"
        " give that another one (`firstlight addresses move 1 --to=LOC-1 --ip ANOTHER --reason WHY`), then"
        f" {AGAIN}"
    ]


@pytest.mark.parametrize(
    ("corruption", "told"),
    [
        (
            "UPDATE ipam_prefix SET role = 'container' WHERE network = '100.64.0.0/28'",
            f"pool cgnat: stands on 100.64.0.0/28, a container, which others may overlap: {AGAIN}",
        ),
        (
            "UPDATE ipam_prefix SET gateway = (SELECT gateway FROM ipam_prefix WHERE network = '203.0.113.0/29')"
            " WHERE network = '100.64.0.0/28'",
            f"pool cgnat: tells its lines the gateway 203.0.113.1, which isn't in 100.64.0.0/28: {AGAIN}",
        ),
        (
            f"UPDATE ipam_pool SET framed_pool = 'POOL-B' WHERE id = {CGNAT}",
            "pool cgnat: is called POOL-B at its BNG, which hands it out by itself, but units of it are handed out"
            " here, too: see who has them (`firstlight addresses usage cgnat`), and set ipam_pool.framed_pool to NULL"
            " again if it is ours",
        ),
        (
            "UPDATE ipam_nat_rule SET inside_count = 4",
            "rule of port blocks of pool cgnat: maps 4 addresses from 100.64.0.0 on, but the pool has all of"
            " 100.64.0.0/28: who asks whose a port was is told a wrong one; end it (`firstlight addresses nat-end-rule"
            " cgnat --reason WHY`) and define it anew",
        ),
        (
            "UPDATE ipam_service SET svlan_id = (SELECT id FROM ipam_svlan WHERE vid = 210)",
            "service 1: shares S-VLAN metro/210, in which each line has a C-VLAN of its own: give it what serves it"
            " where it is (`firstlight addresses move 1 --to=LOC-1 --reason WHY`)",
        ),
    ],
)
async def test_what_does_not_stand_on_what_it_should_is_found(network: Network, corruption: str, told: str) -> None:
    await network.allocate(1)
    await network.ports("define_rule", pool="cgnat", outside="198.51.100.0/30", ports_per_subscriber=2000)
    assert await found(network) == {}

    async with laid_open(network, "ipam_nat_rule") as db:
        await db.execute(text(corruption))

    assert (await found(network))["badly_founded"] == [told]


async def test_a_port_of_another_access_node_is_found(network: Network) -> None:
    async with network.database.begin() as db:
        port = await db.scalar(text("SELECT id FROM ipam_access_port WHERE name = '0/2/0'"))
        drop = "ALTER TABLE ipam_location DROP CONSTRAINT ipam_location_port_is_of_its_node"
        await db.execute(text(drop if network.database.is_postgresql else "PRAGMA defer_foreign_keys = ON"))
        await db.execute(text(f"UPDATE ipam_location SET port_id = {port} WHERE name = 'LOC-1'"))
        told = [str(each) for check in CHECKS for each in await check(db, tenant_id=network.tenant_id)]
        await db.rollback()

    assert told == [
        "premise LOC-1: is behind access node OLT-1, but its port is 0/2/0 of OLT-2, where its line is served by what"
        f" is bound there: {AGAIN}"
    ]
