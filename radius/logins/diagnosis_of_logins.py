"""The part of a diagnosis that rests on the log of logins: has a request come, what was it told, what followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from radius.commands import as_argument, command_about
from radius.logins.findings import Facts, Finding, clock, finding, is_silent, told_login, told_session
from radius.logins.silence import dropped_since, fresh_misfits, next_act, nothing_since, secrets_unknown, silence
from radius.logins.views import LoginView
from radius.sessions.sessions import Session

CLOCKS_DIFFER = timedelta(minutes=5)
"""A NAS may say that a session began this much before the login that let it in."""
MANY_WRONG = 5
"""So many users who mistype at once are none: a secret makes every password of PAP another one (RFC 2865 s5.2)."""


def of_logins(facts: Facts) -> Iterator[Finding]:
    """Whether a login has reached FreeRADIUS, and what came of the last one."""
    yield from _late(facts)
    if not facts.logins:
        if not facts.exact_tries and not facts.unknown_lines:
            yield _silence(facts)
        return
    yield from _nothing_since(facts)
    last = facts.logins[0]
    if last["accepted"]:
        yield from _accepted(facts, last)
    else:
        yield _refused(facts, last)


def _late(facts: Facts) -> Iterator[Finding]:
    """Nobody can say that nothing came who does not know what was written down: so that is the first thing to end, and
    what is said of a silence is no cause then."""
    if not facts.late_logins:
        return
    left = [each for each in facts.late_logins if not each["is_carried"]]
    yield finding(
        "logins_late",
        "note" if facts.open_sessions else "cause",
        "Not every login is known yet: FreeRADIUS writes them to files, which are "
        + ("not carried into the log." if left else "being carried into the log."),
        [f"{each['place']}: all until {clock(each['since'])}" for each in facts.late_logins],
        "Start `firstlight worker` (or `firstlight carry-logins`) there again, then ask anew."
        if left
        else "Ask again in some minutes.",
    )


def _silence(facts: Facts) -> Finding:
    """Where just one NAS can be meant, it is told at once that its packets are dropped."""
    dropped = list(fresh_misfits(facts).items())
    why = ""
    if len(dropped) == 1:
        [(address, misfit)] = dropped
        what = "without a Message-Authenticator" if misfit.unsigned else "with another secret"
        why = f", and {facts.nas(address)} sends packets {what}, which are dropped"
    return finding(
        "no_request",
        "note" if facts.open_sessions or facts.late_logins else "cause",
        f"The log of logins has none of {facts.username} in the last {facts.kept_days} days{why}.",
        [*_not_written(facts), *silence(facts)],
        next_act(
            facts, "Look at the line and the CPE, then whether its NAS is one of these, and `firstlight nas test NAME`."
        ),
    )


def _not_written(facts: Facts) -> Iterator[str]:
    """Who was online has logged in: then the log has nothing since nothing is written to it."""
    sessions = [*facts.open_sessions, *([facts.last_session] if facts.last_session else [])]
    began = [each.started_at for each in sessions if each.started_at is not None]
    if began and max(began) > facts.now - timedelta(days=facts.kept_days):
        yield (
            f"accounting has a session of it since {clock(max(began))}, so its login was not written down:"
            " `firstlight doctor` says whether any is"
        )


def _nothing_since(facts: Facts) -> Iterator[Finding]:
    """It was online, and its CPE or NAS has not asked again: no login says why, since there is none."""
    over = facts.last_session
    evidence = nothing_since(facts)
    if over is None or over.stopped_at is None or evidence is None:
        return
    awaited = facts.now < over.stopped_at + facts.accounting_wait
    yield finding(
        "nothing_since",
        "note" if awaited or facts.late_logins else "cause",
        f"Nobody has tried to log in as {facts.username} since its last session ended {clock(over.stopped_at)}"
        f" at {facts.nas(over.nas_address)}.",
        evidence,
        next_act(facts, "Look at the line and the CPE, and whether other subscribers of that NAS are online."),
    )


_NEXT: Mapping[str, str] = {
    "suspended": "It is told so at its next try as long as it is suspended.",
    "not_in_service": "Report the visit, or look at the run that installs it.",
    "expired": "Scan again, or look at the run that installs it.",
    "no_rate": "`firstlight nas show NAME`: its dialect must be one that says the plan, or the plan is not sold"
    " there (`where_untold`). `firstlight check` finds rows.",
    "other_line": "If it moved, `firstlight subscribers bind` it to that line; if not, somebody else has its password.",
    "uncheckable": "Let the NAS use PAP, or keep passwords as cleartext.",
    "eap_failed": "Let the device use PEAP with MSCHAPv2, and trust who signed FreeRADIUS' certificate.",
    "no_password": "Look at the CPE's and the NAS's method of login.",
    "refused_by_row": "A row in radcheck says Auth-Type := Reject, and not by us: `firstlight check` names it.",
}


def _refused(facts: Facts, last: LoginView) -> Finding:
    """The newest answer was a refusal."""
    reason = last["reason"] or "other"
    same = _same_in_a_row(facts.logins, reason)
    evidence = [told_login(facts, last)]
    if len(same) > 1:
        since = f"{len(same)} times in a row, since {clock(same[-1]['happened_at'])}"
        evidence.append(since if len(same) < len(facts.logins) else f"{since} or before")
    accepted = facts.last_accept
    evidence.append(
        f"accepted last {clock(accepted['happened_at'])}" if accepted else "never accepted, as far as is kept"
    )
    evidence += dropped_since(facts, last)
    if reason == "wrong_password":
        evidence += secrets_unknown(facts)
    if reason == "wrong_password" and facts.wrong_at_nas >= MANY_WRONG:
        nas = facts.nas(last["nas_address"])
        evidence.append(
            f"{facts.wrong_at_nas} users in a row had a wrong password by PAP at {nas}: its secret is wrong?"
        )
        sentence = f"Its last login was refused at {nas}: {last['words']}, as that of everybody else there."
        act = f"`firstlight nas test {nas}`; with another secret there, every password of PAP is a wrong one."
        return finding(reason, "cause", sentence, evidence, act)
    if _is_over(facts, reason):
        sentence = f"It was refused ({last['words']}), which is over since; it has not tried again."
        return finding("not_tried_again", "note", sentence, evidence, "Let the CPE dial again.")
    if reason == "already_online":
        return _already_online(facts, last, evidence)
    if reason == "other_line" and facts.subscriber is not None:
        bound = ", ".join(f"{what} {which}" for what, which in facts.subscriber["line"].items())
        evidence.append(f"it is bound to {bound or 'no line any more'}")
    sentence = f"Its last login was refused at {facts.nas(last['nas_address'])}: {last['words']}."
    return finding(reason, "cause", sentence, evidence, _act_on(facts, reason))


def _act_on(facts: Facts, reason: str) -> str:
    if reason == "wrong_password":
        if facts.subscriber is not None and facts.subscriber["password_hash_kind"] is not None:
            rotate = command_about("subscribers rotate-password", facts.subscriber["username"])
            return (
                "Only a hash of its password is known here, so nobody can look it up: ask the customer for it, or"
                f" rotate it (`{rotate}`) and give the CPE the new one."
            )
        reference = facts.subscriber["password"] if facts.subscriber else "secret:subscriber/..."
        return f"Give the CPE the right one (`firstlight keys reveal {reference} --reason ...`), or rotate it."
    if reason == "row_unreadable":
        project = f"`firstlight subscribers project {as_argument(facts.username)}`"
        return f"`firstlight check` names the row; {project} brings ours back."
    return _NEXT.get(reason, "Look into FreeRADIUS' radius.log.")


def _is_over(facts: Facts, reason: str) -> bool:
    """What is known to be otherwise by now."""
    subscriber = facts.subscriber
    assert subscriber is not None
    if facts.unread:
        return False
    served = subscriber["state"] in ("active", "testing") and subscriber["projected"] and facts.drift is None
    if reason == "already_online":
        return not facts.open_sessions
    return reason in ("suspended", "not_in_service", "expired") and served


def _same_in_a_row(logins: Sequence[LoginView], reason: str) -> list[LoginView]:
    same = []
    for each in logins:
        if each["reason"] != reason:
            break
        same.append(each)
    return same


def _already_online(facts: Facts, last: LoginView, evidence: list[str]) -> Finding:
    ghosts = [each for each in facts.open_sessions if is_silent(facts, each)]
    where = facts.nas(last["about"]) if last["about"] else "another NAS"
    evidence = [*evidence, *(told_session(facts, each) for each in facts.open_sessions)]
    if ghosts:
        words = f"It was refused since it is online already on {where}, by a session that has fallen silent: a ghost."
        act = "End that session at its NAS, and accounting follows; of a NAS that is gone, `firstlight sessions close`."
        return finding("ghost_session", "cause", words, evidence, act)
    words = f"It was refused since it is online already on {where}."
    act = "If that is not this line, somebody else has its password: `firstlight subscribers rotate-password`."
    return finding("already_online", "cause", words, evidence, act)


def _accepted(facts: Facts, last: LoginView) -> Iterator[Finding]:
    at, nas = last["happened_at"], facts.nas(last["nas_address"])
    evidence = [told_login(facts, last)]
    sessions = [*facts.open_sessions, *([facts.last_session] if facts.last_session else [])]
    if any(_may_have_followed(each, facts.logins) for each in sessions) or "sessions" in facts.unread:
        yield finding("accepted", "fine", f"Its last login was accepted at {nas}.", evidence, None)
        return
    evidence += (dropped := dropped_since(facts, last))
    due = at + facts.accounting_wait
    if facts.now < due:
        words = f"Its last login was accepted at {nas}; its Accounting-Start is waited for until {clock(due)}."
        yield finding("accounting_awaited", "note", words, evidence, None)
        return
    otherwise = (
        f"Look at {nas} for what it did with the answer: a pool or profile it does not have, an address in use, an"
        " attribute it does not take; or its accounting does not reach FreeRADIUS."
    )
    yield finding(
        "no_accounting_start",
        "cause" if not facts.open_sessions else "note",
        f"Its last login was accepted at {nas}, and no Accounting-Start has followed.",
        [*evidence, *_told(facts), *secrets_unknown(facts)],
        next_act(facts, otherwise) if dropped or facts.misfits is None else otherwise,
    )


def _may_have_followed(session: Session, logins: Sequence[LoginView]) -> bool:
    """Whether a session may be that of the last login. One that is over and began before it may be that of an earlier
    one: it is of the nearer one. An open one may have been let in again."""
    at, began = logins[0]["happened_at"], session.started_at
    if began is None or began < at - CLOCKS_DIFFER:
        return False
    earlier = (each["happened_at"] for each in logins[1:] if each["accepted"])
    return began >= at or session.stopped_at is None or all(abs(began - each) > at - began for each in earlier)


def _told(facts: Facts) -> Iterator[str]:
    subscriber = facts.subscriber
    assert subscriber is not None
    yield f"it was told plan {subscriber['plan']}"
    if subscriber["ipv4_pool"] is not None:
        yield f"and pool {subscriber['ipv4_pool']}, which that NAS must have"
    if subscriber["ipv4"] is not None:
        yield f"and address {subscriber['ipv4']}, which that NAS must route"
