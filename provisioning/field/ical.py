"""A calendar of visits as iCalendar (RFC 5545). Pure: what is to be shown comes in, text goes out.

A visit keeps its UID for ever; its SEQUENCE grows with every change (section 3.8.7.4), so that a calendar which has the
visit already takes the change; and one that was called off stays, as STATUS:CANCELLED, instead of vanishing. There is
no METHOD: it is what the calendar holds, and no message by which anybody agrees on it (section 3.7.2), which would need
an ORGANIZER of each visit (RFC 5546 section 3.2.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

PRODUCT = "-//Firstlight//Visits//EN"
REFRESH = timedelta(minutes=15)


@dataclass(frozen=True)
class Shown:
    """One visit as a calendar shows it. ``place``: latitude and longitude. No customer's name or phone is in it."""

    visit_id: int
    title: str
    starts_at: datetime
    ends_at: datetime
    address: str
    place: tuple[float, float] | None
    description: str
    is_off: bool
    sequence: int
    booked_at: datetime
    changed_at: datetime


def render_calendar(name: str, visits: Iterable[Shown], *, tenant_id: str, zone: ZoneInfo, now: datetime) -> bytes:
    """The calendar of this name, with its VTIMEZONE."""
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("name", name)  # RFC 7986 section 5.1
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})  # RFC 7986 section 5.7
    calendar.add("x-published-ttl", REFRESH)
    shown = list(visits)
    for visit in shown:
        calendar.add_component(_event(visit, tenant_id, zone, now))
    if shown and zone.key != "UTC":
        first, last = min(visit.starts_at for visit in shown), max(visit.ends_at for visit in shown)
        calendar.add_missing_timezones(
            first_date=(first - timedelta(days=366)).date(), last_date=(last + timedelta(days=366)).date()
        )
    text: bytes = calendar.to_ical()
    return text


def _event(visit: Shown, tenant_id: str, zone: ZoneInfo, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"visit-{visit.visit_id}@{tenant_id}.firstlight")
    event.add("dtstamp", now.astimezone(UTC))
    event.add("created", visit.booked_at.astimezone(UTC))
    event.add("last-modified", visit.changed_at.astimezone(UTC))
    event.add("sequence", visit.sequence)
    event.add("status", "CANCELLED" if visit.is_off else "CONFIRMED")
    event.add("summary", visit.title)
    event.add("location", visit.address)
    event.add("description", visit.description)
    for name, moment in (("dtstart", visit.starts_at), ("dtend", visit.ends_at)):
        event.add(name, _shown_at(moment, zone))
    if visit.place is not None:
        event.add("geo", visit.place)
    if visit.is_off:
        event.add("transp", "TRANSPARENT")  # nobody is busy with it
    return event


def _shown_at(moment: datetime, zone: ZoneInfo) -> datetime:
    """In local time, unless that comes twice when the clocks go back: RFC 5545 means the first then (section 3.3.5)."""
    local = moment.astimezone(zone)
    return moment.astimezone(UTC) if zone.key == "UTC" or local.fold else local
