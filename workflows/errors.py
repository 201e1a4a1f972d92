"""What can go wrong while a journey runs.

WorkflowError
├── DefinitionFault        a definition that can't be trusted: found at import, never at run time
├── JourneyUnknown         no such journey
├── StepUnknown            the run's journey has no such step
├── RunUnknown             no such run
├── RunConflict            this key already started a run with other input
├── InputRefused           a run's or signal's input has faults, all of them named
├── RunNotOpenFor          the run's state doesn't allow this act
├── ResultMissing          a later step asks for the result of a step that was skipped
├── StepTimedOut           an outside call didn't answer in time: outcome unknown
├── RunFenced              another execution owns this run now: stop, touch nothing
├── EventTypeUnknown       no journey is started by such an event
├── EventConflict          this key already stands for another event
├── EventRefused           the journey that an event starts doesn't take it
├── EventUnknown           no such event
├── EventSettled           it has started its run, or is about to: it is not taken up again
├── CodeMissing            open runs whose definition version this release doesn't carry
├── PortMismatch           the ONT came up at another port than planned
├── LineRemovalAwaited     a person has to take the line off the OLT before the undo can go on
├── LineRemovalUnconfirmed (t) whoever drives the OLT hasn't said yet that it is off
├── LineRefusedLater       whoever drives the OLT said no in the end
├── RenewalNotEligible     this subscription is not to be renewed now
├── RenewalNotAccepted     the customer did not accept the renewal in time, or it was taken back
└── ServiceEndedAlready    somebody else has ended the service that a run was to end

The last seven stand with the journeys that raise them, in ``workflows.definitions``: ``installation.ticket``,
``renewal.offer`` and ``termination.ending``.
"""

from __future__ import annotations

from collections.abc import Sequence

CODES_OF_THE_ENGINE: dict[str, tuple[str, bool]] = {
    "workflow.database": ("The database refused in the middle of a step; a lost connection is tried again.", True),
    "workflow.definition_raised": (
        "A condition, subject, deadline or route of the journey's definition failed.",
        False,
    ),
    "workflow.needs_a_person": (
        "The journey itself asks for a person: a deadline has passed, or what was heard is not what was wanted.",
        False,
    ),
    "workflow.no_progress": ("The worker died or lost the run again and again in the same step.", False),
    "workflow.unexpected_error": ("A step failed in a way that nobody has foreseen; the log has its traceback.", False),
}
"""Why a run is held or waits, where no error class says so: (what has happened, whether it is tried again)."""


class WorkflowError(Exception):
    """The workflow engine refused."""

    code = "workflow.error"
    transient = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class DefinitionFault(WorkflowError):
    """A journey's definition is not complete."""

    code = "workflow.definition_fault"


class JourneyUnknown(WorkflowError):
    """There is no such journey."""

    code = "workflow.journey_unknown"

    def __init__(self, journey: str, known: Sequence[str]) -> None:
        super().__init__(f"there is no journey {journey}; there are {', '.join(known)}")
        self.journey = journey


class StepUnknown(WorkflowError):
    """The journey has no such step."""

    code = "workflow.step_unknown"

    def __init__(self, journey: str, step: str, known: Sequence[str]) -> None:
        super().__init__(f"{journey} has no step {step}; its steps are {', '.join(known)}")
        self.step = step


class RunUnknown(WorkflowError):
    """There is no such run."""

    code = "workflow.run_unknown"

    def __init__(self, run_id: int) -> None:
        super().__init__(f"there is no run {run_id}")
        self.run_id = run_id


class RunConflict(WorkflowError):
    """This key already started a run with other input."""

    code = "workflow.run_conflict"

    def __init__(self, key: str, run_id: int) -> None:
        super().__init__(f"{key} already started run {run_id} with other input; nothing was started")
        self.key = key
        self.run_id = run_id


class InputRefused(WorkflowError):
    """The input has faults."""

    code = "workflow.input_refused"

    def __init__(self, what: str, faults: Sequence[tuple[str, str]]) -> None:
        listed = "; ".join(f"{where}: {fault}" for where, fault in faults)
        super().__init__(f"{what} is refused, nothing was written: {listed}")
        self.what = what
        self.faults = tuple(faults)


class RunNotOpenFor(WorkflowError):
    """The run's state does not allow this."""

    code = "workflow.run_not_open"

    def __init__(self, run_id: int, act: str, state: str, why: str = "") -> None:
        super().__init__(f"run {run_id} is {state}: it can't be {act}" + (f"; {why}" if why else ""))
        self.run_id = run_id
        self.act = act
        self.state = state


class ResultMissing(WorkflowError):
    """A step's result is needed but the step has none."""

    code = "workflow.result_missing"

    def __init__(self, step: str) -> None:
        super().__init__(f"step {step} was skipped and left no result, but a later step needs it")
        self.step = step


class StepTimedOut(WorkflowError):
    """An outside call gave no answer in time; whether it took effect is not known."""

    code = "workflow.step_timed_out"
    transient = True

    def __init__(self, step: str, seconds: float) -> None:
        super().__init__(f"no answer within {seconds:g} s in step {step}; whether it took effect is not known")
        self.step = step


class RunFenced(WorkflowError):
    """Another execution owns this run now."""

    code = "workflow.run_fenced"

    def __init__(self, run_id: int) -> None:
        super().__init__(f"another execution owns run {run_id}")
        self.run_id = run_id


class EventTypeUnknown(WorkflowError):
    """No journey is started by such an event."""

    code = "workflow.event_type_unknown"

    def __init__(self, event_type: str, known: Sequence[str]) -> None:
        super().__init__(f"no journey is started by {event_type}; known events: {', '.join(known)}")
        self.event_type = event_type


class EventConflict(WorkflowError):
    """This key already stands for another event."""

    code = "workflow.event_conflict"

    def __init__(self, key: str, event_id: int) -> None:
        super().__init__(f"{key} is event {event_id} already, with other content; nothing was published")
        self.key = key
        self.event_id = event_id


class EventRefused(WorkflowError):
    """The journey that this event starts does not take it."""

    code = "workflow.event_refused"


class EventUnknown(WorkflowError):
    """There is no such event."""

    code = "workflow.event_unknown"

    def __init__(self, event_id: int) -> None:
        super().__init__(f"there is no event {event_id}; `firstlight events list` shows those there are")
        self.event_id = event_id


class EventSettled(WorkflowError):
    """The event is not one that was refused, so it is neither taken up again nor set aside."""

    code = "workflow.event_settled"

    def __init__(self, event_id: int, state: str) -> None:
        super().__init__(f"event {event_id} is {state}; only one that was refused is taken up again or set aside")
        self.event_id = event_id
        self.state = state


class CodeMissing(WorkflowError):
    """Open runs need a definition that this release does not carry."""

    code = "workflow.code_missing"

    def __init__(self, missing: Sequence[tuple[str, int, int]]) -> None:
        listed = ", ".join(f"{journey} version {version} ({runs} open)" for journey, version, runs in missing)
        super().__init__(f"open runs need definitions that this release does not carry: {listed}")
        self.missing = tuple(missing)
