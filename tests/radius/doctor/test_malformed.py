"""A configuration that FreeRADIUS could not read is said so, file by file, and never called free of traps."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioning.database import Database
from radius import Patient, examine
from radius.doctor.conditions import always_true
from radius.doctor.examination import malformed_traps
from radius.doctor.raddb import read_raddb
from tests.support.freeradius import RADDB

VARIABLES = {"FIRSTLIGHT_FREERADIUS_SQL": "sqlite", "FIRSTLIGHT_FREERADIUS_EAP": ""}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    made = tmp_path / "raddb"
    shutil.copytree(RADDB, made)
    return made


def faults(folder: Path) -> list[str]:
    found = malformed_traps(read_raddb(folder, environment=VARIABLES))
    assert {trap["trap"] for trap in found} <= {"configuration_malformed"}
    return [trap["what"].removeprefix(f"{folder}/") for trap in found]


@pytest.mark.parametrize(
    ("before", "fault"),
    [
        ("thread pool {\n", "radiusd.conf line 1: thread pool { is not closed"),
        ("# a comment with }\n}\n", "radiusd.conf line 2: } closes what was not opened"),
        ('name = \\\n  "x{"\nlog {\n  file = "hush}\n}\n', "radiusd.conf line 4: file has a quote that is not closed"),
        ("log {\n  file = 'hush\\'\n}\n", "radiusd.conf line 2: file has a quote that is not closed"),
        ("hush hush\n", "radiusd.conf line 1: is neither a value nor a section"),
    ],
)
def test_the_line_that_the_server_cannot_read_is_named_without_what_may_be_a_secret(
    copy: Path, before: str, fault: str
) -> None:
    assert faults(copy) == []
    path = copy / "radiusd.conf"
    path.write_text(before + path.read_text())
    assert faults(copy) == [fault]


@pytest.mark.parametrize("condition", ["(never)", "(noop || (!False && &User-Name))", "(&User-Name == 'x') && nevr"])
def test_a_word_for_which_the_server_does_not_start_is_named_with_what_may_stand_there(
    copy: Path, condition: str
) -> None:
    path = copy / "policies.conf"
    lines = len(path.read_text().splitlines())
    path.write_text(
        path.read_text() + f"hashed {{\n  ok\n  if (noop) {{\n    ok\n  }}\n  elsif {condition} {{\n    ok\n  }}\n}}\n"
    )
    [word] = re.findall(r"never|False|nevr", condition)
    [fault] = faults(copy)
    assert fault.startswith(f"policies.conf line {lines + 6}: elsif asks for {word}, which is no code that a module")
    said = subprocess.run(
        ["/usr/sbin/freeradius", "-XC", "-d", _alone(copy.parent / "alone", condition)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (said.returncode, "Expected a module return code" in said.stdout) == (1, True)


def _alone(folder: Path, condition: str) -> Path:
    folder.mkdir()
    server = f"server s {{\n authorize {{\n if {condition} {{\n ok\n }}\n }}\n}}\n"
    (folder / "radiusd.conf").write_text(f"raddbdir = {folder}\nlogdir = {folder}\n{server}")
    return folder


def test_words_that_the_server_takes_are_none(copy: Path) -> None:
    known = "(NotFound || true || 0 || class || User-Name || &User-Name == bob || <integer>&NAS-Port > foo)"
    other = '("%{sql:SELECT a && b}" || (&Called-Station-Id =~ /^(a|b) never$/i) || bob == &User-Name || "")'
    path = copy / "policies.conf"
    path.write_text(
        path.read_text() + f"hashed {{\n  if {known} {{\n    ok\n  }}\n  elsif {other} {{\n    ok\n  }}\n}}\n"
    )
    assert (faults(copy), always_true(known), always_true(other)) == ([], [], [])
    assert always_true("""("notfound" || 'x' || "%{User-Name}")""") == ['"notfound"', "'x'"]


@pytest.mark.parametrize("content", ["", "# nothing\n", "name = x\n"])
def test_a_configuration_that_serves_nobody_is_one(copy: Path, content: str) -> None:
    (copy / "radiusd.conf").write_text(content)
    assert faults(copy) == ["radiusd.conf and what it includes have no server that takes logins or accounting"]


def test_what_is_sound_is_read_whatever_stands_in_its_expressions(copy: Path) -> None:
    path = copy / "policies.conf"
    path.write_text(path.read_text() + 'hashed {\n  if (&User-Name =~ /^a#"{2}/) {\n    ok\n  }\n}\n')
    assert faults(copy) == []


@pytest.mark.either_database
async def test_of_one_that_cannot_be_read_no_other_trap_is_told_and_that_is_said(copy: Path, tmp_path: Path) -> None:
    (copy / "radiusd.conf").write_text("log { auth_badpass = yes\n")
    down = Database(f"postgresql+psycopg://nobody@/nothing?host={tmp_path}")
    patient = Patient(copy, (), timedelta(days=30), environment=VARIABLES, program="/bin/false")
    found = await examine(patient, down.read, now=datetime.now(UTC))
    await down.close()
    assert [trap["trap"] for trap in found["traps"]] == ["configuration_malformed", "database_unavailable"]
    assert found["not_looked_at"][0] == "what else stands in the configuration, since it can't be read as it is"
