"""A campaign that stops or is complete is told to whoever listens, once."""

from __future__ import annotations

from pathlib import Path

from acs import Group, Pace
from provisioning.bootstrap import open_appliance
from provisioning.webhooks.messages import EVENT_TYPES
from tests.support.healthy_estate import HealthyEstate
from workflows import list_events


async def test_the_end_of_a_campaign_is_one_event(sqlite_estate: HealthyEstate, tmp_path: Path) -> None:
    async with open_appliance(sqlite_estate.copy(tmp_path)) as appliance:
        async with appliance.database.begin() as db:
            campaigns = appliance.campaigns(db)
            group = Group(template="tr181-pppoe")
            await campaigns.plan_template(
                name="wifi", template="tr181-pppoe", group=group, by="nora", pace=Pace(canary=0)
            )
            await campaigns.start(name="wifi")
        for _ in range(4):
            await appliance.campaign_turns.turn()
        async with appliance.database.read() as db:
            campaign = await appliance.campaigns(db).campaign(name="wifi")
            told = await list_events(db, tenant_id=appliance.tenant_id, event_type="campaign.completed")
        assert campaign["state"] == "completed", campaign["reason"]
        [event] = told
        assert event.subject == f"campaign/{campaign['campaign_id']}"
        assert event.data["devices"]["done"] == campaign["devices"]["done"] == 1
    assert {"campaign.completed", "campaign.stopped"} < set(EVENT_TYPES)
