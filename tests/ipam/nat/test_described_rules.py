"""A rule of port blocks in the description of the network, and what was said by hand after it was read."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from ipam import EstateInUse
from tests.ipam.conftest import Network, one_pool

RULE = {"pool": "cgnat", "outside": "203.0.113.0/29", "ports_per_subscriber": 2016}
CHANGED = {**RULE, "ports_per_subscriber": 1008}
OTHER = {**RULE, "algorithm": "by_block"}


async def described(empty: Network, **rule: Any) -> list[str]:
    empty.clock.forward(hours=1)
    return await empty.apply({"nat_rule": [rule]})


async def by_hand(empty: Network, **rule: Any) -> None:
    empty.clock.forward(hours=1)
    assert await empty.ports("define_rule", **rule, reason="box changed tonight")


async def in_force(empty: Network) -> list[int]:
    return [rule["ports_per_subscriber"] for rule in await empty.ports("rules")]


@pytest.fixture
async def ruled(empty: Network) -> Network:
    """With the rule of a description."""
    await empty.apply(one_pool("100.64.0.0/25", role="cgnat"))
    assert await described(empty, **RULE) == ["nat_rule cgnat created"]
    assert await described(empty, **RULE) == []
    return empty


async def test_a_rule_changed_by_hand_is_not_changed_back_by_the_same_description(ruled: Network) -> None:
    await by_hand(ruled, **CHANGED)

    for _ in range(2):
        with pytest.raises(EstateInUse) as refused:
            await described(ruled, **RULE)
        assert str(refused.value) == (
            "The rule of port blocks of pool cgnat can't be changed (the one in force, 1008 ports each of"
            " 203.0.113.0/29 since 2030-01-01T15:00:00Z, was said by hand (nat-rule), and the description is as"
            " before); nothing was written. Write the one in force in the description, or take the rule out of there."
        )

    assert await in_force(ruled) == [1008]
    assert await described(ruled, **CHANGED) == []  # and it is the description's from now on
    assert await described(ruled, **RULE) == ["nat_rule cgnat changed"]
    assert await in_force(ruled) == [2016]
    assert await ruled.violations() == []


async def test_a_rule_ended_by_hand_is_not_made_anew_by_the_same_description(ruled: Network) -> None:
    assert await ruled.ports("end_rule", pool="cgnat", reason="box gone")
    ended = r"it was ended by hand \(nat-end-rule\) at 2030-01-01T14:00:00Z, and the description is as before"

    with pytest.raises(EstateInUse, match=ended):
        await described(ruled, **RULE)
    await ruled.keep("shrink", pool="cgnat", network="100.64.0.0/26", note="fewer")
    with pytest.raises(EstateInUse, match=ended):
        await described(ruled, **RULE)

    assert await in_force(ruled) == []
    await by_hand(ruled, **RULE)
    assert await described(ruled, **RULE) == []
    await by_hand(ruled, **CHANGED)
    assert await ruled.ports("end_rule", pool="cgnat")
    with pytest.raises(EstateInUse, match="it was ended by hand"):
        await described(ruled, **RULE)


async def test_another_wording_of_the_description_is_meant_whatever_was_done_by_hand(ruled: Network) -> None:
    await by_hand(ruled, **CHANGED)
    assert await described(ruled, **OTHER) == ["nat_rule cgnat changed"]
    assert await described(ruled, **RULE) == ["nat_rule cgnat changed"]
    assert await ruled.ports("end_rule", pool="cgnat")
    assert await described(ruled, **OTHER) == ["nat_rule cgnat created"]
    assert await described(ruled, **OTHER) == []
    assert await ruled.ports("end_rule", pool="cgnat")
    await ruled.apply({"vrf": [{"name": "blue"}]})
    assert await described(ruled, **OTHER, vrf="blue") == ["nat_rule cgnat created"]


async def test_a_rule_that_was_only_said_by_hand_gives_way_to_a_description(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/25", role="cgnat"))
    await by_hand(empty, **RULE)
    await by_hand(empty, **CHANGED)
    assert await described(empty, **RULE) == ["nat_rule cgnat changed"]


async def test_of_a_rule_made_by_a_release_before_nobody_knows_who_said_it(ruled: Network) -> None:
    async with ruled.database.begin() as db:
        await db.execute(text("UPDATE ipam_nat_rule SET described = NULL"))
    await by_hand(ruled, **CHANGED)
    assert await described(ruled, **RULE) == ["nat_rule cgnat changed"]
    async with ruled.database.begin() as db:
        await db.execute(text("UPDATE ipam_nat_rule SET described = NULL"))
    assert await described(ruled, **RULE) == []  # now it is known
    await by_hand(ruled, **CHANGED)
    with pytest.raises(EstateInUse, match="was said by hand"):
        await described(ruled, **RULE)
