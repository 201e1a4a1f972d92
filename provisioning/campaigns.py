"""Campaigns that have stopped or are complete: told once, in the transaction in which they come to it."""

from __future__ import annotations

from datetime import time

from sqlalchemy.ext.asyncio import AsyncSession

from acs import CampaignRecord, CampaignService, Group, Pace
from provisioning.commercial import PublishEvent
from provisioning.errors import Fault, InvalidRequest

BY = "clock"
CAMPAIGN_EVENTS = {"stopped": "campaign.stopped", "completed": "campaign.completed"}
"""What is told of a campaign that has come to a state. None of them starts a journey."""


class Teller:
    """Publishes an event for a campaign that has come to a state."""

    def __init__(self, publish: PublishEvent) -> None:
        self._publish = publish

    async def __call__(self, db: AsyncSession, campaign: CampaignRecord) -> None:
        subject = f"campaign/{campaign['campaign_id']}"
        devices = campaign["devices"]
        # A campaign that goes on after a stop may stop again: by then more CPEs have ended.
        ended = devices["done"] + devices["failed"] + devices["unreached"] + devices["skipped"]
        key = f"{subject}/{campaign['state']}/{ended}"
        data = {
            "campaign_id": campaign["campaign_id"],
            "campaign": campaign["name"],
            "reason": campaign["reason"],
            "devices": dict(devices),
        }
        await self._publish(db, CAMPAIGN_EVENTS[campaign["state"]], subject, data, key, BY)


async def planned(
    service: CampaignService, *, name: str, template: str | None, file: str | None, group: Group, by: str, pace: Pace
) -> CampaignRecord:
    """Plan a campaign for a template or for the file of a firmware. Raises: InvalidRequest, and as the service does."""
    if template is not None and file is None:
        return await service.plan_template(name=name, template=template, group=group, by=by, pace=pace)
    if file is not None and template is None:
        return await service.plan_firmware(name=name, file=file, group=group, by=by, pace=pace)
    raise InvalidRequest("The campaign", [Fault("template", "give either a template or a firmware")])


def window_of(text: str | None) -> tuple[time, time] | None:
    """``23:00-05:00`` as two times of day. Raises: InvalidRequest."""
    if text is None:
        return None
    begins, _, ends = text.partition("-")
    try:
        return time.fromisoformat(begins.strip()), time.fromisoformat(ends.strip())
    except ValueError:
        fault = Fault("window", f"{text!r} is no window; 23:00-05:00 would be one, by the ISP's clock")
        raise InvalidRequest("The campaign", [fault]) from None
