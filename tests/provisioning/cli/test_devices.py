"""``firstlight devices``, as an operator types it."""

from __future__ import annotations

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type


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
