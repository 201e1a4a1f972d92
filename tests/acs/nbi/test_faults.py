"""Faults in words: by parameter, harmless to show, and honest about whether another attempt may help."""

from __future__ import annotations

from typing import Any

import pytest

from acs import Fault
from acs.nbi.faults import in_words, is_passing
from acs.nbi.outcomes import masked

VLAN = "Device.Ethernet.VLANTermination.1.VLANID"


def fault(code: str, message: str = "", *refused: tuple[str, str], **more: Any) -> Fault:
    listed = [{"parameterName": path, "faultCode": number, "faultString": "x"} for path, number in refused]
    return Fault.from_document(
        {
            "_id": "d:task_6b02ea81907534c218261cb2",
            "device": "d",
            "channel": "task_6b02ea81907534c218261cb2",
            "code": code,
            "message": message,
            "detail": {"setParameterValuesFault": listed or None},
            "retries": 0,
            "provisions": '[["value","Password","hunter2"]]',
            **more,
        }
    )


@pytest.mark.parametrize(
    ("told", "words", "passing"),
    [
        (
            fault("cwmp.9003", "Invalid arguments", (VLAN, "9007")),
            f"{VLAN}: the CPE does not accept this value (9007).",
            False,
        ),
        (
            fault("cwmp.9003", "Invalid arguments", (VLAN, "9005"), ("Device.X", "9008")),
            f"{VLAN}: the CPE has no such parameter (9005);"
            " Device.X: the parameter cannot be written on this CPE (9008).",
            False,
        ),
        (fault("cwmp.9003", "Invalid arguments", (VLAN, "9801")), f"{VLAN}: x (9801).", False),
        (fault("cwmp.9002", "Internal error"), "an internal error of the CPE (cwmp.9002, 'Internal error').", True),
        (fault("cwmp.9004"), "the CPE is out of resources (cwmp.9004).", True),
        (fault("cwmp.9000"), "the CPE does not know this method (cwmp.9000).", False),
        (fault("timeout"), "the CPE stopped answering in the middle of its session (timeout).", True),
        (
            fault("script.Error", f"missing {VLAN},Device.X.Y"),
            f"{VLAN}: the CPE has no such parameter (missing); Device.X.Y: the CPE has no such parameter (missing).",
            False,
        ),
        (
            fault("script.Error", "read-only Device.X.Y"),
            "Device.X.Y: the parameter cannot be written on this CPE (read-only).",
            False,
        ),
        (
            fault("script.ReferenceError", "foo is not defined"),
            "the apply script failed (script.ReferenceError, 'foo is not defined').",
            False,
        ),
        (fault("cwmp.9899", "vendor trouble"), "a fault of the vendor's own (cwmp.9899, 'vendor trouble').", False),
    ],
)
def test_a_fault_says_what_is_wrong_and_whether_it_may_pass(told: Fault, words: str, passing: bool) -> None:
    assert in_words(told) == words
    assert is_passing(told) is passing


def test_three_long_missing_paths_are_all_named() -> None:
    connection = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1"
    paths = [f"{connection}.{name}" for name in ("Username", "Password", "X_ACME_COM_VLANIDMark")]
    told = fault("script.Error", f"missing {','.join(paths)}")
    assert [(each["path"], each["code"]) for each in told.refusals] == [(path, "missing") for path in paths]
    assert all(path in in_words(told) for path in paths)
    assert len(told.message) <= 200


def test_a_fault_knows_its_task_and_forgets_the_settings_kept_in_it() -> None:
    told = fault("cwmp.9003")
    assert told.task_id == "6b02ea81907534c218261cb2"
    assert "hunter2" not in repr(told)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"code": 5, "detail": "x", "retries": "many", "channel": None},
        {"code": "cwmp.9003", "detail": {"setParameterValuesFault": ["x", {}, {"faultCode": 9007}]}},
        {"code": "script.Error", "message": "missing ", "detail": {"stack": "x"}},
        {"code": "<script>\x1b[31m", "message": "=cmd()\r\n" * 100},
    ],
)
def test_whatever_a_cpe_says_about_itself_can_be_shown(document: dict[str, Any]) -> None:
    told = Fault.from_document(document)
    words = in_words(told)
    assert words.isprintable()
    assert len(words) < 700
    assert all(each["path"] and each["meaning"] for each in told.refusals)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("hunter2 is too weak", "*** is too weak"),
        ("hunter2hunter2", "******"),
        ("the value is hunt", "the value is ***"),
        ("the value is hu", "the value is hu"),
        ("correct horse is no good", "*** is no good"),
        ("all is well", "all is well"),
    ],
)
def test_what_a_cpe_repeats_of_a_secret_is_masked_even_where_it_was_cut(said: str, told: str) -> None:
    assert masked(said, ["hunter2", "correct horse", ""]) == told
