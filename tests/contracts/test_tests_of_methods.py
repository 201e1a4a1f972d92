"""Each method has the tests that its testing strategy asks for: they are there, call it and assert something."""

from __future__ import annotations

import ast
import inspect
import re
from typing import get_type_hints

import pytest

from tests.contracts.tests_of_methods import COLUMNS, TESTS, TESTS_OF_METHODS, render_tests
from workflows import CONTRACT
from workflows.services import Services

EACH = [(*name, column, test) for name, tests in TESTS_OF_METHODS.items() for column, test in tests.items()]
OURS = re.compile(r"^from (tests\.[\w.]+) import", re.MULTILINE)


def test_every_method_has_every_kind_of_test() -> None:
    """What takes no request id is a question, and asking twice needs no test."""
    assert TESTS_OF_METHODS.keys() == {(service, method) for service, methods in CONTRACT.items() for method in methods}
    for (service, method), tests in TESTS_OF_METHODS.items():
        parameters = inspect.signature(getattr(get_type_hints(Services)[service], method)).parameters
        assert tests.keys() == COLUMNS.keys() - (set() if "request_id" in parameters else {"again"}), method


@pytest.mark.parametrize(("service", "method", "column", "test"), EACH, ids=[f"{m}-{c}" for _, m, c, _ in EACH])
def test_the_methods_test_is_there_and_calls_it(service: str, method: str, column: str, test: str) -> None:
    file, _, name = test.partition("::")
    text = (TESTS / file).read_text(encoding="utf-8")
    [function] = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]
    assert any(isinstance(node, ast.Assert | ast.With | ast.AsyncWith) for node in ast.walk(function)), (
        "asserts nothing"
    )
    if column == "journey":
        assert file.removeprefix("journeys/test_").removesuffix(".py") in CONTRACT[service][method]
        return
    assert re.search(rf"\b{method}\b", text + helpers_of(file, text)), f"{file} never calls {method}"


def helpers_of(file: str, text: str) -> str:
    """The source of what a test's file imports of ours, and of the fixtures beside it."""
    modules = [TESTS.parent / (name.replace(".", "/") + ".py") for name in OURS.findall(text)]
    beside = (TESTS / file).with_name("conftest.py")
    return "".join(one.read_text(encoding="utf-8") for one in (*modules, beside) if one.exists())


def test_the_documentation_names_them() -> None:
    page = (TESTS.parent / "docs" / "contract.md").read_text(encoding="utf-8")
    assert render_tests() in page, "docs/contract.md is out of date: run `make docs`"
