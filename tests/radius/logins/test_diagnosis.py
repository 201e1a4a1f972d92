"""Facts become findings: each cause with its evidence and next act, the gravest first. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from radius.logins.diagnosis import diagnose
from radius.logins.findings import Facts, Finding, SecretMisfit
from radius.logins.late import LateLogins
from radius.logins.spelling import close_to
from radius.logins.views import REASONS, LoginView, UnknownUser
from radius.projection.drift import Drift
from radius.results import SubscriberView
from radius.sessions.sessions import Session
from tests.support.command_line import parsed

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BNG = "10.0.0.2"


def login(minutes_ago: float, reason: str | None = None, **other: Any) -> LoginView:
    view: dict[str, Any] = {
        "login_id": 1,
        "username": "ann@isp.example",
        "accepted": reason is None,
        "reason": reason,
        "words": REASONS.get(reason or ""),
        "about": None,
        "method": "chap",
        "nas_address": BNG,
        "nas_said_address": BNG,
        "nas_identifier": "bng-2",
        "calling_station": "02-00-00-00-00-01",
        "nas_port": "eth 1/1",
        "circuit": None,
        "happened_at": NOW - minutes_ago * MINUTE,
        **other,
    }
    return cast(LoginView, view)


def unknown_user(name: str, **other: Any) -> UnknownUser:
    view: dict[str, Any] = {
        "username": name,
        "nas_address": BNG,
        "words": "no such user",
        "method": "pap",
        "calling_station": None,
        "nas_port": None,
        "circuit": None,
        "first_at": NOW,
        "last_at": NOW,
        "times": 1,
        **other,
    }
    return cast(UnknownUser, view)


def session(started_ago: float, heard_ago: float, **other: Any) -> Session:
    made = Session(
        radacct_id=1,
        session_id="00a1",
        username="ann@isp.example",
        nas_address=BNG,
        nas_port=None,
        calling_station=None,
        framed_ip_address="100.64.0.7",
        ipv6_wan_prefix=None,
        delegated_prefix=None,
        started_at=NOW - started_ago * MINUTE,
        updated_at=NOW - heard_ago * MINUTE,
        stopped_at=None,
        duration_seconds=0,
        input_octets=0,
        output_octets=0,
        terminate_cause=None,
    )
    return replace(made, **other)


def subscriber(state: str = "active", **other: Any) -> SubscriberView:
    view: dict[str, Any] = {
        "subscriber_id": 7,
        "customer_id": 1,
        "service_id": 1,
        "username": "ann@isp.example",
        "plan": "fiber-100",
        "state": state,
        "origin": "ordered",
        "garden": None,
        "capped": None,
        "testing_until": None,
        "ipv4": None,
        "ipv4_pool": "cgnat-1",
        "ipv6_wan_prefix": None,
        "delegated_prefix": None,
        "routes": [],
        "ipv6_routes": [],
        "external_id": None,
        "line": {"station": "001a2b3c4d5e", "port": "eth 0/1"},
        "login_by_line": False,
        "password": "secret:subscriber/7",
        "password_hash_kind": None,
        "version": 1,
        "projected": True,
        **other,
    }
    return cast(SubscriberView, view)


def facts(**given: Any) -> Facts:
    base: dict[str, Any] = {
        "username": "ann@isp.example",
        "now": NOW,
        "kept_days": 30,
        "accounting_wait": 5 * MINUTE,
        "subscriber": subscriber(),
        "nas_names": {BNG: "bng-2"},
        "misfits": {},
    }
    return Facts(**(base | given))


def causes(found: Facts) -> list[str]:
    return [each["code"] for each in diagnose(found)["findings"] if each["weight"] == "cause"]


def one(found: Facts, code: str) -> Finding:
    [finding] = [each for each in diagnose(found)["findings"] if each["code"] == code]
    return finding


def test_who_is_online_has_nothing_wrong() -> None:
    online = facts(logins=[login(60)], open_sessions=[session(60, 3)])
    found = diagnose(online)
    assert [(each["code"], each["weight"]) for each in found["findings"]] == [
        ("active", "fine"),
        ("rows_as_wished", "fine"),
        ("accepted", "fine"),
        ("online", "fine"),
    ]
    assert one(online, "online")["evidence"] == [
        "session 00a1 at bng-2 since 2026-11-26 11:00:00 UTC, last heard 2026-11-26 11:57:00 UTC, 100.64.0.7"
    ]


def test_a_wrong_password_says_how_often_since_when_and_what_to_do() -> None:
    wrong = facts(logins=[login(1, "wrong_password"), login(2, "wrong_password")], last_accept=login(90))
    found = one(wrong, "wrong_password")
    assert diagnose(wrong)["verdict"] == "Its last login was refused at bng-2: wrong password."
    assert found["evidence"] == [
        "2026-11-26 11:59:00 UTC bng-2 chap 02-00-00-00-00-01 eth 1/1: refused, wrong password",
        "2 times in a row, since 2026-11-26 11:58:00 UTC or before",
        "accepted last 2026-11-26 10:30:00 UTC",
    ]
    assert "firstlight keys reveal secret:subscriber/7" in (found["next_act"] or "")
    everybody = one(replace(wrong, wrong_at_nas=5), "wrong_password")
    assert everybody["evidence"][-1] == "5 users in a row had a wrong password by PAP at bng-2: its secret is wrong?"
    assert (everybody["next_act"] or "").startswith("`firstlight nas test bng-2`")


@pytest.mark.parametrize(
    ("state", "more", "code"),
    [
        ("pending", {}, "not_in_service"),
        ("suspended", {}, "suspended"),
        ("terminated", {}, "terminated"),
        ("testing", {"testing_until": NOW - MINUTE}, "test_over"),
    ],
)
def test_a_state_that_refuses_is_a_cause(state: str, more: dict[str, Any], code: str) -> None:
    assert causes(facts(subscriber=subscriber(state, **more), logins=[login(9)], last_session=session(9, 9)))[0] == code


def test_who_is_pending_and_in_no_runs_hands_is_let_in_by_hand() -> None:
    for more in ({"service_id": None}, {"origin": "imported"}):
        found = one(facts(subscriber=subscriber("pending", **more)), "not_in_service")
        assert found["sentence"].endswith("is pending: its logins are refused until it is let in.")
        assert (found["next_act"] or "").startswith("`firstlight subscribers activate ")


def test_a_suspension_that_ended_after_the_last_try_is_no_cause_any_more() -> None:
    over = facts(logins=[login(30, "suspended"), login(600)])
    assert causes(over) == []
    assert one(over, "not_tried_again")["next_act"] == "Let the CPE dial again."
    still = facts(subscriber=subscriber(projected=False), logins=[login(30, "suspended")])
    assert causes(still) == ["suspended"]


def test_no_request_names_every_nas_the_secret_that_does_not_fit_and_who_is_no_nas() -> None:
    stranger = {"address": "10.9.9.9", "first_at": NOW, "last_at": NOW, "times": 2}
    silent = facts(
        misfits={BNG: SecretMisfit(last_at=NOW - MINUTE)},
        last_heard={BNG: NOW - 60 * MINUTE},
        unknown_nases=[stranger],
    )
    assert causes(silent) == ["no_request"]
    assert one(silent, "no_request")["evidence"] == [
        "bng-2: packets with another secret were dropped, last 2026-11-26 11:59:00 UTC;"
        " its last login 2026-11-26 11:00:00 UTC",
        "10.9.9.9 asks and is no NAS, last 2026-11-26 12:00:00 UTC",
        "requests without a Message-Authenticator are dropped too, and FreeRADIUS' log need not say so",
    ]
    unsigned = replace(silent, misfits={BNG: SecretMisfit(NOW, unsigned=True)}, open_sessions=[], looked_back=100_000)
    told = one(replace(unsigned, nas_names={BNG: "bng-2", "10.0.0.3": "bng-3"}), "no_request")["evidence"]
    assert told[0].startswith("bng-2: packets without a Message-Authenticator were dropped, last ")
    assert told[1] == "bng-3: none of the last 100000 logins is from it"
    nothing = "The log of logins has none of ann@isp.example in the last 30 days"
    dropped = f"{nothing}, and bng-2 sends packets with another secret, which are dropped."
    assert diagnose(silent)["verdict"] == dropped
    assert (one(silent, "no_request")["next_act"] or "").startswith("`firstlight nas test bng-2`: it and FreeRADIUS")
    assert diagnose(replace(silent, last_heard={BNG: NOW}))["verdict"] == f"{nothing}."
    unwritten = one(facts(open_sessions=[session(60, 1)]), "no_request")
    assert (unwritten["weight"], "was not written down" in unwritten["evidence"][0]) == ("note", True)


def test_of_several_nases_with_another_secret_each_is_to_be_tested_and_none_is_the_verdict() -> None:
    several = facts(
        nas_names={"10.0.0.1": "bng-1", BNG: "bng-2", "10.0.0.3": "bng-3", "10.0.0.4": "bng-4"},
        misfits={
            "10.0.0.1": SecretMisfit(NOW - MINUTE),
            BNG: SecretMisfit(NOW),
            "10.0.0.3": SecretMisfit(NOW, unsigned=True),
            "10.0.0.4": SecretMisfit(NOW - 2 * MINUTE),
            "10.9.9.9": SecretMisfit(NOW),
        },
        last_heard={"10.0.0.4": NOW},
    )
    found = one(several, "no_request")
    assert found["sentence"] == "The log of logins has none of ann@isp.example in the last 30 days."
    assert found["next_act"] == (
        "`firstlight nas test bng-2`, `firstlight nas test bng-1`: each and FreeRADIUS must have the same secret."
        " Let bng-3 send a Message-Authenticator; only if it cannot,"
        " FIRSTLIGHT_FREERADIUS_REQUIRE_MESSAGE_AUTHENTICATOR=no."
    )


def test_where_logins_wait_in_files_nobody_claims_that_none_came() -> None:
    late = LateLogins(place="radius-2:/var/lib/firstlight/logins", since=NOW - 7 * MINUTE, is_carried=False)
    over = session(600, 90, stopped_at=NOW - 90 * MINUTE)
    was: dict[str, Any] = {"logins": [login(600)], "last_session": over}
    for known, silent in (({}, "no_request"), (was, "nothing_since")):
        found = facts(late_logins=[late], **known)
        assert "logins_late" in causes(found)
        assert one(found, silent)["weight"] == "note"
        assert one(found, "logins_late")["evidence"] == [f"{late['place']}: all until 2026-11-26 11:53:00 UTC"]
        assert "firstlight carry-logins" in (one(found, "logins_late")["next_act"] or "")
    online = facts(late_logins=[late], logins=[login(60)], open_sessions=[session(60, 1)])
    assert (one(online, "logins_late")["weight"], causes(online)) == ("note", [])
    behind = facts(late_logins=[{**late, "is_carried": True}])
    assert one(behind, "logins_late")["next_act"] == "Ask again in some minutes."
    assert "logins_late" not in [each["code"] for each in diagnose(facts())["findings"]]


def test_a_wrong_secret_is_not_claimed_where_nobody_reads_the_log_that_tells_of_it() -> None:
    unknown = "whether a NAS has another secret is not known: FIRSTLIGHT_RADIUS_LOG_FILE is not set"
    over = session(600, 90, stopped_at=NOW - 90 * MINUTE)
    for code, known in (
        ("no_request", {}),
        ("nothing_since", {"logins": [login(600)], "last_session": over}),
        ("no_accounting_start", {"logins": [login(6)]}),
        ("wrong_password", {"logins": [login(1, "wrong_password")]}),
    ):
        empty: dict[str, SecretMisfit] = {}
        for misfits in (None, empty):
            found = one(facts(misfits=misfits, **known), code)
            assert (unknown in found["evidence"]) is (misfits is None), code
            said = "FIRSTLIGHT_RADIUS_LOG_FILE has to name it" in (found["next_act"] or "")
            assert said is (misfits is None and code != "wrong_password"), code


def test_nothing_since_the_last_session_is_a_cause_that_names_its_own_nas_first() -> None:
    over = session(600, 90, stopped_at=NOW - 90 * MINUTE, terminate_cause="Lost-Carrier")
    gone: dict[str, Any] = {
        "logins": [login(600)],
        "last_session": over,
        "nas_names": {"10.0.0.1": "bng-1", BNG: "bng-2", **{f"10.1.0.{each}": f"b{each}" for each in range(12)}},
        "last_heard": {BNG: NOW - 91 * MINUTE},
    }
    assert causes(facts(**gone)) == ["nothing_since"]
    found = one(facts(**gone), "nothing_since")
    assert "since its last session ended 2026-11-26 10:30:00 UTC at bng-2" in found["sentence"]
    assert found["evidence"][0] == "bng-2: its last login 2026-11-26 10:29:00 UTC"
    assert found["evidence"][-2] == "4 more NASes: `firstlight nas list`"
    dropped = facts(**gone | {"misfits": {BNG: SecretMisfit(last_at=NOW), "10.1.0.9": SecretMisfit(last_at=NOW)}})
    told = one(dropped, "nothing_since")
    assert [line.partition(": packets with another secret")[0] for line in told["evidence"][:2]] == ["bng-2", "b9"]
    assert (told["next_act"] or "").startswith("`firstlight nas test bng-2`")
    mended = facts(**gone | {"misfits": {BNG: SecretMisfit(last_at=NOW - 99 * MINUTE)}})
    assert (one(mended, "nothing_since")["next_act"] or "").startswith("Look at the line")
    tried = gone | {"logins": [login(60, "wrong_password"), login(600)]}
    assert causes(facts(**tried)) == ["wrong_password"]
    just = replace(over, stopped_at=NOW - 2 * MINUTE)
    assert one(facts(**gone | {"last_session": just}), "nothing_since")["weight"] == "note"
    assert causes(facts(**gone | {"open_sessions": [session(9, 1)]})) == []


def test_an_unknown_name_and_a_misspelt_one_are_told_with_what_is_close() -> None:
    tried = unknown_user("Ann", times=3)
    unknown = facts(username="Ann", subscriber=None, near_names=["ann@isp.example"], tried_names=[tried])
    assert causes(unknown) == ["user_unknown"]
    assert diagnose(unknown)["verdict"] == "There is no subscriber Ann. Close to it: ann@isp.example."
    nobodys = one(replace(unknown, username="o'brien", near_names=[]), "user_unknown")["next_act"]
    assert (nobodys or "").startswith('Correct the name at the CPE: "o\'brien" cannot be a RADIUS username')
    assert one(unknown, "user_unknown")["evidence"] == [
        "'Ann' was tried 3 times at bng-2, last 2026-11-26 12:00:00 UTC"
    ]
    renamed = facts(username="ann", subscriber=None, renamed_to="anna@isp.example")
    assert causes(renamed) == ["user_renamed"]
    assert diagnose(renamed)["verdict"].endswith("it was renamed, and is anna@isp.example now.")
    misspelt = facts(tried_names=[tried])
    assert causes(misspelt) == ["name_misspelt", "no_request"]
    assert "exactly ann@isp.example" in (one(misspelt, "name_misspelt")["next_act"] or "")
    assert causes(facts(tried_names=[tried], logins=[login(9)], open_sessions=[session(9, 1)])) == []
    alike = facts(tried_names=[cast(UnknownUser, {**tried, "username": "anne@isp.example"})])
    assert causes(alike) == ["no_request"]
    assert one(alike, "name_alike")["weight"] == "note"
    exact = facts(tried_names=[cast(UnknownUser, {**tried, "username": "ann@isp.example"})])
    assert (causes(exact), one(exact, "unknown_when_tried")["weight"]) == ([], "note")


def test_a_try_of_before_the_last_accept_or_projection_is_no_cause() -> None:
    stale = unknown_user("ann@isp.example", last_at=NOW - 60 * MINUTE)
    spelt, gone = unknown_user("Ann", last_at=NOW - 60 * MINUTE), Drift("subscriber", "ann", "missing", "a", "b", False)
    refused = login(9, "wrong_password")
    for tried in (stale, spelt):
        assert causes(facts(tried_names=[tried], logins=[refused], last_accept=login(30))) == ["wrong_password"]
    assert causes(facts(tried_names=[stale], rows_since=NOW - 59 * MINUTE)) == ["no_request"]
    assert causes(facts(tried_names=[stale], rows_since=NOW - 61 * MINUTE)) == []
    still = facts(tried_names=[stale], rows_since=NOW - 59 * MINUTE, drift=gone)
    assert causes(still) == ["unknown_when_tried", "rows_changed"]


def test_a_try_by_another_name_or_the_line_of_before_the_last_login_is_no_cause() -> None:
    refused = login(9, "wrong_password")
    former: dict[str, Any] = {"former_names": ["zoe"]}
    for minutes_ago, more in ((8, ["former_name_tried", "name_misspelt", "line_unknown"]), (10, [])):
        before = NOW - minutes_ago * MINUTE
        tried = [unknown_user("Ann", last_at=before), unknown_user("zoe", last_at=before)]
        line = [unknown_user("00-1A-2B-3C-4D-5E", last_at=before)]
        known = facts(logins=[refused], tried_names=tried, line_tries=line, **former)
        assert causes(known) == [*more, "wrong_password"]
    as_zoe = login(9, "suspended", username="zoe")
    assert "former_name_tried" in causes(facts(logins=[as_zoe], tried_names=tried, **former))


def test_a_former_name_and_a_line_that_asks_by_itself_are_causes() -> None:
    former = facts(tried_names=[unknown_user("zoe")], former_names=["zoe"])
    assert causes(former)[0] == "former_name_tried"
    line = facts(line_tries=[unknown_user("00-1A-2B-3C-4D-5E")])
    assert causes(line) == ["line_unknown"]
    assert "so that its line logs in for it" in (one(line, "line_unknown")["next_act"] or "")
    ipoe = replace(line, subscriber=subscriber(login_by_line=True))
    assert "Its NAS needs `lines = true`" in (one(ipoe, "line_unknown")["next_act"] or "")
    assert causes(facts(line_tries=[unknown_user("00-1A-2B-3C-4D-5E")], logins=[login(9)], last_accept=login(9))) == [
        "no_accounting_start"
    ]


def test_what_cannot_be_read_is_a_cause_and_the_rest_is_told() -> None:
    down = {"rows": "It is down.", "sessions": "It is down.", "logins": "It is down."}
    found = diagnose(facts(unread=down))
    assert [each["code"] for each in found["findings"]] == ["radius_database_unread", "active"]
    assert found["verdict"].startswith("FreeRADIUS' own rows, accounting, the log of logins could not be read")
    lacking = facts(unread={"sessions": "A table is missing."}, logins=[login(60)])
    assert [(each["code"], each["weight"]) for each in diagnose(lacking)["findings"]] == [
        ("radius_database_unread", "cause"),
        ("active", "fine"),
        ("rows_as_wished", "fine"),
        ("accepted", "fine"),
    ]


def test_an_accept_without_an_accounting_start_names_the_nas_and_what_it_was_told() -> None:
    waited = facts(logins=[login(6)])
    assert causes(waited) == ["no_accounting_start"]
    found = one(waited, "no_accounting_start")
    assert "bng-2" in found["sentence"] and "bng-2" in (found["next_act"] or "")
    assert found["evidence"][1:] == ["it was told plan fiber-100", "and pool cgnat-1, which that NAS must have"]
    assert causes(facts(logins=[login(4)])) == []
    assert one(facts(logins=[login(4)]), "accounting_awaited")["weight"] == "note"
    before = session(90, 90, stopped_at=NOW - 80 * MINUTE, terminate_cause="Lost-Carrier")
    assert causes(facts(logins=[login(6)], last_session=before)) == ["no_accounting_start"]
    assert one(facts(logins=[login(6)], last_session=before), "offline")["sentence"].endswith("(Lost-Carrier).")


def test_a_session_that_an_earlier_login_began_and_that_is_over_is_no_accounting_start_of_the_last_one() -> None:
    twice = [login(6), login(7, "wrong_password"), login(9)]
    over = {"stopped_at": NOW - 7 * MINUTE, "terminate_cause": "Lost-Carrier"}
    assert causes(facts(logins=twice, last_session=session(8.9, 7, **over))) == ["no_accounting_start"]
    for its_own in (
        session(6.9, 6.5, **over),  # its NAS' clock is a minute behind
        session(8.9, 6.5),  # it was let in again
        session(5.9, 5, **over),
    ):
        assert causes(facts(logins=twice, last_session=its_own)) == []
    assert causes(facts(logins=twice[:2], last_session=session(8.9, 7, **over))) == []  # nobody knows what let it in


def test_a_ghost_is_told_from_a_session_that_is_alive() -> None:
    refused = login(1, "already_online", about=BNG)
    ghost = facts(logins=[refused], open_sessions=[session(600, 16)], silent=frozenset({1}))
    assert causes(ghost) == ["ghost_session"]
    alive = facts(logins=[refused], open_sessions=[session(600, 14)])
    assert causes(alive) == ["already_online"]
    assert "online already on bng-2" in diagnose(alive)["verdict"]
    assert causes(facts(logins=[refused])) == []  # it is gone since


def test_rows_that_are_not_as_wished_are_told_from_rows_that_are_still_to_come() -> None:
    drift = Drift("subscriber", "ann@isp.example", "different", "a", "b", awaiting_projection=False)
    online = {"logins": [login(9)], "open_sessions": [session(9, 1)]}
    assert causes(facts(drift=drift, **online)) == ["rows_changed"]
    assert causes(facts(drift=replace(drift, awaiting_projection=True), **online)) == ["rows_behind"]


def test_another_line_is_told_beside_the_one_it_is_bound_to() -> None:
    found = one(facts(logins=[login(1, "other_line", circuit="olt-7 0/3")]), "other_line")
    assert found["evidence"][0].endswith(f"02-00-00-00-00-01 eth 1/1 olt-7 0/3: refused, {REASONS['other_line']}")
    assert found["evidence"][-1] == "it is bound to station 001a2b3c4d5e, port eth 0/1"


def test_two_sessions_a_silent_one_and_a_pending_change_are_notes() -> None:
    two = facts(logins=[login(9)], open_sessions=[session(9, 1), session(99, 2)])
    assert (causes(two), one(two, "several_sessions")["weight"]) == ([], "note")
    silent = one(facts(logins=[login(99)], open_sessions=[session(99, 50)], silent=frozenset({1})), "session_silent")
    assert silent["weight"] == "note"
    change: Any = {"made_at": NOW, "act": "change_plan", "sessions": [], "carried_at": None, "next_at": None}
    pending = facts(logins=[login(9)], open_sessions=[session(9, 1)], pending_changes=[change])
    assert "(change plan) is not carried over to FreeRADIUS yet." in one(pending, "change_pending")["sentence"]


def test_a_change_that_accounting_bears_out_is_told_from_one_that_a_session_has_not_followed() -> None:
    told = {"session_id": "00a1", "said": "changed", "reason": "its NAS says so", "confirmed_at": None}
    told |= {"nas_address": BNG}
    change: Any = {"made_at": NOW, "act": "suspend", "sessions": [told], "carried_at": NOW - 5 * MINUTE}
    change |= {"next_at": NOW + MINUTE}
    online = facts(logins=[login(9)], open_sessions=[session(9, 1)])

    def words(**other: Any) -> str:
        return one(replace(online, pending_changes=[change | other]), "change_pending")["sentence"]

    followed = [told | {"confirmed_at": NOW}]
    assert words().endswith("is not confirmed by every open session yet.")
    assert "has come about" in words(sessions=followed)
    assert words(sessions=[]).endswith("is not confirmed by every open session yet.")  # it is asked just now
    assert "has come about" in words(sessions=[], carried_at=NOW - 10 * MINUTE)  # it began since
    borne_out = replace(online, pending_changes=[change | {"sessions": followed}])
    [evidence] = one(borne_out, "change_pending")["evidence"]
    assert evidence == "session 00a1: changed (its NAS says so), and accounting bears it out"

    def act(said: str) -> str | None:
        left = change | {"sessions": [told | {"said": said}]}
        return one(replace(online, pending_changes=[left]), "change_pending")["next_act"]

    again = "It is asked again 2026-11-26 12:01:00 UTC."
    assert (act("changed"), act("disconnected")) == (None, None)  # accounting has to prove it, and that is waited for
    refused = act("refused") or ""
    assert refused.startswith(
        "`firstlight subscribers disconnect ann@isp.example --reason ...` asks bng-2 to end that session"
    )
    left = change | {"sessions": [told | {"said": "refused"}]}
    cut_off = replace(online, pending_changes=[left], subscriber=subscriber("suspended"))
    assert (one(cut_off, "change_pending")["next_act"] or "").startswith("bng-2 refuses to end that session: ")
    silent = act("unanswered")
    assert (silent or "").startswith("`firstlight nas test bng-2`") and act("not_asked") == silent
    assert "`firstlight sessions close bng-2 --reason ...`" in (act("nas_unknown") or "")
    assert all((act(said) or "").endswith(again) for said in ("refused", "unanswered", "nas_unknown"))


def test_packets_that_were_dropped_since_the_last_login_are_told_beside_it() -> None:
    dropped = {"misfits": {BNG: SecretMisfit(NOW - MINUTE)}, "last_heard": {BNG: NOW - 6 * MINUTE}}
    words = "bng-2: packets with another secret were dropped, last 2026-11-26 11:59:00 UTC"
    silent = one(facts(logins=[login(6)], **dropped), "no_accounting_start")
    assert words in silent["evidence"]
    assert (silent["next_act"] or "").startswith("`firstlight nas test bng-2`")
    assert words in one(facts(logins=[login(6, "other_line")], **dropped), "other_line")["evidence"]
    later = facts(logins=[login(0)], **dropped)
    assert words not in one(later, "accounting_awaited")["evidence"]


def test_nothing_is_to_be_done_about_the_logins_of_who_is_terminated() -> None:
    over = session(600, 90, stopped_at=NOW - 90 * MINUTE, terminate_cause="Admin-Reset")
    ended = facts(
        subscriber=subscriber("terminated"),
        logins=[login(99, "already_online")],
        last_session=over,
        tried_names=[unknown_user("ann@isp.example")],
    )
    assert causes(ended) == ["terminated"]
    acts = {found["code"]: found["next_act"] for found in diagnose(ended)["findings"] if found["next_act"]}
    assert acts == {"terminated": "Order it anew if it shall be served."}


def test_every_reason_of_a_refusal_has_a_next_act() -> None:
    for reason in REASONS.keys() - {"no_such_user", "password_as_name"}:
        found = diagnose(facts(logins=[login(1, reason, about=BNG)], open_sessions=[session(60, 1)]))
        acts = [each["next_act"] for each in found["findings"] if each["weight"] != "fine"]
        assert acts and all(acts), reason


def test_names_are_close_but_for_case_realm_blanks_and_a_letter() -> None:
    others = ["ann@isp.example", "anna@isp.example", "bob@isp.example", "c1001-s1@isp.example"]
    assert close_to("ANN", others) == ["ann@isp.example", "anna@isp.example"]
    assert close_to("ann @isp.example", others)[0] == "ann@isp.example"
    assert close_to("c1001-s2@isp.example", others) == ["c1001-s1@isp.example"]
    assert close_to("zoe", others) == close_to("", others) == []


@pytest.mark.parametrize("name", ["-x", "--help", "a b", "it's"])
def test_commands_that_are_proposed_are_about_whom_they_name(name: str) -> None:
    def named(state: str = "active", **more: Any) -> SubscriberView:
        return subscriber(state, username=name, **more)

    told: Any = {"session_id": "00a1", "said": "refused", "reason": "no", "confirmed_at": None, "nas_address": BNG}
    change: Any = {"made_at": NOW, "act": "change_plan", "sessions": [told], "carried_at": NOW, "next_at": None}
    wrong = login(1, "wrong_password")
    of_each = {
        "not_in_service": facts(subscriber=named("pending", service_id=None)),
        "suspended": facts(subscriber=named("suspended")),
        "in_garden": facts(subscriber=named("suspended", garden="walled")),
        "data_cap_reached": facts(subscriber=named(capped="slow")),
        "wrong_password": facts(subscriber=named(password_hash_kind="nt"), logins=[wrong]),
        "change_pending": facts(subscriber=named(), pending_changes=[change]),
    }
    for code, found in of_each.items():
        [command] = re.findall(r"`(firstlight subscribers [^`]*)`", one(found, code)["next_act"] or "")
        assert (parsed(command)["username"], parsed(command)["reason"]) == (name, "..."), code
    gone: Any = change | {"sessions": [told | {"said": "nas_unknown", "nas_address": name}]}
    act = one(facts(pending_changes=[gone]), "change_pending")["next_act"] or ""
    show, close = re.findall(r"`(firstlight [^`]*)`", act)
    assert (parsed(show)["name"], parsed(close)["nas"], parsed(close)["reason"]) == (name, name, "...")
