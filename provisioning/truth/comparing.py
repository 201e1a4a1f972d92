"""The comparison itself: pure functions of what each side was found to say.

RADIUS differs only where its rows, compared whole, are not those that we would write: a garden may withhold addresses
and is right to. A session is compared with what RADIUS gives, since that is what a login is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_network

from acs import DeviceReading, DeviceRecord, Reading
from provisioning.subscriber_cpes import LOGIN_INPUT
from provisioning.truth.facts import Comparison, Fact, Matter, Side, known, unknown
from radius import SessionView, ShownSubscriber, SubscriberView

OURS, RADIUS, ACCOUNTING = "our own tables", "FreeRADIUS' tables", "accounting"
AS_WRITTEN = "as we write them"
AMISS = ("drifted", "faulted", "unreachable")
PROVEN = ("verified", "accepted_unverifiable")
NO_ADDRESS = ("", "0.0.0.0")  # noqa: S104 - what a CPE says that has none
WORDS: Mapping[str, str] = {
    "missing": "has no row of it",
    "different": "has other rows than we write",
    "extra": "has rows of it though it is to have none",
    "foreign": "has rows of it that somebody else wrote",
}


@dataclass(frozen=True)
class Sides:
    """What was found. In the place of what could not be read stands why: ``rows``, ``sessions`` (those that are open,
    the newest first), ``devices``, and of a CPE its ``readings`` by serial."""

    subscriber: SubscriberView
    wanted_since: datetime | None
    looked_at: datetime
    rows: ShownSubscriber | str
    sessions: Sequence[SessionView] | str
    last_ended: SessionView | None = None
    devices: Sequence[DeviceRecord] | str = ()
    readings: Mapping[str, DeviceReading | str] = field(default_factory=dict)

    @property
    def session(self) -> SessionView | None:
        return self.sessions[0] if self.sessions and not isinstance(self.sessions, str) else None

    @property
    def device(self) -> DeviceRecord | None:
        return self.devices[0] if self.devices and not isinstance(self.devices, str) else None


def served_by(subscriber: SubscriberView) -> str:
    """The plan that a login has now."""
    capped = None if subscriber["state"] == "suspended" else subscriber["capped"]
    return subscriber["garden"] or capped or subscriber["plan"]


def comparisons(sides: Sides) -> list[Comparison]:
    """Every matter, side by side."""
    subscriber = sides.subscriber
    rows = None if isinstance(sides.rows, str) else sides.rows
    found = [
        _login(sides),
        _username(sides),
        _matter(sides, "plan", _plan_in_words(subscriber), ", ".join(rows["plans"]) if rows else None),
        _address(sides),
        _prefix(sides, "ipv6_wan_prefix"),
        _prefix(sides, "delegated_prefix"),
        _matter(sides, "routes", _routes(subscriber), ", ".join(rows["routes"]) if rows else None),
        _other_rows(sides),
    ]
    found += [_settings(sides, each) for each in sides.devices] if not isinstance(sides.devices, str) else []
    return _with_other_rows(found, rows)


# What is wanted, in words


def is_let_in(subscriber: SubscriberView) -> bool:
    """Whether a login of it is to be accepted."""
    in_garden = subscriber["state"] == "suspended" and subscriber["garden"] is not None
    return subscriber["state"] in ("active", "testing") or in_garden


def _plan_in_words(subscriber: SubscriberView) -> str:
    return served_by(subscriber)


def _routes(subscriber: SubscriberView) -> str | None:
    return ", ".join([*subscriber["routes"], *subscriber["ipv6_routes"]]) or None


def _wanted(sides: Sides, value: str | None, note: str = "") -> Fact:
    return known(value, OURS, sides.wanted_since, note)


# What each side says


def _radius(sides: Sides, value: str | None, note: str = "") -> Fact:
    if isinstance(sides.rows, str):
        return unknown(sides.rows, RADIUS)
    # since when they are what we wrote last is known as long as nobody else has written there
    written_at = None if sides.rows["differs"] else sides.rows["written_at"]
    return known(value, RADIUS, written_at or sides.rows["read_at"], note)


def _session(sides: Sides, value: str | None, silent: str) -> Fact:
    """``silent``: what is said where accounting says nothing of it."""
    if isinstance(sides.sessions, str):
        return unknown(sides.sessions, ACCOUNTING)
    session = sides.session
    if session is None:
        return unknown("no session is open", ACCOUNTING)
    source = f"{ACCOUNTING} of {session['nas'] or session['nas_address']}"
    if value is None:
        return unknown(silent, source)
    doubt = "it has missed three interims: its Stop may be lost" if session["state"] == "doubtful" else ""
    return known(value, source, session["updated_at"] or session["started_at"], doubt)


def _cpe(sides: Sides, reading: str | None, silent: str = "") -> Fact:
    """By a reading of its first CPE; ``silent``: why no CPE is asked that."""
    if isinstance(sides.devices, str):
        return unknown(sides.devices, "the ACS")
    device = sides.device
    if device is None:
        no_service = sides.subscriber["service_id"] is None
        return unknown("it has no service" if no_service else "no CPE is bound to its service", "the ACS")
    source = f"CPE {device['device_serial']}"
    if reading is None:
        return unknown(silent, source)
    read = sides.readings.get(device["device_serial"], "the ACS was not asked")
    if isinstance(read, str):
        return unknown(read, source)
    return _of_reading(next((each for each in read["readings"] if each["reading"] == reading), None), source)


def _of_reading(reading: Reading | None, source: str) -> Fact:
    if reading is None or reading["value"] is None:
        return unknown(reading["note"] if reading else "it is not read", source)
    value = str(reading["value"])
    old = "read long ago" if reading["is_stale"] else ""
    return known(None if value in NO_ADDRESS else value, source, reading["read_at"], old)


# The matters


def _matter(sides: Sides, matter: Matter, wanted: str | None, radius: str | None) -> Comparison:
    """One that sessions and CPEs say nothing of."""
    said_of_session = "accounting does not tell it"
    return Comparison(
        matter,
        None,
        _wanted(sides, wanted),
        shown := _radius(sides, radius),
        _session(sides, None, said_of_session),
        _cpe(sides, None, "a CPE is not told it"),
        _radius_differs(sides, wanted, shown),
    )


def _radius_differs(sides: Sides, wanted: str | None, shown: Fact) -> list[Side]:
    differs = not isinstance(sides.rows, str) and sides.rows["differs"] is not None
    return ["radius"] if differs and shown.is_known and (wanted or None) != shown.value else []


def _login(sides: Sides) -> Comparison:
    subscriber = sides.subscriber
    lets_in = is_let_in(subscriber)
    wanted = "let in" if lets_in else "refused"
    rows = None if isinstance(sides.rows, str) else sides.rows
    shown = _radius(sides, None if rows is None else "no rows" if rows["login"] == "unknown" else rows["login"])
    expected = "no rows" if subscriber["state"] == "terminated" else wanted
    differs = _radius_differs(sides, expected, shown)
    if isinstance(sides.sessions, str):
        session = unknown(sides.sessions, ACCOUNTING)
    elif sides.session is None:
        last = sides.last_ended
        session = known("offline", ACCOUNTING, last["stopped_at"] if last else None, "" if last else "never online")
    else:
        count = len(sides.sessions)
        session = _session(sides, "online" if count == 1 else f"online, {count} sessions", "")
        differs += [] if lets_in else ["session"]
    return Comparison(
        "login", None, _wanted(sides, wanted, subscriber["state"]), shown, session, _cpe(sides, "ppp_status"), differs
    )


def _username(sides: Sides) -> Comparison:
    name = sides.subscriber["username"]
    rows = None if isinstance(sides.rows, str) else sides.rows
    has_rows = rows is not None and rows["login"] != "unknown"
    device, differs = sides.device, list[Side]()
    if sides.session is not None and sides.session["username"] != name:
        differs.append("session")
    cpe = _cpe(sides, None, "its template takes no username")
    if device is not None and LOGIN_INPUT in device["inputs"]:
        source, told = f"CPE {device['device_serial']}", str(device["inputs"][LOGIN_INPUT])
        if device["state"] in PROVEN:
            cpe = known(told, source, device["verified_at"], "read back from it")
        else:
            cpe = unknown(f"it is to have {told}, which is not read back: {_state(device)}", source)
        differs += ["cpe"] if told != name else []
    return Comparison(
        "username",
        None,
        _wanted(sides, name),
        _radius(sides, name if has_rows else None),
        _session(sides, sides.session["username"] if sides.session else None, ""),
        cpe,
        differs,
    )


def _address(sides: Sides) -> Comparison:
    subscriber, session = sides.subscriber, sides.session
    pool = subscriber["ipv4_pool"]
    rows = None if isinstance(sides.rows, str) else sides.rows
    wanted = subscriber["ipv4"] or (f"from pool {pool}" if pool else None)
    shown_pool = rows["ipv4_pool"] if rows else None
    shown = _radius(sides, (rows["ipv4"] or (f"from pool {shown_pool}" if shown_pool else None)) if rows else None)
    differs = _radius_differs(sides, wanted, shown)
    given = _given(sides, subscriber["ipv4"], rows["ipv4"] if rows else None)
    if session is not None and session["ipv4"] and given and session["ipv4"] != given:
        differs.append("session")
    cpe = _cpe(sides, "wan_ipv4")
    if _is_of_this_session(cpe, session) and session is not None and cpe.value != session["ipv4"]:
        differs.append("cpe")
    told = _session(sides, session["ipv4"] if session else None, "its NAS has told no address in accounting")
    return Comparison("ipv4", None, _wanted(sides, wanted), shown, told, cpe, differs)


def _given(sides: Sides, wanted: str | None, shown: str | None) -> str | None:
    """What a login is given; None: nothing of ours, or nobody knows."""
    return wanted if isinstance(sides.rows, str) or shown == wanted else None


def _is_of_this_session(read: Fact, session: SessionView | None) -> bool:
    """A reading of before the session began says nothing about it."""
    if session is None or session["ipv4"] is None or session["started_at"] is None or read.at is None:
        return False
    return read.is_known and read.value is not None and not read.note and read.at > session["started_at"]


def _prefix(sides: Sides, matter: Matter) -> Comparison:
    name = "ipv6_wan_prefix" if matter == "ipv6_wan_prefix" else "delegated_prefix"
    rows, session = None if isinstance(sides.rows, str) else sides.rows, sides.session
    wanted: str | None = sides.subscriber[name]  # type: ignore[literal-required]
    in_rows: str | None = rows[name] if rows else None  # type: ignore[literal-required]
    has: str | None = session[name] if session else None  # type: ignore[literal-required]
    shown = _radius(sides, in_rows)
    differs = _radius_differs(sides, wanted, shown)
    given = _given(sides, wanted, in_rows)
    if has and given and ip_network(has, strict=False) != ip_network(given, strict=False):
        differs.append("session")
    told = _session(sides, has, "its NAS has told none in accounting")
    cpe = _cpe(sides, None, "it is not read from CPEs")
    return Comparison(matter, None, _wanted(sides, wanted), shown, told, cpe, differs)


def _other_rows(sides: Sides) -> Comparison:
    """Password, line and the plan's own rows: compared whole, and never shown."""
    of_plan = None if isinstance(sides.rows, str) else sides.rows["plan_differs"]
    shown = _radius(sides, f"RADIUS {WORDS[of_plan]}, of plan {served_by(sides.subscriber)}" if of_plan else AS_WRITTEN)
    return Comparison(
        "other_rows",
        None,
        _wanted(sides, AS_WRITTEN),
        shown,
        _session(sides, None, "a session does not tell them"),
        _cpe(sides, None, "a CPE is not told them"),
        ["radius"] if of_plan else [],
    )


def _with_other_rows(found: list[Comparison], rows: ShownSubscriber | None) -> list[Comparison]:
    """What differs and shows nowhere else differs in what is not shown."""
    if rows is None or rows["differs"] is None or any("radius" in each.differs for each in found):
        return found
    said = known(f"others: RADIUS {WORDS[rows['differs']]}", RADIUS, rows["read_at"])
    return [
        Comparison(each.matter, None, each.wanted, said, each.session, each.cpe, ["radius"])
        if each.matter == "other_rows"
        else each
        for each in found
    ]


def _state(device: DeviceRecord) -> str:
    return device["state"].replace("_", " ")


def _settings(sides: Sides, device: DeviceRecord) -> Comparison:
    source, state = f"CPE {device['device_serial']}", device["state"]
    wanted = known(f"{device['template']}, revision {device['revision'][:8]}", OURS, device["bound_at"])
    if state in PROVEN:
        blank = "" if state == "verified" else "what reads back blank was accepted, and can't be read"
        cpe = known("as they shall be", source, device["verified_at"], blank)
    elif state in AMISS:
        cpe = known(_state(device), source, device["last_inform_at"], device["reason"])
    else:
        cpe = unknown(f"not read back yet: {_state(device)}", source)
    nothing = "it has nothing to do with RADIUS"
    return Comparison(
        "settings",
        device["device_serial"],
        wanted,
        unknown(nothing, RADIUS),
        unknown(nothing, ACCOUNTING),
        cpe,
        ["cpe"] if state in AMISS else [],
    )
