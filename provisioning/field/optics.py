"""Whether an optical reading is good enough: the limits between which an ONT of a GPON works. Pure."""

from __future__ import annotations

from typing import Literal

# ITU-T G.984.2 (2003) Amd. 1 Appendix III, class B+: an ONU's sensitivity and overload at 1490 nm.
LEAST_DBM = -27.0
MOST_DBM = -8.0
LOWEST_READING, HIGHEST_READING = -60.0, 20.0
"""What a power meter can show at all."""

Verdict = Literal["pass", "too weak", "too strong"]


def verdict_on(dbm: float) -> Verdict:
    """Of received power in dBm; the limits themselves pass."""
    if dbm < LEAST_DBM:
        return "too weak"
    return "too strong" if dbm > MOST_DBM else "pass"
