"""A service at another place: kept is what that place can serve, and nothing is ever lost on the way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from ipam import (
    AllocatedResources,
    Fault,
    MovedService,
    NameUnknown,
    NoPoolBound,
    NotServed,
    RequestConflict,
    RequestInvalid,
    ServiceReleased,
    ServiceUnknown,
    StaticResources,
    UnitTaken,
)
from ipam.tables import AllocationEvent, ServiceMove
from ipam.upkeep import rehoming
from tests.ipam.conftest import STARTED_AT, Network, small


def two_bngs() -> dict[str, Any]:
    """As the small network, with a second BNG in the south that has pools of its own."""
    described = small()
    described["bng"].append({"name": "bng-2"})
    described["site"].append({"name": "south"})
    described["access_node"].append({"name": "OLT-9", "site": "south", "bng": "bng-2", "ports": ["0/9/0"]})
    described["location"].append({"id": "LOC-9", "access_node": "OLT-9", "port": "0/9/0"})
    south = [{"bng": "bng-2"}]
    described["pool"] += [
        {"name": "cgnat-south", "kind": "ipv4", "network": "100.65.0.0/28", "bindings": south},
        {"name": "wan6-south", "kind": "ipv6_wan", "network": "2001:db8:9000::/60", "bindings": south},
    ]
    described["pool"][4]["bindings"] = [{"bng": "bng-1"}, {"bng": "bng-2"}]
    described["svlan"].append({"group": "metro", "vid": 300, "bindings": [{"access_node": "OLT-9"}]})
    return described


async def move(network: Network, service_id: int, location: str, **said: Any) -> Any:
    note = said.pop("note", "the customer moves house")
    return await network.serve("move_service", service_id=service_id, service_location=location, note=note, **said)


async def rehome(network: Network, *access_nodes: str, bng: str = "bng-2", note: str) -> list[MovedService]:
    """As a desk does it: whatever can't be served there undoes all of it."""
    async with network.database.begin() as db:
        done = await network.upkeep(db).rehome(access_nodes=access_nodes, bng=bng, note=note)
        if done.refusal is not None:
            raise done.refusal
    assert (done.not_served, done.faults) == ((), ())
    return list(done.moved)


async def test_behind_the_same_bng_all_addresses_are_kept_and_the_vlan_changes(network: Network) -> None:
    before = await network.allocate(1, "LOC-1")
    network.clock.forward(hours=1)

    after = await move(network, before["service_id"], "LOC-2")

    kept = ("service_id", "username", "ip_address", "ipv6_wan_prefix", "delegated_prefix")
    now, then = dict(after), dict(before)
    assert [now[name] for name in kept] == [then[name] for name in kept]
    assert (before["svlan"], before["cvlan"]) == (110, None)
    assert (after["svlan"], after["access_node"], after["port"]) == (210, "OLT-2", "0/2/0")
    assert after["cvlan"] is not None
    assert await network.violations() == []
    back = await move(network, before["service_id"], "LOC-1")
    assert (back["svlan"], back["cvlan"], back["ip_address"]) == (110, None, before["ip_address"])
    assert (await network.usage("metro/210"))["quarantined"] == 1
    assert await network.violations() == []


async def test_behind_another_bng_only_what_it_serves_as_well_is_kept(empty: Network) -> None:
    await empty.apply(two_bngs())
    before = await empty.allocate(1, "LOC-1")
    empty.clock.forward(hours=1)

    after = await move(empty, before["service_id"], "LOC-9")

    assert after["ip_address"].startswith("100.65.0.")
    assert after["ipv6_wan_prefix"].startswith("2001:db8:9000:")
    assert after["delegated_prefix"] == before["delegated_prefix"]
    assert (after["bng"], after["svlan"], after["username"]) == ("bng-2", 300, before["username"])
    assert (await empty.usage("cgnat"))["quarantined"] == 1
    assert await empty.violations() == []
    async with empty.database.begin() as db:
        service = empty.service(db)
        old = await service.service_at(address=before["ip_address"], at=STARTED_AT + timedelta(minutes=1))
        gone = await service.service_at(address=before["ip_address"])
        pd = before["delegated_prefix"]
        assert pd is not None
        at = {
            minutes: await service.service_at(address=pd.split("/")[0], at=STARTED_AT + timedelta(minutes=minutes))
            for minutes in (1, 61)
        }
        events = (await db.execute(select(AllocationEvent.what).order_by(AllocationEvent.id))).scalars().all()
    assert old is not None
    assert (old["location"], old["until"]) == ("LOC-1", STARTED_AT + timedelta(hours=1))
    assert gone is None
    assert [(each["location"], each["since"], each["until"]) for each in at.values() if each] == [
        ("LOC-1", STARTED_AT, None),
        ("LOC-9", STARTED_AT, None),
    ]
    assert sorted(events) == ["assigned"] * 5 + ["moved"] + ["released"] * 2


async def test_the_same_move_again_changes_nothing_and_another_is_a_conflict(empty: Network) -> None:
    await empty.apply(two_bngs())
    given = await empty.allocate(1, "LOC-1")
    first = await move(empty, given["service_id"], "LOC-9", request_id="m-1", note="x")

    assert await move(empty, given["service_id"], "LOC-9", request_id="m-1", note="in other words") == first
    with pytest.raises(RequestConflict, match="moving service 1 to LOC-9, and now came for moving service 1 to LOC-2"):
        await move(empty, given["service_id"], "LOC-2", request_id="m-1")
    assert (await empty.usage("cgnat"))["quarantined"] == 1
    assert await empty.violations() == []


async def test_a_number_may_be_named_for_the_new_place_or_kept_by_naming_it(empty: Network) -> None:
    await empty.apply(two_bngs())
    given = await empty.allocate(1, "LOC-1", ip_address="100.64.0.9")
    other = await empty.allocate(2, "LOC-9", ip_address="100.65.0.3")
    with pytest.raises(UnitTaken, match=f"held by service {other['service_id']}"):
        await move(empty, given["service_id"], "LOC-9", static=StaticResources(ip_address="100.65.0.3"))
    assert (await empty.usage("cgnat"))["assigned"] == 1

    moved = await move(empty, given["service_id"], "LOC-2", static=StaticResources(ip_address="100.64.0.9", cvlan=99))
    there = await move(empty, given["service_id"], "LOC-9", static=StaticResources(ip_address="100.65.0.5"))

    assert (moved["ip_address"], moved["cvlan"], there["ip_address"]) == ("100.64.0.9", 99, "100.65.0.5")
    assert await empty.violations() == []


def a_port_of_its_own() -> dict[str, Any]:
    """As the small network, with a port that has an S-VLAN of its own, in which C-VLANs are computed, and a second BNG
    with all pools."""
    described = small()
    described["bng"].append({"name": "bng-2"})
    for pool in described["pool"]:
        pool["bindings"] = [*pool["bindings"], *({**each, "bng": "bng-2"} for each in pool["bindings"])]
    described["access_node"][1]["ports"].append("0/2/1")
    described["location"] += [
        {"id": "LOC-7", "access_node": "OLT-2", "port": "0/2/1", "onu": 5},
        {"id": "LOC-8", "access_node": "OLT-2", "port": "0/2/1", "onu": 6},
        {"id": "LOC-9", "access_node": "OLT-2", "port": "0/2/1", "onu": 5},
    ]
    node, port = {"access_node": "OLT-2"}, {"access_node": "OLT-2", "port": "0/2/1"}
    s_vlan = {"group": "metro", "cvlans": ["2-4094"]}
    described["svlan"][1:] = [
        {**s_vlan, "vid": 210, "bindings": [node]},
        {**s_vlan, "vid": 211, "cvlan_formula": "100*port + onu", "bindings": [port]},
    ]
    return described


def vlans(resources: AllocatedResources) -> tuple[int, int | None]:
    return resources["svlan"], resources["cvlan"]


async def test_a_c_vlan_that_was_named_stays_while_the_line_ends_where_it_did(empty: Network) -> None:
    await empty.apply(a_port_of_its_own())
    first = await empty.allocate(1, "LOC-7")
    second = await empty.allocate(1, "LOC-7", cvlan=700)
    third = await empty.allocate(2, "LOC-2")
    third = await move(empty, third["service_id"], "LOC-7", static=StaticResources(cvlan=701))
    assert [vlans(each) for each in (first, second, third)] == [(211, 105), (211, 700), (211, 701)]
    await empty.keep("drain", pool="cgnat", span=second["ip_address"], note="goes")

    out_of_it = await move(empty, second["service_id"], "LOC-7")
    await rehome(empty, "OLT-2", note="BNG 1 is retired")
    next_door = await move(empty, second["service_id"], "LOC-9")

    assert out_of_it["ip_address"] != second["ip_address"]
    assert vlans(out_of_it) == vlans(next_door) == (211, 700)
    for service, had in ((first, (211, 105)), (third, (211, 701))):
        now = await empty.serve("resources", service_id=service["service_id"])
        assert (now["bng"], vlans(now)) == ("bng-2", had)
    elsewhere = await move(empty, second["service_id"], "LOC-8")
    assert vlans(elsewhere) == (211, 106)
    with pytest.raises(UnitTaken, match=f"105 of pool metro/211 is held by service {first['service_id']}"):
        await move(empty, second["service_id"], "LOC-9")
    assert await empty.violations() == []


async def test_a_line_has_the_vlan_of_its_new_port_whichever_model_its_access_node_has(empty: Network) -> None:
    described = a_port_of_its_own()
    described["svlan"] += [
        {"group": "metro", "vid": 111, "bindings": [{"access_node": "OLT-1", "port": "0/1/1"}]},
    ]
    described["location"].append({"id": "LOC-4", "access_node": "OLT-1", "port": "0/1/1"})
    described["pool"].append(
        {
            "name": "cgnat-of-the-port",
            "kind": "ipv4",
            "network": "100.66.0.0/28",
            "bindings": [{"access_node": "OLT-2", "port": "0/2/1"}],
        }
    )
    await empty.apply(described)
    own, shared = await empty.allocate(1, "LOC-2"), await empty.allocate(2, "LOC-1")
    named = await empty.allocate(3, "LOC-2", cvlan=900)
    assert (own["svlan"], vlans(shared), vlans(named)) == (210, (110, None), (210, 900))

    moved = await move(empty, own["service_id"], "LOC-7")

    assert vlans(moved) == (211, 105)
    assert moved["ip_address"] == own["ip_address"], "an address is kept where any pool has it"
    assert vlans(await move(empty, shared["service_id"], "LOC-4")) == (111, None)
    asked = await move(empty, named["service_id"], "LOC-8", static=StaticResources(cvlan=900))
    assert vlans(asked) == (211, 900)
    assert vlans(await move(empty, own["service_id"], "LOC-2"))[0] == 210
    assert await empty.violations() == []


async def test_who_ends_where_it_did_keeps_its_vlan_when_another_was_bound_there_since(empty: Network) -> None:
    described = a_port_of_its_own()
    own = described["svlan"].pop()
    await empty.apply(described)
    given = await empty.allocate(1, "LOC-7")
    await empty.apply({"svlan": [own]})

    await rehome(empty, "OLT-2", note="BNG 1 is retired")

    assert given["svlan"] == 210
    assert vlans(await move(empty, given["service_id"], "LOC-7")) == vlans(given)
    assert await empty.violations() == []


async def test_a_move_that_can_not_be_is_refused_and_the_service_stays_whole(empty: Network) -> None:
    described = two_bngs()
    described["pool"] = [pool for pool in described["pool"] if pool["name"] != "wan6-south"]
    await empty.apply(described)
    given = await empty.allocate(1, "LOC-1")
    gone = await empty.allocate(2, "LOC-1")
    await empty.release(gone["service_id"])

    with pytest.raises(NoPoolBound, match="needs an IPv6 WAN pool at LOC-9"):
        await move(empty, given["service_id"], "LOC-9")
    with pytest.raises(ServiceReleased):
        await move(empty, gone["service_id"], "LOC-9")
    with pytest.raises(ServiceUnknown):
        await move(empty, 99, "LOC-9")
    with pytest.raises(RequestInvalid, match="must say why"):
        await move(empty, given["service_id"], "LOC-9", note="")

    assert await empty.serve("resources", service_id=given["service_id"]) == given
    assert await empty.violations() == []


async def test_access_nodes_go_behind_another_bng_with_all_their_services(empty: Network) -> None:
    await empty.apply(two_bngs())
    lines = [await empty.allocate(customer, "LOC-1") for customer in (1, 2, 3)]
    elsewhere = await empty.allocate(4, "LOC-2")
    await empty.release((await empty.allocate(5, "LOC-3"))["service_id"])

    moved = await rehome(empty, "OLT-1", note="BNG 1 is retired")

    assert [each["service_id"] for each in moved] == [line["service_id"] for line in lines]
    for line, each in zip(lines, moved, strict=True):
        now = await empty.serve("resources", service_id=line["service_id"])
        assert each["kept"] == [line["delegated_prefix"]]
        assert each["given_back"] == [line["ip_address"], line["ipv6_wan_prefix"]]
        assert each["given"] == [now["ip_address"], now["ipv6_wan_prefix"]]
        assert (now["bng"], now["svlan"], now["ip_address"][:7]) == ("bng-2", 110, "100.65.")
    assert await empty.serve("resources", service_id=elsewhere["service_id"]) == elsewhere
    assert await rehome(empty, "OLT-1", note="again") == []
    with pytest.raises(NameUnknown, match="access node 'OLT-77'"):
        await rehome(empty, "OLT-1", "OLT-77", bng="bng-1", note="x")
    assert await empty.violations() == []


async def test_a_node_that_is_behind_that_bng_already_is_left_as_it_is_also_where_its_addresses_are_drained(
    empty: Network,
) -> None:
    await empty.apply(two_bngs())
    there = await empty.allocate(9, "LOC-9")
    here = await empty.allocate(1, "LOC-1")
    await empty.keep("drain", pool="cgnat-south", span=there["ip_address"], note="goes")
    await empty.keep("drain", pool="wan6-south", span=there["ipv6_wan_prefix"], note="goes")

    assert await rehome(empty, "OLT-9", note="it was forgotten that it is there") == []
    [moved] = await rehome(empty, "OLT-9", "OLT-1", note="BNG 1 is retired")

    assert moved["service_id"] == here["service_id"]
    assert await empty.serve("resources", service_id=there["service_id"]) == there
    async with empty.database.read() as db:
        moves = list(await db.scalars(select(ServiceMove.service_id)))
        told = select(AllocationEvent.what).where(AllocationEvent.service_id == there["service_id"])
        assert (moves, set(await db.scalars(told))) == ([here["service_id"]], {"assigned"})
    assert await empty.violations() == []


async def test_what_is_not_served_where_a_node_is_already_is_for_a_move_to_mend(empty: Network) -> None:
    """As when a pool was bound elsewhere: a re-homing to where the node is changes nothing about it."""
    described = two_bngs()
    described["pool"].append(
        {"name": "more", "kind": "ipv4", "network": "100.66.0.0/28", "bindings": [{"bng": "bng-2"}]}
    )
    await empty.apply(described)
    given = await empty.allocate(9, "LOC-9", ip_address="100.66.0.5")
    described["pool"][-1]["bindings"] = [{"bng": "bng-1"}]
    await empty.apply(described)

    assert await rehome(empty, "OLT-9", note="once more") == []
    assert await empty.serve("resources", service_id=given["service_id"]) == given
    assert (await move(empty, given["service_id"], "LOC-9"))["ip_address"].startswith("100.65.0.")


async def test_all_that_speaks_against_a_move_is_named_at_once(empty: Network) -> None:
    described = two_bngs()
    described["pool"] = [pool for pool in described["pool"] if pool["name"] != "wan6-south"]
    described["pool"] += [
        {"name": name, "kind": "ipv4_routed", "network": network, "bindings": [{"bng": "bng-1"}]}
        for name, network in (("nets", "198.51.100.0/29"), ("more", "198.51.100.8/29"))
    ]
    await empty.apply(described)
    line = await empty.allocate(1, "LOC-1")
    for pool in ("nets", "more"):
        line = await empty.serve("route_prefix", service_id=line["service_id"], pool=pool)
    await empty.keep("drain", pool="cgnat-south", note="goes")

    with pytest.raises(NotServed) as refused:
        await move(empty, line["service_id"], "LOC-9")

    assert {fault.where for fault in refused.value.faults} == {f"service {line['service_id']}"}
    for fault, says in zip(
        refused.value.faults,
        (
            "198.51.100.8/29",
            "198.51.100.0/29",
            "needs an IPv6 WAN pool at LOC-9",
            "Pool cgnat-south is full: 0 of 14 assigned",
        ),
        strict=True,
    ):
        assert says in fault.what
    assert [(full.pool, full.draining, full.wanted) for full in refused.value.exhausted] == [("cgnat-south", 14, 1)]
    assert await empty.serve("resources", service_id=line["service_id"]) == line
    assert await empty.violations() == []


async def test_all_services_that_can_not_be_re_homed_are_named_at_once(empty: Network) -> None:
    described = two_bngs()
    described["pool"][-2]["network"] = "100.65.0.0/30"
    await empty.apply(described)
    given = [await empty.allocate(customer, "LOC-1") for customer in (1, 2, 3, 4)]
    given.append(await empty.allocate(5, "LOC-1", "dynamic"))

    with pytest.raises(NotServed, match="3 things stand against the move, nothing was changed") as refused:
        await rehome(empty, "OLT-1", note="BNG 1 is retired")

    of = [f"service {line['service_id']}" for line in given]
    found = [(fault.where, *fault.what.split(": ")[:2]) for fault in refused.value.faults]
    assert [(where, what.split(" at ")[0]) for where, _, what in found] == [
        (of[2], "Pool cgnat-south has too few"),
        (of[3], "Pool cgnat-south has too few"),
        (of[4], "Plan dynamic needs a pool of the BNG's own"),
    ]
    assert [whose for _, whose, _ in found] == [
        f"of customer {customer}, {line['username']}, with {', '.join(map(str, held))}"
        for customer, line, held in (
            (3, given[2], [given[2]["ip_address"], given[2]["delegated_prefix"], given[2]["ipv6_wan_prefix"]]),
            (4, given[3], [given[3]["ip_address"], given[3]["delegated_prefix"], given[3]["ipv6_wan_prefix"]]),
            (5, given[4], [given[4]["delegated_prefix"]]),
        )
    ]
    for each in given:
        assert await empty.serve("resources", service_id=each["service_id"]) == each
    assert await empty.violations() == []


async def test_a_pool_that_has_too_few_for_all_of_them_is_told_with_its_numbers_as_it_stays(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehoming, "AT_ONCE", 2)
    described = two_bngs()
    described["pool"][-2]["network"] = "100.65.0.0/29"
    await empty.apply(described)
    there = (await empty.allocate(9, "LOC-9"))["service_id"]
    for customer in range(1, 9):
        await empty.allocate(customer, "LOC-1")

    for assigned, quarantined in ((1, 0), (0, 1)):
        with pytest.raises(NotServed) as refused:
            await rehome(empty, "OLT-1", note="BNG 1 is retired")
        said = f"8 are wanted, 5 of 6 are free, {assigned} assigned, {quarantined} in quarantine"
        of = [fault.what.split(": ", 1)[1].split(". ")[0] for fault in refused.value.faults]
        assert of == [f"Pool cgnat-south has too few: {said}"] * 3
        await empty.release(there)


async def test_what_can_not_be_re_homed_is_answered_beside_what_was(empty: Network) -> None:
    await empty.apply(two_bngs())
    served, refused = await empty.allocate(1, "LOC-1"), await empty.allocate(2, "LOC-1", "dynamic")

    async with empty.database.begin() as db:
        done = await empty.upkeep(db).rehome(access_nodes=["OLT-1"], bng="bng-2", note="x")
        await db.rollback()

    assert [each["service_id"] for each in done.moved] == [served["service_id"]]
    assert done.not_served == (refused["service_id"],)
    assert [fault.where for fault in done.faults] == [f"service {refused['service_id']}"]
    assert isinstance(done.refusal, NotServed)
    assert done.refusal.faults == done.faults


async def test_who_can_not_go_for_a_routed_prefix_takes_nothing_from_those_who_can(empty: Network) -> None:
    described = two_bngs()
    described["pool"][-2]["network"] = "100.65.0.0/30"
    nets = {"name": "nets", "kind": "ipv4_routed", "network": "198.51.100.0/29", "bindings": [{"bng": "bng-1"}]}
    described["pool"].append(nets)
    await empty.apply(described)
    first, *others = [await empty.allocate(customer, "LOC-1") for customer in (1, 2, 3)]
    await empty.serve("route_prefix", service_id=first["service_id"], pool="nets")

    async with empty.database.begin() as db:
        done = await empty.upkeep(db).rehome(access_nodes=["OLT-1"], bng="bng-2", note="x")
        await db.rollback()

    assert [each["service_id"] for each in done.moved] == [line["service_id"] for line in others]
    assert done.not_served == (first["service_id"],)
    [fault] = done.faults
    assert "198.51.100.0/29" in fault.what


async def test_a_thousand_go_together_and_the_next_ones_after_them(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehoming, "AT_ONCE", 2)
    await empty.apply(two_bngs())
    lines = [await empty.allocate(customer, "LOC-1") for customer in range(1, 6)]

    moved = await rehome(empty, "OLT-1", note="BNG 1 is retired")

    assert [each["service_id"] for each in moved] == [line["service_id"] for line in lines]
    assert len({address for each in moved for address in each["given"]}) == 10
    assert await empty.violations() == []


async def test_when_one_service_can_not_be_served_there_nothing_is_re_homed(empty: Network) -> None:
    await empty.apply(two_bngs())
    given = [await empty.allocate(1, "LOC-1"), await empty.allocate(2, "LOC-1", "dynamic")]

    with pytest.raises(NotServed, match="1 thing stands against the move, nothing was changed") as refused:
        await rehome(empty, "OLT-1", note="x")

    whose = f"service {given[1]['service_id']}: of customer 2, {given[1]['username']}, with "
    assert f"{whose}{given[1]['delegated_prefix']}: Plan dynamic needs a pool of the BNG's own" in str(refused.value)
    for each in given:
        assert await empty.serve("resources", service_id=each["service_id"]) == each
    assert await empty.violations() == []


def test_of_very_many_services_that_can_not_be_served_the_first_are_named_and_the_others_counted() -> None:
    faults = [Fault(f"service {number}", "Pool cgnat-south is full.") for number in range(1, 1001)]

    refused = NotServed(faults)

    assert str(refused).startswith("1000 things stand against the move, nothing was changed: service 1: Pool")
    assert refused.faults == (*faults[:200], Fault("others", "800 more stand against it."))


@pytest.mark.parametrize("rewriting", ["UPDATE ipam_service_move SET note = 'x'", "DELETE FROM ipam_service_move"])
async def test_the_database_refuses_to_rewrite_moves(network: Network, rewriting: str) -> None:
    given = await network.allocate(1, "LOC-1")
    await move(network, given["service_id"], "LOC-3")

    with pytest.raises(IntegrityError, match="append-only"):
        async with network.database.begin() as db:
            await db.execute(text(rewriting))
