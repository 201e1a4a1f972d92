"""Text of people that is kept and shown again: one line, and something in it."""

from __future__ import annotations

import re

from workflows.errors import InputRefused

# Control characters forge lines; half a surrogate pair can't be stored at all.
PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
LONGEST_REASON = 1000

_LINE = re.compile(PRINTABLE + "*")


def checked_reason(reason: str, *, what: str = "reason") -> str:
    """Why somebody decided something, without the blanks around it; it stands in the run's log for good. ``what``: what
    else it is.

    Raises: InputRefused.
    """
    text = reason.strip()
    if not text:
        fault = "is missing"
    elif not _LINE.fullmatch(text):
        fault = "holds a line break or another control character"
    elif len(text) > LONGEST_REASON:
        fault = f"is longer than {LONGEST_REASON} characters"
    else:
        return text
    raise InputRefused(f"the {what}", [(what, fault)])
