"""Who changes a subscriber, a NAS or a plan by hand says why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.command_line import COMMAND

LOOKS = {
    *("subscribers show", "subscribers changes", "subscribers logins", "subscribers unknown", "subscribers diagnose"),
    *("subscribers list", "subscribers truth", "subscribers timeline", "subscribers preview"),
    *("nas list", "nas show", "nas test", "nas unknown"),
    *("sessions list", "sessions show", "sessions usage", "sessions who-had", "sessions guard"),
    *("plans list", "plans show", "plans subscribers", "plans render"),
}
WRITES_WHAT_IS_WANTED_ALREADY = {"subscribers project"}
TERMINATE = "subscribers terminate"
"""It names whatever else is wrong beside."""


def commands() -> Iterator[tuple[str, bool, list[str]]]:
    """Each command of the four nouns, whether it can't do without a reason, and words for all else that it needs."""
    tree: Any = COMMAND
    for noun in ("subscribers", "sessions", "nas", "plans"):
        for verb, command in tree.commands[noun].commands.items():
            needed = {each.name: each.opts[0] for each in command.params if each.required}
            wants_reason = needed.pop("reason", None) is not None
            words = [word for said in needed.values() for word in ([said, "1"] if said[0] == "-" else ["x"])]
            yield f"{noun} {verb}", wants_reason, words


def test_a_change_without_a_reason_or_with_a_blank_one_is_refused(isp: Settings, type_: Type) -> None:
    known = {command: words for command, _, words in commands()}
    change = {command for command, wants_reason, _ in commands() if wants_reason}
    assert known.keys() - change == LOOKS | WRITES_WHAT_IS_WANTED_ALREADY
    for command in sorted(change):
        typed = type_(*command.split(), *known[command], "--reason", " \t")
        assert (typed.status, typed.out) == (2, ""), command
        assert ("reason: is " if command == TERMINATE else "is blank: say why") in typed.err, command
    empty = type_("subscribers", "suspend", "x", "--reason", "")
    assert (empty.status, "is blank: say why" in empty.err) == (2, True)
