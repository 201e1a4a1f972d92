"""What sessions may have before a change, as it is kept with the change: its own, and what others before it left."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from radius.coa.tables import SessionChange
from radius.plans.history import FormerTerms, terms_as_json, terms_from_json


def inherited(earlier: SessionChange) -> list[FormerTerms]:
    """What sessions may have that an earlier change, still pending, has not brought to what it wished. One that it has
    ended came back with that, and is asked of the later change alone."""
    every, number, ends = former_terms(earlier), earlier.id, earlier.must_end
    return [each if each.until_change else replace(each, until_change=number, ends=ends) for each in every]


def each_once(every: Iterable[FormerTerms]) -> tuple[FormerTerms, ...]:
    """The first of those that say the same, which holds for the most sessions: those of the latest change are first."""
    said: dict[FormerTerms, FormerTerms] = {}
    for each in every:
        said.setdefault(replace(each, until_change=None), each)
    return tuple(said.values())


@lru_cache(maxsize=256)
def kept(terms: tuple[FormerTerms, ...]) -> str:
    return json.dumps([_as_json(each) for each in terms])


def _as_json(former: FormerTerms) -> dict[str, object]:
    since, until = (None if at is None else at.isoformat() for at in (former.since, former.until))
    said: dict[str, object] = {"terms": terms_as_json(former.terms), "since": since, "until": until}
    said["after_others"] = former.after_others
    if former.until_change is not None:
        said |= {"until_change": former.until_change, "ends": former.ends}
    return said


def former_terms(change: SessionChange) -> tuple[FormerTerms, ...]:
    """What its open sessions may have."""
    return former_terms_in(change.former)


@lru_cache(maxsize=256)  # thousands of changes of one plan say the same
def former_terms_in(kept: str) -> tuple[FormerTerms, ...]:
    """The same, of what is kept of it."""
    return tuple(
        FormerTerms(
            terms=terms_from_json(said["terms"]),
            since=_moment(said["since"]),
            until=_moment(said.get("until")),
            # a change of an earlier release knew of the present terms alone
            after_others=said.get("after_others", said["since"] is not None),
            until_change=said.get("until_change"),
            ends=said.get("ends", False),
        )
        for said in json.loads(kept)
    )


def _moment(said: str | None) -> datetime | None:
    return None if said is None else datetime.fromisoformat(said)
