"""The script that asks in a CPE's first session, run by node: whom it asks about, and what it does with the answer."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from acs.presets.baseline import first_session_script
from tests.acs.convergence.test_firstlight_apply import HARNESS, PASSPHRASE, SSID, leaf

CODE = "abcdefghijklmnopqrstuvwxyz234567"
PATHS = {root: f"{root}.DeviceInfo.ProvisioningCode" for root in ("Device", "InternetGatewayDevice")}
IDENTITY = {"SerialNumber": "HWTC12345678", "Manufacturer": "Huawei", "ProductClass": "HG8245"}
ARGUMENT = {
    "rev": "abc123",
    "params": [[SSID, "Home", "xsd:string", False], [PASSPHRASE, "correct horse", "xsd:string", True]],
    "stale_tags": [],
    "proof": "cfg_at_then",
}


def run(
    cpe: dict[str, dict[str, object]], *, answer: object = ARGUMENT, identity: dict[str, str] | None = None
) -> dict[str, Any]:
    given = {
        "script": first_session_script("south"),
        "args": [],
        "cpe": cpe,
        "tags": [],
        "identity": IDENTITY if identity is None else identity,
        "informed": list(PATHS.values()),
        "answer": json.dumps(answer) if answer else None,
    }
    done = subprocess.run(
        ["node", str(HARNESS)], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=30
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def cpe_with(root: str, code: str) -> dict[str, dict[str, object]]:
    return {PATHS[root]: leaf(code), SSID: leaf("factory"), PASSPHRASE: leaf("factory-passphrase", secret=True)}


@pytest.mark.parametrize(("root", "data_model"), [("Device", "TR-181"), ("InternetGatewayDevice", "TR-098")])
def test_a_cpe_with_a_code_is_asked_about_once_and_given_what_is_answered(root: str, data_model: str) -> None:
    outcome = run(cpe_with(root, CODE))
    asked = ["firstlight", "settings", "south", "HWTC12345678", data_model, CODE, "Huawei", "HG8245"]
    assert (outcome["fault"], outcome["asked"]) == (None, [asked])
    assert outcome["sent"] == [[[SSID, "Home"], [PASSPHRASE, "correct horse"]]]
    assert sorted(outcome["tags"]) == ["cfg_abc123", "cfg_at_then"]


def test_what_it_does_not_say_of_itself_is_asked_for_as_nothing() -> None:
    outcome = run(cpe_with("Device", CODE), identity={"SerialNumber": "HWTC12345678"})
    assert outcome["asked"][0][-2:] == ["", ""]


@pytest.mark.parametrize("code", ["", "TLCO.GRP2", CODE.upper(), f"{CODE}a", f"{CODE[:31]}1"])
def test_one_without_a_code_is_not_asked_about(code: str) -> None:
    outcome = run(cpe_with("Device", code))
    assert (outcome["fault"], outcome["asked"], outcome["sent"], outcome["tags"]) == (None, [], [], [])


def test_without_an_answer_nothing_is_done_and_nothing_fails() -> None:
    outcome = run(cpe_with("Device", CODE), answer=None)
    assert (outcome["fault"], len(outcome["asked"]), outcome["sent"], outcome["tags"]) == (None, 1, [], [])


def test_it_gives_all_or_nothing_as_a_task_does() -> None:
    cpe = cpe_with("Device", CODE)
    del cpe[PASSPHRASE]
    outcome = run(cpe)
    assert (outcome["fault"], outcome["sent"], outcome["tags"]) == (f"missing {PASSPHRASE}", [], [])
