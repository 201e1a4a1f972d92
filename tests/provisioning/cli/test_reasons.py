"""Who changes a subscriber, a NAS or a plan by hand says why, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.command_line import COMMAND

LOOKS = {
    *("subscribers show", "subscribers changes", "subscribers logins", "subscribers unknown", "subscribers diagnose"),
    *("subscribers truth", "subscribers timeline", "subscribers preview"),
    *("nas list", "nas show", "nas test", "nas unknown"),
    *("plans list", "plans show", "plans subscribers", "plans render"),
}
WRITES_WHAT_IS_WANTED_ALREADY = {"subscribers project"}
TERMINATE = "subscribers terminate"
"""It names whatever else is wrong beside."""


def commands() -> Iterator[tuple[str, list[str]]]:
    """Each command of the three nouns, and words for whatever it cannot do without."""
    tree: Any = COMMAND
    for noun in ("subscribers", "nas", "plans"):
        for verb, command in tree.commands[noun].commands.items():
            needed = [each for each in command.params if each.required and each.name != "reason"]
            words = [word for each in needed for word in ([each.opts[0], "1"] if each.opts[0][0] == "-" else ["x"])]
            yield f"{noun} {verb}", words


def test_a_change_without_a_reason_or_with_a_blank_one_is_refused(isp: Settings, type_: Type) -> None:
    known = dict(commands())
    change = known.keys() - LOOKS - WRITES_WHAT_IS_WANTED_ALREADY
    assert (len(known) - len(change), len(change) >= 20) == (len(LOOKS | WRITES_WHAT_IS_WANTED_ALREADY), True)
    for command in sorted(change):
        words = (*command.split(), *known[command])
        left_out = type_(*words)
        assert (left_out.status, left_out.out, "--reason" in left_out.err) == (2, "", True), command
        for blank in ("", " \t"):
            typed = type_(*words, "--reason", blank)
            assert (typed.status, typed.out) == (2, ""), command
            assert ("reason: is " if command == TERMINATE else "is blank: say why") in typed.err, command
