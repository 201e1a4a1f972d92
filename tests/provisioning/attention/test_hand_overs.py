"""Held runs that a team has been given are told calmly, with whom; those that nobody has are as urgent as before."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.attention import Item, Target
from provisioning.attention.hand_overs import with_hand_overs


def ticket(number: int, team: str = "noc", state: str = "open") -> Any:
    return {"ticket_id": number, "assigned_team": team, "state": state}


@pytest.mark.parametrize(
    ("count", "tickets", "urgency", "told"),
    [
        (1, [], "now", ""),
        (1, [ticket(7)], "today", "Handed over to noc as ticket 7."),
        (1, [ticket(7, state="inProgress")], "today", "Handed over to noc as ticket 7, who are at it."),
        (
            1,
            [ticket(7, state="resolved")],
            "now",
            "It was handed over to noc; ticket 7 is resolved, and the run is held all the same.",
        ),
        (4, [ticket(7), ticket(8, state="closed")], "now", "1 of them is handed over, to noc as ticket 7."),
        (4, [ticket(8, state="closed")], "now", ""),
        (4, [ticket(7), ticket(8)], "now", "2 of them are handed over, to noc."),
        (3, [ticket(7), ticket(8), ticket(9, "field")], "today", "All 3 are handed over, 2 to noc, 1 to field."),
    ],
)
def test_whom_runs_were_handed_over_to_is_told_and_makes_them_calmer_when_it_is_all_of_them(
    count: int, tickets: list[Any], urgency: str, told: str
) -> None:
    item = Item("run_held", "now", "held", Target("run", "1"), count=count)
    seen = with_hand_overs(item, dict(enumerate(tickets)), looked_at=count)
    assert (seen.urgency, seen.handed_over) == (urgency, told)


def test_of_more_runs_than_are_looked_at_it_is_said_how_many_were() -> None:
    item = Item("run_held", "now", "held", Target("runs"), count=600)
    seen = with_hand_overs(item, {1: ticket(7), 2: ticket(8)}, looked_at=500)
    assert (seen.urgency, seen.handed_over) == ("now", "Of the newest 500: 2 of them are handed over, to noc.")
