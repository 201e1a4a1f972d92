"""Commands that messages propose are what is meant when they are typed, whatever serial a CPE has."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from acs import AcsDevice, RepairLimit, WrongDataModel, WrongModel, command_about
from acs.fleet.repairing import begin_repair
from acs.refused_first_sessions import CAUSES, told_of
from tests.support.command_line import parsed

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SERIALS = ("HWTC00000001", "-x", "--help", "--reason", "~root", "a b", "it's", "$(reboot)")
OF_CAUSES = {
    "no_code": {"reason": "..."},
    "wrong_code": {"reason": "..."},
    "old_code": {"reason": "..."},
    "not_waiting": {"username": "USERNAME", "template": "...", "reason": "..."},
    "other_acs": {"acs": "south", "reason": "..."},
    "wrong_data_model": {"username": "USERNAME", "template": "...", "reason": "..."},
    "wrong_model": {"username": "USERNAME", "template": "...", "reason": "..."},
    "settings_unsendable": {},
}
"""Beside the serial number, what is to be typed about each."""


def proposed(sentence: str) -> list[str]:
    return re.findall(r"`(firstlight [^`]* [^`]*)`", sentence.replace("`firstlight devices templates`", ""))


@pytest.mark.parametrize("serial", SERIALS)
def test_a_command_is_about_the_cpe_that_it_names(serial: str) -> None:
    assert parsed(command_about("devices render", serial, options=""))["serial"] == serial
    converged = parsed(command_about("devices converge", serial))
    assert (converged["serial"], converged["reason"]) == ([serial], "...")
    spared = parsed(command_about("devices override", serial, "PATH=null", options="--reason WHY"))
    assert (spared["serial"], spared["changes"], spared["reason"]) == (serial, ["PATH=null"], "WHY")


@pytest.mark.parametrize("serial", SERIALS)
def test_what_is_to_be_done_about_a_template_can_be_typed(serial: str) -> None:
    otherwise = (
        WrongDataModel(serial, template="zte", wanted="Device.", reported=["InternetGatewayDevice."]),
        WrongModel(serial, template="zte", wanted=["F670L"], reported="HG8245"),
    )
    for refused in otherwise:
        [command] = proposed(str(refused))
        understood = parsed(command)
        assert (understood["serial"], understood["username"]) == (serial, "USERNAME")
        assert (understood["template"], understood["reason"]) == ("...", "...")


@pytest.mark.parametrize("why", CAUSES)
@pytest.mark.parametrize("serial", SERIALS)
def test_what_is_to_be_done_about_a_refused_first_session_can_be_typed(serial: str, why: str) -> None:
    told = told_of(serial, NOW, why, "south")
    assert told is not None
    commands = [parsed(command) for command in proposed(told["remedy"])]
    assert [each.get("serial") or each["serials"][0] for each in commands] == [serial] * (why in OF_CAUSES)
    for each in commands:
        assert {name: each[name] for name in OF_CAUSES[why]} == OF_CAUSES[why]


@pytest.mark.parametrize("serial", SERIALS)
def test_a_cpe_that_was_handed_over_can_be_converged_as_is_said(serial: str) -> None:
    device = AcsDevice(serial=serial, repairs=0, repairs_since=NOW)
    assert not begin_repair(device, why="It was reset.", details=[], limit=RepairLimit(repairs=0), now=NOW)
    [command] = proposed(device.reason)
    assert parsed(command)["serial"] == [serial]
