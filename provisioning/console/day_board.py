"""A day's lanes by technician: visits in the order of time, and between them what is free of the hours. Pure.

The way to a visit and what it holds besides are not in it: whether one more fits, the calendar says when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from provisioning.days import begin_of, end_of
from provisioning.field import IN_VAIN, LeaveRecord, PlannedTechnician, VisitRecord
from provisioning.field.rosters import Leave, Period, Roster
from workflows.services import VisitState

SHORTEST_GAP = timedelta(minutes=15)
ON_THE_BOARD: tuple[VisitState, ...] = ("booked", "scanned", "completed", *IN_VAIN)
"""What takes a technician's time, or has taken it in vain; a visit that was called off doesn't."""
AT_WORK: tuple[VisitState, ...] = ("scanned",)
"""Of which more ticks may turn true."""
HAS_TICKS: tuple[VisitState, ...] = (*AT_WORK, "completed")


@dataclass(frozen=True)
class Block:
    """A visit, or (None) a gap, from when to when."""

    begins: datetime
    ends: datetime
    visit: VisitRecord | None


@dataclass(frozen=True)
class Lane:
    """One technician's day. ``away``: why they are not there on it, or on a part of it."""

    technician: PlannedTechnician
    blocks: list[Block]
    away: list[str]


def lanes_of(
    day: date,
    *,
    zone: ZoneInfo,
    technicians: Iterable[PlannedTechnician],
    leave: Sequence[LeaveRecord],
    visits: Sequence[VisitRecord],
) -> list[Lane]:
    """In the order of the technicians; ``zone``: of whom none is known."""
    own: dict[int, list[VisitRecord]] = {}
    for visit in visits:
        own.setdefault(visit["technician_id"], []).append(visit)
    lanes = []
    for each in technicians:
        roster = _roster(each, leave, zone)
        blocks = blocks_of(roster.periods(day), own.get(each["technician_id"], []))
        lanes.append(Lane(each, blocks, away_on(day, roster)))
    return lanes


def away_on(day: date, roster: Roster) -> list[str]:
    """A public holiday, and leave with its hours, by the technician's own clock."""
    begins, ends = begin_of(day, roster.zone), end_of(day, roster.zone)
    holiday = roster.holiday(day)
    found = [] if holiday is None else [f"public holiday: {holiday}"]
    for leave in roster.leave:
        if leave.starts_at < ends and begins < leave.ends_at:
            first, last = (at.astimezone(roster.zone) for at in (leave.starts_at, leave.ends_at))
            found.append(f"away from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}: {leave.reason}")
    return found


def blocks_of(periods: Sequence[Period], visits: Sequence[VisitRecord]) -> list[Block]:
    """The visits, and what they leave of these periods, in the order of time.

    One that was in vain takes time until that was reported.
    """
    blocks = [Block(visit["starts_at"], visit["ends_at"], visit) for visit in visits]
    for begins, ends in periods:
        free_from = begins
        for visit in sorted(visits, key=lambda each: each["starts_at"]):
            taken_until = _taken_until(visit)
            if taken_until <= free_from or visit["starts_at"] >= ends:
                continue
            blocks.append(Block(free_from, visit["starts_at"], None))
            free_from = taken_until
        blocks.append(Block(free_from, ends, None))
    kept = [each for each in blocks if each.visit is not None or each.ends - each.begins >= SHORTEST_GAP]
    return sorted(kept, key=lambda each: each.begins)


def _taken_until(visit: VisitRecord) -> datetime:
    if visit["state"] not in IN_VAIN or visit["outcome_at"] is None:
        return visit["ends_at"]
    return min(max(visit["outcome_at"], visit["starts_at"]), visit["ends_at"])


def _roster(technician: PlannedTechnician, leave: Sequence[LeaveRecord], zone: ZoneInfo) -> Roster:
    own = [each for each in leave if each["technician_id"] == technician["technician_id"]]
    week: Mapping[str, Sequence[str]] | None = technician["week"]
    return Roster(
        week=week,
        zone=zone if technician["time_zone"] is None else ZoneInfo(technician["time_zone"]),
        holidays=technician["holidays"],
        leave=tuple(Leave(each["starts_at"], each["ends_at"], each["reason"]) for each in own),
    )
