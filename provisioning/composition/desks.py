"""The doors: what people and other systems want is checked there, written and told to journeys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from acs import CustomerWishes, DeviceMoving, DeviceOperations
from ipam import NetworkEstate, NetworkUpkeep
from provisioning.addresses import AddressDesk
from provisioning.commercial import Leads, TicketDesk, unregistered
from provisioning.composition.parts import utc_now
from provisioning.composition.services import WithServices
from provisioning.configured import acs_names
from provisioning.customer_slots import CustomerSlots
from provisioning.data_caps import billed_plan, billing_days, tell_lifted, tell_of_cap
from provisioning.device_binding import DeviceBinding
from provisioning.device_desk import DeviceDesk
from provisioning.dispatch import DispatchDesk
from provisioning.field import Alternatives, CustomerMoves, Feeds, Planning, Search, VanStock
from provisioning.field_desk import FieldDesk
from provisioning.first_slots import FirstSlots
from provisioning.found_onts import FoundOntDesk
from provisioning.line import LineService
from provisioning.lines import LineDesk
from provisioning.nas_desk import NasDesk
from provisioning.onboarding import OnboardingDesk, OnboardingTerms
from provisioning.order_wishes import OrderTerms, WishChecks
from provisioning.orders import OrderDesk
from provisioning.partners import PartnerDesk
from provisioning.payments import PaymentDesk
from provisioning.photo_files import PhotoFiles
from provisioning.pool_levels import tell_crossing
from provisioning.quotes import QuoteDesk
from provisioning.renewals import RenewalDesk
from provisioning.run_desk import RunDesk
from provisioning.run_slots import RunSlots
from provisioning.settings import Settings
from provisioning.signals import SignalDesk
from provisioning.starters import Starters
from provisioning.subscriber_cpes import SubscriberCpes
from provisioning.subscriber_desk import SubscriberDesk
from provisioning.terminations import TerminationDesk
from provisioning.tickets import InstallationDesk
from provisioning.visits import VisitDesk
from radius import CapCrossing, DataCaps, secret_to_adopt
from workflows import Events


class WithDesks(WithServices):
    """The desks, bound to a transaction, and the events that start journeys through them."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(settings, clock=clock)
        self.events = Events(
            definitions=self.definitions,
            runs=self.runs,
            clock=clock,
            tenant_id=settings.tenant_id,
            starters=Starters(
                installations=self.desk,
                onboardings=self.onboarding_desk,
                orders=self.order_desk,
                renewals=self.renewal_desk,
                terminations=self.termination_desk,
                said_of_orders={
                    "payment_method": settings.order_payment_method,
                    "priority": settings.order_priority,
                    "team": settings.order_team,
                    "channel": settings.order_channel,
                },
            ).by_event(),
        )

        self.alternatives = Alternatives(self.database.read, search=self.slot_search)

    async def publish(
        self, db: AsyncSession, event_type: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        """Tells in this transaction what it makes happen."""
        await self.events.publish(db, event_type, subject=subject, data=data, key=key, by=by)

    def desk(self, db: AsyncSession) -> InstallationDesk:
        """The door for installation tickets, bound to this transaction."""
        return InstallationDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            events=self.events,
            templates=self.templates,
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def termination_desk(self, db: AsyncSession) -> TerminationDesk:
        """The door for services that are to end, bound to this transaction."""
        return TerminationDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            events=self.events,
            definitions=self.definitions,
            tenant_id=self.tenant_id,
            now=self.clock,
            zone=self.zone,
            team=self.settings.termination_team,
        )

    def network_estate(self, db: AsyncSession) -> NetworkEstate:
        """What defines the network, bound to this transaction."""
        tell = partial(tell_crossing, db, publish=self.publish)
        return NetworkEstate(db, tenant_id=self.tenant_id, now=self.clock, tell=tell)

    def network_upkeep(self, db: AsyncSession) -> NetworkUpkeep:
        """What operators do to addresses under way, bound to this transaction."""
        tell = partial(tell_crossing, db, publish=self.publish)
        return NetworkUpkeep(db, tenant_id=self.tenant_id, now=self.clock, tell=tell)

    def address_desk(self, db: AsyncSession) -> AddressDesk:
        """The door for what changes a live service's addresses, bound to this transaction."""
        return AddressDesk(
            db,
            services=self.services(db),
            verbs=self.subscriber_verbs(db),
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def subscriber_desk(self, db: AsyncSession) -> SubscriberDesk:
        """The door for what is done to subscribers that are served, bound to this transaction."""
        services = self.services(db)
        return SubscriberDesk(
            radius=services.radius_service,
            verbs=self.subscriber_verbs(db),
            cpes=SubscriberCpes(services.genieacs_service),
            network=self.network_upkeep(db),
            addresses=services.network_service,
            period_of=lambda service_id: self.data_caps.period_of(db, service_id),
            used_of=lambda subscriber_id: self.data_caps.used_of(db, subscriber_id),
            billed_plan=lambda service_id: billed_plan(db, self.tenant_id, service_id),
            addressed_plan=self.address_lookup(db).plan_of,
            unregistered=partial(unregistered, db, self.tenant_id),
            tell_lifted=lambda done: tell_lifted(db, self.publish, done["subscriber"], done["change"]),
        )

    @property
    def data_caps(self) -> DataCaps:
        """What was used of data caps, and bringing subscribers to what their plans say of it."""

        async def days(db: AsyncSession, service_ids: Collection[int]) -> Mapping[int, int]:
            return await billing_days(db, self.tenant_id, service_ids)

        async def tell(db: AsyncSession, crossing: CapCrossing) -> None:
            await tell_of_cap(db, self.publish, crossing)

        return DataCaps(
            self.database.begin,
            self.radius_database.read,
            read=self.database.read,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            zone=self.zone,
            billing_days=days,
            tell=tell,
        )

    def device_desk(self, db: AsyncSession) -> DeviceDesk:
        """The door for what is done to CPEs, bound to this transaction."""
        services = self.services(db)
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "templates": self.templates}
        return DeviceDesk(
            db,
            operations=DeviceOperations(db, **common),
            wishes=CustomerWishes(db, **common, secrets=self.vault, devices=services.genieacs_service),
            moving=DeviceMoving(db, tenant_id=self.tenant_id, now=self.clock, configured=acs_names(self.settings)),
            devices=services.genieacs_service,
            lines=LineService(db, tenant_id=self.tenant_id, now=self.clock),
            tenant_id=self.tenant_id,
        )

    def device_binding(self, db: AsyncSession) -> DeviceBinding:
        """The door for who is served by which CPE without a run, bound to this transaction."""

        async def node_of(username: str) -> str | None:
            places = await self.address_lookup(db).places_of([username])
            return places[0]["access_node"] if places else None

        return DeviceBinding(
            db,
            devices=self.services(db).genieacs_service,
            settings=self.device_settings(db),
            lines=LineService(db, tenant_id=self.tenant_id, now=self.clock),
            named=self.subscriber_desk(db).named,
            hold=lambda subscriber_id: self.services(db).radius_service.hold(subscriber_id=subscriber_id),
            node_of=node_of,
            tenant_id=self.tenant_id,
        )

    def nas_desk(self, db: AsyncSession) -> NasDesk:
        """The door for single NASes, bound to this transaction."""
        radius = self.services(db).radius_service
        return NasDesk(
            db,
            radius=radius,
            sessions=self.sessions,
            vault=self.vault,
            secret_at=partial(secret_to_adopt, self.radius_database.read, tenant_id=self.tenant_id),
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def visit_desk(self, db: AsyncSession) -> VisitDesk:
        """The door for reports from the field, bound to this transaction."""
        return VisitDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def slot_search(self, db: AsyncSession) -> Search:
        """Who can come when, bound to this transaction."""
        return Search(db, tenant_id=self.tenant_id, now=self.clock, zone=self.zone, ways=self.ways)

    def dispatch_desk(self, db: AsyncSession) -> DispatchDesk:
        """Dispatch's door to the calendar, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        search, services = self.slot_search(db), self.services(db)
        return DispatchDesk(db, runs=self.runs, services=services, search=search, ways=self.ways, **common)

    def customer_slots(self, db: AsyncSession) -> CustomerSlots:
        """The customers' door to their own visits, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        moves = CustomerMoves(db, **common, terms=self.move_terms)
        return CustomerSlots(db, dispatch=self.dispatch_desk(db), search=self.slot_search(db), moves=moves, **common)

    def first_slots(self, db: AsyncSession) -> FirstSlots:
        """The door to visits whose time customers choose, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return FirstSlots(
            db,
            dispatch=self.dispatch_desk(db),
            search=self.slot_search(db),
            moves=CustomerMoves(db, **common, terms=self.move_terms),
            services=self.services(db),
            runs=self.runs,
            **common,
        )

    def run_slots(self, db: AsyncSession) -> RunSlots:
        """Dispatch's door to the visits that runs wait for, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        dispatch = self.dispatch_desk(db)
        return RunSlots(db, dispatch=dispatch, runs=self.runs, definitions=self.definitions, **common)

    def field_desk(self, db: AsyncSession) -> FieldDesk:
        """The technician's door, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        desks: dict[str, Any] = {"visit_desk": self.visit_desk(db), "dispatch": self.dispatch_desk(db)}
        return FieldDesk(db, **desks, definitions=self.definitions, **common)

    def feeds(self, db: AsyncSession) -> Feeds:
        """Calendars for calendar programs, bound to this transaction."""
        return Feeds(db, tenant_id=self.tenant_id, now=self.clock, zone=self.zone)

    def van_stock(self, db: AsyncSession) -> VanStock:
        """What technicians' vans hold, bound to this transaction."""
        return VanStock(db, tenant_id=self.tenant_id, now=self.clock)

    def planning(self, db: AsyncSession) -> Planning:
        """When technicians work, bound to this transaction."""
        return Planning(db, tenant_id=self.tenant_id, now=self.clock)

    @property
    def photos(self) -> PhotoFiles:
        """The pictures that were taken at visits."""
        return PhotoFiles(self.settings.photo_dir)

    def run_desk(self, db: AsyncSession) -> RunDesk:
        """The desk for decisions about runs, bound to this transaction."""
        return RunDesk(
            db,
            runs=self.runs,
            definitions=self.definitions,
            tickets=TicketDesk(db, tenant_id=self.tenant_id, now=self.clock),
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def line_desk(self, db: AsyncSession) -> LineDesk:
        """The door for the OLT side's answers, bound to this transaction."""
        return LineDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def found_ont_desk(self, db: AsyncSession) -> FoundOntDesk:
        """The door for ONTs that the OLT shows, bound to this transaction."""
        services = self.services(db)
        return FoundOntDesk(
            db,
            visits=self.visit_desk(db),
            network=services.network_service,
            devices=services.genieacs_service,
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def signal_desk(self, db: AsyncSession) -> SignalDesk:
        """The door for everything else that is told to a run, bound to this transaction."""
        return SignalDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock, zone=self.zone)

    def onboarding_desk(self, db: AsyncSession) -> OnboardingDesk:
        """The door for events that make customers, bound to this transaction."""
        return OnboardingDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            leads=self.leads(db),
            offers=self.offers(db),
            domains=self.partner_domains(db),
            tenant_id=self.tenant_id,
            terms=OnboardingTerms(team=self.settings.onboarding_team, public_url=self.settings.public_url),
        )

    def order_desk(self, db: AsyncSession) -> OrderDesk:
        """The door for orders, bound to this transaction."""
        checks = self._wish_checks(db)
        return OrderDesk(db, crm=self._crm(db), runs=self.runs, checks=checks, tenant_id=self.tenant_id)

    def _wish_checks(self, db: AsyncSession) -> WishChecks:
        terms = OrderTerms(self.settings.order_team, self.settings.order_channel, self.zone)
        return WishChecks(db, tenant_id=self.tenant_id, now=self.clock, terms=terms)

    def renewal_desk(self, db: AsyncSession) -> RenewalDesk:
        """The door for terms that end soon, bound to this transaction."""
        return RenewalDesk(db, runs=self.runs, offers=self.offers(db), tenant_id=self.tenant_id)

    def leads(self, db: AsyncSession) -> Leads:
        """The door for leads, bound to this transaction."""
        return Leads(db, tenant_id=self.tenant_id, now=self.clock, publish=self.publish)

    def quote_desk(self, db: AsyncSession) -> QuoteDesk:
        """The door for acceptances, bound to this transaction."""
        return QuoteDesk(
            db,
            crm=self._crm(db),
            runs=self.runs,
            events=self.events,
            publish=self.publish,
            tenant_id=self.tenant_id,
            checks=self._wish_checks(db),
            services=self.services(db),
            now=self.clock,
        )

    def partner_desk(self, db: AsyncSession) -> PartnerDesk:
        """The door for partners' orders, bound to this transaction."""
        return PartnerDesk(
            db,
            publish=self.publish,
            tenant_id=self.tenant_id,
            now=self.clock,
            public_url=self.settings.public_url,
        )

    def payment_desk(self, db: AsyncSession) -> PaymentDesk:
        """The door for settlements, bound to this transaction."""
        return PaymentDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)
