"""Which test shows what of which method: ``tests_of_methods.toml``, and the table that `make docs` makes of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

TESTS = Path(__file__).parents[1]
COLUMNS = {"unit": "with data of its own", "journey": "in its journey", "error": "refused", "again": "asked again"}
"""What the contract's testing strategy asks for, in the table's words."""

TESTS_OF_METHODS: dict[tuple[str, str], dict[str, str]] = {
    (service, method): tests
    for service, methods in tomllib.loads(
        Path(__file__).with_name("tests_of_methods.toml").read_text(encoding="utf-8")
    ).items()
    for method, tests in methods.items()
}


def render_tests() -> str:
    """One row a method, with the names of its tests as sentences."""
    rows = [
        f"| `{method}` | " + " | ".join(_cell(tests.get(column)) for column in COLUMNS) + " |"
        for (_, method), tests in TESTS_OF_METHODS.items()
    ]
    heading = ["| method | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    return "\n".join([*heading, *rows]) + "\n"


def _cell(test: str | None) -> str:
    if test is None:
        return "it changes nothing"
    file, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../tests/{file})"
