"""``/campaigns``: a change for many CPEs, a few first, then batches, until too many fail.

The worker carries a campaign on; each verb answers how it stands then.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import Field

from acs import CampaignRecord, CampaignState, Group, MemberRecord, MemberState, Pace
from provisioning.act_previews import CampaignVerb, Touches, campaign_preview
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.campaigns import planned

doors = Doors(prefix="/campaigns", tags=["campaigns"])

Name = Annotated[str, Path(max_length=64)]
Serial = Annotated[str, Field(min_length=1, max_length=64)]


class OfGroup(Wish):
    """Bound CPEs; all that is given must be so of each."""

    template: Annotated[str | None, Field(max_length=64)] = None
    model: Annotated[str | None, Field(max_length=64, description="The product class they report")] = None
    serials: Annotated[tuple[Serial, ...], Field(max_length=10_000)] = ()


class CampaignPlan(Wish):
    """A template as it is now, or a firmware, for a group."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    template: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    firmware: Annotated[str | None, Field(min_length=1, max_length=200, description="Its file at the ACS")] = None
    group: OfGroup
    canary: Annotated[int, Field(ge=0, le=10_000, description="How many go first, alone")] = 5
    batch_size: Annotated[int, Field(ge=1, le=10_000, description="How many are under way at once")] = 50
    most_failed_percent: Annotated[int, Field(ge=0, le=100, description="It stops when more fail")] = 10
    patience_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)] = 24 * 3600
    window: Annotated[str | None, Field(max_length=20, description="By the ISP's clock, like 23:00-05:00")] = None


@doors.get("", permission="devices.read")
async def list_(
    call: InCall,
    state: Annotated[CampaignState | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[CampaignRecord]:
    """Campaigns, the newest first."""
    found = await call.appliance.campaigns(call.db).campaigns(state=state, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["campaign_id"] for each in found], limit)


@doors.post("", permission="devices.write", status_code=201)
async def plan(call: InCall, wish: CampaignPlan, response: Response) -> CampaignRecord:
    """Plans a campaign; nothing begins before it is started. The same plan again is the same campaign."""
    pace = Pace(
        canary=wish.canary,
        batch_size=wish.batch_size,
        most_failed_percent=wish.most_failed_percent,
        patience_seconds=wish.patience_seconds,
    )
    group = Group(**wish.group.model_dump())
    service = call.appliance.campaigns(call.db)
    campaign = await planned(
        service,
        name=wish.name,
        template=wish.template,
        file=wish.firmware,
        group=group,
        by=call.by,
        pace=pace,
        window=wish.window,
    )
    response.headers["Location"] = call.address(f"campaigns/{campaign['name']}")
    return _told(call, campaign, None)


@doors.get("/{name}", permission="devices.read")
async def show(call: InCall, name: Name) -> CampaignRecord:
    """One campaign, and how many of its CPEs are in which state."""
    return await call.appliance.campaigns(call.db).campaign(name=name)


@doors.get("/{name}/preview", permission="devices.read")
async def preview(
    call: InCall, name: Name, verb: Annotated[CampaignVerb, Query(description="What is to be done with it")]
) -> Touches:
    """What this would touch, in sentences, or why it can't be done now; nothing is changed."""
    return campaign_preview(await call.appliance.campaigns(call.db).campaign(name=name), verb)


@doors.get("/{name}/devices", permission="devices.read")
async def devices(
    call: InCall,
    name: Name,
    state: Annotated[list[MemberState] | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[MemberRecord]:
    """Its CPEs in the order of their turns."""
    campaigns = call.appliance.campaigns(call.db)
    found = await campaigns.members(name=name, states=state or (), after_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["member_id"] for each in found], limit)


@doors.post("/{name}/start", permission="devices.write", responses={404: problem(WORDS[404])})
async def start(call: InCall, name: Name, wish: WithReason) -> CampaignRecord:
    """Lets a planned campaign run."""
    service = call.appliance.campaigns(call.db)
    before = await service.campaign(name=name)
    return _told(call, await service.start(name=name), wish.reason, before)


@doors.post("/{name}/pause", permission="devices.write", responses={404: problem(WORDS[404])})
async def pause(call: InCall, name: Name, wish: WithReason) -> CampaignRecord:
    """Begins no further CPE; those under way go on."""
    service = call.appliance.campaigns(call.db)
    before = await service.campaign(name=name)
    return _told(call, await service.pause(name=name), wish.reason, before)


@doors.post("/{name}/resume", permission="devices.write", responses={404: problem(WORDS[404])})
async def resume(call: InCall, name: Name, wish: WithReason) -> CampaignRecord:
    """Goes on after a pause or a stop; after a stop the faults so far are not held against it again."""
    service = call.appliance.campaigns(call.db)
    before = await service.campaign(name=name)
    return _told(call, await service.resume(name=name), wish.reason, before)


@doors.post("/{name}/cancel", permission="devices.write", responses={404: problem(WORDS[404])})
async def cancel(call: InCall, name: Name, wish: WithReason) -> CampaignRecord:
    """Ends it: what has begun goes on by itself, what waits is left alone."""
    service = call.appliance.campaigns(call.db)
    before = await service.campaign(name=name)
    return _told(call, await service.cancel(name=name), wish.reason, before)


def _told(
    call: Call, campaign: CampaignRecord, reason: str | None, before: CampaignRecord | None = None
) -> CampaignRecord:
    call.tells(
        subject=f"campaign/{campaign['campaign_id']}",
        reason=reason,
        before=None if before is None else {"state": before["state"]},
        after={"campaign": campaign["name"], "state": campaign["state"]},
    )
    return campaign
