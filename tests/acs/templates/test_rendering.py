"""Templates are data: what each gives a CPE, and everything that can be wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from acs import Setting, TemplateInputsRefused, TemplateLibrary, TemplatesInvalid, TemplateUnknown, render
from acs.templates.rendering import revision_of

VALUES: dict[str, str | int | None] = {
    "pppoe_username": "u42@isp",
    "pppoe_password": "secret:subscriber/42",
    "cpe_vlan_id": 100,
    "wifi_ssid": "Home",
    "wifi_passphrase": "secret:device/HWTC12345678/wifi",
}
WAN = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{wan}.WANPPPConnection.{ppp}"
SHIPPED = (
    "fiberhome-tr098",
    "huawei-tr098",
    "mikrotik-tr181",
    "nokia-tr098",
    "nokia-tr181",
    "tp-link-tr098",
    "tp-link-tr181",
    "tr098-pppoe",
    "tr181-pppoe",
    "zte-tr098",
)

SOUND = """
title = "Small"
data_model = "TR-181"
[instances]
ppp = { number = 3 }
[inputs.username]
type = "string"
[inputs.vlan]
type = "integer"
default = 7
[[parameters]]
path = "Device.PPP.Interface.{ppp}.Username"
xsd = "xsd:string"
from = "username"
[[parameters]]
path = "Device.X_VENDOR.Vlan"
xsd = "xsd:string"
from = "vlan"
"""


def rows(settings: list[Setting]) -> dict[str, tuple[object, ...]]:
    return {setting.path: (setting.value, setting.xsd_type, setting.secret) for setting in settings}


def library(folder: Path, **files: str) -> TemplateLibrary:
    for name, content in files.items():
        (folder / f"{name}.toml").write_text(content, encoding="utf-8")
    return TemplateLibrary.load(folder)


def test_the_tr181_template_gives_pppoe_vlan_wifi_and_informs(templates: TemplateLibrary) -> None:
    assert rows(render(templates.get("tr181-pppoe"), VALUES)) == {
        "Device.PPP.Interface.{ppp}.Username": ("u42@isp", "xsd:string", False),
        "Device.PPP.Interface.{ppp}.Password": ("secret:subscriber/42", "xsd:string", True),
        "Device.PPP.Interface.{ppp}.Enable": (True, "xsd:boolean", False),
        "Device.Ethernet.VLANTermination.{vlan}.VLANID": (100, "xsd:unsignedInt", False),
        "Device.Ethernet.VLANTermination.{vlan}.Enable": (True, "xsd:boolean", False),
        "Device.WiFi.SSID.1.SSID": ("Home", "xsd:string", False),
        "Device.WiFi.AccessPoint.1.Security.ModeEnabled": ("WPA2-Personal", "xsd:string", False),
        "Device.WiFi.AccessPoint.1.Security.KeyPassphrase": ("secret:device/HWTC12345678/wifi", "xsd:string", True),
        "Device.ManagementServer.PeriodicInformEnable": (True, "xsd:boolean", False),
        "Device.ManagementServer.PeriodicInformInterval": (60, "xsd:unsignedInt", False),
    }


def test_the_tr098_template_gives_the_same_by_its_own_paths(templates: TemplateLibrary) -> None:
    settings = rows(render(templates.get("tr098-pppoe"), VALUES))
    assert settings[f"{WAN}.Username"] == ("u42@isp", "xsd:string", False)
    assert settings[f"{WAN}.Password"] == ("secret:subscriber/42", "xsd:string", True)
    assert settings[f"{WAN}.X_HW_VLAN"] == (100, "xsd:unsignedInt", False)
    assert len(settings) == 9


def test_without_a_vlan_nothing_of_it_is_set(templates: TemplateLibrary) -> None:
    settings = rows(render(templates.get("tr181-pppoe"), {**VALUES, "cpe_vlan_id": None}))
    assert not [path for path in settings if "VLAN" in path]


def test_every_input_that_is_wrong_is_named_at_once_and_no_secret_repeated(templates: TemplateLibrary) -> None:
    with pytest.raises(TemplateInputsRefused) as caught:
        render(
            templates.get("tr181-pppoe"),
            {
                "pppoe_password": "hunter2hunter2",
                "cpe_vlan_id": 4095,
                "wifi_ssid": "é" * 17,
                "wifi_passphrase": "secret:device/x/wifi",
                "colour": "red",
            },
        )
    assert caught.value.faults == (
        "colour is no input of it",
        "pppoe_username is missing",
        "pppoe_password has to be a reference (secret:...), never the secret itself",
        "cpe_vlan_id is 4095, the most is 4094",
        "wifi_ssid is 34 bytes long, the most is 32",
    )
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pppoe_username", ""),
        ("pppoe_username", "a\x00b"),
        ("pppoe_username", "a\nb"),
        ("pppoe_username", 5),
        ("pppoe_username", "secret:subscriber/42"),
        ("cpe_vlan_id", True),
        ("cpe_vlan_id", 0),
        ("cpe_vlan_id", "100"),
        ("pppoe_password", "secret:"),
        ("pppoe_password", "secret:a b"),
        ("pppoe_password", 42),
    ],
)
def test_an_ill_typed_input_is_refused(templates: TemplateLibrary, name: str, value: str | int) -> None:
    with pytest.raises(TemplateInputsRefused) as caught:
        render(templates.get("tr181-pppoe"), {**VALUES, name: value})
    assert [fault.split()[0] for fault in caught.value.faults] == [name]


def test_an_unknown_template_is_told_with_the_known_ones(templates: TemplateLibrary) -> None:
    with pytest.raises(TemplateUnknown, match=f"known are: {', '.join(SHIPPED)}"):
        templates.get("nonsense")


def test_a_template_of_ones_own_comes_from_a_folder(tmp_path: Path) -> None:
    added = library(tmp_path, small=SOUND)
    assert added.names == tuple(sorted(("small", *SHIPPED)))
    assert rows(render(added.get("small"), {"username": "u"})) == {
        "Device.PPP.Interface.3.Username": ("u", "xsd:string", False),
        "Device.X_VENDOR.Vlan": ("7", "xsd:string", False),  # a number, where the CPE keeps text
    }


def test_all_faults_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(TemplatesInvalid) as caught:
        library(
            tmp_path,
            broken="title = ",
            Wrong="""
data_model = "TR-069"
colour = "red"
[instances]
wan = { name = "INTERNET" }
[inputs.username]
type = "string"
optionl = true
[inputs.vlan]
type = "integer"
maximum = 4094
default = 9999
[inputs.never]
type = "string"
[inputs."Bad Name"]
type = "string"
[inputs.odd]
type = "secret"
generate = "anything"
[[parameters]]
path = "Device.X.{nowhere}"
xsd = "string"
from = "vlan"
value = 1
[[parameters]]
path = "Device.X.Flag"
xsd = "xsd:boolean"
value = "yes"
[[parameters]]
path = "Device.X.Flag"
xsd = "xsd:unsignedInt"
value = -1
secret = true
[[parameters]]
path = "Device.X.*"
xsd = "xsd:string"
from = "nobody"
when = "nothing"
paht = 1
""",
        )
    faults = caught.value.faults
    assert [fault for fault in faults if fault.startswith("broken.toml: is not TOML")]
    found = "\n".join(faults)
    for expected in (
        "Wrong.toml: the file's name",
        "unknown key colour",
        "title is missing",
        "data_model has to be one of TR-181, TR-098",
        "instances.wan has to be",
        "inputs.username: unknown key optionl",
        "inputs.vlan.default is 9999, the most is 4094",
        "inputs.Bad Name needs a plain name",
        "inputs.odd.generate has to be one of wifi_passphrase",
        "{nowhere} is not among the instances",
        "parameter 1 (Device.X.{nowhere}): xsd has to be one of",
        "parameter 1 (Device.X.{nowhere}): needs either from or value",
        "parameter 2 (Device.X.Flag): the value does not fit xsd:boolean",
        "parameter 3 (Device.X.Flag): the value does not fit xsd:unsignedInt",
        "parameter 3 (Device.X.Flag): a secret cannot stand in a template",
        "Device.X.Flag is there twice",
        "Device.X.* is no parameter path",
        "from names no input: nobody",
        "when names no input: nothing",
        "unknown key paht",
        "inputs.never is not used by any parameter",
    ):
        assert expected in found


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("[[parameters]]", "[[parametres]]", "[[parameters]] are missing"),
        ('path = "Device.PPP', 'path = "InternetGatewayDevice.PPP', "is no path of TR-181"),
        ("[instances]", "instances = 5\n[other]", "instances has to be a table"),
        ('type = "string"', 'type = "secret"', "secret = true belongs to secret inputs"),
        ('from = "username"', 'from = "username"\nsecret = true', "secret = true belongs to secret inputs"),
        ("default = 7", "default = true", "inputs.vlan.default has to be a whole number"),
        ("default = 7", 'minimum = "1"', "inputs.vlan.minimum has to be int"),
        ("number = 3", "number = 0", "instances.ppp has to be"),
    ],
)
def test_one_slip_in_a_template_is_found(tmp_path: Path, was: str, becomes: str, fault: str) -> None:
    with pytest.raises(TemplatesInvalid) as caught:
        library(tmp_path, small=SOUND.replace(was, becomes))
    assert fault in str(caught.value)


def test_the_revision_changes_with_every_value_and_not_with_the_order() -> None:
    one = Setting("Device.A", 1, "xsd:unsignedInt", False)
    two = Setting("Device.B", "secret:x", "xsd:string", True)
    first = revision_of("TR-181", [one, two], secret_version=1)
    assert first == revision_of("TR-181", [two, one], secret_version=1)
    assert len(first) == 16
    others = {
        revision_of("TR-098", [one, two], secret_version=1),
        revision_of("TR-181", [one], secret_version=1),
        revision_of("TR-181", [Setting("Device.A", 2, "xsd:unsignedInt", False), two], secret_version=1),
        revision_of("TR-181", [one, two], secret_version=2),
    }
    assert len(others | {first}) == 5


def test_a_setting_does_not_show_its_value() -> None:
    assert "hunter2" not in repr(Setting("Device.A", "hunter2", "xsd:string", True))
