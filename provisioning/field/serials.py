"""The serial number a technician scans or types: what the label adds to it is taken off."""

from __future__ import annotations

import re

from acs import is_serial, pon_serial

_LABEL_PREFIX = re.compile(r"^S/?N(\s*[:=]\s*|\s+)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s:\-]")
SHORTEST_SCAN = 4  # what is shorter is a part of a label


def normalise_serial(scanned: str) -> str | None:
    """The serial without its label, or None when it can't be one.

    Labels print a GPON serial as ``HWTC12345678``, some as sixteen hex digits in groups, often with "SN:" before it: it
    becomes the vendor form. Any other serial keeps its spelling, since the CPE may report exactly that one; compare
    serials with ``acs.same_serial``.
    """
    text = _LABEL_PREFIX.sub("", scanned.strip())
    if (pon := pon_serial(_SEPARATORS.sub("", text))) is not None:
        return pon
    whole = is_serial(text) and len(text) >= SHORTEST_SCAN and text[0].isalnum()
    return text if whole else None
