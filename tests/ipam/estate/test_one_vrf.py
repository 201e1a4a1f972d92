"""What serves a line on when a pool is full stands in the same VRF."""

from __future__ import annotations

from typing import Any

import pytest

from ipam.errors import EstateRefused
from tests.ipam.conftest import Network, one_pool

AT_THE_BNG = {"bindings": [{"bng": "bng-1"}]}
BLUE: dict[str, Any] = {"name": "blue", "kind": "ipv4", "network": "192.0.2.0/28", "vrf": "blue", **AT_THE_BNG}


def both(**changed: Any) -> dict[str, Any]:
    return one_pool() | {"vrf": [{"name": "blue"}], "pool": [*one_pool()["pool"], BLUE | changed]}


async def refused(empty: Network, description: dict[str, Any]) -> list[str]:
    with pytest.raises(EstateRefused) as raised:
        await empty.apply(description)
    return [str(fault) for fault in raised.value.faults]


async def test_pools_that_serve_one_another_on_are_refused_in_two_vrfs(empty: Network) -> None:
    why = (
        "when one is full, lines would be given addresses of the other's routing table; bind each for plans of its own"
    )
    same = "is bound to the same place, for the same plan, as"

    assert await refused(empty, both()) == [
        f"pool blue: {same} cgnat (VRF default), which stands in another VRF: {why}",
        f"pool cgnat: {same} blue (VRF blue), which stands in another VRF: {why}",
    ]


async def test_one_that_is_there_already_counts_and_nothing_of_the_other_is_written(empty: Network) -> None:
    await empty.apply(one_pool())

    [fault] = await refused(empty, {"vrf": [{"name": "blue"}], "pool": [BLUE]})

    assert fault.startswith("pool blue: is bound to the same place, for the same plan, as cgnat (VRF default), ")
    async with empty.database.read() as db:
        used = await empty.service(db).utilisation()
    assert [(each["pool"], each["vrf"]) for each in used] == [("cgnat", "default"), ("metro/210", None)]


async def test_it_is_told_with_all_else_that_is_wrong(empty: Network) -> None:
    described = both() | {"svlan": [{"group": "nowhere", "vid": 4000}]}

    told = await refused(empty, described)

    assert [fault.partition(":")[0] for fault in told] == ["svlan nowhere/4000", "pool blue", "pool cgnat"]
    async with empty.database.read() as db:
        faults = await empty.estate(db).validate(described)
    assert [str(fault) for fault in faults] == told


async def test_who_goes_elsewhere_in_the_same_description_is_no_longer_served_on_by_the_other(empty: Network) -> None:
    await empty.apply(one_pool())
    [cgnat] = one_pool()["pool"]

    moved = await empty.apply(both() | {"pool": [cgnat | {"bindings": []}, BLUE]})

    assert {"pool blue created", "pool cgnat changed"} <= set(moved)


@pytest.mark.parametrize(
    "changed",
    [
        {"vrf": "default", "network": "198.51.100.0/28"},
        {"bindings": [{"bng": "bng-1", "plan": "fiber-100"}]},
        {"bindings": [{"site": "north"}]},
        {"kind": "ipv4_routed"},
        {"framed_pool": "BLUE"},
        {"bindings": []},
    ],
)
async def test_what_no_full_pool_is_served_on_by_may_stand_in_another_vrf(
    empty: Network, changed: dict[str, Any]
) -> None:
    assert "pool blue created" in await empty.apply(both(**changed))
