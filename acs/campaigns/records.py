"""What is told of a campaign and of the CPEs in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, cast

from typing_extensions import TypedDict

from acs.campaigns.pacing import MemberState
from acs.campaigns.tables import AcsCampaign, AcsCampaignMember

CampaignState = Literal["planned", "running", "paused", "stopped", "cancelled", "completed"]
CampaignKind = Literal["template", "firmware"]


class MemberCounts(TypedDict):
    """How many CPEs of a campaign are in each state."""

    waiting: int
    under_way: int
    done: int
    failed: int
    unreached: int
    skipped: int


class CampaignRecord(TypedDict):
    """A campaign, its terms, and how far it is. ``window`` is by the ISP's clock; ``stopped_at``: since when it is
    stopped, by itself; None: it is not."""

    campaign_id: int
    name: str
    kind: CampaignKind
    arguments: dict[str, Any]
    canary: int
    batch_size: int
    most_failed_percent: int
    patience_seconds: int
    window: str | None
    state: CampaignState
    reason: str
    devices: MemberCounts
    planned_by: str
    planned_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    ended_at: datetime | None


class StoppedCampaign(TypedDict):
    """A campaign that has stopped by itself: why, since when, and how many CPEs it has not begun."""

    name: str
    reason: str
    stopped_at: datetime
    waiting: int


class MemberRecord(TypedDict):
    """One CPE in a campaign."""

    member_id: int
    device_serial: str
    state: MemberState
    reason: str
    begun_at: datetime | None
    ended_at: datetime | None


def campaign_record(campaign: AcsCampaign, counts: MemberCounts) -> CampaignRecord:
    begins, ends = campaign.window_begins, campaign.window_ends
    return CampaignRecord(
        campaign_id=campaign.id,
        name=campaign.name,
        kind=cast(CampaignKind, campaign.kind),
        arguments=dict(campaign.arguments),
        canary=campaign.canary,
        batch_size=campaign.batch_size,
        most_failed_percent=campaign.most_failed_percent,
        patience_seconds=campaign.patience_seconds,
        window=f"{begins:%H:%M}-{ends:%H:%M}" if begins is not None and ends is not None else None,
        state=cast(CampaignState, campaign.state),
        reason=campaign.reason,
        devices=counts,
        planned_by=campaign.planned_by,
        planned_at=campaign.planned_at,
        started_at=campaign.started_at,
        stopped_at=campaign.updated_at if campaign.state == "stopped" else None,
        ended_at=campaign.ended_at,
    )


def member_record(member: AcsCampaignMember) -> MemberRecord:
    return MemberRecord(
        member_id=member.id,
        device_serial=member.serial,
        state=cast(MemberState, member.state),
        reason=member.reason,
        begun_at=member.begun_at,
        ended_at=member.ended_at,
    )
