"""An outcome is confirmed by proof alone: an ACK is asked for, silence is unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from acs import OperationRecord, OperationState
from provisioning.truth import Standing, of_change, of_operation
from radius import SessionChangeView

NOW = datetime(2026, 3, 10, 3, 0, tzinfo=UTC)


def a_session(said: str, *, confirmed: bool = False) -> dict[str, Any]:
    told = {"session_id": "a1", "nas_address": "192.0.2.1", "error_cause": None, "asked_at": NOW}
    return told | {"said": said, "reason": f"its NAS: {said}", "confirmed_at": NOW if confirmed else None}


def a_change(state: str, *sessions: dict[str, Any], carried: bool = True) -> SessionChangeView:
    told: dict[str, Any] = {"change_id": 4, "subscriber_id": 1, "act": "disconnect", "state": state, "attempts": 1}
    times = {"made_at": NOW, "carried_at": NOW if carried else None, "settled_at": None, "next_at": None}
    return SessionChangeView(**{**told, **times, "sessions": list(sessions)})  # type: ignore[typeddict-item]


CHANGES = [
    (a_change("pending", carried=False), "asked_for", "FreeRADIUS does not show it yet"),
    (a_change("pending"), "asked_for", "no session is known yet that has to follow"),
    (a_change("pending", a_session("changed")), "asked_for", "accounting has not borne it out yet"),
    (a_change("pending", a_session("disconnected", confirmed=True)), "asked_for", "bears out the one session"),
    (a_change("pending", a_session("unanswered")), "unknown", "its NAS: unanswered"),
    (a_change("pending", a_session("nas_unknown")), "unknown", "its NAS: nas_unknown"),
    (a_change("pending", a_session("refused")), "asked_for", "its NAS: refused"),
    (a_change("confirmed", a_session("disconnected", confirmed=True)), "confirmed", "accounting bears out"),
    (a_change("confirmed"), "confirmed", "no session was open that had to follow"),
    (a_change("superseded", a_session("changed")), "superseded", "FreeRADIUS showed it; then a later change took"),
    (a_change("superseded"), "superseded", "FreeRADIUS showed it; then a later change took its place."),
    (a_change("superseded", carried=False), "superseded", "took its place before FreeRADIUS showed it."),
    (
        a_change("superseded", a_session("disconnected", confirmed=True)),
        "superseded",
        "FreeRADIUS showed it, and accounting bore out the one session; then a later change took its place.",
    ),
]


@pytest.mark.parametrize(("change", "standing", "words"), CHANGES)
def test_a_change_is_what_accounting_has_borne_out(change: SessionChangeView, standing: str, words: str) -> None:
    told = of_change(change)
    assert (told.standing, told.target, told.act) == (standing, "session_change/4", "disconnect")
    assert words in told.sentence


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("requested", "asked_for"),
        ("queued", "asked_for"),
        ("done", "confirmed"),
        ("unknown", "unknown"),
        ("faulted", "not_done"),
        ("expired", "not_done"),
        ("partial", "partial"),
        ("cancelled", "not_done"),
    ],
)
def test_an_operation_is_done_when_the_cpe_has_shown_it(state: str, standing: str) -> None:
    record = {"operation_id": 5, "device_serial": "HWTC1", "kind": "factory_reset", "state": state, "reason": "So."}
    times = {"requested_at": NOW, "ended_at": None}
    told = of_operation(OperationRecord(**{**record, **times}))  # type: ignore[typeddict-item]
    assert (told.standing, told.act) == (standing, "factory reset of CPE HWTC1")
    assert told.sentence.endswith(" So.")


def test_of_every_state_of_an_operation_it_is_told_what_came_of_it_and_nothing_twice() -> None:
    record = {"operation_id": 5, "device_serial": "HWTC1", "kind": "reboot", "requested_at": NOW, "ended_at": None}
    for state in get_args(OperationState):
        told = of_operation(OperationRecord(**{**record, "state": state, "reason": ""}))  # type: ignore[typeddict-item]
        assert told.sentence.endswith(".") and told.standing in get_args(Standing)
    not_sent = {"state": "requested", "reason": "It is written down; nothing was sent yet."}
    told = of_operation(OperationRecord(**{**record, **not_sent}))  # type: ignore[typeddict-item]
    assert told.sentence == "It is written down; the ACS has not been told yet."
