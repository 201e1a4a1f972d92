"""How an earlier system with this contract failed, and the tests by which we know that we don't.

A test shows one of them when it carries its mark, ``@pytest.mark.scenario("D7")``. That every failure has such a test,
and each of these asserts something of its own, is noticed here; that it holds is for the test itself to say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent

SCENARIOS = {
    "D1": "a step's parameter is resolved to nothing",
    "D2": "a post-paid customer is charged, and the steps after it never run",
    "D3": "an address is invented when there is none",
    "D4": "a VLAN is a constant of the plan",
    "D5": "a failed CPE counts as done, and the bill begins",
    "D6": "RADIUS never hears of the address, nobody of the VLAN",
    "D7": "two customers get one username, and the address of the second stays taken",
    "D8": "who has not accepted is charged, who has makes the run fail",
    "D9": "what survives a kill is chance, and nobody goes on",
    "D10": "a repeated call fails as known already, or charges twice",
    "D11": "what can be undone does not go on, what goes on can't be undone",
    "D12": "a message is sent as its template",
    "D13": "a missing template is replaced by another",
    "D14": "the password is in the mail",
    "D15": "one technician is booked twice",
    "D16": "whoever runs it brings brokers, caches, stores and vaults",
    "D17": "two requirements fight over protobuf",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def marked_tests() -> Iterator[tuple[str, str, Function]]:
    """(scenario, name, its code) of every test that carries a mark."""
    for file in sorted(TESTS.rglob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "mark.scenario(" not in text:
            continue
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, Function)]
        for node in functions:
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.scenario":
                    [number] = mark.args
                    yield ast.literal_eval(number), f"{file.relative_to(TESTS)}::{node.name}", node


MARKED = list(marked_tests())


def test_every_scenario_has_a_test_that_carries_its_mark() -> None:
    assert {scenario for scenario, _, _ in MARKED} == SCENARIOS.keys()


@pytest.mark.parametrize(("scenario", "name", "test"), MARKED, ids=[f"{number}-{name}" for number, name, _ in MARKED])
def test_the_scenarios_test_runs_and_asserts_something(scenario: str, name: str, test: Function) -> None:
    """In every run of the tests; one that is parametrised asserts what its parameters say."""
    assert test.name.startswith("test_"), name
    assert not [mark for mark in map(ast.unparse, test.decorator_list) if "skip" in mark or "xfail" in mark]
    asserted = [node.test for node in ast.walk(test) if isinstance(node, ast.Assert)]
    assert [each for each in asserted if not isinstance(each, ast.Constant)], f"{scenario}: {name} asserts nothing"


@pytest.mark.scenario("D16")
def test_whoever_runs_it_brings_no_more_than_the_two_systems_and_a_database() -> None:
    """Nothing that is installed talks to a broker, a cache, an object store or a vault of somebody's."""
    talks_to_others = re.compile(
        r"^(redis|valkey|hiredis|minio|boto3|hvac|pymongo|motor|pynetbox|celery|kombu|pika|aio-pika|nats-py|kafka\S*|"
        r"confluent-kafka|elasticsearch|influxdb\S*)==",
        re.MULTILINE,
    )
    assert talks_to_others.findall(locked_requirements()) == []


@pytest.mark.scenario("D17")
def test_no_two_requirements_fight_over_protobuf() -> None:
    assert re.findall(r"^(protobuf|opentelemetry-exporter\S*|ortools)==", locked_requirements(), re.MULTILINE) == []


def locked_requirements() -> str:
    return (ROOT / "deploy" / "requirements" / "runtime.txt").read_text(encoding="utf-8")
