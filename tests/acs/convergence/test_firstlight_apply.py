"""The script that runs inside GenieACS, run by node in a harness that behaves like a CWMP session.

Node is here for this alone; ``deploy/setup test`` installs it.
"""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

HARNESS = Path(__file__).parent / "firstlight_apply_harness.js"
SSID = "Device.WiFi.SSID.1.SSID"
PASSPHRASE = "Device.WiFi.AccessPoint.1.Security.KeyPassphrase"
VLAN = "Device.Ethernet.VLANTermination.1.VLANID"


def leaf(value: object, *, writable: bool = True, secret: bool = False, refuses: bool = False) -> dict[str, object]:
    return {"value": value, "writable": writable, "secret": secret, "refuses": refuses}


@pytest.fixture
def cpe() -> dict[str, dict[str, object]]:
    return {SSID: leaf("factory"), PASSPHRASE: leaf("factory-passphrase", secret=True), VLAN: leaf(100)}


def run(
    cpe: dict[str, dict[str, object]],
    *,
    params: list[list[object]] | None = None,
    stale_tags: list[str] | None = None,
    tags: list[str] | None = None,
    rev: str = "abc123",
    **further: object,
) -> dict[str, Any]:
    wanted = [[SSID, "Home", "xsd:string", False], [PASSPHRASE, "correct horse", "xsd:string", True]]
    argument = {
        "rev": rev,
        "params": [*wanted, [VLAN, 100, "xsd:unsignedInt", False]] if params is None else params,
        "stale_tags": stale_tags or [],
        **further,
    }
    script = (files("acs") / "provisions" / "firstlight_apply.js").read_text(encoding="utf-8")
    given = {"script": script, "args": [json.dumps(argument)], "cpe": cpe, "tags": tags or []}
    done = subprocess.run(
        ["node", str(HARNESS)], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=30
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def test_what_differs_is_sent_at_once_and_the_tag_follows(cpe: dict[str, dict[str, object]]) -> None:
    outcome = run(cpe)
    assert outcome["fault"] is None
    assert outcome["sent"] == [[[SSID, "Home"], [PASSPHRASE, "correct horse"]]]
    assert outcome["cpe"] == {SSID: "Home", PASSPHRASE: "correct horse", VLAN: 100}
    assert outcome["tags"] == ["cfg_abc123"]


def test_everything_is_read_from_the_cpe_first_and_once(cpe: dict[str, dict[str, object]]) -> None:
    assert run(cpe)["read"] == [SSID, PASSPHRASE, VLAN]


def test_a_secret_is_sent_though_the_cpe_may_have_it(cpe: dict[str, dict[str, object]]) -> None:
    cpe[SSID]["value"], cpe[PASSPHRASE]["value"] = "Home", "correct horse"
    assert run(cpe)["sent"] == [[[PASSPHRASE, "correct horse"]]]


def test_missing_parameters_end_it_with_nothing_written(cpe: dict[str, dict[str, object]]) -> None:
    del cpe[VLAN], cpe[PASSPHRASE]
    outcome = run(cpe, tags=["cfg_old"], stale_tags=["cfg_old"])
    assert outcome["fault"] == f"missing {PASSPHRASE},{VLAN}"
    assert (outcome["sent"], outcome["tags"]) == ([], ["cfg_old"])


def test_read_only_parameters_end_it_with_nothing_written(cpe: dict[str, dict[str, object]]) -> None:
    cpe[VLAN]["writable"] = False
    outcome = run(cpe)
    assert outcome["fault"] == f"read-only {VLAN}"
    assert (outcome["sent"], outcome["tags"]) == ([], [])


def test_a_cpe_that_refuses_gets_no_tag_and_keeps_the_old_one(cpe: dict[str, dict[str, object]]) -> None:
    cpe[SSID]["refuses"] = True
    outcome = run(cpe, tags=["cfg_old"], stale_tags=["cfg_old"])
    assert outcome["fault"] == f"cwmp.9003 {SSID}"
    assert outcome["tags"] == ["cfg_old"]


def test_stale_tags_go_and_those_of_others_stay(cpe: dict[str, dict[str, object]]) -> None:
    outcome = run(cpe, tags=["cfg_old", "cfg_older", "gold"], stale_tags=["cfg_old", "cfg_older"])
    assert outcome["tags"] == ["cfg_abc123", "gold"]


def test_it_comes_to_rest(cpe: dict[str, dict[str, object]]) -> None:
    assert run(cpe)["runs"] <= 4
