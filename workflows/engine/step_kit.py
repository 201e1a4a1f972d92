"""How steps are written: decorators that make them of functions, and the waits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter
from typing_extensions import TypedDict, Unpack

from workflows.engine.routes import Proceed, Route
from workflows.engine.steps import Act, Effect, Leads, NothingToUndo, RetryPolicy, Step, Wait
from workflows.errors import DefinitionFault

if TYPE_CHECKING:
    from workflows.engine.run import Run

InputT = TypeVar("InputT")
ResultT = TypeVar("ResultT")
ServicesT = TypeVar("ServicesT")
OutsideT = TypeVar("OutsideT")

Do = Callable[[ServicesT, "Run[InputT]"], Awaitable[ResultT]]
Undo = Callable[[ServicesT, "Run[Any]", Any], Awaitable[None]]
Probe = Callable[[OutsideT, "Run[Any]"], Awaitable[Any]]
First = Callable[[OutsideT, "Run[Any]"], Awaitable[None]]


class How(TypedDict, total=False):
    """What may be said of any act; see `Step` and `Act`."""

    when: Callable[[Run[Any]], bool] | None
    otherwise: str
    retry: RetryPolicy
    leads: Leads[Any]
    again_from: tuple[Step[Any, Any], ...]
    patience: tuple[str, ...]


class HowOutside(How, total=False):
    """What may be said of an outside call."""

    timeout_seconds: float


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
        first: First[OutsideT] | None = None,
        **how: Unpack[How],
    ) -> Callable[[Do[ServicesT, InputT, ResultT]], Act[InputT, ResultT]]:
        """A step that is one commit in our own database; ``first`` is asked outside before that."""
        return _maker(Effect.TRANSACTIONAL, undo=undo, first=first, **how)

    def keyed(
        self, *, undo: Undo[OutsideT] | NothingToUndo, **how: Unpack[HowOutside]
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call that may be repeated under the same key."""
        return _maker(Effect.KEYED, undo=undo, **how)

    def probeable(
        self, *, probe: Probe[OutsideT], undo: Undo[OutsideT] | NothingToUndo, **how: Unpack[HowOutside]
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call whose outcome can be asked for; it is asked for before it is ever repeated."""
        return _maker(Effect.PROBEABLE, undo=undo, probe=probe, **how)

    def blind(
        self, *, undo: Undo[OutsideT] | NothingToUndo, **how: Unpack[HowOutside]
    ) -> Callable[[Do[OutsideT, InputT, ResultT]], Act[InputT, ResultT]]:
        """An outside call that can neither be keyed nor asked for: at least once, always under the same identity."""
        return _maker(Effect.BLIND, undo=undo, **how)


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
    again_from: tuple[Step[Any, Any], ...] = (),
    patience: tuple[str, ...] = (),
) -> Wait[Any, ResultT]:
    """A wait for ``signal``, whose payload becomes the step's result. ``says`` is what an operator reads meanwhile.

    ``since`` tells watchers from when on an event counts; what happened earlier belongs to an earlier round. Where
    ``route`` or ``on_deadline`` may go back, ``again_from`` names the steps.
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
        again_from=again_from,
        patience=patience,
    )


def wait_until(name: str, *, at: Callable[[Run[Any]], datetime], says: str) -> Wait[Any, None]:
    """A timer: the run goes on when its time has come."""
    return Wait(name, Effect.WAIT, TypeAdapter(type(None)), deadline=at, says=says, on_deadline=lambda _run: Proceed())


def _maker(effect: Effect, **said: Any) -> Callable[[Any], Act[Any, Any]]:
    def make(do: Any) -> Act[Any, Any]:
        returns = get_type_hints(do).get("return")
        if returns is None:
            raise DefinitionFault(f"step {do.__name__} does not say what it returns")
        return Act(do.__name__, effect, TypeAdapter(returns), do=do, **said)

    return make
