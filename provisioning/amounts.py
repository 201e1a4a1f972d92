"""What is shown of amounts to who sees no money: that there was one. One masking, below every door.

Results and inputs of steps lose what their names say is an amount; sentences lose amounts as we write them, with their
currency before or after (`49.90 EUR`, `EUR 49.90`), whoever has written them. Sentences about a step that takes money
lose every decimal number, since a refusal may tell two amounts and one currency.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from provisioning.access import AuditView
from provisioning.commercial.money import DECIMALS
from provisioning.keeps import MONEY_STEPS
from workflows import EventView, RoundView, RunSummary, RunView, StepView

NOT_SHOWN = "(not shown)"

_NAMES = re.compile(r"(^|_)(amount|price|total|subtotal|tax|discount|fee|minor|currency|commission)(_|$)")
_CODE = rf"(?:{'|'.join(sorted(DECIMALS))})"
_NUMBER = r"\d+(?:[.,]\d+)*"
_SIGN = "[€$£¥]"
_AMOUNT = re.compile(
    rf"-?\b{_NUMBER}[ \xa0]?(?:(?:minor units of )?{_CODE}\b|{_SIGN})"
    rf"|\b{_CODE}[ \xa0]-?{_NUMBER}\b|{_SIGN}[ \xa0]?{_NUMBER}\b"
)
_DECIMAL = re.compile(r"(?<![\w.,])-?\d+(?:,\d{3})*[.,]\d+(?![.,]?\w)")


def without_amounts(value: Any) -> Any:
    """The same; where an amount stood stands that it isn't shown."""
    if isinstance(value, Mapping):
        return {
            name: NOT_SHOWN if inner is not None and _NAMES.search(str(name)) else without_amounts(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_amounts(inner) for inner in value]
    return words_without_amounts(value) if isinstance(value, str) else value


def words_without_amounts(words: str, step: str | None = None) -> str:
    """A sentence without the amounts in it; ``step``: about which it is."""
    shown = _AMOUNT.sub(NOT_SHOWN, words)
    return _DECIMAL.sub(NOT_SHOWN, shown) if step in MONEY_STEPS else shown


def summary_without_amounts(run: RunSummary) -> RunSummary:
    """A run in a list, without the amounts in why it stands so."""
    return replace(run, reason=_or_none(run.reason, run.current_step))


def run_without_amounts(view: RunView) -> RunView:
    """A run, whole: its input, results, rounds and log without amounts."""
    return replace(
        view,
        summary=summary_without_amounts(view.summary),
        input=without_amounts(view.input),
        steps=[_step(step) for step in view.steps],
        notes=[replace(note, text=words_without_amounts(note.text, note.step)) for note in view.notes],
    )


def entry_without_amounts(entry: AuditView) -> AuditView:
    """An entry of the audit as who sees no money reads it; it is kept whole."""
    before, after = without_amounts(entry.before), without_amounts(entry.after)
    return replace(entry, before=before, after=after, reason=_or_none(entry.reason, None))


def event_without_amounts(event: EventView) -> EventView:
    """An event as who sees no money reads it."""
    return replace(event, data=without_amounts(event.data), reason=_or_none(event.reason, None))


def _step(step: StepView) -> StepView:
    earlier = [_round(each, step.name) for each in step.earlier]
    return replace(step, result=without_amounts(step.result), note=_or_none(step.note, step.name), earlier=earlier)


def _round(one: RoundView, step: str) -> RoundView:
    return replace(one, result=without_amounts(one.result), note=_or_none(one.note, step))


def _or_none(words: str | None, step: str | None) -> str | None:
    return None if words is None else words_without_amounts(words, step)
