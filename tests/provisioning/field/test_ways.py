"""Ways by road: asked for once, kept for a day, and never invented where a router doesn't tell them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import structlog

from provisioning.field.osrm import Osrm
from provisioning.field.travel import Place
from provisioning.field.ways import AFTER_TROUBLE_SECONDS, KEPT_SECONDS, MOST_PLACES, RouterUnavailable, Ways
from tests.support.router import RouterDouble

HERE, NEAR, FAR = Place(48.1, 11.58), Place(48.15, 11.55), Place(48.4, 11.7)
BY_LINE, BY_ROAD = 9, 18
AMPLE_SECONDS = 30.0
"""For an answer that comes, however busy the machine is."""


class Seconds:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def router() -> AsyncIterator[RouterDouble]:
    async with RouterDouble() as opened:
        yield opened


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def ways(router: RouterDouble, clock: Seconds) -> Ways:
    return Ways(router=Osrm(router.url, timeout_seconds=AMPLE_SECONDS), monotonic=clock)


async def test_what_a_router_told_is_kept_for_a_day_both_ways(router: RouterDouble, ways: Ways, clock: Seconds) -> None:
    assert (ways.minutes(HERE, NEAR), ways.by(HERE, NEAR)) == (BY_LINE, "straight line")
    await ways.learn([NEAR, None, NEAR], around=HERE)
    await ways.learn([NEAR], around=HERE)
    for one, other in ((HERE, NEAR), (NEAR, HERE)):
        assert (ways.minutes(one, other), ways.by(one, other)) == (BY_ROAD, "road")
    assert ways.minutes(HERE, FAR) is not None and ways.by(HERE, FAR) == "straight line"
    assert ways.minutes(HERE, None) is None
    assert router.asked == [
        "/table/v1/driving/11.580000,48.100000;11.550000,48.150000?annotations=duration&sources=0&destinations=1",
        "/table/v1/driving/11.580000,48.100000;11.550000,48.150000?annotations=duration&sources=1&destinations=0",
    ]
    clock.now = KEPT_SECONDS + 1
    assert (ways.minutes(HERE, NEAR), ways.by(HERE, NEAR)) == (BY_LINE, "straight line")


async def test_where_no_road_leads_the_straight_line_stands_in_and_says_so(router: RouterDouble, ways: Ways) -> None:
    router.unreachable = {FAR}
    await ways.learn([NEAR, FAR], around=HERE)
    assert (ways.by(HERE, NEAR), ways.by(HERE, FAR)) == ("road", "straight line")
    assert ways.minutes(HERE, FAR) == Ways().minutes(HERE, FAR)
    await ways.learn([FAR], around=HERE)
    assert len(router.asked) == 2  # that there is no road is known


async def test_many_places_are_asked_for_as_many_at_once_as_a_router_takes(router: RouterDouble, ways: Ways) -> None:
    many = [Place(48 + number / 1000, 11.5) for number in range(2 * MOST_PLACES)]
    await ways.learn(many, around=HERE)
    in_each = [len(each.partition("?")[0].split(";")) for each in router.asked]
    assert in_each == [MOST_PLACES] * 4 + [3] * 2
    assert {ways.by(each, HERE) for each in many} == {"road"}


@pytest.mark.parametrize(
    ("status", "says", "why"),
    [
        (400, '{"code": "InvalidQuery", "message": "..."}', "the router answered 400: InvalidQuery"),
        (502, "<html>", "the router answered 502 without JSON"),
        (200, '["Ok"]', "the router answered 200: None"),
        (200, '{"code": "Ok", "durations": [[1, 2]]}', "the router's durations are not 1 rows of 1"),
        (200, '{"code": "Ok", "durations": [["soon"]]}', "the router's durations are not 1 rows of 1"),
        (200, '{"code": "Ok", "durations": [[-5]]}', "the router's durations are not 1 rows of 1"),
    ],
)
async def test_a_router_that_answers_nothing_of_use_is_named_left_alone_a_minute_and_holds_up_nobody(
    router: RouterDouble, ways: Ways, clock: Seconds, status: int, says: str, why: str
) -> None:
    router.status, router.says = status, says
    with structlog.testing.capture_logs() as logged:
        await ways.learn([NEAR], around=HERE)
        await ways.learn([NEAR], around=HERE)
    assert [(each["event"], each["reason"]) for each in logged] == [("no ways by road", why)]
    assert (ways.minutes(HERE, NEAR), ways.by(HERE, NEAR), len(router.asked)) == (BY_LINE, "straight line", 1)
    router.status, router.says = 200, None
    clock.now = AFTER_TROUBLE_SECONDS
    await ways.learn([NEAR], around=HERE)
    assert ways.by(HERE, NEAR) == "road"


@pytest.mark.parametrize(
    ("how", "seconds", "why"),
    [
        ("hangs", 0.2, "the router can't be asked: TimeoutError"),
        ("drips", 0.2, "the router can't be asked: TimeoutError"),
        ("floods", AMPLE_SECONDS, "the router's answer is larger than 2000000 bytes"),
    ],
)
async def test_a_router_that_comes_to_no_end_is_left_in_time(
    router: RouterDouble, how: str, seconds: float, why: str
) -> None:
    setattr(router, how, True)
    with pytest.raises(RouterUnavailable, match=f"^{re.escape(why)}$"):
        await Osrm(router.url, timeout_seconds=seconds).table([HERE, NEAR], origins=[0], destinations=[1])


async def test_who_reads_what_is_known_asks_nobody_and_reads_what_is_learnt_later(
    router: RouterDouble, ways: Ways, clock: Seconds
) -> None:
    known = ways.as_known()
    await known.learn([NEAR], around=HERE)
    assert (router.asked, known.asks, ways.asks) == ([], False, True)
    assert (known.minutes(HERE, NEAR), known.by(HERE, NEAR)) == (BY_LINE, "straight line")
    await ways.learn([NEAR], around=HERE)
    assert (known.minutes(HERE, NEAR), known.by(HERE, NEAR)) == (BY_ROAD, "road")
    clock.now = KEPT_SECONDS + 1
    assert known.by(HERE, NEAR) == "straight line"


async def test_the_speed_of_straight_lines_is_the_isps_to_say() -> None:
    assert Ways(kmh=20).minutes(HERE, NEAR) == BY_ROAD
