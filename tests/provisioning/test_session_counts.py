"""How many sessions were open is written down every ten minutes, once, and only where somebody has looked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from provisioning.bootstrap import open_appliance, utc_now
from provisioning.session_counts import KEPT_FOR, counts_since
from radius import Reaper
from tests.support.healthy_estate import HealthyEstate


async def test_open_sessions_are_counted_every_ten_minutes_as_long_as_somebody_looks(
    estate: HealthyEstate, tmp_path: Path
) -> None:
    began = now = utc_now()
    async with open_appliance(estate.copy(tmp_path / "copy"), clock=lambda: now) as appliance:
        reaper = Reaper(appliance.radius_database.begin, tenant_id=appliance.tenant_id, now=appliance.clock)
        assert await appliance.note_open_sessions() == 0  # nobody has looked yet
        await reaper.sweep()
        assert [await appliance.note_open_sessions() for _ in range(2)] == [1, 0]
        now += timedelta(minutes=9)
        assert await appliance.note_open_sessions() == 0
        now += timedelta(minutes=2)
        assert await appliance.note_open_sessions() == 0  # the last look is too long ago
        await reaper.sweep()
        assert await appliance.note_open_sessions() == 1
        async with appliance.database.read() as db:
            counts = await counts_since(db, tenant_id=appliance.tenant_id, since=began)
        assert counts == [(began, 1), (began + timedelta(minutes=11), 1)]
        now += KEPT_FOR
        await reaper.sweep()
        assert await appliance.note_open_sessions() == 1
        async with appliance.database.read() as db:
            counts = await counts_since(db, tenant_id=appliance.tenant_id, since=began)
        assert [at for at, _ in counts] == [began + timedelta(minutes=11), now]
