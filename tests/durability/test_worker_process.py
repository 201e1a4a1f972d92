"""`firstlight worker` as the operator's service manager runs it: stopped, started again, started twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from provisioning.lab.demo import open_lab
from provisioning.settings import PREFIX, Settings
from tests.support.clock import MovableClock
from tests.support.customer_pages import PageServer
from tests.support.estate import Household, estate_toml
from tests.support.lab import Installation, JourneyLab
from tests.support.traces import NOTHING, traces_of
from workflows import RunSummary
from workflows.engine.tables import MOVING

FIRSTLIGHT = Path(sys.executable).with_name("firstlight")
PATIENCE_SECONDS = 60
STOPS_WITHIN_SECONDS = 30


class Service:
    """One `firstlight worker`, by the settings of a lab."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text()

    async def at_work(self) -> None:
        """Returns when it takes segments; before that, a signal would find nobody who hears it."""
        async with asyncio.timeout(STOPS_WITHIN_SECONDS):
            while "dispatch is open" not in self.said:  # noqa: ASYNC110 - another process's log
                await asyncio.sleep(0.05)

    async def told_to_stop(self) -> int:
        """SIGTERM, as from a service manager; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(STOPS_WITHIN_SECONDS):
            return await self.process.wait()


class Services:
    """Starts workers for one lab, and leaves none running."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._environment = environment_of(settings)
        self._folder = folder
        self.started: list[Service] = []

    async def start(self) -> Service:
        log = self._folder / f"worker-{len(self.started)}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                FIRSTLIGHT, "worker", env=self._environment, stdout=output, stderr=output
            )
        service = Service(process, log)
        self.started.append(service)
        return service

    async def end_all(self) -> None:
        for service in self.started:
            if service.process.returncode is None:
                service.process.kill()
                await service.process.wait()


def environment_of(settings: Settings) -> dict[str, str]:
    """What an operator would have put into the service's environment to have these settings."""
    given = {f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | given


@pytest.fixture
async def people(tmp_path: Path, database_url: str) -> AsyncIterator[JourneyLab]:
    """An ISP whose appliance has no worker yet."""
    estate = tmp_path / "estate.toml"
    estate.write_text(estate_toml(first=4))
    clock = MovableClock()
    async with open_lab(tmp_path / "lab", estate, lambda _: None, clock=clock, database_url=database_url) as lab:
        yield JourneyLab(lab, clock, PageServer())


@pytest.fixture
async def services(people: JourneyLab, tmp_path: Path) -> AsyncIterator[Services]:
    started = Services(people.appliance.settings, tmp_path)
    yield started
    await started.end_all()


async def until(run: Installation, is_so: Callable[[RunSummary], bool]) -> RunSummary:
    """The run, once it is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so(summary := (await run.view()).summary):  # noqa: ASYNC110 - a row of the database
            await asyncio.sleep(0.05)
    return summary


async def slow_cpe_scanned(people: JourneyLab, run: Installation, house: Household) -> None:
    """The technician scans a CPE whose sessions take their time, so that a segment can be stopped in its middle."""
    cpe = await people.plug(house.serial, house)
    cpe.quirks.session_seconds = 1.0
    await run.report("scanned", serial=house.serial, port=house.port)


@pytest.mark.second_half
async def test_told_to_stop_a_worker_lets_the_segment_under_way_come_to_rest_and_another_goes_on(
    people: JourneyLab, services: Services
) -> None:
    first, house = await services.start(), people.household()
    run = await people.order(house)
    await until(run, lambda now: now.waiting_for == "visit")
    await slow_cpe_scanned(people, run, house)
    await until(run, lambda now: now.current_step == "apply_device" and now.state in MOVING)
    assert await first.told_to_stop() == 0, first.said
    rested = (await run.view()).summary
    assert rested.state not in MOVING and rested.reason, (rested, first.said)
    second = await services.start()
    assert (await until(run, lambda now: now.finished_at is not None)).state == "completed"
    assert await people.broken_invariants() == []
    assert await second.told_to_stop() == 0, second.said


@pytest.mark.second_half
async def test_what_is_reported_while_no_worker_runs_is_heard_by_the_next_one(
    people: JourneyLab, services: Services
) -> None:
    first, house = await services.start(), people.household()
    run = await people.order(house)
    await until(run, lambda now: now.waiting_for == "visit")
    assert await first.told_to_stop() == 0, first.said
    await run.plug_and_scan(house)
    other_house = people.household()
    other = await people.order(other_house)
    await other.cancel("ordered by mistake")
    await services.start()
    assert (await until(run, lambda now: now.finished_at is not None)).state == "completed"
    assert (await until(other, lambda now: now.finished_at is not None)).state == "cancelled"
    assert await traces_of(people, other_house) == NOTHING
    assert await people.broken_invariants() == []


@pytest.mark.durability_sweep
async def test_a_second_worker_is_refused_on_sqlite_and_welcome_on_postgresql(
    people: JourneyLab, services: Services
) -> None:
    first, house = await services.start(), people.household()
    run = await people.order(house)
    await until(run, lambda now: now.waiting_for == "visit")
    second = await services.start()
    if not people.is_postgresql:
        assert await second.ended() != 0
        assert "Another worker moves the runs" in second.said and "SQLite bears one" in " ".join(second.said.split())
    await run.plug_and_scan(house)
    assert (await until(run, lambda now: now.finished_at is not None)).state == "completed"
    assert await people.broken_invariants() == []
    if people.is_postgresql:
        await second.at_work()
        assert await second.told_to_stop() == 0, second.said
    first.process.kill()
    await first.ended()
    third = await services.start()  # a killed worker's lock is nobody's
    another_house = people.household()
    another = await people.order(another_house)
    await until(another, lambda now: now.waiting_for == "visit")
    assert await third.told_to_stop() == 0, third.said
