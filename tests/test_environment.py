"""What the machine's operator has set for the appliance is nobody's business in a test."""

from __future__ import annotations

import os
import subprocess
import sys

from provisioning.settings import load_settings
from tests.conftest import settings_in

REAL_SYSTEMS = {
    "FIRSTLIGHT_DATABASE_URL": "postgresql://isp@127.0.0.1:1/production",
    "FIRSTLIGHT_GENIEACS_NBI_URL": "http://127.0.0.1:1",
    "firstlight_smtp_host": "mail.isp.example",
}


def test_no_setting_of_the_machine_reaches_a_test() -> None:
    assert settings_in(os.environ) == set()
    assert load_settings().genieacs_nbi_url is None


def test_settings_of_real_systems_are_forgotten_before_the_first_test() -> None:
    itself = f"{__file__}::{test_no_setting_of_the_machine_reaches_a_test.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", itself],
        env=os.environ | REAL_SYSTEMS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
