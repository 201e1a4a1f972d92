"""Many deaths, each in an installation of its own, over as many lanes as the machine bears."""

from __future__ import annotations

import asyncio
import itertools
import re
import shlex
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.durability.lane import Lane, StoryBroken, open_lane
from tests.durability.rows import CLAIM, DEATHS_IN_A_ROW, rows_of
from tests.durability.story import Played, Story
from tests.support.estate import HOUSEHOLDS
from tests.support.postgres import PostgresServer
from tests.support.worker_process import ANY, Instant
from tests.support.worker_server import WorkerServer, open_worker_server

KINDS = ("sqlite", "postgresql")
PAIRS_IN_A_ROW = FROZEN_IN_A_ROW = 3
RECOVERY_INSTANTS = 7
"""A second kill comes at one of the first seven instants of the recovery: in its claim, its step and its next step."""
OF_NO_OWN = re.compile(r"commit\((?!worker:).+: (.+\+)?run\b|commit\(worker: (?!dbos\.)")
"""The commits that the engine names itself (``in_tx`` and ``committed`` are their two sides), and those that a worker
makes beside its runs, at a time of its own. The queue's (``dbos.``) have their place in the run."""


@dataclass(frozen=True)
class Death:
    """One worker killed (or frozen) at an instant, the one after it at the next, and so on; ``covers`` are the instants
    of a run without a death that this is."""

    kind: str
    story: Story
    at: tuple[Instant, ...]
    frozen: bool = False
    covers: tuple[Instant, ...] = ()

    @property
    def command(self) -> str:
        """What replays exactly this."""
        words = [self.kind, self.story.name, *map(str, self.at), *["--freeze"] * self.frozen]
        return ".venv/bin/python -m tests.durability.replay " + shlex.join(words)


async def play_clean(lane: Lane, story: Story) -> tuple[Played, list[Instant]]:
    """The story without a death, and where to kill in it.

    Raises: StoryBroken; AssertionError if it doesn't show all it should.
    """
    async with lane.rehearsal(story):
        if lane.commits:
            await lane.play(story)  # a worker's own start is over then
        clean = await lane.play(story)
    faults = await story.faults(clean)
    if faults:
        raise lane.broken(clean, "; ".join(faults))
    instants = [instant for instant in story.instants(clean.trace) if not OF_NO_OWN.match(instant.point)]
    unseen = story.demanded(clean) - set(instants)
    assert not unseen, f"no run of {story.name} has shown {sorted(map(str, unseen))}"
    return clean, instants


def once_each(instants: Iterable[Instant]) -> list[Instant]:
    """The engine's own instants, each moment once: what is before a step is also right after the commit before it."""
    return [instant for instant in instants if not instant.is_commit and not instant.point.endswith(".before")]


def in_the_middle(instants: Iterable[Instant]) -> list[Instant]:
    """Where a transaction is open, or the other side has acted and nobody has written it down: the two ways in which
    one who thaws could do harm."""
    return [instant for instant in instants if instant.point.endswith((".in_tx", ".effect"))]


def in_turns(story: Story, instants: Iterable[Instant]) -> list[Death]:
    """A death at each instant, on SQLite and on PostgreSQL by turns."""
    return [Death(KINDS[number % 2], story, (instant,)) for number, instant in enumerate(instants)]


def in_rows(
    clean: Played, instants: Sequence[Instant], kinds: Sequence[str] = KINDS, *, frozen: bool = False
) -> list[Death]:
    """A death at each instant of a run without one, on these databases by turns, several in a run.

    Of workers that are only frozen fewer, since each keeps its connections.
    """
    in_a_row = FROZEN_IN_A_ROW if frozen else DEATHS_IN_A_ROW
    return [
        Death(kinds[number % len(kinds)], clean.story, at, frozen=frozen, covers=tuple(covered))
        for number, (at, covered) in enumerate(rows_of(clean.trace, instants, in_a_row=in_a_row))
    ]


def in_pairs(clean: Played, instants: Sequence[Instant]) -> list[Death]:
    """As in rows, but each death is followed by another during the recovery from it, where there is so much left to do;
    a claim's have a run of their own, since the recovery claims anew each time."""
    early = instants[:-RECOVERY_INSTANTS]
    claims = [instant for instant in early if instant.point in CLAIM]
    others = [instant for instant in early if instant not in claims]
    rows = [*rows_of(clean.trace, others, in_a_row=PAIRS_IN_A_ROW), *(((claim,), [claim]) for claim in claims)]
    again = itertools.cycle(Instant(ANY, nth) for nth in range(1, RECOVERY_INSTANTS + 1))
    return [
        Death(KINDS[number % 2], clean.story, tuple(one for first in at for one in (first, next(again))))
        for number, (at, _) in enumerate(rows)
    ]


def sound(lanes: Iterable[Lane]) -> list[Lane]:
    """Those in which no story has broken; what one has left would be found again and again."""
    found = [lane for lane in lanes if not lane.is_spoilt]
    assert {lane.kind for lane in found} == {lane.kind for lane in lanes}, "a story has broken every lane of its kind"
    return found


async def survive(lane: Lane, death: Death, clean: Played | None = None) -> None:
    """Plays the story with this death in it; ``clean`` is the same without, where it has an end of its own.

    Raises: StoryBroken with the command that replays it.
    """
    try:
        played = await lane.play(death.story, *death.at, by=signal.SIGSTOP if death.frozen else signal.SIGKILL)
        faults = await death.story.faults(played)
        if clean is not None and played.shape != clean.shape:
            faults.append(f"its steps ended as {played.shape}, without a death as {clean.shape}")
        if faults:
            raise lane.broken(played, "; ".join(faults))
    except StoryBroken as broken:
        raise StoryBroken(f"{death.command}\n{broken}") from None


async def survive_all(lanes: Sequence[Lane], deaths: Iterable[Death], *cleans: Played) -> set[Death]:
    """Each death on a lane of its kind of database; returns those that were survived. ``cleans`` are the same stories
    without a death.

    A lane with a broken installation in it is of no more use, since what that left would be found again and again.

    Raises: AssertionError with everything that went wrong.
    """
    queues: dict[str, list[Death]] = {kind: [] for kind in KINDS}
    for death in deaths:
        queues[death.kind].append(death)
    ends = {clean.story: clean for clean in cleans}
    survived: set[Death] = set()
    broken: list[str] = []

    async def work(lane: Lane) -> None:
        queue = queues[lane.kind]
        while queue:
            death = queue.pop(0)
            try:
                await survive(lane, death, ends.get(death.story))
            except StoryBroken as story:
                broken.append(str(story))
                return
            survived.add(death)

    await asyncio.gather(*(work(lane) for lane in lanes))
    untried = sum(map(len, queues.values()))
    assert not broken, "\n\n".join([*broken, f"{len(survived)} deaths survived, {untried} not tried"])
    return survived


class Lanes:
    """A lane of each kind of database for test after test, since opening one costs as much as some runs in it. Another
    takes the place of one that is worn, or that a story has broken. Made by `keep_lanes`."""

    def __init__(self, open_one: Callable[[str], AbstractAsyncContextManager[list[Lane]]]) -> None:
        self._open_one = open_one
        self._kept: dict[str, tuple[Lane, AsyncExitStack]] = {}

    async def of(self, *kinds: str, commits: bool = False) -> list[Lane]:
        """One of each of these kinds; with ``commits`` their workers may be killed at COMMITs too."""
        return [await self._one(kind, commits) for kind in kinds]

    async def _one(self, kind: str, commits: bool) -> Lane:
        lane, stack = self._kept.get(kind, (None, AsyncExitStack()))
        if lane is not None and (lane.is_worn or lane.is_spoilt):
            await stack.aclose()
            lane = None
        if lane is None:
            [lane] = await stack.enter_async_context(self._open_one(kind))
            self._kept[kind] = lane, stack
        await lane.hear(commits)
        return lane

    async def close(self) -> None:
        for _, stack in self._kept.values():
            await stack.aclose()


@asynccontextmanager
async def keep_lanes(folder: Path, postgres: PostgresServer) -> AsyncIterator[Lanes]:
    """None is open before it is asked for; all their workers are of one server."""
    async with open_worker_server() as server:
        lanes = Lanes(lambda kind: open_lanes(folder, postgres, of_each=1, kinds=(kind,), server=server))
        try:
            yield lanes
        finally:
            await lanes.close()


@asynccontextmanager
async def open_lanes(
    folder: Path,
    postgres: PostgresServer,
    *,
    of_each: int,
    kinds: Sequence[str] = KINDS,
    households: int = HOUSEHOLDS,
    commits: bool = False,
    server: WorkerServer | None = None,
) -> AsyncIterator[list[Lane]]:
    """So many lanes on each kind of database; their workers are of this server, or of one of their own."""
    async with AsyncExitStack() as stack:
        if server is None:
            server = await stack.enter_async_context(open_worker_server())
        lanes = []
        for kind in list(kinds) * of_each:
            url = postgres.create_database() if kind == "postgresql" else None
            opened = open_lane(folder, server, database_url=url, households=households, commits=commits)
            lanes.append(await stack.enter_async_context(opened))
        yield lanes
