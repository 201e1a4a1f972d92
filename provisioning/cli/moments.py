"""Times as they are typed, in UTC; what can't be one is refused with one that can."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from provisioning.days import moment_in
from workflows import A_DAY, NO_DAY, NO_MOMENT


def as_moment(typed: str) -> datetime:
    """A moment in ISO 8601 with its zone, also one with fractions of a second, as JSON has it.

    Raises:
        BadParameter: it is none, or it lies beyond the calendar in UTC.
    """
    found = moment_in(typed)
    if found is None:
        raise typer.BadParameter(f"{typed!r} {NO_MOMENT}")
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise typer.BadParameter("is outside of the calendar, in UTC") from error


def as_moment_in_utc(typed: str) -> datetime:
    """A day, minute or second without a zone: it is meant in UTC.

    Raises:
        BadParameter: it is none.
    """
    found = _first_of(typed, ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
    if found is None:
        raise typer.BadParameter(f"{typed!r} is no moment in UTC, such as {A_DAY}T21:14 or {A_DAY}")
    return found.replace(tzinfo=UTC)


def as_day(typed: str) -> datetime:
    """The beginning of a day.

    Raises:
        BadParameter: it is none.
    """
    found = _first_of(typed, ["%Y-%m-%d"])
    if found is None:
        raise typer.BadParameter(f"{typed!r} {NO_DAY}")
    return found.replace(tzinfo=UTC)


def _first_of(typed: str, formats: Sequence[str]) -> datetime | None:
    for each in formats:
        try:
            return datetime.strptime(typed, each)  # noqa: DTZ007 (whoever asks says in which zone)
        except ValueError:
            continue
    return None
