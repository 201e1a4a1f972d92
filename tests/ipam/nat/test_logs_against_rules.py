"""What a box has logged against a rule in force, or of addresses that are no CGNAT's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ipam import LoggedBlock, RequestInvalid, ports_off_rules
from tests.ipam.conftest import STARTED_AT, Network, one_pool

pytestmark = pytest.mark.both_databases

RULE = {"pool": "cgnat", "outside": "203.0.113.0/28", "ports_per_subscriber": 2016}
"""Of 203.0.113.1 the first ports are 100.64.0.32's."""


def at(hours: float) -> datetime:
    return STARTED_AT + timedelta(hours=hours)


def block(inside: str, began: float, ended: float | None = None, *, first: int = 1024) -> LoggedBlock:
    return LoggedBlock("203.0.113.1", first, first + 1023, inside, at(began), None if ended is None else at(ended))


async def read(network: Network, *blocks: LoggedBlock, source: str = "cgn-1") -> Any:
    return await network.ports("import_blocks", blocks=list(blocks), source=source)


async def refusal(network: Network, *blocks: LoggedBlock, source: str = "cgn-1") -> list[str]:
    with pytest.raises(RequestInvalid) as refused:
        await read(network, *blocks, source=source)
    return [str(fault) for fault in refused.value.faults]


async def off_rules(network: Network) -> list[str]:
    async with network.database.begin() as db:
        return [str(violation) for violation in await ports_off_rules(db, tenant_id=network.tenant_id)]


async def ruled(network: Network) -> Network:
    """At hour 10, under a rule that began at hour 0."""
    await network.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await network.ports("define_rule", **RULE)
    network.clock.forward(hours=10)
    return network


async def test_a_block_that_contradicts_the_rule_in_force_is_believed_and_told(empty: Network) -> None:
    await ruled(empty)
    odd = block("100.64.0.20", 1)

    done = await read(empty, odd, block("100.64.0.33", 1, 2, first=3040), block("100.64.0.9", 3, 4, first=60_000))

    against = {"outside": "203.0.113.1", "pool": "cgnat"}
    assert (done.new, done.contradicts_rule) == (3, 2)
    assert done.first_contradicting == (
        {
            **against,
            "first_port": 1024,
            "last_port": 2047,
            "inside": "100.64.0.20",
            "began_at": at(1),
            "by_rule": "100.64.0.32",
        },
        {
            **against,
            "first_port": 60_000,
            "last_port": 61_023,
            "inside": "100.64.0.9",
            "began_at": at(3),
            "by_rule": "100.64.0.61",
        },
    )
    now = await empty.ports("holder", outside="203.0.113.1", port=1100)
    assert now["block"]["inside"] == "100.64.0.20"
    again = await read(empty, odd)
    assert (again.new, again.contradicts_rule) == (0, 1)
    many = [block("100.64.0.20", 5 + number / 100, 5.01 + number / 100, first=9000) for number in range(7)]
    more = await read(empty, *many)
    assert (more.contradicts_rule, len(more.first_contradicting)) == (7, 5)


async def test_what_was_before_or_after_a_rule_contradicts_it_only_in_its_time(empty: Network) -> None:
    await ruled(empty)
    await empty.apply({"vrf": [{"name": "blue"}]})
    blue: dict[str, Any] = {"name": "blue", "kind": "ipv4", "network": "100.64.0.0/24", "vrf": "blue"}
    await empty.apply({"pool": [blue]})
    others = {
        "before": block("100.64.0.20", -5, -4),
        "open, of before": block("100.64.0.20", -3, first=2048),
        "as ruled": block("100.64.0.32", 1, 2),
        "over its begin": block("100.64.0.20", -1, 0.5, first=5000),
        "of another VRF": replace(block("100.64.0.32", 3, 4), vrf="blue"),
        "of nobody by the rule": block("100.64.0.32", 6, 7, first=1),
    }
    counts = {what: (await read(empty, each)).contradicts_rule for what, each in others.items()}
    assert list(counts.values()) == [0, 0, 0, 1, 1, 1], counts
    [nobodys] = (await read(empty, others["of nobody by the rule"])).first_contradicting
    assert nobodys["by_rule"] is None

    await empty.ports("end_rule", pool="cgnat")
    empty.clock.forward(hours=1)
    assert (await read(empty, block("100.64.0.20", 10.5))).contradicts_rule == 0
    assert await off_rules(empty) == []


async def test_what_still_goes_on_against_the_rule_is_a_violation_until_it_ends(empty: Network) -> None:
    await ruled(empty)
    await read(
        empty, block("100.64.0.20", 1), block("100.64.0.21", 2, first=9000), block("100.64.0.22", 1, 2, first=2100)
    )

    said = (
        "port blocks of pool cgnat: are not what log cgn-1 says: 203.0.113.1:1024-2047 is 100.64.0.20's since"
        " 2030-01-01T13:00:00Z, the rule gives it to 100.64.0.32{}; end the rule that the box doesn't map by, or read"
        " in the rest of its log"
    )
    assert await off_rules(empty) == [said.format(", and 1 more of its blocks are not the rule's")]
    await read(empty, block("100.64.0.21", 2, 3, first=9000))
    assert await off_rules(empty) == [said.format("")]
    await empty.ports("end_rule", pool="cgnat")
    assert await off_rules(empty) == []
    empty.clock.forward(hours=1)
    await empty.ports("define_rule", **RULE)  # a block that no log has ended ended then at the latest
    assert await empty.violations() == []
    assert (await empty.ports("holder", outside="203.0.113.1", port=1100, at=at(2)))["block"]["inside"] == "100.64.0.20"


async def test_a_rule_is_not_dated_over_the_same_address_of_another_vrf(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat") | {"vrf": [{"name": "blue"}]})
    await empty.apply({"pool": [{"name": "blue", "kind": "ipv4", "network": "100.64.0.0/24", "vrf": "blue"}]})
    await read(empty, replace(block("100.64.0.32", -5, -4), vrf="blue"))

    with pytest.raises(RequestInvalid, match=r"log cgn-1 gives 203.0.113.1:1024-2047 to 100.64.0.32 after that"):
        await empty.ports("define_rule", **RULE, since=at(-6))


async def test_an_outside_address_is_none_that_subscribers_are_given(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    old = replace(block("100.64.0.9", 0.5), outside="198.51.100.7", first_port=3000, last_port=4000)
    empty.clock.forward(hours=1)
    await read(empty, old)
    public = {"name": "public", "kind": "ipv4", "network": "198.51.100.0/24", "exclude": ["198.51.100.240/28"]}
    await empty.apply({"pool": [public]})
    await empty.keep("reserve", pool="public", value="198.51.100.9", note="the CGNAT's")
    empty.clock.forward(hours=4)
    handed_out = (
        "198.51.100.7 is pool public's to hand out to subscribers; if the CGNAT has it, exclude or reserve it there"
    )

    assert await refusal(
        empty,
        replace(block("100.64.0.9", 2), outside="100.64.0.9"),
        replace(block("100.64.0.9", 2), outside="100.64.0.10"),
        replace(block("100.64.0.9", 2, 3), outside="198.51.100.7"),
        replace(block("100.64.0.9", 0), outside="198.51.100.7"),
    ) == [
        "blocks.0.outside: 100.64.0.9 is the inside address as well",
        "blocks.1.outside: 100.64.0.10 is pool cgnat's to hand out to subscribers; if the CGNAT has it, exclude or"
        " reserve it there",
        f"blocks.2.outside: {handed_out}",
        f"blocks.3.outside: {handed_out}",
    ]
    kept = [replace(block("100.64.0.9", 2), outside=f"198.51.100.{last}") for last in (9, 241)]
    before_the_pool = replace(block("100.64.0.9", 0, 0.9), outside="198.51.100.7")
    assert (await read(empty, *kept, before_the_pool)).new == 3
    assert (await read(empty, old)).new == 0  # it may be said again


async def test_of_an_address_that_the_bng_hands_out_the_refusal_names_the_estate(network: Network) -> None:
    outside = replace(block("100.64.0.9", -1), outside="100.72.128.5")

    assert await refusal(network, outside) == [
        "blocks.0.outside: 100.72.128.5 is pool at-the-bng's, which the BNG hands out as POOL-A; if the CGNAT has it,"
        " correct the pool's network in the estate"
    ]
    with pytest.raises(RequestInvalid, match="at-the-bng is handed out by the BNG"):
        await network.keep("exclude", pool="at-the-bng", span="100.72.128.5", note="the CGNAT's")
    smaller = {"name": "at-the-bng", "kind": "ipv4", "network": "100.72.0.0/17", "framed_pool": "POOL-A"}
    await network.apply({"pool": [smaller | {"bindings": [{"bng": "bng-1", "plan": "dynamic"}]}]})
    network.clock.forward(hours=1)
    assert (await read(network, replace(outside, began_at=at(0.5)))).new == 1


async def test_an_inside_address_was_one_of_a_pool_at_that_time(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat", quarantine_seconds=0) | {"vrf": [{"name": "blue"}]})
    await empty.release((await empty.allocate(1, ip_address="100.64.0.5"))["service_id"])
    empty.clock.forward(hours=2)
    await empty.keep("shrink", pool="cgnat", network="100.64.0.0/25", note="renumbered")
    empty.clock.forward(hours=2)
    late, of_then = block("100.64.0.200", 3), block("100.64.0.200", 1, 1.5)
    elsewhere = replace(block("100.64.0.9", 1, first=5000), vrf="blue")

    assert await refusal(empty, block("8.8.8.8", 1.5, 2), late, elsewhere, of_then) == [
        "blocks.0.inside: 8.8.8.8 was in no pool of VRF default then",
        "blocks.1.inside: 100.64.0.200 was in no pool of VRF default then",
        "blocks.2.inside: 100.64.0.9 was in no pool of VRF blue then",
    ]
    assert (await read(empty, of_then)).new == 1
    await empty.keep("retire", pool="cgnat", note="renumbered")
    empty.clock.forward(hours=1)
    assert (await read(empty, block("100.64.0.9", 3, 3.5))).new == 1
    assert await refusal(empty, block("100.64.0.9", 4.5)) == [
        "blocks.0.inside: 100.64.0.9 was in no pool of VRF default then"
    ]


async def test_a_blank_source_is_refused_with_all_else(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    wrong = replace(block("100.64.0.9", -1, -2), where="line 7")

    assert await refusal(empty, wrong, source=" ") == [
        "source: is blank: say which box or log it is",
        "line 7: ended_at: it ends before it begins",
    ]
    assert await refusal(empty, block("100.64.0.9", -1), source="\t") == [
        "source: is blank: say which box or log it is"
    ]
    assert await empty.ports("blocks_of", inside="100.64.0.9", at=at(-0.5)) == []
