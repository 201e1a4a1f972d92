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
    file.with_name("bad.toml").write_text(file.read_text().replace("download", "downlod"))
    misspelt = type_("plans", "define", file.with_name("bad.toml"), *WHY)
    assert (misspelt.status, misspelt.err.splitlines()[2]) == (
        2,
        "  downlod_kbps: is not known here; did you mean download_kbps?",
    )
    before = len(type_("audit", "list", "--json").json)

    defined = type_("plans", "define", file, *WHY)
    terms, behind = defined.out.splitlines()
    assert (defined.status, terms.partition(", interim")[0]) == (
        0,
        "fiber-300: download_kbps 400000, upload_kbps 100000",
    )
    assert behind == "1 open session may have earlier terms: firstlight plans apply fiber-300 --reason ..."
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


def test_where_a_plan_keeps_its_subscribers_out_is_said_with_the_plan_and_with_the_nas(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "business.toml"
    file.write_text('plan = "business"\ndownload_kbps = 100000\nupload_kbps = 20000\nvrf = "biz"\n')
    refused = type_("plans", "define", file, *WHY)
    assert (refused.status, "a NAS of dialect mikrotik cannot be told a VRF" in refused.err) == (2, True)
    file.write_text(f'{file.read_text()}where_untold = "refuse_login"\n')

    defined = type_("plans", "define", file, *WHY)

    out = "nobody of plan business is let in at bng-north: a NAS of dialect mikrotik cannot be told a VRF"
    assert (defined.status, defined.out.splitlines()[1]) == (0, out)
    assert type_("plans", "show", "business").out.splitlines()[1] == out
    assert out in type_("nas", "show", "bng-north").out.splitlines()
    [untold] = type_("nas", "show", "bng-north", "--json").json["untold"]
    assert untold == {
        "plan": "business",
        "nas": "bng-north",
        "faults": ["a NAS of dialect mikrotik cannot be told a VRF"],
    }
    assert type_("plans", "show", "fiber-300", "--json").json["untold"] == []
    changed = type_("nas", "change", "bng-north", "--dialect", "wispr", *WHY)
    assert out.replace("mikrotik", "wispr") in changed.out.splitlines()


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


def test_a_number_of_a_plan_is_a_number_and_no_key_is_given_twice(isp: Settings, type_: Type, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    terms = {"plan": "gold", "download_kbps": True, "upload_kbps": "5", "priority": True, "burst_seconds": 1.5}
    file.write_text(json.dumps(terms))
    refused = type_("plans", "define", file, *WHY)
    where = [line.strip().split(":")[0] for line in refused.err.splitlines()[1:]]
    assert (refused.status, where) == (2, ["download_kbps", "upload_kbps", "burst_seconds", "priority"])
    file.write_text('{"plan": "gold", "download_kbps": 1, "upload_kbps": 1, "download_kbps": 2}')
    refused = type_("plans", "define", file, *WHY)
    assert (refused.status, "is not JSON that anybody means: 'download_kbps' is given twice" in refused.err) == (
        2,
        True,
    )
    file = tmp_path / "plan.toml"
    file.write_text('plan = "gold"\ndownload_kbps = true\nupload_kbps = 5\n')
    refused = type_("plans", "define", file, *WHY)
    assert (refused.status, refused.err.splitlines()[1].split(":")[0].strip()) == (2, "download_kbps")
    assert type_("plans", "show", "gold").status == 2


def test_what_is_malformed_in_a_file_hides_nothing_that_cannot_be_meant(
    isp: Settings, type_: Type, tmp_path: Path
) -> None:
    file = tmp_path / "plan.json"
    terms = {"plan": "go ld", "download_kbps": "much", "upload_kbps": 0, "priority": 12, "second_login": "maybe"}
    terms |= {"dns_ipv4": ["9.9.9.9", 5], "dns_ipv6": ["nowhere"], "burst_upload_kbps": 5, "burst_seconds": [1]}
    file.write_text(json.dumps(terms | {"at_cap": "throttle", "cap_plan": 7}))
    for words in ((), ("--dry-run",)):
        refused = type_("plans", "define", file, *WHY, *words)
        head, *faults = refused.err.splitlines()
        assert (refused.status, head) == (2, "The plan plan.json is refused, nothing was written:")
        found = [line.strip().partition(": ") for line in faults]
        malformed = {where for where, _, _ in found} - {"plan"}
        assert malformed == {"download_kbps", "second_login", "dns_ipv4.1", "burst_seconds", "cap_plan"}
        not_meant = [reason.split()[0] for where, _, reason in found if where == "plan"]
        assert not_meant == ["its", "upload_kbps", "priority", "dns_ipv6:"]
    file.write_text(json.dumps({"download_kbps": 5}))
    missing = type_("plans", "define", file, *WHY).err.splitlines()
    assert missing[1:] == ["  plan: is missing", "  upload_kbps: is missing"]
