"""What a pool's prefix may shrink to: what could be described as well."""

from __future__ import annotations

from typing import Any

import pytest

from ipam import EstateRefused, RequestInvalid
from tests.ipam.conftest import Network, one_pool

RULE = {"pool": "cgnat", "outside": "203.0.113.0/28", "ports_per_subscriber": 2016}


@pytest.mark.parametrize(
    ("pool", "to", "faults"),
    [
        ({"gateway": "192.0.2.7"}, "192.0.2.0/29", ["gateway 192.0.2.7 is the network's own or its broadcast address"]),
        ({"gateway": "192.0.2.9"}, "192.0.2.0/29", ["gateway 192.0.2.9 is not inside 192.0.2.0/29"]),
        ({"gateway": "192.0.2.1"}, "192.0.2.0/31", ["nothing is left of 192.0.2.0/31 to hand out"]),
        ({}, "192.0.2.0/32", ["nothing is left of 192.0.2.0/32 to hand out"]),
        ({"exclude": ["192.0.2.0/29"]}, "192.0.2.0/29", ["nothing is left of 192.0.2.0/29 to hand out"]),
        ({"minimum_free": 7}, "192.0.2.0/29", ["minimum_free 7 is more than the 6 that it has"]),
        (
            {"gateway": "192.0.2.7", "minimum_free": 3, "exclude": ["192.0.2.1-192.0.2.4"]},
            "192.0.2.0/29",
            [
                "gateway 192.0.2.7 is the network's own or its broadcast address",
                "minimum_free 3 is more than the 2 that it has",
            ],
        ),
    ],
)
async def test_a_pool_does_not_shrink_to_what_it_could_not_be_described_as(
    empty: Network, pool: dict[str, Any], to: str, faults: list[str]
) -> None:
    await empty.apply(one_pool("192.0.2.0/28", **pool))
    before = await empty.usage("cgnat")

    with pytest.raises(RequestInvalid) as refused:
        await empty.keep("shrink", pool="cgnat", network=to, note="to the south")

    told = [(fault.where, fault.what) for fault in refused.value.faults]
    assert told == [("network", f"can't be {to}: {fault}") for fault in faults]
    assert await empty.usage("cgnat") == before
    assert await empty.keep("is_drained", pool="cgnat") is False
    assert await empty.violations() == []


async def test_all_that_speaks_against_it_is_told_at_once(empty: Network) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat", gateway="100.64.0.127"))
    await empty.ports("define_rule", **RULE)

    with pytest.raises(RequestInvalid) as refused:
        await empty.keep("shrink", pool="cgnat", network="100.64.0.0/25", note=" ")

    told = [(fault.where, fault.what) for fault in refused.value.faults]
    assert [where for where, _ in told] == ["reason", "network", "pool"]
    assert told[1][1].endswith("gateway 100.64.0.127 is the network's own or its broadcast address")
    assert told[2][1] == "cgnat has a rule of port blocks for all of 100.64.0.0/24; end it first"


async def test_what_was_excluded_by_hand_is_not_left_either(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    await empty.keep("exclude", pool="cgnat", span="192.0.2.1-192.0.2.6", note="monitoring")

    with pytest.raises(RequestInvalid, match=r"nothing is left of 192\.0\.2\.0/29 to hand out"):
        await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south")

    assert (await empty.usage("cgnat"))["network"] == "192.0.2.0/28"


async def test_what_a_pool_has_shrunk_to_may_stand_in_the_description_then(empty: Network) -> None:
    told = {"gateway": "192.0.2.6", "minimum_free": 5}
    await empty.apply(one_pool("192.0.2.0/28", **told))

    assert await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south") is True
    assert await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="to the south") is False

    assert await empty.apply(one_pool("192.0.2.0/29", **told)) == []
    usage = await empty.usage("cgnat")
    assert (usage["network"], usage["size"], usage["free"]) == ("192.0.2.0/29", 5, 5)
    assert await empty.violations() == []


async def test_a_pool_of_prefixes_keeps_what_it_is_to_have_free(empty: Network) -> None:
    pool = {"name": "pd", "kind": "ipv6_pd", "network": "2001:db8:2000::/52", "minimum_free": 9}
    await empty.apply({"pool": [pool]})

    with pytest.raises(RequestInvalid, match="minimum_free 9 is more than the 8 that it has"):
        await empty.keep("shrink", pool="pd", network="2001:db8:2000::/53", note="to the south")
    await empty.apply({"pool": [{**pool, "minimum_free": 8}]})

    assert await empty.keep("shrink", pool="pd", network="2001:db8:2000::/53", note="to the south")
    assert (await empty.usage("pd"))["size"] == 8


async def test_a_description_with_the_prefix_of_before_is_told_which_one_to_write(empty: Network) -> None:
    routed = {"name": "r6", "kind": "ipv6_routed", "network": "2001:db8:4000::/36"}
    await empty.apply({"pool": [routed]})
    await empty.keep("shrink", pool="r6", network="2001:db8:4000::/37", note="half is enough")
    await empty.keep("shrink", pool="r6", network="2001:db8:4000::/38", note="a quarter, too")

    with pytest.raises(EstateRefused) as refused:
        await empty.apply({"pool": [routed]})
    with pytest.raises(EstateRefused, match=r"though it was shrunk; define a new pool"):
        await empty.apply({"pool": [{**routed, "network": "2001:db8:4000::/35"}]})

    [fault] = refused.value.faults
    assert fault.what == (
        "2001:db8:4000::/36 was its prefix until 2030-01-01 12:00 UTC, when it was shrunk; write 2001:db8:4000::/38 in"
        " the description"
    )
    assert await empty.apply({"pool": [{**routed, "network": "2001:db8:4000::/38"}]}) == []


async def test_a_pool_that_has_only_had_a_rule_of_port_blocks_is_told_that_the_rule_stands_in_the_way(
    empty: Network,
) -> None:
    await empty.apply(one_pool("100.64.0.0/24", role="cgnat"))
    await empty.ports("define_rule", **RULE)

    with pytest.raises(EstateRefused) as refused:
        await empty.apply(one_pool("100.64.0.0/23", role="cgnat"))

    [fault] = refused.value.faults
    assert fault.what == (
        "another prefix, kind, unit length or handing-out, though it has had a rule of port blocks, which tells who had"
        " a port; define a new pool beside it and unbind this one"
    )
