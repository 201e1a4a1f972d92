"""A journey as data: its steps in order, and what must hold of them before anybody may trust it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from workflows.engine.steps import Act, Effect, NothingToUndo, Step, Wait
from workflows.errors import DefinitionFault, StepUnknown

if TYPE_CHECKING:
    from workflows.engine.run import Run

InputT = TypeVar("InputT")


@dataclass(frozen=True, eq=False)
class Definition(Generic[InputT]):
    """A journey: what starts it, its steps in order, and which signals may reopen an earlier wait.

    ``patience`` says how long what its steps name may take, so that an ISP can set it without touching the journey.
    ``reopens`` maps a signal to (the wait it reopens, the step whose completion ends that right): a second scan of
    another ONT goes back to the visit until the service is active. ``back_with`` says, for steps that can't be done
    again alone, the earlier step that has to be done again with them: a line that was taken off is ordered anew.
    ``started_by`` is the type of event that starts it. ``no_return`` is the step after which it can only be completed:
    no cancel and no roll-back any more. ``customer_of`` finds the customer of a journey that makes one on its way.

    Raises: DefinitionFault with every fault.
    """

    name: str
    version: int
    input: type[InputT]
    steps: tuple[Step[InputT, Any], ...]
    key: Callable[[InputT], str]
    customer_id: Callable[[InputT], int | None]
    reopens: Mapping[str, tuple[Step[InputT, Any], Step[InputT, Any]]] = field(default_factory=dict)
    patience: Mapping[str, timedelta] = field(default_factory=dict)
    back_with: Mapping[Step[InputT, Any], Step[InputT, Any]] = field(default_factory=dict)
    started_by: str | None = None
    no_return: Step[InputT, Any] | None = None
    customer_of: Callable[[Run[InputT]], int | None] | None = None

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise DefinitionFault(f"definition {self.name}: " + "; ".join(faults))

    @property
    def adapter(self) -> TypeAdapter[InputT]:
        return TypeAdapter(self.input)

    def step(self, name: str) -> Step[InputT, Any]:
        """Raises: StepUnknown."""
        for step in self.steps:
            if step.name == name:
                return step
        raise StepUnknown(self.name, name, [each.name for each in self.steps])

    def begin_again(self, step: Step[InputT, Any]) -> Step[InputT, Any]:
        """Where going back to this step really begins."""
        while step in self.back_with:
            step = self.back_with[step]
        return step

    def position(self, name: str) -> int:
        return self.steps.index(self.step(name))

    def has_before(self, earlier: Step[InputT, Any], later: Step[InputT, Any]) -> bool:
        """Whether both are steps of this journey, in this order."""
        return earlier in self.steps and later in self.steps and self.steps.index(earlier) < self.steps.index(later)

    def signals(self) -> dict[str, Wait[InputT, Any]]:
        return {step.signal: step for step in self.steps if isinstance(step, Wait) and step.signal}


def _faults(definition: Definition[Any]) -> Iterator[str]:
    names = [step.name for step in definition.steps]
    if not names:
        yield "it has no steps"
    yield from (f"two steps are named {name}" for name in sorted({n for n in names if names.count(n) > 1}))
    for step in definition.steps:
        yield from _faults_of_step(step)
        yield from _faults_of_ways_back(definition, step)
    yield from _faults_of_reopening(definition)
    for step, begun_with in definition.back_with.items():
        if not definition.has_before(begun_with, step):
            yield f"step {step.name} is to be done again with {begun_with.name}, which does not stand before it"
    yield from _faults_of_patience(definition)
    yield from _faults_of_no_return(definition)


def _faults_of_step(step: Step[Any, Any]) -> Iterator[str]:
    if step.when is not None and not step.otherwise:
        yield f"step {step.name} has a condition but no words for the case that it is false"
    if isinstance(step, Wait) and not step.signal and not step.deadline:
        yield f"wait {step.name} waits for neither a signal nor a time"
    if isinstance(step, Act) and step.effect is Effect.PROBEABLE and step.probe is None:
        yield f"step {step.name} is probeable but has no probe"
    for kind in step.leads if isinstance(step, Act) else ():
        if not isinstance(getattr(kind, "code", None), str):
            yield f"step {step.name} leads elsewhere on {kind.__name__}, which has no code and so is no error of ours"


def _faults_of_ways_back(definition: Definition[Any], step: Step[Any, Any]) -> Iterator[str]:
    for earlier in step.again_from:
        if not definition.has_before(earlier, step):
            yield f"step {step.name} may go again from {earlier.name}, which does not stand before it"
    leads = (isinstance(step, Act) and step.leads) or (isinstance(step, Wait) and (step.route or step.on_deadline))
    if step.again_from and not leads:
        yield f"step {step.name} may go again from earlier steps, but nothing of it leads there"


def _faults_of_reopening(definition: Definition[Any]) -> Iterator[str]:
    for signal, (back_to, until) in definition.reopens.items():
        if not isinstance(back_to, Wait) or back_to.signal != signal:
            yield f"signal {signal} reopens {back_to.name}, which does not wait for it"
        if back_to not in definition.steps or until not in definition.steps:
            yield f"signal {signal} reopens a step that the definition does not have"
        elif not definition.has_before(back_to, until):
            yield f"signal {signal} reopens {back_to.name} until {until.name}, which does not come after it"


def _faults_of_patience(definition: Definition[Any]) -> Iterator[str]:
    asked = {name: step.name for step in definition.steps for name in step.patience}
    for name in sorted(asked.keys() - definition.patience.keys()):
        yield f"step {asked[name]} asks for the patience {name}, which the definition does not set"
    for name in sorted(definition.patience.keys() - asked.keys()):
        yield f"the patience {name} is set, but no step asks for it"


def _faults_of_no_return(definition: Definition[Any]) -> Iterator[str]:
    pivot = definition.no_return
    if pivot is None:
        return
    if pivot not in definition.steps:
        yield f"there is no return after {pivot.name}, which the definition does not have"
        return
    for step in definition.steps[definition.steps.index(pivot) :]:
        if isinstance(step, Act) and not isinstance(step.undo, NothingToUndo):
            yield f"step {step.name} has an undo, but from {pivot.name} on nothing is undone"
