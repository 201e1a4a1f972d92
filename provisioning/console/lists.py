"""What the filters of lists have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from provisioning.errors import Fault, InvalidRequest

State = TypeVar("State", bound=str)


def one_of(states: Sequence[State], asked: str) -> State | None:
    """The state that a filter names; None: none was chosen. Raises: InvalidRequest."""
    known = next((state for state in states if state == asked), None)
    if asked and known is None:
        raise InvalidRequest("The list", [Fault("state", f"is none of {', '.join(states)}: {asked}")])
    return known
