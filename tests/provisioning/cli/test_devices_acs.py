"""``firstlight devices acs``, as an operator types it, against a lab ACS in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from acs.presets import health
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


@pytest.fixture
def acs(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "acs.testing"], stdout=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        url = str(json.loads(lab.stdout.readline())["url"])
        monkeypatch.setenv("FIRSTLIGHT_GENIEACS_NBI_URL", url)
        yield url
        lab.terminate()


def test_what_is_ours_is_shown_installed_and_taken_back(isp: Settings, type_: Type, acs: str) -> None:
    [listed] = type_("devices", "acs", "list", "--json").json
    assert (listed["acs"], listed["url"], listed["cpes"], listed["trouble"]) == ("default", acs, 0, "")
    assert listed["version"].startswith("1.2.16")
    lines = type_("devices", "acs", "diff").out.splitlines()
    assert lines[:2] == ["+ script firstlight_apply", "+ script firstlight_bootstrap"]
    assert lines[-1] == "0 presets and scripts of others stay as they are"
    nothing = type_("devices", "acs", "rollback")
    assert (nothing.status, nothing.err) == (
        2,
        "refused: Nothing was installed at ACS default that could be taken back.\n",
    )


def test_an_install_is_done_once_taken_back_once_and_kept_in_the_audit(
    isp: Settings, type_: Type, acs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TAKE_EFFECT_SECONDS", 0.0)
    installed = type_("devices", "acs", "install", "--by", "noc", "--json").json
    assert installed["state"] == "installed"
    assert installed["reason"] == "No CPE has ever reported to this ACS, so none was waited for."
    assert type_("devices", "acs", "diff", "--json").json["changes"] == []
    assert type_("devices", "acs", "install").out.startswith("unchanged at ACS default: ")
    kept = type_("audit", "list", "--json").json
    assert any(entry["action"] == "devices acs install" for entry in kept), kept
    back = type_("devices", "acs", "rollback", "--by", "noc").out.splitlines()
    assert back[0].startswith("rolled back at ACS default: Taken back by noc. firstlight_apply stays: ")
    assert len(type_("devices", "acs", "diff", "--json").json["changes"]) == 4


def test_an_acs_that_no_setting_names_is_refused(isp: Settings, type_: Type, acs: str) -> None:
    typed = type_("devices", "acs", "diff", "--acs", "south")
    assert typed.status == 2
    assert "There is no ACS 'south'; known are: default." in typed.err


def test_the_code_of_a_cpe_is_the_same_each_time_and_told_to_nobody_without_a_reason(
    isp: Settings, type_: Type
) -> None:
    why = ("--reason", "for the DHCP server", "--by", "nora")
    assert type_("devices", "acs", "codes", "HWTC0000BEEF").status == 2
    assert type_("devices", "acs", "codes", "HWTC0000BEEF", "--reason", " ").status == 2
    assert type_("audit", "list", "--json").json == []
    first = type_("devices", "acs", "codes", "hwtc0000beef", "HWTC0000CAFE", *why, "--json").json
    assert [each["device_serial"] for each in first] == ["HWTC0000BEEF", "HWTC0000CAFE"]
    codes = [each["provisioning_code"] for each in first]
    assert len({*codes}) == 2 and all(len(code) == 32 for code in codes)
    again = type_("devices", "acs", "codes", "485754430000BEEF", *why).out
    assert again == f"HWTC0000BEEF  {codes[0]}\n"
    kept = type_("audit", "list", "--json")
    assert not [code for code in codes if code in kept.out]
    told = [(entry["reason"], entry["after"]["serials"], entry["after"]["typed"]["by"]) for entry in kept.json]
    assert told == [
        ("for the DHCP server", ["HWTC0000BEEF"], "nora"),
        ("for the DHCP server", ["HWTC0000BEEF", "HWTC0000CAFE"], "nora"),
    ]
    wrong = type_("devices", "acs", "codes", "*", "HWTC0000BEEF", "a b", *why)
    assert wrong.status == 2
    assert "'*'" in wrong.err and "'a b'" in wrong.err


def test_the_key_of_codes_is_rotated_once_and_the_former_codes_go_on(isp: Settings, type_: Type) -> None:
    why = ("--reason", "nora has left", "--by", "tom")
    codes = ("devices", "acs", "codes", "HWTC0000BEEF")
    former = type_(*codes, *why).out
    seen = type_("devices", "acs", "rotate-codes", "--dry-run", "--keep-days", "7", *why).out
    assert "nothing is changed" in seen and "would be good for 7 days more" in seen
    assert type_(*codes, *why).out == former
    assert type_("devices", "acs", "rotate-codes", "--reason", " ").status == 2
    rotated = type_("devices", "acs", "rotate-codes", "--keep-days", "7", "--request", "n-1", *why).out.splitlines()
    assert rotated[0] == "There is another key now."
    assert rotated[1].startswith("Codes of the key before are good until 20")
    assert rotated[2].startswith("0 CPEs may yet ask in their first session")
    now = type_(*codes, *why).out
    assert now != former
    again = type_("devices", "acs", "rotate-codes", "--request", "n-1", *why)
    assert again.out.startswith("That was done before; nothing is changed.")
    refused = type_("devices", "acs", "rotate-codes", *why)
    assert refused.status == 2 and "firstlight devices acs end-codes" in refused.err
    assert type_("devices", "acs", "rotate-codes", "--dry-run", *why).err == refused.err
    assert type_("devices", "acs", "end-codes", *why).out.startswith("Codes of the key before ended 20")
    assert type_(*codes, *why).out == now
    assert type_("devices", "acs", "codes", "--waiting", *why).out == ""
    assert type_(*codes, "--waiting", *why).status == 2
    kept = [(each["action"], each["reason"]) for each in type_("audit", "list", "--json").json]
    assert kept.count(("devices acs rotate-codes", "nora has left")) == 1
    assert kept.count(("devices acs end-codes", "nora has left")) == 1


def test_an_acs_that_asks_in_first_sessions_has_one_preset_more(
    isp: Settings, type_: Type, acs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_FIRST_SESSION", "default")
    lines = type_("devices", "acs", "diff").out.splitlines()
    assert {"+ script firstlight_first_session", "+ preset firstlight_first_session"} <= {*lines}
    monkeypatch.setenv("FIRSTLIGHT_GENIEACS_FIRST_SESSION", "default,south")
    refused = type_("devices", "acs", "diff")
    assert "names south, which FIRSTLIGHT_GENIEACS_NBI_URLS does not" in refused.err


def test_a_firmware_is_put_at_the_acs_once_with_a_reason_and_listed(
    isp: Settings, type_: Type, acs: str, tmp_path: Path
) -> None:
    image = tmp_path / "v2.bin"
    image.write_bytes(b"firmware")
    assert type_("devices", "acs", "files").out == "no files\n"
    upload = ("devices", "acs", "upload", image, "--version", "2.0")
    wrong = type_(*upload, "--model", " ", "--oui", "x", "--reason", " ")
    assert (wrong.status, wrong.err.splitlines()[1:]) == (
        2,
        ["  model: is missing", "  oui: 'X' is not six hex digits", "  reason: is missing"],
    )
    fit = ("--model", "HG8245", "--oui", "00259e", "--reason", "mends the WiFi")
    assert type_(*upload, *fit).out == "v2.bin is at ACS default: 2.0 for HG8245 (00259E)\n"
    again = type_(*upload, *fit)
    assert (again.status, "v2.bin is there already, version 2.0" in again.err) == (2, True)
    assert type_(*upload, *fit, "--replace").status == 0
    listed = type_("devices", "acs", "files", "--json").json
    assert [(each["file"], each["bytes"], each["model"], each["oui"], each["version"]) for each in listed] == [
        ("v2.bin", 8, "HG8245", "00259E", "2.0")
    ]
    kept = [entry for entry in type_("audit", "list", "--json").json if entry["action"] == "devices acs upload"]
    assert [(entry["subject"], entry["reason"]) for entry in kept] == [("acs_file/v2.bin", "mends the WiFi")] * 2
