"""What is kept for something, what is excluded by hand, and quarantines that end early."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ipam import (
    EstateInUse,
    NameUnknown,
    PoolExhausted,
    RequestInvalid,
    UnitCooling,
    UnitExcluded,
    UnitNotHeld,
    UnitReserved,
    UnitTaken,
)
from ipam.tables import Exclusion, Pool
from tests.ipam.conftest import STARTED_AT, Network, one_pool

EXCLUDED_OR_NOT = ("192.0.2.9", "192.0.2.0/28", "192.0.2.5", "192.0.2.0/29")


async def test_what_is_reserved_is_given_to_nobody_until_it_is_unreserved(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30"))
    assert await empty.keep("reserve", pool="cgnat", value="192.0.2.1", note="for the museum")
    assert not await empty.keep("reserve", pool="cgnat", value="192.0.2.1", note="for the  museum ")
    await empty.allocate(1)

    with pytest.raises(PoolExhausted):
        await empty.allocate(2)
    usage = await empty.usage("cgnat")
    assert (usage["reserved"], usage["assigned"], usage["free"]) == (1, 1, 0)
    assert await empty.keep("unreserve", pool="cgnat", value="192.0.2.1", note="the museum has closed")
    assert not await empty.keep("unreserve", pool="cgnat", value="192.0.2.1", note="once more")

    assert (await empty.allocate(2))["ip_address"] == "192.0.2.1"
    history = await empty.keep("history", pool="cgnat", value="192.0.2.1")
    assert [(each["what"], each["note"], each["customer_id"]) for each in history] == [
        ("reserved", "for the museum", None),
        ("unreserved", "the museum has closed", None),
        ("assigned", None, 2),
    ]
    assert await empty.violations() == []


@pytest.mark.parametrize(
    ("value", "cause"),
    [("198.51.100.7", type(None)), ("198.51.100.0/29", type(None)), ("192.0.2", ValueError), ("a-b", ValueError)],
)
async def test_what_is_nothing_that_the_pool_hands_out_is_refused_for_that_and_not_for_itself(
    empty: Network, value: str, cause: type[object]
) -> None:
    await empty.apply(one_pool())

    with pytest.raises(RequestInvalid, match="nothing that pool cgnat hands out") as refused:
        await empty.keep("lift", pool="cgnat", value=value, note="the customer is back")

    assert isinstance(refused.value.__cause__, cause)
    assert [fault.where for fault in refused.value.faults] == ["value"]


async def test_what_can_not_be_reserved_or_unreserved_says_why(network: Network) -> None:
    given = await network.allocate(1, ip_address="100.64.0.4")
    cooling = await network.allocate(2, ip_address="100.64.0.5")
    await network.release(cooling["service_id"])
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="kept")
    refused: list[tuple[type[Exception], str, str, dict[str, Any]]] = [
        (UnitTaken, f"service {given['service_id']}", "reserve", {"value": "100.64.0.4", "note": "x"}),
        (UnitCooling, "13:00:00", "reserve", {"value": "100.64.0.5", "note": "x"}),
        (UnitReserved, "kept", "reserve", {"value": "100.64.0.6", "note": "for another"}),
        (UnitNotHeld, "not reserved, it is held by a service", "unreserve", {"value": "100.64.0.4", "note": "x"}),
        (UnitNotHeld, "not reserved, it is neither held nor", "unreserve", {"value": "100.64.0.9", "note": "x"}),
        (UnitNotHeld, "not in quarantine, it is reserved", "lift", {"value": "100.64.0.6", "note": "x"}),
        (RequestInvalid, "must say why", "lift", {"value": "100.64.0.5", "note": " "}),
        (RequestInvalid, "must say why", "include", {"span": "100.64.0.5", "note": " "}),
        (RequestInvalid, "must say why", "undrain", {"span": "100.64.0.5", "note": " "}),
        (RequestInvalid, "is nothing that pool cgnat hands out", "reserve", {"value": "8.8.8.8", "note": "x"}),
        (RequestInvalid, "is not an IPv4 or IPv6", "reserve", {"value": "100.64", "note": "x"}),
    ]

    for kind, words, verb, said in refused:
        with pytest.raises(kind, match=words):
            await network.keep(verb, pool="cgnat", **said)

    with pytest.raises(NameUnknown, match="pool 'north'"):
        await network.keep("reserve", pool="north", value="100.64.0.9", note="x")
    for verb, said, wheres in (
        ("reserve", {"pool": "north", "value": "100.64", "note": ""}, ["reason", "pool", "value"]),
        ("unreserve", {"pool": "cgnat", "value": "8.8.8.8", "note": " \n"}, ["reason", "value"]),
        ("exclude", {"pool": "north", "span": "5-4", "note": "\x07"}, ["reason", "pool", "span"]),
        ("shrink", {"pool": "north", "network": "100.64.0.1/8", "note": "x" * 501}, ["reason", "pool", "network"]),
        (
            "rehome",
            {"access_nodes": ["OLT-8", "OLT-9"], "bng": "bng-9", "note": ""},
            ["reason", "bng", *["access_nodes"] * 2],
        ),
    ):
        with pytest.raises(RequestInvalid) as several:
            await network.keep(verb, **said)
        assert [fault.where for fault in several.value.faults] == wheres
    with pytest.raises(RequestInvalid, match="handed out by the BNG, which knows it as POOL-A"):
        await network.keep("reserve", pool="at-the-bng", value="100.72.0.9", note="x")
    assert await network.violations() == []


async def test_prefixes_and_c_vlans_are_reserved_by_their_numbers(network: Network) -> None:
    assert await network.keep("reserve", pool="pd", value="2001:db8:2000:500::/56", note="kept")
    assert await network.keep("reserve", pool="metro/210", value="2", note="kept")

    with pytest.raises(UnitReserved):
        await network.allocate(1, "LOC-2", cvlan=2)
    with pytest.raises(RequestInvalid, match="nothing that pool pd hands out"):
        await network.keep("reserve", pool="pd", value="2001:db8:2000:500::/60", note="kept")
    assert await network.violations() == []


@pytest.mark.parametrize("change", ["reserve", "unreserve", "lift"])
async def test_a_c_vlan_in_digits_of_another_script_is_no_number(network: Network, change: str) -> None:
    with pytest.raises(RequestInvalid, match="is no VLAN number") as refused:
        await network.keep(change, pool="metro/210", value="\u0662\u0663", note="kept")

    assert [fault.where for fault in refused.value.faults] == ["value"]


async def test_a_lifted_quarantine_lets_anybody_have_it_at_once(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"], quarantine_seconds=86_400))
    first = await empty.allocate(1)
    await empty.release(first["service_id"])
    empty.clock.forward(hours=1)
    with pytest.raises(PoolExhausted):
        await empty.allocate(2)

    assert await empty.keep("lift", pool="cgnat", value=first["ip_address"], note="no log names it")
    assert not await empty.keep("lift", pool="cgnat", value=first["ip_address"], note="once more")

    assert (await empty.allocate(2))["ip_address"] == first["ip_address"]
    with pytest.raises(UnitNotHeld, match="held by a service"):
        await empty.keep("lift", pool="cgnat", value=first["ip_address"], note="again")
    history = await empty.keep("history_of_address", address=first["ip_address"])
    assert [(each["what"], each["note"], each["at"] - STARTED_AT) for each in history[2:3]] == [
        ("lifted", "no log names it", timedelta(hours=1))
    ]
    assert await empty.violations() == []


async def test_what_is_lifted_in_an_excluded_part_is_told_to_go_to_nobody(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600))
    for value in ("192.0.2.5", "192.0.2.9"):
        await empty.release((await empty.allocate(1, ip_address=value))["service_id"])
    await empty.keep("exclude", pool="cgnat", span="192.0.2.8/29", note="a rogue DHCP server")
    assert await empty.keep("why_excluded", pool="cgnat", value="192.0.2.9") is None

    assert await empty.keep("lift", pool="cgnat", value="192.0.2.0/28", note="no log names them") is True

    why = {value: await empty.keep("why_excluded", pool="cgnat", value=value) for value in EXCLUDED_OR_NOT}
    assert why == {
        "192.0.2.9": "excluded by hand (a rogue DHCP server)",
        "192.0.2.0/28": "excluded by hand (a rogue DHCP server)",
        "192.0.2.5": None,
        "192.0.2.0/29": None,
    }
    await empty.keep("include", pool="cgnat", span="192.0.2.8/29")
    assert await empty.keep("why_excluded", pool="cgnat", value="192.0.2.9") is None
    assert await empty.violations() == []


async def excluded(network: Network) -> list[tuple[int, int, str, str | None]]:
    async with network.database.begin() as db:
        rows = select(Exclusion.first_unit, Exclusion.last_unit, Exclusion.reason, Exclusion.note).join(Pool)
        found = await db.execute(rows.where(Pool.name == "cgnat").order_by(Exclusion.first_unit))
        return [(first, last, reason, note) for first, last, reason, note in found]


async def test_what_is_excluded_by_hand_stays_out_whatever_the_description_says(empty: Network) -> None:
    rogue = "a rogue DHCP server"
    await empty.apply(one_pool("192.0.2.0/29", gateway="192.0.2.1"))
    assert await empty.keep("exclude", pool="cgnat", span="192.0.2.1-192.0.2.3", note=rogue)
    assert not await empty.keep("exclude", pool="cgnat", span="192.0.2.2", note="again")

    assert await empty.apply(one_pool("192.0.2.0/29", gateway="192.0.2.1")) == []
    changed = await empty.apply(one_pool("192.0.2.0/29", gateway="192.0.2.1", exclude=["192.0.2.3-192.0.2.4"]))

    assert changed == ["pool cgnat changed"]
    assert await excluded(empty) == [
        (0, 0, "network address", None),
        (1, 1, "gateway", rogue),
        (2, 2, "excluded by hand", rogue),
        (3, 3, "reserved", rogue),
        (4, 4, "reserved", None),
        (7, 7, "broadcast address", None),
    ]
    assert (await empty.usage("cgnat"))["size"] == 2
    assert await empty.violations() == []
    assert await empty.keep("include", pool="cgnat", span="192.0.2.0/29")
    assert not await empty.keep("include", pool="cgnat", span="192.0.2.0/29")
    given = {(await empty.allocate(customer))["ip_address"] for customer in (1, 2, 3)}
    assert given == {"192.0.2.2", "192.0.2.5", "192.0.2.6"}
    assert await empty.violations() == []


async def test_what_was_excluded_by_hand_is_so_again_when_the_description_lets_go_of_it(empty: Network) -> None:
    museum = "printer of the museum"
    await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.5"]))
    assert await empty.keep("exclude", pool="cgnat", span="192.0.2.1-192.0.2.3", note=museum)
    assert await empty.keep("exclude", pool="cgnat", span="192.0.2.5", note="the zoo's")  # described so already
    by_hand = await excluded(empty)
    around = one_pool("192.0.2.0/29", exclude=["192.0.2.2-192.0.2.5"])

    assert await empty.apply(around) == ["pool cgnat changed"]
    assert await empty.apply(around) == []
    assert (await empty.usage("cgnat"))["size"] == 1
    with pytest.raises(UnitExcluded, match=rf"never handed out: reserved, and excluded by hand \({museum}\)"):
        await empty.allocate(1, ip_address="192.0.2.2")
    assert await empty.violations() == []
    assert await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.5"])) == ["pool cgnat changed"]
    assert await excluded(empty) == by_hand
    assert await empty.apply(one_pool("192.0.2.0/29")) == ["pool cgnat changed"]

    assert (await empty.usage("cgnat"))["size"] == 2
    assert {(await empty.allocate(customer))["ip_address"] for customer in (1, 2)} == {"192.0.2.4", "192.0.2.6"}
    with pytest.raises(UnitExcluded, match=rf"never handed out: excluded by hand \({museum}\)"):
        await empty.allocate(3, ip_address="192.0.2.2")
    assert await empty.keep("include", pool="cgnat", span="192.0.2.2")
    assert (await empty.allocate(3))["ip_address"] == "192.0.2.2"
    assert await empty.violations() == []


async def test_what_is_included_beneath_the_description_is_free_when_that_lets_go_of_it(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29"))
    await empty.keep("exclude", pool="cgnat", span="192.0.2.1-192.0.2.3", note="printers")
    await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.2-192.0.2.4"]))
    assert await empty.keep("include", pool="cgnat", span="192.0.2.2-192.0.2.3")
    assert await excluded(empty) == [
        (0, 0, "network address", None),
        (1, 1, "excluded by hand", "printers"),
        (2, 4, "reserved", None),
        (7, 7, "broadcast address", None),
    ]
    assert (await empty.usage("cgnat"))["size"] == 2

    await empty.apply(one_pool("192.0.2.0/29"))
    assert (await empty.usage("cgnat"))["size"] == 5
    assert await empty.violations() == []


async def test_what_is_excluded_by_hand_where_a_smaller_prefix_ends_stays_so(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    await empty.keep("exclude", pool="cgnat", span="192.0.2.6-192.0.2.9", note="printers")
    await empty.keep("shrink", pool="cgnat", network="192.0.2.0/29", note="sold in part")

    assert await excluded(empty) == [
        (0, 0, "network address", None),
        (6, 6, "excluded by hand", "printers"),
        (7, 7, "broadcast address", "printers"),
    ]
    assert await empty.apply(one_pool("192.0.2.0/29")) == []
    assert await empty.violations() == []


@pytest.mark.parametrize(
    ("pool", "span", "part", "units"),
    [
        ("pd", "2001:db8:2000:120::/60", "2001:db8:2000:100::/56", 1),
        ("pd", "2001:db8:2000:2ff::1-2001:db8:2000:300::", "2001:db8:2000:200::/55", 2),
        ("pd", "2001:db8:2000:180::/57", "2001:db8:2000:100::/56", 1),
        ("pd", "2001:db8:2000:1::-2001:db8:2000:201::", "2001:db8:2000::-2001:db8:2000:2ff:ffff:ffff:ffff:ffff", 3),
        ("pd", "2001:DB8:2000:100::/56", "2001:db8:2000:100::/56", 1),
        ("cgnat", "100.64.0.4/255.255.255.252", "100.64.0.4/30", 4),
        ("cgnat", " 100.64.0.9", "100.64.0.9", 1),
        ("metro/210", " 7 ", "7", 1),
        ("cgnat", "100.64.0.4-100.64.0.9", "100.64.0.4-100.64.0.9", 6),
        ("metro/210", "2-50", "2-50", 49),
    ],
)
async def test_what_is_drained_is_told_from_unit_to_unit(
    network: Network, pool: str, span: str, part: str, units: int
) -> None:
    assert await network.keep("drain", pool=pool, span=span, note="goes south")

    assert (await network.usage(pool))["draining"] == units
    told = await network.keep("part", pool=pool, span=span)
    assert told == part
    assert not await network.keep("drain", pool=pool, span=told, note="again")
    assert await network.keep("undrain", pool=pool, span=told)
    assert (await network.usage(pool))["draining"] == 0


async def test_what_is_in_use_can_not_be_excluded(network: Network) -> None:
    given = await network.allocate(1, ip_address="100.64.0.4")
    await network.keep("reserve", pool="cgnat", value="100.64.0.6", note="kept")

    with pytest.raises(EstateInUse) as refused:
        await network.keep("exclude", pool="cgnat", span="100.64.0.4-100.64.0.9", note="x")

    assert f"100.64.0.4 (service {given['service_id']}), 100.64.0.6 (reserved)" in str(refused.value)
    with pytest.raises(RequestInvalid, match=r"not inside 100\.64\.0\.0/28"):
        await network.keep("exclude", pool="cgnat", span="100.64.0.4-100.64.1.9", note="x")
    assert await network.keep("exclude", pool="metro/210", span="2-50", note="test lines")
    assert await network.violations() == []
