"""What the documentation says of the journeys: each step's effect, undo, condition and wait, from the definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from workflows.definitions import DEFINITIONS
from workflows.engine.definition import Definition
from workflows.engine.steps import Act, NothingToUndo, Step, Wait
from workflows.lengths import in_words


def render_journeys() -> str:
    """One section a journey, of its newest version; one row a step."""
    newest: dict[str, Definition[Any]] = {}
    for definition in DEFINITIONS.values():
        known = newest.setdefault(definition.name, definition)
        newest[definition.name] = max(known, definition, key=lambda one: one.version)
    return "\n\n".join(_journey(definition) for definition in newest.values()) + "\n"


def _journey(definition: Definition[Any]) -> str:
    rows = [_row(definition, number, step) for number, step in enumerate(definition.steps, start=1)]
    return "\n".join(
        [
            f"### The steps of {definition.name}",
            "",
            " ".join(_facts(definition)),
            "",
            "| | step | effect | undone by | skipped when | waits for, or goes back to |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _facts(definition: Definition[Any]) -> Iterator[str]:
    yield f"Version {definition.version}, started by `{definition.started_by}`."
    if definition.no_return is not None:
        yield f"From `{definition.no_return.name}` on there is no return: it can only be completed."
    for signal, (back_to, until) in definition.reopens.items():
        yield f"The signal `{signal}` leads back to `{back_to.name}` until `{until.name}` is done."


def _row(definition: Definition[Any], number: int, step: Step[Any, Any]) -> str:
    cells = [
        str(number),
        f"`{step.name}`",
        str(step.effect),
        _undo(step),
        step.otherwise,
        "; ".join(_ways(definition, step)),
    ]
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _undo(step: Step[Any, Any]) -> str:
    if not isinstance(step, Act):
        return "nothing: it only waits"
    if isinstance(step.undo, NothingToUndo):
        return f"nothing: {step.undo.because}"
    return step.undo.__name__.replace("_", " ")


def _ways(definition: Definition[Any], step: Step[Any, Any]) -> Iterator[str]:
    """What it waits for and how long, and where it leads when it can't go on."""
    if isinstance(step, Wait):
        yield (f"the signal `{step.signal}`: " if step.signal else "a time: ") + step.says
    for name in step.patience:
        yield f"at most {in_words(definition.patience[name])} ({name})"
    if step.again_from:
        yield "back to " + ", ".join(f"`{each.name}`" for each in step.again_from)
    if (begun_with := definition.back_with.get(step)) is not None:
        yield f"done again with `{begun_with.name}`"
