"""The part of a diagnosis that is about changes: what sessions have not followed yet, and what a person may do."""

from __future__ import annotations

from collections.abc import Iterator

from radius.commands import as_argument, command_about
from radius.logins.findings import Facts, Finding, clock, finding
from radius.results import SessionChangeView


def of_changes(facts: Facts) -> Iterator[Finding]:
    """What was changed, and which session has not followed."""
    for change in facts.pending_changes:
        asked = change["sessions"]
        evidence = [
            f"session {each['session_id']}: {each['said']} ({each['reason']})"
            + (", and accounting bears it out" if each["confirmed_at"] is not None else "")
            for each in asked
        ]
        act = change["act"].replace("_", " ")
        words = f"A change made {clock(change['made_at'])} ({act})"
        if change["carried_at"] is None:
            words += " is not carried over to FreeRADIUS yet."
        elif _has_come_about(facts, change):
            words += " has come about; it is watched for a session that began before it and is not in accounting yet."
        else:
            words += " is not confirmed by every open session yet."
        yield finding("change_pending", "note", words, evidence, _act_on(facts, change))


def _act_on(facts: Facts, change: SessionChangeView) -> str | None:
    """What a person may do about what a NAS said; what it only has to prove yet is waited for."""
    left = {each["said"]: facts.nas(each["nas_address"]) for each in change["sessions"] if each["confirmed_at"] is None}
    name = facts.subscriber["username"] if facts.subscriber is not None else facts.username
    again = "" if change["next_at"] is None else f" It is asked again {clock(change['next_at'])}."
    if (nas := left.get("refused")) is not None and _ends(facts, change):
        return f"{nas} refuses to end that session: end it at {nas} itself, or take the line out of service.{again}"
    if (nas := left.get("refused")) is not None:
        return (
            f"`{command_about('subscribers disconnect', name)}` asks {nas} to end that session, and the next"
            f" login has all of it; what {nas} refuses to end is ended there.{again}"
        )
    if (nas := left.get("nas_unknown")) is not None:
        return (
            f"`firstlight nas show {as_argument(nas)}`, or `nas add` it; of one that is gone,"
            f" `{command_about('sessions close', nas)}`.{again}"
        )
    if (nas := left.get("unanswered", left.get("not_asked"))) is not None:
        test = f"`firstlight nas test {as_argument(nas)}`"
        return f"{test} says whether it can be asked (its port and secret for that).{again}"
    return None


def _ends(facts: Facts, change: SessionChangeView) -> bool:
    """Whether the session was asked to end, and not to change."""
    one = facts.subscriber
    is_refused = one is not None and one["garden"] is None and one["state"] in ("pending", "suspended", "terminated")
    return change["act"] == "disconnect" or is_refused


def _has_come_about(facts: Facts, change: SessionChangeView) -> bool:
    """FreeRADIUS shows it, and accounting bears it out for whoever was asked and for whoever had to be."""
    carried_at, asked = change["carried_at"], change["sessions"]
    if carried_at is None or "sessions" in facts.unread or any(each["confirmed_at"] is None for each in asked):
        return False
    known = {each["session_id"] for each in asked}
    others = [each for each in facts.open_sessions if each.session_id not in known]
    return all(each.started_at is not None and each.started_at > carried_at for each in others)
