"""The clock beats, survives a failing job, and stops without noise."""

from __future__ import annotations

import asyncio

import pytest

from provisioning.clock import Clock, Tick


async def test_a_tick_beats_and_one_that_fails_does_not_stop_it() -> None:
    beats: asyncio.Queue[str] = asyncio.Queue()

    async def beat() -> None:
        beats.put_nowait("beat")

    async def fail() -> None:
        beats.put_nowait("failed")
        raise RuntimeError("no database")

    clock = Clock([Tick("good", 0.01, beat), Tick("bad", 0.01, fail)])
    clock.start()
    async with asyncio.timeout(5):
        heard = [await beats.get() for _ in range(20)]
    await clock.stop()
    assert heard.count("beat") > 1
    assert heard.count("failed") > 1


async def test_a_tick_that_is_wanted_at_once_does_not_wait_for_its_first_interval() -> None:
    done = asyncio.Event()

    async def act() -> None:
        done.set()

    clock = Clock([Tick("once", 3600, act, at_once=True)])
    clock.start()
    async with asyncio.timeout(5):
        await done.wait()
    await clock.stop()


async def test_what_is_begun_when_it_is_due_is_not_begun_again_before_it_has_ended() -> None:
    calls, begun, goes_on = 0, asyncio.Event(), asyncio.Event()

    async def act() -> None:
        nonlocal calls
        calls += 1
        begun.set()
        await goes_on.wait()

    clock = Clock([Tick("when due", None, act)])
    clock.start()
    async with asyncio.timeout(5):
        assert clock.begin("when due")
        await begun.wait()
        assert not clock.begin("when due")
        goes_on.set()
        while not clock.begin("when due"):  # noqa: ASYNC110 - nobody is told when a beat has ended
            await asyncio.sleep(0)
        await clock.stop()
    assert calls == 2
    assert not clock.begin("when due"), "it has stopped"


async def test_stopping_ends_a_job_that_does_not_end_by_itself_without_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("provisioning.clock.STOP_WITHIN_SECONDS", 0.05)
    begun = asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    clock = Clock([Tick("hanging", 3600, hang, at_once=True)])
    clock.start()
    async with asyncio.timeout(5):
        await begun.wait()
        await clock.stop()
    assert caplog.records == []
