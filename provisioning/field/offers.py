"""Slot offers of one technician's day: where the job fits in between, what the way costs, and why, in words. Pure.

It is put in where it costs the least way (cheapest insertion): the way there and on, less the way that would have been
driven anyhow. Within a day the least detour comes first, then the earliest, then whoever has least to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from provisioning.days import day_of
from provisioning.field.jobs import JobRecord
from provisioning.field.rosters import Roster
from provisioning.field.travel import Place

GRID_SECONDS = 15 * 60
STEP = timedelta(minutes=30)
"""Within one gap, the distance of what is offered."""
UNKNOWN_MINUTES = 10**6
"""As an offer is ranked whose way nobody knows: after all that are known."""

Way = Callable[[Place | None, Place | None], int | None]
"""Minutes from a place to another; None where they aren't known."""


@dataclass(frozen=True)
class Appointed:
    """A visit that is there already: when its technician is busy with it, and where.

    ``held_from``: since when the way to it is kept free; it stays so for who comes from where nobody knows the way.
    """

    starts_at: datetime
    busy_until: datetime
    place: Place | None
    held_from: datetime | None = None


@dataclass(frozen=True)
class Candidate:
    """A technician with what they have to do."""

    technician_id: int
    name: str
    skills: frozenset[str]
    home: Place | None
    roster: Roster
    visits: tuple[Appointed, ...]


@dataclass(frozen=True)
class Offer:
    """A time at which a technician can come, and why it stands where it stands.

    ``travel_minutes``: from the visit before, or from home; None: not known. ``detour_minutes``: what the whole day's
    way grows by. ``comes_from``: where the visit before is, or home.
    """

    technician_id: int
    technician_name: str
    starts_at: datetime
    ends_at: datetime
    arrives_until: datetime
    travel_minutes: int | None
    detour_minutes: int | None
    visits_that_day: int
    why: str
    comes_from: Place | None


def offers_on(
    day: date, people: Iterable[Candidate], job: JobRecord, place: Place | None, *, way: Way, now: datetime
) -> list[Offer]:
    """What can be offered on this day, the best first; nobody is offered who lacks a skill of the job."""
    able = [each for each in people if each.skills >= set(job["skills"])]
    return sorted((offer for each in able for offer in _of(each, day, job, place, way, now)), key=rank)


def offers_at(
    moment: datetime,
    people: Iterable[Candidate],
    job: JobRecord,
    place: Place | None,
    *,
    way: Way,
    only_offered: bool = False,
) -> list[Offer]:
    """Who can come at this very moment, the best first; nobody is offered who lacks a skill of the job.

    Any minute will do, and whose week nobody has told may be asked at any hour; ``only_offered``: a quarter of an hour
    alone, and the hours in which ``offers_on`` offers them.
    """
    if only_offered and _next_quarter(moment) != moment:
        return []
    able = [each for each in people if each.skills >= set(job["skills"])]
    found = [offer for each in able for offer in _then(each, moment, job, place, way, only_offered=only_offered)]
    return sorted(found, key=rank)


def rank(offer: Offer) -> tuple[int, datetime, int, int]:
    """Within one day, what comes first."""
    detour = UNKNOWN_MINUTES if offer.detour_minutes is None else offer.detour_minutes
    return detour, offer.starts_at, offer.visits_that_day, offer.technician_id


def _of(who: Candidate, day: date, job: JobRecord, place: Place | None, way: Way, now: datetime) -> list[Offer]:
    periods = who.roster.periods(day)
    if not periods:
        return []
    opens, closes = periods[0][0], periods[-1][1]
    todays = _between(who, opens, closes)
    earlier = max((each for each in who.visits if each.busy_until <= opens), key=_begin, default=None)
    later = min((each for each in who.visits if each.starts_at >= closes), key=_begin, default=None)
    offers = []
    for between in pairwise([earlier, *todays, later]):
        for begins, ends in periods:
            offers += _in_gap(who, (max(begins, now), ends), between, todays, job, place, way)
    return offers


def _then(
    who: Candidate, moment: datetime, job: JobRecord, place: Place | None, way: Way, *, only_offered: bool
) -> list[Offer]:
    ends = moment + timedelta(minutes=job["duration_minutes"])
    hours = who.roster.periods(day_of(moment, who.roster.zone))
    is_offered = any(begins <= moment and ends <= until for begins, until in hours)
    if who.roster.refusal(moment, ends) is not None or (only_offered and not is_offered):
        return []
    span = [(moment, ends), *hours]
    todays = _between(who, min(begins for begins, _ in span), max(until for _, until in span))
    before = max((each for each in who.visits if each.starts_at < moment), key=_begin, default=None)
    after = min((each for each in who.visits if each.starts_at >= moment), key=_begin, default=None)
    offers = _in_gap(who, (moment, ends), (before, after), todays, job, place, way, begin=lambda free: free)
    return [offer for offer in offers if offer.starts_at == moment]


def _between(who: Candidate, opens: datetime, closes: datetime) -> list[Appointed]:
    """What they have to do in this time, in order."""
    return sorted((each for each in who.visits if each.starts_at < closes and opens < each.busy_until), key=_begin)


def _begin(visit: Appointed) -> datetime:
    return visit.starts_at


def _in_gap(
    who: Candidate,
    gap: tuple[datetime, datetime],
    between: tuple[Appointed | None, Appointed | None],
    todays: Sequence[Appointed],
    job: JobRecord,
    place: Place | None,
    way: Way,
    *,
    begin: Callable[[datetime], datetime] = lambda free: _next_quarter(free),
) -> list[Offer]:
    """``between``: the visits before and after, which leave time for the way also where they aren't ``todays``: then
    the technician comes from home, and is on the way to nowhere else.

    ``begin``: when a visit begins of which the technician is free from then on.
    """
    free_from, free_to = _free(gap, between, job, place, way)
    before, after = (each if each in todays else None for each in between)
    here = before.place if before else who.home
    there, onward = way(here, place), way(place, after.place if after else None)
    length = timedelta(minutes=job["duration_minutes"])
    direct = way(here, after.place if after else None) or 0
    detour = None if there is None else max(0, there + (onward or 0) - direct)
    offers, start = [], begin(free_from)
    while start + length <= free_to:
        offers.append(
            Offer(
                technician_id=who.technician_id,
                technician_name=who.name,
                starts_at=start,
                ends_at=start + length,
                arrives_until=start + timedelta(minutes=job["window_minutes"]),
                travel_minutes=there,
                detour_minutes=detour,
                visits_that_day=len(todays),
                why=_why(who, there, before is None, job["skills"], (free_from, free_to)),
                comes_from=here,
            )
        )
        start += STEP
    return offers


def _free(
    gap: tuple[datetime, datetime],
    between: tuple[Appointed | None, Appointed | None],
    job: JobRecord,
    place: Place | None,
    way: Way,
) -> tuple[datetime, datetime]:
    """What a booking finds free of the gap (``Fitting.fit``)."""
    before, after = between
    free_from, free_to = gap
    if before is not None:
        free_from = max(free_from, before.busy_until + timedelta(minutes=way(before.place, place) or 0))
    if after is not None:  # what is kept free, and the way on, lie before the next visit
        onward = way(place, after.place)
        way_from = (
            (after.held_from or after.starts_at) if onward is None else after.starts_at - timedelta(minutes=onward)
        )
        free_to = min(free_to, way_from - timedelta(minutes=job["buffer_minutes"]))
    return free_from, free_to


def _why(
    who: Candidate, minutes: int | None, from_home: bool, skills: Sequence[str], free: tuple[datetime, datetime]
) -> str:
    if minutes is None:
        far = "how far away is not known"
    else:
        far = f"{minutes} min from home" if from_home else f"{minutes} min away"
    can = f"has {', '.join(skills)}" if skills else "no skill needed"
    begins, ends = (moment.astimezone(who.roster.zone) for moment in free)
    return f"{far}, {can}, free {begins:%H:%M}-{ends:%H:%M}"


def _next_quarter(moment: datetime) -> datetime:
    seconds = moment.timestamp()
    return datetime.fromtimestamp(-(-seconds // GRID_SECONDS) * GRID_SECONDS, UTC)
