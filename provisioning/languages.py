"""Languages as BCP 47 writes them (``de``, ``de-AT``), and how a wish is met by what there is (RFC 4647 s3.4).

Whoever speaks to a customer asks ``choose``: what they wish, else the ISP's own; pages, which always say something, ask
``choose_words`` and come in English at the last.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from babel import Locale, UnknownLocaleError

# Language, script, region and variants (RFC 5646 s2.1); extensions and private use name nothing that a text comes in.
_TAG = re.compile(r"[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*", re.IGNORECASE)
LONGEST_TAG = 35


def is_language_tag(text: str) -> bool:
    return len(text) <= LONGEST_TAG and _TAG.fullmatch(text) is not None


def canonical(tag: str) -> str:
    """A tag in the one spelling that RFC 5646 s2.1.1 recommends: ``de-Latn-AT``."""
    language, *rest = tag.split("-")
    return "-".join([language.lower(), *(_spelt(part) for part in rest)])


def _spelt(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()  # a script
    return part.upper() if len(part) == 2 else part.lower()


def less_and_less(tag: str) -> Iterator[str]:
    """``de-Latn-AT``, ``de-Latn``, ``de``: the tag, and what it is a special case of."""
    parts = tag.split("-")
    for count in range(len(parts), 0, -1):
        yield "-".join(parts[:count])


@dataclass(frozen=True)
class Choice:
    """A language that there is, and the tag that it is right for: by this, dates and amounts are written."""

    language: str
    asked_as: str


ENGLISH = Choice("en", "en")


def matched(tag: str, spoken: Collection[str]) -> str | None:
    """Which of these languages the tag is, or is a special case of."""
    known = {each.lower(): each for each in spoken}
    return next((known[each] for each in less_and_less(tag.lower()) if each in known), None)


def choose(spoken: Collection[str], wished: str | None, own: str) -> Choice | None:
    """The nearest to the wish of these languages, else the nearest to the ISP's own; None where neither is spoken."""
    for tag in (wished, own):
        if tag is not None and is_language_tag(tag) and (found := matched(tag, spoken)) is not None:
            return Choice(found, tag)
    return None


def choose_words(spoken: Collection[str], wished: str | None, own: str) -> Choice:
    """As ``choose``, of words that there are in English in any case."""
    return choose(spoken, wished, own) or ENGLISH


def locale_of(tag: str) -> Locale:
    """How dates and numbers are written there, or in the nearest that CLDR knows, or in English."""
    for candidate in less_and_less(tag):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")
