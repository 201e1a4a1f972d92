"""The life of a subscriber: which state may follow which."""

from __future__ import annotations

from typing import Literal, get_args

State = Literal["pending", "testing", "active", "suspended", "terminated"]
"""
* pending: known, refused by FreeRADIUS; no free service before the technician's scan.
* testing: full plan until ``testing_until``, then refused again by itself.
* active: full plan.
* suspended: refused, or served by a walled garden; everything kept.
* terminated: gone from FreeRADIUS; the row stays for the record. Nothing follows, unless the request that made the
  subscriber is made again: then it is pending, with a new password.
"""

Origin = Literal["ordered", "imported"]
"""Whether a run installs it and ends it, or it was brought in as it was elsewhere: then nobody does but by hand, and
nothing is known here of its bill."""

STATES: tuple[State, ...] = get_args(State)

_MOVES: dict[State, tuple[State, ...]] = {
    # active without a test: a service that was live elsewhere and is taken over as it is
    "pending": ("testing", "active", "terminated"),
    "testing": ("testing", "pending", "active", "terminated"),
    "active": ("pending", "suspended", "terminated"),
    # back to active only by resuming: no other act may lift a suspension
    "suspended": ("terminated",),
    "terminated": (),
}


def may_become(state: State, wanted: State) -> bool:
    """True when ``wanted`` may follow ``state``. Staying as one is is always allowed."""
    return state == wanted or wanted in _MOVES[state]


def over_plan(state: State, garden_plan_id: int | None, capped_plan_id: int | None) -> int | None:
    """The plan that serves it in place of its own: a suspended one's garden, or what its data cap has led to."""
    return garden_plan_id if state == "suspended" else capped_plan_id


def refuses_logins(state: State, garden_plan_id: int | None) -> bool:
    """True when FreeRADIUS rejects every login of it."""
    in_garden = state == "suspended" and garden_plan_id is not None
    return state not in ("testing", "active") and not in_garden
