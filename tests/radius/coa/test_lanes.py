"""A NAS is asked no faster than it takes, and left alone while it is silent; others don't wait for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from radius.coa import lanes as nas_lanes
from radius.coa.doors import KnownNas
from radius.coa.dynamic_authorization import NasDoor
from radius.coa.lanes import COME_AGAIN_PER_SECOND, IN_FLIGHT, SILENT_FOR_SECONDS, Later, NasLanes
from radius.dialects import DIALECTS
from radius.nas.terms import CoaTerms


def nas(address: str, *, per_second: int | None = None) -> KnownNas:
    door = NasDoor(name=address, address=address, port=3799, secret="a-lab-secret-of-24-chars")
    return KnownNas(door, DIALECTS["mikrotik"], CoaTerms(per_second=per_second))


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes but where a test has it pass."""
    monkeypatch.setattr(nas_lanes, "_clock", lambda: 1000.0)


@pytest.mark.usefixtures("standing_clock")
async def test_requests_are_as_far_apart_as_the_nas_wants() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    lanes, slow = NasLanes(sleep), nas("10.0.0.1", per_second=4)
    for _ in range(4):
        async with lanes.turn(slow):
            pass
    assert waited == [0.25, 0.5, 0.75]
    async with lanes.turn(nas("10.0.0.2")):
        assert len(waited) == 3


async def test_no_more_than_so_many_are_under_way_at_once() -> None:
    lanes, one, under_way, most = NasLanes(), nas("10.0.0.1"), 0, 0
    lanes.answered(one, silent=False)
    gate = asyncio.Event()

    async def ask() -> None:
        nonlocal under_way, most
        async with lanes.turn(one):
            under_way += 1
            most = max(most, under_way)
            await gate.wait()
            under_way -= 1

    asking = [asyncio.create_task(ask()) for _ in range(IN_FLIGHT + 8)]
    for _ in range(3 * IN_FLIGHT):  # whoever may go has gone by then
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*asking)
    assert most == IN_FLIGHT


@pytest.mark.usefixtures("standing_clock")
async def test_a_silent_nas_is_not_asked_again_at_once_and_others_are() -> None:
    lanes, down, up = NasLanes(), nas("10.0.0.1"), nas("10.0.0.2")
    lanes.answered(down, silent=True)
    async with lanes.turn(down) as later, lanes.turn(up) as at_once:
        assert later is not None and at_once is None
        assert later.why == "silent"
        assert later.seconds == pytest.approx(SILENT_FOR_SECONDS + 1 / COME_AGAIN_PER_SECOND)


async def test_one_asks_a_nas_of_which_nobody_knows_whether_it_answers_and_the_others_wait_for_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nas_lanes, "PROBE_SECONDS", 0.02)
    lanes, unknown = NasLanes(), nas("10.0.0.1")

    async def ask() -> str | None:
        async with lanes.turn(unknown) as later:
            return None if later is None else later.why

    async with lanes.turn(unknown) as first:
        assert first is None
        assert await ask() == "unknown"  # it has not answered in time
        monkeypatch.setattr(nas_lanes, "PROBE_SECONDS", 60)
        waiting = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        lanes.answered(unknown, silent=False)
    assert await asyncio.gather(*waiting) == [None, None, None]


async def test_those_who_wait_for_a_nas_that_falls_silent_are_put_off_with_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes, failing = NasLanes(), nas("10.0.0.1")
    lanes.answered(failing, silent=False)
    outcomes, gate = list[Later | None](), asyncio.Event()

    async def ask() -> None:
        async with lanes.turn(failing) as later:
            outcomes.append(later)
            if later is None:
                await gate.wait()
                lanes.answered(failing, silent=True)

    asking = [asyncio.create_task(ask()) for _ in range(IN_FLIGHT + 3)]
    for _ in range(3 * IN_FLIGHT):  # whoever may go has gone by then
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*asking)
    assert [each.why for each in outcomes if each is not None] == ["silent"] * 3


async def test_nobody_waits_for_a_nas_that_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_lanes, "STALLED_SECONDS", 0.02)
    lanes, stalled, gate = NasLanes(), nas("10.0.0.1"), asyncio.Event()
    lanes.answered(stalled, silent=False)
    await asyncio.sleep(0)

    async def ask() -> Later | None:
        async with lanes.turn(stalled) as later:
            if later is None:
                await gate.wait()
            return later

    under_way = [asyncio.create_task(ask()) for _ in range(IN_FLIGHT)]
    put_off = await asyncio.gather(*(ask() for _ in range(5)))
    assert [each and each.why for each in put_off] == ["busy"] * 5
    gate.set()
    assert await asyncio.gather(*under_way) == [None] * IN_FLIGHT


@pytest.mark.usefixtures("standing_clock")
async def test_as_many_wait_as_a_nas_takes_in_a_while_and_the_others_come_when_it_has_room() -> None:
    asleep = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        await asleep.wait()

    lanes, spared, quick = NasLanes(sleep), nas("10.0.0.1", per_second=2), nas("10.0.0.2")
    lanes.answered(spared, silent=False)
    put_off: list[float] = []

    async def ask() -> None:
        async with lanes.turn(spared) as later:
            if later is not None:
                put_off.append(later.seconds)

    wait_for_it = 1 + IN_FLIGHT + 2 * int(nas_lanes.PATIENCE_SECONDS) + 1  # the first need not wait
    asking = [asyncio.create_task(ask()) for _ in range(wait_for_it + 4)]
    for _ in range(2 * len(asking)):
        await asyncio.sleep(0)
    # half a second apart, behind those who wait
    assert put_off == [10.5 + number / 2 for number in range(1, 5)]
    async with lanes.turn(quick) as later:
        assert later is None
    asleep.set()
    await asyncio.gather(*asking)
    assert len(put_off) == 4


@pytest.mark.usefixtures("standing_clock")
async def test_who_comes_too_early_keeps_its_place_and_nobody_is_put_off_for_longer_than_ten_minutes() -> None:
    lanes, down = NasLanes(), nas("10.0.0.1", per_second=1)
    lanes.answered(down, silent=True)

    async def put_off(who: str | int) -> float:
        async with lanes.turn(down, who=who) as later:
            assert later is not None and later.why == "silent"
            return later.seconds

    assert await put_off("first") == 21
    assert await put_off("second") == 22
    assert await put_off("first") == 21
    longest = max([await put_off(number) for number in range(700)])
    assert longest == nas_lanes.LONGEST_PUT_OFF_SECONDS
    lanes.answered(down, silent=False)
    async with lanes.turn(down, who="of another change") as later:
        assert later is None


async def test_a_nas_that_is_known_to_be_quick_is_come_to_again_as_fast_as_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(nas_lanes, "_clock", lambda: now)
    monkeypatch.setattr(nas_lanes, "PATIENCE_SECONDS", -1.0)
    lanes, quick = NasLanes(), nas("10.0.0.1")
    lanes.answered(quick, silent=False)
    for took in (0.032, 0.132):
        async with lanes.turn(quick):
            now += took
    assert lanes._lane(quick).takes_seconds == pytest.approx(0.052)  # the first whole, then a fifth of each
    async with AsyncExitStack() as stack:
        for _ in range(IN_FLIGHT):
            assert await stack.enter_async_context(lanes.turn(quick)) is None
        put_off = [await stack.enter_async_context(lanes.turn(quick)) for _ in range(2)]
    apart = 0.052 / IN_FLIGHT
    assert [each and each.seconds for each in put_off] == [pytest.approx(apart), pytest.approx(2 * apart)]
