"""More services than are asked about at once go behind another BNG: each as if all were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from pytest import MonkeyPatch

from ipam import AllocatedResources, NotServed, ReleasedResources
from ipam.estate.rows import EstateRows
from ipam.units import UnitKey
from ipam.upkeep import rehoming
from ipam.upkeep.computed_cvlans import ComputedCvlans
from tests.ipam.conftest import Network, small
from tests.ipam.upkeep.test_rehoming_many import NEW, asked, give_and_take, rehomed_and_undone
from tests.support.postgres import until_it_waits_for_us

NODES = ["OLT-1", "OLT-2", "OLT-3"]
ONUS = (1, 2)


def ring(turned: int = 0, *, quarantine_seconds: int = 0) -> dict[str, Any]:
    """Three nodes, each with an S-VLAN of its own and a pool of as many addresses as it has premises; ``turned``: each
    has what another one had."""
    described = small(plan=[{"name": "fiber-100", "access": "pppoe"}])
    described["bng"].append({"name": "bng-2"})
    described["access_node"] = [
        {"name": node, "site": "north", "bng": "bng-1", "vlan_model": "one_to_one"} for node in NODES
    ]
    described["location"] = [
        {"id": f"LOC-{number}-{onu}", "access_node": node, "onu": onu}
        for number, node in enumerate(NODES, start=1)
        for onu in ONUS
    ]
    parts = [
        {"quarantine_seconds": quarantine_seconds, "bindings": [{"access_node": NODES[(number + turned) % len(NODES)]}]}
        for number in range(len(NODES))
    ]
    described["svlan"] = [
        {"group": "metro", "vid": 201 + number, "cvlans": ["2-4094"], "cvlan_formula": "100 + onu", **part}
        for number, part in enumerate(parts)
    ]
    described["pool"] = [
        {"name": f"v4-{number + 1}", "kind": "ipv4", "network": f"100.64.{number}.0/30", **part}
        for number, part in enumerate(parts)
    ]
    return described


async def turned_round(network: Network, **said: int) -> list[AllocatedResources]:
    """Whose S-VLANs and addresses serve the next node by now, and are all somebody's there: by ONU and node."""
    await network.apply(ring(**said))
    given = [await network.allocate(10 * node + onu, f"LOC-{node}-{onu}") for onu in ONUS for node in (1, 2, 3)]
    assert [(line["svlan"], line["cvlan"]) for line in given[:3]] == [(201, 101), (202, 101), (203, 101)]
    after = ring(1, **said)
    await network.apply({"pool": after["pool"], "svlan": after["svlan"]})
    return given


RING: dict[str, Any] = {"access_nodes": NODES, "bng": "bng-2", "note": "BNG 1 is retired"}


@pytest.mark.parametrize("at_once", [1, 2, 4, 6])
async def test_what_services_of_several_thousands_exchange_in_a_ring_goes_to_each(
    empty: Network, monkeypatch: MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(rehoming, "AT_ONCE", at_once)
    before = await turned_round(empty)

    done = await empty.keep("rehome", **RING)

    assert done.refusal is None
    assert [each["service_id"] for each in done.moved] == [line["service_id"] for line in before]
    now = [await empty.serve("resources", service_id=line["service_id"]) for line in before]
    assert [(line["svlan"], line["cvlan"]) for line in now] == [
        (vid, 100 + onu) for onu in ONUS for vid in (203, 201, 202)
    ]
    assert sorted(str(line["ip_address"]) for line in now) == sorted(str(line["ip_address"]) for line in before)
    assert [str(line["ip_address"])[:8] for line in now[:3]] == ["100.64.2", "100.64.0", "100.64.1"]
    assert await empty.violations() == []


@pytest.mark.parametrize("at_once", [1, 2, 4])
async def test_who_lacks_something_among_several_thousands_leaves_all_as_it_was(
    empty: Network, monkeypatch: MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(rehoming, "AT_ONCE", at_once)
    before = await turned_round(empty, quarantine_seconds=60)
    histories = [await empty.keep("history", pool=f"v4-{number}", value=f"100.64.{number - 1}.1") for number in (1, 2)]

    with pytest.raises(NotServed) as refused:
        async with empty.database.begin() as db:
            done = await empty.upkeep(db).rehome(**RING)
            assert done.refusal is not None
            raise done.refusal

    assert done.not_served == tuple(line["service_id"] for line in before)
    why = {fault.what.split(": ", 1)[1].split(". ")[0] for fault in refused.value.faults}
    assert {each for each in why if each.startswith("Pool")} == {
        f"Pool v4-{number} is full: 2 of 2 assigned, 0 in quarantine" for number in (1, 2, 3)
    }
    for line in before:
        assert await empty.serve("resources", service_id=line["service_id"]) == line
    assert histories == [
        await empty.keep("history", pool=f"v4-{number}", value=f"100.64.{number - 1}.1") for number in (1, 2)
    ]
    assert await empty.violations() == []


@pytest.mark.parametrize("at_once", [1, 2, 4])
async def test_each_has_its_former_unit_back_whatever_part_of_them_it_goes_with(
    empty: Network, monkeypatch: MonkeyPatch, at_once: int
) -> None:
    own = await give_and_take(empty)
    together = await rehomed_and_undone(empty)
    monkeypatch.setattr(rehoming, "AT_ONCE", at_once)

    done = await empty.keep("rehome", **NEW)

    if not empty.database.is_postgresql:  # there, where to begin in a pool is drawn by lot
        assert list(done.moved) == together
    assert [each["given"][0] for each in done.moved[:3]] == own
    assert await empty.violations() == []


async def statements_of(network: Network, monkeypatch: MonkeyPatch, at_once: int) -> int:
    await turned_round(network)
    seen: list[str] = []
    monkeypatch.setattr(rehoming, "AT_ONCE", at_once)
    with asked(network, seen):
        assert (await network.keep("rehome", **RING)).refusal is None
    return len(seen)


async def test_each_thousand_more_takes_as_many_statements(empty: Network, monkeypatch: MonkeyPatch) -> None:
    counts = [
        await statements_of(Network(empty.database, empty.clock, tenant_id=f"isp-{at_once}"), monkeypatch, at_once)
        for at_once in (6, 3, 2)
    ]
    assert counts[0] < counts[1] < 2 * counts[0]
    assert counts[1] < counts[2] < 3 * counts[0]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer
async def test_a_service_that_is_released_while_another_one_is_given_what_it_had_waits_for_both(
    empty: Network, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(rehoming, "AT_ONCE", 1)
    before = await turned_round(empty)
    third = before[2]["service_id"]  # what it has is the first one's from then on
    look_at, tasks = ComputedCvlans.of, list[asyncio.Task[ReleasedResources]]()

    async def then_it_is_released(rows: EstateRows, wanted: Iterable[UnitKey], *, at: datetime) -> ComputedCvlans:
        cvlans = await look_at(rows, wanted, at=at)
        if not tasks:
            tasks.append(asyncio.create_task(empty.release(third)))
            await until_it_waits_for_us(rows.db, tasks[0])
        return cvlans

    monkeypatch.setattr(ComputedCvlans, "of", then_it_is_released)
    done = await empty.keep("rehome", **RING)
    released = await tasks[0]

    assert [each["service_id"] for each in done.moved] == [line["service_id"] for line in before]
    assert [each["value"] for each in released["released"]] == list(reversed(done.moved[2]["given"]))
    assert await empty.violations() == []
