"""What follows a module that fails, or changes nothing, decides whether a configuration has a trap."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from radius.doctor.conditions import holds
from radius.doctor.raddb import read_raddb
from radius.doctor.traps import config_traps
from tests.support.freeradius import RADDB

SQLITE = {"FIRSTLIGHT_FREERADIUS_SQL": "sqlite", "FIRSTLIGHT_FREERADIUS_EAP": ""}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our own configuration, private, to be spoilt."""
    made = tmp_path / "raddb"
    shutil.copytree(RADDB, made)
    for path in (made, *made.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return made


def found_in(folder: Path) -> list[str]:
    return [trap["trap"] for trap in config_traps(read_raddb(folder, environment=SQLITE))]


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        ("noop", True),
        ("!noop", False),
        ("(ok || noop) && true", True),
        ("ok && &User-Name", False),
        ("noop || &User-Name", True),
        ("noop && &User-Name =~ /^a(b|c)$/", None),
        ('!("%{sql:SELECT 1}" == "1")', True),
        ('"%{sql:SELECT 1}" != ""', False),
        ('"%{other:SELECT 1}" == "1"', None),
        ('"%{sql:SELECT 1}" == "%{User-Name}"', None),
        ("&Acct-Status-Type == Start || noop", True),
    ],
)
def test_a_condition_is_true_false_or_depends_on_the_packet(condition: str, truth: bool | None) -> None:
    assert holds(condition, "noop", {"sql"}) is truth


@pytest.mark.parametrize(
    ("module", "call", "found"),
    [
        ("exec told {\n wait = yes\n program = /bin/false\n}", "told", ["programs_loaded", "post_auth_rejects"]),
        ("exec told {\n wait = yes\n program = /bin/false\n}", "told { default = 1 }", ["programs_loaded"]),
        ("exec told {\n wait = no\n program = /bin/false\n}", "told", ["programs_loaded"]),
        ("linelog told { filename = /tmp/a }", "told.post-auth", ["post_auth_rejects"]),
        ("detail told { filename = /tmp/a }", "told { fail = 1 }", []),
    ],
)
def test_a_program_or_file_whose_failure_rejects_is_found_where_accepts_come_by(
    copy: Path, module: str, call: str, found: list[str]
) -> None:
    modules, site = copy / "modules.conf", copy / "sites" / "subscribers.conf"
    modules.write_text(f"{modules.read_text()}\n{module}\n")
    told = site.read_text()
    site.write_text(told.replace("\t\tbare_reject\n", f"\t\tbare_reject\n\t\t{call}\n"))
    assert found_in(copy) == [trap for trap in found if trap == "programs_loaded"]
    site.write_text(told.replace("post-auth {\n", f"post-auth {{\n\t{call}\n", 1))
    assert found_in(copy) == found


def test_the_pool_that_modules_share_is_looked_at_once_and_by_its_owner_s_name(copy: Path) -> None:
    path = copy / "sql" / "postgresql.conf"
    path.write_text(path.read_text().replace("$INCLUDE pool.conf", "pool { max = 12 }", 1))
    raddb = read_raddb(copy, environment={"FIRSTLIGHT_FREERADIUS_SQL": "postgresql"})
    assert [trap["what"] for trap in config_traps(raddb)] == ["sql: pool max is 12, with 16 threads"]


@pytest.mark.parametrize(
    ("accounting", "is_found"),
    [
        ("sql", True),
        ("sql { noop = return }  ok", True),
        ("sql  handled", True),
        ("sql  if (noop || notfound) { ok }", False),
        ("detail  sql", False),
        ("sql  if (noop && &Acct-Status-Type == Start) { ok }", True),
        ("sql  if (&Acct-Status-Type == Start) { ok }  else { ok }", False),
        ("if (&User-Name) { sql }  else { handled }  ok", False),
        ("redundant { sql  ok }", False),
        ("redundant { sql  sql }", True),
        ("switch &Acct-Status-Type { case Start { sql  ok }  case { sql } }", True),
        ("sql  switch &Acct-Status-Type { case Start { ok }  case { ok } }", False),
        ("sql  switch &Acct-Status-Type { case Start { ok } }", True),
        ("sql  return  ok", True),
        ("sql  if (!noop) { handled }  group { ok }", False),
    ],
)
def test_whether_a_packet_that_changes_no_row_is_answered_follows_from_every_way_behind_sql(
    copy: Path, accounting: str, is_found: bool
) -> None:
    path = copy / "sites" / "subscribers.conf"
    path.write_text(
        path.read_text().partition("accounting {")[0] + "accounting {\n" + accounting.replace("  ", "\n") + "\n}\n}\n"
    )
    assert found_in(copy) == ["noop_unanswered"] * is_found


@pytest.mark.parametrize(
    ("behind", "is_found"),
    [
        ("if (fail) { do_not_answer }", False),
        ("if (!fail) { pap }  else { do_not_answer }", False),
        ("if (fail && &NAS-Port) { do_not_answer }", True),
        ('if (fail && ("%{sql:SELECT 1}" != "1")) { do_not_answer }', False),
        ('if ("%{sql:SELECT 1}" == "1") { ok }  else { do_not_answer }', False),
        ("if (notfound) { do_not_answer }", True),
        ("update reply { &Class := 1 }  if (fail) { do_not_answer }", True),
    ],
)
def test_whether_a_login_is_refused_with_the_database_follows_from_what_stands_behind_sql(
    copy: Path, behind: str, is_found: bool
) -> None:
    path, policies = copy / "sites" / "subscribers.conf", copy / "policies.conf"
    policies.write_text(
        policies.read_text()
        + "\ndo_not_answer {\n\tupdate control { &Response-Packet-Type := Do-Not-Respond }\n\thandled\n}\n"
    )
    asked = "\tsql { fail = 1 }\n\t" + behind.replace("  ", "\n\t") + "\n"
    path.write_text(
        path.read_text().replace("\tif (&control:Auth-Type == eap) {\n\t\tok\n\t}\n", f"{asked}\tif (ok) {{\n\t}}\n")
    )
    assert found_in(copy) == ["database_down_rejects"] * is_found


def test_a_server_whose_logins_are_refused_is_told_though_eap_keeps_silent_elsewhere(copy: Path) -> None:
    policies = copy / "policies.conf"
    head, _, rest = policies.read_text().partition("nothing_was_read {")
    spoilt = rest.replace(
        "\tupdate control {\n\t\t&Response-Packet-Type := Do-Not-Respond\n\t}\n\thandled\n", "\treject\n", 1
    )
    policies.write_text(f"{head}nothing_was_read {{{spoilt}")
    assert "Do-Not-Respond" in policies.read_text()
    told = config_traps(read_raddb(copy, environment=SQLITE))
    assert [(trap["trap"], trap["what"].partition(":")[0]) for trap in told] == [
        ("database_down_rejects", "server subscribers"),
        ("database_down_rejects", "server tunnel"),
    ]
