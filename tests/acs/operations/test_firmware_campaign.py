"""A firmware campaign among CPEs that say they took it, and run the old one on: none of them is believed."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from acs import CampaignRecord, CampaignService, CampaignTurns, Desks, Group, Pace
from tests.acs.bench import SERIAL
from tests.acs.conftest import TENANT
from tests.acs.operations.conftest import Ops, sent
from tests.acs.operations.test_commands import IMAGE, upload


async def nobody_is_told(_db: AsyncSession, _campaign: CampaignRecord) -> None:
    return


async def test_a_canary_that_lies_about_its_firmware_stops_the_campaign(ops: Ops) -> None:
    await upload(ops)
    cpe = await ops.configured()
    cpe.quirks.keeps_version = True
    devices, now = ops.bench.devices, ops.bench.lab.clock.now

    def desks(db: AsyncSession) -> Desks:
        return Desks(devices=devices.service(db), operations=ops.service(db))

    turns = CampaignTurns(
        devices.database.begin, tenant_id=TENANT, now=now, zone=ZoneInfo("UTC"), desks=desks, told=nobody_is_told
    )
    group, pace = Group(serials=(SERIAL,)), Pace(canary=1, batch_size=1, most_failed_percent=0)
    async with devices.database.begin() as db:
        campaigns = CampaignService(db, tenant_id=TENANT, now=now, templates=devices.templates)
        await campaigns.plan_firmware(name="v2", file=IMAGE, group=group, by="ann", pace=pace)
        await campaigns.start(name="v2")
    await turns.turn()
    async with ops.verbs() as verbs:
        [operation] = await verbs.operations()
    await ops.done(operation)
    await turns.turn()

    async with devices.database.begin() as db:
        campaigns = CampaignService(db, tenant_id=TENANT, now=now, templates=devices.templates)
        campaign, [member] = await campaigns.campaign(name="v2"), await campaigns.members(name="v2")
    assert sent(cpe, "Download") == 1
    assert (campaign["state"], member["state"]) == ("stopped", "failed")
    assert member["reason"].endswith("The CPE has ended the transfer and booted, and still runs 1.0.0.")
