"""``firstlight migrate``, ``import``, ``check`` and ``worker``: from an empty machine to one that works."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioning.cli import operate
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.healthy_estate import vandal

ESTATE = Path(__file__).parents[3] / "deploy" / "examples" / "lab-estate.toml"
FIRSTLIGHT = Path(sys.executable).parent / "firstlight"


@pytest.fixture
def empty(database_url: str, type_: Type, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine on which `firstlight migrate` has just been typed."""
    monkeypatch.setenv("FIRSTLIGHT_DATABASE_URL", database_url)
    assert type_("migrate").out == "every table has this release's shape\n"
    return database_url


def test_migrate_makes_the_tables_and_the_key_and_may_be_repeated(empty: str, type_: Type, tmp_path: Path) -> None:
    key = tmp_path / "data" / "sealing-key.json"
    made = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert type_("migrate", "--json").json == {"migrated": True, "notices": []}
    assert key.read_bytes() == made
    assert type_("runs", "list").out == "no runs\n"
    assert type_("visits", "list").out == "no visits\n"
    assert type_("check").out.endswith("invariants asked: all hold\n")


def test_an_estate_is_imported_and_again_changes_nothing(empty: str, type_: Type) -> None:
    people = (
        "2 offers, 4 teams, 1 visit_jobs, 1 technicians, 1 customers, 1 site_surveys, 1 license_templates, 1 partners"
    )
    network = "1 bngs, 1 sites, 1 plans, 1 access_nodes, 2 locations, 3 pools, 1 vlan_groups, 1 svlans"
    said = f"imported: {network}, 1 rates, 1 nas, {people}\n"
    changed = (
        *("bng created: bng-north", "site created: northtown", "access_node created: OLT-3"),
        *("location created: LOC-10293, LOC-10294", "plan created: fiber-300"),
        "pool created: north-v4, north-wan6, north-pd",
        *("vlan_group created: aggregation-north", "svlan created: aggregation-north/101"),
    )
    assert type_("import", ESTATE).out == said + "".join(f"  {line}\n" for line in changed)
    assert type_("import", ESTATE).out == f"{said}nothing changed in the network\n"
    again = type_("import", ESTATE, "--json").json
    assert (again["imported"]["customers"], again["network"]) == (1, [])
    checked = type_("check", "--json")
    assert (checked.status, checked.json["failed"], checked.json["findings"]) == (0, 0, [])


def test_an_import_says_what_it_changed_in_the_network(empty: str, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text('[[network.plan]]\nname = "p4"\naccess = "pppoe"\n')
    created = [{"part": "plan", "outcome": "created", "count": 1, "names": ["p4"]}]
    assert type_("import", file, "--json").json["network"] == created
    file.write_text(file.read_text() + "ipv6_pd = true\n")
    assert type_("import", file).out == "imported: 1 plans\n  plan changed: p4\n"
    file.write_text("")
    assert type_("import", file).out == "imported: nothing\n"


def test_a_rule_changed_by_hand_is_not_changed_back_by_an_import(empty: str, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "cgnat.toml"
    pool = '[[network.pool]]\nname = "cg"\nkind = "ipv4"\nrole = "cgnat"\nnetwork = "100.64.0.0/25"\n'
    rule = '[[network.nat_rule]]\npool = "cg"\noutside = "203.0.113.128/28"\nports_per_subscriber = 4032\n'
    file.write_text(pool + rule)
    by_hand = ("addresses", "nat-rule", "cg", "--outside", "203.0.113.128/28", "--reason", "box changed tonight")
    assert type_("import", file).status == 0
    assert type_(*by_hand, "--ports", 2016).status == 0
    refused = type_("import", file)
    assert refused.status == 2
    assert "2016 ports each of 203.0.113.128/28 since" in " ".join(refused.err.split())
    assert type_("addresses", "nat-rules", "--json").json[0]["ports_per_subscriber"] == 2016
    assert type_("addresses", "nat-end-rule", "cg", "--reason", "box gone").status == 0
    assert "was ended by hand (nat-end-rule)" in " ".join(type_("import", file).err.split())
    assert type_("addresses", "nat-rules", "--json").json == []


def test_every_fault_of_an_estate_stands_on_a_line_of_its_own(empty: str, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "estate.toml"
    file.write_text(
        '[[rate]]\nplan = "gold"\ndownload_kbps = 0\nupload_kbps = 5\n'
        '[[customer]]\nid = 5\nname = "Eve"\nemail = "nowhere"\nphone = "call me"\n'
        '[[site_survey]]\ncustomer_id = 77\nservice_location = "LOC-1"\nresult = "feasible"\n'
        "surveyed_at = 2026-03-02T10:30:00Z\n"
        '[[nas]]\nname = "bng"\naddress = "10.0.0.300"\ndialect = "mikrotik"\n'
    )
    typed = type_("import", file)
    assert typed.status == 2
    head, *faults = typed.err.splitlines()
    assert head == "The estate is refused, nothing was written:"
    wheres = [fault.strip().split(": ")[0] for fault in faults]
    assert wheres == ["rate gold", "nas bng", "customer 5", "customer 5", "site_survey of 77"]
    assert type_("check").status == 0
    assert len(type_("import", file, "--json").json["error"]["faults"]) == 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        ("[[rate]", "is not TOML: "),
        ('[[rate]]\nplan = "gold"\n', "rate.0.download_kbps: is missing"),
        ("[[planet]]\n", "planet: is not known here"),
        ('[[customer]]\nid = "five"\nname = "Eve"\nemail = "e@example.com"\n', "customer.0.id: "),
    ],
)
def test_what_is_no_estate_is_refused_in_words(
    isp: Settings, type_: Type, tmp_path: Path, content: str | None, told: str
) -> None:
    file = tmp_path / "estate.toml"
    if content is not None:
        file.write_text(content)
    typed = type_("import", file)
    assert typed.status == 2
    assert typed.err.startswith("The estate estate.toml is refused, nothing was written:\n")
    assert told in typed.err


def test_check_prints_findings_and_ends_with_status_1(isp: Settings, type_: Type) -> None:
    with vandal(isp.database_url) as hand:
        hand.execute("UPDATE run SET reason = NULL WHERE id = 3", "UPDATE subscription SET service_id = 3")
    typed = type_("check")
    assert typed.status == 1
    lines = typed.out.splitlines()
    assert "✗ runs.at_rest  run 3" in lines
    assert "    Run 3 is held and does not say why." in lines
    assert lines[-1].endswith("invariants asked: 2 broken")
    assert max(map(len, lines)) <= 80
    as_json = type_("check", "--json")
    assert as_json.status == 1
    assert as_json.json["failed"] == 2
    assert {"invariant", "subject", "message"} == set(as_json.json["findings"][0])


def test_check_shows_the_first_findings_of_a_kind_and_says_how_many_more_there_are(
    isp: Settings, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operate, "MOST_OF_ONE", 1)
    with vandal(isp.database_url) as hand:
        hand.execute("UPDATE run SET reason = NULL WHERE id = 3")
    with vandal(isp.radius_database_url) as hand:
        hand.execute("DELETE FROM radcheck")
    kind = "✗ radius.rows_as_wished  "
    some, every = (typed.out.splitlines() for typed in (type_("check"), type_("check", "--all")))
    told = [line for line in every if line.startswith(kind)]
    assert len(told) == len(type_("check", "--json").json["findings"]) - 1 > 1
    assert [line for line in some if line.startswith(kind)] == told[:1]
    assert f"    {len(told) - 1} more of radius.rows_as_wished: --all shows them" in some
    assert "✗ runs.at_rest  run 3" in some


def test_a_worker_works_until_it_is_told_to_stop(isp: Settings, tmp_path: Path) -> None:
    environment = os.environ | {
        "FIRSTLIGHT_DATABASE_URL": isp.database_url,
        "FIRSTLIGHT_DATA_DIR": str(isp.data_dir),
        "FIRSTLIGHT_GENIEACS_NBI_URL": "http://127.0.0.1:1",
        "FIRSTLIGHT_LOG_FORMAT": "json",
    }
    worker = subprocess.Popen([FIRSTLIGHT, "worker"], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert worker.stderr is not None
        for line in worker.stderr:
            if "dispatch is open" in line:
                break
        worker.send_signal(signal.SIGTERM)
        rest = worker.stderr.read()
        assert worker.wait(30) == 0
        assert "Traceback" not in rest
    finally:
        worker.kill()
        worker.wait()
        assert worker.stderr is not None
        worker.stderr.close()


LOGIN = b"1795953813|Access-Accept||pap|10.0.0.9|||c1001-s1@isp.example|bng|02-00|ge-0||.\n"


def test_logins_in_files_are_carried_where_no_worker_runs(
    any_isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = type_("carry-logins", "--once")
    assert (unset.status, "FIRSTLIGHT_RADIUS_LOGIN_DIR: is needed" in unset.err) == (2, True)
    folder = tmp_path / "logins"
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_LOGIN_DIR", str(folder))
    assert type_("carry-logins", "--once").out == "0 logins carried\n"
    folder.mkdir()
    (folder / "logins").write_bytes(LOGIN * 3)
    assert type_("carry-logins", "--once", "--json").json == {"carried": 3}
    assert "accepted" in type_("subscribers", "logins", "c1001-s1@isp.example").out
    with (folder / ".carrier").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said = f"another process carries what is in {folder}; this one has carried nothing\n"
        assert type_("carry-logins", "--once").out == said
        assert type_("carry-logins", "--once", "--json").json == {"carried": None}
    (folder / ".carrier").unlink()
    folder.joinpath(".carrier").mkdir()
    refused = type_("carry-logins", "--once")
    assert (refused.status, f"{folder}/.carrier: Is a directory." in refused.err) == (1, True)


@pytest.mark.parametrize("command", ["worker", "carry-logins"])
def test_who_runs_on_carries_logins_in_files_until_told_to_stop(isp: Settings, tmp_path: Path, command: str) -> None:
    folder = tmp_path / "logins"
    folder.mkdir()
    (folder / "logins").write_bytes(LOGIN)
    environment = os.environ | {
        "FIRSTLIGHT_DATABASE_URL": isp.database_url,
        "FIRSTLIGHT_DATA_DIR": str(isp.data_dir),
        "FIRSTLIGHT_GENIEACS_NBI_URL": "http://127.0.0.1:1",
        "FIRSTLIGHT_RADIUS_LOGIN_DIR": str(folder),
        "FIRSTLIGHT_LOG_FORMAT": "json",
    }
    process = subprocess.Popen([FIRSTLIGHT, command], env=environment, stderr=subprocess.PIPE, text=True)
    try:
        with sqlite3.connect(isp.data_dir / "radius.db") as radius:
            until = time.monotonic() + 60
            while not radius.execute("SELECT 1 FROM radius_login WHERE calling_station = '02-00'").fetchall():
                assert time.monotonic() < until and process.poll() is None
                time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert sorted(path.name for path in folder.iterdir()) == [".carrier"]
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()
