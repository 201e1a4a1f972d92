"""Just enough of JavaScript's grammar to refuse a script that was cut off: brackets, strings and comments."""

from __future__ import annotations

import re

_PAIRS = {")": "(", "]": "[", "}": "{"}
_SKIPPED = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`", re.DOTALL)


def javascript_error(script: str) -> str | None:
    """V8's message when the brackets don't match, else None. The server compiles a script as the body of a function."""
    expected: list[str] = []
    for character in _SKIPPED.sub("", script):
        if character in "([{":
            expected.append(character)
        elif character in _PAIRS and (not expected or expected.pop() != _PAIRS[character]):
            return f"Unexpected token '{character}'"
    return "Unexpected token '}'" if expected else None
