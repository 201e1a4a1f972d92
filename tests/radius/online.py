"""A subscriber who is online through a NAS that listens, and what can be done to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from radius import (
    CreatedSubscriber,
    PlanTerms,
    Retransmission,
    SessionChanges,
    SessionChangeView,
    SubscriberVerbs,
)
from radius.projection.freeradius_tables import radacct
from radius.tables import Plan
from radius.testing import LabNas, LabSession, Usage
from tests.radius.conftest import Site

QUICKLY = Retransmission(sends=2, first_wait_seconds=0.05)
FASTER, GARDEN, POOL_GARDEN = "fiber-250", "garden", "pool-garden"


@dataclass
class Line:
    """A subscriber who is online through a NAS that listens; ``clock`` is the appliance's, some seconds behind."""

    site: Site
    nas: LabNas
    subscriber: CreatedSubscriber
    session: LabSession
    behind: timedelta = field(default=timedelta(seconds=20))
    retransmission: Retransmission = QUICKLY

    def now(self) -> datetime:
        return datetime.now(UTC) - self.behind

    @property
    def id(self) -> int:
        return self.subscriber["subscriber_id"]

    @property
    def changes(self) -> SessionChanges:
        """As every process has its own."""
        return SessionChanges(
            self.site.database.begin,
            self.site.radius_database.begin,
            projector=self.site.projector,
            tenant_id=self.site.tenant_id,
            now=self.now,
            secrets=self.site.secrets,
            retransmission=self.retransmission,
        )

    async def act(self, verb: str, **said: Any) -> SessionChangeView:
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=self.now, secrets=self.site.secrets)
            done: SessionChangeView = await getattr(verbs, verb)(subscriber_id=self.id, **said)
            return done

    async def shown(self, change: SessionChangeView) -> SessionChangeView:
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=self.now, secrets=self.site.secrets)
            return await verbs.change(change["change_id"])

    async def later(self, change: SessionChangeView) -> SessionChangeView:
        """What a round makes of it once every session that is up must have been heard of."""
        self.behind = timedelta(seconds=-310)
        return await self.changes.deliver(change["change_id"])

    async def login(self) -> Any:
        return await self.nas.login(self.subscriber["username"], await self.site.password(self.subscriber))

    async def interim(self, seconds: int = 30) -> None:
        await self.nas.accounting_interim(self.session, Usage(seconds=seconds))


async def go_online(site: Site) -> AsyncIterator[Line]:
    """A line for the time of the fixture that yields from it."""
    async with site.database.begin() as db:
        service = site.service(db)
        await service.define_plan(name=FASTER, terms=PlanTerms(download_kbps=250_000, upload_kbps=50_000))
        garden = PlanTerms(download_kbps=1000, upload_kbps=500, garden_filter="unpaid")
        await service.define_plan(name=GARDEN, terms=garden)
        await service.define_plan(name=POOL_GARDEN, terms=replace(garden, ipv4_pool="garden"))
        # no session of these tests can have begun before
        await db.execute(update(Plan).values(updated_at=datetime.now(UTC) - timedelta(days=7)))
    nas = await site.nas()
    port = await nas.listen()
    async with site.database.begin() as db:
        await site.service(db).define_nas(name=nas.name, address=nas.source_address, dialect="mikrotik", coa_port=port)
    subscriber = await site.active()
    made = Line(site, nas, subscriber, LabSession("nobody"))
    made.session = LabSession.after(subscriber["username"], await made.login())
    await nas.accounting_start(made.session)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    async with site.radius_database.begin() as db:
        mine = update(radacct).where(radacct.c.username == subscriber["username"])
        await db.execute(mine.values(acctstarttime=an_hour_ago, acctupdatetime=an_hour_ago))
    yield made
    await nas.close()
