"""What is excluded by hand or drained in a pool that was never used isn't undone by a description without a word."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import EstateInUse, EstateRefused, PoolSpec, SvlanSpec
from tests.ipam.conftest import Network, one_pool, small

ANOTHER = "another prefix, kind, unit length or handing-out, which would undo what was done by hand in it"


def delegated(**changed: Any) -> dict[str, Any]:
    described = one_pool("2001:db8::/48", kind="ipv6_pd", **changed)
    described["pool"][0]["name"] = "Museum's"
    described["plan"] = [{"name": "fiber-100", "access": "pppoe", "ipv4": False, "ipv6_pd": True}]
    return described


async def test_hand_exclusions_and_drains_are_told_with_the_commands_that_end_them(empty: Network) -> None:
    await empty.apply(delegated())
    await empty.keep("exclude", pool="Museum's", span="2001:db8:0:8000::/50", note="ours")
    await empty.keep("exclude", pool="Museum's", span="2001:db8::/56", note="the zoo's")
    await empty.keep("drain", pool="Museum's", note="not yet")
    undone = (
        f"{ANOTHER}: 2001:db8::/56 is excluded by hand (the zoo's), 2001:db8:0:8000::/50 is excluded by hand (ours),"
        " 2001:db8::/48 is drained (not yet)"
    )
    both = "2001:db8::-2001:db8:0:bfff:ffff:ffff:ffff:ffff"
    include = f"""`firstlight addresses include 'Museum'"'"'s' {both} --reason WHY`"""
    undrain = """`firstlight addresses undrain 'Museum'"'"'s' --reason WHY`"""

    wrong = {**delegated(unit_length=60), "svlan": [{"group": "nowhere", "vid": 110}]}
    with pytest.raises(EstateRefused) as refused:
        await empty.apply(wrong)
    assert [str(fault) for fault in refused.value.faults] == [
        "svlan nowhere/110: there is no VLAN group nowhere",
        f"pool Museum's: {undone}; end that first, by {include} and {undrain}, or leave the pool as it is",
    ]
    with pytest.raises(EstateInUse) as in_use:
        async with empty.database.begin() as db:
            await empty.estate(db).define_pool(PoolSpec.model_validate(delegated(unit_length=60)["pool"][0]))
    assert str(in_use.value) == (
        f"Pool Museum's can't be changed ({undone}); nothing was written. End that first, by {include} and {undrain},"
        " or leave the pool as it is."
    )

    await empty.keep("include", pool="Museum's", span=both)
    with pytest.raises(EstateRefused, match=f"; end that first, by {undrain}, or leave"):
        await empty.apply(delegated(unit_length=60))
    await empty.keep("undrain", pool="Museum's")
    assert await empty.apply(delegated(unit_length=60)) == ["pool Museum's changed"]
    assert await empty.violations() == []


@pytest.mark.parametrize(
    "changed", [{"network": "192.0.2.0/27"}, {"framed_pool": "POOL-A"}, {"kind": "ipv4_routed", "unit_length": 30}]
)
async def test_whatever_makes_another_pool_of_it_is_refused(empty: Network, changed: dict[str, Any]) -> None:
    await empty.apply(one_pool())
    await empty.keep("exclude", pool="cgnat", span="192.0.2.4", note="a printer")

    with pytest.raises(EstateRefused, match=rf"{ANOTHER}: 192\.0\.2\.4 is excluded by hand \(a printer\); end"):
        await empty.apply(one_pool(**{"network": "192.0.2.0/28", **changed}))

    assert await empty.apply(one_pool(quarantine_seconds=7)) == ["pool cgnat changed"]
    assert (await empty.usage("cgnat"))["size"] == 13
    await empty.keep("retire", pool="cgnat", note="not needed")
    assert await empty.violations() == []


async def test_c_vlans_that_are_drained_do_not_become_a_shared_s_vlan(network: Network) -> None:
    await network.keep("exclude", pool="metro/210", span="20-30", note="test lines")
    await network.keep("drain", pool="metro/210", span="40", note="a broken ONT")
    shared = {"group": "metro", "vid": 210}

    with pytest.raises(EstateInUse) as refused:
        async with network.database.begin() as db:
            await network.estate(db).define_svlan(SvlanSpec.model_validate(shared))

    assert refused.value.change == f"{ANOTHER}: 20-30 is excluded by hand (test lines), 40 is drained (a broken ONT)"
    assert "`firstlight addresses include metro/210 20-30 --reason WHY`" in refused.value.instead
    await network.keep("include", pool="metro/210", span="20-30")
    await network.keep("undrain", pool="metro/210")
    assert "svlan metro/210 changed" in await network.apply(small(svlan=[small()["svlan"][0], shared]))


async def test_of_many_parts_the_first_ones_are_named(empty: Network) -> None:
    await empty.apply(one_pool())
    for last in range(1, 14, 2):
        await empty.keep("exclude", pool="cgnat", span=f"192.0.2.{last}", note=f"printer {last}")

    with pytest.raises(EstateRefused) as refused:
        await empty.apply(one_pool("192.0.2.0/27"))

    told = str(refused.value.faults[0])
    assert "192.0.2.9 is excluded by hand (printer 9), and 2 more; end that first" in told
    assert "`firstlight addresses include cgnat 192.0.2.1-192.0.2.13 --reason WHY`" in told
