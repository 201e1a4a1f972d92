"""What is played in a lane: a journey, the people who have to do with it, and what must be true at its end."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
    told: bool = False  # whether people have said what they have to say
    plans: list[Plan] = field(default_factory=list)
    lost_at: list[Instant] = field(default_factory=list)
    cancelled: bool = False
    ended_at: float | None = None

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
    """One way through a journey. ``undone``: it ends undone after an operator's cancel."""

    name: ClassVar[str]
    journey: ClassVar[Definition[Any]]
    undone: ClassVar[bool] = False
    cancelled_when_lost: ClassVar[bool] = False

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
        return kills_of(trace)

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

    def instants(self, trace: Sequence[str]) -> list[Instant]:
        return list(itertools.dropwhile(lambda instant: not instant.point.startswith(self.begins_at), kills_of(trace)))


def kills_of(trace: Sequence[str]) -> list[Instant]:
    """Every instant of a recorded trace."""
    seen: dict[str, int] = {}
    found = []
    for point in trace:
        if not point.startswith("!"):
            seen[point] = seen.get(point, 0) + 1
            found.append(Instant(point, seen[point]))
    return found


def not_undone(played: Played) -> list[str]:
    """What is still done of a run that was cancelled."""
    found = [f"the run is {played.view.summary.state}"] if played.view.summary.state != "cancelled" else []
    passed = (StepState.UNDONE, StepState.PLANNED, StepState.SKIPPED)
    left = [step.name for step in played.view.steps if step.state not in passed]
    return found + ([f"steps not undone: {left}"] if left else [])
