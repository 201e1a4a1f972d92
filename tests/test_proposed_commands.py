"""Commands that messages propose with what they are about can be typed: they have all that they need."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, UsageError, parsed

ROOT = Path(__file__).parent.parent
PACKAGES = ("ipam", "radius", "acs", "workflows", "provisioning")


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every text but what a module is about, with a number in place of what is put into it."""
    about = next((each.value for each in tree.body[:1] if isinstance(each, ast.Expr)), None)
    put_into = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in put_into | {id(about)}:
            yield node.lineno, re.sub(r"\{\w+\}", "7", node.value)


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return "" if "options" in ast.unparse(part) else "7"


def proposed(text: str) -> Iterator[str]:
    """Commands with an argument or an option. A bare name is none to be typed, nor is one that leaves arguments out."""
    for line in re.findall(r"`(firstlight [a-z][^`]*)`", text):
        words, command = line.split()[1:], COMMAND
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
        left_out = any(after == "..." and not word.startswith("--") for word, after in pairwise(["", *words]))
        if words and not left_out:
            yield line


@pytest.mark.parametrize("package", PACKAGES)
def test_a_command_that_is_proposed_has_all_that_it_needs(package: str) -> None:
    wrong = []
    for file in sorted((ROOT / package).rglob("*.py")):
        for number, text in strings(ast.parse(file.read_text())):
            for line in proposed(text):
                try:
                    parsed(line)
                except UsageError as error:
                    if type(error).__name__ != "BadParameter":  # whoever types it puts something in a word's place
                        wrong.append(f"{file.relative_to(ROOT)}:{number}: {line}: {error!r}")
    assert wrong == []
