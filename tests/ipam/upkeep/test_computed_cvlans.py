"""Computed C-VLANs of many services that go behind another BNG at once: each as if it went alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import NotServed
from ipam.tables import Allocation, Pool
from ipam.upkeep import rehoming
from tests.ipam.conftest import Network
from tests.ipam.upkeep.test_rehoming_many import NEW, ONUS, asked, one_by_one, rehome_so_many, two_bngs
from tests.support.postgres import until_it_waits_for_us


async def test_computed_c_vlans_follow_behind_the_other_bng_and_one_that_is_another_ones_is_a_fault(
    empty: Network,
) -> None:
    await empty.apply(two_bngs())
    lines = [await empty.allocate(onu, f"LOC-2-{onu}") for onu in ONUS[:20]]
    assert [line["cvlan"] for line in lines] == [100 + onu for onu in ONUS[:20]]
    await empty.keep("reserve", pool="metro/212", value="207", note="kept for a test line")

    with pytest.raises(NotServed, match="207 of pool metro/212 is reserved") as refused:
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**NEW)
            assert len(done.moved) == 19
            assert done.refusal is not None
            raise done.refusal
    await empty.keep("unreserve", pool="metro/212", value="207", note="done")
    await empty.keep("rehome", **NEW)

    assert [fault.where for fault in refused.value.faults] == [f"service {lines[6]['service_id']}"]
    now = [await empty.serve("resources", service_id=line["service_id"]) for line in lines]
    assert [(each["svlan"], each["cvlan"]) for each in now] == [(212, 200 + onu) for onu in ONUS[:20]]
    assert await empty.violations() == []


def computed(behind: str = "bng-1") -> dict[str, Any]:
    """Behind BNG 1 the port says which C-VLAN it is as well; behind BNG 2 the ONU alone does."""
    described = two_bngs(behind=behind)
    described["access_node"][1]["ports"] = ["0/2/0", "0/2/1"]
    described["location"] += [
        {"id": f"LOC-3-{onu}", "access_node": "OLT-2", "port": "0/2/1", "onu": onu} for onu in ONUS[:5]
    ]
    described["svlan"][1]["cvlan_formula"] = "100*port + onu + 100"
    described["svlan"][2] |= {"reserved": ["211"]}
    return described


async def test_the_database_is_asked_for_all_computed_c_vlans_at_once(empty: Network) -> None:
    few, many = (Network(empty.database, empty.clock, tenant_id=tenant) for tenant in ("few", "many"))
    for network in (few, many):
        await network.apply(two_bngs())

    few_asked, few_moved = await rehome_so_many(few, 2, node=2)
    many_asked, many_moved = await rehome_so_many(many, 50, node=2)

    assert (len(few_moved), len(many_moved)) == (2, 50)
    assert [each["given"][-1] for each in many_moved] == [str(200 + onu) for onu in ONUS[:50]]
    assert many_asked <= few_asked + 10 <= 80
    assert await many.violations() == []


async def test_a_computed_c_vlan_that_was_used_before_is_its_customers_or_anybodys_when_it_has_cooled_off(
    empty: Network,
) -> None:
    await empty.apply(two_bngs("100.65.0.0/24", "bng-2"))
    for customer, onu in ((101, 1), (102, 2), (103, 3)):
        await empty.release((await empty.allocate(customer, f"LOC-2-{onu}"))["service_id"])
        empty.clock.forward(days=0 if onu == 3 else 30)
    await empty.keep("rehome", **{**NEW, "bng": "bng-1"})
    lines = [await empty.allocate(customer, f"LOC-2-{onu}") for customer, onu in ((1, 1), (2, 2), (103, 3))]

    moved = (await empty.keep("rehome", **NEW)).moved

    assert [each["given"][-1] for each in moved] == ["201", "202", "203"]
    now = [await empty.serve("resources", service_id=line["service_id"]) for line in lines]
    assert [(each["svlan"], each["cvlan"]) for each in now] == [(212, 201), (212, 202), (212, 203)]
    assert await empty.violations() == []


async def refused_of(network: Network) -> tuple[list[tuple[str, str]], int]:
    """What stands against it, and how many statements that took."""
    seen: list[str] = []
    with asked(network, seen):
        async with network.database.begin() as db:
            done = await network.upkeep(db).rehome(**NEW)
            await db.rollback()
    assert done.refusal is not None
    return [(fault.where, fault.what) for fault in done.faults], len(seen)


async def test_whatever_stands_against_computed_c_vlans_is_refused_together_and_as_for_each_alone(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(computed())
    pool = "metro/212"
    given = [await empty.allocate(onu, f"LOC-2-{onu}") for onu in ONUS[:40]]
    second = [await empty.allocate(100 + onu, f"LOC-3-{onu}") for onu in ONUS[:3]]
    await empty.keep("reserve", pool=pool, value="207", note="kept for a test line")
    await empty.keep("exclude", pool=pool, span="221-230", note="the neighbour's")
    await empty.keep("drain", pool=pool, span="231-235", note="goes")

    together, statements = await refused_of(empty)
    with monkeypatch.context() as patched:
        patched.setattr(rehoming, "_give", one_by_one)
        alone, _ = await refused_of(empty)

    assert together == alone
    assert [where for where, _ in together] == [
        f"service {line['service_id']}" for line in (given[6], given[10], *given[20:35], *second)
    ]
    assert statements < 100
    whys = [what.split(": ", 1)[1] for _, what in together]
    assert whys[0].startswith("207 of pool metro/212 is reserved (kept for a test line); nothing was changed.")
    assert whys[1].startswith("211 of pool metro/212 is never handed out: reserved.")
    assert whys[2].startswith("221 of pool metro/212 is never handed out: excluded by hand (the neighbour's).")
    assert whys[12].startswith("231 of pool metro/212 is in a part that is being drained (goes)")
    taken = f"201 of pool metro/212 is held by service {given[0]['service_id']}; nothing was changed."
    assert whys[17].startswith(taken)
    assert await empty.violations() == []


async def test_a_computed_c_vlan_that_cools_off_for_somebody_else_is_refused(empty: Network) -> None:
    await empty.apply(two_bngs(behind="bng-2"))
    await empty.release((await empty.allocate(101, "LOC-2-1"))["service_id"])
    await empty.keep("rehome", **{**NEW, "bng": "bng-1"})
    for onu in ONUS[:3]:
        await empty.allocate(onu, f"LOC-2-{onu}")

    [(where, what)], _ = await refused_of(empty)

    assert where == "service 2"
    assert "201 of pool metro/212 was somebody else's and is in quarantine until" in what


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_a_computed_c_vlan_that_others_are_at_is_waited_for_and_the_others_go_together(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(two_bngs(behind="bng-2"))
    await empty.release((await empty.allocate(101, "LOC-2-2"))["service_id"])
    empty.clock.forward(days=30)
    await empty.keep("rehome", **{**NEW, "bng": "bng-1"})
    for onu in ONUS[:3]:
        await empty.allocate(onu, f"LOC-2-{onu}")
    alone: list[int] = []
    give_alone = rehoming._give_alone
    async with empty.database.begin() as others:
        rests = select(Allocation.id).join(Pool).where(Pool.name == "metro/212").with_for_update(of=Allocation)
        assert len((await others.scalars(rests)).all()) == 1

        async def let_go_then(db: AsyncSession, each: rehoming._Going, *stocks: Any) -> None:
            alone.append(each.line.place.onu or 0)
            await others.rollback()
            await give_alone(db, each, *stocks)

        monkeypatch.setattr(rehoming, "_give_alone", let_go_then)
        done = await empty.keep("rehome", **NEW)

    assert (alone, [each["given"][-1] for each in done.moved]) == ([2], ["201", "202", "203"])
    assert await empty.violations() == []


async def test_where_the_next_free_c_vlan_is_taken_first_computed_ones_beside_it_go_as_before(empty: Network) -> None:
    """Of two S-VLANs in one chain the first one's is known by its number, and the second one's is the next free one."""
    described = two_bngs()
    described["svlan"].append(
        {"group": "metro", "vid": 213, "cvlans": ["2-9"], "bindings": [{"bng": "bng-2", "priority": 200}]}
    )
    await empty.apply(described)
    for onu in ONUS[:5]:
        await empty.allocate(onu, f"LOC-2-{onu}")

    done = await empty.keep("rehome", **NEW)

    assert [each["given"][-1] for each in done.moved] == [str(200 + onu) for onu in ONUS[:5]]
    assert await empty.violations() == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_who_is_just_being_given_a_computed_c_vlan_there_is_waited_for_and_comes_again_meanwhile(
    empty: Network,
) -> None:
    described = two_bngs()
    described["access_node"].append({**described["access_node"][1], "name": "OLT-9", "bng": "bng-2"})
    described["location"] += [
        {"id": f"LOC-9-{onu}", "access_node": "OLT-9", "port": "0/2/0", "onu": onu} for onu in (70, 71)
    ]
    await empty.apply(described)
    for onu in ONUS[:3]:
        await empty.allocate(onu, f"LOC-2-{onu}")

    async with empty.database.begin() as db:
        first = await empty.service(db).allocate_resources(
            customer_id=70, service_location="LOC-9-70", bandwidth_plan="fiber-100"
        )
        rehoming = asyncio.create_task(empty.keep("rehome", **NEW))
        await until_it_waits_for_us(db, rehoming)
        second = asyncio.create_task(empty.allocate(71, "LOC-9-71"))
    done = await rehoming

    assert [each["given"][-1] for each in done.moved] == ["201", "202", "203"]
    assert (first["cvlan"], (await second)["cvlan"]) == (270, 271)
    assert await empty.violations() == []
