"""What came of what was asked for, by the desks' own records: confirmed by proof, asked for, unknown, or not done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from acs import OperationRecord, OperationState
from radius import SessionChangeView, TreatedSession

TURNS_UP = "may still turn up; it is confirmed once the time of an interim has gone by without one."

Standing = Literal["confirmed", "asked_for", "unknown", "superseded", "partial", "not_done"]
"""* confirmed: accounting, or the CPE, has shown it since.
* asked_for: it is under way, and nothing has borne it out yet.
* unknown: it may have happened; nobody has answered.
* superseded: something later has taken its place; whether it had happened by then, its sentence says.
* partial: a part of it happened, and the rest will not; its sentence says which.
* not_done: it did not happen.
"""


@dataclass(frozen=True)
class Outcome:
    """One act. ``target`` is ``session_change/12`` or ``device_operation/5``."""

    target: str
    act: str
    standing: Standing
    sentence: str
    asked_at: datetime
    ended_at: datetime | None


_OF_OPERATIONS: dict[OperationState, Standing] = {
    "requested": "asked_for",
    "queued": "asked_for",
    "done": "confirmed",
    "unknown": "unknown",
    "faulted": "not_done",
    "expired": "not_done",
    "partial": "partial",
    "cancelled": "not_done",
}
_IN_WORDS: dict[OperationState, str] = {
    "requested": "It is written down; the ACS has not been told yet.",
    "queued": "The ACS has it; the CPE has not shown it yet.",
    "done": "The CPE has shown it.",
    "unknown": "It may have happened; its effect is looked for.",
    "faulted": "It was refused.",
    "expired": "Its time is over, and it was not done.",
    "partial": "Not all of it was done.",
    "cancelled": "It was taken back before it ran.",
}


def of_operation(record: OperationRecord) -> Outcome:
    """What came of an operation on a CPE."""
    words, reason = _IN_WORDS[record["state"]], record["reason"]
    if words.split(";")[0] != reason.split(";")[0]:  # else it says the same in other words
        words = f"{words} {reason}".rstrip()
    return Outcome(
        target=f"device_operation/{record['operation_id']}",
        act=f"{record['kind'].replace('_', ' ')} of CPE {record['device_serial']}",
        standing=_OF_OPERATIONS[record["state"]],
        sentence=words,
        asked_at=record["requested_at"],
        ended_at=record["ended_at"],
    )


def of_change(change: SessionChangeView) -> Outcome:
    """What came of a change of a subscriber: an ACK of a NAS is no proof, accounting is."""
    standing, sentence = _of_change(change)
    return Outcome(
        target=f"session_change/{change['change_id']}",
        act=change["act"].replace("_", " "),
        standing=standing,
        sentence=sentence,
        asked_at=change["made_at"],
        ended_at=change["settled_at"],
    )


def _of_change(change: SessionChangeView) -> tuple[Standing, str]:
    sessions = change["sessions"]
    if change["state"] == "superseded":
        return "superseded", _until_then(change)
    if change["state"] == "confirmed":
        if not sessions:
            return "confirmed", "FreeRADIUS shows it; no session was open that had to follow."
        return "confirmed", f"FreeRADIUS shows it, and accounting bears out {_counted(len(sessions))}."
    if change["carried_at"] is None:
        return "asked_for", "It is committed; FreeRADIUS does not show it yet."
    waiting = [each for each in sessions if each["confirmed_at"] is None]
    doubtful = [each for each in waiting if each["said"] in ("unanswered", "nas_unknown", "refused")]
    if doubtful:
        refused = all(each["said"] == "refused" for each in doubtful)
        return ("asked_for" if refused else "unknown"), f"FreeRADIUS shows it. {_last_word(doubtful[0])}"
    if waiting:
        return "asked_for", f"FreeRADIUS shows it. {_last_word(waiting[0])}; accounting has not borne it out yet."
    if sessions:
        borne_out = f"FreeRADIUS shows it, and accounting bears out {_counted(len(sessions))}."
        return "asked_for", f"{borne_out} Another {TURNS_UP}"
    return "asked_for", f"FreeRADIUS shows it; no session is known yet that has to follow. One {TURNS_UP}"


def _until_then(change: SessionChangeView) -> str:
    """What had been seen of a change when a later one took its place."""
    if change["carried_at"] is None:
        return "A later change took its place before FreeRADIUS showed it."
    sessions = change["sessions"]
    if sessions and all(each["confirmed_at"] is not None for each in sessions):
        seen = f"FreeRADIUS showed it, and accounting bore out {_counted(len(sessions))}"
    else:
        seen = "FreeRADIUS showed it"
    return f"{seen}; then a later change took its place."


def _last_word(session: TreatedSession) -> str:
    return f"Session {session['session_id']}: {session['reason']}"


def _counted(number: int) -> str:
    return "the one session" if number == 1 else f"all {number} sessions"
