"""Lines that were lost at once are one outage at the smallest place that explains them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ipam import Behind
from provisioning.attention import LostLine, Outage
from provisioning.attention import outages as outages_of
from provisioning.attention.outages import LINE_STEPS, elsewhere, outages_at_nases
from workflows import DEFINITIONS, RunSummary

NOW = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
OLT_1_A, OLT_1_B, OLT_2_A = ("bng-1", "olt-1", "0/1"), ("bng-1", "olt-1", "0/2"), ("bng-1", "olt-2", "0/1")
HELD = {"customer_id": 7, "current_step": "apply_device", "updated_at": NOW}
SERVICES: dict[Behind, int] = {OLT_1_A: 4, OLT_1_B: 4, OLT_2_A: 40, ("bng-2", "olt-9", "0/1"): 100}


async def outages(lines: Sequence[LostLine], behind: dict[Behind, int] = SERVICES) -> list[Outage]:
    """With so many services behind each port."""

    async def count(place: Sequence[str | None], most: int) -> int:
        return min(most, sum(each for key, each in behind.items() if key[: len(place)] == tuple(place)))

    return await outages_of(lines, count)


def lost(behind: Behind, count: int, first: int = 1) -> list[LostLine]:
    return [
        LostLine(f"u{number}@isp", number, behind, NOW - timedelta(minutes=1, seconds=number))
        for number in range(first, first + count)
    ]


async def test_half_of_a_port_is_down_and_one_or_two_lines_are_not() -> None:
    lines = lost(OLT_1_A, 3)
    [found] = await outages(lines)
    since = NOW - timedelta(minutes=1, seconds=3)
    assert found == Outage("port", "bng-1", "olt-1", "0/1", 3, 4, since, frozenset({1, 2, 3}))
    assert found.where == "port 0/1 of access node olt-1 (BNG bng-1)"
    assert await outages(lost(OLT_1_A, 2), {OLT_1_A: 2}) == []
    assert await outages(lost(OLT_2_A, 19)) == []
    assert elsewhere([*lines, *lost(OLT_2_A, 5, 10)], [found]) == 5


async def test_ports_that_are_down_together_are_their_access_node() -> None:
    [found] = await outages([*lost(OLT_1_A, 3), *lost(OLT_1_B, 2, 10)])
    assert (found.level, found.where, found.lost, found.of) == ("access_node", "access node olt-1 (BNG bng-1)", 5, 8)
    assert found.holds(OLT_1_B) and found.holds(("bng-1", "olt-1", None)) and not found.holds(OLT_2_A)


async def test_access_nodes_that_are_down_together_are_their_bng_and_told_once() -> None:
    lines = [
        *lost(OLT_1_A, 4),
        *lost(OLT_1_B, 4, 10),
        *lost(OLT_2_A, 30, 20),
        *lost(("bng-2", "olt-9", "0/1"), 60, 100),
    ]
    found = await outages(lines)
    assert [(each.where, each.lost, each.of) for each in found] == [
        ("port 0/1 of access node olt-9 (BNG bng-2)", 60, 100),
        ("BNG bng-1", 38, 48),
    ]
    assert elsewhere(lines, found) == 0


async def test_lines_whose_port_nobody_knows_are_their_access_nodes() -> None:
    [found] = await outages(lost(("bng-1", "olt-3", None), 3), {("bng-1", "olt-3", None): 5})
    assert (found.level, found.where) == ("access_node", "access node olt-3 (BNG bng-1)")


@pytest.mark.parametrize("others", [{"0/1": 100}, {"0/1": 2}])
async def test_lines_whose_port_nobody_knows_are_not_the_healthy_rest_of_their_access_node(
    others: dict[str, int],
) -> None:
    behind: dict[Behind, int] = {("bng-1", "olt-3", None): 4}
    behind |= {("bng-1", "olt-3", port): count for port, count in others.items()}
    lines = lost(("bng-1", "olt-3", None), 3)
    [found] = await outages(lines, behind)
    if others == {"0/1": 2}:  # 3 of all 6
        assert (found.level, found.is_down, found.of) == ("access_node", "Access node olt-3 (BNG bng-1) is down", 6)
        assert found.holds(("bng-1", "olt-3", "0/1"))
        return
    assert found.is_down == "Lines of access node olt-3 (BNG bng-1) whose port is not known are down"
    assert (found.lost, found.of, found.holds(lines[0].behind)) == (3, 4, True)
    assert not found.holds(("bng-1", "olt-3", "0/1")) and not found.holds(("bng-1", "olt-4", None))
    assert elsewhere([*lines, *lost(("bng-1", "olt-3", "0/1"), 2, 50)], [found]) == 2


@pytest.mark.parametrize(
    ("differs", "is_plausible"),
    [
        ({}, True),
        ({"updated_at": NOW - timedelta(minutes=10)}, True),
        ({"updated_at": NOW - timedelta(hours=3)}, False),
        ({"current_step": "deliver_email"}, False),
        ({"current_step": "confirm_port"}, False),
        ({"current_step": None}, False),
        ({"customer_id": 8}, False),
        ({"customer_id": None}, False),
    ],
)
def test_an_outage_may_hold_only_what_needs_its_lines_and_stopped_since(
    differs: dict[str, Any], is_plausible: bool
) -> None:
    outage = Outage("port", "bng-1", "olt-1", "0/1", 3, 4, NOW - timedelta(minutes=5), frozenset({1, 2, 7}))
    fields: dict[str, Any] = dict.fromkeys(RunSummary.__dataclass_fields__)
    run = RunSummary(**(fields | HELD | differs))
    assert outage.may_hold(run) is is_plausible


def test_every_step_that_needs_a_line_is_one_of_a_journey() -> None:
    assert {step.name for each in DEFINITIONS.values() for step in each.steps} >= LINE_STEPS


def test_lines_that_are_nowhere_are_down_with_their_nas() -> None:
    times = [NOW - timedelta(minutes=minute) for minute in range(5)]
    found = outages_at_nases({"bng-x": times, "bng-y": times, "bng-z": times[:2]}, {"bng-x": 5, "bng-y": 6})
    assert [(each.bng, each.lost, each.of, each.since) for each in found] == [("bng-x", 5, 10, times[-1])]
