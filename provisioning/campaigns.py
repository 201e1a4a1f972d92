"""Campaigns that have stopped or are complete: told once, in the transaction in which they come to it."""

from __future__ import annotations

from dataclasses import replace
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
    service: CampaignService,
    *,
    name: str,
    template: str | None,
    file: str | None,
    group: Group,
    by: str,
    pace: Pace,
    window: str | None,
) -> CampaignRecord:
    """Plan a campaign for a template or for the file of a firmware, in a ``window`` like 23:00-05:00.

    Raises: InvalidRequest with everything that is wrong, and as the service does.
    """
    times, faults = _window_of(window)
    pace = replace(pace, window=times)
    if template is not None and file is None and not faults:
        return await service.plan_template(name=name, template=template, group=group, by=by, pace=pace)
    if file is not None and template is None and not faults:
        return await service.plan_firmware(name=name, file=file, group=group, by=by, pace=pace)
    if (template is None) == (file is None):
        faults.append(Fault("template", "give either a template or a firmware"))
    faults += [Fault("", each) for each in service.faults(name=name, file=file, group=group, pace=pace)]
    raise InvalidRequest("The campaign", faults)


def _window_of(text: str | None) -> tuple[tuple[time, time] | None, list[Fault]]:
    """``23:00-05:00`` as two times of day; and what is wrong with it."""
    if text is None:
        return None, []
    begins, _, ends = text.partition("-")
    times: tuple[time, time] | None
    try:
        times = time.fromisoformat(begins.strip()), time.fromisoformat(ends.strip())
    except ValueError:
        times = None
    if times is None or any(each.tzinfo is not None for each in times):
        return None, [Fault("window", f"{text!r} is no window; 23:00-05:00 would be one, by the ISP's clock")]
    return times, []
