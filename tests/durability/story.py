"""What is played in a lane: a journey, the people who have to do with it, and what must be true at its end."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.support.lab import Installation, JourneyLab
from tests.support.shop import Shop
from tests.support.worker_process import Instant, Plan
from workflows import Definition, RunView
from workflows.engine.steps import OUTSIDE_EFFECTS, Act, NothingToUndo
from workflows.engine.tables import RunRow, StepState
from workflows.errors import RunNotOpenFor


@dataclass
class Scene:
    """A run under way. ``facts`` is what its story knows of it."""

    people: JourneyLab
    shop: Shop
    run: Installation
    facts: Any
    said: set[str] = field(default_factory=set)  # what people had to say or do, and have
    plans: list[Plan] = field(default_factory=list)
    lost_at: list[Instant] = field(default_factory=list)
    cancelled: bool = False
    ended_at: float | None = None

    def first(self, what: str) -> bool:
        """Whether people have not said this yet; from now on they have."""
        new = what not in self.said
        self.said.add(what)
        return new

    def has_time(self, row: RunRow) -> bool:
        """Whether it rests until a time that has not come yet; else the worker is about to look at it."""
        return row.wake_at is not None and row.wake_at > self.people.clock.now()

    async def cancel(self) -> None:
        """An operator's cancel; nothing, where the run has ended before."""
        with suppress(RunNotOpenFor):
            await self.run.cancel("the customer has moved away")
            self.cancelled = True


@dataclass
class Played:
    """A run as it stands after it was played."""

    story: Story
    people: JourneyLab
    shop: Shop
    run: Installation
    facts: Any
    view: RunView
    lost_at: tuple[Instant, ...]
    trace: list[str]

    @property
    def shape(self) -> dict[str, tuple[str, int]]:
        """How each step ended, and in which round."""
        return {step.name: (step.state, step.round) for step in self.view.steps}


class Story(ABC):
    """One way through a journey.

    ``ends_as``: the state that its run ends in. ``undone``: with everything undone. ``as_elsewhere``: steps that go
    here as they go in another story, which is killed in them.
    """

    name: ClassVar[str]
    journey: ClassVar[Definition[Any]]
    undone: ClassVar[bool] = False
    ends_as: ClassVar[str] = "completed"
    as_elsewhere: ClassVar[frozenset[str]] = frozenset()
    cancelled_when_lost: ClassVar[bool] = False
    settings: ClassVar[Mapping[str, Any]] = {}

    @abstractmethod
    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        """Everything up to the run's start."""

    async def act(self, scene: Scene, row: RunRow) -> None:
        """What people do when they see the run so. Called again and again until it has ended.

        Raises: AssertionError if it stands where it should not.
        """
        assert row.state != "held", f"it is held in {row.current_step}: {row.reason}"

    @abstractmethod
    async def faults(self, played: Played) -> list[str]:
        """Every sentence that is not as if nothing had happened."""

    def instants(self, trace: Sequence[str]) -> list[Instant]:
        """Where to kill, of a run without a death."""
        return [instant for instant in kills_of(trace) if step_of(instant.point) not in self.as_elsewhere]

    def demanded(self, clean: Played) -> set[Instant]:
        """Every step that was done (or undone) at every position."""
        done = {step.name: step.state for step in clean.view.steps if step.result is not None}
        points = set()
        for step in self.journey.steps:
            if not isinstance(step, Act) or not self._is_killed_in(step, done.get(step.name)):
                continue
            name = f"undo:{step.name}" if self.undone else step.name
            effect = ("effect",) if step.effect in OUTSIDE_EFFECTS else ()
            points |= {Instant(f"{name}.{position}") for position in ("before", *effect, "in_tx", "committed")}
        return points

    def _is_killed_in(self, step: Act[Any, Any], state: str | None) -> bool:
        if step.name in self.as_elsewhere:
            return False
        if self.undone:
            return state == StepState.UNDONE and not isinstance(step.undo, NothingToUndo)
        return state == StepState.COMPLETED


class Prepared(Story):
    """A story with something before it in which nobody dies yet; it has a worker for that."""

    @abstractmethod
    async def prepare(self, people: JourneyLab) -> None:
        """What must be there when the story begins."""


class Undone(Story):
    """A story that ends with everything undone; its own instants begin at the first whose name begins so."""

    undone = True
    begins_at: ClassVar[str]
    ends_as: ClassVar[str] = "cancelled"

    def instants(self, trace: Sequence[str]) -> list[Instant]:
        return list(itertools.dropwhile(lambda instant: not str(instant).startswith(self.begins_at), kills_of(trace)))


def kills_of(trace: Sequence[str]) -> list[Instant]:
    """Every instant of a recorded trace."""
    seen: dict[str, int] = {}
    found = []
    for point in trace:
        if not point.startswith("!"):
            seen[point] = seen.get(point, 0) + 1
            found.append(Instant(point, seen[point]))
    return found


def step_of(point: str) -> str:
    """The step that an instant is in, of its doing or its undoing: ``undo:notify_team``, ``claim``, ``worker``."""
    if point.startswith("commit("):
        return point.removeprefix("commit(").partition(": ")[0]
    return point.partition(".")[0]


def elsewhere(journey: Definition[Any], *own: str) -> frozenset[str]:
    """All steps of a journey but a story's own."""
    return frozenset(step.name for step in journey.steps) - set(own)


def not_ended(played: Played) -> list[str]:
    """Unless the run has ended as its story says."""
    state = played.view.summary.state
    return [f"the run is {state}, and should be {played.story.ends_as}"] if state != played.story.ends_as else []


def not_undone(played: Played) -> list[str]:
    """What is still done of a run that was to be undone."""
    found = not_ended(played)
    passed = (StepState.UNDONE, StepState.PLANNED, StepState.SKIPPED)
    left = [step.name for step in played.view.steps if step.state not in passed]
    return found + ([f"steps not undone: {left}"] if left else [])


def unlike(found: Any, wanted: Any) -> list[str]:
    """How something stands, unless it stands as it should."""
    return [] if found == wanted else [f"it stands as {found}, and should as {wanted}"]
