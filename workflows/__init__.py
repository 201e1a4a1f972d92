"""The journeys, the contract they call, and the engine that walks them.

`DEFINITIONS` holds the journeys, `Services` and `Outside` what they may ask for. `Runs` is the door to runs (start,
signal, retry, skip, roll back, cancel), `Interpreter` walks one segment of a run, `Dispatch` brings segments to it.

More faces: `workflows.services`, the contract, `workflows.answers` with the types of what it answers, and in
`workflows.definitions` what a journey is told: `installation`, `lead_to_customer_onboarding`,
`partner_customer_provisioning`.
"""

from __future__ import annotations

from workflows.definitions import DEFINITIONS
from workflows.engine.definition import Definition
from workflows.engine.dispatch import Bell, Dispatch
from workflows.engine.events import Events, EventView, list_events
from workflows.engine.interpreter import Interpreter, nothing_happens
from workflows.engine.invariants import restless_runs, stuck_events, unfinished_ends, unknown_outcomes
from workflows.engine.reading import (
    Among,
    KeptResult,
    NoteView,
    RoundView,
    RunSummary,
    RunView,
    StepView,
    keys_of_runs,
    knows_run,
    list_runs,
    missing_code,
    open_results,
    runs_of_keys,
    show_run,
    waiting_runs,
)
from workflows.engine.runs import Runs
from workflows.engine.tables import ENDED, RunState, StepState, UtcDateTime
from workflows.errors import (
    CODES_OF_THE_ENGINE,
    CodeMissing,
    EventConflict,
    EventRefused,
    RunNotOpenFor,
    RunUnknown,
    WorkflowError,
)
from workflows.printable import PRINTABLE
from workflows.refusals import BusinessRefusal
from workflows.services import Outside, Services

__all__ = [
    "CODES_OF_THE_ENGINE",
    "DEFINITIONS",
    "ENDED",
    "PRINTABLE",
    "Among",
    "Bell",
    "BusinessRefusal",
    "CodeMissing",
    "Definition",
    "Dispatch",
    "EventConflict",
    "EventRefused",
    "EventView",
    "Events",
    "Interpreter",
    "KeptResult",
    "NoteView",
    "Outside",
    "RoundView",
    "RunNotOpenFor",
    "RunState",
    "RunSummary",
    "RunUnknown",
    "RunView",
    "Runs",
    "Services",
    "StepState",
    "StepView",
    "UtcDateTime",
    "WorkflowError",
    "keys_of_runs",
    "knows_run",
    "list_events",
    "list_runs",
    "missing_code",
    "nothing_happens",
    "open_results",
    "restless_runs",
    "runs_of_keys",
    "show_run",
    "stuck_events",
    "unfinished_ends",
    "unknown_outcomes",
    "waiting_runs",
]
