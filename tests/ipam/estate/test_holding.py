"""What a description changes is held before any of it is written: premises in the order of all others, then plans."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import event, text

from ipam import EstateInUse
from ipam.estate.rows import EstateRows
from ipam.tables import AddressPlan, IpamBase, Location
from tests.ipam.conftest import Network, small
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer

Other = Callable[[], Coroutine[Any, Any, Any]]


def part(section: str, number: int, **changed: Any) -> dict[str, Any]:
    """A part of the small network, changed; None: left out."""
    entry = {**small()[section][number], **changed}
    return {name: value for name, value in entry.items() if value is not None}


def once_it_holds(monkeypatch: pytest.MonkeyPatch, what: type[IpamBase], other: Other) -> list[asyncio.Task[Any]]:
    """The other one begins when an estate holds the first of these, and has come to where it waits for it."""
    hold, tasks = EstateRows.hold, list[asyncio.Task[Any]]()

    async def and_meanwhile(rows: EstateRows, model: type[IpamBase], **key: Any) -> None:
        await hold(rows, model, **key)
        if model is what and not tasks:
            tasks.append(asyncio.create_task(other()))
            await until_it_waits_for_us(rows.db, tasks[0])

    monkeypatch.setattr(EstateRows, "hold", and_meanwhile)
    return tasks


FIRST, _, THIRD = [part("location", number, circuit_id=f"circuit-{number}") for number in range(3)]
NODE = part("access_node", 1, site="south")
NO_GATEWAY = part("pool", 0, gateway=None)
PREMISES: dict[str, tuple[dict[str, Any], str, tuple[str, str | None]]] = {
    "premises": ({"location": [THIRD, FIRST]}, "LOC-3", ("OLT-1", None)),
    "node": ({"site": [{"name": "south"}], "access_node": [NODE], "location": [FIRST]}, "LOC-2", ("OLT-2", "0/2/0")),
    "gateway": ({"location": [THIRD], "pool": [NO_GATEWAY]}, "LOC-3", ("OLT-1", None)),
}


@pytest.mark.parametrize("what", PREMISES)
async def test_premises_are_held_in_the_order_of_whoever_moves_between_them(
    network: Network, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    described, to, there = PREMISES[what]
    service_id = (await network.allocate(1))["service_id"]
    said = {"service_id": service_id, "service_location": to, "note": "moves"}
    tasks = once_it_holds(monkeypatch, Location, lambda: network.serve("move_service", **said))

    assert len(await network.apply(described)) == sum(map(len, described.values()))
    moved = await tasks[0]

    assert (moved["access_node"], moved["port"]) == there
    assert await network.apply(described) == []
    assert await network.violations() == []


PLANS_AND_POOLS: dict[str, dict[str, Any]] = {
    "fiber-100": {"plan": [part("plan", 0, ipv6_wan=False)], "pool": [NO_GATEWAY]},
    "dynamic": {"plan": [part("plan", 2, ipv6_wan=True)], "pool": [part("pool", 2, network="100.73.0.0/16")]},
}


@pytest.mark.parametrize("static", [{}, {"delegated_prefix": "2001:db8:2000:500::/56"}], ids=["at_once", "in_steps"])
@pytest.mark.parametrize("plan", PLANS_AND_POOLS)
async def test_the_premises_that_a_pool_serves_are_held_before_a_plan(
    network: Network, plan: str, static: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    described = PLANS_AND_POOLS[plan]
    await network.release((await network.allocate(9, "LOC-1", plan))["service_id"])  # what serves the place is known
    tasks = once_it_holds(monkeypatch, AddressPlan, lambda: network.allocate(1, "LOC-1", plan, **static))

    changes = await network.apply(described)
    given = await tasks[0]

    assert changes == [f"plan {plan} changed", f"pool {described['pool'][0]['name']} changed"]
    assert bool(given["ipv6_wan_prefix"]) is (plan == "dynamic")
    assert await network.violations() == []


async def test_what_is_described_as_it_is_is_not_held(network: Network) -> None:
    async with network.database.begin() as db:
        assert await network.estate(db).apply(small()) == []
        premises = [(1, "LOC-1", "dynamic"), (2, "LOC-2", "fiber-100"), (3, "LOC-3", "business")]
        given = [await network.allocate(*each) for each in premises]  # before the estate has ended
    assert [each["service_id"] for each in given] == [1, 2, 3]
    assert await network.violations() == []


async def test_of_premises_and_plans_only_those_are_held_that_change(network: Network) -> None:
    changed = {
        "location": [FIRST, *small()["location"][1:]],
        "plan": [*small()["plan"][:2], part("plan", 2, cvlan="never")],
    }
    async with network.database.begin() as db:
        assert len(await network.estate(db).apply({**small(), **changed})) == 2
        given = await network.allocate(2, "LOC-3")  # before the estate has ended
    assert given["access_node"] == "OLT-1"


async def test_premises_that_change_for_whatever_reason_are_held_in_one_go_and_so_are_plans(network: Network) -> None:
    described = {
        "site": [{"name": "south"}],
        "access_node": [NODE],
        "location": [THIRD, FIRST],
        "plan": [part("plan", number, ipv6_wan=number != 0) for number in (2, 1, 0)],
        "pool": [NO_GATEWAY, part("pool", 2, network="100.73.0.0/16")],
    }
    locked: list[tuple[str, list[int]]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: dict[str, Any], *_rest: Any) -> None:
        if "FOR UPDATE" in statement:
            table = statement.split("FROM ")[1].split()[0]
            locked.append((table, [each for each in parameters.values() if isinstance(each, int)]))

    engine = network.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    assert len(await network.apply(described)) == 9
    event.remove(engine, "before_cursor_execute", note)

    assert locked[:2] == [("ipam_location", [1, 2, 3]), ("ipam_address_plan", [1, 2, 3])]


@pytest.mark.parametrize(
    ("place", "taken", "described"),
    [
        ("LOC-1", "cgnat", {"pool": [part("pool", 0, network="100.64.1.0/28", gateway="100.64.1.1")]}),
        ("LOC-2", "metro/210", {"svlan": [part("svlan", 1, cvlans=None, reserved=None)]}),
    ],
)
async def test_who_is_just_being_given_the_first_unit_of_a_pool_keeps_it_from_becoming_another_one(
    network: Network, place: str, taken: str, described: dict[str, Any]
) -> None:
    async with network.database.begin() as db:
        await network.service(db).allocate_resources(customer_id=1, service_location=place, bandwidth_plan="fiber-100")
        task = asyncio.create_task(network.apply(described))
        await until_it_waits_for_us(db, task)
    with pytest.raises(EstateInUse, match=f"Pool {taken} .*though it has been in use"):
        await task
    assert await network.violations() == []


async def test_the_first_who_is_served_at_a_place_waits_for_its_premise_before_the_plan(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {"location": [FIRST], "plan": [part("plan", 0, ipv6_wan=False)]}
    tasks = once_it_holds(monkeypatch, Location, lambda: network.allocate(1))

    assert await network.apply(described) == ["location LOC-1 changed", "plan fiber-100 changed"]
    assert (await tasks[0])["ipv6_wan_prefix"] is None
    assert await network.violations() == []


async def test_who_is_given_a_pool_of_the_bng_waits_for_the_premise_before_that_pool(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with network.database.begin() as db:  # as migrations have made it, whose keys come in another order
        await db.execute(text("ALTER TABLE ipam_service DROP CONSTRAINT ipam_service_location_id_fkey"))
        await db.execute(text("ALTER TABLE ipam_service ADD FOREIGN KEY (location_id) REFERENCES ipam_location (id)"))
    described = {"pool": [part("pool", 2, network="100.73.0.0/16")]}
    await network.release((await network.allocate(9, "LOC-1", "dynamic"))["service_id"])
    tasks = once_it_holds(monkeypatch, Location, lambda: network.allocate(1, "LOC-1", "dynamic"))

    assert await network.apply(described) == ["pool at-the-bng changed"]
    assert (await tasks[0])["framed_pool"] == "POOL-A"
    assert await network.violations() == []
