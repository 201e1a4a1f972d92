"""One CPE, one serial number, however it was written down.

A GPON serial number is four letters of the vendor and four bytes (ITU-T G.984.3 s9.2.4.1). Labels and scanners give it
as ``HWTC12345678``, many CPEs report the same to the ACS as sixteen hex digits, ``4857544312345678``.
"""

from __future__ import annotations

import re

from acs.errors import SerialMalformed

# What GenieACS would expand in a query (* and /.../) is not among them.
_ALLOWED = re.compile(r"[A-Za-z0-9._~%-]{1,64}")
_VENDOR_FORM = re.compile(r"[A-Z]{4}[0-9A-F]{8}")
_HEX_FORM = re.compile(r"[0-9A-F]{16}")


def canonical_serial(serial: str) -> str:
    """The one spelling we keep: upper case, GPON serials with the vendor's letters.

    Raises: SerialMalformed.
    """
    stripped = serial.strip()
    if not _ALLOWED.fullmatch(stripped):
        raise SerialMalformed(serial)
    upper = stripped.upper()
    if _HEX_FORM.fullmatch(upper):
        vendor = bytes.fromhex(upper[:8])
        if all(0x41 <= letter <= 0x5A for letter in vendor):
            return vendor.decode("ascii") + upper[8:]
    return upper


def spellings(serial: str) -> tuple[str, ...]:
    """Every way a CPE with this serial may report it, the likeliest first; for an exact look-up at the ACS.

    Raises: SerialMalformed.
    """
    canonical = canonical_serial(serial)
    likely = [canonical, serial.strip(), canonical.lower()]
    if _VENDOR_FORM.fullmatch(canonical):
        hex_form = canonical[:4].encode("ascii").hex().upper() + canonical[4:]
        likely += [hex_form, hex_form.lower(), canonical[:4] + canonical[4:].lower()]
    return tuple(dict.fromkeys(likely))


def pon_serial(text: str) -> str | None:
    """A GPON serial number in its vendor form; None for any other serial, and for what is none."""
    if not is_serial(text):
        return None
    canonical = canonical_serial(text)
    return canonical if _VENDOR_FORM.fullmatch(canonical) else None


def is_serial(text: str) -> bool:
    """Whether a CPE may have that serial."""
    return _ALLOWED.fullmatch(text.strip()) is not None


def same_serial(one: str, other: str) -> bool:
    """Whether both are spellings of the same serial. False when either is none."""
    try:
        return canonical_serial(one) == canonical_serial(other)
    except SerialMalformed:
        return False
