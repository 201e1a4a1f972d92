"""Many deaths, each in an installation of its own, over as many lanes as the machine bears."""

from __future__ import annotations

import asyncio
import itertools
import re
import shlex
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.durability.lane import Lane, Played, Story, StoryBroken, kills_of, open_lane
from tests.durability.proofs import faults_of
from tests.support.estate import HOUSEHOLDS
from tests.support.postgres import PostgresServer
from tests.support.worker_process import Instant, open_worker_server
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.steps import OUTSIDE_EFFECTS, Act, NothingToUndo, Wait

KINDS = ("sqlite", "postgresql")
CANCELLED_AT = "deliver_email.failed.in_tx"
"""The undoing story's own instants begin where its mail is refused for good; those before are the other story's."""

OF_NO_OWN = re.compile(r"commit\((?!worker:).+: (.+\+)?run\b|commit\(worker: run_worker\)")
"""The commits that the engine names itself (``in_tx`` and ``committed`` are their two sides), and the heartbeat's."""


@dataclass(frozen=True)
class Death:
    """One worker killed (or frozen) at an instant, the one after it at the next, and so on."""

    kind: str
    story: Story
    at: tuple[Instant, ...]
    frozen: bool = False

    @property
    def command(self) -> str:
        """What replays exactly this."""
        words = [self.kind, self.story, *map(str, self.at), *["--freeze"] * self.frozen]
        return ".venv/bin/python -m tests.durability.replay " + shlex.join(words)


def instants_of(story: Story, trace: Iterable[str]) -> list[Instant]:
    """Where to kill, as a run without a death has shown it."""
    found = (instant for instant in kills_of(list(trace)) if not OF_NO_OWN.match(instant.point))
    if story == "cancelled":
        return list(itertools.dropwhile(lambda instant: instant.point != CANCELLED_AT, found))
    return list(found)


def once_each(instants: Iterable[Instant]) -> list[Instant]:
    """The engine's own instants, each moment once: what is before a step is also right after the commit before it."""
    return [instant for instant in instants if not instant.is_commit and not instant.point.endswith(".before")]


def demanded(story: Story) -> set[Instant]:
    """Every step of the definition at every position, and the claim at the start and after every wait."""
    points = set()
    waits = 0
    for step in ISP_TICKET_TO_DEPLOYMENT.steps:
        if isinstance(step, Wait):
            waits += step.when is None
        elif isinstance(step, Act) and (story == "installed" or not isinstance(step.undo, NothingToUndo)):
            name = step.name if story == "installed" else f"undo:{step.name}"
            effect = ("effect",) if step.effect in OUTSIDE_EFFECTS else ()
            points |= {Instant(f"{name}.{position}") for position in ("before", *effect, "in_tx", "committed")}
    claims = range(1, waits + 2) if story == "installed" else (waits + 2,)  # a held run is claimed anew to be undone
    return points | {Instant(f"claim.{position}", nth) for nth in claims for position in ("in_tx", "committed")}


async def survive(lane: Lane, death: Death, clean: Played | None = None) -> None:
    """Plays the story with this death in it. Raises: StoryBroken with the command that replays it."""
    try:
        played = await lane.play(death.story, *death.at, by=signal.SIGSTOP if death.frozen else signal.SIGKILL)
        faults = await faults_of(lane, played, clean)
        if faults:
            raise lane.broken(played, "; ".join(faults))
    except StoryBroken as broken:
        raise StoryBroken(f"{death.command}\n{broken}") from None


async def survive_all(lanes: Sequence[Lane], deaths: Iterable[Death], clean: Played) -> set[Death]:
    """Each death on a lane of its kind of database; returns those that were survived.

    A lane with a broken installation in it is of no more use, since what that left would be found again and again.

    Raises: AssertionError with everything that went wrong.
    """
    queues: dict[str, list[Death]] = {kind: [] for kind in KINDS}
    for death in deaths:
        queues[death.kind].append(death)
    survived: set[Death] = set()
    broken: list[str] = []

    async def work(lane: Lane) -> None:
        queue = queues[lane.kind]
        while queue:
            death = queue.pop(0)
            try:
                await survive(lane, death, clean)
            except StoryBroken as story:
                broken.append(str(story))
                return
            survived.add(death)

    await asyncio.gather(*(work(lane) for lane in lanes))
    untried = sum(map(len, queues.values()))
    assert not broken, "\n\n".join([*broken, f"{len(survived)} deaths survived, {untried} not tried"])
    return survived


@asynccontextmanager
async def open_lanes(
    folder: Path,
    postgres: PostgresServer,
    *,
    of_each: int,
    kinds: Sequence[str] = KINDS,
    households: int = HOUSEHOLDS,
    commits: bool = False,
) -> AsyncIterator[list[Lane]]:
    """So many lanes on each kind of database, opened side by side."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_worker_server())
        lanes = []
        for kind in list(kinds) * of_each:
            url = postgres.create_database() if kind == "postgresql" else None
            opened = open_lane(folder, server, database_url=url, households=households, commits=commits)
            lanes.append(await stack.enter_async_context(opened))
        yield lanes
