"""What a refusal of a name that nobody knows says beside it: the one that was meant, or the names there are.

``workflows`` and ``provisioning`` say it by these words as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

MOST_NAMED = 8
_MEANT = 0.8
"""So much alike are a name and the one that it was to be. It is named alone, so a wrong one would lead astray."""
_NEAR = 0.5
"""So much alike are a name and those that are told of many: as good as the first of them by the alphabet at least."""


def meant(asked: str, known: Iterable[str]) -> str | None:
    """The known name that another one was to be; None where none is so much alike."""
    return next(iter(difflib.get_close_matches(asked[:80], list(known), n=1, cutoff=_MEANT)), None)


def known_are(asked: str, known: Sequence[str], *, compared: bool = True) -> str:
    """The known names in a phrase; of many, those nearest to what was asked for, and how many more there are. Those are
    the first ones where nothing is near, or where it is not ``compared`` since that takes too long."""
    named = tuple(known)
    if len(named) > MOST_NAMED:
        near = difflib.get_close_matches(asked[:80], named, n=MOST_NAMED, cutoff=_NEAR) if compared else []
        near = near or list(named[:MOST_NAMED])
        named = (*near, f"{len(named) - len(near)} more")
    return f"known are: {', '.join(named) or 'none'}"
