"""What an operator reads when the machine is not as it should be: one sentence, one exit status, never a traceback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

EVERYTHING = (
    ("runs", "list"),
    ("runs", "show", 1),
    ("runs", "retry", 1),
    ("runs", "signal", 1, "appointment"),
    ("runs", "cancel", 1, "--reason", "x"),
    ("visits", "list"),
    ("visits", "report", 1, "no_access"),
    ("line", "answer", 1, "--port", "0/0/1"),
    ("line", "removed", 1),
    ("keys", "reveal", "secret:nas/1", "--reason", "x"),
    ("check",),
)
KEPT = ("addresses", "reserve", "north-v4", "100.64.3.9", "--reason", "museum")


@pytest.mark.parametrize("words", EVERYTHING, ids=lambda words: "-".join(map(str, words[:2])))
def test_a_database_that_was_never_migrated_names_the_command_that_helps(
    type_: Type, database_url: str, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...]
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", database_url)
    assert type_("keys", "create").status == 0
    typed = type_(*words)
    assert (typed.status, typed.out) == (1, "")
    assert typed.err.startswith("failed: The database hasn't this release's tables (")
    assert typed.err.endswith("): run `firstlight migrate`.\n")
    assert len(typed.err.splitlines()) == 1
    assert type_(*words, "--json").json["error"]["code"] == "provisioning.database_not_migrated"


def test_a_radius_database_without_tables_is_told_by_name(isp: Settings, type_: Type) -> None:
    Path(isp.radius_database_url.removeprefix("sqlite:///")).unlink()
    typed = type_("check")
    assert typed.status == 1
    assert "run `firstlight migrate`" in typed.err


@pytest.mark.parametrize("words", EVERYTHING[:1] + EVERYTHING[-1:], ids=lambda words: words[0])
def test_without_a_keyring_both_ways_to_make_one_are_named(
    type_: Type, tmp_path: Path, words: tuple[object, ...]
) -> None:
    typed = type_(*words)
    assert typed.status == 1
    assert typed.err.startswith(f"failed: The keyring {tmp_path}/data/sealing-key.json can't be read (No such file")
    assert "make it with `firstlight migrate` (or `firstlight keys create`)" in typed.err


def test_a_keyring_that_others_can_read_is_refused(isp: Settings, type_: Type) -> None:
    isp.sealing_key_file.chmod(0o644)
    typed = type_("runs", "list")
    assert typed.status == 1
    assert "has mode 0644, so others can read or change it" in typed.err


def test_a_database_that_is_down_is_told_without_its_password(
    isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", "postgresql://isp:hunter2@127.0.0.1:1/isp")
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_DATABASE_URL", isp.radius_database_url)
    for words in (("runs", "list"), ("check",), ("migrate",)):
        typed = type_(*words)
        assert typed.status == 1
        assert typed.err.startswith("failed: The database can't be reached, nothing was changed: connection failed")
        assert "hunter2" not in typed.err
        assert len(typed.err.splitlines()) == 1


def test_a_file_that_is_no_database_is_said_to_be_none(isp: Settings, type_: Type) -> None:
    Path(isp.data_dir / "firstlight.db").write_text("not a database, " * 1000)
    typed = type_("runs", "list")
    assert (typed.status, typed.err) == (1, "failed: The database refused: file is not a database.\n")


def test_a_data_folder_that_cannot_be_made_is_named(
    type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FIRSTLIGHT_DATA_DIR", str(tmp_path / "file" / "data"))
    for words in (("migrate",), ("keys", "create"), ("runs", "list")):
        typed = type_(*words)
        assert typed.status == 1
        assert "Not a directory" in typed.err
        assert str(tmp_path / "file") in typed.err


def test_all_wrong_settings_are_named_at_once(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTLIGHT_SMTP_PORT", "many")
    monkeypatch.setenv("FIRSTLIGHT_LOG_LEVEL", "loud")
    monkeypatch.setenv("FIRSTLIGHT_DATABSE_URL", "sqlite:///x.db")
    for words in (("runs", "list"), ("worker",), ("migrate",), ("keys", "create")):
        typed = type_(*words)
        assert typed.status == 2
        head, *faults = typed.err.splitlines()
        assert head == "The configuration is refused, nothing was written:"
        assert [fault.split(":")[0].strip() for fault in faults] == [
            "FIRSTLIGHT_DATABSE_URL",
            "FIRSTLIGHT_LOG_LEVEL",
            "FIRSTLIGHT_SMTP_PORT",
        ]
        assert "did you mean FIRSTLIGHT_DATABASE_URL?" in faults[0]
    error = type_("runs", "list", "--json").json["error"]
    assert (error["code"], len(error["faults"])) == ("provisioning.settings_refused", 3)


def test_a_worker_without_an_acs_says_which_setting_it_needs(isp: Settings, type_: Type) -> None:
    typed = type_("worker")
    assert typed.status == 2
    assert "FIRSTLIGHT_GENIEACS_NBI_URL: is needed: where GenieACS answers" in typed.err


def bash(command: str, isp: Settings) -> subprocess.CompletedProcess[str]:
    """The real program, in place of ``firstlight``, as a shell starts it."""
    environment = os.environ | {"FIRSTLIGHT_DATABASE_URL": isp.database_url, "FIRSTLIGHT_DATA_DIR": str(isp.data_dir)}
    command = command.replace("firstlight", f"{Path(sys.executable).parent}/firstlight", 1)
    words = ["bash", "-c", command]
    return subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def test_a_reader_who_has_seen_enough_is_no_error(isp: Settings) -> None:
    done = bash("firstlight runs show 3 | head -1", isp)
    assert done.stdout == "run 3  isp_ticket_to_deployment  ticket/T-3  customer 1003\n"
    assert "Traceback" not in done.stderr


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("closed", "said"), [("<&-", True), (">&-", False), ("2>&-", True), ("<&- >&- 2>&-", False)], ids=str
)
def test_what_a_job_starts_without_a_standard_stream_does_its_work_and_ends_as_done(
    any_isp: Settings, type_: Type, closed: str, said: bool
) -> None:
    done = bash(f"firstlight {' '.join(KEPT)} {closed}", any_isp)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("100.64.3.9 of pool north-v4: reserved\n" if said else "")
    assert type_(*KEPT).out == "100.64.3.9 of pool north-v4: reserved, as before\n"


@pytest.mark.parametrize("words", ["addresses pools", "addresses export", "addresses pools --json"])
def test_standard_output_on_a_full_disk_is_said_to_be_unwritten(isp: Settings, words: str) -> None:
    done = bash(f"firstlight {words} >/dev/full", isp)
    told = "standard output can't be written: No space left on device."
    if "--json" in words:
        error = {"code": "provisioning.file_unusable", "message": told, "faults": []}
        assert (done.returncode, json.loads(done.stderr)) == (1, {"error": error})
    else:
        assert (done.returncode, done.stderr) == (1, f"failed: {told}\n")


def test_a_change_whose_answer_can_not_be_written_is_said_to_be_made_and_a_refusal_stays_one(
    isp: Settings, type_: Type
) -> None:
    done = bash(f"firstlight {' '.join(KEPT)} >/dev/full", isp)
    assert (done.returncode, done.stderr) == (
        1,
        "failed: standard output can't be written: No space left on device. The change was made before that, and stays:"
        " look at what it did, don't repeat it.\n",
    )
    assert type_(*KEPT).out == "100.64.3.9 of pool north-v4: reserved, as before\n"
    refused = bash(f"firstlight {' '.join(KEPT)}-of-arts --json >/dev/full", isp)
    assert (refused.returncode, json.loads(refused.stderr)["error"]["code"]) == (2, "ipam.unit_reserved")


def test_a_file_on_a_full_disk_is_named(isp: Settings, type_: Type, tmp_path: Path) -> None:
    held = tmp_path / "held.csv"
    assert type_("addresses", "export", "--pool", "north-v4", "--to", held).status == 0
    for words in (
        ("addresses", "export", "--to", "/dev/full"),
        ("addresses", "usage", "north-v4", "--svg", "/dev/full"),
        ("addresses", "import", held, "--errors", "/dev/full", "--reason", "takeover"),
        ("addresses", "reconcile", "--csv", "/dev/full"),
    ):
        typed = type_(*words)
        assert (typed.status, typed.out) == (1, ""), words
        assert typed.err == "failed: /dev/full can't be used: No space left on device.\n"
        error = type_(*words, "--json").json["error"]
        assert (error["code"], error["message"]) == (
            "provisioning.file_unusable",
            "/dev/full can't be used: No space left on device.",
        )


def test_a_file_that_can_not_be_written_after_the_change_says_that_it_was_made(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, errors = tmp_path / "held.csv", tmp_path / "errors.csv"
    held.write_text("IP Address,VRF,Status,DNS Name,Description\n100.64.3.9/22,Global,Active,,museum\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(errors))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    typed = type_("addresses", "import", held, "--from", "netbox", "--errors", errors)
    assert (typed.status, typed.out, errors.exists()) == (1, "", False)
    assert typed.err == (
        f"failed: {errors} can't be used: No space left on device. The change was made before that, and stays: look at"
        " what it did, don't repeat it.\n"
    )
    assert type_("addresses", "show", "100.64.3.9", "--json").json["state"] == "reserved"
