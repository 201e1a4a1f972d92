"""``firstlight runs``, as an operator reads it and as a program does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from provisioning.cli.account import account
from provisioning.database import sync_url
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.estate import Household, tomorrow
from tests.support.healthy_estate import vandal
from tests.support.postgres import as_superuser
from workflows.engine.tables import StepRow

RETRIED = "only a held run can be, or one that waits for its next try"
HELD_WHY = "ONT HWTC00000003 is at port 0/0/4, planned was 0/0/3"


def one_line(text: str) -> str:
    return " ".join(text.split())


def ticket_file(tmp_path: Path, **changes: Any) -> Path:
    file = tmp_path / "ticket.json"
    file.write_text(json.dumps(Household(5).ticket(tomorrow(datetime.now(UTC)), **changes)))
    return file


# -- looking -----------------------------------------------------------------------------------------------------------


def test_the_list_tells_the_newest_first_how_each_stands_and_why(any_isp: Settings, type_: Type) -> None:
    listed = type_("runs", "list")
    assert listed.status == 0
    lines = listed.out.splitlines()
    assert [line.split()[:4] for line in lines if line[0] != " "] == [
        ["run", "state", "step", "customer"],
        ["4", "↩", "cancelled", "1004"],
        ["3", "✗", "held", "confirm_port"],
        ["2", "…", "pending", "visit"],
        ["1", "✓", "completed", "1001"],
    ]
    assert f"ticket/T-3: {HELD_WHY}" in one_line(listed.out)
    assert (
        "ticket/T-2: the technician's visit: waiting for the scan of the ONT; waits for visit 2 until 20"
        in one_line(listed.out)
    )
    assert "ticket/T-4: cancelled by operator: the customer has changed their mind" in one_line(listed.out)
    assert max(map(len, lines)) <= 80


def test_a_program_reads_the_same(isp: Settings, type_: Type) -> None:
    runs = type_("runs", "list", "--json").json
    assert [(run["id"], run["state"], run["customer_id"]) for run in runs] == [
        (4, "cancelled", 1004),
        (3, "held", 1003),
        (2, "pending", 1002),
        (1, "completed", 1001),
    ]
    assert runs[1]["reason_code"] == "installation.port_mismatch"
    assert datetime.fromisoformat(runs[1]["updated_at"]).tzinfo is not None


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--held",), [3]),
        (("--state", "pending"), [2]),
        (("--state", "completed", "--state", "cancelled"), [4, 1]),
        (("--held", "--state", "pending"), [3, 2]),
        (("--customer", "1002"), [2]),
        (("--journey", "isp_ticket_to_deployment", "--limit", "2"), [4, 3]),
        (("--before", "3"), [2, 1]),
        (("--journey", "another"), []),
    ],
)
def test_the_list_can_be_narrowed(isp: Settings, type_: Type, words: tuple[str, ...], found: list[int]) -> None:
    assert [run["id"] for run in type_("runs", "list", "--json", *words).json] == found


def test_a_list_of_nothing_says_so(isp: Settings, type_: Type) -> None:
    assert type_("runs", "list", "--customer", "77").out == "no runs\n"


def test_a_state_that_there_is_not_is_refused_and_the_others_are_named(isp: Settings, type_: Type) -> None:
    typed = type_("runs", "list", "--state", "stuck")
    assert typed.status == 2
    assert typed.err.splitlines()[0] == "The list is refused, nothing was written:"
    assert "state: stuck is none of acknowledged, inProgress, pending, held, completed" in typed.err


def test_a_held_run_says_what_failed_what_is_held_meanwhile_and_what_to_type(isp: Settings, type_: Type) -> None:
    shown = type_("runs", "show", 3)
    assert shown.status == 0
    top, steps = shown.out.split("\nsteps\n")
    head, rest = top.split("\nheld meanwhile\n")
    held, commands = rest.split("\nwhat you can type\n")
    first, second, *why = head.splitlines()
    assert first == "run 3  isp_ticket_to_deployment  ticket/T-3  customer 1003"
    assert second.startswith("✗ held in confirm_port since 20")
    assert second.endswith(" UTC")
    assert one_line(" ".join(why)).startswith(HELD_WHY)
    assert one_line(held).startswith(
        "service 3 100.64.0.3, 2001:db8:100:2::/64, 2001:db8:8000:200::/56, VLAN 101.4 at OLT-3 0/0/3"
        " subscriber 3 c1003-s3@isp.example visit 3 Technician 3, 20"
    )
    assert "line order 2  HWTC00000003 at OLT-3 0/0/3" in held
    assert [line.strip() for line in commands.splitlines() if line.strip().startswith("firstlight")] == [
        "firstlight runs retry 3",
        "firstlight runs retry 3 --from-step STEP",
        "firstlight runs skip 3 --reason '...'",
        "firstlight runs roll-back 3 --reason '...'",
        "firstlight runs cancel 3 --reason '...'",
    ]
    assert "  ✗ held        confirm_port           1 try failed\n" in steps
    assert "  · planned     deliver_email\n" in steps
    assert max(map(len, shown.out.splitlines())) <= 80


def test_a_waiting_run_says_who_can_end_the_wait_and_with_which_words(isp: Settings, type_: Type) -> None:
    shown = type_("runs", "show", 2).out
    assert "\nkept meanwhile\n" in shown
    assert "\n  firstlight visits report 2 scanned --serial SERIAL\n" in shown


def test_a_finished_run_offers_nothing_to_type(isp: Settings, type_: Type) -> None:
    for run in (1, 4):
        shown = type_("runs", "show", run).out
        assert "meanwhile" not in shown
        assert "firstlight" not in shown


def test_a_program_reads_what_is_kept_and_what_can_be_done(isp: Settings, type_: Type) -> None:
    shown = type_("runs", "show", 3, "--json").json
    assert shown["summary"]["state"] == "held"
    assert [thing["what"] for thing in shown["kept"]] == ["service 3", "subscriber 3", "visit 3", "line order 2"]
    assert shown["acts"][0]["command"] == "firstlight runs retry 3"
    assert {step["name"]: step["state"] for step in shown["steps"]}["confirm_port"] == "held"
    assert [note["by"] for note in shown["notes"]] == ["desk", "technician", "engine"]


def test_the_rounds_of_a_step_that_were_undone_stand_below_it(any_isp: Settings, type_: Type) -> None:
    """As if the technician had been there twice in vain, and the second appointment had needed another try."""
    went_back(any_isp, run=2, rounds=2)
    shown = type_("runs", "show", 2)
    lines = shown.out.split("\nlog\n")[0].splitlines()
    at = lines.index("  … pending     visit                  round 3")
    assert lines[at + 1 : at + 4] == [
        "                round 1 undone 2026-03-02 10:30:00 UTC after 90 min",
        "                round 2 undone 2026-03-02 10:30:00 UTC after 90 min, 1 try",
        "                failed, field.technician_busy",
    ]
    assert lines[at + 4].startswith("  · planned     begin_testing")
    assert max(map(len, lines)) <= 80

    visit = next(step for step in type_("runs", "show", 2, "--json").json["steps"] if step["name"] == "visit")
    assert (visit["round"], visit["state"], visit["result"]) == (3, "pending", None)
    assert [(past["round"], past["state"], past["attempts"]) for past in visit["earlier"]] == [
        (1, "undone", 0),
        (2, "undone", 1),
    ]
    assert visit["earlier"][0]["started_at"] == "2026-03-02T09:00:00Z"
    assert visit["earlier"][0]["result"]["outcome"] == "no_access"


def went_back(settings: Settings, *, run: int, rounds: int) -> None:
    """Puts undone rounds of the visit before the one that its run waits in."""
    began = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    engine = create_engine(sync_url(as_superuser(settings.database_url)))
    with Session(engine) as db, db.begin():
        waiting = db.get_one(StepRow, (run, "visit", 1))
        waiting.round = rounds + 1
        db.flush()
        for number in range(1, rounds + 1):
            db.add(
                StepRow(
                    run_id=run,
                    step="visit",
                    round=number,
                    state="undone",
                    effect="wait",
                    key=f"{waiting.key}/{number}",
                    attempts=number - 1,
                    result='{"outcome": "no_access"}',
                    error_code="field.technician_busy" if number > 1 else None,
                    started_at=began,
                    finished_at=began + timedelta(minutes=90),
                )
            )
    engine.dispose()


# -- starting ----------------------------------------------------------------------------------------------------------


def test_a_ticket_starts_one_run_however_often_it_comes(any_isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = ticket_file(tmp_path)
    assert type_("runs", "start", file).out == "run 5 started\n"
    assert type_("runs", "start", file).out == "run 5 was started by this ticket before\n"
    assert type_("runs", "start", file, "--json").json == {"run": 5, "new": False}
    shown = type_("runs", "show", 5, "--json").json
    assert shown["summary"]["state"] == "acknowledged"
    assert shown["notes"][0]["by"] == account()
    [event, *_] = type_("events", "list", "--type", "ticket.installation_approved", "--json").json
    assert (event["key"], event["state"], event["run_id"]) == ("ticket/T-5", "started", 5)


def test_the_same_ticket_number_with_another_content_is_a_conflict(isp: Settings, type_: Type, tmp_path: Path) -> None:
    assert type_("runs", "start", ticket_file(tmp_path)).status == 0
    typed = type_("runs", "start", ticket_file(tmp_path, wifi_ssid="Another"))
    assert typed.status == 2
    assert typed.err == "refused: ticket/T-5 already started run 5 with other input; nothing was started\n"


def test_every_fault_of_a_ticket_stands_on_a_line_of_its_own(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = ticket_file(
        tmp_path,
        customer_id=99,
        service_location="LOC-404",
        bandwidth_plan="warp-9",
        config_template="tr999",
        device_serial="?!",
        installation_address=None,
        colour="blue",
    )
    typed = type_("runs", "start", file)
    assert typed.status == 2
    head, *faults = typed.err.splitlines()
    assert head == "The ticket is refused, nothing was written:"
    assert {fault.split(":")[0].strip() for fault in faults} == {
        "customer_id",
        "service_location",
        "bandwidth_plan",
        "config_template",
        "device_serial",
        "installation_address",
        "colour",
    }
    assert "  installation_address: is missing" in faults
    error = type_("runs", "start", file, "--json").json["error"]
    assert error["code"] == "provisioning.invalid_request"
    assert len(error["faults"]) == len(faults)
    assert [run["id"] for run in type_("runs", "list", "--json").json] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        (b"{", "is not JSON: Expecting property name enclosed in double quotes in line 1, column 2"),
        (b"[]", "ticket: "),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"order_id": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"customer_id": 1' + b"0" * 40 + b"}", "customer_id: "),
        (b'{"service_location": "LOC\\u0000", "bandwidth_plan": "\\ud800"}', "service_location: "),
        (b'{"appointment": {"technician_id": 1e400}}', "appointment.technician_id: "),
    ],
)
def test_what_is_no_ticket_is_refused_in_words(
    any_isp: Settings, type_: Type, tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "ticket.json"
    if content is not None:
        file.write_bytes(content)
    typed = type_("runs", "start", file)
    assert typed.status == 2
    assert typed.err.startswith("The ticket is refused, nothing was written:\n")
    assert told in typed.err


def test_an_appointment_beyond_all_calendars_is_refused(isp: Settings, type_: Type, tmp_path: Path) -> None:
    when = {"technician_id": 7005, "scheduled_date": "9999-12-31T23:59:59-12:00"}
    typed = type_("runs", "start", ticket_file(tmp_path, appointment=when, hold_until="2199-12-31T23:59:59-12:00"))
    assert typed.status == 2
    assert "  appointment.scheduled_date: is in the year 9999, not in 1970 to 2199\n" in typed.err
    assert "  hold_until: lies more than 50 years ahead\n" in typed.err


# -- deciding ----------------------------------------------------------------------------------------------------------


def test_a_held_run_can_be_retried_and_its_log_knows_who_did_it(any_isp: Settings, type_: Type) -> None:
    typed = type_("runs", "retry", 3, "--by", "nora")
    assert typed.status == 0
    assert "▸ inProgress in confirm_port since " in typed.out
    assert type_("runs", "show", 3, "--json").json["notes"][-1]["text"] == "retried"


def test_a_run_that_waits_for_its_next_try_is_tried_at_once(isp: Settings, type_: Type) -> None:
    with vandal(isp.database_url) as hand:
        hand.execute("UPDATE run SET waiting_for = 'retry', reason = 'no answer', reason_code = 'mail.x' WHERE id = 2")
    shown = type_("runs", "retry", 2, "--by", "nora", "--json").json
    assert {name: shown["summary"][name] for name in ("id", "state", "reason", "reason_code")} == {
        "id": 2,
        "state": "inProgress",
        "reason": None,
        "reason_code": None,
    }
    assert (shown["notes"][-1]["by"], shown["notes"][-1]["text"]) == ("nora", "retried")


def test_a_program_reads_what_came_of_a_roll_back_and_of_a_cancel(isp: Settings, type_: Type) -> None:
    rolled_back = type_("runs", "roll-back", 3, "--reason", "no fibre", "--by", "nora", "--json").json
    assert (rolled_back["summary"]["id"], rolled_back["summary"]["state"]) == (3, "inProgress")
    assert rolled_back["notes"][-1]["text"] == "undoing everything: rolled back by nora: no fibre"
    cancelled = type_("runs", "cancel", 2, "--reason", "not wanted", "--by", "nora", "--json").json
    assert (cancelled["summary"]["id"], cancelled["summary"]["state"]) == (2, "inProgress")
    assert cancelled["notes"][-1]["text"] == "cancel requested: not wanted"


def test_a_held_step_can_be_skipped_with_a_reason_and_a_result(isp: Settings, type_: Type) -> None:
    result = json.dumps(
        {"answered": True, "onu_id": 1, "actual_port": "0/0/3", "received_power_dbm": -19, "snippet": None}
    )
    shown = type_("runs", "skip", 3, "--reason", "looked at it", "--result", result, "--json").json
    step = next(step for step in shown["steps"] if step["name"] == "confirm_port")
    assert (step["state"], step["note"]) == ("skipped", f"skipped by {account()}: looked at it")


def test_a_waiting_run_can_be_cancelled_once_and_for_all(any_isp: Settings, type_: Type) -> None:
    assert type_("runs", "cancel", 2, "--reason", "not wanted").status == 0
    assert type_("runs", "cancel", 2, "--reason", "not wanted").status == 0
    notes = type_("runs", "show", 2, "--json").json["notes"]
    assert [note["text"] for note in notes if "cancel" in note["text"]] == ["cancel requested: not wanted"]


def test_a_held_run_can_be_rolled_back(isp: Settings, type_: Type) -> None:
    assert type_("runs", "roll-back", 3, "--reason", "no fibre").status == 0
    notes = type_("runs", "show", 3, "--json").json["notes"]
    assert notes[-1]["text"] == f"undoing everything: rolled back by {account()}: no fibre"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", 9), "there is no run 9"),
        (("retry", 9), "there is no run 9"),
        (("retry", 2), "run 2 is pending: it can't be retried; " + RETRIED),
        (("skip", 1, "--reason", "x"), "run 1 is completed: it can't be skipped; only a held run can be"),
        (("roll-back", 4, "--reason", "x"), "run 4 is cancelled: it can't be rolled back; only a held run can be"),
        (("cancel", 1, "--reason", "x"), "run 1 is completed: it can't be cancelled"),
        (("signal", 1, "appointment"), "run 1 is completed: it can't be told appointment"),
    ],
)
def test_what_a_runs_state_does_not_allow_is_refused_in_one_sentence(
    isp: Settings, type_: Type, words: tuple[object, ...], sentence: str
) -> None:
    typed = type_("runs", *words)
    assert (typed.status, typed.out, typed.err) == (2, "", f"refused: {sentence}\n")
    as_json = type_("runs", *words, "--json")
    assert as_json.status == 2
    assert as_json.json["error"]["message"] == sentence
    assert as_json.err == ""


def test_a_step_that_the_journey_has_not_is_refused(isp: Settings, type_: Type) -> None:
    typed = type_("runs", "retry", 3, "--from-step", "tea")
    assert typed.status == 2
    assert typed.err.startswith("refused: isp_ticket_to_deployment has no step tea; its steps are get_site_survey, ")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("signal", 2, "appointment", "--payload", "{"), "payload: is not JSON: "),
        (("signal", 2, "appointment", "--payload", "[1]"), "payload: is not a JSON object"),
        (("signal", 2, "appointment", "--payload", '{"technician_id": "7002"}'), "technician_id: "),
        (("cancel", 2, "--reason", " "), "reason: is missing"),
        (("signal", 2, "tea", "--payload", "{}"), "name: run 2 only knows appointment, visit"),
        (("skip", 3, "--reason", "x", "--result", "{"), "result: is not JSON: "),
        (("skip", 3, "--reason", "x", "--result", "{}"), "actual_port: "),
    ],
)
def test_words_that_are_no_json_or_do_not_fit_are_refused(
    isp: Settings, type_: Type, words: tuple[object, ...], fault: str
) -> None:
    typed = type_("runs", *words)
    assert typed.status == 2
    assert fault in typed.err
    error = type_("runs", *words, "--json").json["error"]
    assert error["faults"]


@pytest.mark.parametrize(
    ("run", "signal", "payload", "command"),
    [
        (2, "visit", {"outcome": "scanned", "device_serial": "HWTC00000002"}, "firstlight visits report VISIT OUTCOME"),
        (3, "line_answer", {"answered": True, "actual_port": "0/0/3"}, "firstlight line answer ORDER --port PORT"),
        (2, "payment_settled", {"state": "captured"}, "firstlight payments settle PAYMENT --reference WHERE"),
        (2, "quote_accepted", {"quote_id": 1}, "firstlight quotes accept QUOTE --accepted-by WHO"),
        (2, "line_removed", {"answered": True, "snippet": None}, "firstlight line removed ORDER"),
    ],
)
def test_what_has_a_record_of_its_own_is_told_with_its_own_command(
    isp: Settings, type_: Type, run: int, signal: str, payload: dict[str, Any], command: str
) -> None:
    before = type_("runs", "show", run, "--json").json
    typed = type_("runs", "signal", run, signal, "--payload", json.dumps(payload))
    assert (typed.status, typed.out) == (2, "")
    assert f"name: {signal} is told with `{command}`" in one_line(typed.err)
    assert f"`firstlight runs show {run}` has the number" in one_line(typed.err)
    assert type_("runs", "show", run, "--json").json == before


def test_the_same_signal_again_is_the_same_word(isp: Settings, type_: Type) -> None:
    when = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    words = ("signal", 2, "appointment", "--payload", json.dumps({"technician_id": 7002, "scheduled_date": when}))
    assert type_("runs", *words).out == "run 2 was told appointment\n"
    assert type_("runs", *words).out == "run 2 knows that appointment already\n"
    assert type_("runs", *words, "--json").json == {"run": 2, "signal": "appointment", "new": False}


def test_a_wrong_word_is_answered_with_the_usage_and_status_2(type_: Type) -> None:
    for words in (("runs", "show"), ("runs", "show", "three"), ("runs", "fly"), ("runs", "list", "--limit", "0")):
        typed = type_(*words)
        assert typed.status == 2
        assert "Usage: " in typed.err
