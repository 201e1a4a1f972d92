"""What stands alone in a condition of unlang (unlang(5)), compared with nothing: as FreeRADIUS 3.2 takes it. Pure.

Measured with 3.2.1: a bare word is the code that the last module returned, ``true``, ``false``, a number, or an
attribute; any other one and the server does not start (``Expected a module return code``). A text in quotes that has
something in it is true, always.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

RETURN_CODES = ("reject", "fail", "ok", "handled", "invalid", "userlock", "notfound", "noop", "updated")
ANY_CODE = "any"
"""A code that a module returned, and nobody knows which."""
_TRUTHS = frozenset({"true", "false"})
_ONE_WORD_ATTRIBUTES = frozenset(
    {
        *("class", "commands", "expiration", "group", "hint", "menu", "method", "prefix", "prompt", "realm", "reauth"),
        *("state", "subscriber", "suffix"),
    }
)
"""Attributes of the server's dictionaries whose name has no hyphen; it takes them in any case of letters."""
_TOKENS = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)"""
    r"""|(?P<compared>[!=]~\s*(?:/(?:\\.|[^/\\])*/[a-z]*)?|[!=]=\*?|<=|>=|<[a-z0-9]+>|<|>|!\*|=\*)"""
    r"""|(?P<joined>&&|\|\||[()!])"""
    r"""|(?P<word>[^\s()!=<>"'`|]+)"""
)
_CAST = re.compile(r"<[a-z0-9]+>")
_LOWER_WORD = re.compile(r"[a-z][a-z0-9_]*")
_MISTAKEN = frozenset({"true", "false", "yes", "no"})


def unknown_words(condition: str) -> list[str]:
    """Bare words for which the server does not start. Only such as can be no attribute of anybody's dictionary, which
    have capitals or a hyphen."""
    return [word for word in _alone(condition) if _is_unknown(word)]


def always_true(condition: str) -> list[str]:
    """Texts in quotes that are asked for their truth, and have nothing to expand."""
    texts = [text for text in _alone(condition) if text[0] in "\"'"]
    return [
        text for text in texts if len(text) > len('""') and not (text[0] == '"' and "%" in text) and "$" not in text
    ]


def _is_unknown(word: str) -> bool:
    if word in _TRUTHS or word.lower() in RETURN_CODES or word in _ONE_WORD_ATTRIBUTES:
        return False
    return _LOWER_WORD.fullmatch(word) is not None or word.lower() in _MISTAKEN


def _alone(condition: str) -> Iterator[str]:
    tokens = [(found.lastgroup, found[0]) for found in _TOKENS.finditer(_CAST.sub("", condition))]
    for at, (kind, token) in enumerate(tokens):
        before = tokens[at - 1][0] if at else None
        after = tokens[at + 1][0] if at + 1 < len(tokens) else None
        if kind in ("text", "word") and "compared" not in (before, after):
            yield token


def holds(condition: str, code: str, without_answer: Collection[str] = ()) -> bool | None:
    """Whether a condition is true behind a module that returned ``code``; None: that depends on what isn't known here.
    ``without_answer``: modules that are asked in vain (``%{sql:SELECT 1}``), so that nothing stands there."""
    tokens = [
        (str(found.lastgroup), found[0])
        for found in _TOKENS.finditer(_CAST.sub("", condition))
        if found.lastgroup is not None
    ]
    return _Asked(tokens, code, without_answer).any_of()


class _Asked:
    """A condition from left to right: ``!`` binds before ``&&``, and that before ``||``."""

    def __init__(self, tokens: list[tuple[str, str]], code: str, without_answer: Collection[str]) -> None:
        self._tokens = tokens
        self._code = code
        self._vain = tuple(f"%{{{name}:" for name in without_answer)

    def any_of(self) -> bool | None:
        truths = [self._all_of()]
        while self._next("||"):
            truths.append(self._all_of())
        return True if True in truths else None if None in truths else False

    def _all_of(self) -> bool | None:
        truths = [self._one()]
        while self._next("&&"):
            truths.append(self._one())
        return False if False in truths else None if None in truths else True

    def _next(self, wanted: str) -> bool:
        if self._tokens and self._tokens[0] == ("joined", wanted):
            self._tokens.pop(0)
            return True
        return False

    def _one(self) -> bool | None:
        if self._next("!"):
            truth = self._one()
            return None if truth is None else not truth
        if self._next("("):
            truth = self.any_of()
            self._next(")")
            return truth
        if not self._tokens:
            return None
        kind, first = self._tokens.pop(0)
        if self._tokens and self._tokens[0][0] == "compared":
            how = self._tokens.pop(0)[1]
            other = self._tokens.pop(0)[1] if self._tokens and self._tokens[0][0] in ("text", "word") else ""
            return self._compared(first, how, other)
        return self._alone(kind, first)

    def _alone(self, kind: str, said: str) -> bool | None:
        if kind == "text":
            return True if always_true(said) else None
        if said in _TRUTHS:
            return said == "true"
        if said.lower() not in RETURN_CODES or self._code == ANY_CODE:
            return None
        return said.lower() == self._code

    def _compared(self, text: str, how: str, other: str) -> bool | None:
        is_plain = other[:1] in "\"'" and len(other) > 1 and "%" not in other and "$" not in other
        if not is_plain or how not in ("==", "!=") or not text.startswith('"'):
            return None
        if not text[1:].startswith(self._vain) or not self._vain:
            return None
        return (other[1:-1] == "") == (how == "==")
