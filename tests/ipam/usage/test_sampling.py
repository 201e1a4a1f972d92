"""The clock's look at the pools: what it writes, what it tells, and that it tells it once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from ipam import sample_pools
from ipam.tables import PoolSample
from ipam.usage.sampling import levels_since
from provisioning.forecast import forecast
from tests.ipam.conftest import STARTED_AT, Network, one_pool


async def look(network: Network) -> list[Any]:
    async with network.database.begin() as db:
        crossings = await sample_pools(db, tenant_id=network.tenant_id, at=network.clock())
    return [(each["pool"], each["previous_level"], each["level"], each["free"]) for each in crossings]


async def since(network: Network, level: str) -> Any:
    async with network.database.begin() as db:
        found = await levels_since(db, tenant_id=network.tenant_id, levels={"cgnat": level})
    return found.get("cgnat")


async def samples(network: Network) -> int:
    async with network.database.begin() as db:
        return await db.scalar(select(func.count()).select_from(PoolSample)) or 0


async def test_each_threshold_is_told_once_on_the_way_up_and_on_the_way_down(empty: Network) -> None:
    await empty.apply(
        one_pool("192.0.2.0/28", quarantine_seconds=0, warn_percent=50, crit_percent=75, sticky_seconds=0)
    )
    told: list[Any] = []
    given = []
    for customer in range(1, 15):
        given.append(await empty.allocate(customer))
        empty.clock.forward(seconds=60)
        told += await look(empty)
        assert await look(empty) == []
    empty.clock.forward(seconds=60)
    assert await look(empty) == []

    assert told == [
        ("cgnat", "ok", "low", 7),
        ("cgnat", "low", "critical", 3),
        ("cgnat", "critical", "exhausted", 0),
    ]


async def test_since_when_a_pool_is_at_its_level_is_the_look_that_has_seen_it_there_first(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0, warn_percent=50, crit_percent=99))
    given = [await empty.allocate(customer) for customer in range(1, 7)]
    await look(empty)
    for each in given[-2:]:
        await empty.release(each["service_id"])
    empty.clock.forward(minutes=1)
    await look(empty)
    assert await since(empty, "low") == empty.clock()
    assert await since(empty, "ok") is None
    for customer in (7, 8):
        await empty.allocate(customer)
    assert await since(empty, "exhausted") is None  # nobody has looked since
    empty.clock.forward(minutes=1)
    full_at = empty.clock()
    for hours in (0, 7):
        empty.clock.forward(hours=hours)
        await look(empty)
        assert await since(empty, "exhausted") == full_at


async def test_a_full_pool_of_which_one_unit_comes_and_goes_is_told_of_once(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0, sticky_seconds=0))
    given = [await empty.allocate(customer) for customer in range(1, 7)]
    assert await look(empty) == [("cgnat", "ok", "exhausted", 0)]
    full_at = empty.clock()
    told, shown, since_when = [], [], []
    for customer in range(7, 10):
        for free in (1, 0):
            empty.clock.forward(minutes=5)
            if free:
                await empty.release(given.pop()["service_id"])
            else:
                given.append(await empty.allocate(customer))
            told += await look(empty)
            shown.append((await outlook_of(empty, "cgnat"))["level"])
            since_when.append(await since(empty, shown[-1]))
    assert (told, shown) == ([], ["critical", "exhausted"] * 3)
    assert since_when == [full_at] * 6

    for each in given[:2]:
        await empty.release(each["service_id"])
    empty.clock.forward(minutes=5)

    assert await look(empty) == [("cgnat", "exhausted", "low", 2)]


@pytest.mark.parametrize(("out", "size"), [("192.0.2.2-192.0.2.6", 1), ("192.0.2.3-192.0.2.6", 2)])
async def test_the_smallest_pools_recover_too_when_all_of_them_is_free(empty: Network, out: str, size: int) -> None:
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0, sticky_seconds=0, exclude=[out]))
    given = [await empty.allocate(customer) for customer in range(1, size + 1)]
    assert await look(empty) == [("cgnat", "ok", "exhausted", 0)]
    for each in given:
        await empty.release(each["service_id"])
    empty.clock.forward(minutes=5)

    assert await look(empty) == [("cgnat", "exhausted", "ok", size)]


async def test_a_pool_that_gets_room_has_recovered_once(empty: Network) -> None:
    described = one_pool("192.0.2.0/28", warn_percent=50, crit_percent=90, exclude=["192.0.2.5-192.0.2.14"])
    await empty.apply(described)
    for customer in (1, 2):
        await empty.allocate(customer)
    assert await look(empty) == [("cgnat", "ok", "low", 2)]

    await empty.apply(one_pool("192.0.2.0/28", warn_percent=50, crit_percent=90))
    empty.clock.forward(minutes=5)

    assert await look(empty) == [("cgnat", "low", "ok", 12)]
    assert await look(empty) == []


async def test_what_has_rested_is_free_and_what_cools_off_is_not(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=600, warn_percent=50))
    for customer in range(1, 15):
        await empty.release((await empty.allocate(customer))["service_id"])
    assert await look(empty) == [("cgnat", "ok", "exhausted", 0)]
    assert (await empty.usage("cgnat"))["quarantined"] == 14

    empty.clock.forward(seconds=600)

    assert await look(empty) == [("cgnat", "exhausted", "ok", 14)]
    usage = await empty.usage("cgnat")
    assert (usage["free"], usage["quarantined"], usage["next_available_at"]) == (14, 0, None)


async def test_samples_are_written_every_six_hours_and_forgotten_after_ninety_days(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    pools = 2  # with the C-VLANs
    written = []
    for hours in (0, 1, 5.9, 6, 7, 12):
        empty.clock.at = STARTED_AT + timedelta(hours=hours)
        await look(empty)
        written.append(await samples(empty))
    empty.clock.forward(days=90)
    await look(empty)

    assert written == [pools * times for times in (1, 1, 1, 2, 2, 3)]
    assert await samples(empty) == 2 * pools


async def test_two_clocks_at_once_tell_a_crossing_once(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30"))
    for customer in (1, 2):
        await empty.allocate(customer)

    told = await asyncio.gather(*(look(empty) for _ in range(5)))

    assert [each for each in told if each] == [[("cgnat", "ok", "exhausted", 0)]]


async def test_the_outlook_follows_from_the_last_seven_days(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/24"))
    await look(empty)
    for customer in range(1, 41):
        await empty.allocate(customer)
        empty.clock.forward(hours=3)
        await look(empty)

    outlook = {each["pool"]: each for each in await empty.serve("outlook")}

    assert outlook["cgnat"] == {
        "pool_id": outlook["cgnat"]["pool_id"],
        "pool": "cgnat",
        "kind": "ipv4",
        "role": "public",
        "network": "192.0.2.0/24",
        "vrf": "default",
        "level": "ok",
        "chain": ["cgnat"],
        "chain_size": 254,
        "chain_free": 214,
        "size": 254,
        "assigned": 40,
        "quarantined": 0,
        "reserved": 0,
        "draining": 0,
        "free": 214,
        "used_percent": 15.7,
        "next_available_at": None,
        "units_per_day": 8.0,
        "days_to_exhaustion": 26.8,
    }
    assert (outlook["metro/210"]["units_per_day"], outlook["metro/210"]["days_to_exhaustion"]) == (0.0, None)


async def outlook_of(network: Network, pool: str) -> Any:
    return {each["pool"]: each for each in await network.serve("outlook")}[pool]


async def test_what_is_drained_excluded_or_reserved_is_used_up_by_nobody(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/24"))
    await look(empty)
    empty.clock.forward(days=2)
    for verb, said in (
        ("drain", {"span": "192.0.2.128/26"}),
        ("exclude", {"span": "192.0.2.192/27"}),
        ("reserve", {"value": "192.0.2.9"}),
    ):
        await empty.keep(verb, pool="cgnat", note="work", **said)
    await empty.allocate(1)

    seen = await outlook_of(empty, "cgnat")

    assert (seen["free"] < 254 - 64 - 32, seen["draining"], seen["units_per_day"]) == (True, 64, 0.5)
    await empty.keep("undrain", pool="cgnat", span="192.0.2.128/26")
    assert (await outlook_of(empty, "cgnat"))["units_per_day"] == 0.5


async def test_what_an_import_brings_was_not_used_up_since_the_last_look(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/24", quarantine_seconds=86400, sticky_seconds=0))
    await look(empty)
    before = await samples(empty)
    empty.clock.forward(minutes=5)
    cooling = f"{empty.clock() + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    lines = [
        f"192.0.2.{unit},assigned,{1000 + unit},LOC-1,fiber-100,u{unit}@x.example,2028-01-01T00:00:00Z,"
        for unit in range(2, 122)
    ]
    lines.append(f"192.0.2.122,quarantine,2000,LOC-1,fiber-100,gone@x.example,2029-12-31T12:00:00Z,{cooling}")
    heading = "value,state,customer_id,location,plan,username,since,available_at"
    assert (await empty.bring_in("\n".join([heading, *lines])))["assigned"] == 120
    empty.clock.forward(minutes=55)

    async def told() -> tuple[Any, ...]:
        seen = await outlook_of(empty, "cgnat")
        return seen["units_per_day"], seen["days_to_exhaustion"], forecast(seen, empty.clock())

    assert await told() == (None, None, "too soon to say")
    assert await look(empty) == []
    assert await samples(empty) == before + 1  # at once, since what was seen before tells nothing
    for customer in (1, 2):
        await empty.allocate(customer)
    empty.clock.forward(minutes=59)
    assert await told() == (None, None, "too soon to say")
    empty.clock.forward(hours=23, minutes=1)
    assert (await outlook_of(empty, "cgnat"))["units_per_day"] == 1.0  # two were taken, one has cooled off
    empty.clock.forward(days=3)
    assert (await outlook_of(empty, "cgnat"))["units_per_day"] == 0.25


@pytest.mark.parametrize(("out", "again"), [("drain", "undrain"), ("exclude", "include")])
async def test_what_cools_off_is_not_used_up_when_its_part_goes_or_comes_back(
    empty: Network, out: str, again: str
) -> None:
    await empty.apply(one_pool("192.0.2.0/24", quarantine_seconds=30 * 86400))
    given = [await empty.allocate(customer) for customer in range(1, 8)]
    for each in given[1:]:
        await empty.release(each["service_id"])
    for verb, cooling in ((out, 0), (again, 6)):
        empty.clock.forward(minutes=5)
        await look(empty)
        empty.clock.forward(hours=2)
        assert (await outlook_of(empty, "cgnat"))["units_per_day"] is not None
        for each in given[1:]:
            said = {"note": "work"} if verb == out else {}
            await empty.keep(verb, pool="cgnat", span=each["ip_address"], **said)
        seen = await outlook_of(empty, "cgnat")
        assert (seen["quarantined"], seen["units_per_day"]) == (cooling, None)
        await look(empty)
        await empty.allocate(1000 + cooling)
        empty.clock.forward(days=1)
        assert (await outlook_of(empty, "cgnat"))["units_per_day"] == 1.0


async def test_an_import_of_reservations_leaves_what_was_known_of_use(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/24"))
    await look(empty)
    empty.clock.forward(days=1)
    await empty.allocate(1, ip_address="192.0.2.5")
    await empty.bring_in("value,state,note\n192.0.2.77,reserved,for the museum\n")

    assert (await outlook_of(empty, "cgnat"))["units_per_day"] == 1.0


async def test_a_full_pool_is_no_trouble_while_the_next_of_its_chain_serves_on(empty: Network) -> None:
    described = one_pool("192.0.2.0/30", warn_percent=50, crit_percent=99, bindings=[{"bng": "bng-1", "priority": 1}])
    second = {
        "name": "second",
        "kind": "ipv4",
        "network": "192.0.2.8/29",
        "bindings": [{"bng": "bng-1", "priority": 2}],
    }
    described["pool"].append({**second, "warn_percent": 50, "crit_percent": 99})
    await empty.apply(described)
    await look(empty)
    empty.clock.forward(days=1)
    for customer in (1, 2):
        await empty.allocate(customer)

    assert await look(empty) == []
    first = await outlook_of(empty, "cgnat")
    assert (first["level"], first["free"], first["chain"]) == ("ok", 0, ["cgnat", "second"])
    assert (first["chain_free"], first["chain_size"], first["days_to_exhaustion"]) == (6, 8, 3.0)

    for customer in range(3, 9):
        empty.clock.forward(minutes=1)
        await empty.allocate(customer)
    assert await look(empty) == [("cgnat", "ok", "exhausted", 0), ("second", "ok", "exhausted", 0)]


async def test_a_pool_of_two_chains_is_as_bad_as_the_one_in_which_less_is_left(empty: Network) -> None:
    described = one_pool("192.0.2.0/30", bindings=[{"bng": "bng-1"}, {"access_node": "OLT-1"}])
    described["pool"].append(
        {"name": "second", "kind": "ipv4", "network": "192.0.2.8/29", "bindings": [{"bng": "bng-1"}]}
    )
    await empty.apply(described)
    for customer in (1, 2):
        await empty.allocate(customer, "LOC-1")

    assert [(pool, level) for pool, _, level, _ in await look(empty)] == [("cgnat", "exhausted")]
    seen = await outlook_of(empty, "cgnat")
    assert (seen["chain"], seen["chain_free"]) == (["cgnat"], 0)
    assert (await outlook_of(empty, "second"))["level"] == "ok"


async def test_what_was_written_down_of_a_pool_is_read_in_order(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    began = empty.clock()
    await look(empty)
    await empty.allocate(1)
    empty.clock.forward(seconds=6 * 3600)
    await look(empty)
    async with empty.database.begin() as db:
        service = empty.service(db)
        known = await service.samples(since=began)
        later = await service.samples(since=began + timedelta(hours=1))
        none = await service.samples(since=began + timedelta(days=1))
    assert [(each["at"] - began, each["free"], each["used_percent"]) for each in known["cgnat"]] == [
        (timedelta(), 14, 0.0),
        (timedelta(hours=6), 13, 7.1),
    ]
    assert (len(later["cgnat"]), none) == (1, {})
