"""``firstlight devices``, as an operator types it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type

SERIAL = "HWTC00000001"


def test_cpes_are_listed_and_one_is_shown_with_what_keeps_it(isp: Settings, type_: Type) -> None:
    listed = type_("devices", "list", "--json").json
    verified = [each for each in listed if each["state"] == "accepted_unverifiable"]
    assert [each["customer_id"] for each in verified] == [1001]
    lines = type_("devices", "list").out.splitlines()
    assert lines[0].split()[:4] == ["#", "serial", "state", "customer"]
    assert any(verified[0]["device_serial"] in line and "accepted_unverifiable" in line for line in lines)
    assert type_("devices", "list", "--state", "accepted_unverifiable", "--json").json == verified
    assert type_("devices", "list", "--state", "withdrawn").out == "no such CPE\n"

    shown = type_("devices", "show", verified[0]["device_serial"].lower()).out
    assert f"template {verified[0]['template']} (TR-181), revision {verified[0]['revision']}" in shown
    assert "The CPE has its settings; its secrets it took and does not show." in shown
    assert type_("devices", "show", "NOSUCH").err == "refused: CPE NOSUCH is not bound to any service.\n"


def test_a_cpe_that_was_refused_in_its_first_session_is_shown_with_why_and_what_to_do(
    isp: Settings, type_: Type
) -> None:
    assert type_("devices", "list", "--refused").out == "no such CPE\n"
    with closing(sqlite3.connect(make_url(isp.database_url).database or "")) as database, database:
        database.execute(
            "UPDATE acs_device SET state = 'unreachable', refused_at = '2026-11-27 12:00:00', refused_by = 'default',"
            " verified_at = NULL,"
            " refused_why = 'old_code' WHERE serial = ?",
            (SERIAL,),
        )
    shown = type_("devices", "show", SERIAL).out
    assert "told nothing in a first session at ACS default 2026-11-27 12:00:00 UTC" in shown
    assert "It showed its code of before the key was rotated, which is good no more." in shown
    assert f"Give it the code that `firstlight devices acs codes {SERIAL} --reason ...` tells" in " ".join(
        shown.split()
    )
    listed = type_("devices", "list", "--refused").out
    assert SERIAL in listed and "before the key was rotated" in " ".join(listed.split())


def test_what_is_done_to_a_cpe_is_written_down_listed_and_taken_back(isp: Settings, type_: Type) -> None:
    asked = type_("devices", "reboot", SERIAL, "--reason", "it hangs", "--by", "nora", "--json").json
    assert (asked["state"], asked["kind"], asked["requested_by"]) == ("requested", "reboot", "nora")
    number = asked["operation_id"]
    assert f"operation {number}: reboot of CPE {SERIAL}" in type_("devices", "operation", number).out
    assert "It is written down; nothing was sent yet." in type_("devices", "operations", SERIAL).out
    busy = type_("devices", "factory-reset", SERIAL, "--reason", "again")
    assert (busy.status, "is in the middle of operation" in busy.err) == (2, True)
    taken_back = type_("devices", "cancel", number, "--reason", "it works again")
    assert (taken_back.status, "It was cancelled. Nothing was sent." in taken_back.out) == (0, True)
    entries = type_("audit", "list", "--json").json
    assert {entry["subject"] for entry in entries} == {f"device_operation/{number}"}
    assert {entry["reason"] for entry in entries} == {"it hangs", "it works again"}


def test_a_setting_is_path_and_value_and_what_a_template_sets_is_changed_there(isp: Settings, type_: Type) -> None:
    asked = type_("devices", "set", SERIAL, "Device.WiFi.Radio.1.Channel=11", "--reason", "interference", "--json").json
    assert asked["arguments"] == {"values": {"Device.WiFi.Radio.1.Channel": "11"}}
    assert "  values: Device.WiFi.Radio.1.Channel=11\n" in type_("devices", "operation", asked["operation_id"]).out
    wrong = type_("devices", "set", SERIAL, "Channel", "A.B=1", "A.B=2", "--reason", "x")
    assert (wrong.status, "'Channel' is no PATH=VALUE" in wrong.err, "A.B is set twice" in wrong.err) == (2, True, True)
    owned = type_("devices", "set", SERIAL, "Device.PPP.Interface.1.Enable=false", "--reason", "x")
    assert (owned.status, "is set by template tr181-pppoe" in " ".join(owned.err.split())) == (2, True)


def test_a_reason_that_says_nothing_is_refused_with_all_else_that_is_wrong(isp: Settings, type_: Type) -> None:
    for words in (
        ("reboot", SERIAL),
        ("factory-reset", SERIAL),
        ("firmware", SERIAL, "v2.bin"),
        ("set", SERIAL, "Device.WiFi.Radio.1.Channel=11"),
        ("swap", SERIAL, "HWTC0000BEEF", "--line-by-hand"),
        ("wifi", SERIAL, "--ssid", "Attic"),
        ("withdraw", SERIAL),
    ):
        refused = type_("devices", *words, "--reason", " ")
        assert (refused.status, refused.err.splitlines()[1:]) == (2, ["  reason: is missing"]), words
    assert type_("devices", "operations").out == "no operations\n"
    assert type_("audit", "list", "--json").json == []
    wrong = type_("devices", "set", SERIAL, "Channel", "A.B=1", "--reason", "")
    assert wrong.err.splitlines() == [
        f"The setting of CPE {SERIAL} is refused, nothing was written:",
        "  A.B begins neither with Device nor with InternetGatewayDevice",
        "  values: 'Channel' is no PATH=VALUE",
        "  reason: is missing",
    ]
    assert "There is no campaign 'x'." in type_("campaigns", "cancel", "x", "--reason", "").err


def test_a_passphrase_comes_from_a_file_and_is_not_shown(isp: Settings, type_: Type, tmp_path: Path) -> None:
    (tmp_path / "passphrase").write_text("seven green bottles\n")
    changed = type_(
        "devices", "wifi", SERIAL, "--ssid", "Attic", "--passphrase-file", tmp_path / "passphrase", "--reason", "asked"
    )
    assert changed.status == 0, changed.err
    assert "wifi of CPE" in changed.out
    assert "  ssid: Attic\n  passphrase: (not shown)\n" in changed.out
    assert "green" not in changed.out + str(type_("audit", "list", "--json").json)
    assert type_("devices", "show", SERIAL, "--json").json["inputs"]["wifi_ssid"] == "Attic"
    short = type_("devices", "wifi", SERIAL, "--reason", "asked")
    assert (short.status, "neither a name nor a passphrase is given" in short.err) == (2, True)


def test_who_asks_the_acs_needs_to_know_where_it_is(isp: Settings, type_: Type) -> None:
    for command in (("readings", SERIAL), ("missed-informs",)):
        refused = type_("devices", *command)
        assert (refused.status, "FIRSTLIGHT_GENIEACS_NBI_URL" in refused.err) == (2, True), command


def test_a_cpe_s_settings_are_shown_and_overridden_with_a_reason(isp: Settings, type_: Type) -> None:
    serial = next(each for each in type_("devices", "list", "--json").json if each["customer_id"] == 1001)[
        "device_serial"
    ]
    shown = type_("devices", "render", serial).out
    assert "Device.PPP.Interface.1.Username" in shown
    assert "secret:" in shown

    before = type_("devices", "render", serial, "--json").json
    ssid = "Device.WiFi.SSID.1.SSID"
    told = type_("devices", "override", serial, "wifi_ssid=Mine", "--reason", "asked by phone", "--json").json
    assert told["revision"] != before["revision"]
    assert [each["value"] for each in told["parameters"] if each["path"] == ssid] == ["Mine"]
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "devices override"]
    assert (entry["reason"], entry["after"]["overrides"]) == ("asked by phone", ["wifi_ssid"])

    assert type_("devices", "override", serial, "--remove", "wifi_ssid", "--reason", "enough").out.count(ssid) == 1
    assert type_("devices", "render", serial, "--json").json["revision"] == before["revision"]

    refused = type_("devices", "override", serial, "colour", "wifi_ssid=x", "--remove", "wifi_ssid")
    assert refused.status == 2
    for fault in ("colour: is not NAME=VALUE", "wifi_ssid: is changed and removed", "--reason: says nothing"):
        assert fault in refused.err


def test_the_templates_are_listed_with_how_sure_they_are(isp: Settings, type_: Type) -> None:
    listed = type_("devices", "templates").out
    assert "huawei-tr098" in listed
    assert "refuses cpe_vlan_id." in listed
    assert {each["name"] for each in type_("devices", "templates", "--json").json} > {"tr098-pppoe", "mikrotik-tr181"}


def test_a_cpe_is_withdrawn_and_another_one_bound_by_hand(isp: Settings, type_: Type) -> None:
    served, new = "c1001-s1@isp.example", "HWTC0000000A"
    bind = ("devices", "provision", new, served, "cpe_vlan_id=100", "--template", "tr181-pppoe", "--reason", "her own")
    taken = type_(*bind, "--line-by-hand")
    assert (taken.status, f"is served by CPE {SERIAL}, which `firstlight devices swap` replaces" in taken.err) == (
        2,
        True,
    )
    gone = type_("devices", "withdraw", SERIAL, "--reason", "she brings her own")
    assert (gone.status, f"{SERIAL}  ↩ withdrawn, customer 1001" in gone.out) == (0, True), gone.out + gone.err
    assert f"OLT-3 lets CPE {SERIAL} in on this line" in " ".join(type_(*bind).err.split())
    wrong = type_(*bind[:4], "colour", "x=1", *bind[5:], "--line-by-hand")
    assert (wrong.status, "colour: is not NAME=VALUE" in wrong.err) == (2, True)

    bound = type_(*bind, "--line-by-hand", "--json").json
    assert (bound["device_serial"], bound["state"], bound["customer_id"]) == (new, "awaiting_first_inform", 1001)
    assert type_(*bind, "--line-by-hand", "--json").json == bound
    entries = [
        (each["action"], each["reason"], each["subject"], each["customer_id"])
        for each in type_("audit", "list", "--json").json
    ]
    assert entries == [
        ("devices provision", "her own", f"device/{new}", 1001),
        ("devices withdraw", "she brings her own", f"device/{SERIAL}", 1001),
    ]


def test_cpes_are_bound_from_a_list_once_every_line_is_right(isp: Settings, type_: Type, tmp_path: Path) -> None:
    type_("devices", "withdraw", SERIAL, "--reason", "another")
    file, errors = tmp_path / "cpes.csv", tmp_path / "errors.csv"
    file.write_text("serial,username,cpe_vlan_id\nHWTC0000000A,c1001-s1@isp.example,5000\n")
    words = ("devices", "import", file, "--template", "tr181-pppoe", "--line-by-hand", "--reason", "we come from there")
    refused = type_(*words, "--errors", errors)
    assert (refused.status, "line 2: cpe_vlan_id is 5000, the most is 4094" in refused.err) == (2, True)
    assert errors.read_text().endswith(',"cpe_vlan_id is 5000, the most is 4094"\n')
    file.write_text("serial,username,cpe_vlan_id\nHWTC0000000A,c1001-s1@isp.example,50\n")
    assert type_(*words, "--dry-run").out == "1 lines: 1 CPEs to be bound, 0 bound already\nnothing was written\n"
    assert type_(*words, "--json").json == {"lines": 1, "bound": 1, "unchanged": 0, "dry_run": False}
    assert type_(*words, "--json").json == {"lines": 1, "bound": 0, "unchanged": 1, "dry_run": False}
    [entry] = [each for each in type_("audit", "list", "--json").json if each["action"] == "devices import"]
    assert (entry["subject"], entry["reason"], entry["after"]["bound"]) == (
        "import/devices",
        "we come from there",
        1,
    )


def test_a_passphrase_file_that_cannot_be_read_is_named(isp: Settings, type_: Type, tmp_path: Path) -> None:
    missing = type_("devices", "wifi", SERIAL, "--passphrase-file", tmp_path / "none", "--reason", "asked")
    assert (missing.status, "none" in missing.err) == (1, True)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    binary = type_("devices", "wifi", SERIAL, "--passphrase-file", tmp_path / "binary", "--reason", "asked")
    assert (binary.status, "is not UTF-8 text" in binary.err) == (2, True)
