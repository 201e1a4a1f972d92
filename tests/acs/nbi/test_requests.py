"""Nothing GenieACS would die of, or take for more than it says, is ever sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acs import NbiRequestInvalid
from acs.nbi.calls import batches
from acs.nbi.requests import (
    checked_task,
    device_segment,
    fault_segment,
    is_xml_value,
    name_segment,
    query_target,
    tag_segment,
    task_segment,
)

SECRET = "hunter2\x00hunter2"


@pytest.mark.parametrize(
    "task",
    [
        {},
        {"name": "nonsense"},
        {"name": None},
        {"name": ["reboot"]},
        {"name": "setParameterValues"},
        {"name": "setParameterValues", "parameterValues": []},
        {"name": "setParameterValues", "parameterValues": [["Device.X.Y", None, "xsd:string"]]},
        {"name": "setParameterValues", "parameterValues": [["Device.X.Y"]]},
        {"name": "setParameterValues", "parameterValues": [["Device.X.*", "a"]]},
        {"name": "setParameterValues", "parameterValues": [["Device.X.Y", SECRET]]},
        {"name": "setParameterValues", "parameterValues": [["Device.X.Y", "a", "string"]]},
        {"name": "setParameterValues", "parameterValues": [["Device.X.Y", 1.5]]},
        {"name": "getParameterValues", "parameterNames": []},
        {"name": "getParameterValues", "parameterNames": "Device.X"},
        {"name": "getParameterValues", "parameterNames": ["Device.ManagementServer.ConnectionRequestPassword"]},
        {"name": "getParameterValues", "parameterNames": ["Device.ManagementServer"]},
        {"name": "getParameterValues", "parameterNames": ["InternetGatewayDevice.ManagementServer"]},
        {"name": "getParameterValues", "parameterNames": ["Device.DeviceInfo.UpTime", "Device"]},
        {"name": "refreshObject", "objectName": ""},
        {"name": "refreshObject", "objectName": "Device"},
        {"name": "refreshObject", "objectName": "InternetGatewayDevice"},
        {"name": "refreshObject", "objectName": "Device.ManagementServer"},
        {"name": "addObject"},
        {"name": "deleteObject", "objectName": "Device.NAT..1"},
        {"name": "provisions", "provisions": []},
        {"name": "provisions", "provisions": [["../x", "a"]]},
        {"name": "provisions", "provisions": [["refresh"]]},
        {"name": "provisions", "provisions": [["refresh", "Device"]]},
        {"name": "provisions", "provisions": [["refresh", "Device.ManagementServer"]]},
        {"name": "provisions", "provisions": [["apply", {"a": 1}]]},
        {"name": "download", "fileType": "1 Firmware Upgrade Image"},
        {"name": "reboot", "device": "somebody-else"},
        {"name": "reboot", "uniqueKey": "smuggled"},
    ],
)
def test_a_task_that_would_kill_a_worker_is_refused(task: dict[str, Any]) -> None:
    with pytest.raises(NbiRequestInvalid) as caught:
        checked_task(task, unique_key=None, expiry_seconds=None)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "task",
    [
        {"name": "reboot"},
        {"name": "factoryReset"},
        {"name": "refreshObject", "objectName": "Device.WiFi"},
        {"name": "addObject", "objectName": "Device.NAT.PortMapping", "parameterValues": [["ExternalPort", 8080]]},
        {"name": "addObject", "objectName": "Device.NAT.PortMapping"},
        {"name": "deleteObject", "objectName": "Device.NAT.PortMapping.1"},
        {"name": "download", "fileType": "1 Firmware Upgrade Image", "fileName": "fw.bin", "targetFileName": ""},
        {"name": "getParameterValues", "parameterNames": ["Device.DeviceInfo.UpTime"]},
        {"name": "getParameterValues", "parameterNames": ["Device.ManagementServer.PeriodicInformInterval"]},
        {"name": "setParameterValues", "parameterValues": [["Device.PPP.Interface.1.Enable", True, "xsd:boolean"]]},
        {"name": "provisions", "provisions": [["refresh", "Device.WiFi", 1, True]]},
    ],
)
def test_every_task_genieacs_knows_can_be_sent(task: dict[str, Any]) -> None:
    body = json.loads(checked_task(task, unique_key="firstlight:x", expiry_seconds=60))
    assert body == {**task, "uniqueKey": "firstlight:x", "expiry": 60}


def test_all_faults_of_a_task_are_named_at_once() -> None:
    with pytest.raises(NbiRequestInvalid) as caught:
        checked_task(
            {"name": "getParameterValues", "parameterNames": ["Device.*", ""], "device": "x"},
            unique_key="a b",
            expiry_seconds=0,
        )
    assert len(caught.value.faults) == 5


@pytest.mark.parametrize(
    ("collection", "query"),
    [
        ("users", {}),
        ("devices", {"_deviceId._SerialNumber": "*"}),
        ("devices", {"_deviceId._SerialNumber": "HWTC*"}),
        ("devices", {"_deviceId._SerialNumber": "/x/"}),
        ("devices", {"_deviceId._SerialNumber": "/x/i"}),
        ("devices", {"_deviceId._SerialNumber": {"$in": ["A", "/.*/"]}}),
        ("devices", {"_id": {"$regex": "x"}}),
        ("devices", {"_id": {"$where": "1"}}),
        ("devices", {"$where": "1"}),
        ("devices", {"$foo": 1}),
        ("devices", {"$or": []}),
        ("devices", {"$or": [{"_id": {"$foo": 1}}]}),
        ("devices", {"_id": {}}),
        ("devices", {"_id": None}),
        ("devices", {"a b": 1}),
        ("tasks", {"_id": {"$in": ["6b02ea81907534c218261cb2"]}}),
        ("tasks", {"_id": "zzz"}),
    ],
)
def test_a_query_that_would_not_be_taken_literally_is_refused(collection: str, query: dict[str, Any]) -> None:
    with pytest.raises(NbiRequestInvalid):
        query_target(collection, query, ("_id",))


def test_a_projection_is_needed_and_a_limit_of_nothing_is_no_limit() -> None:
    with pytest.raises(NbiRequestInvalid) as caught:
        query_target("devices", {}, (), limit=0, skip=-1)
    assert len(caught.value.faults) == 3


def test_a_query_too_long_for_the_request_line_is_refused() -> None:
    with pytest.raises(NbiRequestInvalid, match="characters long"):
        query_target("devices", {"_id": {"$in": ["00259E-HG8245-HWTC12345678"] * 1000}}, ("_id",))


@pytest.mark.parametrize("task_id", ["zzz", "", "6b02ea81907534c218261cb", "../devices", "6B02EA81907534C218261CB2"])
def test_a_task_id_is_24_hex_digits(task_id: str) -> None:
    with pytest.raises(NbiRequestInvalid):
        task_segment(task_id)


@pytest.mark.parametrize("device_id", ["", "a/b", "a*", "%ZZ", "a b", "..", "a?b", "ä"])
def test_what_is_no_device_id_reaches_no_url(device_id: str) -> None:
    with pytest.raises(NbiRequestInvalid):
        device_segment(device_id)
    with pytest.raises(NbiRequestInvalid):
        fault_segment(f"{device_id}:task_6b02ea81907534c218261cb2")


@pytest.mark.parametrize("tag", ["", ".", "..", "a\nb", "x" * 129])
def test_what_is_no_tag_reaches_no_url(tag: str) -> None:
    with pytest.raises(NbiRequestInvalid):
        tag_segment(tag)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", ".hidden"])
def test_what_is_no_name_of_a_provision_reaches_no_url(name: str) -> None:
    with pytest.raises(NbiRequestInvalid):
        name_segment(name)


@given(st.text(max_size=40))
def test_no_id_reaches_another_device(device_id: str) -> None:
    try:
        segment = device_segment(device_id)
    except NbiRequestInvalid:
        return
    assert "/" not in segment
    assert "?" not in segment
    assert unquote(segment) == device_id  # decoded once by the server, it is the id as stored


@given(st.sampled_from([fault_segment, tag_segment, name_segment, task_segment]), st.text(max_size=40))
def test_no_segment_is_more_than_one_or_arrives_as_something_else(
    segment_of: Callable[[str], str], given_text: str
) -> None:
    try:
        segment = segment_of(given_text)
    except NbiRequestInvalid:
        return
    assert re.fullmatch(r"[A-Za-z0-9_%-]+", segment)
    assert unquote(segment) == given_text


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=8))
def test_many_values_arrive_as_they_were_meant_or_not_at_all(values: list[str]) -> None:
    try:
        groups = list(batches("devices", "_id", values, ("_id",)))
    except NbiRequestInvalid as refused:
        assert refused.faults
        return
    targets = [query_target("devices", {"_id": {"$in": group}}, ("_id",)) for group in groups]
    asked = [json.loads(parse_qs(urlsplit(target).query)["query"][0])["_id"]["$in"] for target in targets]
    assert [value for group in asked for value in group] == list(dict.fromkeys(values))
    assert not any("*" in value or re.fullmatch(r"/.*/[a-z]*", value, re.DOTALL) for value in values)


@given(st.text(max_size=60))
def test_a_query_arrives_as_it_was_meant_or_not_at_all(value: str) -> None:
    try:
        target = query_target("devices", {"_deviceId._SerialNumber": value}, ("_id",))
    except NbiRequestInvalid:
        return
    asked = parse_qs(urlsplit(target).query, keep_blank_values=True)
    assert json.loads(asked["query"][0]) == {"_deviceId._SerialNumber": value}
    assert "*" not in value


@pytest.mark.parametrize("value", ["a\tb\n", "", "p@ss&<1>", "é\U0001f600", 5, True])
def test_what_xml_can_carry_can_be_sent(value: object) -> None:
    assert is_xml_value(value)


@pytest.mark.parametrize("value", ["\x00", "\x1b", "\ud800", "\ufffe", None, 1.5, ["x"]])
def test_what_xml_cannot_carry_cannot_be_sent(value: object) -> None:
    assert not is_xml_value(value)
