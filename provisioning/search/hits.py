"""What a search has found: each thing once, with every reason why, the likeliest first. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from provisioning.search.recognise import ClueKind

Noun = Literal[
    "subscriber",
    "customer",
    "device",
    "address",
    "pool",
    "nas",
    "order",
    "quote",
    "payment",
    "line_order",
    "ticket",
    "run",
    "visit",
    "session",
]

WHOLE, NEARLY, BEGINS, ASIDE, PAST = 100, 90, 70, 50, 30
"""How well something fits: it is the very thing; all of one part of it; a beginning or an end; it has to do with it;
it was once."""


@dataclass(frozen=True)
class Hit:
    """One thing that was found. ``noun`` and ``id`` name it, ``title`` is what it is called, ``about`` how it stands.

    ``why``: the reasons, in words; ``matched``: by which kinds of clue. ``score``: how well it fits, 100 at most.
    ``username``: the subscriber that it leads to, ``is_online``: whether they are; None: unknown, or not to be seen.
    ``service_id``: the service that has this address, or is behind this port.
    """

    noun: Noun
    id: str
    title: str
    about: str
    why: list[str]
    matched: list[ClueKind]
    score: int
    customer_id: int | None = None
    username: str | None = None
    is_online: bool | None = None
    service_id: int | None = None


@dataclass(frozen=True)
class NotAsked:
    """A question that nobody could answer: ``what`` is not known therefore, and ``why``, each in words."""

    what: str
    why: str


@dataclass(frozen=True)
class Found:
    """An answer. ``asked`` is what was looked for, ``read_as`` what it may have meant, ``more``: there is more.

    ``not_asked``: where it could not be looked for; what was not found may be there.
    """

    asked: str
    read_as: list[ClueKind]
    hits: list[Hit]
    more: bool
    not_asked: list[NotAsked]


def merged(hits: Iterable[Hit]) -> list[Hit]:
    """Each thing once: as it was found best, with all reasons."""
    by_thing: dict[tuple[Noun, str], Hit] = {}
    for hit in hits:
        known = by_thing.get((hit.noun, hit.id))
        by_thing[hit.noun, hit.id] = hit if known is None else _both(known, hit)
    return list(by_thing.values())


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """The likeliest first; of what fits equally well, those that are online."""
    return sorted(hits, key=lambda hit: (-hit.score, hit.is_online is not True, hit.title.casefold(), hit.noun, hit.id))


def known_as(hit: Hit, names: Mapping[int, str], online: Mapping[str, str] | None, looked_for: Collection[str]) -> Hit:
    """The same with its customer's name, and what is known of its session, in words. ``online`` None: nobody knows."""
    about = [hit.about] if hit.about else []
    name = None if hit.customer_id is None else names.get(hit.customer_id)
    if hit.noun != "customer" and name is not None:
        about.append(f"customer {hit.customer_id}, {name}")
    if hit.username not in looked_for:
        return replace(hit, about="; ".join(about))
    if online is None:
        return replace(hit, about="; ".join([*about, "whether it is online is not known"]))
    session = online.get(hit.username or "")
    about.append(session or "offline")
    return replace(hit, about="; ".join(about), is_online=session is not None)


def _both(one: Hit, other: Hit) -> Hit:
    better = one if one.score >= other.score else other
    return replace(
        better,
        why=list(dict.fromkeys([*better.why, *one.why, *other.why])),
        matched=list(dict.fromkeys([*better.matched, *one.matched, *other.matched])),
        username=better.username or one.username or other.username,
    )
