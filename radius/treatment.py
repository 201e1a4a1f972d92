"""What a session's answers and its accounting mean for a change: whom to ask (again), what is proven, and when to
look next.

Pure functions of what is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from radius.change_tables import SessionSaid, SessionTreatment
from radius.sessions import Session
from radius.terms import PlanTerms

LOGIN_TAKES = timedelta(seconds=5)
"""A login that FreeRADIUS answered just before it showed the change may be in accounting so much later."""
LOOK_AGAIN = timedelta(seconds=15)
MISSED_INTERIMS = 3
"""An ACK that so many accounting intervals have not borne out is asked for again."""
FIRST_BACK_OFF, LONGEST_BACK_OFF = timedelta(seconds=30), timedelta(hours=1)

_UNKNOWN_OUTCOME = frozenset({"unanswered", "refused", "nas_unknown"})


@dataclass(frozen=True)
class Answer:
    """What became of asking about one session."""

    said: SessionSaid
    reason: str
    error_cause: int | None = None


def to_be_asked(
    sessions: Sequence[Session],
    treated: Sequence[SessionTreatment],
    *,
    shown_at: datetime,
    now: datetime,
    wanted: PlanTerms,
) -> list[Session]:
    """The open sessions that are to be asked now: never asked, without an outcome, or an ACK that nothing bears out."""
    kept = {each.radacct_id: each for each in treated}
    patience = timedelta(seconds=MISSED_INTERIMS * wanted.interim_interval_seconds)
    return [
        session
        for session in sessions
        if (
            _is_without_outcome(kept[session.radacct_id], session, now - patience)
            if session.radacct_id in kept
            else not _began_right(session, treated, shown_at)
        )
    ]


def _is_without_outcome(treatment: SessionTreatment, session: Session, believed_since: datetime) -> bool:
    if treatment.confirmed_at is not None or is_confirmed(treatment, session):
        return False
    return treatment.said in _UNKNOWN_OUTCOME or treatment.asked_at < believed_since


def _began_right(session: Session, treated: Iterable[SessionTreatment], shown_at: datetime) -> bool:
    """Its login was after FreeRADIUS showed the change, as that of a line whose former session we had ended was."""
    began = session.started_at
    if began is None:
        return False
    # accounting may know whole seconds only
    ended = (each.asked_at.replace(microsecond=0) for each in treated if each.said == "disconnected")
    return began > shown_at + LOGIN_TAKES or any(began >= moment for moment in ended)


def is_confirmed(treatment: SessionTreatment, session: Session | None) -> bool:
    """Accounting bears it out: the session is over, or goes on as it shall since its NAS said so."""
    if session is None or treatment.said == "as_wished":
        return True
    heard = session.updated_at
    return treatment.said == "changed" and heard is not None and heard > treatment.asked_at


def is_settled(
    treated: Iterable[SessionTreatment], left: Sequence[Session], *, shown_at: datetime, now: datetime
) -> bool:
    """Every session is borne out, and none can turn up any more that logged in before."""
    return not left and now >= shown_at + LOGIN_TAKES and all(each.confirmed_at is not None for each in treated)


def due_again(
    treated: Iterable[SessionTreatment], attempts: int, now: datetime, *, trouble: bool = False
) -> tuple[int, datetime]:
    """How often there was trouble by now, and when to look next: twice as long every time, up to an hour."""
    trouble = trouble or any(each.confirmed_at is None and each.said in _UNKNOWN_OUTCOME for each in treated)
    if not trouble:
        return attempts, now + LOOK_AGAIN
    return attempts + 1, now + min(FIRST_BACK_OFF * 2 ** min(attempts, 10), LONGEST_BACK_OFF)
