"""The serial number a technician scans or types, in the one form in which it is compared."""

from __future__ import annotations

import re

_LABEL_PREFIX = re.compile(r"^S/?N(\s*[:=]\s*|\s+)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s:\-]")
_GPON = re.compile(r"[A-Z]{4}[0-9A-F]{8}")
_GPON_IN_HEX = re.compile(r"[0-9A-F]{16}")
_OTHER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{3,63}")


def normalise_serial(scanned: str) -> str | None:
    """The serial in its plain form, or None when it can't be one.

    A GPON serial is four letters of the vendor and four bytes (ITU-T G.984.3 s9.2.4.1); labels print it as
    ``HWTC12345678``, some as the sixteen hex digits ``4857544312345678``, often with "SN:" before it. Any other serial
    keeps its spelling, since the device will report exactly that one.
    """
    text = _LABEL_PREFIX.sub("", scanned.strip())
    compact = _SEPARATORS.sub("", text).upper()
    if _GPON.fullmatch(compact):
        return compact
    if _GPON_IN_HEX.fullmatch(compact):
        vendor = bytes.fromhex(compact[:8])
        if vendor.isalpha() and vendor.isupper():
            return vendor.decode("ascii") + compact[8:]
    return text if _OTHER.fullmatch(text) else None
