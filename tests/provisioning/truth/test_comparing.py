"""What differs and what nobody knows, by what each side was found to say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from acs import DeviceReading, DeviceRecord, Reading
from provisioning.truth.comparing import Sides, comparisons
from provisioning.truth.differing import differences, summed_up
from provisioning.truth.facts import Comparison, Difference
from radius import SessionView, ShownSubscriber, SubscriberView

NOW = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)
AGO = NOW - timedelta(hours=1)
NAME, SERIAL = "ada@isp.example", "HWTC00000001"


def a_subscriber(**said: Any) -> SubscriberView:
    who = {"subscriber_id": 1, "customer_id": 1001, "service_id": 1, "username": NAME, "plan": "fiber-300"}
    state = {"state": "active", "garden": None, "capped": None, "testing_until": None, "origin": "ordered"}
    has = {"ipv4": "100.64.0.1", "ipv4_pool": None, "ipv6_wan_prefix": None, "delegated_prefix": "2001:db8::/56"}
    rest: dict[str, Any] = {"routes": [], "ipv6_routes": [], "external_id": None, "line": {}, "login_by_line": False}
    kept = {"password": "secret:subscriber/1", "password_hash_kind": None, "version": 3, "projected": True}
    return SubscriberView(**{**who, **state, **has, **rest, **kept, **said})  # type: ignore[typeddict-item]


def rows(**said: Any) -> ShownSubscriber:
    usual = {"username": NAME, "login": "let in", "plans": ["fiber-300"], "ipv4": "100.64.0.1", "ipv4_pool": None}
    prefixes: dict[str, Any] = {"ipv6_wan_prefix": None, "delegated_prefix": "2001:db8::/56", "routes": [], "lines": []}
    drift = {"differs": None, "plan_differs": None, "awaiting_projection": False, "written_at": AGO, "read_at": NOW}
    return ShownSubscriber(**{**usual, **prefixes, **drift, **said})  # type: ignore[typeddict-item]


def a_session(**said: Any) -> SessionView:
    usual = {"number": 7, "session_id": "a1", "username": NAME, "state": "online", "nas": "bng-1", "ipv4": "100.64.0.1"}
    where = {"nas_address": "192.0.2.1", "nas_port": None, "calling_station": None, "ipv6": None}
    prefixes: dict[str, Any] = {"ipv6_wan_prefix": None, "delegated_prefix": "2001:db8::/56", "terminate_cause": None}
    times = {"started_at": AGO, "updated_at": NOW, "stopped_at": None, "duration_seconds": 3600}
    rest = {"input_octets": 0, "output_octets": 0, "interval_seconds": 300, "uncertain": False}
    return SessionView(**{**usual, **where, **prefixes, **times, **rest, **said})  # type: ignore[typeddict-item]


def a_device(**said: Any) -> DeviceRecord:
    usual = {"device_serial": SERIAL, "template": "tr181-pppoe", "revision": "abcdef0123", "state": "verified"}
    inputs = {"inputs": {"pppoe_username": NAME}, "reason": "", "bound_at": AGO, "verified_at": AGO}
    return DeviceRecord(**{**usual, **inputs, "last_inform_at": NOW, **said})  # type: ignore[typeddict-item]


def a_reading(value: str, *, at: datetime = NOW) -> DeviceReading:
    one = Reading(
        reading="wan_ipv4", value=value, path="Device.x", sure="standard", read_at=at, is_stale=False, note=""
    )
    return DeviceReading(
        device_serial=SERIAL,
        device_id="id",
        manufacturer=None,
        product_class=None,
        last_inform_at=NOW,
        readings=[one],
    )


def sides(**said: Any) -> Sides:
    usual: dict[str, Any] = {"subscriber": a_subscriber(), "wanted_since": AGO, "looked_at": NOW, "rows": rows()}
    usual |= {"sessions": [a_session()], "devices": [a_device()], "readings": {SERIAL: a_reading("100.64.0.1")}}
    return Sides(**{**usual, **said})


def found(**said: Any) -> list[Difference]:
    seen = sides(**said)
    return differences(seen, comparisons(seen))


def of(matter: str, **said: Any) -> Comparison:
    return next(each for each in comparisons(sides(**said)) if each.matter == matter)


def test_where_all_sides_say_the_same_nothing_differs() -> None:
    assert found() == []
    assert summed_up([], sides()) == "Everything agrees."
    address = of("ipv4")
    assert [each.value for each in (address.wanted, address.radius, address.session, address.cpe)] == ["100.64.0.1"] * 4
    assert (address.radius.at, address.session.at, address.session.source) == (AGO, NOW, "accounting of bng-1")


def test_a_side_that_cannot_be_read_is_not_known_and_no_difference() -> None:
    unread: dict[str, Any] = {"rows": "its database is away", "sessions": "its database is away"}
    assert found(**unread) == []
    login = of("login", **unread)
    assert (login.radius.is_known, login.radius.note, login.session.is_known) == (False, "its database is away", False)
    assert summed_up([], sides(**unread)) == (
        "Everything that could be asked agrees. RADIUS and accounting could not be asked."
    )


def test_a_session_of_before_an_address_was_changed_is_ended() -> None:
    [one] = found(sessions=[a_session(ipv4="100.64.0.9")], readings={})
    assert (one.matter, one.side, one.fix) == ("ipv4", "session", "disconnect")
    assert one.sentence == "The session has ipv4 100.64.0.9, and a login is given 100.64.0.1."
    [other] = found(sessions=[a_session(delegated_prefix="2001:db8:1::/56")])
    assert (other.matter, other.fix) == ("delegated_prefix", "disconnect")
    assert found(sessions=[a_session(ipv4=None, delegated_prefix=None)], readings={}) == []


def test_a_garden_that_withholds_addresses_is_no_difference() -> None:
    in_garden = a_subscriber(state="suspended", garden="pool-garden")
    shown = rows(plans=["pool-garden"], ipv4=None, delegated_prefix=None)
    assert found(subscriber=in_garden, rows=shown, sessions=[a_session(ipv4="10.9.0.1")], readings={}) == []


def test_rows_of_others_are_told_and_never_offered_to_be_written_over() -> None:
    [one] = found(rows=rows(differs="foreign", ipv4="203.0.113.7"))
    assert one.fix is None
    assert "that somebody else wrote: ipv4 is 203.0.113.7 instead of 100.64.0.1." in one.sentence
    [plan] = found(rows=rows(plan_differs="missing"))
    assert (plan.matter, plan.fix, plan.sentence) == (
        "other_rows",
        "set-right",
        "RADIUS has no row of it of plan fiber-300.",
    )


def test_rows_that_differ_say_when_they_were_read_and_not_when_we_wrote_others() -> None:
    assert of("ipv4", rows=rows(differs="different", ipv4="203.0.113.7")).radius.at == NOW


def test_who_is_refused_and_online_is_disconnected() -> None:
    [one] = found(subscriber=a_subscriber(state="suspended"), rows=rows(login="refused"))
    assert (one.matter, one.side, one.fix) == ("login", "session", "disconnect")
    assert "it is suspended" in one.sentence


def test_a_cpe_that_has_other_settings_is_converged_and_one_that_is_not_read_back_is_not_known() -> None:
    [one] = found(devices=[a_device(state="drifted", reason="Device.x is 1 instead of 2.")])
    assert (one.fix, one.target) == ("converge", SERIAL)
    assert one.sentence == f"CPE {SERIAL} is drifted: Device.x is 1 instead of 2."
    waiting = of("settings", devices=[a_device(state="queued")])
    assert (waiting.cpe.is_known, waiting.cpe.note, waiting.differs) == (False, "not read back yet: queued", [])
    [name] = found(devices=[a_device(inputs={"pppoe_username": "bob@isp.example"})])
    assert (name.matter, name.side, name.fix) == ("username", "cpe", None)


def test_a_reading_of_before_the_session_says_nothing_about_it() -> None:
    [one] = found(readings={SERIAL: a_reading("100.64.0.9")})
    assert (one.matter, one.side, one.fix) == ("ipv4", "cpe", None)
    assert found(readings={SERIAL: a_reading("100.64.0.9", at=AGO - timedelta(minutes=1))}) == []
    assert of("ipv4", readings={SERIAL: "the ACS was not reached"}).cpe.note == "the ACS was not reached"
    assert of("ipv4", devices=[]).cpe.note == "no CPE is bound to its service"
