"""What two do at once on PostgreSQL: whoever comes second goes by what the first has made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from pytest import MonkeyPatch
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import EstateInUse, RequestConflict, StaticResources, UnitElsewhere
from ipam.allocation.places import find_place, hold_places
from ipam.tables import ServiceMove
from ipam.upkeep import moving as upkeep_moving
from tests.ipam.conftest import Network, small
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer

NEW: dict[str, Any] = {"access_nodes": ["OLT-1"], "bng": "bng-2", "note": "BNG 1 goes away"}
IPV4_ALONE: dict[str, Any] = {"name": "fiber-100", "access": "pppoe"}


def two_bngs() -> dict[str, Any]:
    """Each with pools of its own; OLT-1 is behind the first one, with three premises."""
    described = small(plan=[IPV4_ALONE])
    described["bng"].append({"name": "bng-2"})
    described["location"].append({"id": "LOC-4", "access_node": "OLT-1", "port": "0/1/1"})
    kinds = (("{}", "ipv4", "100.{}.0.0/24"), ("routed-{}", "ipv4_routed", "192.0.{}.0/24"))
    described["pool"] = [
        {"name": name.format(bng), "kind": kind, "network": network.format(number), "bindings": [{"bng": bng}]}
        | ({"unit_length": 29} if kind == "ipv4_routed" else {})
        for number, bng in ((80, "bng-1"), (81, "bng-2"))
        for name, kind, network in kinds
    ]
    described["access_node"][1]["vlan_model"] = "n1"
    described["svlan"] = [
        {"group": "metro", "vid": 110, "bindings": [{"access_node": "OLT-1"}]},
        {"group": "metro", "vid": 120, "bindings": [{"access_node": "OLT-2"}]},
    ]
    return described


@pytest.fixture
async def isp(empty: Network) -> Network:
    await empty.apply(two_bngs())
    return empty


async def meanwhile(db: AsyncSession, other: Coroutine[Any, Any, Any], *, others: int = 0) -> asyncio.Task[Any]:
    """The other one has begun, and waits for what we have locked, as so many others do already."""
    task = asyncio.create_task(other)
    await until_it_waits_for_us(db, task, others=others)
    return task


async def moving(isp: Network, other: Coroutine[Any, Any, Any], service_id: int) -> Any:
    """What came of the other one, which began while the service was being moved to LOC-4."""
    async with isp.database.begin() as db:
        await isp.service(db).move_service(service_id=service_id, service_location="LOC-4", note="the first of two")
        task = await meanwhile(db, other)
    return await task


async def rehoming(isp: Network, other: Coroutine[Any, Any, Any]) -> Any:
    """What came of the other one, which began while OLT-1 went behind the other BNG."""
    async with isp.database.begin() as db:
        await isp.upkeep(db).rehome(**NEW)
        task = await meanwhile(db, other)
    return await task


async def test_a_service_that_is_being_moved_is_released_by_whoever_waits_for_it(isp: Network) -> None:
    given = await isp.allocate(1)
    released = await moving(isp, isp.release(given["service_id"]), given["service_id"])

    assert [each["value"] for each in released["released"]] == [given["ip_address"]]
    assert (await isp.usage("bng-1"))["assigned"] == 0
    assert await isp.violations() == []


async def test_a_service_that_is_being_moved_goes_on_to_where_the_second_says(isp: Network) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    to = {"service_id": service_id, "service_location": "LOC-3", "note": "the second of two"}
    moved = await moving(isp, isp.serve("move_service", **to), service_id)

    assert (moved["service_id"], moved["port"]) == (service_id, None)
    assert await isp.violations() == []


async def test_a_move_that_is_asked_for_twice_at_once_is_made_once(isp: Network) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    said: dict[str, Any] = {"service_location": "LOC-4", "note": "moves", "request_id": "move-1"}
    async with isp.database.begin() as db:
        moved = await isp.service(db).move_service(service_id=service_id, **said)
        again = await meanwhile(db, isp.serve("move_service", service_id=service_id, **said))
    assert await again == moved

    async with isp.database.read() as db:
        assert await db.scalar(select(func.count()).select_from(ServiceMove)) == 1


async def test_two_services_under_one_request_at_once_are_a_conflict_and_the_second_stays(isp: Network) -> None:
    first, second = [(await isp.allocate(customer))["service_id"] for customer in (1, 2)]
    said: dict[str, Any] = {"service_location": "LOC-4", "note": "moves", "request_id": "move-1"}
    async with isp.database.begin() as db:
        await isp.service(db).move_service(service_id=first, **said)
        conflict = await meanwhile(db, refused_and_kept(isp, second, said))

    error = await conflict
    assert error.service_id == first
    assert (error.recorded, error.given) == (f"moving service {first} to LOC-4", f"moving service {second} to LOC-4")
    assert (await isp.serve("resources", service_id=second))["port"] == "0/1/0"
    assert await isp.violations() == []


async def refused_and_kept(isp: Network, service_id: int, said: dict[str, Any]) -> RequestConflict:
    """Why it isn't moved; the caller's transaction goes on, and is committed."""
    async with isp.database.begin() as db:
        with pytest.raises(RequestConflict) as refused:
            await isp.service(db).move_service(service_id=service_id, **said)
    return refused.value


async def test_a_request_that_is_made_again_while_its_service_moves_is_answered_with_it(isp: Network) -> None:
    first = await isp.allocate(1, request_id="order-1")
    again = await moving(isp, isp.allocate(1, request_id="order-1"), first["service_id"])
    assert (again["service_id"], again["port"]) == (first["service_id"], "0/1/1")


async def held(isp: Network, db: AsyncSession, service_id: int, *, going_to: str | None = None) -> None:
    """As whoever has more to look at holds a service before it is changed."""
    await isp.upkeep(db).hold_service(service_id=service_id, going_to=going_to)


@pytest.mark.parametrize("going_to", ["LOC-1", "LOC-4"])
async def test_a_node_waits_for_a_service_that_is_held_before_it_is_moved(isp: Network, going_to: str) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    async with isp.database.begin() as db:
        await held(isp, db, service_id, going_to=going_to)
        task = await meanwhile(db, isp.keep("rehome", **NEW))
        await isp.service(db).move_service(service_id=service_id, service_location=going_to, note="moves house")

    assert [(each["service_id"], each["location"]) for each in (await task).moved] == [(service_id, going_to)]
    assert await isp.violations() == []


async def test_a_service_that_has_gone_elsewhere_meanwhile_is_held_there_after_its_node(isp: Network) -> None:
    """Whoever holds it has waited for it at its former premise, and doesn't keep it while it waits for the other."""
    service_id = (await isp.allocate(1, "LOC-2"))["service_id"]

    async def hold() -> None:
        async with isp.database.begin() as db:
            await held(isp, db, service_id)

    async with isp.database.begin() as db:
        await isp.service(db).move_service(service_id=service_id, service_location="LOC-1", note="moves in")
        holding = await meanwhile(db, hold())
        rehoming = await meanwhile(db, isp.keep("rehome", **NEW), others=1)
    await holding
    assert [each["service_id"] for each in (await rehoming).moved] == [service_id]


async def test_a_request_that_is_made_again_and_a_node_that_goes_wait_for_a_release_and_not_for_one_another(
    isp: Network,
) -> None:
    """The service has moved from another premise, so that this is held as well."""
    asked = {"location": "LOC-2", "request_id": "order-1", "ip_address": "100.80.0.9"}
    service_id = (await isp.allocate(1, **asked))["service_id"]
    await isp.serve("move_service", service_id=service_id, service_location="LOC-1", note="moves in")
    async with isp.database.begin() as db:
        await isp.service(db).release_resources(service_id=service_id)
        asking = await meanwhile(db, isp.allocate(1, **asked))
        rehoming = await meanwhile(db, isp.keep("rehome", **NEW), others=1)
    again, rehomed = await asyncio.gather(asking, rehoming)

    assert (again["service_id"], again["ip_address"][:7]) == (service_id, "100.80.")
    assert [each["service_id"] for each in rehomed.moved] == [service_id]
    assert (await isp.serve("resources", service_id=service_id))["ip_address"].startswith("100.81.")
    assert await isp.violations() == []


async def test_a_prefix_is_withdrawn_from_a_service_that_is_being_moved(isp: Network) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    routed = await isp.serve("route_prefix", service_id=service_id, pool="routed-bng-1")
    gone = {"service_id": service_id, "prefix": routed["framed_routes"][0].split()[0]}
    assert (await moving(isp, isp.serve("withdraw_prefix", **gone), service_id))["framed_routes"] == []


async def test_a_service_that_is_being_moved_goes_behind_the_other_bng_with_its_node(isp: Network) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    rehomed = await moving(isp, isp.keep("rehome", **NEW), service_id)

    assert [each["service_id"] for each in rehomed.moved] == [service_id]
    assert (await isp.serve("resources", service_id=service_id))["ip_address"].startswith("100.81.")
    assert await isp.violations() == []


async def test_a_prefix_is_routed_by_the_bng_behind_which_the_service_has_gone(isp: Network) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    former = isp.serve("route_prefix", service_id=service_id, pool="routed-bng-1")
    with pytest.raises(UnitElsewhere):
        await rehoming(isp, former)
    routed = await isp.serve("route_prefix", service_id=service_id, pool="routed-bng-2")
    assert routed["framed_routes"][0].startswith("192.0.81.")


@pytest.mark.parametrize("static", [{}, {"ip_address": "100.81.0.9"}], ids=["at_once", "in_steps"])
async def test_a_service_is_given_what_serves_its_node_when_that_has_gone_meanwhile(
    isp: Network, static: dict[str, str]
) -> None:
    await isp.allocate(1)  # so that what serves the place is known
    given = await rehoming(isp, isp.allocate(2, **static))

    assert (given["bng"], given["ip_address"][:7]) == ("bng-2", "100.81.")
    assert await isp.violations() == []


async def test_a_service_that_comes_back_is_given_what_serves_its_node_by_then(isp: Network) -> None:
    former = await isp.allocate(1, request_id="order-1")
    await isp.release(former["service_id"])
    again = await rehoming(isp, isp.allocate(1, request_id="order-1"))
    assert (again["service_id"], again["ip_address"][:7]) == (former["service_id"], "100.81.")


async def test_a_service_is_moved_to_what_serves_the_node_when_that_has_gone_meanwhile(isp: Network) -> None:
    service_id = (await isp.allocate(1, "LOC-2"))["service_id"]
    to = {"service_id": service_id, "service_location": "LOC-1", "note": "moves in"}
    assert (await rehoming(isp, isp.serve("move_service", **to)))["ip_address"].startswith("100.81.")


async def test_a_node_waits_for_a_service_that_is_just_leaving_it(isp: Network, monkeypatch: MonkeyPatch) -> None:
    service_id = (await isp.allocate(1))["service_id"]
    move, tasks = upkeep_moving._move, list[asyncio.Task[Any]]()

    async def and_meanwhile(db: AsyncSession, *rest: Any) -> Any:
        moved = await move(db, *rest)
        tasks.append(await meanwhile(db, isp.keep("rehome", **NEW)))
        return moved

    monkeypatch.setattr(upkeep_moving, "_move", and_meanwhile)
    await isp.serve("move_service", service_id=service_id, service_location="LOC-2", note="moves out")
    assert [each["service_id"] for each in (await tasks[0]).moved] == []
    assert (await isp.serve("resources", service_id=service_id))["access_node"] == "OLT-2"


async def test_a_node_goes_with_the_services_that_were_just_being_made(isp: Network) -> None:
    async with isp.database.begin() as db:
        given = await isp.service(db).allocate_resources(
            customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100"
        )
        task = await meanwhile(db, isp.keep("rehome", **NEW))
    assert [each["service_id"] for each in (await task).moved] == [given["service_id"]]
    assert (await isp.serve("resources", service_id=given["service_id"]))["bng"] == "bng-2"


CHANGES: dict[str, dict[str, Any]] = {
    "plan": {"plan": [{**IPV4_ALONE, "ipv4": False, "ipv6_wan": True}]},
    "premise": {"location": [{"id": "LOC-1", "access_node": "OLT-2"}]},
    "node": {"access_node": [{**two_bngs()["access_node"][0], "bng": "bng-2"}]},
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_a_service_is_made_from_stays_while_it_is_being_made(isp: Network, what: str) -> None:
    async with isp.database.begin() as db:
        await isp.service(db).allocate_resources(customer_id=1, service_location="LOC-1", bandwidth_plan="fiber-100")
        task = await meanwhile(db, isp.apply(CHANGES[what]))
    with pytest.raises(EstateInUse, match="while 1 live services depend on it"):
        await task


@pytest.mark.parametrize("static", [{}, {"ip_address": "100.80.0.9"}], ids=["at_once", "in_steps"])
@pytest.mark.parametrize(
    ("what", "then"),
    [("plan", {"ip_address": ""}), ("premise", {"access_node": "OLT-2"}), ("node", {"bng": "bng-2"})],
)
async def test_a_service_is_made_from_what_it_has_waited_for(
    isp: Network, what: str, then: dict[str, Any], static: dict[str, str]
) -> None:
    await isp.apply(
        {"pool": [{"name": "wan", "kind": "ipv6_wan", "network": "2001:db8::/48", "bindings": [{"bng": "bng-1"}]}]}
    )
    asked = static if what == "premise" else {}
    async with isp.database.begin() as db:
        await isp.estate(db).apply(CHANGES[what])
        task = await meanwhile(db, isp.allocate(1, **asked))
    given: dict[str, Any] = {**(await task)}
    assert {name: given[name] for name in then} == then
    assert await isp.violations() == []


async def test_an_alias_that_leads_elsewhere_by_now_is_not_taken_from_there(isp: Network) -> None:
    premise = {"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0", "aliases": ["OLT-1/0/1/0/7"]}
    there = {"id": "LOC-3", "access_node": "OLT-1", "aliases": ["DROP-7781"]}
    async with isp.database.begin() as db:
        await isp.estate(db).apply({"location": [premise, there]})
        second = await meanwhile(db, isp.apply({"location": [premise]}))
    assert await second == []

    assert (await isp.serve("locate", service_location="DROP-7781"))["location"] == "LOC-3"


async def held_and_meant(isp: Network, alias: str) -> tuple[frozenset[int] | None, int]:
    async with isp.database.begin() as db:
        held = await hold_places(db, isp.tenant_id, alias)
        return held, (await find_place(db, isp.tenant_id, alias)).location_id


async def test_who_waits_for_a_premise_is_told_which_one_it_holds_and_allocates_where_the_name_leads_by_then(
    isp: Network,
) -> None:
    named = {"service_location": "DROP-7781", "bandwidth_plan": "fiber-100", "customer_id": 1}
    moved = [
        {"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/1"},
        {"id": "LOC-2", "access_node": "OLT-2", "port": "0/2/0", "aliases": ["DROP-7781"]},
    ]
    async with isp.database.begin() as db:
        await isp.estate(db).apply({"location": moved})
        first = await meanwhile(db, held_and_meant(isp, "DROP-7781"))
        static = StaticResources(ip_address="100.80.0.7")
        second = await meanwhile(db, isp.serve("allocate_resources", **named, static=static), others=1)
    held, meant = await first
    assert held is not None and len(held) == 1 and meant not in held
    assert (await second)["access_node"] == "OLT-2"
    assert await held_and_meant(isp, "DROP-7781") == (frozenset({meant}), meant)
    assert await isp.violations() == []


async def test_a_name_leads_where_it_led_while_a_service_that_goes_there_is_held_and_nobody_waits_in_a_circle(
    isp: Network,
) -> None:
    """The premise where it leads afterwards is one of those that go, and comes first among them."""
    before = [{"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0"}, {"id": "LOC-3", "access_node": "OLT-1"}]
    await isp.apply({"location": [before[0], {**before[1], "aliases": ["DROP-7781"]}]})
    service_id = (await isp.allocate(1, "LOC-4"))["service_id"]
    async with isp.database.begin() as db:
        await held(isp, db, service_id, going_to="DROP-7781")
        renaming = await meanwhile(db, isp.apply({"location": [{**before[0], "aliases": ["DROP-7781"]}, before[1]]}))
        rehoming = asyncio.create_task(isp.keep("rehome", **NEW))
        await isp.service(db).move_service(service_id=service_id, service_location="DROP-7781", note="moves house")

    assert await renaming == ["location LOC-1 changed", "location LOC-3 changed"]
    assert [each["location"] for each in (await rehoming).moved] == ["LOC-3"]
    assert (await isp.serve("locate", service_location="DROP-7781"))["location"] == "LOC-1"
    assert await isp.violations() == []


async def test_a_service_goes_to_where_the_name_leads_that_was_waited_for_and_lets_go_of_all_else_before(
    isp: Network,
) -> None:
    service_id = (await isp.allocate(1, "LOC-4"))["service_id"]
    before = [{"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0"}, {"id": "LOC-3", "access_node": "OLT-1"}]
    to = {"service_id": service_id, "service_location": "DROP-7781", "note": "moves house"}
    async with isp.database.begin() as db:
        await isp.estate(db).apply({"location": [before[0], {**before[1], "aliases": ["DROP-7781"]}]})
        moving = await meanwhile(db, isp.serve("move_service", **to))
    await moving

    [moved] = (await isp.keep("rehome", **NEW)).moved
    assert (moved["service_id"], moved["location"]) == (service_id, "LOC-3")
    assert await isp.violations() == []
