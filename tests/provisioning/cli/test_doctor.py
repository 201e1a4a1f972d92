"""``firstlight doctor`` on a machine without a FreeRADIUS that answers: what it looked at, and what it could not."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.doctor import EAP_UNSAID
from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.eapol import write_certificate
from tests.support.freeradius import RADDB


def test_a_server_that_is_down_is_a_finding_and_an_unread_configuration_is_said(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_CONFIG_DIR", str(tmp_path / "nowhere"))
    found = type_("doctor", "--json")
    assert (found.status, [trap["trap"] for trap in found.json["traps"]]) == (
        1,
        ["configuration_unread", "no_answer"],
    )
    unseen, acs = found.json["not_looked_at"]
    assert acs == "the ACS: FIRSTLIGHT_GENIEACS_NBI_URL is not set"
    assert unseen.startswith("the configuration: ") and unseen.endswith("can't be read (No such file or directory)")
    unsaid = type_("doctor", "--config", RADDB, "--json").json["not_looked_at"]
    assert unsaid == [EAP_UNSAID, acs]
    monkeypatch.setenv("FIRSTLIGHT_FREERADIUS_EAP", "")
    said = type_("doctor", "--config", RADDB).out.splitlines()
    assert [line for line in said if line.startswith("?")] == [f"? not looked at: {acs}"]
    assert [line for line in said if line.startswith("✗ no_answer: FreeRADIUS at 127.0.0.1 port 1812")]


def test_eap_is_looked_at_where_freeradius_variables_say_that_it_is_served(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = write_certificate(tmp_path, "radius.isp.example")
    shown.key.chmod(0o644)
    monkeypatch.setenv("FIRSTLIGHT_FREERADIUS_EAP_CERTIFICATE", str(shown.certificate))
    monkeypatch.setenv("FIRSTLIGHT_FREERADIUS_EAP_KEY", str(shown.key))
    monkeypatch.setenv("FIRSTLIGHT_FREERADIUS_EAP", "peap")
    found = type_("doctor", "--config", RADDB, "--json").json["traps"]
    eap = [each["trap"] for each in found if each["trap"].startswith("eap_")]
    assert eap == ["eap_certificate_runs_out", "eap_key_open"]
