"""What a step reads of earlier steps is there when it comes to run: found in its source, of every journey."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.workflows.toy import HIRE, Hire
from workflows import DEFINITIONS, Definition
from workflows.engine.run import Run
from workflows.engine.steps import Act, Step, Wait


def functions_of(step: Step[Any, Any]) -> Iterator[Callable[..., Any]]:
    """Whatever of a step is called with the run before its own result is there."""
    asked: list[Callable[..., Any] | None] = [step.when]
    if isinstance(step, Act):
        asked += [step.do, step.probe]
    if isinstance(step, Wait):
        asked += [step.subject, step.deadline, step.since, step.on_deadline]
    yield from (one for one in asked if one is not None)


def read_by(function: Callable[..., Any]) -> set[str]:
    """The steps whose result it can't do without: those in ``run[...]``, by name."""
    variables = inspect.getclosurevars(function)
    known = {**variables.globals, **variables.nonlocals}
    found = set()
    for node in ast.walk(_source_of(function)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "run":
            assert isinstance(node.slice, ast.Name), f"{function.__name__}: run[...] must name a step"
            step = known[node.slice.id]
            assert isinstance(step, Step)
            found.add(step.name)
    return found


def _source_of(function: Callable[..., Any]) -> ast.AST:
    """A function's tree; of a lambda, that of the statement it stands in, which can only name more."""
    source = textwrap.dedent(inspect.getsource(function))
    for text in (source, f"f({source.rstrip().rstrip(',')})"):
        try:
            return ast.parse(text)
        except SyntaxError:
            continue
    return ast.parse("")


def missing(definition: Definition[Any]) -> list[str]:
    """Each step that reads one which doesn't stand before it."""
    names = [step.name for step in definition.steps]
    return [
        f"{step.name} reads {name}"
        for position, step in enumerate(definition.steps)
        for function in functions_of(step)
        if not isinstance(step, Wait) or function.__name__ != "<lambda>"
        for name in read_by(function)
        if name not in names[:position]
    ]


@pytest.mark.scenario("D1")
@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda one: f"{one.name}/{one.version}")
def test_a_step_reads_only_what_stands_before_it(definition: Definition[Any]) -> None:
    assert missing(definition) == []


def test_a_step_that_reads_a_later_one_is_found() -> None:
    early, late = HIRE.steps[0], HIRE.steps[-1]

    async def peep(services: Any, run: Run[Hire]) -> str:
        return str(run[late])

    assert read_by(peep) == {late.name}
    assert late.name != early.name
