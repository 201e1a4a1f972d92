"""The journeys, the contract they call, and the engine that walks them.

`DEFINITIONS` holds the journeys, `Services` and `Outside` what they may ask for. `Runs` is the door to runs (start,
signal, retry, skip, roll back, cancel), `Lookout` tells them that nobody can look for what they wait for, `Interpreter`
walks one segment of a run, `Dispatch` brings segments to it.

More faces: `workflows.services`, the contract, `workflows.payloads` and `workflows.answers` with the types of what it
is given and answers, and in `workflows.definitions` what a journey is told: `installation`, `termination`,
`lead_to_customer_onboarding`, `partner_customer_provisioning`.
"""

from __future__ import annotations

from workflows.contract import CONTRACT
from workflows.definitions import DEFINITIONS
from workflows.definitions.input_types import FIRST_YEAR, LAST_YEAR, Moment
from workflows.definitions.mailing import mail_step_names
from workflows.engine.ahead import GO_ON_BY_THEMSELVES, runs_before
from workflows.engine.changes import PublishedEvent, RunChange, published_events, run_changes
from workflows.engine.definition import Definition
from workflows.engine.dispatch import Bell, Dispatch
from workflows.engine.due import Overdue, what_is_due, what_is_overdue
from workflows.engine.event_lists import EventView, RefusedEvents, list_events, refused_events, show_event
from workflows.engine.events import Events
from workflows.engine.interpreter import Interpreter, nothing_happens
from workflows.engine.invariants import (
    restless_runs,
    set_going,
    stuck_events,
    unfinished_ends,
    unknown_outcomes,
)
from workflows.engine.lookout import Lookout
from workflows.engine.overview import (
    EndedInHour,
    HeldFor,
    HeldGroup,
    Undoing,
    ended_by_hour,
    held_at,
    held_groups,
    held_mark,
    held_runs,
    newest_mark,
    run_marks,
    run_summary,
    what_is_undone,
)
from workflows.engine.run_lists import Among, RunSummary, find_runs, knows_run, list_runs, waiting_runs
from workflows.engine.run_lookups import (
    BegunRound,
    KeptResult,
    begun_rounds,
    inputs_of,
    missing_code,
    open_results,
    open_runs_told,
    run_state,
    runs_about,
    runs_of_keys,
    states_of_steps,
    subjects_at_steps,
)
from workflows.engine.run_views import NoteView, RoundView, RunView, StepView, show_run
from workflows.engine.runs import Runs
from workflows.engine.tables import ENDED, RunState, StepState, UtcDateTime
from workflows.errors import (
    CODES_OF_THE_ENGINE,
    CodeMissing,
    EventConflict,
    EventRefused,
    EventTypeUnknown,
    InputRefused,
    RunConflict,
    RunNotOpenFor,
    RunUnknown,
    WorkflowError,
)
from workflows.faults import A_DAY, NO_DAY, NO_MOMENT, fault_in_words, model_faults, sound_parts
from workflows.framed import framed_addresses
from workflows.journey_reference import render_journeys
from workflows.printable import PRINTABLE
from workflows.refusals import BusinessRefusal
from workflows.services import Outside, Services

__all__ = [
    "A_DAY",
    "CODES_OF_THE_ENGINE",
    "CONTRACT",
    "DEFINITIONS",
    "ENDED",
    "FIRST_YEAR",
    "GO_ON_BY_THEMSELVES",
    "LAST_YEAR",
    "NO_DAY",
    "NO_MOMENT",
    "PRINTABLE",
    "Among",
    "BegunRound",
    "Bell",
    "BusinessRefusal",
    "CodeMissing",
    "Definition",
    "Dispatch",
    "EndedInHour",
    "EventConflict",
    "EventRefused",
    "EventTypeUnknown",
    "EventView",
    "Events",
    "HeldFor",
    "HeldGroup",
    "InputRefused",
    "Interpreter",
    "KeptResult",
    "Lookout",
    "Moment",
    "NoteView",
    "Outside",
    "Overdue",
    "PublishedEvent",
    "RefusedEvents",
    "RoundView",
    "RunChange",
    "RunConflict",
    "RunNotOpenFor",
    "RunState",
    "RunSummary",
    "RunUnknown",
    "RunView",
    "Runs",
    "Services",
    "StepState",
    "StepView",
    "Undoing",
    "UtcDateTime",
    "WorkflowError",
    "begun_rounds",
    "ended_by_hour",
    "fault_in_words",
    "find_runs",
    "framed_addresses",
    "held_at",
    "held_groups",
    "held_mark",
    "held_runs",
    "inputs_of",
    "knows_run",
    "list_events",
    "list_runs",
    "mail_step_names",
    "missing_code",
    "model_faults",
    "newest_mark",
    "nothing_happens",
    "open_results",
    "open_runs_told",
    "published_events",
    "refused_events",
    "render_journeys",
    "restless_runs",
    "run_changes",
    "run_marks",
    "run_state",
    "run_summary",
    "runs_about",
    "runs_before",
    "runs_of_keys",
    "set_going",
    "show_event",
    "show_run",
    "sound_parts",
    "states_of_steps",
    "stuck_events",
    "subjects_at_steps",
    "unfinished_ends",
    "unknown_outcomes",
    "waiting_runs",
    "what_is_due",
    "what_is_overdue",
    "what_is_undone",
]
