"""Carries campaigns on: looks at the CPEs under way, then begins those whose turn it is. One short transaction each.

It may be done at any time and by several workers at once: a campaign's row is locked, and all that is known of it
stands in the database. So a restart goes on where the last tick ended. No campaign holds up another, be it a huge one
or one that something is wrong with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.campaigns.changes import Change, Desks, Standing, change_of
from acs.campaigns.pacing import ENDED, Begin, Complete, Counts, Stop, Terms, Wait, what_is_next
from acs.campaigns.records import CampaignRecord, CampaignState, campaign_record
from acs.campaigns.sending import move_sending, stop_sending, window_of, with_cpes_to_move
from acs.campaigns.service import member_counts
from acs.campaigns.tables import AcsCampaign, AcsCampaignMember
from acs.ports import Begin as BeginTransaction
from acs.ports import Now
from acs.tables import AcsDevice

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""CPEs that are looked at, or begun, in one transaction."""
RECALLED_AT_ONCE = 1_000
"""CPEs of a stopped campaign that are taken back in one transaction; there is nothing to work out for each."""
RECALLS_IN_A_TURN = 10
"""Such transactions, before the other campaigns have their turns."""
Told = Callable[[AsyncSession, CampaignRecord], Awaitable[None]]
"""Is told, within the transaction, of a campaign that has stopped or is complete."""


class CampaignTurns:
    """The turns of all campaigns of one tenant."""

    def __init__(
        self,
        begin: BeginTransaction,
        *,
        tenant_id: str,
        now: Now,
        zone: ZoneInfo,
        desks: Callable[[AsyncSession], Desks],
        told: Told,
    ) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._desks = desks
        self._told = told

    async def turn(self) -> int:
        """One turn of every campaign that runs or has CPEs under way; returns of how many CPEs it wrote something.

        Each is tried; what went wrong with one is raised when all have been.
        """
        outcomes: list[int | BaseException] = []
        for campaign_id in await self._to_turn():
            outcomes += await asyncio.gather(self._turn(campaign_id), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return sum(outcome for outcome in outcomes if isinstance(outcome, int))

    async def _to_turn(self) -> list[int]:
        under_way = (
            select(AcsCampaignMember.id)
            .where(AcsCampaignMember.campaign_id == AcsCampaign.id, AcsCampaignMember.state == "under_way")
            .exists()
        )
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsCampaign.id)
                .where(
                    AcsCampaign.tenant_id == self._tenant_id,
                    or_(
                        AcsCampaign.state == "running",
                        under_way,
                        AcsCampaign.id.in_(with_cpes_to_move(self._tenant_id)),
                    ),
                )
                .order_by(AcsCampaign.id)
            )
            return list(found)

    async def _turn(self, campaign_id: int) -> int:
        touched = await self._look(campaign_id)
        # One moment for all of the transaction: a window that closes meanwhile was open for what is begun in it.
        now = self._now()
        async with self._begin() as db:
            campaign = await db.get(AcsCampaign, campaign_id, with_for_update=True)
            if campaign is None:
                return touched
            if campaign.state == "running":
                touched += await self._go_on(db, campaign, change_of(campaign, db=db, desks=self._desks(db)), now)
            await move_sending(db, campaign, at=now, zone=self._zone)
            recalls = campaign.recalls
        for _ in range(RECALLS_IN_A_TURN):
            recalls = recalls and await self._recall(campaign_id)
        return touched

    async def _look(self, campaign_id: int) -> int:
        """What has become of those under way, so many in one transaction."""
        touched, behind = 0, 0
        while True:
            async with self._begin() as db:
                campaign = await db.get(AcsCampaign, campaign_id, with_for_update=True)
                if campaign is None:
                    return touched
                members = await self._members(db, campaign, "under_way", behind=behind, limit=AT_ONCE)
                if members:
                    change = change_of(campaign, db=db, desks=self._desks(db))
                    touched += await self._look_at(campaign, change, members)
                    await db.flush()
            if len(members) < AT_ONCE:
                return touched
            behind = members[-1].id

    async def _look_at(self, campaign: AcsCampaign, change: Change, members: Sequence[AcsCampaignMember]) -> int:
        standings = await change.look({member.device_row_id: member.mark for member in members})
        now, patience = self._now(), timedelta(seconds=campaign.patience_seconds)
        touched = 0
        for member in members:
            standing = standings.get(member.device_row_id) or Standing("skipped", "Nothing is known of it any more.")
            is_over = now - (member.begun_at or now) >= patience
            if standing.state in ("under_way", "waiting") and is_over:
                standing = Standing("unreached", f"Not heard in time: {standing.reason}", standing.mark)
            touched += self._set(member, standing, now)
        return touched

    async def _go_on(self, db: AsyncSession, campaign: AcsCampaign, change: Change, now: datetime) -> int:
        """Begin those whose turn it is, or say why none does."""
        counts = Counts(**await member_counts(db, campaign.id))
        pardoned = _pardoned(campaign)
        match what_is_next(_terms(campaign), counts, pardoned=pardoned, at=now, zone=self._zone):
            case Begin(how_many):
                # The others begin at the next turn: no campaign is to hold up another.
                return await self._begin_members(db, campaign, change, min(how_many, AT_ONCE), now)
            case Wait(reason):
                self._say(campaign, "running", reason)
            case Stop(reason):
                await stop_sending(db, campaign, at=self._now())
                campaign.recalls = change.recalls_each
                await self._end(db, campaign, "stopped", reason)
            case Complete():
                campaign.ended_at = self._now()
                words = (
                    f"{counts.done} CPEs are done, {counts.failed} failed, {counts.unreached} were not heard in time"
                )
                await self._end(db, campaign, "completed", f"{words}, {counts.skipped} were left out.")
        return 0

    async def _recall(self, campaign_id: int) -> bool:
        """Of one that has stopped: what has begun and was not sent yet is not sent. Whether there may be more of it."""
        async with self._begin() as db:
            campaign = await db.get(AcsCampaign, campaign_id, with_for_update=True)
            if campaign is None or not campaign.recalls:
                return False
            to_recall = and_(AcsCampaignMember.mark.is_not(None), ~AcsCampaignMember.mark.contains(":"))
            members = await self._members(db, campaign, "under_way", to_recall, limit=RECALLED_AT_ONCE)
            change = change_of(campaign, db=db, desks=self._desks(db))
            marks = await change.recall([member.mark for member in members if member.mark is not None])
            for member in members:
                member.mark = marks[member.mark or ""]
            campaign.recalls = len(members) == RECALLED_AT_ONCE
            return campaign.recalls

    async def _begin_members(
        self, db: AsyncSession, campaign: AcsCampaign, change: Change, how_many: int, now: datetime
    ) -> int:
        window = window_of(campaign)
        until = None if window is None else window.closes_next(now, self._zone)
        patience = timedelta(seconds=campaign.patience_seconds)
        for member in await self._members(db, campaign, "waiting", limit=how_many):
            standing = await self._left_group(db, campaign, member)
            if standing is None and member.begun_at is not None and now - member.begun_at >= patience:
                standing = Standing("unreached", f"Not heard in time: {member.reason}")
            if standing is None:
                standing = await change.begin(member.device_row_id, at=now, until=until)
            if standing.state != "waiting":
                member.begun_at = member.begun_at or now
            self._set(member, standing, now)
        await db.flush()
        self._say(campaign, "running", f"{how_many} more CPEs were begun.")
        return how_many

    async def _left_group(self, db: AsyncSession, campaign: AcsCampaign, member: AcsCampaignMember) -> Standing | None:
        """Whether it has become, since it was chosen, what the campaign is not for."""
        wanted = campaign.arguments["of"]["template"]
        device = await db.get(AcsDevice, member.device_row_id)
        if wanted is None or device is None or device.template == wanted:
            return None
        return Standing("skipped", f"It has template {device.template} by now.")

    def _set(self, member: AcsCampaignMember, standing: Standing, now: datetime) -> bool:
        before = (member.state, member.reason, member.mark)
        member.state, member.reason, member.mark = standing.state, standing.reason, standing.mark
        if standing.state in ENDED:
            member.ended_at = now
        return before != (member.state, member.reason, member.mark)

    def _say(self, campaign: AcsCampaign, state: CampaignState, reason: str) -> None:
        if (campaign.state, campaign.reason) != (state, reason):
            campaign.state, campaign.reason, campaign.updated_at = state, reason, self._now()

    async def _end(self, db: AsyncSession, campaign: AcsCampaign, state: CampaignState, reason: str) -> None:
        self._say(campaign, state, reason)
        await db.flush()
        log.info("campaign moved", campaign=campaign.name, state=state, reason=reason)
        await self._told(db, campaign_record(campaign, await member_counts(db, campaign.id)))

    async def _members(
        self,
        db: AsyncSession,
        campaign: AcsCampaign,
        state: str,
        *which: ColumnElement[bool],
        behind: int = 0,
        limit: int,
    ) -> list[AcsCampaignMember]:
        found = await db.scalars(
            select(AcsCampaignMember)
            .where(
                AcsCampaignMember.campaign_id == campaign.id,
                AcsCampaignMember.state == state,
                AcsCampaignMember.id > behind,
                *which,
            )
            .order_by(AcsCampaignMember.id)
            .limit(limit)
        )
        return list(found)


def _terms(campaign: AcsCampaign) -> Terms:
    return Terms(
        canary=campaign.canary,
        batch_size=campaign.batch_size,
        most_failed_percent=campaign.most_failed_percent,
        window=window_of(campaign),
    )


def _pardoned(campaign: AcsCampaign) -> Counts:
    """How it stood when a person last let it go on; ``unreached`` stands for all that tell nothing of the change."""
    others = campaign.pardoned_others
    return Counts(done=campaign.pardoned_done, failed=campaign.pardoned_failed, unreached=others)
