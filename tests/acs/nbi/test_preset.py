"""No preset leaves that would stop the CPE sessions of a whole ACS."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acs import Condition, NbiRequestInvalid, Preset
from acs.nbi.preset import poison_in
from acs.testing.presets import Poison, parse_precondition

TAG = {"type": "add_tag", "tag": "seen"}
POISON: list[dict[str, Any]] = [
    {"weight": 0, "precondition": "true"},
    {"weight": 0, "configurations": [{"parameter": "Device.X", "value": "1"}]},
    {"weight": 0, "precondition": "DeviceID.ProductClass == 'x'", "configurations": []},
]


@pytest.mark.parametrize(
    "configuration",
    [
        {"type": "value", "name": "Device.ManagementServer.PeriodicInformInterval", "value": 300},
        {"type": "age", "name": "Device.WiFi", "age": 86_400},
        TAG,
        {"type": "delete_tag", "tag": "seen"},
        {"type": "provision", "name": "firstlight_ztp", "args": None},
        {"type": "provision", "name": "firstlight_ztp", "args": ["a", 1, True]},
        {"type": "add_object", "name": "Device.NAT.PortMapping", "object": "web"},
        {"type": "delete_object", "name": "Device.NAT.PortMapping", "object": "web"},
    ],
)
def test_every_kind_that_genieacs_knows_can_be_sent(configuration: dict[str, Any]) -> None:
    document = Preset("p", (configuration,), events={"0 BOOTSTRAP": True}).document
    assert document["configurations"] == [configuration]
    assert poison_in(document) == []


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"type": "nonsense"},
        {"type": None},
        {"type": "value", "name": "Device.*", "value": 1},
        {"type": "value", "name": "Device.X", "value": None},
        {"type": "age", "name": "Device.X", "age": -1},
        {"type": "add_tag", "tag": "a b"},
        {"type": "provision"},
        {"type": "provision", "name": "../x"},
        {"type": "provision", "name": "x", "args": [{"a": 1}]},
        {"type": "add_object", "name": "Device..X"},
        {"type": "add_tag", "tag": "seen", "precondition": "=="},
    ],
)
def test_a_configuration_that_stops_sessions_is_refused(configuration: dict[str, Any]) -> None:
    with pytest.raises(NbiRequestInvalid):
        _ = Preset("p", (configuration,)).document


def test_all_faults_of_a_preset_are_named_at_once() -> None:
    conditions = (Condition("a b", "=", "x"), Condition("Tags.x", "IS NULL", "y"), Condition("Device.X", "=", 'a"b'))
    preset = Preset("a/b", ({"type": "x"},), channel="", events={"?": True}, conditions=conditions)
    with pytest.raises(NbiRequestInvalid) as caught:
        _ = preset.document
    assert len(caught.value.faults) == 7


_WORDS = st.text(max_size=20)
_CONDITIONS = st.builds(
    Condition,
    st.one_of(st.sampled_from(["DeviceID.SerialNumber", "Tags.gold", "Device.DeviceInfo.SoftwareVersion"]), _WORDS),
    st.sampled_from(["=", "<>", "IS NULL", "IS NOT NULL"]),
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), _WORDS),
)


@settings(max_examples=40)
@given(st.lists(_CONDITIONS, max_size=3))
def test_a_precondition_is_read_as_it_was_built_or_is_not_sent(conditions: list[Condition]) -> None:
    preset = Preset("p", (TAG,), conditions=tuple(conditions))
    try:
        document = preset.document
    except NbiRequestInvalid:
        return
    parse_precondition(document["precondition"])
    assert Preset.from_document({"_id": "p", **document}) == preset


@pytest.mark.parametrize("poison", POISON)
def test_poison_at_the_acs_is_known_and_never_put_back(poison: dict[str, Any]) -> None:
    assert len(poison_in(poison)) == 1
    with pytest.raises(NbiRequestInvalid):
        Preset.from_document({"_id": "p", **poison})
    if isinstance(poison.get("precondition"), str) and "==" in poison["precondition"]:
        with pytest.raises(Poison):
            parse_precondition(poison["precondition"])


@pytest.mark.parametrize(
    "precondition",
    [
        "",
        'DeviceID.SerialNumber = "a == b"',
        "Tags.gold IS NOT NULL OR Device.X.Y <> 5",
        '{"_deviceId._OUI": "ACDE48"}',
        "NOT (Events.Inform > NOW() - 5 * 60 * 1000) AND a LIKE 'x%'",
    ],
)
def test_what_others_wrote_and_sessions_survive_is_no_poison(precondition: str) -> None:
    assert poison_in({"precondition": precondition, "configurations": [TAG]}) == []
