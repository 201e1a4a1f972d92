"""What a decision about a run will touch, in sentences, before anybody takes it: read from its journal, nothing else.

Every door that takes such decisions shows the same preview: the console's form, the API's answer, the command's
``--dry-run``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from provisioning.keeps import kept
from workflows import Definition, RunView, StepView, Undoing, what_is_undone

Verb = Literal["retry", "retry-from", "skip", "roll-back", "cancel", "hand-over", "note"]
VERBS: tuple[Verb, ...] = ("retry", "retry-from", "skip", "roll-back", "hand-over", "note")
"""What may be decided about a held run; a run under way can also be cancelled."""
NEEDS_REASON = frozenset({"skip", "roll-back", "cancel", "hand-over", "note"})

AGAIN = {
    "transactional": "It is done in our own database, in one commit.",
    "keyed": "It is sent again under the same key: what the other side has done already it doesn't do twice.",
    "probeable": "The other side is asked first what has come of it; only what has not happened is done.",
    "blind": "It is sent again under the same identity; a receiver may get it a second time.",
    "wait": "It waits again, as long as it did before.",
}
"""What another try of a step means, by its effect."""
AT_THE_BEST = "partial, at the best"


@dataclass(frozen=True)
class Preview:
    """What a decision comes to. ``refused``: why it can't be taken now; then nothing else is said."""

    verb: Verb
    run_id: int
    step: str | None
    refused: str | None
    touches: Sequence[str] = ()
    undone: Sequence[Undoing] = ()
    given_back: Sequence[str] = ()
    ends: str = ""


def preview(
    verb: Verb, view: RunView, definition: Definition[Any], *, from_step: str | None = None, with_money: bool = True
) -> Preview:
    """What this decision would touch. Without money: for who sees no amounts.

    Raises: StepUnknown.
    """
    summary = view.summary
    refused = _refusal(verb, view)
    if refused is not None:
        return Preview(verb, summary.id, summary.current_step, refused)
    seen = _Seen(view, definition, with_money)
    if verb == "retry":
        return _undo_again(seen) if view.goes_back else _retry(view)
    if verb == "retry-from":
        return _retry_from(seen, from_step)
    if verb == "skip":
        return _leave(seen) if view.goes_back else _skip(view)
    if verb in ("roll-back", "cancel"):
        return _undo(verb, seen)
    if verb == "hand-over":
        says = ["A ticket is opened for a team, with what is held, why, and what it keeps.", "The run stays as it is."]
        return Preview(verb, summary.id, summary.current_step, None, says, ends=summary.state)
    return Preview(verb, summary.id, None, None, ["One line in the run's log, for good; nothing else."])


def what_may_be_decided(view: RunView) -> list[Verb]:
    """What this run takes as it stands. Of two that come to the same, one: a held run that goes forward is rolled back,
    one that is being undone is tried again."""
    same: Verb = "roll-back" if view.undoes_all else "cancel"
    held = view.summary.state == "held"
    return [verb for verb in get_args(Verb) if _refusal(verb, view) is None and not (held and verb == same)]


def steps_to_go_back_to(view: RunView) -> list[str]:
    """The steps from which a held run may be tried again, the newest first."""
    if view.past_return or view.goes_back:
        return []
    return [step.name for step in reversed(view.steps) if step.state not in ("planned", "undone")]


def _refusal(verb: Verb, view: RunView) -> str | None:
    run, state = view.summary, view.summary.state
    waits_for_try = state == "pending" and run.waiting_for == "retry"
    if verb == "note":
        return None
    if verb == "cancel":
        if state not in ("acknowledged", "inProgress", "pending", "held"):
            return f"The run is {state}; there is nothing to cancel."
        if view.undoes_all:
            return "The run is being undone already."
    elif verb == "retry" and waits_for_try:
        return None
    elif state != "held":
        return f"The run is {state} by now; this is for held runs."
    if verb == "retry-from" and view.goes_back:
        return "The run is undoing itself; from which step it goes forward can be said when it has done that."
    if verb in ("retry-from", "roll-back", "cancel") and view.past_return:
        return "The run has come to where it can only be completed; nothing of it is undone any more."
    return None


@dataclass(frozen=True)
class _Seen:
    """A run, the definition that it goes by, and whether the reader sees amounts."""

    view: RunView
    definition: Definition[Any]
    with_money: bool

    def undone(self, from_step: str | None = None) -> Sequence[Undoing]:
        return what_is_undone(self.definition, self.view, from_step=from_step)

    def given_back(self, undone: Sequence[Undoing]) -> list[str]:
        """What the run keeps that these steps have made and take back."""
        return self.kept_of({each.step for each in undone if each.nothing_because is None})

    def kept_of(self, steps: Collection[str]) -> list[str]:
        things = kept(self.view, with_money=self.with_money)
        return [": ".join(filter(None, (thing.what, thing.particulars))) for thing in things if thing.step in steps]


def _retry(view: RunView) -> Preview:
    step = _held_step(view)
    ahead = [each.name for each in view.steps if each.state == "planned"]
    says = [f"{named(step.name)} is tried again. {AGAIN.get(step.effect, '')}".strip()]
    if ahead:
        says.append(f"Then the run goes on: {', '.join(map(named, ahead))}.")
    return Preview("retry", view.summary.id, step.name, None, says, ends="inProgress")


def _undo_again(seen: _Seen) -> Preview:
    view, step = seen.view, _held_step(seen.view)
    says = [f"The undo of {named(step.name)} is tried again; the run undoes itself, newest first.", _afterwards(view)]
    undone = seen.undone(view.back_to)
    return Preview("retry", view.summary.id, step.name, None, says, undone, seen.given_back(undone), ends="inProgress")


def _retry_from(seen: _Seen, from_step: str | None) -> Preview:
    view = seen.view
    start = from_step or _held_step(view).name
    undone = seen.undone(start)
    first = undone[-1].step if undone else start
    says = [f"Everything down to and with {named(first)} is undone, newest first; then the run goes forward again."]
    if first != start:
        says.append(f"{named(start)} can't be done again alone: {named(first)} is done again with it.")
    given_back = seen.given_back(undone)
    return Preview("retry-from", view.summary.id, start, None, says, undone, given_back, ends="inProgress")


def _skip(view: RunView) -> Preview:
    step = _held_step(view)
    says = [
        f"{named(step.name)} is passed over, with your reason; nothing is sent anywhere for it.",
        "A later step that needs its result will be held.",
    ]
    return Preview("skip", view.summary.id, step.name, None, says, ends=AT_THE_BEST)


def _leave(seen: _Seen) -> Preview:
    view, step = seen.view, _held_step(seen.view)
    says = [
        f"{named(step.name)} is not undone: what it has made is left as it is, with your reason.",
        *(f"That stays: {thing}" for thing in seen.kept_of({step.name})),
        "The rest is undone, newest first.",
        _afterwards(view),
    ]
    undone = [each for each in seen.undone(view.back_to) if each.step != step.name]
    ends = "partial" if view.undoes_all else AT_THE_BEST
    return Preview("skip", view.summary.id, step.name, None, says, undone, seen.given_back(undone), ends)


def _afterwards(view: RunView) -> str:
    if view.undoes_all or view.back_to is None:
        return "Then the run ends; it goes forward no more."
    return f"Then the run goes forward again, from {named(view.back_to)}."


def _undo(verb: Verb, seen: _Seen) -> Preview:
    view, undone = seen.view, seen.undone()
    real = [each for each in undone if each.nothing_because is None]
    says = [f"{len(real)} of {len(undone)} steps have something to undo; it is undone newest first."]
    if view.undoes_all:
        says.insert(0, "The run is being undone already; the undo that it is held at is tried again.")
    if verb == "cancel" and view.summary.state != "held":
        says.append("A step under way is finished first.")
    ends = "cancelled" if verb == "cancel" else "failed"
    return Preview(verb, view.summary.id, view.summary.current_step, None, says, undone, seen.given_back(undone), ends)


def _held_step(view: RunView) -> StepView:
    name = view.summary.current_step
    return next((step for step in view.steps if step.name == name), view.steps[0])


def named(step: str) -> str:
    """A step's name as it reads in a sentence."""
    return step.replace("_", " ")
