"""Why a CPE cannot be reached, since when, and what a person can do about it.

GenieACS says "Device is offline" of one that is switched off and of one behind NAT alike. What tells them apart is
whether it goes on reporting by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from acs.errors import DeviceError, NotYet, SerialAmbiguous

REACHED: Mapping[str, Any] = {"unreached_why": None, "unreached_since": None, "handed_over_at": None}
"""What is written down of a CPE that has held a session with us. One that was handed over to a person is only written
to because that person, or an order, wished it."""

AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause in words, and what to do."""

    words: str
    remedy: str


CAUSES: Mapping[str, Cause] = {
    "offline": Cause(
        "it does not answer and has not reported in time: it is off, or its line is down",
        "Look at the line (`firstlight line`), ask the customer for its lamps; it converges at its next Inform.",
    ),
    "nat": Cause(
        "it reports by itself and cannot be called: it is behind NAT or a firewall",
        "Nothing need be done: it converges at its next Inform. For less waiting shorten its inform interval.",
    ),
    "connection_request_credentials": Cause(
        "it refuses the connection request credentials that the ACS has for it",
        "Have the ACS set ConnectionRequestUsername and ConnectionRequestPassword anew at its next Inform.",
    ),
    "connection_request_failed": Cause(
        "the ACS's connection request to it failed",
        "Look at the CPE's ConnectionRequestURL and at the log of genieacs-cwmp.",
    ),
    "no_session": Cause(
        "it answered the call and began no session, or did not finish it",
        "It may be busy, or the ACS overloaded (its 503); it is called again by itself.",
    ),
    "busy": Cause("the ACS is in a session with it", "Wait; it is called again by itself."),
    "silent": Cause(
        "it has missed three informs",
        "Look at the line and the CPE's power; when many on one port are silent, look at the port.",
    ),
    AMBIGUOUS: Cause(
        "the ACS knows several CPEs with its serial number, so nothing is sent to any of them",
        "Delete the wrong one at the ACS: `firstlight devices show` names them.",
    ),
}


def unreached(error: DeviceError) -> dict[str, Any]:
    """The facts to write down of a CPE that did not come; none when that is not why it is not done."""
    if isinstance(error, SerialAmbiguous):
        return {"unreached_why": AMBIGUOUS}
    return {"unreached_why": error.reason} if isinstance(error, NotYet) and error.reason in CAUSES else {}


def cause_of(why: str, *, last_inform_at: datetime | None, inform_interval: timedelta, now: datetime) -> str:
    """The slug in ``CAUSES``: a CPE that the ACS calls offline and that reports all the same is behind NAT."""
    reports = last_inform_at is not None and now - last_inform_at <= inform_interval * 1.5
    return "nat" if why == "offline" and reports else why
