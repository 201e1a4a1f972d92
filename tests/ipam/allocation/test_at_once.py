"""What is given in one turn is what the same question in steps would give, and what was true at that moment."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

import ipam.allocation.giving
from ipam import AllocatedResources, NoPoolBound, PoolExhausted, PreviewedUnit, holdings
from ipam.allocation.at_once import give_at_once
from ipam.allocation.at_once_ddl import GIVE_AT_ONCE
from ipam.allocation.orders import Order
from ipam.tables import Allocation, Pool, Service
from provisioning.database import Database
from tests.ipam.conftest import Network, corrupt, one_pool, small
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.both_databases

PLACES = ("LOC-1", "LOC-2", "LOC-3", "LOC-9")
PLANS = ("fiber-100", "business", "dynamic")
ROUNDS = 60
EVERY_OUTCOME = {"fresh", "former", "reused", "shared", "by the BNG", "PoolExhausted", "NoPoolBound"}


@pytest.fixture
def only_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever isn't given in one turn fails the test."""

    async def refuse(*_: Any) -> None:
        raise AssertionError("it was asked and taken in steps")

    monkeypatch.setattr(ipam.allocation.giving.Giving, "_in_steps", refuse)


def scattered(draw: random.Random) -> dict[str, Any]:
    """Many tiny pools and shared S-VLANs, bound to anything, for any plan or for one, in any order."""
    wheres = (
        {"bng": "bng-1"},
        {"site": "north"},
        {"access_node": "OLT-1"},
        {"access_node": "OLT-2"},
        {"access_node": "OLT-1", "port": "0/1/0"},
        {"access_node": "OLT-2", "port": "0/2/0"},
    )

    def bindings() -> list[dict[str, Any]]:
        some = [
            {**where, "priority": draw.randint(1, 2), **({} if plan is None else {"plan": plan})}
            for where in draw.sample(wheres, 2)
            for plan in draw.sample((None, *PLANS), 2)
        ]
        return some

    kinds = {"ipv4": "10.0.{}.0/30", "ipv6_wan": "2001:db8:{}::/63", "ipv6_pd": "2001:db8:10{}::/54"}
    pools: list[dict[str, Any]] = [
        {
            "name": f"{kind}-{number}",
            "kind": kind,
            "network": network.format(number),
            "policy": draw.choice(("fresh_first", "reuse_first")),
            "quarantine_seconds": 3600,
            "bindings": bindings(),
        }
        for kind, network in kinds.items()
        for number in range(5)
    ]
    for pool in pools:
        if pool["kind"] == "ipv4":
            pool["gateway"] = pool["network"].replace(".0/30", ".1")
    described = small()
    framed = [pool for pool in described["pool"] if "framed_pool" in pool]
    svlans = [{"group": "metro", "vid": 300 + number, "bindings": bindings()} for number in range(4)]
    described["bng"].append({"name": "bng-2"})  # to which nothing is bound
    described["access_node"].append({"name": "OLT-9", "site": "north", "bng": "bng-2"})
    described["location"].append({"id": "LOC-9", "access_node": "OLT-9"})
    return described | {"pool": [*pools, *framed], "svlan": [*described["svlan"], *svlans]}


async def expected(network: Network, customer: int, place: str, plan: str) -> list[PreviewedUnit] | str:
    """What a preview tells, which asks in Python; or how it is refused."""
    try:
        return list(await network.serve("preview", customer_id=customer, service_location=place, bandwidth_plan=plan))
    except (PoolExhausted, NoPoolBound) as refused:
        return str(refused)


async def pools_of(network: Network, given: AllocatedResources) -> set[str]:
    """From which pools, and with which shared S-VLAN or pool of the BNG's."""
    async with network.database.begin() as db:
        held = await db.scalars(
            select(Pool.name)
            .join(Allocation, Allocation.pool_id == Pool.id)
            .where(Allocation.service_id == given["service_id"])
        )
        shared = given["cvlan"] is None
        framed = await db.scalars(select(Pool.name).where(Pool.framed_pool == (given["framed_pool"] or "none")))
        return {*held, *framed, *([f"metro/{given['svlan']}"] if shared else [])}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.second_half) for seed in (1, 2))])
async def test_in_one_turn_a_service_gets_what_the_steps_would_have_given(
    empty: Network, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    draw, held, outcomes = random.Random(seed), list[AllocatedResources](), set[str]()
    await empty.apply(scattered(draw))
    for _ in range(ROUNDS):
        customer, place, plan = draw.randint(1, 6), draw.choice(PLACES), draw.choice(PLANS)
        wanted = await expected(empty, customer, place, plan)
        if isinstance(wanted, str):
            with pytest.raises((PoolExhausted, NoPoolBound)) as refused:
                await empty.allocate(customer, place, plan)
            assert str(refused.value) == wanted
            outcomes.add(type(refused.value).__name__)
            if held:
                await empty.release(held.pop(draw.randrange(len(held)))["service_id"])
            empty.clock.forward(hours=draw.choice((0, 2)))
            continue
        with monkeypatch.context() as strict:
            strict.setattr(ipam.allocation.giving.Giving, "_in_steps", None)
            given = await empty.allocate(customer, place, plan)
        assert await pools_of(empty, given) == {unit["pool"] for unit in wanted}
        values = {given["ip_address"], given["ipv6_wan_prefix"], given["delegated_prefix"]}
        former = {unit["value"] for unit in wanted if unit["how"] in ("former", "reused")}
        assert {value for value in former if value} <= {*values, str(given["cvlan"])}
        async with empty.database.begin() as db:
            line = await holdings.find_service(db, empty.tenant_id, given["service_id"])
            assert await holdings.resources_of(db, line) == given
        outcomes |= {unit["how"] for unit in wanted}
        held.append(given)
    assert outcomes == EVERY_OUTCOME
    assert await empty.violations() == []


@pytest.mark.usefixtures("only_at_once")
async def test_who_comes_back_gets_the_former_address_in_one_turn(network: Network) -> None:
    before = await network.allocate(1)
    await network.release(before["service_id"])
    await network.allocate(2)

    again = await network.allocate(1)

    assert again["ip_address"] == before["ip_address"]
    assert again["delegated_prefix"] == before["delegated_prefix"]
    assert await network.violations() == []


@pytest.mark.usefixtures("only_at_once")
async def test_a_network_that_another_process_has_changed_counts_from_its_commit_on(network: Network) -> None:
    elsewhere = Network(Database(network.database.url.render_as_string(hide_password=False)), network.clock)
    first = await network.allocate(1)
    assert first["ip_address"].startswith("100.64.0.")
    changed = small()
    changed["pool"].append(
        {
            "name": "of the port",
            "kind": "ipv4",
            "network": "198.51.100.0/28",
            "bindings": [{"access_node": "OLT-1", "port": "0/1/0"}],
        }
    )
    await elsewhere.apply(changed)
    moved = small()
    moved["location"][0] |= {"access_node": "OLT-2", "port": "0/2/0"}

    second = await network.allocate(2)
    assert second["ip_address"].startswith("198.51.100.")
    for each in (first, second):
        await elsewhere.release(each["service_id"])
    await elsewhere.apply(moved | {"pool": changed["pool"]})
    third = await network.allocate(3)

    assert (third["access_node"], third["port"], third["svlan"]) == ("OLT-2", "0/2/0", 210)
    assert third["ip_address"].startswith("100.64.0.")
    await elsewhere.database.close()


async def test_two_that_send_the_same_request_at_once_have_one_service(network: Network) -> None:
    given = await asyncio.gather(*(network.allocate(7, request_id="ticket-7") for _ in range(8)))

    assert all(each == given[0] for each in given)
    async with network.database.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Service)) == 1
        assert await db.scalar(select(func.count()).select_from(Allocation)) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_refusal_in_one_turn_undoes_that_turn_alone(empty: Network) -> None:
    """The caller's transaction goes on, what it had written before is kept, and nothing stays locked."""
    await empty.apply(one_pool("192.0.2.0/30", exclude=["192.0.2.1"]))
    async with empty.database.begin() as db:
        first = await empty.service(db).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        with pytest.raises(PoolExhausted):
            await empty.service(db).allocate_resources(
                customer_id=2, service_location="LOC-1", bandwidth_plan="fiber-100"
            )
    async with empty.database.begin() as db:
        assert await empty.service(db).active_service_ids() == [first["service_id"]]
    assert await empty.violations() == []


async def test_what_the_database_refuses_in_mid_turn_is_its_error_and_leaves_nothing(network: Network) -> None:
    verb = (
        "FOR EACH ROW EXECUTE FUNCTION ipam_refuse_rewriting_history()"
        if network.database.is_postgresql
        else "BEGIN SELECT RAISE(ABORT, 'no more'); END"
    )
    await corrupt(network, f"CREATE TRIGGER full_up BEFORE INSERT ON ipam_allocation_event {verb}")
    try:
        with pytest.raises(IntegrityError):
            await network.allocate(1)
    finally:
        on = " ON ipam_allocation_event" if network.database.is_postgresql else ""
        await corrupt(network, f"DROP TRIGGER full_up{on}")

    async with network.database.begin() as db:
        assert await network.service(db).active_service_ids() == []
    assert await network.violations() == []


async def until_it_waits_for_its_turn(db: AsyncSession, network: Network, task: asyncio.Task[Any]) -> None:
    """Until the task, on a database connection of another process, has come to what this transaction holds; on SQLite
    it has asked for its turn, which it can't have before this transaction has ended."""
    if network.database.is_postgresql:
        await until_it_waits_for_us(db, task)
        return
    connected: list[Connection] = []  # and with that it asks
    event.listen(network.database.engine.sync_engine, "engine_connect", connected.append)
    while not connected:
        assert not task.done()
        await asyncio.sleep(0)


async def test_who_is_called_off_while_its_turn_waits_gets_nothing_and_holds_up_nobody(network: Network) -> None:
    elsewhere = Network(Database(network.database.url.render_as_string(hide_password=False)), network.clock)
    async with elsewhere.database.begin() as db:
        await db.execute(select(Pool.id).with_for_update())
        await elsewhere.service(db).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100", request_id="ticket-1"
        )
        waiting = asyncio.create_task(network.allocate(1, request_id="ticket-1"))
        await until_it_waits_for_its_turn(db, network, waiting)
        waiting.cancel()
        await db.rollback()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with network.database.begin() as db:
        assert await network.service(db).active_service_ids() == []
    assert (await network.allocate(2))["service_id"]
    assert await network.violations() == []
    await elsewhere.database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_units_that_come_in_another_order_than_they_were_drawn_in_are_given_once(network: Network) -> None:
    picked, in_turn = "INTO taken, units FROM picked AS p", "ORDER BY array_position(drawn, pool_id) DESC"
    assert picked in GIVE_AT_ONCE[0]
    backwards = GIVE_AT_ONCE[0].replace(picked, f"INTO taken, units FROM (SELECT * FROM picked {in_turn}) AS p")
    await network.allocate(1)  # what serves the place is kept by then
    async with network.database.begin() as db:
        connection = await db.connection()
        await connection.exec_driver_sql(backwards)
        await connection.exec_driver_sql("DROP INDEX ipam_allocation_held_by")  # which alone would refuse a second set

        given = await network.service(db).allocate_resources(
            customer_id=2, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        held = await holdings.units_of(db, given["service_id"])
        await db.rollback()

    assert {unit.pool: unit.value for unit in held} == {
        "cgnat": given["ip_address"],
        "pd": given["delegated_prefix"],
        "wan6": given["ipv6_wan_prefix"],
    }
    assert len(held) == 3


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("only_at_once")
async def test_a_connection_that_has_forgotten_its_statements_prepares_anew(network: Network) -> None:
    first = await network.allocate(1)
    async with network.database.begin() as db:
        await (await db.connection()).exec_driver_sql("DEALLOCATE ALL")

    second = await network.allocate(2)

    assert second["service_id"] > first["service_id"]
    assert await network.violations() == []


@pytest.mark.usefixtures("only_at_once")
async def test_names_and_requests_are_asked_for_as_they_are_whatever_is_written_in_them(network: Network) -> None:
    odd = 'O\'Hara \\ 100% "two" %s $1 {é} 🏠'
    described = small()
    described["location"][0]["aliases"].append(odd)
    await network.apply(described)

    first = await network.allocate(1, odd, request_id=f"'; ROLLBACK; -- {odd}")

    async with network.database.begin() as db:
        [row] = (await db.execute(select(Service.service_id, Service.request_id))).all()
    assert row == (first["service_id"], f"'; ROLLBACK; -- {odd}")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_postgresql_cannot_hold_is_refused_and_not_cut_off_there(network: Network) -> None:
    order = Order(1, "LOC-1", "fiber-100", "ticket-1\0and more")  # which the face refuses before
    async with network.database.begin() as db:
        with pytest.raises(DBAPIError, match="NUL"):
            await give_at_once(db, order, tenant_id=network.tenant_id, realm="", at=network.clock())

    async with network.database.begin() as db:
        assert await network.service(db).active_service_ids() == []


@pytest.mark.usefixtures("only_at_once")
async def test_premises_that_are_served_alike_are_each_told_by_their_own_name_and_onu(network: Network) -> None:
    described = small()
    beside = [{"id": f"LOC-{number}", "access_node": "OLT-1", "port": "0/1/0", "onu": number} for number in (7, 8)]
    described["location"] += beside
    await network.apply(described)
    given = {name: await network.allocate(number, name) for number, name in enumerate(("LOC-7", "LOC-8", "LOC-1"), 1)}

    for name, each in given.items():
        at = await network.serve("service_at", address=each["ip_address"])
        assert (at["location"], each["port"]) == (name, "0/1/0")
    assert await network.violations() == []
