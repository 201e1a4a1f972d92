"""The journeys, the contract they call, and the engine that walks them.

`DEFINITIONS` holds the journeys, `Services` and `Outside` what they may ask for. `Runs` is the door to runs (start,
signal, retry, skip, roll back, cancel), `Interpreter` walks one segment of a run, `Dispatch` brings segments to it.
"""

from __future__ import annotations

from workflows.definitions import DEFINITIONS
from workflows.engine.definition import Definition
from workflows.engine.dispatch import Bell, Dispatch
from workflows.engine.events import Events, EventView, list_events
from workflows.engine.interpreter import Interpreter
from workflows.engine.reading import (
    NoteView,
    RunSummary,
    RunView,
    StepView,
    list_runs,
    missing_code,
    show_run,
    waiting_runs,
)
from workflows.engine.runs import Runs
from workflows.services import Outside, Services

__all__ = [
    "DEFINITIONS",
    "Bell",
    "Definition",
    "Dispatch",
    "EventView",
    "Events",
    "Interpreter",
    "NoteView",
    "Outside",
    "RunSummary",
    "RunView",
    "Runs",
    "Services",
    "StepView",
    "list_events",
    "list_runs",
    "missing_code",
    "show_run",
    "waiting_runs",
]
