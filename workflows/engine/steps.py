"""What a journey is made of: named steps, each with its effect class, its undo and its retry policy.

A definition is an ordered tuple of steps. An operator can read it before it runs; a run's journal names the same steps.

================  =====================================================  ==============================================
effect            the other side                                         after a crash with intent but no result
================  =====================================================  ==============================================
transactional     our own database                                       nothing to do: effect and record are one commit
keyed             honours our idempotency key                            sent again under the same key
probeable         can be asked what happened                             asked first, then done if it had not happened
blind             neither (a mail)                                       sent again under the same identity
wait              a signal, a person, a time                             looked at again
================  =====================================================  ==============================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from workflows.engine.routes import Elsewhere, Route

if TYPE_CHECKING:
    from workflows.engine.run import Run

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")


class Effect(StrEnum):
    """What a step touches, and so what a crash in the middle of it means."""

    TRANSACTIONAL = "transactional"
    KEYED = "keyed"
    PROBEABLE = "probeable"
    BLIND = "blind"
    WAIT = "wait"


OUTSIDE_EFFECTS = frozenset({Effect.KEYED, Effect.PROBEABLE, Effect.BLIND})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how patiently a transient error is retried. The journal counts, so a restart doesn't begin anew."""

    attempts: int = 6
    first_delay_seconds: float = 0.5
    factor: float = 3.0
    longest_delay_seconds: float = 600.0

    def delay(self, failed_attempts: int, jitter: float) -> timedelta:
        """The wait after the n-th failed attempt; ``jitter`` between 0 and 1 spreads it over half to whole."""
        seconds = min(self.first_delay_seconds * self.factor ** (failed_attempts - 1), self.longest_delay_seconds)
        return timedelta(seconds=seconds * (0.5 + jitter / 2))


@dataclass(frozen=True)
class NothingToUndo:
    """Declares that a step leaves nothing behind, and says why."""

    because: str


@dataclass(frozen=True, eq=False)
class Step(Generic[InputT, ResultT]):
    """One named step. Made by a `StepKit` decorator or by `wait_for`, never by hand.

    ``again_from`` names the earlier steps that it may send the run back to, ``patience`` the lengths of time that it
    asks of the definition.
    """

    name: str
    effect: Effect
    result: TypeAdapter[ResultT]
    when: Callable[[Run[InputT]], bool] | None = None
    otherwise: str = ""
    again_from: tuple[Step[Any, Any], ...] = field(default=(), kw_only=True)
    patience: tuple[str, ...] = field(default=(), kw_only=True)


Leads = Mapping[type[Exception], Callable[["Run[InputT]", str], Elsewhere | None]]
"""Of each kind of error where it leads, asked with the run and the reason."""


@dataclass(frozen=True, eq=False)
class Act(Step[InputT, ResultT]):
    """A step that does something: one commit (transactional) or one outside call.

    ``leads`` names errors that lead elsewhere (back to an earlier step) instead of to another try; the answer None
    means that this one is treated like any other error. ``first``: what a transactional one asks of the outside before
    its commit opens, so that nobody waits for the other side under a lock. It changes nothing and answers nothing, and
    the step can do without.
    """

    do: Callable[[Any, Run[InputT]], Awaitable[ResultT]] = field(kw_only=True)
    undo: Callable[[Any, Run[InputT], ResultT | None], Awaitable[None]] | NothingToUndo = field(kw_only=True)
    probe: Callable[[Any, Run[InputT]], Awaitable[ResultT | None]] | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_seconds: float = 180.0
    leads: Leads[InputT] = field(default_factory=dict)
    first: Callable[[Any, Run[InputT]], Awaitable[None]] | None = None


@dataclass(frozen=True, eq=False)
class Wait(Step[InputT, ResultT]):
    """Waits for a signal about ``subject``, or for a time. Costs nothing while it waits."""

    signal: str | None = None
    subject: Callable[[Run[InputT]], str] | None = None
    deadline: Callable[[Run[InputT]], datetime] | None = None
    says: str = ""
    route: Callable[[Run[InputT], ResultT], Route] | None = None
    on_deadline: Callable[[Run[InputT]], Route] | None = None
    since: Callable[[Run[InputT]], datetime] | None = None
