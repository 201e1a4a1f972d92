"""What the Class of a session tells of whose it is by the radius database alone."""

from __future__ import annotations

import re

from radius.projection.projection import class_label
from radius.projection.radius_database import GIVEN_UP

LABEL = re.compile(r"(subscriber|service)-([1-9][0-9]{0,17})")
"""A Class of ours."""


def is_anothers(label: str | None, source_id: int, told: str | None) -> bool:
    """Whether a session with this Class is surely not the subscriber's whose name it goes on under: by its number in
    the ledger, and by the value of its row of Class in radreply (None: it has none)."""
    said = LABEL.fullmatch(label or "")
    own = _read(told)
    if said is None or source_id == GIVEN_UP or label in (own, class_label(source_id, None)):
        return False
    return said[1] == "subscriber" or LABEL.fullmatch(own) is not None


def _read(told: str | None) -> str:
    """Octets stand in a row as hexadecimal."""
    try:
        return bytes.fromhex((told or "").removeprefix("0x")).decode("ascii")
    except ValueError:
        return told or ""
