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

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter

from workflows.errors import DefinitionFault

if TYPE_CHECKING:
    from workflows.engine.run import Run

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")
ServicesT = TypeVar("ServicesT")
OutsideT = TypeVar("OutsideT")


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
    """One named step. Made by a `StepKit` decorator or by `wait_for`, never by hand."""

    name: str
    effect: Effect
    result: TypeAdapter[ResultT]
    when: Callable[[Run[InputT]], bool] | None = None
    otherwise: str = ""


@dataclass(frozen=True, eq=False)
class Act(Step[InputT, ResultT]):
    """A step that does something: one commit (transactional) or one outside call.

    ``leads`` names errors by code that lead elsewhere (back to an earlier step) instead of to another try; the answer
    None means that this one is treated like any other error.
    """

    do: Callable[[Any, Run[InputT]], Awaitable[ResultT]] = field(kw_only=True)
    undo: Callable[[Any, Run[InputT], ResultT | None], Awaitable[None]] | NothingToUndo = field(kw_only=True)
    probe: Callable[[Any, Run[InputT]], Awaitable[ResultT | None]] | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_seconds: float = 180.0
    leads: Mapping[str, Callable[[Run[InputT], str], Route | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Proceed:
    """The outcome is the good one: on to the next step."""


@dataclass(frozen=True)
class GoBack:
    """Undo back to (and with) the named step, then go forward again in a new round."""

    to: str
    reason: str


@dataclass(frozen=True)
class UndoAll:
    """The journey can't succeed: undo everything, newest first; the run ends as failed."""

    reason: str


@dataclass(frozen=True)
class Hold:
    """Only a person can decide."""

    reason: str


@dataclass(frozen=True)
class KeepWaiting:
    """What was heard is not what is waited for."""


Route = Proceed | GoBack | UndoAll | Hold | KeepWaiting


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


@dataclass(frozen=True, eq=False)
class Definition(Generic[InputT]):
    """A journey: what starts it, its steps in order, and which signals may reopen an earlier wait.

    ``patience`` names how long its waits may take, so that an ISP can set it without touching the journey.
    ``reopens`` maps a signal to (the wait it reopens, the step whose completion ends that right): a second scan of
    another ONT goes back to the visit until the service is active. ``back_with`` names, for steps that can't be done
    again alone, the earlier step that has to be done again with them: a line that was taken off is ordered anew.
    """

    name: str
    version: int
    input: type[InputT]
    steps: tuple[Step[InputT, Any], ...]
    key: Callable[[InputT], str]
    customer_id: Callable[[InputT], int]
    reopens: Mapping[str, tuple[Step[InputT, Any], Step[InputT, Any]]] = field(default_factory=dict)
    patience: Mapping[str, timedelta] = field(default_factory=dict)
    back_with: Mapping[str, Step[InputT, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise DefinitionFault(f"definition {self.name}: " + "; ".join(faults))

    @property
    def adapter(self) -> TypeAdapter[InputT]:
        return TypeAdapter(self.input)

    def step(self, name: str) -> Step[InputT, Any]:
        for step in self.steps:
            if step.name == name:
                return step
        raise DefinitionFault(f"{self.name} has no step {name}; its steps are {', '.join(s.name for s in self.steps)}")

    def begin_again(self, step: Step[InputT, Any]) -> Step[InputT, Any]:
        """Where going back to this step really begins."""
        while step.name in self.back_with:
            step = self.back_with[step.name]
        return step

    def position(self, name: str) -> int:
        return self.steps.index(self.step(name))

    def signals(self) -> dict[str, Wait[InputT, Any]]:
        return {step.signal: step for step in self.steps if isinstance(step, Wait) and step.signal}


def _faults(definition: Definition[Any]) -> Sequence[str]:
    faults = []
    names = [step.name for step in definition.steps]
    if not names:
        faults.append("it has no steps")
    faults += [f"two steps are named {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    for step in definition.steps:
        if step.when is not None and not step.otherwise:
            faults.append(f"step {step.name} has a condition but no words for the case that it is false")
        if isinstance(step, Wait) and not step.signal and not step.deadline:
            faults.append(f"wait {step.name} waits for neither a signal nor a time")
        if isinstance(step, Act) and step.effect is Effect.PROBEABLE and step.probe is None:
            faults.append(f"step {step.name} is probeable but has no probe")
    for signal, (back_to, until) in definition.reopens.items():
        if not isinstance(back_to, Wait) or back_to.signal != signal:
            faults.append(f"signal {signal} reopens {back_to.name}, which does not wait for it")
        if back_to not in definition.steps or until not in definition.steps:
            faults.append(f"signal {signal} reopens a step that the definition does not have")
    return faults


Do = Callable[[ServicesT, "Run[InputT]"], Awaitable[ResultT]]
Undo = Callable[[ServicesT, "Run[Any]", Any], Awaitable[None]]
Probe = Callable[[OutsideT, "Run[Any]"], Awaitable[Any]]


class StepKit(Generic[ServicesT, OutsideT]):
    """Decorators that make steps of functions; the function's name is the step's name.

    A transactional step receives the services, bound to the one commit that also records its result. Every other step
    receives the outside parts, which have no open transaction. So a network call under a row lock, or a write that
    no commit records, does not type-check.
    """

    def transactional(
        self,
        *,
        undo: Undo[ServicesT] | NothingToUndo,
        when: Callable[[Run[Any]], bool] | None = None,
        otherwise: str = "",
        retry: RetryPolicy | None = None,
    ) -> Callable[[Do[ServicesT, InputT, ResultT]], Act[InputT, ResultT]]:
        """A step that is one commit in our own database."""
        return _maker(Effect.TRANSACTIONAL, undo, when, otherwise, retry)

    def keyed(
        self,
        *,
        undo: Undo[OutsideT] | NothingToUndo,
        when: Callable[[Run[Any]], bool] | None = None,
        otherwise: str = "",
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 180.0,
        leads: Mapping[str, Callable[[Run[Any], str], Route | None]] | None = None,
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call that may be repeated under the same key."""
        return _maker(Effect.KEYED, undo, when, otherwise, retry, timeout_seconds=timeout_seconds, leads=leads)

    def probeable(
        self,
        *,
        probe: Probe[OutsideT],
        undo: Undo[OutsideT] | NothingToUndo,
        when: Callable[[Run[Any]], bool] | None = None,
        otherwise: str = "",
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 180.0,
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call whose outcome can be asked for; it is asked for before it is ever repeated."""
        return _maker(Effect.PROBEABLE, undo, when, otherwise, retry, probe=probe, timeout_seconds=timeout_seconds)

    def blind(
        self,
        *,
        undo: Undo[OutsideT] | NothingToUndo,
        when: Callable[[Run[Any]], bool] | None = None,
        otherwise: str = "",
        retry: RetryPolicy | None = None,
        timeout_seconds: float = 180.0,
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call that can neither be keyed nor asked for: at least once, always under the same identity."""
        return _maker(Effect.BLIND, undo, when, otherwise, retry, timeout_seconds=timeout_seconds)


def wait_for(  # noqa: PLR0913 - each keyword is a fact that an operator reads
    name: str,
    *,
    signal: str,
    payload: type[ResultT],
    says: str,
    subject: Callable[[Run[Any]], str] | None = None,
    deadline: Callable[[Run[Any]], datetime] | None = None,
    route: Callable[[Run[Any], ResultT], Route] | None = None,
    on_deadline: Callable[[Run[Any]], Route] | None = None,
    since: Callable[[Run[Any]], datetime] | None = None,
    when: Callable[[Run[Any]], bool] | None = None,
    otherwise: str = "",
) -> Wait[Any, ResultT]:
    """A wait for ``signal``, whose payload becomes the step's result. ``says`` is what an operator reads meanwhile.

    ``since`` tells watchers from when on an event counts; what happened earlier belongs to an earlier round.
    """
    return Wait(
        name,
        Effect.WAIT,
        TypeAdapter(payload),
        when,
        otherwise,
        signal=signal,
        subject=subject,
        deadline=deadline,
        says=says,
        route=route,
        on_deadline=on_deadline,
        since=since,
    )


def wait_until(name: str, *, at: Callable[[Run[Any]], datetime], says: str) -> Wait[Any, None]:
    """A timer: the run goes on when its time has come."""
    return Wait(name, Effect.WAIT, TypeAdapter(type(None)), deadline=at, says=says, on_deadline=lambda _run: Proceed())


def _maker(
    effect: Effect,
    undo: Any,
    when: Any,
    otherwise: str,
    retry: RetryPolicy | None,
    *,
    probe: Any = None,
    timeout_seconds: float = 180.0,
    leads: Any = None,
) -> Callable[[Any], Act[Any, Any]]:
    def make(do: Any) -> Act[Any, Any]:
        returns = get_type_hints(do).get("return")
        if returns is None:
            raise DefinitionFault(f"step {do.__name__} does not say what it returns")
        return Act(
            do.__name__,
            effect,
            TypeAdapter(returns),
            when,
            otherwise,
            do=do,
            undo=undo,
            probe=probe,
            retry=retry or RetryPolicy(),
            timeout_seconds=timeout_seconds,
            leads=leads or {},
        )

    return make
