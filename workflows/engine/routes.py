"""Where a run may go once a wait has heard something, or an act has failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflows.engine.steps import Step


@dataclass(frozen=True)
class Proceed:
    """The outcome is the good one: on to the next step."""


@dataclass(frozen=True)
class GoBack:
    """Undo back to (and with) an earlier step, then go forward again in a new round.

    The step that goes back names every step it may go back to in its ``again_from``.
    """

    to: Step[Any, Any]
    reason: str


@dataclass(frozen=True)
class UndoAll:
    """The journey can't succeed: undo everything, newest first; the run ends as failed."""

    reason: str


@dataclass(frozen=True)
class Reject:
    """It was never to be done (not eligible, no quota left): what was prepared is undone; the run ends as rejected."""

    reason: str


@dataclass(frozen=True)
class Hold:
    """Only a person can decide."""

    reason: str


@dataclass(frozen=True)
class KeepWaiting:
    """What was heard is not what is waited for."""


Route = Proceed | GoBack | UndoAll | Reject | Hold | KeepWaiting
Elsewhere = GoBack | UndoAll | Reject | Hold
"""Where an error may lead."""
