"""What a session's answers and its accounting mean for a change: whom to ask (again), what is proven, and when to
look next.

Pure functions of what is known. A NAS may say by its own clock when a session began and was heard of, so those moments
are compared with others of the same session, and never with the appliance's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from radius.coa.tables import SessionSaid
from radius.sessions.sessions import Session

LOGIN_TAKES = timedelta(seconds=5)
"""A login that FreeRADIUS answered just before it showed the change is usually in accounting by then."""
LOOK_AGAIN = timedelta(seconds=15)
GRACE = timedelta(seconds=15)
"""A packet of accounting may come so much later than its interval says."""
CLOCKS_WITHIN = timedelta(minutes=10)
"""What is dated by more before our time comes from a clock that is wrong, and says nothing about which was first."""
MISSED_INTERIMS = 3
"""An ACK that so many accounting intervals have not borne out is asked for again."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=30), timedelta(hours=1)

_UNKNOWN_OUTCOME = frozenset({"unanswered", "refused", "nas_unknown"})


@dataclass(frozen=True)
class Carried:
    """Since when FreeRADIUS shows a change, and the number in accounting above which sessions logged in since then."""

    at: datetime
    right_above: int | None


@dataclass(frozen=True)
class Answer:
    """What became of asking about one session, at the moment its answer was in; ``at`` None: it was not asked.
    ``put_off``: to ask before then is of no use."""

    said: SessionSaid
    reason: str
    at: datetime | None
    error_cause: int | None = None
    put_off: timedelta = timedelta(0)


@dataclass(slots=True)
class Treated:
    """A row of ``SessionTreatment``, as thousands of them are read and written; ``id`` None: it is not kept yet."""

    id: int | None
    change_id: int
    radacct_id: int
    session_id: str
    nas_address: str
    said: SessionSaid
    error_cause: int | None
    reason: str
    asked_at: datetime | None
    heard_at: datetime | None
    heard_seconds: int
    confirmed_at: datetime | None


def to_be_asked(
    sessions: Sequence[Session],
    treated: Sequence[Treated],
    *,
    carried: Carried,
    now: datetime,
    interim: timedelta,
    ends: bool = False,
) -> list[Session]:
    """The open sessions that are to be asked now: never asked, without an outcome, or an ACK that nothing bears out.

    ``interim`` is the longest interval at which one of them may account: an open session may keep its former one.
    When every login is refused (``ends``) no session is right, whenever it began.
    """
    kept = {each.radacct_id: each for each in treated}
    patience = MISSED_INTERIMS * interim
    return [
        session
        for session in sessions
        if (
            _is_without_outcome(kept[session.radacct_id], session, now - patience, interim)
            if session.radacct_id in kept
            else ends or not began_right(session, treated, carried, now)
        )
    ]


def _is_without_outcome(treatment: Treated, session: Session, believed_since: datetime, interim: timedelta) -> bool:
    if treatment.confirmed_at is not None or is_confirmed(treatment, session, interim=interim):
        return False
    if treatment.said in _UNKNOWN_OUTCOME or treatment.asked_at is None:
        return True
    return treatment.said == "not_asked" or treatment.asked_at < believed_since


def began_right(session: Session, treated: Iterable[Treated], carried: Carried, now: datetime) -> bool:
    """Its login was after FreeRADIUS showed the change: it turned up later than those of before could, or after the
    line's former session, which we had ended."""
    if session.duration_seconds and now - timedelta(seconds=session.duration_seconds) < carried.at + LOGIN_TAKES:
        return False  # its Accounting-Start was lost
    if any(each.said == "disconnected" and session.radacct_id > each.radacct_id for each in treated):
        return True
    if session.duration_seconds and _dated_before(session, carried.at + LOGIN_TAKES, now):
        return False  # the same, and it had lasted so long a while ago
    return carried.right_above is not None and session.radacct_id > carried.right_above


def _dated_before(session: Session, moment: datetime, now: datetime) -> bool:
    """It began before that, by a clock that isn't wrong: it was heard of of late."""
    if session.started_at is None or session.updated_at is None or now - session.updated_at >= CLOCKS_WITHIN:
        return False
    return session.started_at < moment


def is_confirmed(treatment: Treated, session: Session | None, *, interim: timedelta = timedelta(0)) -> bool:
    """Accounting bears it out: the session is over, or it goes on as it shall and has accounted again since its answer
    was in. What its NAS has kept since before that is no proof; by a clock that is behind the first one of after that
    looks like it, so ``interim`` is how far apart they are."""
    if session is None or treatment.said == "as_wished":
        return True
    if treatment.said != "changed" or session.updated_at is None:
        return False
    asked, heard, now_heard = treatment.asked_at, treatment.heard_at, session.updated_at
    is_kept = asked is not None and timedelta(0) <= asked - now_heard < CLOCKS_WITHIN
    if heard is None:
        return not is_kept
    if is_kept and asked is not None:
        was_alive = asked - heard < interim + CLOCKS_WITHIN
        if not (was_alive and now_heard - heard >= 1.5 * interim):  # else it is the second one since
            return False
    heard_then = (heard, treatment.heard_seconds)
    return (now_heard, session.duration_seconds) > heard_then


def is_settled(
    treated: Iterable[Treated],
    left: Sequence[Session],
    *,
    carried: Carried,
    now: datetime,
    interim: timedelta = timedelta(0),
) -> bool:
    """Every session is borne out, and none can turn up any more that logged in before: by its Accounting-Start, or,
    where that was lost, after one ``interim`` interval."""
    return (
        not left
        and now >= carried.at + interim + LOGIN_TAKES
        and all(each.confirmed_at is not None for each in treated)
    )


def next_sign(
    treated: Iterable[Treated],
    left: Sequence[Session],
    *,
    carried: Carried,
    now: datetime,
    interim: timedelta,
    settles_after: timedelta,
) -> datetime:
    """When accounting is to be looked at next, as long as nobody gave trouble: soon, while sessions may turn up, are
    ``left`` to be asked or have just been ended; else when every session has been silent for no more than an interval.

    ``settles_after`` is the interval after which one whose Accounting-Start was lost must have been heard of.
    """
    waiting = [each for each in treated if each.confirmed_at is None]
    if carried.right_above is None or left or any(_says_more_soon(each, now) for each in waiting):
        return now + LOOK_AGAIN
    heard_of = [each.asked_at + interim + GRACE for each in waiting if each.asked_at is not None]
    last = max([carried.at + settles_after + LOGIN_TAKES, *heard_of])
    return last if last > now else now + interim + GRACE


def _says_more_soon(treatment: Treated, now: datetime) -> bool:
    if treatment.said != "disconnected":
        return treatment.said == "not_asked"
    return treatment.asked_at is not None and now < treatment.asked_at + LOOK_AGAIN


def due_again(
    treated: Iterable[Treated], attempts: int, now: datetime, *, sign: datetime | None
) -> tuple[int, datetime]:
    """How often there was trouble by now, and when to look next: at the next ``sign``, and after trouble twice as long
    every time, up to an hour. ``sign`` None: there was trouble before anybody was asked.
    """
    trouble = any(each.confirmed_at is None and each.said in _UNKNOWN_OUTCOME for each in treated)
    if sign is not None and not trouble:
        return attempts, sign
    return attempts + 1, now + min(FIRST_BACK_OFF * 2 ** min(attempts, 10), LONGEST_BACK_OFF)
