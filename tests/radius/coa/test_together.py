"""Many who ask at the same time are answered in one go, each with its own answer or its own trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from psycopg import errors
from sqlalchemy.exc import OperationalError

from radius.coa.together import Together, is_everybodys
from radius.projection_errors import RadiusDatabaseUnavailable


class Halves:
    """Halves even numbers; goes are counted, and held up while ``open`` is not set."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.begun, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.down = False

    async def of(self, numbers: Sequence[int]) -> list[int | Exception]:
        self.goes.append(list(numbers))
        self.begun.set()
        await self.open.wait()
        if self.down:
            raise RadiusDatabaseUnavailable("it is down")
        if odd := [number for number in numbers if number % 2]:
            raise ValueError(f"{odd[0]} is odd")
        return [number // 2 or ZeroDivisionError() for number in numbers]


async def test_who_comes_at_the_same_time_is_in_one_go_and_a_full_one_leaves_the_rest_to_the_next() -> None:
    halves = Halves()
    half = Together(halves.of, most=3)
    assert await asyncio.gather(*(half(number) for number in (2, 4, 6, 8))) == [1, 2, 3, 4]
    assert halves.goes == [[2, 4, 6], [8]]


async def test_one_who_has_trouble_keeps_it_to_itself() -> None:
    halves = Halves()
    half = Together(halves.of, most=10)
    answers = await asyncio.gather(*(half(number) for number in (2, 4, 6, 3)), return_exceptions=True)
    assert (answers[:3], str(answers[3])) == ([1, 2, 3], "3 is odd")
    assert halves.goes == [[2, 4, 6, 3], [2, 4], [6, 3], [6], [3]]


async def test_trouble_that_is_said_to_be_ones_own_costs_no_second_go() -> None:
    halves = Halves()
    half = Together(halves.of, most=10)
    answers = await asyncio.gather(*(half(number) for number in (0, 2)), return_exceptions=True)
    assert (type(answers[0]), answers[1]) == (ZeroDivisionError, 1)
    assert halves.goes == [[0, 2]]


def test_what_one_waits_for_in_vain_is_not_everybodys_trouble() -> None:
    assert is_everybodys(RadiusDatabaseUnavailable("it is down"))
    assert not is_everybodys(RadiusDatabaseUnavailable("a lock did not come free", of_one=True))
    for broken, everybodys in ((errors.AdminShutdown, True), (errors.DeadlockDetected, False)):
        assert is_everybodys(OperationalError("UPDATE", None, broken())) is everybodys


async def test_a_database_that_is_down_is_asked_once_for_all_of_them() -> None:
    halves = Halves()
    halves.down = True
    half = Together(halves.of, most=10)
    answers = await asyncio.gather(*(half(number) for number in (2, 4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [RadiusDatabaseUnavailable] * 2
    assert halves.goes == [[2, 4]]
    halves.down = False
    assert await half(6) == 3


async def test_what_nobody_waits_for_any_more_is_ended_if_begun_and_else_left() -> None:
    halves = Halves()
    halves.open.clear()
    half = Together(halves.of, most=1)
    first, second = asyncio.create_task(half(2)), asyncio.create_task(half(4))
    await halves.begun.wait()
    for each in (first, second):
        each.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    halves.open.set()
    await half.end(within_seconds=60)
    assert halves.goes == [[2]]
    with pytest.raises(ValueError, match="5 is odd"):
        await half(5)


async def test_what_stands_still_when_it_is_to_end_is_broken_off() -> None:
    halves = Halves()
    halves.open.clear()
    half = Together(halves.of, most=1)
    first, second = asyncio.create_task(half(2)), asyncio.create_task(half(4))
    await halves.begun.wait()
    await half.end(within_seconds=0.01)
    answers = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError] * 2
    assert halves.goes == [[2]]
    halves.open.set()
    assert await half(6) == 3
