"""What is not as it shall be, in sentences, each with what puts it right: pure functions of the comparison."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.subscriber_cpes import LOGIN_INPUT
from provisioning.truth.comparing import WORDS, Sides, served_by
from provisioning.truth.facts import Comparison, Difference, Matter
from radius import ShownSubscriber, as_argument


def differences(sides: Sides, compared: Sequence[Comparison]) -> list[Difference]:
    """What is not as it shall be, in sentences, each with what puts it right."""
    found: list[Difference] = []
    rows = None if isinstance(sides.rows, str) else sides.rows
    if rows is not None and (reason := rows["differs"] or rows["plan_differs"]):
        found.append(_of_rows(sides, rows, reason, compared))
    for each in compared:
        for side in each.differs:
            if side == "session":
                found.append(_of_session(sides, each))
            elif side == "cpe":
                found.append(_of_cpe(each, sides))
    return found


def summed_up(found: Sequence[Difference], sides: Sides) -> str:
    """All of it in one sentence."""
    unread = [side for side, said in (("RADIUS", sides.rows), ("accounting", sides.sessions)) if isinstance(said, str)]
    unread += ["the ACS"] if any(isinstance(said, str) for said in sides.readings.values()) else []
    missing = f" {_listed(unread)} could not be asked." if unread else ""
    if not found:
        return f"Everything that could be asked agrees.{missing}" if unread else "Everything agrees."
    return f"{'One thing differs' if len(found) == 1 else f'{len(found)} things differ'}.{missing}"


def _listed(names: Sequence[str]) -> str:
    text = " and ".join(names)
    return text[:1].upper() + text[1:]


def _of_rows(sides: Sides, rows: ShownSubscriber, reason: str, compared: Sequence[Comparison]) -> Difference:
    name = sides.subscriber["username"]
    first: Matter = next((each.matter for each in compared if "radius" in each.differs), "other_rows")
    told = [
        f"{each.matter.replace('_', ' ')} is {each.radius.value or 'none'} instead of {each.wanted.value or 'none'}"
        for each in compared
        if "radius" in each.differs and each.matter != "other_rows"
    ]
    of_plan = "" if rows["differs"] else f" of plan {served_by(sides.subscriber)}"
    words = f"RADIUS {WORDS[reason]}{of_plan}"
    details = f": {'; '.join(told)}." if told else "."
    if reason == "foreign":
        return Difference(first, "radius", f"{words}{details} We never touch such rows: take them away there.", None)
    if sides.subscriber["state"] == "terminated":
        command = f"firstlight subscribers project {as_argument(name)}"
        return Difference(first, "radius", f"{words}{details} `{command}`.", None)
    awaits = " Its last change is about to be carried over." if rows["awaiting_projection"] else ""
    return Difference(first, "radius", words + details + awaits, "set-right")


def _of_session(sides: Sides, each: Comparison) -> Difference:
    live = sides.subscriber["state"] != "terminated"
    if each.matter == "login":
        sentence = f"A session is open, though every login is refused: it is {sides.subscriber['state']}."
        return Difference("login", "session", sentence, "disconnect" if live else None)
    name = each.matter.replace("_", " ")
    sentence = f"The session has {name} {each.session.value}, and a login is given {each.wanted.value}."
    return Difference(each.matter, "session", sentence, "disconnect" if live else None)


def _of_cpe(each: Comparison, sides: Sides) -> Difference:
    if each.matter == "settings":
        why = each.cpe.note or "no reason was kept."
        sentence = f"CPE {each.about} is {each.cpe.value}: {why}"
        return Difference("settings", "cpe", sentence, "converge", each.about)
    if each.matter == "username":
        device = sides.device
        told = device["inputs"][LOGIN_INPUT] if device else each.cpe.value
        sentence = f"The CPE is to log in as {told}, and nobody lets that name in for this line: rename tells it anew."
        return Difference("username", "cpe", sentence, None)
    sentence = f"The CPE has address {each.cpe.value}, its session {each.session.value}: one is not its own."
    return Difference(each.matter, "cpe", sentence, None)
