"""What a refusal of a name that nobody knows says beside it: the names there are."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST_NAMED = 8


def known_are(asked: str, known: Sequence[str], *, compared: bool = True) -> str:
    """The known names in a phrase; of many, those nearest to what was asked for, and how many more there are. Those are
    the first ones where nothing is near, or where it is not ``compared`` since that takes too long."""
    named = tuple(known)
    if len(named) > MOST_NAMED:
        near = difflib.get_close_matches(asked[:80], named, n=MOST_NAMED, cutoff=0.5) if compared else []
        near = near or list(named[:MOST_NAMED])
        named = (*near, f"{len(named) - len(near)} more")
    return f"known are: {', '.join(named) or 'none'}"
