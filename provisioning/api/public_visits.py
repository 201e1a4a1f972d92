"""A customer's own visit, as the link of a mail leads to it: when it is, when else it could be, and its move.

The page tells no technician, neither who comes nor who else might. Whoever comes too late for a time is shown the
nearest ones that are free, looked for when nothing is locked any more; the link is used up by a move alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.responses import Response

from provisioning.access import subject_of
from provisioning.api.calls import Call, etag_of
from provisioning.api.problems import Problem
from provisioning.api.public_pages import message, page, refused, render, spoken, wording
from provisioning.customer_slots import CHOSEN, Chosen, OwnVisit
from provisioning.days import begin_of, day_of
from provisioning.field import NoTimeChosen, VisitChanged, VisitRecord, VisitUnknown
from provisioning.links import LANGUAGE, LinkExpired, LinkUsed
from workflows import FIRST_YEAR, LAST_YEAR
from workflows.answers import LinkTo

LATER = "from"
"""The parameter that says from which day on times are shown."""
MOST_TIMES_A_DAY = 8
MOST_FIELDS = 10
TAKEN = frozenset(
    {
        "field.technician_busy",
        "field.outside_hours",
        "field.skill_missing",
        "field.slot_refused",
        "field.nobody_free",
        "field.hold_ends",
    }
)
LOOK_AGAIN = frozenset({"field.visit_changed", "field.visit_not_movable", "field.visit_over"})
MEANT_NOTHING = frozenset({"field.no_time_chosen"})


@dataclass(frozen=True)
class Time:
    """A time to choose: its value in the form, and how it reads."""

    value: str
    begins: str
    ends: str
    arrives_until: str | None


async def show_visit(call: Call, to: LinkTo) -> Response:
    """The visit as it stands, and the times it could be moved to."""
    slots = call.appliance.customer_slots(call.db)
    try:
        own = await slots.look(int(to.subject), starts_after=starts_after(call))
    except VisitUnknown:
        return message(call.request, "visit.over", status=410)
    if own.standing.why_not == "over":
        return message(call.request, "visit.over", status=410)
    return _page(call.request, own.visit, "visit.title", own=own)


async def choose_time(call: Call, to: LinkTo) -> None:
    """Reads what the form holds, and looks who comes then, before anything may be written.

    Raises: VisitUnknown, VisitChanged (since it was shown), and as ``CustomerSlots.choose``.
    """
    slots = call.appliance.customer_slots(call.db)
    seen = await slots.visit(int(to.subject))
    call.request.state.own_visit = seen
    mark, starts_at = read_choice(seen, await call.request.body())
    if mark != _mark(seen):
        raise VisitChanged(seen["visit_id"])
    call.request.state.chosen = await slots.choose(seen=seen, starts_at=starts_at)


async def move_visit(call: Call, *, by: str) -> Response:
    """Moves the visit to the time that was chosen (``choose_time``). The link was used up in this transaction.

    Raises: as ``CustomerSlots.move``.
    """
    chosen: Chosen = call.request.state.chosen
    seen = chosen.seen
    moved = await call.appliance.customer_slots(call.db).move(chosen, by=by)
    call.tells(action="visits reschedule", subject=subject_of("visit", seen["visit_id"]), reason=CHOSEN)
    call.tells(customer_id=seen["customer_id"], before=seen, after=moved)
    return _page(call.request, moved, "visit.thanks", said="visit.moved")


async def show_used(call: Call, error: LinkUsed | LinkExpired) -> Response | None:
    """The visit of a link that moves nothing any more, while it is to come; else None, as of any other link."""
    if error.to.purpose != "move_visit":
        return None
    slots = call.appliance.customer_slots(call.db)
    visit = await slots.visit(int(error.to.subject))
    why_not = (await slots.standing(visit)).why_not
    if why_not == "over":
        return None
    said = why_not or ("used" if isinstance(error, LinkUsed) else "old")
    return _page(call.request, visit, "visit.title", said=f"visit.{said}")


def refused_move(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Why the visit was not moved, and to what it can be. Any other refusal is a page as ever."""
    code, visit = problem["code"], getattr(request.state, "own_visit", None)
    if visit is None or code not in TAKEN | LOOK_AGAIN | MEANT_NOTHING:
        return refused(request, problem, headers)
    key = "visit.taken" if code in TAKEN else "visit.changed" if code in LOOK_AGAIN else "visit.choose"
    offers = problem.get("alternatives", [])
    known = None if code in LOOK_AGAIN else visit  # it isn't so any more
    content = visit_page(
        request,
        f"{key}.title",
        visit=known,
        said=f"{key}.words",
        days=days_of(request, offers),
        problem=True,
        again=True,
    )
    return page(content, status=problem["status"], forms=bool(offers))


def _page(request: Request, visit: VisitRecord, title: str, *, own: OwnVisit | None = None, said: str = "") -> Response:
    if own is None:
        return page(visit_page(request, title, visit=visit, said=said))
    zone, later = request.app.state.appliance.zone, None
    if own.later_from is not None:
        later = day_of(own.later_from, zone).isoformat()
    if own.standing.why_not is not None:
        said = f"visit.{own.standing.why_not}"
    elif not own.times:
        said = "visit.nothing_free"
    content = visit_page(request, title, visit=visit, said=said, days=days_of(request, own.times), own=own, later=later)
    return page(content, forms=bool(own.times))


def visit_page(request: Request, title: str, *, visit: VisitRecord | None = None, **variables: Any) -> str:
    """What a customer is shown of a visit, or of one that is still to be booked."""
    reads, language = wording(request), request.query_params.get(LANGUAGE)
    given: dict[str, Any] = {
        "said": "",
        "invitation": None,
        "days": {},
        "own": None,
        "later": None,
        "problem": False,
        "again": False,
    }
    return render(
        request,
        "visit.html.j2",
        title,
        visit=visit,
        mark=_mark(visit) if visit is not None else "",
        moment=reads.moment,
        clock=reads.clock,
        asked=f"&{LANGUAGE}={spoken(request).asked_as}" if language else "",
        **{**given, **variables},
    )


def days_of(request: Request, offers: Iterable[Mapping[str, Any]]) -> dict[str, list[Time]]:
    """By day, as it reads: its times in order, spread over the day where there are many."""
    reads, zone = wording(request), request.app.state.appliance.zone
    days: dict[date, list[Time]] = {}
    for offer in sorted(offers, key=lambda each: _moment(each["starts_at"])):
        begins, ends, until = (_moment(offer[name]) for name in ("starts_at", "ends_at", "arrives_until"))
        time = Time(
            value=begins.isoformat(),
            begins=reads.clock(begins),
            ends=reads.clock(ends),
            arrives_until=reads.clock(until) if until > begins else None,
        )
        days.setdefault(day_of(begins, zone), []).append(time)
    return {reads.weekday(begin_of(day, zone)): _spread(times) for day, times in days.items()}


def _spread(times: list[Time]) -> list[Time]:
    if len(times) <= MOST_TIMES_A_DAY:
        return times
    last = len(times) - 1
    return [times[number * last // (MOST_TIMES_A_DAY - 1)] for number in range(MOST_TIMES_A_DAY)]


def _moment(told: datetime | str) -> datetime:
    """A refusal has it as JSON."""
    return datetime.fromisoformat(told) if isinstance(told, str) else told


def starts_after(call: Call) -> datetime | None:
    """The day that is asked for; what is none is left out, since the address is anybody's to write."""
    told = call.request.query_params.get(LATER, "")
    try:
        day = date.fromisoformat(told)
    except ValueError:
        return None
    return begin_of(day, call.appliance.zone) if FIRST_YEAR <= day.year <= LAST_YEAR else None


def read_choice(visit: VisitRecord | None, body: bytes) -> tuple[str, datetime]:
    """What the form holds: the mark of what was seen, and the time that was chosen. Raises: NoTimeChosen."""
    try:
        sent = dict(parse_qsl(body.decode(), max_num_fields=MOST_FIELDS, errors="strict"))
        starts_at = datetime.fromisoformat(sent["slot"])
        if starts_at.tzinfo is None or not FIRST_YEAR <= starts_at.year <= LAST_YEAR:
            raise ValueError
    except (KeyError, UnicodeDecodeError, ValueError):
        raise NoTimeChosen(visit["visit_id"] if visit else None) from None
    return sent.get("seen", ""), starts_at


def _mark(visit: VisitRecord) -> str:
    return etag_of(*visit.values())
