"""Who had 203.0.113.7:40112 at 21:14: by the rule that held then, or by what the box has logged."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ipam import (
    EstateRefused,
    ImportedBlocks,
    LoggedBlock,
    NameUnknown,
    OutsideShared,
    Overlap,
    RequestInvalid,
)
from tests.ipam.conftest import STARTED_AT, Network, one_pool

HOUR = timedelta(hours=1)
RULE = {"pool": "cgnat", "outside": "203.0.113.0/30", "ports_per_subscriber": 1000}


def at(hours: float) -> datetime:
    return STARTED_AT + hours * HOUR


def block(outside: str, first: int, inside: str, began: float, ended: float | None = None) -> LoggedBlock:
    return LoggedBlock(outside, first, first + 511, inside, at(began), None if ended is None else at(ended))


async def test_the_holder_of_a_port_is_found_by_the_rule_and_back(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    first = await empty.allocate(1, ip_address="100.64.0.70")
    assert await empty.ports("define_rule", **RULE)
    assert not await empty.ports("define_rule", **RULE)
    empty.clock.forward(hours=2)
    await empty.release(first["service_id"])

    then = await empty.ports("holder", outside="203.0.113.1", port=7500, at=at(1))
    now = await empty.ports("holder", outside="203.0.113.1", port=7500)

    assert then["block"] == {
        "outside": "203.0.113.1",
        "first_port": 7024,
        "last_port": 8023,
        "inside": "100.64.0.70",
        "source": "rule of pool cgnat",
    }
    assert (then["holder"]["customer_id"], then["holder"]["username"]) == (1, first["username"])
    assert (now["block"], now["holder"]) == (then["block"], None)
    assert await empty.ports("blocks_of", inside="100.64.0.70", at=at(1)) == [then["block"]]
    assert await empty.ports("blocks_of", inside="::ffff:100.64.0.70", at=at(1)) == [then["block"]]
    assert await empty.ports("holder", outside="::ffff:203.0.113.1", port=7500, at=at(1)) == then
    assert await empty.ports("holder", outside="203.0.113.1", port=80) is None
    assert await empty.ports("holder", outside="203.0.113.9", port=7500) is None
    assert await empty.ports("holder", outside="203.0.113.1", port=7500, at=at(-1)) is None
    await empty.apply({"vrf": [{"name": "blue"}]})
    asked = {"outside": "203.0.113.1", "port": 7500}
    assert await empty.ports("holder", **asked, vrf="default") == now
    assert await empty.ports("holder", **asked, vrf="blue") is None
    with pytest.raises(NameUnknown, match="There is no VRF 'green'"):
        await empty.ports("holder", **asked, vrf="green")


async def test_a_new_rule_leaves_what_was_so_before_in_place(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)
    empty.clock.forward(hours=1)
    assert await empty.ports("define_rule", **{**RULE, "outside": "198.51.100.0/30", "algorithm": "by_block"})
    empty.clock.forward(hours=1)
    assert await empty.ports("define_rule", **RULE)
    empty.clock.forward(hours=1)
    assert await empty.ports("end_rule", pool="cgnat", reason="another box")
    empty.clock.forward(hours=1)

    found = [
        [
            (each["outside"], each["first_port"])
            for each in await empty.ports("blocks_of", inside="100.64.0.70", at=at(h))
        ]
        for h in (0.5, 1.5, 2.5, 3.5)
    ]

    assert found == [[("203.0.113.1", 7024)], [("198.51.100.2", 18024)], [("203.0.113.1", 7024)], []]
    assert not await empty.ports("end_rule", pool="cgnat")
    assert await empty.violations() == []


async def test_outside_addresses_of_a_rule_are_handed_out_to_nobody(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)
    public = {"pool": [{"name": "public", "kind": "ipv4", "network": "203.0.113.0/24"}]}

    for network in ("203.0.113.0/24", RULE["outside"]):
        with pytest.raises(EstateRefused, match=r"overlaps 203\.0\.113\.0/30 of nat_rule cgnat in VRF default"):
            await empty.apply({"pool": [{**public["pool"][0], "network": network}]})
    await empty.ports("end_rule", pool="cgnat")

    assert await empty.apply(public) == ["pool public created"]
    for outside in (RULE["outside"], "203.0.113.0/24"):
        with pytest.raises(Overlap, match="of pool public in VRF default"):
            await empty.ports("define_rule", **{**RULE, "outside": outside})


async def test_a_container_may_lie_around_a_rule_s_outside_which_may_be_infrastructure_later(empty: Network) -> None:
    outside = {"network": RULE["outside"], "role": "container"}
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)

    assert await empty.apply({"prefix": [outside]}) == ["prefix 203.0.113.0/30 in VRF default created"]
    assert await empty.apply({"prefix": [outside]}) == []
    with pytest.raises(EstateRefused, match=r"overlaps 203\.0\.113\.0/30 of nat_rule cgnat in VRF default"):
        await empty.apply({"prefix": [{**outside, "role": "infra"}]})
    empty.clock.forward(hours=1)
    await empty.ports("end_rule", pool="cgnat")

    assert await empty.apply({"prefix": [outside]}) == []
    assert await empty.apply({"prefix": [{**outside, "role": "infra"}]}) == [
        "prefix 203.0.113.0/30 in VRF default created"
    ]
    before = await empty.ports("blocks_of", inside="100.64.0.70", at=at(0.5))
    assert [each["outside"] for each in before] == ["203.0.113.1"]
    assert await empty.violations() == []


async def test_two_rules_have_no_outside_address_in_common_whatever_their_vrfs(empty: Network) -> None:
    blue = {"name": "blue", "kind": "ipv4", "network": "100.64.0.0/24", "vrf": "blue"}
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat") | {"vrf": [{"name": "blue"}]})
    await empty.apply({"pool": [blue]})
    await empty.ports("define_rule", **RULE)

    with pytest.raises(OutsideShared) as refused:
        await empty.ports("define_rule", **{**RULE, "pool": "blue", "vrf": "blue", "outside": "203.0.113.0/29"})
    assert str(refused.value) == (
        "Outside 203.0.113.0/29 in VRF blue overlaps 203.0.113.0/30 in VRF default, the outside of pool cgnat's rule;"
        " it was not written. Whoever asks for the holder of a port knows no VRF: choose another outside, or end pool"
        " cgnat's rule."
    )
    await empty.ports("end_rule", pool="cgnat")

    assert await empty.ports("define_rule", **{**RULE, "pool": "blue", "vrf": "blue"})
    assert await empty.violations() == []


async def test_a_pool_under_a_rule_keeps_its_prefix(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)

    with pytest.raises(EstateRefused, match="pool cgnat: another prefix"):
        await empty.apply(one_pool("100.65.0.0/24", role="cgnat"))
    with pytest.raises(RequestInvalid, match="has a rule of port blocks for all of"):
        await empty.keep("shrink", pool="cgnat", network="100.64.0.0/25", note="x")
    await empty.ports("end_rule", pool="cgnat")

    await empty.keep("shrink", pool="cgnat", network="100.64.0.0/25", note="x")
    assert (await empty.usage("cgnat"))["size"] == 126
    assert await empty.violations() == []


async def test_a_rule_that_can_not_be_is_refused_with_all_its_faults(network: Network) -> None:
    wrong: list[tuple[dict[str, Any], list[str]]] = [
        (
            {"ports_per_subscriber": 40_000},
            ["outside: 203.0.113.0/30 has 4 blocks of 40000 ports for 16 addresses"],
        ),
        (
            {"pool": "pd", "outside": "203.0.113.1/30", "first_port": 0, "algorithm": "at_random"},
            [
                "pool: pd hands out no IPv4 addresses",
                "first_port: ports 0 to 65535 don't lie in 1..65535",
                "algorithm: at_random is neither by_address nor by_block",
                "outside: '203.0.113.1/30' has host bits set; do you mean 203.0.113.0/30?",
            ],
        ),
        ({"ports_per_subscriber": 0}, ["ports_per_subscriber: 0 is not in 1..64512"]),
        (
            {"ports_per_subscriber": 0, "first_port": 70_000},
            ["first_port: ports 70000 to 65535 don't lie in 1..65535", "ports_per_subscriber: 0 is not in 1..65535"],
        ),
    ]

    for changed, faults in wrong:
        with pytest.raises(RequestInvalid) as refused:
            await network.ports("define_rule", **{**RULE, **changed})
        assert [str(fault) for fault in refused.value.faults] == faults
    with pytest.raises(RequestInvalid) as several:
        wrong_names = {"pool": "north", "vrf": "blue", "reason": " ", "algorithm": "at_random"}
        await network.ports("define_rule", **{**RULE, **wrong_names})
    assert [fault.where for fault in several.value.faults] == ["pool", "vrf", "reason", "algorithm"]
    with pytest.raises(RequestInvalid) as one:
        await network.ports("define_rule", **{**RULE, "outside": "203.0.113.1/30"})
    assert str(one.value) == "outside '203.0.113.1/30' has host bits set; do you mean 203.0.113.0/30?"
    with pytest.raises(NameUnknown, match="rule of port blocks"):
        await network.ports("end_rule", pool="cgnat")
    with pytest.raises(RequestInvalid, match="reason must say why"):
        await network.ports("end_rule", pool="cgnat", reason="")
    for said, words in (({"port": 0}, "takes 1 to 65535"), ({"port": 1, "outside": "::1"}, "about IPv4")):
        with pytest.raises(RequestInvalid, match=words):
            await network.ports("holder", **{"outside": "203.0.113.1", **said})


async def test_blocks_of_a_log_are_found_for_their_time_and_end_with_a_later_import(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    given = await empty.allocate(1, ip_address="100.64.0.70")
    empty.clock.forward(hours=6)
    log = [
        block("203.0.113.7", 40_000, "100.64.0.9", 0, 2),
        block("203.0.113.7", 40_000, "100.64.0.70", 2),
        block("203.0.113.7", 40_512, "100.64.0.70", 2, 3),
    ]
    assert await empty.ports("import_blocks", blocks=log, source="cgn-1 of 1 January") == ImportedBlocks(3, 0)
    assert await empty.ports("import_blocks", blocks=log, source="cgn-1 of 1 January") == ImportedBlocks(0, 0)

    later = await empty.ports("holder", outside="203.0.113.7", port=40_112, at=at(2))
    earlier = await empty.ports("holder", outside="203.0.113.7", port=40_112, at=at(1.9))

    assert (later["holder"]["service_id"], later["block"]["inside"]) == (given["service_id"], "100.64.0.70")
    assert (earlier["holder"], earlier["block"]["inside"]) == (None, "100.64.0.9")
    assert later["block"]["source"] == "log cgn-1 of 1 January"
    assert len(await empty.ports("blocks_of", inside="100.64.0.70", at=at(2.5))) == 2
    ended = [block("203.0.113.7", 40_000, "100.64.0.70", 2, 5), block("203.0.113.7", 40_000, "100.64.0.9", 5)]
    assert await empty.ports("import_blocks", blocks=ended, source="cgn-1 of 2 January") == ImportedBlocks(2, 0)
    assert (await empty.ports("holder", outside="203.0.113.7", port=40_112, at=at(6)))["block"][
        "inside"
    ] == "100.64.0.9"


async def test_a_log_that_contradicts_itself_or_an_earlier_one_is_refused_whole(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24"))
    empty.clock.forward(hours=4)
    await empty.ports("import_blocks", blocks=[block("203.0.113.7", 40_000, "100.64.0.9", 0, 2)], source="a")
    wrong = [
        block("203.0.113.7", 40_100, "100.64.0.8", 1, 3),
        block("203.0.113.8", 1024, "100.64.0.8", 1, 0.5),
        block("203.0.113.9", 65_100, "100.64.0.8", 1),
        block("2001:db8::1", 1024, "100.64.0.x", 1),
        block("203.0.113.10", 1024, "100.64.0.8", 1),
        block("203.0.113.10", 1500, "100.64.0.9", 2),
        block("203.0.113.10", 2012, "100.64.0.9", 2),
        block("203.0.113.7", 40_000, "100.64.0.9", 0, 1),
        replace(block("203.0.113.11", 1024, "100.64.0.9", 0, 1), vrf="elsewhere"),
        replace(block("203.0.113.11", 0, "100.64.0.9", 0, 1), vrf="nowhere"),
        replace(block("203.0.113.12", 1024, "100.64.0.9", 0, 1), vrf="a\0b"),
    ]

    with pytest.raises(RequestInvalid) as refused:
        await empty.ports("import_blocks", blocks=wrong, source="b")

    assert [str(fault) for fault in refused.value.faults] == [
        "blocks.0: 203.0.113.7:40100-40611 was 100.64.0.9's from 2030-01-01T12:00:00Z to 2030-01-01T14:00:00Z"
        " (a block imported from a)",
        "blocks.1.ended_at: it ends before it begins",
        "blocks.2.last_port: ports 65100 to 65611 don't lie in 1..65535",
        "blocks.3.outside: 2001:db8::1 is not IPv4",
        "blocks.3.inside: '100.64.0.x' is not an IPv4 or IPv6 address",
        "blocks.5: 203.0.113.10:1500-2011 was 100.64.0.8's from 2030-01-01T13:00:00Z on (blocks.4)",
        "blocks.7: 203.0.113.7:40000-40511 was 100.64.0.9's from 2030-01-01T12:00:00Z to 2030-01-01T14:00:00Z"
        " (a block imported from a)",
        "blocks.8.vrf: There is no VRF 'elsewhere'. Define it first, or correct the name.",
        "blocks.9.first_port: ports 0 to 511 don't lie in 1..65535",
        "blocks.9.vrf: There is no VRF 'nowhere'. Define it first, or correct the name.",
        "blocks.10.vrf: There is no VRF 'a\\x00b'. Define it first, or correct the name.",
    ]
    assert await empty.ports("holder", outside="203.0.113.10", port=2020, at=at(3)) is None


async def test_a_rule_of_the_description_is_carried_out_once_and_replaces_another_one(empty: Network) -> None:
    described = one_pool("100.64.0.0/24", role="cgnat")
    assert "nat_rule cgnat created" in await empty.apply(described | {"nat_rule": [RULE]})
    assert await empty.apply(described | {"nat_rule": [RULE]}) == []
    empty.clock.forward(hours=1)
    other = {**RULE, "outside": "198.51.100.0/30", "algorithm": "by_block"}
    assert await empty.apply({"nat_rule": [other]}) == ["nat_rule cgnat changed"]

    [rule] = await empty.ports("rules")
    assert rule == {
        "pool": "cgnat",
        "inside": "100.64.0.0/24",
        "outside": "198.51.100.0/30",
        "ports_per_subscriber": 1000,
        "algorithm": "by_block",
        "first_port": 1024,
        "last_port": 65535,
        "since": at(1),
    }
    with pytest.raises(EstateRefused, match="has 4 blocks of 60000 ports for 256 addresses"):
        await empty.apply({"nat_rule": [{**RULE, "ports_per_subscriber": 60_000}]})
    assert await empty.ports("rules") == [rule]


async def test_a_rule_holds_since_it_was_the_boxs_also_when_it_is_said_later(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    asked = {"outside": "203.0.113.1", "port": 7500}
    changed = {**RULE, "ports_per_subscriber": 500}

    assert await empty.ports("define_rule", **RULE)
    assert await empty.ports("define_rule", **RULE, since=at(-48))
    assert not await empty.ports("define_rule", **RULE, since=at(-48))
    assert not await empty.ports("define_rule", **RULE, since=at(-24))
    empty.clock.forward(hours=9)
    assert await empty.ports("define_rule", **changed, since=at(3))

    found = [await empty.ports("holder", **asked, at=at(h)) for h in (-49, -47, 2.9, 3.1)]
    assert [each and each["block"]["inside"] for each in found] == [None, "100.64.0.70", "100.64.0.70", "100.64.0.141"]
    [rule] = await empty.ports("rules")
    assert rule["since"] == at(3)
    assert await empty.violations() == []


async def test_a_rule_is_not_dated_to_a_time_when_another_held_or_that_is_still_to_come(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.apply({"pool": [{"name": "other", "kind": "ipv4", "network": "100.65.0.0/25"}]})
    await empty.ports("define_rule", **RULE)
    empty.clock.forward(hours=1)
    await empty.ports("end_rule", pool="cgnat")
    empty.clock.forward(hours=1)
    await empty.ports("define_rule", **{**RULE, "algorithm": "by_block"})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"algorithm": "by_block", "since": at(0.5)}, "another rule of pool cgnat held until 2030-01-01T13:00:00Z"),
        ({"since": at(1.5)}, "the rule in force of pool cgnat holds since 2030-01-01T14:00:00Z"),
        ({"since": at(3)}, "2030-01-01T15:00:00Z, which is still to come"),
        ({"since": at(0).replace(tzinfo=None)}, "since has no zone"),
    ]

    for said, why in wrong:
        with pytest.raises(RequestInvalid, match=why):
            await empty.ports("define_rule", **{**RULE, **said})
    assert await empty.ports("end_rule", pool="cgnat")
    with pytest.raises(RequestInvalid, match="another rule of pool cgnat held until"):
        await empty.ports("define_rule", **{**RULE, "pool": "other", "since": at(0.5)})
    assert await empty.ports("rules") == []
    assert await empty.violations() == []


async def test_a_refusal_tells_moments_apart_that_lie_in_one_second(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)
    empty.clock.forward(seconds=0.75)
    await empty.ports("end_rule", pool="cgnat")
    empty.clock.forward(hours=2)

    said = at(0.5 / 3600).astimezone(timezone(HOUR))
    told = "is 2030-01-01T12:00:00.500000Z, but another rule of pool cgnat held until 2030-01-01T12:00:00.750000Z"
    with pytest.raises(RequestInvalid, match=told):
        await empty.ports("define_rule", **RULE, since=said)


async def test_a_rule_is_not_dated_over_what_the_box_has_logged_of_somebody_else(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    as_computed = LoggedBlock("203.0.113.1", 7024, 8023, "100.64.0.70", at(-30), at(-20))
    still_open = LoggedBlock("203.0.113.2", 1024, 1535, "100.64.0.9", at(-50))
    of_another = LoggedBlock("203.0.113.1", 7024, 7535, "100.64.0.9", at(-44), at(-40))
    await empty.ports("import_blocks", blocks=[as_computed, still_open, of_another], source="cgn-1")

    with pytest.raises(RequestInvalid, match=r"log cgn-1 gives 203.0.113.1:7024-7535 to 100.64.0.9 after that"):
        await empty.ports("define_rule", **RULE, since=at(-41))

    assert await empty.ports("define_rule", **RULE, since=at(-40))
    then = await empty.ports("holder", outside="203.0.113.1", port=7100, at=at(-42))
    assert then["block"]["inside"] == "100.64.0.9"


async def test_what_was_logged_is_surer_than_a_rule_unless_it_may_have_ended_before(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("import_blocks", blocks=[block("203.0.113.1", 9024, "100.64.0.8", -5)], source="cgn-1")
    await empty.ports("define_rule", **RULE)
    empty.clock.forward(hours=3)
    await empty.ports("import_blocks", blocks=[block("203.0.113.1", 7024, "100.64.0.9", 1, 2)], source="cgn-1")

    found = [
        await empty.ports("holder", outside="203.0.113.1", port=port, at=at(h))
        for port, h in ((7100, 0.5), (7100, 1.5), (7100, 2.5), (9100, -1), (9100, 1))
    ]

    inside = [each["block"]["inside"] for each in found]
    assert inside == ["100.64.0.70", "100.64.0.9", "100.64.0.70", "100.64.0.8", "100.64.0.72"]
    back = [
        [
            (each["first_port"], each["last_port"], each["source"])
            for each in await empty.ports("blocks_of", inside=inside, at=at(hours))
        ]
        for inside, hours in (("100.64.0.70", 0.5), ("100.64.0.70", 1.5), ("100.64.0.9", 1.5), ("100.64.0.8", 1))
    ]
    rule = "rule of pool cgnat"
    assert back == [
        [(7024, 8023, rule)],
        [(7536, 8023, rule)],
        [(10024, 11023, rule), (7024, 7535, "log cgn-1")],
        [(9024, 10023, rule)],
    ]
    await empty.ports("end_rule", pool="cgnat")
    empty.clock.forward(hours=1)
    assert await empty.ports("holder", outside="203.0.113.1", port=9100) is None
    assert await empty.ports("blocks_of", inside="100.64.0.8") == []


async def test_a_pool_whose_addresses_are_reached_by_themselves_has_no_rule(empty: Network) -> None:
    described = one_pool("192.0.2.0/28")
    await empty.apply(described)
    rule = {**RULE, "outside": "203.0.113.64/28"}

    with pytest.raises(RequestInvalid) as refused:
        await empty.ports("define_rule", **rule)
    with pytest.raises(EstateRefused) as by_estate:
        await empty.apply(described | {"nat_rule": [rule]})

    said = (
        "pool cgnat (192.0.2.0/28, role public) is not behind a CGNAT: name the pool whose addresses it maps, or give"
    )
    assert str(refused.value) == f"{said} this one the role cgnat in the estate."
    assert f"nat_rule cgnat: {said} this one the role cgnat in the estate" in str(by_estate.value)
    assert await empty.ports("rules") == []

    private: dict[str, Any] = {"name": "private", "kind": "ipv4", "network": "10.64.0.0/28"}  # reached by nobody
    inside = one_pool("192.0.2.0/28", role="cgnat")
    rules = [rule, {**rule, "pool": "private", "outside": "203.0.113.80/28"}]
    await empty.apply(inside | {"pool": [*inside["pool"], private], "nat_rule": rules})
    assert [each["inside"] for each in await empty.ports("rules")] == ["192.0.2.0/28", "10.64.0.0/28"]


async def test_a_pool_that_has_a_rule_from_before_is_given_its_role_with_it(empty: Network) -> None:
    described = one_pool("192.0.2.0/28", role="cgnat")
    await empty.apply(described | {"nat_rule": [RULE]})
    await empty.apply(one_pool("192.0.2.0/28"))

    assert await empty.apply(described | {"nat_rule": [RULE]}) == ["pool cgnat changed"]
    assert [each["pool"] for each in await empty.ports("rules")] == ["cgnat"]


async def test_nobody_had_a_port_only_where_a_rule_or_a_log_tells_whose_the_others_were(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE, since=at(-4))
    await empty.ports("end_rule", pool="cgnat")
    logged = [block("203.0.113.1", 1024, "100.64.0.7", -8, -6), block("203.0.113.9", 1024, "100.64.0.7", -8)]
    await empty.ports("import_blocks", blocks=logged, source="cgn-1")

    known = {
        (outside, hours): await empty.ports("is_known", outside=outside, at=at(hours))
        for outside, hours in (
            ("203.0.113.1", -9),
            ("203.0.113.1", -7),
            ("203.0.113.1", -5),
            ("203.0.113.1", -1),
            ("203.0.113.1", 0),
            ("203.0.113.9", -9),
            ("203.0.113.9", 0),
            ("198.51.100.1", -1),
        )
    }

    assert {key: (each["known"], each["known_from"]) for key, each in known.items()} == {
        ("203.0.113.1", -9): (False, at(-8)),
        ("203.0.113.1", -7): (True, None),
        ("203.0.113.1", -5): (False, at(-4)),
        ("203.0.113.1", -1): (True, None),
        ("203.0.113.1", 0): (False, None),
        ("203.0.113.9", -9): (False, at(-8)),
        ("203.0.113.9", 0): (True, None),
        ("198.51.100.1", -1): (False, None),
    }
    for hours in (-7, -5):
        assert await empty.ports("holder", outside="203.0.113.1", port=80, at=at(hours)) is None
    with pytest.raises(RequestInvalid, match="nowhere"):
        await empty.ports("is_known", outside="nowhere")
