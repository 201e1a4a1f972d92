"""What a description gives up it gives up before it takes anything: its parts may change places, whatever they are."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ipam import EstateInUse, NatRuleSpec
from ipam.estate.rows import EstateRows
from ipam.tables import NatRule
from tests.ipam.conftest import STARTED_AT, Clock, Network, small
from tests.support.postgres import until_it_waits_for_us

ONE, OTHER = "198.51.100.0/30", "198.51.100.4/30"


class Running(Clock):
    """A time that goes on by itself."""

    def __call__(self) -> datetime:
        self.forward(seconds=1)
        return self.at


def pool(name: str, network: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "ipv4", "network": network, **more}


def rules(first: str = ONE, second: str = OTHER, **more: Any) -> dict[str, Any]:
    """Of two pools, each with its outside."""
    outsides = {"cgnat": first, "more": second}
    return {
        "nat_rule": [
            {"pool": name, "outside": outside, "ports_per_subscriber": 4000, **more}
            for name, outside in outsides.items()
        ]
    }


@pytest.fixture
async def ruled(network: Network) -> Network:
    """With two rules of port blocks."""
    assert await network.apply({"pool": [pool("more", "100.65.0.0/28")], **rules()}) == [
        "pool more created",
        "nat_rule cgnat created",
        "nat_rule more created",
    ]
    network.clock = Running(STARTED_AT)
    network.clock.forward(hours=1)
    return network


async def of_outside(network: Network, address: str, at: datetime) -> str | None:
    """The inside address behind the first port that is mapped, at that time."""
    held = await network.ports("holder", outside=address, port=1024, at=at)
    return None if held is None else held["block"]["inside"]


async def test_rules_swap_their_outsides_at_one_moment(ruled: Network) -> None:
    assert await ruled.apply(rules(OTHER, ONE)) == ["nat_rule cgnat changed", "nat_rule more changed"]

    async with ruled.database.begin() as db:
        times = list(await db.execute(select(NatRule.since, NatRule.until).order_by(NatRule.id)))
    moment = times[0].until
    assert moment is not None
    assert [(since == moment, until) for since, until in times] == [(False, moment)] * 2 + [(True, None)] * 2
    before = [await of_outside(ruled, each, moment - timedelta(seconds=1)) for each in ("198.51.100.0", "198.51.100.4")]
    after = [await of_outside(ruled, each, moment) for each in ("198.51.100.0", "198.51.100.4")]
    assert before == ["100.64.0.0", "100.65.0.0"]
    assert after == ["100.65.0.0", "100.64.0.0"]
    assert await ruled.apply(rules(OTHER, ONE)) == []
    assert await ruled.apply(rules()) == ["nat_rule cgnat changed", "nat_rule more changed"]
    assert await ruled.violations() == []


async def test_a_rule_takes_what_another_one_gives_up_later_in_the_description(ruled: Network) -> None:
    described = rules("198.51.100.0/29", "198.51.100.8/29")
    assert await ruled.apply(described) == ["nat_rule cgnat changed", "nat_rule more changed"]
    async with ruled.database.begin() as db:
        alone = NatRuleSpec.model_validate(rules("198.51.100.16/29")["nat_rule"][0])
        assert await ruled.estate(db).define_nat_rule(alone) == "changed"
        assert await ruled.estate(db).define_nat_rule(alone) == "unchanged"
    assert await ruled.violations() == []


async def test_a_rule_that_was_said_by_hand_is_not_given_up_for_what_the_description_said_before(
    ruled: Network,
) -> None:
    assert await ruled.ports("define_rule", pool="more", outside="198.51.100.8/30", ports_per_subscriber=4000)

    with pytest.raises(EstateInUse, match=r"the one in force, 4000 ports each of 198\.51\.100\.8/30 since .* by hand"):
        await ruled.apply(rules("198.51.100.8/30", OTHER))

    assert [rule["outside"] for rule in await ruled.ports("rules")] == [ONE, "198.51.100.8/30"]
    assert await ruled.apply(rules("198.51.100.8/30", ONE)) == ["nat_rule cgnat changed", "nat_rule more changed"]


@pytest.mark.parametrize("framed", [{}, {"framed_pool": "POOL-B"}])
async def test_pools_that_nobody_has_anything_of_swap_their_prefixes(network: Network, framed: dict[str, str]) -> None:
    one, other = [pool(f"{name}-b", f"100.7{number}.0.0/24", **framed) for number, name in ((3, "pool"), (4, "other"))]
    bound = {"bindings": [{"bng": "bng-1", "plan": "dynamic", "priority": 1}]} if framed else {}
    await network.apply({"pool": [{**one, **bound}, other]})
    if framed:
        await network.release((await network.allocate(1, "LOC-1", "dynamic"))["service_id"])
    swapped = {"pool": [{**one, "network": other["network"]}, {**other, "network": one["network"]}]}

    assert await network.apply(swapped) == ["pool pool-b changed", "pool other-b changed"]

    assert await network.apply(swapped) == []
    assert await network.violations() == []


@pytest.mark.parametrize("gives_first", [True, False])
async def test_a_pool_takes_what_another_one_gives_up_wherever_they_stand_in_the_description(
    network: Network, *, gives_first: bool
) -> None:
    giving, taking = pool("cgnat", "10.0.0.0/28"), pool("next", "100.64.0.0/29")
    in_order = [giving, taking] if gives_first else [taking, giving]

    changes = await network.apply({"pool": in_order})

    assert sorted(changes) == ["pool cgnat changed", "pool next created"]
    assert await network.violations() == []


async def test_prefixes_pools_and_rules_take_what_any_of_them_gives_up(ruled: Network) -> None:
    infra, spare = "10.255.0.0/24", pool("spare", "203.0.113.128/25")
    await ruled.apply({"prefix": [{"network": infra, "role": "infra"}], "pool": [spare]})

    assert await ruled.apply(
        {
            "prefix": [
                {"network": "198.51.100.0/31", "role": "infra"},
                {"network": "10.255.0.0/25", "role": "infra"},
                {"network": infra, "role": "container"},
            ],
            "pool": [pool("last", "198.51.100.4/31"), {**spare, "network": "10.255.0.128/25"}],
            **rules("203.0.113.128/30", "203.0.113.132/30"),
        }
    ) == [
        "prefix 10.255.0.0/24 in VRF default changed",
        "prefix 198.51.100.0/31 in VRF default created",
        "prefix 10.255.0.0/25 in VRF default created",
        "pool last created",
        "pool spare changed",
        "nat_rule cgnat changed",
        "nat_rule more changed",
    ]
    assert await ruled.violations() == []


async def test_what_is_refused_later_on_gives_up_nothing(ruled: Network) -> None:
    await ruled.keep("reserve", pool="office", value="203.0.113.3", note="kept")
    office = next(each for each in small()["pool"] if each["name"] == "office")

    with pytest.raises(EstateInUse, match="1 of what would be excluded are in use"):
        await ruled.apply(
            {
                "pool": [pool("more-free", "203.0.113.64/28"), {**office, "exclude": ["203.0.113.3"]}],
                **rules(OTHER, ONE),
            }
        )

    assert [rule["outside"] for rule in await ruled.ports("rules")] == [ONE, OTHER]
    assert await ruled.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_a_rule_that_waits_for_another_change_begins_after_it(ruled: Network) -> None:
    alone = NatRuleSpec.model_validate(rules("198.51.100.16/29")["nat_rule"][0])

    async def define() -> str:
        async with ruled.database.begin() as db:
            return await ruled.estate(db).define_nat_rule(alone)

    async with ruled.database.begin() as db:
        await EstateRows(db, ruled.tenant_id).be_alone()
        task = asyncio.create_task(define())
        await until_it_waits_for_us(db, task)
        assert len(await ruled.estate(db).apply(rules("198.51.100.8/30"))) == 1
    assert await task == "changed"

    async with ruled.database.begin() as db:
        of_pool = select(NatRule.since, NatRule.until).where(NatRule.name == "cgnat").order_by(NatRule.id)
        first, second, third = list(await db.execute(of_pool))
    assert first.until == second.since < second.until == third.since
