"""What is looked at: the search, one subscriber's truth, what needs a person, the calm numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceReadings
from provisioning.access import Caller
from provisioning.attention import AttentionDesk, Work
from provisioning.composition.desks import WithDesks
from provisioning.configured import acs_fleet
from provisioning.figures import FiguresDesk
from provisioning.search import USUAL_HITS, Elements, Lines, Papers, Planned, SearchDesk
from provisioning.sight import Sight, sight_of
from provisioning.truth import Timeline, TruthDesk
from radius import Diagnoses, DiagnosisTerms, LoginLog, SessionLosses, SubscriberRows


class WithViews(WithDesks):
    """Each sees what its caller may; none changes anything."""

    def sight(self, db: AsyncSession, caller: Caller) -> Sight:
        """What a caller sees of what is found for everybody, bound to this transaction."""
        return sight_of(caller, db, tenant_id=self.tenant_id, now=self.clock)

    def search_desk(self, db: AsyncSession, sight: Sight, *, limit: int = USUAL_HITS) -> SearchDesk:
        """The door for whoever looks for something, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "sight": sight, "limit": limit}
        lines = Lines(
            db,
            **common,
            now=self.clock,
            stations=self.stations,
            sessions=self.session_looks,
        )
        planned = Planned(
            db,
            tenant_id=self.tenant_id,
            sight=sight,
            addresses=self.address_lookup(db),
            ports=self.port_blocks(db),
        )
        elements, papers = Elements(db, **common), Papers(db, **common, now=self.clock)
        return SearchDesk(lines=lines, planned=planned, elements=elements, papers=papers, sight=sight, limit=limit)

    def truth_desk(self, db: AsyncSession, sight: Sight) -> TruthDesk:
        """The door to all that is known of one subscriber, bound to this transaction."""
        return TruthDesk(
            db,
            now=self.clock,
            sight=sight,
            subscribers=self.subscriber_desk(db),
            verbs=self.subscriber_verbs(db),
            devices=self.device_desk(db),
            rows=SubscriberRows(
                self.database.read,
                self.radius_database.read,
                tenant_id=self.tenant_id,
                now=self.clock,
                secrets=self.vault,
            ),
            sessions=self.session_looks,
            readings=self._readings,
        )

    def timeline(self, db: AsyncSession, sight: Sight) -> Timeline:
        """All that has happened to one subscriber, bound to this transaction."""
        return Timeline(
            db,
            tenant_id=self.tenant_id,
            sight=sight,
            subscribers=self.subscriber_desk(db),
            verbs=self.subscriber_verbs(db),
            devices=self.device_desk(db),
            logins=LoginLog(self.radius_database.read, self.radius_database.read),
            sessions=self.session_looks,
        )

    @asynccontextmanager
    async def _readings(self) -> AsyncIterator[DeviceReadings]:
        """What the ACSes have read, for the time of the block. Raises: SettingsRefused if there is none to ask."""
        async with acs_fleet(self.settings) as fleet:
            yield DeviceReadings(self.database.read, fleet, tenant_id=self.tenant_id, now=self.clock)

    def attention_desk(self, db: AsyncSession, sight: Sight) -> AttentionDesk:
        """The door to what needs a person, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return AttentionDesk(
            db,
            **common,
            sight=sight,
            work=Work(
                db,
                **common,
                zone=self.zone,
                definitions=self.definitions,
                sight=sight,
                host_names=self.partner_domains(db),
                hand_overs=self.run_desk(db).handed_over,
            ),
            addresses=self.address_lookup(db),
            pools=self.services(db).network_service,
            sessions=self.session_looks,
            losses=SessionLosses(self.radius_database.read, **common),
        )

    def figures_desk(self, db: AsyncSession, sight: Sight) -> FiguresDesk:
        """The door to the calm numbers, bound to this transaction."""
        return FiguresDesk(
            db,
            tenant_id=self.tenant_id,
            now=self.clock,
            sight=sight,
            pools=self.services(db).network_service,
            sessions=self.session_looks,
        )

    @property
    def diagnoses(self) -> Diagnoses:
        """What says of a subscriber why it can't log in; it only reads."""
        settings = self.settings
        return Diagnoses(
            self.database.read,
            self.radius_database.read,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            terms=DiagnosisTerms(
                kept_days=settings.login_keep_days,
                accounting_wait=timedelta(minutes=settings.accounting_wait_minutes),
                log_file=settings.radius_log_file,
            ),
        )
