"""Until when what a campaign has begun may be sent: in its window, and while it is not stopped.

A CPE that has begun and could not be reached is told its settings when it reports, which may be at noon. So every row
says until when (``send_until``), and the ACS drops what was queued by then; the next window moves it. Somebody else's
wish for such a CPE, say another WiFi name, holds the campaign's template as well: it waits for the window with it.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from acs.campaigns.pacing import Window
from acs.campaigns.tables import AcsCampaign, AcsCampaignMember
from acs.tables import AcsDevice

STILL_TO_GET = ("under_way", "unreached")
UNTAKEN = or_(AcsDevice.applied_revision.is_(None), AcsDevice.applied_revision != AcsDevice.revision)
"""Whether a CPE has yet to take what it is to have (``ix_acs_device_untaken``)."""


def window_of(campaign: AcsCampaign) -> Window | None:
    begins, ends = campaign.window_begins, campaign.window_ends
    return Window(begins, ends) if begins is not None and ends is not None else None


def with_cpes_to_move(tenant_id: str) -> Select[int]:
    """The ids of the campaigns, ended ones too, that have CPEs which wait for the next window.

    It begins with the CPEs that have not taken what they are to have, of which there are few, and not with all that
    campaigns have ever done.
    """
    return (
        select(AcsCampaignMember.campaign_id)
        .join(AcsDevice, AcsDevice.id == AcsCampaignMember.device_row_id)
        .join(AcsCampaign, AcsCampaign.id == AcsCampaignMember.campaign_id)
        .where(
            AcsDevice.tenant_id == tenant_id,
            AcsDevice.send_until.is_not(None),
            UNTAKEN,
            AcsCampaignMember.state == "unreached",
            or_(AcsDevice.revision == AcsCampaignMember.mark, _carries_its_template()),
        )
        .distinct()
    )


def _carries_its_template() -> ColumnElement[bool]:
    """Whether a member's CPE is to have the campaign's template still, and no later campaign has begun there."""
    later, of = aliased(AcsCampaignMember), aliased(AcsCampaign)
    begun_later = exists().where(
        later.device_row_id == AcsCampaignMember.device_row_id,
        later.begun_at > AcsCampaignMember.begun_at,
        of.id == later.campaign_id,
        of.kind == "template",
    )
    return and_(
        AcsCampaign.kind == "template",
        AcsDevice.template == AcsCampaign.arguments["template"].as_string(),
        AcsCampaignMember.begun_at.is_not(None),
        ~begun_later,
    )


async def move_sending(db: AsyncSession, campaign: AcsCampaign, *, at: datetime, zone: ZoneInfo) -> None:
    """Let what is still to be sent be sent to the end of the window that is open, or at any time where there is none.

    In a closed window nothing is moved: what was set is over, and whom an operator has freed stays free. Nor is
    anything while it is stopped.
    """
    window = window_of(campaign)
    if campaign.kind != "template" or campaign.state == "stopped":
        return
    if window is None:
        await _set(db, campaign, None)
    elif window.is_open(at, zone):
        await _set(db, campaign, window.closes_next(at, zone))


async def stop_sending(db: AsyncSession, campaign: AcsCampaign, *, at: datetime) -> None:
    """What is still to be sent is not, from now on."""
    if campaign.kind == "template":
        await _set(db, campaign, at, freed_too=True)


async def _set(db: AsyncSession, campaign: AcsCampaign, until: datetime | None, *, freed_too: bool = False) -> None:
    """``freed_too``: also for whoever carries the template by somebody else's wish, and is sent it at any time."""
    members = select(AcsCampaignMember.device_row_id).where(
        AcsCampaignMember.campaign_id == campaign.id, AcsCampaignMember.state.in_(STILL_TO_GET)
    )
    carries = _carries_its_template()
    if not freed_too:
        carries = and_(carries, AcsDevice.send_until.is_not(None))
    is_its_wish = exists().where(
        AcsCampaign.id == campaign.id,
        AcsCampaignMember.campaign_id == AcsCampaign.id,
        AcsCampaignMember.device_row_id == AcsDevice.id,
        or_(AcsCampaignMember.mark == AcsDevice.revision, carries),
    )
    await db.execute(
        update(AcsDevice)
        .where(
            AcsDevice.id.in_(members),
            is_its_wish,
            AcsDevice.state != "withdrawn",
            UNTAKEN,
            AcsDevice.send_until.is_not(None)
            if until is None
            else or_(AcsDevice.send_until.is_(None), AcsDevice.send_until != until),
        )
        .values(send_until=until)
        .execution_options(synchronize_session=False)
    )
