"""The steps of a service's end, phase by phase, and what it is told: what is to be ended, when and why."""

from __future__ import annotations

from workflows.definitions.input_types import Note
from workflows.definitions.termination.ending import Termination

__all__ = ["Note", "Termination"]
