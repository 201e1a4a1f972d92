"""``firstlight doctor`` on a machine without a FreeRADIUS that answers: what it looked at, and what it could not."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.settings import Settings
from tests.provisioning.cli.conftest import Type
from tests.support.freeradius import RADDB


def test_a_server_that_is_down_is_a_finding_and_an_unread_configuration_is_said(
    isp: Settings, type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = type_("doctor", "--json")
    assert (found.status, [trap["trap"] for trap in found.json["traps"]]) == (1, ["no_answer"])
    assert found.json["not_looked_at"] == ["the configuration: FIRSTLIGHT_RADIUS_CONFIG_DIR is not set"]
    monkeypatch.setenv("FIRSTLIGHT_RADIUS_CONFIG_DIR", str(tmp_path / "nowhere"))
    missing = type_("doctor", "--config", RADDB, "--json").json
    assert {trap["trap"] for trap in missing["traps"]} <= {"no_answer", "open_to_others"}
    assert missing["not_looked_at"] == []
    said = type_("doctor").out.splitlines()
    assert said[0].startswith("✗ no_answer: FreeRADIUS at 127.0.0.1 port 1812 does not answer")
    assert "? not looked at: the configuration:" in "\n".join(said)
