"""Held runs that a team has been given: to whom, in words, and that they are no alarm any more. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from provisioning.attention.items import Item
from provisioning.commercial import TicketRecord
from workflows import RunSummary

HandOvers = Callable[[Sequence[RunSummary]], Awaitable[Mapping[int, TicketRecord]]]
"""Of those of these held runs that were handed over as they stand: the ticket."""
BEING_DONE = ("open", "inProgress")


def with_hand_overs(item: Item, tickets: Mapping[int, TicketRecord], *, looked_at: int) -> Item:
    """An item of held runs with whom these were handed over to. ``tickets``: those of its runs, as far as they have
    one, of the ``looked_at`` runs that were looked at; where teams have all of them in hand, it is not for now: nobody
    need get up for it twice.
    """
    if not tickets:
        return item
    in_hand = [each for each in tickets.values() if each["state"] in BEING_DONE]
    if item.count == 1:
        told = _of_one(*tickets.values())
    elif in_hand:
        told = _of_several(in_hand, item.count)
        told = told if looked_at >= item.count else f"Of the newest {looked_at}: {told}"
    else:
        return item
    return replace(item, handed_over=told, urgency="today" if len(in_hand) == item.count else item.urgency)


def _of_one(ticket: TicketRecord) -> str:
    team, number, state = ticket["assigned_team"], ticket["ticket_id"], ticket["state"]
    if state in BEING_DONE:
        begun = ", who are at it" if state == "inProgress" else ""
        return f"Handed over to {team} as ticket {number}{begun}."
    return f"It was handed over to {team}; ticket {number} is {state}, and the run is held all the same."


def _of_several(in_hand: Sequence[TicketRecord], count: int) -> str:
    teams = Counter(each["assigned_team"] for each in in_hand)
    if len(in_hand) == 1:
        return f"1 of them is handed over, to {in_hand[0]['assigned_team']} as ticket {in_hand[0]['ticket_id']}."
    whom = f"to {next(iter(teams))}" if len(teams) == 1 else ", ".join(f"{n} to {team}" for team, n in teams.items())
    many = f"All {count}" if len(in_hand) == count else f"{len(in_hand)} of them"
    return f"{many} are handed over, {whom}."
