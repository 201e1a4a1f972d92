"""What accounting and answers mean for a change, whatever a NAS thinks the time is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radius.coa.tables import SessionSaid
from radius.coa.treatment import LOGIN_TAKES, Carried, Treated, is_confirmed, is_settled, to_be_asked
from radius.sessions.sessions import Session

SHOWN = datetime(2026, 3, 1, 12, tzinfo=UTC)
CARRIED = Carried(at=SHOWN, right_above=10)
A_MINUTE_ON = SHOWN + timedelta(minutes=1)
CLOCKS = pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(0), timedelta(hours=1)])
"""How far a NAS' clock is ahead of the appliance's."""


def session(number: int, *, began: datetime, heard: datetime | None = None, seconds: int = 0) -> Session:
    unknown: dict[str, Any] = dict.fromkeys(
        ("nas_port", "calling_station", "framed_ip_address", "ipv6_wan_prefix", "delegated_prefix", "terminate_cause")
    )
    return Session(
        radacct_id=number,
        session_id=f"s{number}",
        username="anna",
        nas_address="192.0.2.1",
        started_at=began,
        updated_at=heard or began,
        stopped_at=None,
        duration_seconds=seconds,
        input_octets=0,
        output_octets=0,
        **unknown,
    )


def treatment(of: Session, said: SessionSaid, **more: Any) -> Treated:
    kept = {"asked_at": SHOWN, "heard_at": of.updated_at, "heard_seconds": of.duration_seconds, "confirmed_at": None}
    names = {"id": 1, "change_id": 1, "session_id": of.session_id, "nas_address": of.nas_address}
    said_of_it: dict[str, Any] = {**names, "error_cause": None, "reason": "", **kept, **more}
    return Treated(radacct_id=of.radacct_id, said=said, **said_of_it)


def asked(sessions: list[Session], treated: list[Treated], **more: Any) -> list[int]:
    said = {"carried": CARRIED, "now": A_MINUTE_ON, "interim": timedelta(seconds=300), **more}
    return [each.radacct_id for each in to_be_asked(sessions, treated, **said)]


@CLOCKS
def test_who_was_in_accounting_before_is_asked_and_who_turned_up_later_is_not(ahead: timedelta) -> None:
    before = session(10, began=SHOWN - timedelta(hours=2) + ahead)
    later = session(11, began=A_MINUTE_ON + ahead)
    assert asked([later, before], []) == [10]
    assert asked([later], [], carried=Carried(SHOWN, None)) == [11]  # nobody knows yet


@CLOCKS
def test_a_session_whose_start_was_lost_is_asked_when_it_is_older_than_the_change(ahead: timedelta) -> None:
    heard = A_MINUTE_ON + ahead
    assert asked([session(11, began=heard - timedelta(seconds=300), heard=heard, seconds=300)], []) == [11]
    young = 60 - int(LOGIN_TAKES.total_seconds())
    assert asked([session(11, began=heard - timedelta(seconds=young), heard=heard, seconds=young)], []) == []


def test_no_session_of_who_is_refused_is_right() -> None:
    assert asked([session(11, began=A_MINUTE_ON)], [], ends=True) == [11]


def test_nothing_is_settled_before_a_session_whose_start_was_lost_must_have_been_heard_of() -> None:
    interim = timedelta(seconds=300)
    settled = [
        is_settled([], [], carried=CARRIED, now=SHOWN + LOGIN_TAKES + after, interim=interim)
        for after in (timedelta(0), timedelta(seconds=299), interim)
    ]
    assert settled == [False, False, True]


def test_who_logged_in_after_we_had_ended_the_former_session_is_left_alone() -> None:
    former, again = session(12, began=SHOWN), session(13, began=SHOWN)
    assert asked([again], [treatment(former, "disconnected")], carried=Carried(SHOWN, None)) == []
    assert asked([again], [treatment(former, "unanswered")], carried=Carried(SHOWN, None)) == [13]


def test_an_ack_is_proven_by_the_second_interim_by_a_clock_that_is_some_minutes_behind() -> None:
    began, heard, minute = SHOWN - timedelta(hours=2), SHOWN - timedelta(seconds=250), timedelta(seconds=60)
    kept = treatment(session(10, began=began, heard=heard, seconds=7200), "changed")
    first = session(10, began=began, heard=heard + minute, seconds=7260)
    second = session(10, began=began, heard=heard + 2 * minute, seconds=7320)
    assert [is_confirmed(kept, each, interim=minute) for each in (first, second)] == [False, True]


@CLOCKS
def test_an_ack_is_proven_by_what_its_nas_accounts_for_after_it_and_by_nothing_earlier(ahead: timedelta) -> None:
    began, heard = SHOWN - timedelta(hours=2) + ahead, SHOWN + ahead + timedelta(seconds=7)
    then = session(10, began=began, heard=heard, seconds=7200)
    kept = treatment(then, "changed")
    assert not is_confirmed(kept, then)
    assert is_confirmed(kept, session(10, began=began, heard=heard + timedelta(seconds=300), seconds=7500))
    assert is_confirmed(kept, None)
    assert not is_confirmed(treatment(then, "unanswered"), session(10, began=began, heard=heard + timedelta(300)))


def test_an_ack_is_believed_for_three_of_the_longest_intervals_before_it_is_asked_for_again() -> None:
    then = session(10, began=SHOWN)
    kept = [treatment(then, "changed")]
    assert asked([then], kept, now=SHOWN + timedelta(seconds=899)) == []
    assert asked([then], kept, now=SHOWN + timedelta(seconds=901)) == [10]
    assert asked([then], kept, now=SHOWN + timedelta(seconds=901), interim=timedelta(seconds=600)) == []
