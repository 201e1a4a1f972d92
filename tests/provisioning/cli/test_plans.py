"""``firstlight plans``, as an operator types it who changes a rate."""

from __future__ import annotations

import json
from pathlib import Path

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

WHY = ("--reason", "faster for all")
DONE = "c1001-s1@isp.example"


def test_a_plan_is_looked_at_tried_defined_and_its_open_sessions_are_told(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    listed = {plan["name"]: plan for plan in type_("plans", "list", "--json").json}
    assert listed["fiber-300"]["subscribers"] == 3
    assert [each["username"] for each in type_("plans", "subscribers", "fiber-300", "--limit", 200, "--json").json][
        -1
    ] == DONE
    file = tmp_path / "plan.toml"
    file.write_text('plan = "fiber-300"\ndownload_kbps = 400000\nupload_kbps = 100000\n')

    tried = type_("plans", "define", file, *WHY, "--dry-run", "--dialect", "mikrotik")
    assert tried.out.splitlines()[-2:] == [
        "mikrotik",
        "  default/fiber-300:mikrotik  Mikrotik-Rate-Limit = 100000k/400000k",
    ]
    assert "100000k/400000k" not in type_("plans", "render", "fiber-300", "--dialect", "mikrotik").out
    before = len(type_("audit", "list", "--json").json)

    defined = type_("plans", "define", file, *WHY)
    terms, behind = defined.out.splitlines()
    assert (defined.status, terms.partition(", interim")[0]) == (
        0,
        "fiber-300: download_kbps 400000, upload_kbps 100000",
    )
    assert behind == "1 open sessions may have earlier terms: firstlight plans apply fiber-300"
    assert "100000k/400000k" in type_("plans", "render", "fiber-300", "--dialect", "mikrotik").out
    assert type_("plans", "show", "fiber-300", "--json").json["sessions_behind"] == 1
    applied = type_("plans", "apply", "fiber-300", *WHY)
    assert applied.out == "fiber-300: 1 open sessions of 1 subscribers are being told of it\n"
    [change] = type_("subscribers", "changes", DONE, "--json").json
    assert (change["act"], change["state"]) == ("apply_plan", "pending")
    assert type_("plans", "show", "fiber-300").out.splitlines()[1:] == [
        "carried over to FreeRADIUS",
        "no open session has earlier terms",
    ]
    entries = type_("audit", "list", "--json").json
    assert len(entries) == before + 2
    assert {(each["action"], each["reason"]) for each in entries[:2]} == {
        ("plans define", WHY[1]),
        ("plans apply", WHY[1]),
    }


def test_a_file_that_says_no_plan_is_refused_with_every_fault(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"plan": "gold", "download_kbps": "much", "colour": "red"}))
    refused = type_("plans", "define", file, *WHY)
    assert refused.status == 2
    assert {line.strip().split(":")[0] for line in refused.err.splitlines()[1:]} == {
        "download_kbps",
        "upload_kbps",
        "colour",
    }
    file.write_text(json.dumps({"plan": "go ld", "download_kbps": 0, "upload_kbps": 5}))
    meant = type_("plans", "define", file, *WHY)
    assert (meant.status, "its name needs" in meant.err, "download_kbps is 0" in meant.err) == (2, True, True)
    missing = type_("plans", "define", tmp_path / "none.toml", *WHY)
    assert (missing.status, "No such file" in missing.err) == (2, True)
    assert type_("plans", "show", "gold").status == 2
