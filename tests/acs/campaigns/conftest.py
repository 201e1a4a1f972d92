"""Bound CPEs without an ACS: how they fared is written down as convergence would write it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsDevice, Desks, DeviceOperations, Pace, Template, TemplateLibrary
from acs.campaigns.records import CampaignRecord
from acs.campaigns.service import CampaignService
from acs.campaigns.targets import Group
from acs.campaigns.turning import CampaignTurns
from tests.acs.conftest import TENANT, Clockwork, Devices, KeptSecrets

BERLIN = ZoneInfo("Europe/Berlin")
OLD, NEW = "tr181-pppoe", "tr181-new"


class Fleet:
    """CPEs by number, and campaigns for them."""

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self.clock = devices.clock
        self.told: list[tuple[str, str]] = []
        self.turns = CampaignTurns(
            devices.database.begin,
            tenant_id=TENANT,
            now=self.clock.now,
            zone=BERLIN,
            desks=self.desks,
            told=self._note,
        )

    def desks(self, db: AsyncSession) -> Desks:
        operations = DeviceOperations(db, tenant_id=TENANT, now=self.clock.now, templates=self.devices.templates)
        return Desks(devices=self.devices.service(db), operations=operations)

    async def _note(self, db: AsyncSession, campaign: CampaignRecord) -> None:
        self.told.append((campaign["state"], campaign["reason"]))

    def serial(self, number: int) -> str:
        return f"HWTC{number:08X}"

    async def bind(self, numbers: Sequence[int], *, model: str | None = None) -> None:
        async with self.devices.database.begin() as db:
            for number in numbers:
                await self.devices.service(db).provision_device(
                    customer_id=number,
                    device_serial=self.serial(number),
                    config_template=OLD,
                    service_id=number,
                    values={
                        "pppoe_username": f"c{number}@isp.example",
                        "pppoe_password": "secret:subscriber/42",
                    },
                )
                if model is not None:
                    await db.execute(
                        update(AcsDevice)
                        .where(AcsDevice.serial == self.serial(number))
                        .values(device_id=f"00E0FC-{model}-{self.serial(number)}")
                    )

    async def fare(self, numbers: Sequence[int], state: str, reason: str = "") -> None:
        """As convergence would write it: what was done was done to the revision of now."""
        values: dict[str, Any] = {"state": state, "reason": reason}
        if state in ("verified", "accepted_unverifiable"):
            values["applied_revision"] = AcsDevice.revision
        serials = [self.serial(number) for number in numbers]
        async with self.devices.database.begin() as db:
            await db.execute(update(AcsDevice).where(AcsDevice.serial.in_(serials)).values(**values))

    def service(self, db: AsyncSession) -> CampaignService:
        return CampaignService(db, tenant_id=TENANT, now=self.clock.now, templates=self.devices.templates)

    async def plan(self, name: str = "wpa3", *, group: Group | None = None, **terms: Any) -> CampaignRecord:
        pace = Pace(**{"canary": 1, "batch_size": 2, "most_failed_percent": 30, **terms})
        async with self.devices.database.begin() as db:
            return await self.service(db).plan_template(
                name=name, template=NEW, group=group or Group(template=OLD), by="ann", pace=pace
            )

    async def do(self, act: Callable[[CampaignService], Awaitable[CampaignRecord]]) -> CampaignRecord:
        async with self.devices.database.begin() as db:
            return await act(self.service(db))

    async def start(self, name: str = "wpa3") -> CampaignRecord:
        return await self.do(lambda service: service.start(name=name))

    async def look(self, name: str = "wpa3") -> CampaignRecord:
        return await self.do(lambda service: service.campaign(name=name))

    async def states(self, name: str = "wpa3") -> list[str]:
        async with self.devices.database.begin() as db:
            return [each["state"] for each in await self.service(db).members(name=name)]

    async def template_of(self, number: int) -> str:
        async with self.devices.database.begin() as db:
            record = await self.devices.service(db).device(device_serial=self.serial(number))
        return record["template"]


NIGHT = (time(23), time(5))


@pytest.fixture(scope="session")
def templates() -> TemplateLibrary:
    """The ones that come with Firstlight, and one more that asks for another security mode."""
    library = TemplateLibrary.load()
    old = library.get(OLD)
    wpa3 = [
        type(each)(each.path, each.xsd_type, None, "WPA3-Personal", False, None)
        if each.path.endswith("ModeEnabled")
        else each
        for each in old.parameters
    ]
    another = replace(old, name="another")
    return TemplateLibrary([old, another, Template(NEW, "the same with WPA3", old.data_model, old.inputs, wpa3)])


@pytest.fixture
def fleet(devices: Devices, secrets: KeptSecrets, clockwork: Clockwork) -> Fleet:
    return Fleet(devices)
