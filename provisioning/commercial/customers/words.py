"""The one spelling in which names, telephone numbers and mail addresses are compared. Pure.

A name is found by the beginning of any of its words, with accents or without them, and by the way in which a letter is
written out (Müller: muller, mueller). A telephone number is found by its beginning and by its end, since one writes
+49 30 123456, 0049 30 123456 and 030 123456 for the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

KeyKind = Literal["name", "email", "phone", "phone_end"]
Key = tuple[KeyKind, str]

LONGEST_WORD = 100
LONGEST_COUNTRY_CODE = 3
"""ITU-T E.164 s6.2.1."""
_WORD = re.compile(r"[^\W_]+")
# What no decomposition (Unicode's NFKD) takes apart.
_DOTLESS_I = "\N{LATIN SMALL LETTER DOTLESS I}"
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", _DOTLESS_I: "i", "ħ": "h", "ŋ": "n"}
)
_WRITTEN_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_SEPARATORS = re.compile(r"[\s().\-/]")
_TRUNK = re.compile(r"\(0\)")


def spellings(word: str) -> tuple[str, ...]:
    """A word without its accents, and with them written out where that is another one."""
    small = unicodedata.normalize("NFC", word.casefold())
    return tuple(dict.fromkeys(_plain(each) for each in (small, small.translate(_WRITTEN_OUT))))


def words_of(text: str) -> list[str]:
    """Its words as they are written, in their order: letters and digits, of any script."""
    return [word[:LONGEST_WORD] for word in _WORD.findall(unicodedata.normalize("NFC", text))]


def significant(phone: str) -> tuple[str, bool]:
    """A telephone number's digits without what says how to dial it; and whether they begin with a country's code."""
    text = phone.strip()
    is_international = text.startswith(("+", "00"))
    digits = _SEPARATORS.sub("", _TRUNK.sub("", text) if is_international else text).removeprefix("+")
    return digits.lstrip("0"), is_international


def keys_of(*, name: str, email: str, phone: str | None) -> list[Key]:
    """Everything that a customer is found by, in order, each once."""
    found: set[Key] = {("name", spelt) for word in _name_words(name) for spelt in spellings(word)}
    found.add(("email", email.casefold()))
    if phone is not None and (digits := significant(phone)[0]):
        found |= {("phone", digits), ("phone_end", digits[::-1])}
    return sorted(found)


def _name_words(name: str) -> Iterable[str]:
    """O'Brien is found as Brien and as OBrien."""
    for part in name.split():
        words = words_of(part)
        yield from words
        if len(words) > 1:
            yield "".join(words)[:LONGEST_WORD]


def _plain(word: str) -> str:
    apart = unicodedata.normalize("NFKD", word.translate(_LETTERS))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))
