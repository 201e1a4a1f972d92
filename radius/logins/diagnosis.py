"""Why can somebody not log in? From what is known about them to sentences with evidence and the next act: pure.

Each finding is a *cause* (it keeps them offline), a *note* (to be looked at, or to be waited for) or *fine*. Causes
come first; within each, the order is that of a login: known, in service, carried over, asked, answered, online.
``radius.logins.evidence`` gathers the facts, ``radius.logins.findings`` has what both parts of this share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from radius.coa.treatment import MISSED_INTERIMS
from radius.commands import as_argument, command_about
from radius.encoder import safe_username
from radius.errors import UsernameRefused
from radius.logins.diagnosis_of_changes import of_changes
from radius.logins.diagnosis_of_logins import of_logins
from radius.logins.findings import (
    WEIGHTS,
    Diagnosis,
    Facts,
    Finding,
    Part,
    Weight,
    clock,
    finding,
    is_silent,
    times,
    told_session,
)
from radius.logins.spelling import simplified as _simply
from radius.logins.views import UnknownUser


def diagnose(facts: Facts) -> Diagnosis:
    """Every finding, the gravest first."""
    found = list(_known(facts))
    if facts.subscriber is not None:
        found += _in_service(facts)
        parts: tuple[tuple[Part, Callable[[Facts], Iterator[Finding]]], ...] = (
            ("rows", _carried_over),
            ("logins", of_logins),
            ("sessions", _online),
        )
        found += [each for part, look in parts if part not in facts.unread for each in look(facts)]
        found += of_changes(facts)
        if facts.subscriber["state"] == "terminated":
            found = [_of_one_that_ended(each) for each in found]
    found += _unread(facts)
    found.sort(key=lambda each: WEIGHTS.index(each["weight"]))
    return Diagnosis(username=facts.username, verdict=found[0]["sentence"], findings=found)


def _of_one_that_ended(found: Finding) -> Finding:
    """Why it was refused is of the past, and nothing that is done about it lets it in."""
    if found["code"] in ("terminated", "rows_behind", "rows_changed"):
        return found
    return Finding(
        code=found["code"],
        weight="fine" if found["weight"] == "fine" else "note",
        sentence=found["sentence"],
        evidence=found["evidence"],
        next_act=None,
    )


_PARTS: Mapping[Part, str] = {"logins": "the log of logins", "sessions": "accounting", "rows": "FreeRADIUS' own rows"}


def _unread(facts: Facts) -> Iterator[Finding]:
    """What could not be read says nothing, and is the cause itself where FreeRADIUS can't read it either."""
    for reason in dict.fromkeys(facts.unread.values()):
        parts = ", ".join(_PARTS[part] for part, why in facts.unread.items() if why == reason)
        yield finding(
            "radius_database_unread",
            "cause",
            f"{parts[:1].upper()}{parts[1:]} could not be read, so nothing is known of that.",
            [reason],
            "`firstlight doctor`; FreeRADIUS may be unable to read it too, and then lets nobody in.",
        )


def _known(facts: Facts) -> Iterator[Finding]:
    if facts.renamed_to is not None:
        yield finding(
            "user_renamed",
            "cause",
            f"There is no subscriber {facts.username} any more: it was renamed, and is {facts.renamed_to} now.",
            [_tried(facts, each) for each in facts.exact_tries],
            f"Set the name at the CPE to {facts.renamed_to};"
            f" `firstlight subscribers diagnose {as_argument(facts.renamed_to)}`.",
        )
        return
    if facts.subscriber is None:
        near = f" Close to it: {', '.join(facts.near_names)}." if facts.near_names else ""
        yield finding(
            "user_unknown",
            "cause",
            f"There is no subscriber {facts.username}.{near}",
            [_tried(facts, each) for each in facts.tried_names],
            _on_no_subscriber(facts),
        )
        return
    if facts.exact_tries:
        yield finding(
            "unknown_when_tried",
            "cause" if facts.drift is not None else "note",
            "FreeRADIUS knew nobody of that name when it was tried.",
            [_tried(facts, each) for each in facts.exact_tries],
            f"`firstlight subscribers project {as_argument(facts.username)}`, then let the CPE dial again.",
        )
    if not any(each["accepted"] for each in facts.logins[:1]):
        yield from _under_another_name(facts)


def _on_no_subscriber(facts: Facts) -> str:
    if facts.near_names:
        return "Correct the name at the CPE: case, realm and blanks count."
    try:
        safe_username(facts.username)
    except UsernameRefused as error:
        return f"Correct the name at the CPE: {error}"
    return "Order its installation, or make one without a service: `firstlight subscribers create`."


def _under_another_name(facts: Facts) -> Iterator[Finding]:
    """Who is not let in may be trying a name it had, one that is the same but for case, realm and blanks, or just one
    like it, and that since its last login; or its line asks by itself."""
    others = [each for each in facts.newest_tries if each["username"] != facts.username]
    former = [each for each in others if each["username"] in facts.former_names]
    act = f"Set the name at the CPE to exactly {facts.username}."
    same = [each for each in others if each not in former and _simply(each["username"]) == _simply(facts.username)]
    alike = [each for each in others if each not in former and each not in same]
    kinds: tuple[tuple[list[UnknownUser], str, Weight, str], ...] = (
        (former, "former_name_tried", "cause", "that was its own before it was renamed to"),
        (same, "name_misspelt", "cause", "that is but for case, realm or blanks the same as"),
        (alike, "name_alike", "note", "that is much like"),
    )
    for tries, code, weight, how in kinds:
        if tries:
            sentence = f"A name is tried that nobody has and {how} {facts.username}."
            yield finding(code, weight, sentence, [_tried(facts, each) for each in tries], act)
    if facts.unknown_lines and facts.subscriber is not None:
        logs_in = facts.subscriber["login_by_line"]
        act = (
            "Its NAS needs `lines = true` (`firstlight nas show`);"
            f" then `firstlight subscribers project {as_argument(facts.username)}`."
            if logs_in
            else "Let the CPE dial (PPP), or bind it so that its line logs in for it (`subscribers bind --ipoe`)."
        )
        words = f"The line that {facts.username} is bound to asks by itself, and FreeRADIUS knows nobody of it."
        yield finding("line_unknown", "cause", words, [_tried(facts, each) for each in facts.unknown_lines], act)


def _tried(facts: Facts, tried: UnknownUser) -> str:
    how_often = f"{times(tried['times'])} at {facts.nas(tried['nas_address'])}"
    return f"{tried['username']!r} was tried {how_often}, last {clock(tried['last_at'])}"


def _in_service(facts: Facts) -> Iterator[Finding]:
    subscriber = facts.subscriber
    assert subscriber is not None
    state, name, until = subscriber["state"], subscriber["username"], subscriber["testing_until"]
    if state == "pending":
        by_run = subscriber["service_id"] is not None and subscriber["origin"] == "ordered"
        end = "the technician's scan" if by_run else "it is let in"
        yield finding(
            "not_in_service",
            "cause",
            f"{name} is pending: its logins are refused until {end}.",
            [],
            "Report the visit (`firstlight visits report`), or look at the run that installs it."
            if by_run
            else f"`{command_about('subscribers activate', name)}` when it may be served.",
        )
    elif state == "terminated":
        yield finding("terminated", "cause", f"{name} is terminated.", [], "Order it anew if it shall be served.")
    elif state == "suspended" and subscriber["garden"] is None:
        act = f"`{command_about('subscribers resume', name)}` when it may be served again."
        yield finding("suspended", "cause", f"{name} is suspended: its logins are refused.", [], act)
    elif state == "suspended":
        words = f"{name} is suspended and served by the walled garden {subscriber['garden']}."
        yield finding("in_garden", "note", words, [], f"`{command_about('subscribers resume', name)}` ends it.")
    elif state == "testing" and until is not None and until <= facts.now:
        words = f"The test of {name} ended {clock(until)}: its logins are refused since."
        yield finding("test_over", "cause", words, [], "Scan again, or look at the run that installs it.")
    elif state == "testing" and until is not None:
        yield finding("testing", "fine", f"{name} is tested until {clock(until)}, on its full plan.", [], None)
    elif subscriber["capped"] is not None:
        words = f"{name} has used up the data cap of plan {subscriber['plan']} and is served by {subscriber['capped']}."
        act = f"`{command_about('subscribers lift-cap', name)}`, or wait for the billing month to end."
        yield finding("data_cap_reached", "note", words, [], act)
    else:
        yield finding("active", "fine", f"{name} is active on plan {subscriber['plan']}.", [], None)


def _carried_over(facts: Facts) -> Iterator[Finding]:
    subscriber, drift = facts.subscriber, facts.drift
    assert subscriber is not None
    act = f"`firstlight subscribers project {as_argument(subscriber['username'])}`."
    if drift is None:
        yield finding("rows_as_wished", "fine", "FreeRADIUS' rows are as they shall be.", [], None)
    elif drift.awaiting_projection:
        words = "Its last change has not been carried over to FreeRADIUS yet."
        yield finding("rows_behind", "cause", words, [f"its rows are {drift.reason}"], act)
    else:
        words = f"FreeRADIUS' rows are not as they shall be ({drift.reason}): somebody else has changed them."
        yield finding("rows_changed", "cause", words, [], act)


def _online(facts: Facts) -> Iterator[Finding]:
    refused_for_it = bool(facts.logins) and facts.logins[0]["reason"] == "already_online"
    evidence = [told_session(facts, each) for each in facts.open_sessions]
    if not facts.open_sessions:
        if facts.last_session is not None and facts.last_session.stopped_at is not None:
            over = facts.last_session
            cause = over.terminate_cause or "no cause given"
            words = f"It is offline since {clock(over.stopped_at)} ({cause})."
            yield finding("offline", "note", words, [told_session(facts, over)], None)
        else:
            yield finding("never_online", "note", "It has never been online, as far as is kept.", [], None)
    elif any(is_silent(facts, each) for each in facts.open_sessions) and not refused_for_it:
        words = f"An open session has said nothing for {MISSED_INTERIMS} intervals: it may be over."
        act = "Ask its NAS whether it still has it; if that NAS is gone, `firstlight sessions close`."
        yield finding("session_silent", "note", words, evidence, act)
    elif len(facts.open_sessions) > 1:
        words = f"It has {len(facts.open_sessions)} open sessions: a double login, or a ghost."
        yield finding("several_sessions", "note", words, evidence, None)
    else:
        [session] = facts.open_sessions
        words = f"It is online at {facts.nas(session.nas_address)} since {clock(session.started_at)}."
        yield finding("online", "fine", words, evidence, None)
