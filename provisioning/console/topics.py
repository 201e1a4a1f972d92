"""What pages follow: what needs a person, runs, subscribers, today's visits; and whether the looker's session runs."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import ConsoleSessions
from provisioning.api import Call
from provisioning.api.own import require_own_run
from provisioning.bootstrap import Appliance
from provisioning.console.day_board import AT_WORK
from provisioning.days import begin_of, day_of, end_of
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import KnownVisits
from provisioning.sight import ALL_SIGHT
from provisioning.subscriber_looks import SubscriberNumber
from workflows import held_mark, newest_mark, run_marks

HELD, NEWEST, TODAY = "held", "runs", "visits"
ATTENTION, FIGURES = "attention", "figures"
LOOKS_ANEW = {ATTENTION: 10, FIGURES: 60}
"""What comes of many things is looked at anew after so many seconds, and at once when a run is held or let go."""
OVER, RUNS_ON = "over", "runs on"
MOST_TOPICS = 20

_RUN = re.compile(r"run/([1-9][0-9]{0,8})")
_SUBSCRIBER = re.compile(r"subscriber/([1-9][0-9]{0,17})")
_SESSION = "session/"


def run_topic(run_id: int) -> str:
    """One run."""
    return f"run/{run_id}"


def subscriber_topic(subscriber_id: int) -> str:
    """One subscriber: its changes, sessions and CPEs."""
    return f"subscriber/{subscriber_id}"


def session_topic(session_id: int) -> str:
    """A session; no page can ask for one."""
    return f"{_SESSION}{session_id}"


async def checked_topics(call: Call, topics: Sequence[str]) -> frozenset[str]:
    """The topics, if the caller may follow them. Raises: InvalidRequest with all faults; Forbidden, RunUnknown."""
    of_subscribers = [topic for topic in topics if _SUBSCRIBER.fullmatch(topic)]
    of_runs = [topic for topic in topics if topic in (HELD, NEWEST) or _RUN.fullmatch(topic)]
    anew = [topic for topic in topics if topic in LOOKS_ANEW]
    strange = [topic for topic in topics if topic not in (*of_subscribers, *of_runs, *anew, TODAY)]
    if strange or len(topics) > MOST_TOPICS:
        faults = [Fault("topic", f"is nothing that moves: {topic}") for topic in strange]
        raise InvalidRequest("The stream", faults or [Fault("topic", f"more than {MOST_TOPICS}")])
    if of_subscribers:
        call.caller.require("subscribers.read")
    if anew:
        call.caller.require("attention.read")
    if TODAY in topics:
        call.caller.require("visits.write")
    if of_runs or not topics:
        call.caller.require("runs.read")
    for topic in topics:
        if found := _RUN.fullmatch(topic):
            await require_own_run(call, int(found[1]))
    return frozenset(topics)


def marks_of(appliance: Appliance) -> Callable[[AsyncSession, Collection[str]], Awaitable[Mapping[str, str]]]:
    """What tells the marks of this appliance's topics."""
    tenant_id = appliance.tenant_id

    async def marks(db: AsyncSession, topics: Collection[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        if runs := [int(match[1]) for topic in topics if (match := _RUN.fullmatch(topic))]:
            moved = await run_marks(db, tenant_id=tenant_id, run_ids=runs)
            found |= {run_topic(run_id): mark for run_id, mark in moved.items()}
        held = await held_mark(db, tenant_id=tenant_id) if not {HELD, *LOOKS_ANEW}.isdisjoint(topics) else ""
        if HELD in topics:
            found[HELD] = held
        for topic in LOOKS_ANEW.keys() & set(topics):
            found[topic] = f"{held} {int(appliance.clock().timestamp()) // LOOKS_ANEW[topic]}"
        if NEWEST in topics:
            found[NEWEST] = await newest_mark(db, tenant_id=tenant_id)
        if TODAY in topics:
            found[TODAY] = await _mark_of_today(appliance, db)
        for topic in topics:
            if match := _SUBSCRIBER.fullmatch(topic):
                found[topic] = await appliance.truth_desk(db, ALL_SIGHT).live_mark(SubscriberNumber(int(match[1])))
        if sessions := [int(topic.removeprefix(_SESSION)) for topic in topics if topic.startswith(_SESSION)]:
            running = await ConsoleSessions(db, tenant_id=tenant_id, now=appliance.clock).running(sessions)
            found |= {session_topic(one): RUNS_ON if one in running else OVER for one in sessions}
        return found

    return marks


async def _mark_of_today(appliance: Appliance, db: AsyncSession) -> str:
    """Of the visits of today, of what is seen of those that somebody is at work at, and of who waits for a time."""
    today = day_of(appliance.clock(), appliance.zone)
    begins, ends = begin_of(today, appliance.zone), end_of(today, appliance.zone)
    calendar = KnownVisits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
    at_work = await calendar.visits(starts_at=begins, ends_at=ends, states=AT_WORK)
    ticks = await appliance.field_desk(db).seen_ticks([visit["visit_id"] for visit in at_work])
    to_agree = await appliance.first_slots(db).mark()
    held = [run.id for run in await appliance.run_slots(db).held()]
    return f"{today} {await calendar.mark(starts_at=begins, ends_at=ends)} {ticks} {to_agree} {held}"
