"""What of a fleet is not as it should be, counted; whoever is withdrawn or well is left out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from acs import AcsDevice, fleet_overview, fleet_trouble
from tests.acs.conftest import TENANT, Devices
from tests.acs.fleet.test_converging import bind, serial_of


@pytest.mark.both_databases
async def test_trouble_is_what_the_overview_tells_of_these_states(devices: Devices) -> None:
    await bind(devices, 6)
    now = devices.clock.now()
    said: dict[int, dict[str, Any]] = {
        0: {"state": "verified"},
        1: {"state": "queued", "updated_at": now - timedelta(hours=2)},
        2: {"state": "queued", "updated_at": now - timedelta(hours=3)},
        3: {"state": "drifted", "handed_over_at": now},
        4: {"state": "unreachable", "unreached_why": "offline", "unreached_since": now},
        5: {"state": "withdrawn", "withdrawn_at": now, "unreached_why": "offline", "unreached_since": now},
    }
    async with devices.database.begin() as db:
        for number, values in said.items():
            await db.execute(update(AcsDevice).where(AcsDevice.serial == serial_of(number)).values(**values))
    async with devices.database.begin() as db:
        overview = await fleet_overview(db, tenant_id=TENANT)
        trouble = await fleet_trouble(db, tenant_id=TENANT, states=["queued", "drifted"])
        assert (await fleet_trouble(db, tenant_id="south", states=["queued"]))["states"] == []
    assert [(each["state"], each["devices"], each["oldest_serial"]) for each in trouble["states"]] == [
        ("drifted", 1, serial_of(3)),
        ("queued", 2, serial_of(2)),
    ]
    assert trouble["states"] == [each for each in overview["states"] if each["state"] in ("queued", "drifted")]
    assert (trouble["unreached"], trouble["handed_over"]) == (overview["unreached"], 1)
    assert trouble["handed_over_since"] == now
    assert [(each["why"], each["devices"]) for each in trouble["unreached"]] == [("offline", 1)]
