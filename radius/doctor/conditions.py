"""What stands alone in a condition of unlang (unlang(5)), compared with nothing: as FreeRADIUS 3.2 takes it. Pure.

Measured with 3.2.1: a bare word is the code that the last module returned, ``true``, ``false``, a number, or an
attribute; any other one and the server does not start (``Expected a module return code``). A text in quotes that has
something in it is true, always.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

RETURN_CODES = ("reject", "fail", "ok", "handled", "invalid", "userlock", "notfound", "noop", "updated")
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
