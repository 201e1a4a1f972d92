"""The documentation is true: what is made from the code is up to date, and no page sends anybody to nothing."""

from __future__ import annotations

import ast
import html
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from provisioning.cli import app
from provisioning.reference import ROOTS, error_classes, every_error, parts
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
SOURCES = [
    file
    for package in ("acs", "ipam", "provisioning", "radius", "workflows")
    for file in ROOT.glob(f"{package}/**/*.py")
]
DRAWN = re.compile(r"(?:[ │|]*(?:├── |└── |\|-- |`-- )| *(?=\w+Error$))(\w+)")
BESIDE = [*ROOT.glob("acs/**/*.toml"), *ROOT.glob("deploy/freeradius/raddb/**/*.conf"), *ROOT.glob("tests/**/*.py")]
WORD, NAMED = re.compile(r"[A-Za-z_]\w*"), re.compile(r"``([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:\(\))?``")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
CODE_OF_THE_ENGINE = re.compile(r'"(workflow\.[a-z_]+)"')


@pytest.mark.parametrize(
    "name", ["settings", "commands", "errors", "invariants", "mails", "contract", "journeys", "api"]
)
def test_what_is_made_from_the_code_is_up_to_date(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert parts()[name] in page, f"docs/{name}.md is out of date: run `make docs`"


def test_every_command_argument_and_option_has_words_of_its_own() -> None:
    wordless = [
        f"{path} {parameter.name}"
        for path, command in commands()
        for parameter in command.params
        if parameter.name != "help" and not getattr(parameter, "help", None)
    ]
    assert wordless + [path for path, command in commands() if not command.help] == []


def test_every_command_that_answers_has_an_answer_for_a_program() -> None:
    silent = {path for path, command in commands() if not any("--json" in one.opts for one in command.params)}
    assert silent == {"firstlight serve", "firstlight worker"}


def test_every_error_has_a_code_of_its_own_under_its_branch_and_a_default_sentence() -> None:
    codes = Counter(facts.code for facts in every_error())
    assert [code for code, times in codes.items() if times > 1] == []
    for kind in error_classes():
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.__dict__.get("code", "none.own")), kind
        assert kind.__doc__, kind
        assert isinstance(getattr(kind, "transient", None), bool), kind
    assert {root.__dict__["code"] for root in ROOTS} <= set(codes)


@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.__name__)
def test_every_error_is_drawn_under_its_parent_and_nothing_else_is(root: type[Exception]) -> None:
    """In the tree of its package; or, where a branch has a tree of its own, its head there and the rest in its own."""
    of_the_root = tree_of(root.__module__)
    kinds = [kind for kind in error_classes() if issubclass(kind, root)]
    undrawn = [
        kind.__name__
        for kind in kinds
        if kind is not root
        and (kind.__name__, kind.__bases__[0].__name__) not in of_the_root | tree_of(branch_of(kind, root).__module__)
    ]
    assert undrawn == []
    assert {branch_of(kind, root).__name__ for kind in kinds if kind is not root} <= {name for name, _ in of_the_root}
    drawn = {name for module in {kind.__module__ for kind in kinds} for name, _ in tree_of(module)}
    assert drawn == {kind.__name__ for kind in kinds}


def branch_of(kind: type[Exception], root: type[Exception]) -> type[Exception]:
    """The class directly under the root that this one descends from."""
    return next(each for each in kind.__mro__ if root in each.__bases__)


def tree_of(module: str) -> set[tuple[str, str | None]]:
    """(class, parent) of what a module's docstring draws."""
    drawn: list[tuple[int, str]] = []
    pairs: set[tuple[str, str | None]] = set()
    for line in (sys.modules[module].__doc__ or "").splitlines():
        found = DRAWN.match(line)
        if found is None:
            continue
        depth, name = found.start(1), found[1]
        while drawn and drawn[-1][0] >= depth:
            drawn.pop()
        pairs.add((name, drawn[-1][1] if drawn else None))
        drawn.append((depth, name))
    return pairs


def test_every_code_that_the_engine_gives_by_itself_is_documented() -> None:
    written = {code for file in SOURCES for code in CODE_OF_THE_ENGINE.findall(file.read_text(encoding="utf-8"))}
    assert written <= {facts.code for facts in every_error()}
    assert "workflow.unexpected_error" in written


def test_whatever_a_docstring_names_stands_somewhere_else_too() -> None:
    """In the code, in its tests, or in a file that belongs to them: else it has been renamed or is gone."""
    docstrings = {file: list(docstrings_of(file)) for file in SOURCES}
    written = Counter(word for file in [*SOURCES, *BESIDE] for word in WORD.findall(file.read_text(encoding="utf-8")))
    written.subtract(word for told in docstrings.values() for each in told for word in WORD.findall(each))
    files = {part for file in [*SOURCES, *BESIDE] for part in (*file.parent.parts, *file.name.split("."))}
    gone = [
        f"{file.relative_to(ROOT)}: {named}"
        for file, told in docstrings.items()
        for named in NAMED.findall("\n".join(told))
        if not all(part in files or written[part] > 0 or re.search(r"\d", part) for part in named.split("."))
    ]
    assert gone == []


def docstrings_of(file: Path) -> Iterator[str]:
    """Of the module, its classes and functions, and of what is explained below its name."""
    for node in walk_of(file):
        if isinstance(node, DOCUMENTED):
            for each in node.body:
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant):
                    yield from [each.value.value] if isinstance(each.value.value, str) else []


def test_everything_is_caught_only_where_the_rule_says_so() -> None:
    rule = (
        (ROOT / "CONTRIBUTING.md")
        .read_text(encoding="utf-8")
        .partition("Broad `except`")[2]
        .partition("* **Data.**")[0]
    )
    allowed = re.findall(r"`([\w/]+\.py)`", rule)
    catching = sorted(str(file.relative_to(ROOT)) for file in SOURCES if any(map(catches_all, walk_of(file))))
    assert sorted(allowed) == catching


def walk_of(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def catches_all(node: ast.AST) -> bool:
    return isinstance(node, ast.ExceptHandler) and (
        node.type is None or bool({"Exception", "BaseException"} & {*re.findall(r"\w+", ast.unparse(node.type))})
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_commands_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    known = {path for path, _ in commands()}
    groups = {path.rpartition(" ")[0] for path in known}
    called = r"(?:`|^|\s)(?:(?:\.venv/bin/)?firstlight|^fl)((?: [a-z][a-z-]*){1,2})(?=[`\s|]|$)"  # docs/running.md: fl
    for named in re.findall(called, text, re.MULTILINE):
        words = ["firstlight", *named.split()]
        command = " ".join(words)
        assert command in known or " ".join(words[:2]) in known or command in groups, f"{page.name}: {command}"


def test_the_picture_of_the_demo_shows_every_step_of_today_and_the_proof() -> None:
    picture = html.unescape((ROOT / "docs" / "demo.svg").read_text(encoding="utf-8")).replace("\xa0", " ")
    shown = set(re.findall(r"(?:completed|skipped) +([a-z_]+)", picture))
    missing = [step.name for step in ISP_TICKET_TO_DEPLOYMENT.steps if step.name not in shown]
    assert missing == [], "docs/demo.svg is out of date: run `make picture`"
    assert shown <= {step.name for step in ISP_TICKET_TO_DEPLOYMENT.steps}
    assert '"state": "completed"' in picture


@cache
def commands(command: Any = None, path: str = "firstlight") -> tuple[tuple[str, Any], ...]:
    """(path, command) of everything that can be typed."""
    found: list[tuple[str, Any]] = []
    for name, inner in getattr(command or get_command(app), "commands", {}).items():
        found += commands(inner, f"{path} {name}") if hasattr(inner, "commands") else ((f"{path} {name}", inner),)
    return tuple(found)
