"""Many writers over few addresses: never the same one twice, and never "full" while something is left."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from ipam import AllocatedResources, EstateInUse, IpamError, PoolBusy, PoolExhausted
from ipam.tables import Pool
from tests.ipam.conftest import Network, one_pool, small
from tests.support.postgres import tried_in_vain

pytestmark = pytest.mark.both_databases

WRITERS = 16


# SQLite has one writer; waiting for a turn is PostgreSQL's matter.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def allocate_all(network: Network, customers: range) -> tuple[list[AllocatedResources], list[IpamError]]:
    async def one(customer: int) -> AllocatedResources | IpamError:
        try:
            return await network.allocate(customer)
        except IpamError as error:
            return error

    answers = await asyncio.gather(*(one(customer) for customer in customers))
    errors = [answer for answer in answers if isinstance(answer, IpamError)]
    return [answer for answer in answers if not isinstance(answer, IpamError)], errors


@pytest.mark.scenario("D3")
async def test_sixteen_writers_empty_a_pool_of_fourteen_exactly(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))

    given, errors = await allocate_all(empty, range(1, WRITERS + 1))

    assert sorted(int(each["ip_address"].rsplit(".", 1)[1]) for each in given) == list(range(1, 15))
    assert [type(error) for error in errors] == [PoolExhausted, PoolExhausted]
    assert await empty.violations() == []


async def test_sixteen_writers_share_the_addresses_that_others_gave_back(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=60))
    before, _ = await allocate_all(empty, range(1, 15))
    for each in before:
        await empty.release(each["service_id"])
    empty.clock.forward(minutes=2)

    given, errors = await allocate_all(empty, range(101, 101 + WRITERS))

    assert {each["ip_address"] for each in given} == {each["ip_address"] for each in before}
    assert [type(error) for error in errors] == [PoolExhausted, PoolExhausted]
    assert await empty.violations() == []


async def test_writers_that_need_several_scarce_pools_neither_deadlock_nor_leak(empty: Network) -> None:
    scarce = {"cgnat": "100.64.0.0/29", "wan6": "2001:db8:1000::/62", "pd": "2001:db8:2000::/53"}
    described = small()
    for pool in described["pool"]:
        pool["network"] = scarce.get(pool["name"], pool["network"])
    await empty.apply(described)

    given, errors = await allocate_all(empty, range(1, WRITERS + 1))

    assert len(given) == 4
    assert len({each["ipv6_wan_prefix"] for each in given}) == 4
    assert {type(error) for error in errors} == {PoolExhausted}
    assert {error.pool for error in errors if isinstance(error, PoolExhausted)} == {"wan6"}
    assert await empty.violations() == []


async def test_writers_that_come_and_go_leave_the_pool_whole(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28", quarantine_seconds=0))

    async def come_and_go(customer: int) -> None:
        for _ in range(4):
            given = await empty.allocate(customer)
            await empty.release(given["service_id"])

    await asyncio.gather(*(come_and_go(customer) for customer in range(1, 13)))

    assert await empty.violations() == []
    async with empty.database.begin() as db:
        usage = next(pool for pool in await empty.service(db).utilisation() if pool["pool"] == "cgnat")
    assert (usage["assigned"], usage["free"] + usage["quarantined"]) == (0, 14)


@on_postgresql
async def test_the_last_address_is_waited_for_while_somebody_may_still_give_it_up(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"]))
    undecided = empty.database.begin()
    db = await undecided.__aenter__()
    held = await empty.service(db).allocate_resources(
        customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
    )
    waiting = await tried_in_vain(empty.database, empty.allocate(2))

    await db.rollback()
    await undecided.__aexit__(None, None, None)

    assert (await waiting)["ip_address"] == held["ip_address"]
    assert await empty.violations() == []


@on_postgresql
async def test_the_last_address_that_somebody_keeps_is_gone(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"]))
    async with empty.database.begin() as db:
        await empty.service(db).allocate_resources(customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100")
        waiting = await tried_in_vain(empty.database, empty.allocate(2))

    with pytest.raises(PoolExhausted) as full:
        await waiting
    assert (full.value.size, full.value.assigned) == (1, 1)


@on_postgresql
async def test_a_hanging_writer_holds_up_nobody_while_the_next_pool_has_room(empty: Network) -> None:
    def pool(name: str, network: str, priority: int) -> dict[str, object]:
        return {"name": name, "kind": "ipv4", "network": network, "bindings": [{"bng": "bng-1", "priority": priority}]}

    await empty.apply(
        small(
            plan=[{"name": "fiber-100", "access": "pppoe"}],
            pool=[pool("first", "10.0.0.0/32", 1), pool("second", "10.0.1.0/30", 2)],
        )
    )
    async with empty.database.begin() as hanging:
        await empty.service(hanging).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        others = [(await empty.allocate(customer))["ip_address"] for customer in (2, 3)]

    assert sorted(others) == ["10.0.1.1", "10.0.1.2"]


@on_postgresql
async def test_nobody_waits_without_end_and_the_refusal_is_transient(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipam.allocation.patience.PATIENCE_SECONDS", 0.1)
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"]))
    async with empty.database.begin() as hanging:
        await empty.service(hanging).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        with pytest.raises(PoolBusy) as busy:
            await empty.allocate(2)

    assert busy.value.transient
    assert busy.value.pool == "cgnat"
    assert await empty.violations() == []


@on_postgresql
async def test_a_pool_that_is_being_recut_is_waited_for(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/29", exclude=["192.0.2.1", "192.0.2.2", "192.0.2.4-192.0.2.6"]))
    async with empty.database.begin() as db:
        await empty.estate(db).apply(one_pool("192.0.2.0/29", exclude=["192.0.2.1-192.0.2.3", "192.0.2.5-192.0.2.6"]))
        waiting = await tried_in_vain(empty.database, empty.allocate(1))

    assert (await waiting)["ip_address"] == "192.0.2.4"
    assert await empty.violations() == []


@on_postgresql
async def test_an_address_that_is_just_being_handed_out_can_not_be_excluded(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"], quarantine_seconds=0))
    await empty.release((await empty.allocate(1))["service_id"])
    async with empty.database.begin() as db:
        await empty.service(db).allocate_resources(customer_id=2, service_location="LOC-1", bandwidth_plan="fiber-100")
        with pytest.raises(EstateInUse, match="just being handed out"):
            await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.2"]))

    assert await empty.violations() == []


@on_postgresql
async def test_a_release_is_not_held_up_by_writers_that_passed_its_rows_over(empty: Network) -> None:
    """PostgreSQL leaves a row locked that it found changed: who holds such a lock must not wait."""
    await empty.apply(one_pool("192.0.2.0/29", quarantine_seconds=0))

    async def come_and_go(customer: int) -> None:
        for _ in range(6):
            try:
                given = await empty.allocate(customer)
            except PoolExhausted as full:
                assert full.assigned == full.size
            else:
                await empty.release(given["service_id"])

    await asyncio.gather(*(come_and_go(customer) for customer in range(1, 17)))

    assert await empty.violations() == []


async def test_two_descriptions_at_once_are_carried_out_one_after_the_other(empty: Network) -> None:
    changes = await asyncio.gather(*(empty.apply(small()) for _ in range(4)))

    assert sorted(len(each) for each in changes)[:3] == [0, 0, 0]
    async with empty.database.begin() as db:
        assert len(list(await db.scalars(select(Pool.name)))) == 6
    assert await empty.violations() == []
