"""A measurement says what it has seen: its ratio, its percentiles, its keys."""

from __future__ import annotations

import json

import pytest

from tests.bench.lines import Pair, Tally, percentile, say, told


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.5, 5.0), (0.9, 9.0), (0.99, 10.0), (0.0, 1.0), (1.0, 10.0)],
)
def test_a_percentile_is_the_smallest_that_so_many_do_not_exceed(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(10, 0, -1)], share) == expected


def test_the_rate_is_that_of_all_clients_while_they_are_at_it() -> None:
    assert Tally([[10.0, 10.0], [20.0], []]).rate_per_s == pytest.approx(100 + 50)


def test_the_ratio_is_how_many_bare_inserts_one_operation_costs() -> None:
    pairs = [
        Pair(Tally([[1.0, 1.0]]), Tally([[2.0]])),
        Pair(Tally([[1.0]]), Tally([[4.0, 4.0]])),
        Pair(Tally([[1.0]]), Tally([[3.0]])),
    ]

    line = told("ipam.allocate", pairs, database="sqlite", clients=1)

    assert line == {
        "bench": "ipam.allocate",
        "database": "sqlite",
        "clients": 1,
        "ratio": 3.0,
        "floor": 1000.0,
        "rate_per_s": 333.3,
        "p50_ms": 3.0,
        "p99_ms": 4.0,
        "runs": 3,
        "operations": 4,
    }


def test_a_window_that_saw_nothing_is_no_run() -> None:
    empty = Pair(Tally([[1.0]]), Tally([[], []]))

    assert told("ipam.allocate", [empty]) == {"bench": "ipam.allocate", "runs": 0, "operations": 0}


def test_what_is_said_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    say({"bench": "ipam.api", "clients": 8})
    say({"bench": "ipam.api", "clients": 1})

    assert [json.loads(line)["clients"] for line in capsys.readouterr().out.splitlines()] == [8, 1]
