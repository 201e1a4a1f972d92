"""The text of a calendar, read by a parser that is not the one that wrote it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import vobject  # type: ignore[import-untyped]

from provisioning.field.ical import Shown, render_calendar

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 10, 25, tzinfo=UTC)
"""At 01:00 UTC the clocks of Berlin go back from 03:00 to 02:00."""


def shown(begins: datetime, ends: datetime) -> Shown:
    return Shown(
        visit_id=1,
        title="Repair",
        starts_at=begins,
        ends_at=ends,
        address="Main Street 1",
        place=None,
        description="",
        is_off=False,
        sequence=0,
        booked_at=NIGHT,
        changed_at=NIGHT,
    )


def test_a_visit_in_the_hour_that_comes_twice_ends_after_it_begins() -> None:
    begins, ends = NIGHT.replace(minute=45), NIGHT.replace(hour=1, minute=30)  # 02:45, and 02:30 for the second time

    text = render_calendar("Tess", [shown(begins, ends)], tenant_id="isp", zone=BERLIN, now=NIGHT).decode()

    event = vobject.readOne(text).vevent
    assert (event.dtstart.value.astimezone(UTC), event.dtend.value.astimezone(UTC)) == (begins, ends)
    assert "DTSTART;TZID=Europe/Berlin:20261025T024500" in text


def test_a_calendar_that_is_read_says_nothing_that_only_a_message_with_an_organizer_may() -> None:
    visit = shown(NIGHT, NIGHT.replace(hour=1))

    text = render_calendar("Tess", [visit], tenant_id="isp", zone=BERLIN, now=NIGHT).decode()

    assert "method" not in vobject.readOne(text).contents
