"""Slot offers: where a job fits in between, what the way costs, and why it stands where it stands."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from provisioning.field.jobs import JobRecord
from provisioning.field.offers import Appointed, Candidate, offers_at, offers_on
from provisioning.field.rosters import Roster
from provisioning.field.travel import Place, distance_km, minutes_between

MONDAY = date(2026, 3, 2)
HERE = Place(48.10, 11.50)
NEAR = Place(48.10, 11.58)
FAR = Place(48.40, 11.50)
JOB = JobRecord(name="splice", duration_minutes=60, buffer_minutes=15, window_minutes=120, skills=["splicing"])
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def who(number: int = 1, home: Place | None = None, *visits: Appointed, hours: str = "08:00-12:00") -> Candidate:
    roster = Roster({"mon": [hours]}, ZoneInfo("UTC"))
    return Candidate(number, f"T{number}", frozenset({"splicing"}), home, roster, tuple(visits))


def test_the_way_is_the_great_circle_at_the_speed_of_vans() -> None:
    assert distance_km(Place(52.52, 13.405), Place(48.137, 11.575)) == pytest.approx(504.4, abs=0.5)
    assert minutes_between(HERE, NEAR) == 9
    assert minutes_between(HERE, HERE) == 0
    assert minutes_between(None, NEAR) is None


def test_within_a_day_the_least_detour_comes_first_not_the_earliest() -> None:
    early_but_far = who(1, FAR, hours="08:00-09:00")
    later_but_near = who(2, NEAR, hours="08:15-09:15")
    offers = offers_on(MONDAY, [early_but_far, later_but_near], JOB, HERE, way=minutes_between, now=NOW)
    assert [(offer.technician_id, offer.starts_at, offer.detour_minutes) for offer in offers] == [
        (2, at(8, 15), 9),
        (1, at(8), 51),
    ]
    assert offers[0].why == "9 min from home, has splicing, free 08:15-09:15"
    assert offers[0].arrives_until == at(10, 15)


def test_the_way_there_and_on_and_the_buffer_are_left_free() -> None:
    busy = who(1, NEAR, Appointed(at(8), at(9), NEAR), Appointed(at(10, 40), at(12), FAR))
    assert offers_on(MONDAY, [busy], JOB, HERE, way=minutes_between, now=NOW) == []
    roomy = who(1, NEAR, Appointed(at(8), at(9), NEAR), Appointed(at(11, 30), at(12), FAR))
    [offer] = offers_on(MONDAY, [roomy], JOB, HERE, way=minutes_between, now=NOW)
    # 9:00 and 9 minutes of way, told at a quarter; 10:15 and a buffer of 15 and 51 minutes on is before 11:30
    assert (offer.starts_at, offer.ends_at, offer.travel_minutes) == (at(9, 15), at(10, 15), 9)
    assert offer.why == "9 min away, has splicing, free 09:09-10:24"
    assert offer.visits_that_day == 2


def test_a_visit_beside_the_hours_leaves_time_for_its_way_though_they_come_from_home() -> None:
    early, late = Appointed(at(6, 30), at(8), NEAR), Appointed(at(12, 5), at(13), NEAR)
    offers = offers_on(MONDAY, [who(1, HERE, early, late)], JOB, HERE, way=minutes_between, now=NOW)
    # 8:00 and 9 minutes of way, told at a quarter; before 12:05 less 9 minutes and a buffer of 15
    assert [offer.starts_at for offer in offers] == [at(8, 15), at(8, 45), at(9, 15), at(9, 45), at(10, 15)]
    assert offers[0].why == "0 min from home, has splicing, free 08:09-11:41"
    assert {(offer.detour_minutes, offer.visits_that_day) for offer in offers} == {(0, 0)}
    sharp = who(1, HERE, Appointed(at(12), at(13), HERE))
    offers = offers_on(MONDAY, [sharp], JOB, HERE, way=minutes_between, now=NOW)
    assert offers[-1].starts_at == at(10, 30)
    assert [offers_at(at(10, minute), [sharp], JOB, HERE, way=minutes_between) != [] for minute in (45, 46)] == [
        True,
        False,
    ]


def test_the_way_to_the_next_visit_stays_kept_where_nobody_knows_it_from_here() -> None:
    kept = who(1, HERE, Appointed(at(11), at(12), FAR, held_from=at(10, 20)))
    offers = offers_on(MONDAY, [kept], JOB, None, way=minutes_between, now=NOW)
    assert [offer.starts_at for offer in offers] == [at(8), at(8, 30), at(9)]  # over at 10:00, and a buffer of 15


def test_nobody_is_offered_who_lacks_a_skill_or_before_now() -> None:
    unable = Candidate(3, "T3", frozenset(), None, Roster({"mon": ["08:00-12:00"]}, ZoneInfo("UTC")), ())
    assert offers_on(MONDAY, [unable], JOB, HERE, way=minutes_between, now=NOW) == []
    late = offers_on(MONDAY, [who(hours="08:00-10:00")], JOB, HERE, way=minutes_between, now=at(8, 50))
    assert [offer.starts_at for offer in late] == [at(9)]


def test_an_unknown_way_is_said_and_ranked_last() -> None:
    offers = offers_on(MONDAY, [who(1), who(2, FAR)], JOB, HERE, way=minutes_between, now=NOW)
    assert offers[0].technician_id == 2
    assert offers[-1].why.startswith("how far away is not known, has splicing, free 08:00-12:00")
