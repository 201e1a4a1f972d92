"""Virtual time moves when somebody waits for it, and only as far."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from acs.testing import LabClock, WallClock
from acs.testing.clock import IDLE_TURNS


async def test_a_wait_takes_no_real_time_and_the_right_virtual_time() -> None:
    clock, begun = LabClock(), time.monotonic()
    start = clock.now()
    await clock.sleep(3600)
    assert clock.now() - start == timedelta(hours=1)
    assert time.monotonic() - begun < 1


async def test_waits_end_in_the_order_of_their_deadlines() -> None:
    clock, order = LabClock(), []

    async def wait(seconds: float) -> None:
        await clock.sleep(seconds)
        order.append(seconds)

    await asyncio.gather(wait(3), wait(1), wait(2))
    assert order == [1, 2, 3]


async def test_a_background_wait_never_moves_time_but_ends_when_time_passes() -> None:
    clock, ended = LabClock(), []

    async def periodic() -> None:
        while True:
            await clock.sleep(10, background=True)
            ended.append((clock.now() - start).total_seconds())

    start = clock.now()
    task = asyncio.ensure_future(periodic())
    for _ in range(10 * IDLE_TURNS):
        await asyncio.sleep(0)
    assert (ended, clock.now()) == ([], start)
    await clock.sleep(35)
    assert ended == [10, 20, 30]
    task.cancel()


async def test_without_auto_advance_time_moves_by_hand() -> None:
    clock = LabClock(auto_advance=False)
    wait = asyncio.ensure_future(clock.sleep(2))
    await clock.advance(1.9)
    assert not wait.done()
    await clock.advance(0.1)
    assert wait.done()


async def test_a_cancelled_wait_moves_nothing() -> None:
    clock = LabClock()
    start = clock.now()
    wait = asyncio.ensure_future(clock.sleep(100))
    await asyncio.sleep(0)
    wait.cancel()
    await clock.sleep(1)
    assert clock.now() - start == timedelta(seconds=1)


async def test_a_wall_clock_scales_its_waits() -> None:
    begun = time.monotonic()
    await WallClock(factor=0.001).sleep(21)
    assert 0.02 < time.monotonic() - begun < 2
