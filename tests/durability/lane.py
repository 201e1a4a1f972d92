"""One database, its world, and the worker process of the moment: stories are played in it one after the other.

The world and the people live in the test's process and are never killed; the worker is. It is started again each time
it dies, and the one that ends a story well is the one that dies in the next.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from provisioning.commercial.payments.testing import StripeDouble
from provisioning.lab.demo import open_lab
from provisioning.settings import Settings
from tests.durability.commerce import PARTNER_OF_MANY
from tests.durability.story import Played, Prepared, Scene, Story
from tests.support.customer_pages import PageServer
from tests.support.estate import HOUSEHOLDS, estate_toml
from tests.support.http_receiver import HttpReceiver
from tests.support.lab import Installation, JourneyLab
from tests.support.line_system import line_webhook_settings
from tests.support.shop import ESTATE as SHOP_ESTATE
from tests.support.shop import Shop, shop_settings
from tests.support.worker_process import Home, Instant, Plan
from tests.support.worker_server import WorkerProcess, WorkerServer
from workflows.engine.tables import ENDED, RunRow, WorkerRow

PATIENCE_SECONDS = 240.0
NEVER_REACHED_AFTER_SECONDS = 8.0
LOOK_EVERY_SECONDS = 0.1
LOOK_AT_LEAST_EVERY_SECONDS = 1.0
SILENCE = timedelta(seconds=10)
"""More than a lease."""
UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED")
MOST_OF_A_TEST = 50
"""Households that one test may take, each run one."""


class StoryBroken(AssertionError):
    """A story did not end as it should; the message has all that is known."""


class Lane:
    """Made by `open_lane`."""

    def __init__(self, people: JourneyLab, shop: Shop, server: WorkerServer, home: Home, *, commits: bool) -> None:
        self.kind = "postgresql" if people.is_postgresql else "sqlite"
        self.people = people
        self.shop = shop
        self.home = home
        self._server = server
        self.commits = commits
        self.worker: WorkerProcess | None = None
        self._story_settings: dict[str, Any] = {}
        self.frozen: list[WorkerProcess] = []
        self.is_spoilt = False
        self._looked = (0, 0.0)

    @property
    def is_worn(self) -> bool:
        """Whether the households that nobody has lived in yet may not last for another test."""
        return self.people.last_household + MOST_OF_A_TEST >= HOUSEHOLDS

    async def hear(self, commits: bool) -> None:
        """Whether COMMITs are instants of its workers too; the one of the moment may have been started otherwise."""
        if self.worker is not None and self.commits != commits:
            await self.worker.end()
        self.commits = commits

    async def start_worker(self) -> WorkerProcess:
        """Another worker on this database; it becomes the worker of the moment."""
        self.worker = await self._server.start(self._settings, self.home, commits=self.commits)
        return self.worker

    @property
    def _settings(self) -> Settings:
        """Of the worker of the moment."""
        return self.people.appliance.settings.model_copy(update=self._story_settings)

    @asynccontextmanager
    async def rehearsal(self, story: Story) -> AsyncIterator[None]:
        """The server itself is the worker of the moment; nobody may be lost."""
        if self.worker is not None:
            await self.worker.end()
        self._story_settings = dict(story.settings)
        async with self._server.rehearsal(self._settings, self.home, commits=self.commits) as self.worker:
            try:
                yield
            finally:
                self.worker = None

    async def play(self, story: Story, *losses: Instant, by: signal.Signals = signal.SIGKILL) -> Played:
        """One run from its start to its end; the worker is lost at the first instant, the next at the second...

        ``by`` SIGSTOP they are only frozen, and thaw when the others have brought the run to its end.

        Raises: StoryBroken.
        """
        if self._story_settings != dict(story.settings):
            if self.worker is not None:
                await self.worker.end()
            self._story_settings = dict(story.settings)
        await self._prepare(story)
        plans = [Plan(by, instant) for instant in losses]
        offset = self.home.trace_size
        self.home.arm(plans[0] if plans else None)
        if self.worker is None or not self.worker.alive:
            await self.start_worker()
        scene = await story.begin(self.people, self.shop)
        scene.plans = plans
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self._over(story, scene):
                    assert self.worker is not None
                    await asyncio.wait([self.worker.died], timeout=LOOK_EVERY_SECONDS)
                await self._thaw()
        except TimeoutError:
            raise self.broken(await self._played(story, scene, offset), "it does not come to its end") from None
        except AssertionError as error:
            raise self.broken(await self._played(story, scene, offset), str(error)) from error
        finally:
            self.people.world.mail.behave()
            self.home.arm(None)
        return await self._played(story, scene, offset)

    async def _prepare(self, story: Story) -> None:
        if not isinstance(story, Prepared):
            return
        if self.worker is None or not self.worker.alive:
            await self.start_worker()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await story.prepare(self.people)

    async def _played(self, story: Story, scene: Scene, offset: int) -> Played:
        view, trace = await scene.run.view(), self.home.trace(offset)
        return Played(story, self.people, self.shop, scene.run, scene.facts, view, tuple(scene.lost_at), trace)

    async def _over(self, story: Story, scene: Scene) -> bool:
        """Lets everybody do what there is to do; whether all is done."""
        if self._lost(scene):
            await self._follow(story, scene)
        elif scene.ended_at is None and not self._has_news():
            return False
        row = await self._look(scene.run)
        if row.state in ENDED:
            return await self._at_rest(scene, row.segment)
        await story.act(scene, row)
        return False

    def _has_news(self) -> bool:
        """Whether the worker has come to another instant since the last look, or that was long ago."""
        size, at = self._looked
        now, grown = time.monotonic(), self.home.trace_size
        if grown == size and now - at < LOOK_AT_LEAST_EVERY_SECONDS:
            return False
        self._looked = grown, now
        return True

    def _lost(self, scene: Scene) -> bool:
        """Whether the worker of the moment has met its planned end."""
        worker = self.worker
        assert worker is not None
        if scene.plans and scene.plans[0].signal == signal.SIGSTOP and worker.alive and worker.frozen:
            self.frozen.append(worker)
            return True
        if worker.alive:
            return False
        status = worker.died.result()
        assert scene.plans and status == -signal.SIGKILL, f"the worker ended by itself with status {status}"
        return True

    async def _follow(self, story: Story, scene: Scene) -> None:
        """Another worker takes the place of one that was lost."""
        scene.lost_at.append(scene.plans.pop(0).at)
        self.home.arm(scene.plans[0] if scene.plans else None)
        if story.cancelled_when_lost and not scene.cancelled:
            await scene.cancel()
        await self._silence_is_long()
        await self.start_worker()

    async def _silence_is_long(self) -> None:
        """Time passes for PostgreSQL as well, by whose clock the lost worker has been heard of last."""
        if self.kind == "postgresql":
            async with self.people.appliance.database.begin() as db:
                await db.execute(update(WorkerRow).values(beat_at=func.now() - SILENCE))

    async def _thaw(self) -> None:
        """Frozen workers go on as if nothing had happened to them, and end when they have found out."""
        while self.frozen:
            worker = self.frozen.pop()
            worker.send(signal.SIGTERM)
            worker.send(signal.SIGCONT)
            status = await worker.died
            assert status == 0, f"the worker that was frozen ended with status {status}"

    async def _at_rest(self, scene: Scene, segments: int) -> bool:
        """The run has ended, every planned death has been died, and nothing of it is left in the queue."""
        scene.ended_at = scene.ended_at or time.monotonic()
        if scene.plans:
            waited = time.monotonic() - scene.ended_at
            assert waited < NEVER_REACHED_AFTER_SECONDS, f"no worker has come to {scene.plans[0].at}"
            return False
        names = [f"run:{scene.run.id}:{number}" for number in range(1, segments + 1)]
        statuses = await self.people.appliance.bell.statuses(names)
        return not any(status in UNFINISHED for status in statuses.values())

    async def _look(self, run: Installation) -> RunRow:
        async with self.people.appliance.database.begin() as db:
            return (await db.execute(select(RunRow).where(RunRow.id == run.id))).scalar_one()

    def broken(self, played: Played, why: str) -> StoryBroken:
        """All that is known about a story that has not ended well; the lane is of no more use."""
        self.is_spoilt = True
        run = played.view.summary
        lines = [
            f"{why}; run {run.id} is {run.state} in {run.current_step}, waiting for {run.waiting_for}: {run.reason}",
            *(f"  {step.state:<10} {step.name} round {step.round} {step.note or ''}" for step in played.view.steps),
            "its log: " + "; ".join(note.text for note in played.view.notes),
            "the last instants: " + ", ".join(played.trace[-30:]),
            f"the worker's log ({self.home.log_file}):",
            self.home.log_tail(),
        ]
        return StoryBroken("\n".join(lines))


_lane_numbers = itertools.count(1)


@asynccontextmanager
async def open_lane(
    folder: Path,
    server: WorkerServer,
    *,
    database_url: str | None,
    households: int = HOUSEHOLDS,
    commits: bool = False,
) -> AsyncIterator[Lane]:
    """A new, empty database (SQLite without a URL) and a whole world for it; the worker is started when needed."""
    home = folder / f"lane-{next(_lane_numbers)}"
    of_workers = Home(home / "worker")
    estate = home / "estate.toml"
    estate.write_text(estate_toml(households) + SHOP_ESTATE + PARTNER_OF_MANY)
    async with PageServer() as pages, StripeDouble() as stripe, HttpReceiver() as line_receiver:
        settings = {**shop_settings(home, stripe), "public_url": pages.url}
        settings |= line_webhook_settings(home, line_receiver)
        settings |= {} if database_url is None else {"database_url": database_url}
        async with open_lab(home / "lab", estate, lambda _: None, clock=of_workers.clock, **settings) as lab:
            pages.serve(lab.appliance)
            people = JourneyLab(lab, of_workers.clock, pages)
            people.line_receiver = line_receiver
            shop = Shop(people, stripe, itertools.count())
            lane = Lane(people, shop, server, of_workers, commits=commits)
            try:
                yield lane
            finally:
                for worker in [*lane.frozen, lane.worker]:
                    if worker is not None:
                        await worker.end()
