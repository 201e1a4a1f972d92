"""Text of people that is kept and shown again: one line."""

from __future__ import annotations

# Control characters forge lines; half a surrogate pair can't be stored at all.
PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
"""One character of such a line, as a regular expression."""
