"""What changes a live service's addresses: what rests on them follows in the same commit, or nothing changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import Fault, NetworkEstate, ServiceReleased, StaticResources
from provisioning import addresses
from provisioning.address_errors import LineOnOlt, LinesOnOlt, ServiceServed, ServicesInTheWay
from provisioning.bootstrap import Appliance, open_appliance
from provisioning.check import check_everything
from provisioning.errors import Fault as InvalidPart
from provisioning.line import LineOrderRow
from provisioning.under_way import ServiceUnderWay, refuse_under_way
from radius import SessionChangeView, SubscriberVerbs
from radius.tables import Subscriber
from tests.support.healthy_estate import HealthyEstate
from tests.support.postgres import until_it_waits_for_us
from workflows import framed_addresses
from workflows.engine.tables import RunRow

DONE, WAITING = 1, 2
"""Services of the households whose installation is over, and is waiting for its visit."""
HOME, NEXT_DOOR, TIGHT = "LOC-20001", "LOC-20005", "LOC-20090"
WHY = "an office moves in"
MORE = {
    "pool": [
        {
            "name": "office-nets",
            "kind": "ipv4_routed",
            "network": "198.51.100.0/27",
            "bindings": [{"bng": "bng-north"}],
        },
        {
            "name": "office-nets6",
            "kind": "ipv6_routed",
            "network": "2001:db8:ff00::/44",
            "bindings": [{"bng": "bng-north"}],
        },
        {
            "name": "tight-v4-more",
            "kind": "ipv4",
            "network": "192.0.2.8/29",
            "bindings": [{"bng": "bng-tight", "priority": 20}],
        },
    ]
}


@pytest.fixture
async def appliance(estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Appliance]:
    """A copy of the estate, with pools of prefixes that are routed besides."""
    async with open_appliance(estate.copy(tmp_path / "copy")) as opened:
        async with opened.database.begin() as db:
            await NetworkEstate(db, tenant_id=opened.tenant_id, now=opened.clock).apply(MORE)
        yield opened


async def act(appliance: Appliance, verb: str, **said: Any) -> Any:
    async with appliance.database.begin() as db:
        return await getattr(appliance.address_desk(db), verb)(**said)


async def given(appliance: Appliance, service_id: int = DONE) -> Any:
    """What the service holds, as RADIUS would tell it, and what its subscriber is to be told."""
    async with appliance.database.read() as db:
        services = appliance.services(db)
        held = await services.network_service.resources(service_id)
        subscriber = await services.radius_service.subscriber_named(username=held["username"])
    told = {**subscriber, "routes": tuple(subscriber["routes"]), "ipv6_routes": tuple(subscriber["ipv6_routes"])}
    names = ("ipv4", "ipv4_pool", "ipv6_wan_prefix", "delegated_prefix", "routes", "ipv6_routes")
    return vars(framed_addresses(held)), {name: told[name] for name in names}


async def broken(appliance: Appliance) -> set[str]:
    return {finding.invariant for finding in (await check_everything(appliance)).findings}


async def test_routed_prefixes_are_the_subscriber_s_wish_at_once_and_freeradius_after_the_projection(
    appliance: Appliance,
) -> None:
    first = await act(appliance, "route", service_id=DONE, pool="office-nets", prefix="198.51.100.8/29", reason=WHY)
    second = await act(appliance, "route", service_id=DONE, pool="office-nets6", reason=WHY)

    assert first["projected"] is False
    assert second["resources"]["framed_routes"] == ["198.51.100.8/29 0.0.0.0 1"]
    assert [route.split()[0].endswith("/48") for route in second["resources"]["framed_ipv6_routes"]] == [True]
    allocated, told = await given(appliance)
    assert allocated == told
    assert "radius.rows_as_wished" in await broken(appliance)
    assert await appliance.projections.catch_up() == 1
    assert await broken(appliance) == set()

    gone = await act(appliance, "withdraw", service_id=DONE, prefix="198.51.100.8/29", reason=WHY)
    assert (gone["resources"]["framed_routes"], gone["projected"]) == ([], False)
    still = await act(appliance, "withdraw", service_id=DONE, prefix="198.51.100.8/29", reason=WHY)
    assert (gone["changed"], still) == (True, {**gone, "changed": False})
    allocated, told = await given(appliance)
    assert allocated == told
    again = await act(appliance, "route", service_id=DONE, pool="office-nets6", reason=WHY)
    assert again == {**gone, "changed": False}


async def test_a_move_within_reach_of_its_line_follows_into_radius_and_the_same_request_is_one(
    appliance: Appliance,
) -> None:
    async with appliance.database.begin() as db:
        await appliance.network_upkeep(db).drain(pool="north-v4", span="100.64.0.0/24", note="goes south")
    before, _ = await given(appliance)
    wish = {"service_id": DONE, "service_location": HOME, "note": "out of the drain", "request_id": "out-1"}

    moved = await act(appliance, "move", **wish, static=StaticResources(ip_address="100.64.1.77"))
    again = await act(appliance, "move", **wish, static=StaticResources(ip_address="100.64.1.77"))

    allocated, told = await given(appliance)
    assert allocated == told == {**before, "ipv4": "100.64.1.77"}
    assert again["resources"] == moved["resources"]
    assert (moved["changed"], again["changed"]) == (True, False)
    assert (moved["change"]["act"], moved["change"]["state"], again["change"]) == ("readdress", "pending", None)
    await appliance.projections.catch_up()
    assert await broken(appliance) == set()


@pytest.mark.parametrize(
    ("service", "where", "error", "says"),
    [
        (DONE, NEXT_DOOR, LineOnOlt, "Line order 1 carries service 1 in VLAN 101"),
        (DONE, TIGHT, LineOnOlt, "at OLT-TIGHT"),
        (WAITING, HOME, ServiceUnderWay, r"service 2 \(run 2\)"),
    ],
)
async def test_a_move_that_an_olt_or_a_run_would_not_hear_of_is_refused_and_leaves_all_as_it_was(
    appliance: Appliance, service: int, where: str, error: type[Exception], says: str
) -> None:
    before = await given(appliance, service)
    with pytest.raises(error, match=says):
        await act(appliance, "move", service_id=service, service_location=where, note="moves house")
    assert await given(appliance, service) == before
    assert await broken(appliance) == set()


@pytest.mark.parametrize("estate", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_nodes_go_after_a_service_that_is_just_being_moved_and_neither_waits_for_ever(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id.in_((2, 3))).values(state="partial"))
    rehoming: list[asyncio.Task[Any]] = []

    async def and_meanwhile(db: AsyncSession, *asked: Any, **steps: Any) -> None:
        """A look that the desk takes with the service held."""
        monkeypatch.setattr(addresses, "refuse_under_way", refuse_under_way)
        there = {"access_nodes": ["OLT-3"], "bng": "bng-tight", "note": "north is full"}
        rehoming.append(asyncio.create_task(act(appliance, "rehome", **there)))
        await until_it_waits_for_us(db, rehoming[0])
        await refuse_under_way(db, *asked, **steps)

    monkeypatch.setattr(addresses, "refuse_under_way", and_meanwhile)
    moved = await act(appliance, "move", service_id=DONE, service_location=HOME, note="out of the drain")
    assert moved["resources"]["service_id"] == DONE
    assert [each["service_id"] for each in await rehoming[0]] == [1, 2, 3]


@pytest.mark.parametrize("estate", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize(
    ("verb", "told", "said"), [("rename", "rename", {"username": "eve@isp.example"}), ("end", "terminate", {})]
)
async def test_nodes_go_after_a_subscriber_that_is_just_being_changed_with_its_service_and_neither_waits_for_ever(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch, verb: str, told: str, said: dict[str, str]
) -> None:
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id.in_((2, 3))).values(state="partial"))
        await db.execute(update(Subscriber).where(Subscriber.service_id == DONE).values(origin="imported"))
    (before, _), rehoming = await given(appliance), list[asyncio.Task[Any]]()
    change = getattr(SubscriberVerbs, told)

    async def and_its_node_goes(verbs: SubscriberVerbs, **asked: Any) -> SessionChangeView:
        done: SessionChangeView = await change(verbs, **asked)
        there = {"access_nodes": ["OLT-3"], "bng": "bng-tight", "note": "north is full"}
        rehoming.append(asyncio.create_task(act(appliance, "rehome", **there)))
        await until_it_waits_for_us(verbs._db, rehoming[0])
        return done

    monkeypatch.setattr(SubscriberVerbs, told, and_its_node_goes)
    async with appliance.database.begin() as db:
        done = await getattr(appliance.subscriber_desk(db), verb)("c1001-s1@isp.example", **said)
    moved = await rehoming[0]

    assert done["change"]["act"] == told
    renamed = ["eve@isp.example"] if verb == "rename" else []
    assert [each["username"] for each in moved] == [*renamed, "c1002-s2@isp.example", "c1003-s3@isp.example"]
    assert verb == "end" or (await given(appliance))[1]["ipv4"] not in (None, before["ipv4"])


async def test_another_management_vlan_of_the_node_changes_nothing_for_lines_that_stay_there(
    appliance: Appliance,
) -> None:
    node = {"name": "OLT-3", "kind": "olt", "site": "northtown", "bng": "bng-north", "vlan_model": "one_to_one"}
    anew = {**node, "cpe_vlan_id": 100, "management_vlan": 4001}
    before = (await given(appliance))[0]
    async with appliance.database.begin() as db:
        estate = NetworkEstate(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await estate.apply({"access_node": [anew]})
        await appliance.network_upkeep(db).drain(pool="north-v4", span=before["ipv4"], note="goes south")
        await db.execute(update(RunRow).where(RunRow.id.in_((2, 3))).values(state="partial"))

    moved = await act(appliance, "move", service_id=DONE, service_location=HOME, note="out of the drain")
    assert moved["resources"]["ip_address"] != before["ipv4"]
    assert moved["resources"]["management_vlan"] == 4001
    rehomed = await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")
    assert [each["service_id"] for each in rehomed] == [1, 2, 3]


async def test_a_line_that_would_be_carried_otherwise_is_told_with_all_in_which_it_differs(
    appliance: Appliance,
) -> None:
    async with appliance.database.begin() as db:
        cvlan = (await appliance.services(db).network_service.all_resources())[0]["cvlan"]
        told = {"svlan": 102, "cvlan": None, "management_vlan": None}
        await db.execute(update(LineOrderRow).where(LineOrderRow.service_id == DONE).values(**told))
    with pytest.raises(LineOnOlt) as refused:
        await act(appliance, "move", service_id=DONE, service_location=HOME, note="out of the drain")
    assert str(refused.value) == (
        "Line order 1 carries service 1 in VLAN 102 without a management VLAN at OLT-3 0/0/1 on its OLT, and it would"
        f" have to be in VLAN 101.{cvlan} with management VLAN 4000 at OLT-3 0/0/1; nothing was changed. End the"
        " service and install it anew, so that the OLT is told."
    )


async def test_nodes_with_services_of_open_runs_stay_behind_their_bng(appliance: Appliance) -> None:
    with pytest.raises(ServiceUnderWay) as refused:
        await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")
    assert refused.value.runs == {2: 2, 3: 3}
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id.in_((2, 3))).values(state="partial"))
    moved = await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")

    assert [each["service_id"] for each in moved] == [1, 2, 3]
    for service in (1, 2, 3):
        allocated, told = await given(appliance, service)
        assert allocated == told
        assert allocated["ipv4"].startswith("192.0.2.")


async def test_nodes_whose_lines_would_need_other_vlans_stay_and_each_line_is_named(appliance: Appliance) -> None:
    before = await given(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(LineOrderRow).where(LineOrderRow.service_id.in_((1, 3))).values(svlan=102))
    with pytest.raises(ServicesInTheWay, match="3 things stand against the move, nothing was changed") as both:
        await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")
    assert [fault.field for fault in both.value.faults] == ["service 2", "service 3", "service 1"]
    assert "in VLAN 102" in both.value.faults[-1].reason
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id.in_((2, 3))).values(state="partial"))

    with pytest.raises(LinesOnOlt, match="carry 2 lines") as refused:
        await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")

    assert [fault.field for fault in refused.value.faults] == ["service 1", "service 3"]
    assert all("in VLAN 102" in fault.reason for fault in refused.value.faults)
    assert await given(appliance) == before


async def test_what_can_not_be_served_there_is_named_with_the_runs_and_lines_that_stand_against_the_move(
    appliance: Appliance,
) -> None:
    routed = await act(appliance, "route", service_id=DONE, pool="office-nets", reason=WHY)
    before = await given(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(LineOrderRow).where(LineOrderRow.service_id.in_((1, 3))).values(svlan=102))
        await db.execute(update(RunRow).where(RunRow.id == 3).values(state="partial"))

    with pytest.raises(ServicesInTheWay, match="3 things stand against the move, nothing was changed") as refused:
        await act(appliance, "rehome", access_nodes=["OLT-3"], bng="bng-tight", note="north is full")

    routes, run, line = refused.value.faults
    assert (routes.field, run.field, line.field) == ("service 1", "service 2", "service 3")
    assert routed["resources"]["framed_routes"][0].split()[0] in routes.reason
    assert (run.reason, "in VLAN 102" in line.reason) == ("Run 2 goes on with it.", True)
    assert await given(appliance) == before


def test_of_very_many_that_stand_against_a_move_the_first_are_carried_and_the_others_counted() -> None:
    served = [Fault(f"service {number}", "Pool north is full.") for number in range(150)]

    refused = ServicesInTheWay(served, {number: 7 for number in range(150, 300)}, [])

    assert [refused.faults[place].field for place in (0, 149, 150, 199)] == [
        "service 0",
        "service 149",
        "service 150",
        "service 199",
    ]
    assert refused.faults[200:] == (InvalidPart("others", "100 more stand against it."),)
    named = "; ".join(f"service {number}: Pool north is full" for number in range(10))
    assert str(refused) == f"300 things stand against the move, nothing was changed: {named}; ..."


async def test_what_is_in_use_is_not_released_and_what_an_ended_run_has_left_is(appliance: Appliance) -> None:
    with pytest.raises(ServiceServed, match="firstlight subscribers terminate c1001-s1@isp"):
        await act(appliance, "release", service_id=DONE, reason=WHY)
    with pytest.raises(ServiceUnderWay):
        await act(appliance, "release", service_id=WAITING, reason=WHY)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == 3).values(state="partial"))
    with pytest.raises(LineOnOlt, match="taken off the OLT first"):
        await act(appliance, "release", service_id=3, reason=WHY)
    async with appliance.database.begin() as db:
        await db.execute(update(LineOrderRow).where(LineOrderRow.service_id == 3).values(state="withdrawn"))

    released = await act(appliance, "release", service_id=3, reason=WHY)

    assert {each["pool"] for each in released["released"]} > {"north-v4", "north-pd"}
    assert released["changed"]
    by_now = [{**each, "state": "cooling", "service_id": None} for each in released["released"]]
    assert await act(appliance, "release", service_id=3, reason=WHY) == {**released, "changed": False, "now": by_now}
    async with appliance.database.read() as db:
        state = await db.scalar(select(Subscriber.state).where(Subscriber.service_id == 3))
        with pytest.raises(ServiceReleased):
            await appliance.services(db).network_service.resources(3)
    assert state == "terminated"
