"""The laboratory's people and physics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from provisioning.cli.demo import way_to_freeradius
from provisioning.lab import world
from provisioning.lab.world import DIAL_ATTEMPTS, DialIn, LabWorld
from provisioning.settings import Settings

pytestmark = pytest.mark.either_database


class OnAndOff:
    """A CPE of which nothing but its PPP is looked at."""

    class ppp:  # noqa: N801 - as the CPE has it
        username, password = "anna", "word"

    serial = "HWTC00000001"
    told: list[str]

    def ppp_changed(self, state: str, address: str = "") -> None:
        self.told.append(state)


async def test_a_cpe_that_was_refused_for_long_dials_on_and_is_back_when_it_is_let_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for pause in ("REDIAL_SECONDS", "LATER_REDIAL_SECONDS"):
        monkeypatch.setattr(world, pause, 0)
    nowhere: Any = None
    lab, cpe, tries = LabWorld(acs=nowhere, olt=nowhere, mail=nowhere), OnAndOff(), 3 * DIAL_ATTEMPTS
    cpe.told = []

    async def log_in(serial: str, username: str, password: str) -> DialIn:
        is_let_in = cpe.told.count("Connecting") > tries
        session: Any = type("Session", (), {"framed_ip_address": "100.64.0.1"}) if is_let_in else None
        return DialIn(serial, username, datetime.now(UTC), None, session)

    monkeypatch.setattr(lab, "log_in", log_in)
    await lab._dial_until_accepted(cast(Any, cpe))
    assert (cpe.told.count("Disconnected"), cpe.told[-1]) == (tries, "Connected")


class Server:
    """A FreeRADIUS of which nothing but where it is is looked at."""

    auth_port, raddb, log_file, nas_lifetime_seconds = 18120, Path("/lab/raddb"), Path("/lab/it's.log"), 1


def test_a_shell_and_the_console_are_told_of_the_same_freeradius() -> None:
    nowhere: Any = None
    lab = LabWorld(acs=nowhere, olt=nowhere, mail=nowhere)
    assert way_to_freeradius(lab) == []
    lab.freeradius = cast(Any, Server)
    assert set(lab.freeradius_settings()) <= set(Settings.model_fields)
    assert way_to_freeradius(lab) == [
        "export FIRSTLIGHT_RADIUS_AUTH_PORT=18120",
        "export FIRSTLIGHT_RADIUS_CONFIG_DIR=/lab/raddb",
        """export FIRSTLIGHT_RADIUS_LOG_FILE='/lab/it'"'"'s.log'""",
        "export FIRSTLIGHT_RADIUS_NAS_LIFETIME_SECONDS=1",
    ]
