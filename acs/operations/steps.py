"""What an operation is made of: one or several steps, each a task for the CPE or a call of convergence.

A step says what is to be sent and, once that has left the queue, whether its effect is there. The effect is the proof;
that the ACS has taken a task, or the CPE a command, is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from acs.convergence.seen_devices import SeenDevice
from acs.operations.ledger import Operation

Ending = Literal["done", "faulted"]


@dataclass(frozen=True, slots=True)
class Send:
    """Queue this task; ``baseline`` is what the ACS says now, to tell by it later what has moved."""

    task: Mapping[str, Any]
    baseline: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: look again so much later."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Again:
    """The step is begun anew; ``counts`` against the few attempts that it has."""

    reason: str
    seconds: float
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Next:
    """This step is proven; the next one begins. ``forget_tag`` is a tag of ours that has told what it had to.

    ``proven`` is for a step that leaves the CPE or the ACS another: what has been done, and what is missing if the
    operation ends before its next step is done. Two clauses, which ``and`` will join.
    """

    reason: str
    baseline: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    forget_tag: str | None = None
    proven: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Over:
    """The operation has ended. ``disproven``: what an earlier step had proven is not so, and the reason says how."""

    state: Ending
    reason: str
    result: dict[str, Any] | None = None
    disproven: bool = False


@runtime_checkable
class TaskStep(Protocol):
    """One task in the CPE's queue. ``repeatable``: to run twice does no harm."""

    repeatable: ClassVar[bool]

    async def begin(self, operation: Operation, seen: SeenDevice) -> Send | Wait | Over:
        """What is to be sent, if anything. Raises: NbiError."""
        ...

    async def effect(self, operation: Operation, seen: SeenDevice) -> Wait | Again | Next | Over:
        """Whether what was sent has shown. Raises: NbiError."""
        ...


class CallStep(Protocol):
    """Something that is safe to repeat and looks for itself how far it has come."""

    async def call(self, operation: Operation) -> Wait | Again | Next | Over:
        """Raises: AcsError."""
        ...


Step = TaskStep | CallStep


def is_later(moment: datetime | None, than: datetime | None) -> bool:
    return moment is not None and (than is None or moment > than)


def spelt(moment: datetime | None) -> str | None:
    """A time for the baseline."""
    return None if moment is None else moment.isoformat()
