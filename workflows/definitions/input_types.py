"""What journeys' inputs are made of: names, numbers and lines of text, each refused in words for an operator."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, LiteralString, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from workflows.printable import PRINTABLE

FIRST_YEAR, LAST_YEAR = 1970, 2199
"""Times that anybody means. Every one of them exists in every time zone, which those at the calendar's edges don't."""

DayT = TypeVar("DayT", bound=date)


def matching(pattern: str, words: str) -> AfterValidator:
    """A check whose refusal an operator can read; the pattern itself would help nobody."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"is {text!r}, but must be {words}")
        return text

    return AfterValidator(check)


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


def _in_words(kind: LiteralString) -> BeforeValidator:
    """A day, or a moment, is written out. A number would be read as seconds or as milliseconds since 1970, whichever is
    nearer to our time."""

    def check(value: Any) -> Any:
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\s*[-+]?[\d.]+\s*", value)):
            raise PydanticCustomError(kind, "is a number")
        return value

    return BeforeValidator(check)


def _within_our_time(day: DayT) -> DayT:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"is in the year {day.year}, not in {FIRST_YEAR} to {LAST_YEAR}")
    return day


FILLED = AfterValidator(_says_something)
STRIPPED = StringConstraints(strip_whitespace=True)

Line = Annotated[str, STRIPPED, FILLED, matching(PRINTABLE + "{1,200}", "one line of at most 200 characters")]
Note = Annotated[str, STRIPPED, FILLED, matching(PRINTABLE + "{1,1000}", "one line of at most 1000 characters")]
Identifier = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}", "a name of letters, digits and . _ : / -")]
PositiveId = Annotated[int, Field(gt=0, le=2**63 - 1, strict=True)]
"""Never read out of text, a fraction or a truth value: a number that names somebody is written as a number."""

Moment = Annotated[AwareDatetime, _in_words("datetime_parsing"), AfterValidator(_within_our_time)]
"""A time that says its zone."""
Day = Annotated[date, _in_words("date_parsing"), AfterValidator(_within_our_time)]


class Frozen(BaseModel):
    """Input is data: what isn't known is refused, what was read doesn't change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
