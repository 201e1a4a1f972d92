"""The services of a machine of one's own start what is there, with settings that are known."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning.settings import load_settings
from tests.deploy.conftest import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
INSTALLED = "/opt/firstlight"


def _said(unit: Path) -> list[tuple[str, str]]:
    lines = [line for line in unit.read_text().splitlines() if line and not line.startswith(("#", "["))]
    return [(name, value) for name, _, value in (line.partition("=") for line in lines)]


def _variables(name: str) -> dict[str, str]:
    """As a shell reads them; systemd reads no more than this."""
    words = shlex.split((SYSTEMD / name).read_text(), comments=True)
    return dict(word.split("=", 1) for word in words)


def test_there_is_a_unit_for_each_long_lived_process() -> None:
    started = {unit.stem: dict(_said(unit))["ExecStart"].removeprefix(INSTALLED) for unit in UNITS}
    assert started == {
        "firstlight-carry-logins": "/.venv/bin/firstlight carry-logins",
        "firstlight-freeradius": "/usr/sbin/freeradius -d ${FIRSTLIGHT_FREERADIUS_RADDB} -n radiusd -f",
        "firstlight-serve": "/.venv/bin/firstlight serve",
        "firstlight-worker": "/.venv/bin/firstlight worker",
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_may_do_nothing_but_its_work(unit: Path) -> None:
    said = _said(unit)
    assert {("User", "firstlight"), ("UMask", "0077"), ("ProtectSystem", "strict")} <= set(said)
    assert {("NoNewPrivileges", "yes"), ("CapabilityBoundingSet", "")} <= set(said)
    assert ("SystemCallFilter", "@system-service") in said
    for file in re.findall(rf"{INSTALLED}/(\S+)", unit.read_text()):
        assert file.startswith(".venv/") or (ROOT / file).exists(), f"{unit.name} names {file}"


def test_the_settings_to_begin_with_are_ones_that_the_appliance_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (_variables("firstlight.env") | {"FIRSTLIGHT_DATA_DIR": str(tmp_path)}).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.data_dir, settings.isp_name) == (tmp_path, "Example ISP")
    assert settings.radius_config_dir == Path(INSTALLED, "deploy/freeradius/raddb")
    assert settings.database_url.startswith("sqlite")
    assert str(settings.radius_login_dir) == _variables("freeradius.env")["FIRSTLIGHT_FREERADIUS_LOGIN_DIR"]


def test_freeradius_takes_the_settings_to_begin_with(tmp_path: Path) -> None:
    readme = (ROOT / "deploy/freeradius/README.md").read_text()
    documented = re.findall(r"^\| `(FIRSTLIGHT_FREERADIUS_\w+)`", readme, re.MULTILINE)
    variables = _variables("freeradius.env")
    assert sorted(variables) == sorted(documented)
    assert variables["FIRSTLIGHT_FREERADIUS_STATUS_SECRET"] == "", "a secret that everybody knows is none"

    here = {
        "FIRSTLIGHT_FREERADIUS_RADDB": str(ROOT / "deploy/freeradius/raddb"),
        "FIRSTLIGHT_FREERADIUS_RUN_DIR": str(tmp_path),
        "FIRSTLIGHT_FREERADIUS_STATUS_SECRET": "anything",
        "FIRSTLIGHT_FREERADIUS_SQLITE_FILE": str(tmp_path / "radius.db"),
    }
    program = shutil.which("freeradius", path="/usr/sbin:/usr/local/sbin")
    assert program is not None, "please run `make test`, or: apt-get install freeradius"
    looked = [program, "-d", here["FIRSTLIGHT_FREERADIUS_RADDB"], "-n", "radiusd", "-C", "-l", "stdout"]
    for changed, statuses in (({}, {0}), ({"FIRSTLIGHT_FREERADIUS_SQL": "oracle"}, {1})):
        done = subprocess.run(looked, env={**variables, **here, **changed}, capture_output=True, text=True, check=False)
        assert done.returncode in statuses, done.stdout[-2000:]
