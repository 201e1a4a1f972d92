"""Commands that messages and pages propose with what they are about can be typed: they have all that they need."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, UsageError, parsed

ROOT = Path(__file__).parent.parent
PACKAGES = ("ipam", "radius", "acs", "workflows", "provisioning")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OF_THE_SHELL = re.compile(r"\s+(?:#|&|>|\|\s).*", re.DOTALL)
"""What behind a command is not its: a comment, what becomes of its answer, the name of another one."""


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
    for written in (*re.findall(r"`(firstlight [a-z][^`]*)`", text), *examples(text)):
        line = OF_THE_SHELL.sub("", written)
        words, command = line.split()[1:], COMMAND
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
        left_out = any(after == "..." and not word.startswith("--") for word, after in pairwise(["", *words]))
        if words and not left_out:
            yield line


def put_together(file: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every command that ``command_about`` makes there, with a number in place of whatever it is about."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_about(node.func)]
    known = vars(import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))) if calls else {}
    for call in calls:
        options = {str(each.arg): _said(each.value, known) for each in call.keywords}
        yield call.lineno, known["command_about"](*(_said(each, known) for each in call.args), **options)


def _is_about(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "command_about"


def _said(word: ast.expr, known: dict[str, object]) -> str:
    if isinstance(word, ast.JoinedStr):
        return "".join(_said(part, known) for part in word.values)
    if isinstance(word, ast.FormattedValue):
        return _said(word.value, known)
    return str(word.value) if isinstance(word, ast.Constant) else str(known.get(ast.unparse(word), "7"))


def examples(page: str) -> Iterator[str]:
    """What is typed in a page's blocks of a shell."""
    for block in re.findall(r"^```(?:sh|console)?\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        of_ours = re.findall(r"^(?:\$ )?(?:(?:\S+/)?firstlight|fl) ([a-z].*)", block.replace("\\\n", " "), re.MULTILINE)
        yield from (f"firstlight {typed}" for typed in of_ours)  # fl: docs/running.md


def refused(text: str) -> list[str]:
    """What is proposed in it and can't be typed, and why."""
    return refused_lines(proposed(text))


def refused_lines(lines: Iterable[str]) -> list[str]:
    """Those that can't be typed, and why."""
    found = []
    for line in lines:
        try:
            parsed(line)
        except UsageError as error:
            if type(error).__name__ != "BadParameter":  # whoever types it puts something in a word's place
                found.append(f"{line}: {error!r}")
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_command_that_is_proposed_has_all_that_it_needs(package: str) -> None:
    wrong = []
    for file in sorted((ROOT / package).rglob("*.py")):
        tree = _tree(file)
        found = [(number, line) for number, text in strings(tree) for line in proposed(text)]
        for number, line in [*found, *put_together(file, tree)]:
            wrong += [f"{file.relative_to(ROOT)}:{number}: {each}" for each in refused_lines([line])]
    assert wrong == []


def test_of_a_command_that_is_put_together_it_is_known_what_it_would_be() -> None:
    made = [line for file in sorted((ROOT / "acs").rglob("*.py")) for _, line in put_together(file, _tree(file))]
    assert "firstlight devices provision 7 USERNAME --template ... --reason ..." in made
    assert "firstlight devices move 7 --acs 7 --reason ..." in made


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_in_a_page_has_all_that_it_needs(page: Path) -> None:
    assert refused(page.read_text(encoding="utf-8")) == []


def test_a_command_in_a_page_is_found_however_it_is_written() -> None:
    block = ".venv/bin/firstlight runs show \\\n--json   # one\nfirstlight serve &\n$ firstlight nas show\nfl nas test"
    page = f"by `firstlight nas add --lines`,\n```\n{block} --json\n```"
    commands = ["nas add --lines", "runs show  --json", "nas test --json"]
    assert list(proposed(page)) == [f"firstlight {each}" for each in commands]
    assert [each.partition(": ")[0] for each in refused(page)] == list(proposed(page))
