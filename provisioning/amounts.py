"""What is shown of amounts to who sees no money: that there was one. One masking, below every door.

Results and inputs of steps lose what their names say is an amount; sentences lose amounts as we write them, with their
currency before or after (`49.90 EUR`, `EUR 49.90`), whoever has written them; mails lose them as their language writes
them (`1.234,50 zł`, `CHF49.90`). Sentences about a step that takes money, and those that name an amount (`price`,
`sale_amount`), lose every decimal number, since a refusal may tell two amounts and one currency, or none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from babel import Locale
from babel.localedata import locale_identifiers

from provisioning.access import AuditView
from provisioning.commercial.mails.outbox import OutboxMail, ShownMail
from provisioning.commercial.money import DECIMALS
from provisioning.commercial.notices.notifications import NoticeRecord
from provisioning.keeps import MONEY_STEPS
from provisioning.languages import locale_of
from workflows import EventView, RoundView, RunSummary, RunView, StepView

NOT_SHOWN = "(not shown)"

_NAMES = re.compile(r"(^|_)(amount|price|total|subtotal|tax|discount|fee|minor|currency|commission)(_|$)")
_WORD = re.compile(r"\w+")
_SIGN = "[$¢-¥֏؋฿៛₠-⃀﷼＄￠￡￥￦]"  # noqa: RUF001 - written so in full width
_MARKS = "[\u061c\u200b\u200e\u200f]*"  # which way it is written, in Arabic and Hebrew; they are not seen
_BLANK = "[ \xa0\u202f]"
_GAP = f"{_MARKS}{_BLANK}?{_MARKS}"
_MINUS = rf"(?:[-\u2212]{_MARKS}\xa0?)?"
_POINTS = r".,\u060c\u066b\u2e41"
_NUMBER = rf"(?<!\d)\d+(?:[{_POINTS}'\u2019\xa0\u202f\u066c]\d+)*"
_WITH_DECIMALS = rf"{_NUMBER}(?:(?<=[{_POINTS}]\d\d)|(?<=[{_POINTS}]\d\d\d)|(?<=[{_POINTS}]\d\d\d\d))(?!\d)"


def _alone(*names: str) -> str:
    """One of these names of a currency, which is no part of a word. None: what is nowhere."""
    return (
        rf"(?<![^\W\d])(?:{'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?![^\W\d])"
        if names
        else "(?!)"
    )


_CODE = _alone(*DECIMALS)
_WHOLE_CODE = _alone(*(code for code, decimals in DECIMALS.items() if not decimals))


def _amounts(symbols: Collection[str] = ()) -> re.Pattern[str]:
    """Numbers beside a currency; where one stands on either side of it, both, for either may be meant.

    ``symbols``: what currencies are called besides their codes. What is a single letter counts, as a code does without
    a blank, beside a number alone that has decimals: `L` is a currency, and a part of many an address.
    """
    letters = _alone(*(each for each in symbols if len(each) == 1 and each.isalpha()))
    known = rf"(?:{_alone(*(each for each in symbols if len(each) > 1 or not each.isalpha()))}|{_SIGN})"
    number, decimals = f"{_MINUS}{_NUMBER}", f"{_MINUS}{_WITH_DECIMALS}"
    behind = (
        rf"(?:{_CODE}{_MARKS}{_BLANK}{_MARKS}|(?:{_WHOLE_CODE}|{known}){_GAP}){number}"
        rf"|(?:{_CODE}|{letters}){_GAP}{decimals}"
    )
    before = rf"(?<!\w)(?:{number}{_GAP}(?:(?:minor units of )?{_CODE}|{known})|{decimals}{_GAP}{letters})"
    return re.compile(rf"(?:(?<!\w){number}{_GAP})?(?:{behind})|{before}")


_AMOUNT = _amounts()
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


@cache
def _amounts_in(language: str) -> re.Pattern[str]:
    """As ``_amounts``, with what currencies are called wherever the language is spoken (CLDR)."""
    spoken = locale_of(language).language
    everywhere = [Locale.parse(each) for each in locale_identifiers() if each.partition("_")[0] == spoken]
    names = {locale.currency_symbols.get(code) for locale in everywhere for code in DECIMALS}
    return _amounts([name for name in names if name and name not in DECIMALS])


def words_without_amounts(words: str, step: str | None = None) -> str:
    """A sentence without the amounts in it; ``step``: about which it is."""
    shown = _AMOUNT.sub(NOT_SHOWN, words)
    is_about_money = step in MONEY_STEPS or any(_NAMES.search(each) for each in _WORD.findall(words))
    return _DECIMAL.sub(NOT_SHOWN, shown) if is_about_money else shown


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


def line_without_amounts(mail: OutboxMail) -> OutboxMail:
    """A mail in a list, as who sees no money reads it. It is in its customer's language."""
    amounts = _amounts_in(mail["language"])
    answer = mail["last_answer"]
    return {
        **mail,
        "subject": amounts.sub(NOT_SHOWN, mail["subject"]),
        "last_answer": None if answer is None else amounts.sub(NOT_SHOWN, answer),
    }


def mail_without_amounts(mail: ShownMail) -> ShownMail:
    """A mail, whole."""
    return {
        **mail,
        **line_without_amounts(mail),
        "text": _amounts_in(mail["language"]).sub(NOT_SHOWN, mail["text"]),
        "tries": [{**each, "reply": _or_none(each["reply"], None)} for each in mail["tries"]],
    }


def notice_without_amounts(notice: NoticeRecord) -> NoticeRecord:
    """What a team was told, as who sees no money reads it."""
    return {
        **notice,
        "subject": words_without_amounts(notice["subject"]),
        "message": words_without_amounts(notice["message"]),
        "last_error": _or_none(notice["last_error"], None),
    }


def _step(step: StepView) -> StepView:
    earlier = [_round(each, step.name) for each in step.earlier]
    return replace(step, result=without_amounts(step.result), note=_or_none(step.note, step.name), earlier=earlier)


def _round(one: RoundView, step: str) -> RoundView:
    return replace(one, result=without_amounts(one.result), note=_or_none(one.note, step))


def _or_none(words: str | None, step: str | None) -> str | None:
    return None if words is None else words_without_amounts(words, step)
