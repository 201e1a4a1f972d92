"""The whole appliance: settings become values, and no part is handed the settings.

Every process opens one. It is put together in ``composition``, floor by floor; what moves runs besides in ``worker``,
what answers HTTP in ``serving``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from acs import CampaignTurns, Desks, DeviceOperations
from provisioning.access import forget_old_keys, forget_old_sessions
from provisioning.campaigns import Teller
from provisioning.commercial import DomainProofs, announce_expiring, txt_records
from provisioning.composition.parts import utc_now
from provisioning.composition.views import WithViews
from provisioning.days import day_of
from provisioning.ended_terms import EndedTerms
from provisioning.order_visits import OrderVisits
from provisioning.pool_levels import Refusals, tell_levels
from provisioning.session_counts import note_open_sessions
from provisioning.settings import Settings
from provisioning.silent_nases import tell_silence
from radius import PlanChanges, Retransmission, SessionChanges, StationBook

__all__ = ["Appliance", "open_appliance", "utc_now"]


class Appliance(WithViews):
    """What every process needs: databases, services, doors, and what the clock does with them. Opened by
    `open_appliance`; a worker needs more."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(settings, clock=clock)
        self.database.broken_off = Refusals(self.tell_pool_levels, now=clock).follow

    def _campaign_desks(self, db: AsyncSession) -> Desks:
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "templates": self.templates}
        return Desks(devices=self.services(db).genieacs_service, operations=DeviceOperations(db, **common))

    @property
    def campaign_turns(self) -> CampaignTurns:
        """What carries campaigns on."""
        return CampaignTurns(
            self.database.begin,
            tenant_id=self.tenant_id,
            now=self.clock,
            zone=self.zone,
            desks=self._campaign_desks,
            told=Teller(self.publish),
        )

    @property
    def plan_changes(self) -> PlanChanges:
        """What open sessions have not been told of their plan."""
        return PlanChanges(self.database.begin, self.radius_database.begin, tenant_id=self.tenant_id, now=self.clock)

    def session_changes(self, retransmission: Retransmission) -> SessionChanges:
        """What carries such changes to the sessions that are open."""
        return SessionChanges(
            self.database.begin,
            self.radius_database.begin,
            projector=self.projector,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            retransmission=retransmission,
            read=self.database.read,
            many=self.bulk_projector,
            lanes=self.nas_lanes,
        )

    @property
    def station_book(self) -> StationBook:
        """What keeps by MAC address who has logged in, as long as their sessions are kept."""
        days = self.settings.session_archive_days
        forgotten = None if days is None else timedelta(days=days)
        return StationBook(self.radius_database.begin, now=self.clock, kept=forgotten)

    @property
    def order_visits(self) -> OrderVisits:
        """What runs are told of the visits that they share."""
        database = self.database
        return OrderVisits(database.begin, read=database.read, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    @property
    def domain_proofs(self) -> DomainProofs:
        """What asks the DNS whether they are theirs, and still are."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "patience": self.domain_patience}
        return DomainProofs(self.database.begin, **common, texts=txt_records, publish=self.publish)

    async def expire_quotes(self) -> None:
        """Ends the quotes whose time is over."""
        async with self.database.begin() as db:
            await self.quotes(db).expire_overdue()

    async def forget_old_keys(self) -> None:
        """Forgets the API's requests that nobody repeats any more, and sign-ins that have long been over."""
        async with self.database.begin() as db:
            await forget_old_keys(db, tenant_id=self.tenant_id, now=self.clock())
            await forget_old_sessions(db, tenant_id=self.tenant_id, now=self.clock())

    async def forget_old_logins(self) -> int:
        """Forgets the logins that nobody asks about any more."""
        return await self.logins.purge(self.clock() - timedelta(days=self.settings.login_keep_days))

    async def announce_expiring(self) -> None:
        """Tells of every subscription whose term ends soon, once for each end."""
        notice, told = timedelta(days=self.settings.renewal_notice_days), 1
        while told:
            async with self.database.begin() as db:
                now = self.clock()
                told = await announce_expiring(
                    db,
                    tenant_id=self.tenant_id,
                    until=day_of(now, self.zone) + notice,
                    now=now,
                    publish=self.publish,
                    by="clock",
                    zone=self.zone,
                )

    async def tell_pool_levels(self) -> int:
        """Tells of every pool that has begun to run low, or has room again."""
        begin = partial(self.database.begin, witnessed=False)
        return await tell_levels(begin, publish=self.publish, tenant_id=self.tenant_id, now=self.clock)

    async def tell_silent_nases(self) -> int:
        """Tells of every NAS from which no accounting comes any more, or comes again."""
        guards = await self.session_looks.guards()
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return await tell_silence(self.database.begin, guards, publish=self.publish, **common)

    async def note_open_sessions(self) -> int:
        """Writes down how many sessions are open, for the line of it on the first page."""
        guards = await self.session_looks.guards()
        return await note_open_sessions(self.database.begin, guards, tenant_id=self.tenant_id, now=self.clock)

    async def end_terms(self) -> int:
        """Ends every subscription whose term is over and was not renewed."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "zone": self.zone}
        terms = EndedTerms(self.database.begin, desk=self.termination_desk, publish=self.publish, **common)
        return await terms.sweep()


@asynccontextmanager
async def open_appliance(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Appliance]:
    """An appliance for the time of the block; nothing is started, no run is moved."""
    appliance = Appliance(settings, clock=clock)
    try:
        yield appliance
    finally:
        await appliance.close()
