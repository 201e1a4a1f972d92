"""What is told of a subscriber, side by side: each fact with its source and its age, and what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from acs import DeviceReading, DeviceRecord
from provisioning.truth.outcomes import Outcome
from radius import SessionView, SubscriberView

Side = Literal["wanted", "radius", "session", "cpe"]
Matter = Literal[
    "login", "username", "plan", "ipv4", "ipv6_wan_prefix", "delegated_prefix", "routes", "other_rows", "settings"
]
FixName = Literal["set-right", "disconnect", "converge"]
"""* set-right: FreeRADIUS' rows are written anew, and open sessions are told all of their plan.
* disconnect: the session is ended; the next login is given what is wanted.
* converge: the CPE is given its settings anew, and they are read back.
"""


@dataclass(frozen=True)
class Fact:
    """What one side says of one matter. ``value`` None: it says that there is none or, where it is not ``is_known``,
    ``note`` tells why nobody knows. ``at``: when it said so, or was read."""

    value: str | None
    is_known: bool
    source: str
    at: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """One matter on all four sides. ``about`` is the serial of the CPE where it is one CPE's; ``differs`` the sides
    that say something else than is wanted."""

    matter: Matter
    about: str | None
    wanted: Fact
    radius: Fact
    session: Fact
    cpe: Fact
    differs: list[Side] = field(default_factory=list)


@dataclass(frozen=True)
class Difference:
    """One side that is not as it shall be. ``fix`` is what puts it right; None: ``sentence`` says what to do.
    ``target`` is the serial of the CPE that is to be converged."""

    matter: Matter
    side: Side
    sentence: str
    fix: FixName | None
    target: str | None = None


@dataclass(frozen=True)
class Truth:
    """One subscriber, as far as anybody knows.

    ``sessions`` are those that are open, ``devices`` the CPEs of its service, ``readings`` what the ACS has read from
    them last, ``asked`` what was asked of sessions and CPEs lately, the newest first, with what came of it.
    """

    subscriber: SubscriberView
    looked_at: datetime
    sentence: str
    agrees: bool
    comparisons: list[Comparison]
    differences: list[Difference]
    sessions: list[SessionView]
    devices: list[DeviceRecord]
    readings: list[DeviceReading]
    asked: list[Outcome]


def known(value: str | None, source: str, at: datetime | None = None, note: str = "") -> Fact:
    """A fact; ``value`` None: there is none."""
    return Fact(value or None, True, source, at, note)


def unknown(why: str, source: str) -> Fact:
    """What nobody knows, and why."""
    return Fact(None, False, source, None, why)
