"""An ISP whose webhooks lead to receivers on this machine, under a clock that tests set."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.webhooks import Deliveries, DeliveryRecord, WebhookSender, WebhookWithSecret
from provisioning.webhooks.messages import SUBSCRIBER_CHANGED
from radius import PlanTerms
from tests.support.appliances import Original
from tests.support.http_receiver import HttpReceiver

LOOPBACK = ("127.0.0.0/8",)


@dataclass
class Moment:
    """The time now, the machine's at first; ``pass_`` lets some of it go by."""

    at: datetime = field(default_factory=utc_now)

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **some: float) -> None:
        self.at += timedelta(**some)


@dataclass
class Isp:
    """The appliance, its clock, and what tests do with both."""

    appliance: Appliance
    moment: Moment

    async def add(self, receiver: HttpReceiver, *types: str, path: str = "/hooks") -> WebhookWithSecret:
        async with self.appliance.database.begin() as db:
            url = f"http://127.0.0.1:{receiver.port}{path}"
            return await self.appliance.webhooks(db).add(url=url, event_types=types or [SUBSCRIBER_CHANGED], by="nora")

    async def subscriber(self, name: str, customer_id: int = 1001) -> int:
        """A new one, which is pending; its number."""
        async with self.appliance.database.begin() as db:
            made = await self.appliance.services(db).radius_service.create_subscriber(
                customer_id=customer_id, username=f"{name}@isp.example", bandwidth_profile="fiber-300"
            )
            return made["subscriber_id"]

    async def activate(self, subscriber_id: int) -> None:
        async with self.appliance.database.begin() as db:
            await self.appliance.services(db).radius_service.activate(subscriber_id=subscriber_id)

    async def deliveries(self, **which: Any) -> list[DeliveryRecord]:
        """The oldest first."""
        async with self.appliance.database.read() as db:
            return (await self.appliance.webhooks(db).deliveries(**which))[::-1]

    async def states(self, **which: Any) -> list[str]:
        return [each["state"] for each in await self.deliveries(**which)]

    @asynccontextmanager
    async def worker(self, *, timeout_seconds: float = 5.0, sender: Any = None) -> AsyncIterator[Deliveries]:
        """What a worker delivers with; the back-off is exact."""
        async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as http:
            ours = WebhookSender(
                http, self.appliance.targets, now=self.appliance.clock, timeout_seconds=timeout_seconds
            )
            deliveries = Deliveries(
                self.appliance.database.begin,
                tenant_id=self.appliance.tenant_id,
                now=self.appliance.clock,
                vault=self.appliance.vault,
                sender=sender(ours) if sender else ours,
                chance=lambda: 0.5,
            )
            try:
                yield deliveries
            finally:
                await deliveries.stop()


@asynccontextmanager
async def open_isp(original: Original, folder: Path, networks: Sequence[str] = LOOPBACK) -> AsyncIterator[Isp]:
    moment = Moment()
    settings = original.copy(folder, webhook_private_networks=tuple(networks))
    async with open_appliance(settings, clock=moment) as appliance:
        async with appliance.database.begin() as db:
            await appliance.services(db).radius_service.define_plan(
                name="fiber-300", terms=PlanTerms(download_kbps=300_000, upload_kbps=150_000)
            )
        yield Isp(appliance, moment)


@pytest.fixture
async def isp(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Isp]:
    async with open_isp(migrated_sqlite, tmp_path) as opened:
        yield opened


@pytest.fixture
async def isp_on_both(migrated: Original, tmp_path: Path) -> AsyncIterator[Isp]:
    async with open_isp(migrated, tmp_path) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with HttpReceiver() as running:
        yield running


@pytest.fixture
async def other() -> AsyncIterator[HttpReceiver]:
    """Another system's receiver."""
    async with HttpReceiver() as running:
        yield running
