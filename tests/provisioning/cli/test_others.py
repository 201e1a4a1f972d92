"""``firstlight visits``, ``line`` and ``keys``, as technicians, dispatchers and operators type them."""

from __future__ import annotations

import json
import sqlite3
from importlib.metadata import version
from pathlib import Path

import pytest

from provisioning.cli.account import account
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal


def notes_of(type_: Type, run: int) -> list[tuple[str, str]]:
    return [(note["by"], note["text"]) for note in type_("runs", "show", run, "--json").json["notes"]]


# -- visits ------------------------------------------------------------------------------------------------------------


def test_the_calendar_tells_who_goes_where_in_utc(any_isp: Settings, type_: Type) -> None:
    listed = type_("visits", "list").out.splitlines()
    assert listed[0].split() == ["visit", "from", "until", "state", "technician"]
    assert listed[3].split()[2].endswith("Z")
    assert listed[3].endswith("booked     Technician 2")
    assert listed[4].strip() == "customer 1002: Lindenweg 2, Northtown"
    assert max(map(len, listed)) <= 80
    mine = type_("visits", "list", "--technician", 7003, "--json").json
    assert [(visit["visit_id"], visit["state"]) for visit in mine] == [(3, "scanned")]


def test_a_customer_is_invited_to_choose_a_time_and_who_has_not_yet_is_listed(
    any_isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_PUBLIC_URL", "https://isp.example")
    assert type_("visits", "invitations").out == "nobody is invited\n"
    refused = type_("visits", "invite", 2, "--job", "install")
    assert refused.status == 2 and "Run 2 is pending and waits for no time to be agreed" in " ".join(
        refused.err.split()
    )
    with vandal(any_isp.database_url) as isp:
        isp.execute("UPDATE run SET waiting_for = 'appointment' WHERE id = 2")
        isp.execute("UPDATE visit SET state = 'cancelled' WHERE customer_id = 1002")
        named = "tenant_id, name, duration_minutes, buffer_minutes, window_minutes, skills"
        isp.execute(f"INSERT INTO visit_job ({named}) VALUES ('default', 'install', 60, 0, 0, '[]')")
    invited = type_("visits", "invite", 2, "--job", "install", "--days", 3)
    assert invited.status == 0, invited.err
    assert invited.out.startswith("invitation 1: customer 1002 may choose until 20")
    listed = type_("visits", "invitations").out.splitlines()
    assert listed[0].split() == ["invitation", "run", "customer", "until", "visit"]
    assert listed[1].split()[:3] == ["1", "2", "1002"]
    assert listed[2].strip() == "install: Lindenweg 2, Northtown"
    [record] = type_("visits", "invitations", "--json").json
    assert (record["run_id"], record["job"], record["visit_id"]) == (2, "install", None)


def test_a_scan_is_told_to_the_run_that_waits_for_it_once(any_isp: Settings, type_: Type) -> None:
    scan = ("visits", "report", 2, "scanned", "--serial", "HWTC00000002", "--port", "0/0/2")
    assert type_(*scan, "--by", "tess").out == "visit 2: scanned; told: run 2\n"
    assert ("tess", "told visit about 2") in notes_of(type_, 2)
    assert type_(*scan, "--by", "tess").out == "visit 2: scanned; told: no run\n"
    assert [by for by, text in notes_of(type_, 2) if text == "told visit about 2"] == ["tess"]


def test_nobody_at_home_can_bring_the_next_appointment_along_once_the_visit_has_begun(
    isp: Settings, type_: Type
) -> None:
    for words in (("report", 2, "no_access"), ("no-show", 2, "--reason", "nobody there")):
        refused = type_("visits", *words)
        assert (refused.status, "can't be told before" in " ".join(refused.err.split())) == (2, True), refused.err
    with vandal(isp.database_url) as database:
        database.execute("UPDATE visit SET starts_at = '2026-01-05 10:00:00.000000' WHERE id = 2")
    reported = type_(
        "visits", "report", 2, "no_access", "--next-technician", 7002, "--next-date", "2036-03-10T09:00+0100", "--json"
    ).json
    assert (reported["report"]["outcome"], reported["runs"]) == ("no_access", [2])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((2, "vanished"), "  outcome: vanished is none of scanned, no_access, not_feasible, cancelled"),
        ((2, "scanned"), "  serial: "),
        ((2, "not_feasible"), "  note: "),
        ((2, "no_access", "--next-technician", 7002), "  next appointment: needs both a technician and a date"),
        ((2, "scanned", "--serial", "x\ny"), "  serial: "),
        ((9, "no_access"), "refused: There is no visit 9"),
        ((1, "scanned", "--serial", "HWTC00000009"), "refused: "),
    ],
)
def test_a_report_that_cannot_be_meant_is_refused(
    isp: Settings, type_: Type, words: tuple[object, ...], told: str
) -> None:
    typed = type_("visits", "report", *words)
    assert (typed.status, typed.out) == (2, "")
    assert told in typed.err
    assert type_("visits", "report", *words, "--json").json["error"]["message"]


# -- lines -------------------------------------------------------------------------------------------------------------


def test_an_answer_again_is_welcome_and_another_one_is_not(any_isp: Settings, type_: Type) -> None:
    assert type_("line", "answer", 2, "--port", "0/0/4").out == "line order 2 is authorised at 0/0/4; told: run 3\n"
    assert type_("line", "answer", 2, "--port", "0/0/4", "--json").json == {"line_order": 2, "runs": []}
    typed = type_("line", "answer", 2, "--port", "0/0/7")
    assert typed.status == 2
    assert typed.err.startswith("refused: Line order 2 was already answered otherwise: port 0/0/4")


def test_lines_that_nobody_asked_for_are_refused(isp: Settings, type_: Type) -> None:
    assert type_("line", "answer", 9, "--port", "0/0/4").err == "refused: There is no line order 9.\n"
    assert type_("line", "removed", 9).status == 2
    assert type_("line", "removed", 2).err.startswith("refused: ")
    typed = type_("line", "answer", 2, "--port", "no port")
    assert (typed.status, typed.err.splitlines()[0]) == (
        2,
        "The answer to line order 2 is refused, nothing was written:",
    )


def test_an_operator_who_drives_the_olt_reads_what_to_paste_and_answers(isp: Settings, type_: Type) -> None:
    """The run waits for the answer to a line that was handed to a person."""
    handed = {"answered": False, "onu_id": None, "actual_port": None, "received_power_dbm": None}
    handed["snippet"] = "interface gpon 0/0\n ont add 3 sn-auth [HWTC]"  # type: ignore[assignment]
    with vandal(isp.database_url) as hand:
        hand.execute(
            f"UPDATE run_step SET result = '{json.dumps(handed)}' WHERE run_id = 3 AND step = 'hand_over_line'",
            "UPDATE run_step SET state = 'pending', result = NULL, waits_on = 'line_answer:2'"
            " WHERE run_id = 3 AND step = 'line_answer'",
            "DELETE FROM run_step WHERE run_id = 3 AND step = 'confirm_port'",
            "UPDATE run SET state = 'pending', waiting_for = 'line_answer', waiting_on = '2',"
            " current_step = 'line_answer', reason = 'the line has been handed over' WHERE id = 3",
            "UPDATE line_order SET state = 'handed_over', actual_port = NULL, answered_at = NULL, onu_id = NULL"
            " WHERE id = 2",
        )
    shown = type_("runs", "show", 3).out
    assert "\nto be put on the OLT\n  interface gpon 0/0\n   ont add 3 sn-auth [HWTC]\n" in shown
    assert "\n  firstlight line answer 2 --port PORT\n" in shown
    answered = type_("line", "answer", 2, "--port", "0/0/3", "--onu-id", 3, "--power", -19.5)
    assert answered.out == "line order 2 is authorised at 0/0/3; told: run 3\n"
    assert type_("runs", "show", 3, "--json").json["summary"]["state"] == "inProgress"


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_keyring_is_made_once(type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "data" / "sealing-key.json"
    made = type_("keys", "create", "--json").json
    assert made == {"file": str(file), "key": json.loads(file.read_text())["keys"][0]["id"]}
    again = type_("keys", "create")
    assert again.status == 1
    assert again.err.startswith(f"failed: {file} exists and is left as it is")


def test_a_rotation_seals_every_secret_anew_and_everything_still_opens(any_isp: Settings, type_: Type) -> None:
    rotated = type_("keys", "rotate", "--json").json
    assert rotated["resealed"] > 3
    assert rotated["unreadable"] == []
    assert type_("keys", "rotate").out.endswith("secrets are sealed under the new key\n")
    assert type_("check").status == 0


def test_a_rotation_names_what_it_cannot_open(isp: Settings, type_: Type) -> None:
    with sqlite3.connect(isp.data_dir / "firstlight.db") as connection:
        connection.execute(
            "UPDATE secret SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)"
            " WHERE ref = 'secret:nas/1'"
        )
    connection.close()
    assert "  secret:nas/1 does not open under any key and was left as it is\n" in type_("keys", "rotate").out


def test_a_secret_is_told_with_a_name_and_a_reason_and_both_are_kept(isp: Settings, type_: Type) -> None:
    told = type_("keys", "reveal", "secret:nas/1", "--reason", "new BNG", "--by", "nora")
    assert (told.status, len(told.out.strip())) == (0, len(told.out) - 1)
    again = type_("keys", "reveal", "secret:nas/1", "--reason", "again", "--json").json
    assert again == {"ref": "secret:nas/1", "value": told.out.strip()}
    with sqlite3.connect(isp.data_dir / "firstlight.db") as connection:
        kept = connection.execute("SELECT ref, revealed_to, reason FROM secret_reveal ORDER BY id").fetchall()
    connection.close()
    assert kept == [("secret:nas/1", "nora", "new BNG"), ("secret:nas/1", account(), "again")]


def test_what_is_no_secret_is_refused_and_a_password_given_by_mistake_is_not_repeated(
    isp: Settings, type_: Type
) -> None:
    missing = type_("keys", "reveal", "secret:subscriber/99", "--reason", "x")
    assert missing.err.startswith("failed: Nothing is kept under secret:subscriber/99")
    mistake = type_("keys", "reveal", "hunter2-oh-no", "--reason", "x")
    assert mistake.status != 0
    assert "hunter2" not in mistake.out + mistake.err
    empty = type_("keys", "reveal", "secret:nas/1", "--reason", " ")
    assert (empty.status, empty.err) == (2, "The reveal is refused, nothing was written:\n  reason: is missing\n")


def test_the_release_is_told(type_: Type) -> None:
    assert type_("--version").out == f"firstlight {version('firstlight')}\n"


def test_a_working_week_is_told_day_by_day_with_its_hours_and_each_day_once(isp: Settings, type_: Type) -> None:
    type_("technicians", "add", 77, "--name", "Tess")
    plan = ("technicians", "plan", 77, "--time-zone", "Europe/Berlin")
    morning, afternoon = ("--day", "mon=08:00-12:00"), ("--day", "mon=13:00-17:00")
    refused = type_(*plan, *morning, *afternoon, "--day", "tue", "--day", "wed=")
    assert refused.status == 2
    assert refused.err.splitlines()[1:] == [
        "  day: mon is told twice; say its periods at once, as mon=08:00-12:00,12:30-17:00",
        "  day: tue has no hours; say tue=08:00-17:00, or leave out a day that is free",
        "  day: wed= has no hours; say wed=08:00-17:00, or leave out a day that is free",
    ]
    planned = type_(*plan, "--day", "mon=08:00-12:00, 13:00-17:00", "--json").json
    assert planned["week"] == {"mon": ["08:00-12:00", "13:00-17:00"]}


def test_a_skill_that_a_visit_needs_is_taken_away_only_for_a_reason(isp: Settings, type_: Type) -> None:
    add = ("technicians", "add", 77, "--name", "Tess")
    type_(*add, "--skill", "splicing")
    type_("visits", "job", "splice", "--minutes", 60, "--skill", "splicing")
    where = ("--customer", 1001, "--address", "Lindenweg 1, Northtown", "--job", "splice")
    visit = ("visits", "book", *where, "--technician", 77, "--at", "2036-03-10T09:00+0100")
    for_nobody = type_(*visit, "--run", 999)
    assert (for_nobody.status, "run 999" in for_nobody.err.lower()) == (2, True), for_nobody.err
    booked = type_(*visit, "--json").json
    refused = type_(*add)
    needed = f"Technician Tess would lack splicing, and has visits that need it: {booked['visit_id']};"
    assert (refused.status, needed in refused.err) == (2, True), refused.err
    assert type_(*add, "--override-reason", "Theo goes along", "--by", "dora", "--json").json["skills"] == []
    [kept] = type_("visits", "list", "--technician", 77, "--json").json
    assert kept["override_reason"] == "Theo goes along"


def test_a_van_is_booked_in_and_out_and_its_history_is_shown(isp: Settings, type_: Type) -> None:
    type_("technicians", "add", 77, "--name", "Tess")
    stock = ("technicians", "stock")
    assert type_(*stock, "list", 77).out == "nothing\n"
    booked = type_(*stock, "in", 77, "hwtc4a2b9c01", "HWTC4A2B9C02", "--by", "dora")
    assert [each.split()[:2] for each in booked.out.splitlines()[1:]] == [
        ["HWTC4A2B9C01", "owned"],
        ["HWTC4A2B9C02", "owned"],
    ]
    assert type_(*stock, "out", 77, "HWTC4A2B9C01", "--reason", "broken", "--json").json[0]["state"] == "out"
    refused = type_(*stock, "out", 77, "HWTC4A2B9C01", "--reason", "broken")
    assert (refused.status, "Not in the van of technician 77: HWTC4A2B9C01" in refused.err) == (2, True)
    assert [one["serial"] for one in type_(*stock, "list", 77, "--json").json] == ["HWTC4A2B9C02"]
    again = type_(*stock, "in", 77, "HWTC4A2B9C01", "--reason", "mended", "--json").json
    assert [one["state"] for one in again] == ["owned"]
    shown = type_(*stock, "history", "485754434A2B9C01").out
    assert shown.startswith("HWTC4A2B9C01\n")
    assert all(word in shown for word in ("owned", "dora", "broken", "mended"))
