"""What an operator does with campaigns: plan, start, pause, let go on, cancel, look."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from acs.campaigns.errors import CampaignNameTaken, CampaignNotThere, CampaignRefused, CampaignUnknown
from acs.campaigns.pace import Pace
from acs.campaigns.records import (
    CampaignKind,
    CampaignRecord,
    CampaignState,
    MemberCounts,
    MemberRecord,
    StoppedCampaign,
    campaign_record,
    member_record,
)
from acs.campaigns.sending import STILL_TO_GET, UNTAKEN
from acs.campaigns.tables import AcsCampaign, AcsCampaignMember
from acs.campaigns.targets import Group, Target, targets
from acs.operations.paths import file_faults
from acs.ports import Now
from acs.tables import AcsDevice
from acs.templates.library import TemplateLibrary

log = structlog.get_logger(__name__)

MEMBERS_AT_ONCE = 1000
LONGEST_NAME = 64
OPEN_STATES = ("planned", "running", "paused", "stopped")


class CampaignService:
    """Campaigns within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now, templates: TemplateLibrary) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._templates = templates

    async def plan_template(self, *, name: str, template: str, group: Group, by: str, pace: Pace) -> CampaignRecord:
        """Plan to bring a group of CPEs to a template as it is now. Nothing begins before ``start``.

        The group is looked up here and stays as it is. The same plan again is the same campaign.

        Raises: CampaignRefused with every fault, TemplateUnknown, CampaignNameTaken.
        """
        self._templates.get(template)
        return await self._plan(name, "template", {"template": template}, group=group, by=by, pace=pace)

    async def plan_firmware(self, *, name: str, file: str, group: Group, by: str, pace: Pace) -> CampaignRecord:
        """Plan to give a group of CPEs a firmware by its name at the ACS; whether it is there is looked up for each.

        Raises: as ``plan_template``, but for the template.
        """
        return await self._plan(name, "firmware", {"file": file}, group=group, by=by, pace=pace)

    @staticmethod
    def faults(*, name: str, file: str | None = None, group: Group, pace: Pace) -> list[str]:
        """What is wrong with a plan in itself, each in words."""
        return [
            *_name_faults(name),
            *([] if file is None else file_faults(file)),
            *pace.faults,
            *group.faults,
        ]

    async def _plan(
        self, name: str, kind: CampaignKind, what: dict[str, str], *, group: Group, by: str, pace: Pace
    ) -> CampaignRecord:
        faults = self.faults(name=name, file=what.get("file"), group=group, pace=pace)
        found, strangers = ([], []) if faults else await targets(self._db, group, tenant_id=self._tenant_id)
        faults += [f"{serial} is bound to no service, or not of this template and model" for serial in strangers]
        if not faults and not found:
            faults.append("no bound CPE is in this group")
        if faults:
            raise CampaignRefused(faults)
        terms = {"kind": kind, "arguments": {**what, "of": group.as_json()}, **pace.as_columns()}
        now = self._now()
        campaign = AcsCampaign(
            **terms,
            tenant_id=self._tenant_id,
            name=name,
            state="planned",
            reason="It was planned and waits to be started.",
            pardoned_done=0,
            pardoned_failed=0,
            pardoned_others=0,
            planned_by=by,
            planned_at=now,
            updated_at=now,
        )
        try:
            async with self._db.begin_nested():
                self._db.add(campaign)
        except IntegrityError:
            return await self._as_planned_before(name, terms, [target.row_id for target in found])
        await self._add_members(campaign, found)
        log.info("campaign planned", campaign=name, kind=kind, devices=len(found))
        return await self._record(campaign)

    async def _add_members(self, campaign: AcsCampaign, found: Sequence[Target]) -> None:
        for start in range(0, len(found), MEMBERS_AT_ONCE):
            await self._db.execute(
                insert(AcsCampaignMember),
                [
                    {
                        "tenant_id": self._tenant_id,
                        "campaign_id": campaign.id,
                        "device_row_id": target.row_id,
                        "serial": target.serial,
                        "state": "waiting",
                        "reason": "",
                    }
                    for target in found[start : start + MEMBERS_AT_ONCE]
                ],
            )

    async def start(self, *, name: str) -> CampaignRecord:
        """Let a planned campaign run; one that runs stays as it is. Raises: CampaignUnknown, CampaignNotThere."""
        campaign = await self._locked(name)
        if campaign.state == "planned":
            campaign.started_at = self._now()
            self._move(campaign, "running", "It was started.")
        elif campaign.state != "running":
            raise CampaignNotThere(name, state=campaign.state, wanted="started")
        return await self._record(campaign)

    async def pause(self, *, name: str) -> CampaignRecord:
        """Begin no further CPE; those under way go on. Raises: CampaignUnknown, CampaignNotThere."""
        campaign = await self._locked(name)
        if campaign.state == "running":
            self._move(campaign, "paused", "It was paused; what is under way goes on.")
        elif campaign.state != "paused":
            raise CampaignNotThere(name, state=campaign.state, wanted="paused")
        return await self._record(campaign)

    async def resume(self, *, name: str) -> CampaignRecord:
        """Go on after a pause or a stop; after a stop the faults so far are not held against it again.

        Raises: CampaignUnknown, CampaignNotThere.
        """
        campaign = await self._locked(name)
        if campaign.state == "stopped":
            counts = await self._counts(campaign.id)
            campaign.pardoned_done, campaign.pardoned_failed = counts["done"], counts["failed"]
            campaign.pardoned_others = counts["unreached"] + counts["skipped"]
        if campaign.state in ("paused", "stopped"):
            campaign.recalls = False
            self._move(campaign, "running", "It goes on.")
        elif campaign.state != "running":
            raise CampaignNotThere(name, state=campaign.state, wanted="let go on")
        return await self._record(campaign)

    async def cancel(self, *, name: str) -> CampaignRecord:
        """End it: what has begun goes on by itself, what waits is left alone. After a stop nothing more is sent.

        Raises: CampaignUnknown, CampaignNotThere.
        """
        campaign = await self._locked(name)
        if campaign.state in OPEN_STATES:
            reason = "It was cancelled; what had begun goes on by itself."
            if campaign.state == "stopped":
                await self._leave_unsent(campaign)
                reason = "It was cancelled after it had stopped; what was not sent by then is not sent."
            campaign.ended_at = self._now()
            self._move(campaign, "cancelled", reason)
        elif campaign.state != "cancelled":
            raise CampaignNotThere(name, state=campaign.state, wanted="cancelled")
        return await self._record(campaign)

    async def _leave_unsent(self, campaign: AcsCampaign) -> None:
        """Those that have not taken their settings get them no more by this campaign."""
        unsent = select(AcsDevice.id).where(
            AcsDevice.tenant_id == self._tenant_id,
            AcsDevice.send_until.is_not(None),
            UNTAKEN,
        )
        await self._db.execute(
            update(AcsCampaignMember)
            .where(
                AcsCampaignMember.campaign_id == campaign.id,
                AcsCampaignMember.state.in_(STILL_TO_GET),
                AcsCampaignMember.device_row_id.in_(unsent),
            )
            .values(
                state="skipped",
                ended_at=self._now(),
                reason="The campaign was cancelled before this was sent. Give the CPE another template, or have it"
                " converged all the same: `firstlight devices converge SERIAL --reason ...`.",
            )
            .execution_options(synchronize_session=False)
        )

    async def campaign(self, *, name: str) -> CampaignRecord:
        """Raises: CampaignUnknown."""
        campaign = (await self._db.scalars(self._named(name))).one_or_none()
        if campaign is None:
            raise CampaignUnknown(name)
        return await self._record(campaign)

    async def campaigns(
        self, *, state: CampaignState | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[CampaignRecord]:
        """The newest first, a page at a time (``before_id``)."""
        query = select(AcsCampaign).where(AcsCampaign.tenant_id == self._tenant_id)
        if state is not None:
            query = query.where(AcsCampaign.state == state)
        if before_id is not None:
            query = query.where(AcsCampaign.id < before_id)
        found = await self._db.scalars(query.order_by(AcsCampaign.id.desc()).limit(limit))
        return [await self._record(campaign) for campaign in found]

    async def members(
        self, *, name: str, states: Sequence[str] = (), after_id: int | None = None, limit: int = 50
    ) -> list[MemberRecord]:
        """The CPEs of a campaign in the order of their turns, a page at a time (``after_id``).

        Raises: CampaignUnknown.
        """
        record = await self.campaign(name=name)
        query = select(AcsCampaignMember).where(AcsCampaignMember.campaign_id == record["campaign_id"])
        if states:
            query = query.where(AcsCampaignMember.state.in_(states))
        if after_id is not None:
            query = query.where(AcsCampaignMember.id > after_id)
        found = await self._db.scalars(query.order_by(AcsCampaignMember.id).limit(limit))
        return [member_record(member) for member in found]

    async def _as_planned_before(self, name: str, terms: dict[str, object], rows: list[int]) -> CampaignRecord:
        campaign = (await self._db.scalars(self._named(name))).one()
        planned = await self._db.scalars(
            select(AcsCampaignMember.device_row_id)
            .where(AcsCampaignMember.campaign_id == campaign.id)
            .order_by(AcsCampaignMember.device_row_id)
        )
        if list(planned) != sorted(rows) or any(getattr(campaign, column) != value for column, value in terms.items()):
            raise CampaignNameTaken(name)
        return await self._record(campaign)

    def _move(self, campaign: AcsCampaign, state: CampaignState, reason: str) -> None:
        campaign.state, campaign.reason, campaign.updated_at = state, reason, self._now()
        log.info("campaign moved", campaign=campaign.name, state=state)

    async def _locked(self, name: str) -> AcsCampaign:
        campaign = (await self._db.scalars(self._named(name).with_for_update())).one_or_none()
        if campaign is None:
            raise CampaignUnknown(name)
        return campaign

    def _named(self, name: str) -> Select[AcsCampaign]:
        return select(AcsCampaign).where(AcsCampaign.tenant_id == self._tenant_id, AcsCampaign.name == name)

    async def _record(self, campaign: AcsCampaign) -> CampaignRecord:
        await self._db.flush()
        return campaign_record(campaign, await self._counts(campaign.id))

    async def _counts(self, campaign_id: int) -> MemberCounts:
        return await member_counts(self._db, campaign_id)


async def stopped_campaigns(db: AsyncSession, *, tenant_id: str) -> list[StoppedCampaign]:
    """Those that have stopped by themselves and that nobody has looked after since, the oldest first. Only what waits
    is counted, whatever else came of their CPEs."""
    waiting = select(func.count()).where(
        AcsCampaignMember.campaign_id == AcsCampaign.id, AcsCampaignMember.state == "waiting"
    )
    found = await db.execute(
        select(AcsCampaign.name, AcsCampaign.reason, AcsCampaign.updated_at, waiting.scalar_subquery())
        .where(AcsCampaign.tenant_id == tenant_id, AcsCampaign.state == "stopped")
        .order_by(AcsCampaign.id)
    )
    return [
        StoppedCampaign(name=name, reason=reason, stopped_at=stopped_at, waiting=count)
        for name, reason, stopped_at, count in found
    ]


async def member_counts(db: AsyncSession, campaign_id: int) -> MemberCounts:
    """How many CPEs of a campaign are in each state."""
    rows = await db.execute(
        select(AcsCampaignMember.state, func.count())
        .where(AcsCampaignMember.campaign_id == campaign_id)
        .group_by(AcsCampaignMember.state)
    )
    counts = MemberCounts(waiting=0, under_way=0, done=0, failed=0, unreached=0, skipped=0)
    for state, count in rows:
        counts[state] = count  # type: ignore[literal-required]
    return counts


def _name_faults(name: str) -> list[str]:
    is_one = name.strip() == name and name.isprintable() and 0 < len(name) <= LONGEST_NAME
    return [] if is_one else [f"a name has 1 to {LONGEST_NAME} printable characters"]
