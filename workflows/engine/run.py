"""What a step is given: the run's typed input and the typed results of earlier steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from workflows.engine.definition import Definition
from workflows.engine.steps import Step, Wait
from workflows.engine.tables import SignalRow, StepRow, StepState
from workflows.errors import ResultMissing
from workflows.lengths import in_words

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")

HAS_RESULT = frozenset({StepState.COMPLETED, StepState.SKIPPED})


@dataclass(frozen=True)
class Run(Generic[InputT]):
    """A run as its steps see it. ``run[step]`` is that step's result."""

    id: int
    tenant_id: str
    known_customer_id: int | None
    business_key: str
    input: InputT
    definition: Definition[InputT]
    started_at: datetime
    clock: Callable[[], datetime]
    turned_back: Callable[[], bool] = field(repr=False)  # asked anew: a run turns under way
    rounds: Mapping[str, list[StepRow]] = field(repr=False)  # of each step, oldest first
    signals: Sequence[SignalRow] = field(default=(), repr=False)  # told and not heard yet

    @property
    def customer_id(self) -> int:
        """Whom it is for.

        Raises: ResultMissing while the journey has not made its customer yet.
        """
        if self.known_customer_id is None:
            raise ResultMissing("that makes the customer")
        return self.known_customer_id

    @property
    def now(self) -> datetime:
        return self.clock()

    @property
    def is_going_back(self) -> bool:
        """Whether what is undone now is done anew afterwards: the run goes back to an earlier step, then on again."""
        return self.turned_back()

    def key(self, step: Step[Any, Any]) -> str:
        """The idempotency key of a step: business object, step and, from the second round on, the round.

        Neither the attempt nor the run's number is in it, so a retry or a restart repeats the same key.
        """
        rounds = self.rounds.get(step.name)
        return step_key(self.business_key, step.name, rounds[-1].round if rounds else 1)

    def __getitem__(self, step: Step[Any, ResultT]) -> ResultT:
        """The step's result in its latest round.

        Raises: ResultMissing if an operator or a condition skipped the step.
        """
        rounds = self.rounds.get(step.name)
        if not rounds or rounds[-1].result is None or rounds[-1].state not in HAS_RESULT:
            raise ResultMissing(step.name)
        return step.result.validate_json(rounds[-1].result)

    def last(self, step: Step[Any, ResultT]) -> ResultT | None:
        """The newest result of the step, also of a round that was undone since; None if it never had one."""
        return next(self.results(step), None)

    def results(self, step: Step[Any, ResultT]) -> Iterator[ResultT]:
        """The results of the step, the newest first, also of rounds that were undone since."""
        for row in reversed(self.rounds.get(step.name, [])):
            if row.result is not None:
                yield step.result.validate_json(row.result)

    def is_told(self, signal: str) -> bool:
        """Whether this was told to the run and no wait has heard it yet."""
        return any(row.name == signal for row in self.signals)

    def unheard(self, wait: Wait[Any, ResultT]) -> list[ResultT]:
        """What was told for this wait and it has not heard yet, the oldest first."""
        return [wait.result.validate_json(row.payload) for row in self.signals if row.name == wait.signal]

    def started(self, step: Step[Any, Any]) -> datetime:
        """When the step's latest round began; the run's own beginning if it has not."""
        rounds = self.rounds.get(step.name)
        return rounds[-1].started_at if rounds else self.started_at

    def unseen(self, step: Step[Any, Any]) -> str | None:
        """Why nobody can look for what this wait waits for, and since when; None while somebody can."""
        rounds = self.rounds.get(step.name)
        return rounds[-1].note if rounds and rounds[-1].error_code is not None else None

    def patience(self, name: str) -> timedelta:
        """How long what has this name may take. The step that asks names it in its ``patience``."""
        return self.definition.patience[name]

    def within(self, name: str) -> str:
        """The same in words, for a sentence: ``14 days``."""
        return in_words(self.patience(name))

    def done(self, step: Step[Any, Any]) -> bool:
        """Whether the step is completed in its latest round."""
        rounds = self.rounds.get(step.name)
        return rounds is not None and rounds[-1].state == StepState.COMPLETED


def step_key(business_key: str, step: str, round_: int) -> str:
    return f"{business_key}/{step}" + (f"/{round_}" if round_ > 1 else "")
