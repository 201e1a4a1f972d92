"""The contract's network service: what a subscriber line needs from the network, given and taken back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import Unpack

from ipam import holdings
from ipam.allocation import places, previewing
from ipam.allocation.candidates import Holder
from ipam.allocation.giving import Giving
from ipam.allocation.orders import Order, check_order
from ipam.allocation.places import Place
from ipam.allocation.static_requests import StaticResources, takes_reserved
from ipam.answers import (
    Allocated,
    AllocatedResources,
    LocationFacts,
    PlanFacts,
    PoolUsage,
    ReleasedResources,
    ServiceAt,
    location_facts,
    plan_facts,
)
from ipam.errors import LocationUnknown, PlanUnknown, RequestInvalid, ServiceReleased
from ipam.holdings import Line
from ipam.inventory import kea
from ipam.lookup import history
from ipam.lookup.asked import by_then
from ipam.tables import Service
from ipam.upkeep import moving, returning, routing
from ipam.upkeep.answers import KeaExport, PoolOutlook, PoolSampleAt, PreviewedUnit
from ipam.upkeep.pool_units import checked_note
from ipam.upkeep.request_parts import RequestParts, refuse_faults
from ipam.usage import sampling, usage

log = structlog.get_logger(__name__)

LONGEST_REALM = 40


class NetworkService:
    """Addresses, VLANs and usernames of one tenant, within the caller's transaction.

    Either all of a service is written or nothing of it: after an error the caller's transaction is as it was before
    the call, and may go on.
    """

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime], username_realm: str) -> None:
        """``username_realm`` follows the @ of usernames; empty for none.

        Raises:
            RequestInvalid: FreeRADIUS would not find usernames of that realm.
        """
        if not re.fullmatch(r"|[a-z0-9]([a-z0-9.-]*[a-z0-9])?", username_realm) or len(username_realm) > LONGEST_REALM:
            raise RequestInvalid("username_realm", f"is {username_realm!r}; it takes at most 40 of a-z 0-9 . -")
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._giving = Giving(db, tenant_id=tenant_id, now=now, realm=username_realm)

    async def allocate_resources(
        self,
        *,
        customer_id: int,
        service_location: str,
        bandwidth_plan: str,
        request_id: str | None = None,
        static: StaticResources | None = None,
    ) -> AllocatedResources:
        """Give a new service its address, prefixes, VLANs and username; of what ``static`` names, exactly that, also
        where it is reserved if ``take_reserved`` says so.

        The same ``request_id`` gives the same answer again. When its service has been released meanwhile, the same
        service comes back to life, with its former addresses as far as nobody else was given them.

        Raises:
            RequestInvalid, RequestConflict, LocationUnknown, PlanUnknown, NoPoolBound, GatewayMissing, UsernameTaken:
                nothing helps but to change the request or the network.
            UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost, UnitElsewhere,
                CvlanNotComputable: why what was asked for by its number, or is computed, can't be had.
            PoolExhausted: with the numbers of the pool.
            PoolBusy: transient; others held the pool's last rows for too long.
        """
        given = await self.allocate(
            customer_id=customer_id,
            service_location=service_location,
            bandwidth_plan=bandwidth_plan,
            request_id=request_id,
            static=static,
        )
        return given.resources

    async def allocate(
        self,
        *,
        customer_id: int,
        service_location: str,
        bandwidth_plan: str,
        request_id: str | None = None,
        static: StaticResources | None = None,
    ) -> Allocated:
        """The same, and whether the request was made before. Raises: as ``allocate_resources``."""
        try:
            wanted = static.checked() if static else None
            check_order(order := Order(customer_id, service_location, bandwidth_plan, request_id, wanted))
            return await self._giving.give(order)
        except (RequestInvalid, LocationUnknown, PlanUnknown):
            await self._refuse_faults(
                customer_id=customer_id,
                service_location=service_location,
                bandwidth_plan=bandwidth_plan,
                request_id=request_id,
                **_numbers(static),
            )
            raise

    async def release_resources(self, *, service_id: int) -> ReleasedResources:
        """Take back all that a service holds, into its pools' quarantine. Again: the same answer, whatever has become
        of it since; only what lay in a drain that has ended is told with when its quarantine ends.

        Raises:
            ServiceUnknown: there never was such a service.
        """
        held = await holdings.lock_service(self._db, self._tenant_id, service_id)
        if held.released_at is not None:
            return await returning.released(self._db, service_id=service_id, at=held.released_at)
        at = self._now()
        given = await returning.release(self._db, tenant_id=self._tenant_id, service_id=service_id, at=at)
        log.debug("resources released", service_id=service_id, customer_id=held.customer_id, username=held.username)
        return given

    async def preview(
        self, *, customer_id: int, service_location: str, bandwidth_plan: str, static: StaticResources | None = None
    ) -> list[PreviewedUnit]:
        """What this customer would get there, of each kind that the plan needs; nothing is written or locked.

        Raises:
            What ``allocate_resources`` would, were it called now.
        """
        await self._refuse_faults(
            customer_id=customer_id,
            service_location=service_location,
            bandwidth_plan=bandwidth_plan,
            **_numbers(static),
        )
        place = await places.find_place(self._db, self._tenant_id, service_location)
        plan = await places.find_plan(self._db, self._tenant_id, bandwidth_plan)
        wanted = static.checked() if static else None
        holder = self._holder(0, customer_id, place, takes_reserved(wanted))
        return await previewing.preview(self._db, place=place, plan=plan, holder=holder, static=wanted)

    async def move_service(
        self,
        *,
        service_id: int,
        service_location: str,
        note: str,
        request_id: str | None = None,
        static: StaticResources | None = None,
    ) -> AllocatedResources:
        """Let a live service go on at another premise, in one act: what that place can serve it keeps, the rest goes
        into quarantine and is given anew. What is being drained it doesn't keep, so that a move to where it is gets
        it out of there. The same ``request_id`` again changes nothing.

        Raises:
            ServiceUnknown, ServiceReleased, LocationUnknown, RequestInvalid, RequestConflict: nothing is moved.
            RouteNotServed: a routed prefix can't follow.
            NoPoolBound, PoolExhausted, ...: as for an allocation.
        """
        await self._refuse_faults(
            live_service_id=service_id,
            service_location=service_location,
            note=note,
            request_id=request_id,
            **_numbers(static),
        )
        said, wanted = checked_note(note), static.checked() if static else None
        line = await self._live_line(service_id, service_location)
        place = await self._held_place(service_location)
        asked: dict[str, Any] = {"line": line, "place": place, "request_id": request_id, "static": wanted}
        if not await moving.was_made(self._db, tenant_id=self._tenant_id, **asked):
            holder = self._holder(service_id, line.customer_id, place, takes_reserved(wanted))
            await moving.move(self._db, holder=holder, note=said, **asked)
            log.debug("service moved", service_id=service_id, location=place.location)
        return await self.resources(service_id)

    async def _held_place(self, service_location: str) -> Place:
        """The premise where a service goes, which was held before the service; or, if its name leads to another one
        since, that one.

        Raises:
            LocationUnknown
        """
        while True:
            held = await places.hold_places(self._db, self._tenant_id, service_location)
            place = await places.find_place(self._db, self._tenant_id, service_location)
            if held is None or place.location_id in held:
                return place

    async def route_prefix(
        self,
        *,
        service_id: int,
        pool: str,
        prefix: str | None = None,
        count: int = 1,
        take_reserved: bool = False,
    ) -> AllocatedResources:
        """Route a prefix of that pool to the service besides: a certain one, also where it is reserved if
        ``take_reserved`` says so, or of its choice as many as the service lacks to have ``count`` of them at least,
        those that are being drained not counted; again: the same.

        Raises:
            ServiceUnknown, ServiceReleased, RequestInvalid, UnitElsewhere, UnitTaken, ...: nothing is routed.
            PoolExhausted, PoolBusy: as for an allocation.
        """
        asked: dict[str, Any] = {"prefix": prefix, "count": count}
        await self._refuse_faults(live_service_id=service_id, take_reserved=take_reserved, **asked)
        line = await self._live_line(service_id)
        holder = self._holder(service_id, line.customer_id, line.place, take_reserved)
        await routing.route(self._db, line=line, holder=holder, pool=pool, **asked)
        return await self.resources(service_id)

    async def withdraw_prefix(self, *, service_id: int, prefix: str) -> AllocatedResources:
        """Take a routed prefix back from the service, into its pool's quarantine; again: it is so already.

        Raises:
            ServiceUnknown, ServiceReleased: there is nothing to take.
            UnitNotHeld: it was never routed to the service.
        """
        await self._refuse_faults(live_service_id=service_id, prefix=prefix)
        line = await self._live_line(service_id)
        await routing.withdraw(self._db, tenant_id=self._tenant_id, line=line, prefix=prefix, at=self._now())
        return await self.resources(service_id)

    async def resources(self, service_id: int) -> AllocatedResources:
        """All that a live service holds.

        Raises:
            ServiceUnknown, ServiceReleased: there is nothing to tell.
            ServiceIncomplete: somebody took part of it away behind our back.
        """
        line = await holdings.find_service(self._db, self._tenant_id, service_id)
        if line.released_at is not None:
            raise ServiceReleased(service_id, line.released_at)
        return await holdings.resources_of(self._db, line)

    async def locate(self, service_location: str) -> LocationFacts:
        """Where a premise terminates, found by its ``LOC-...`` id or any alias.

        Raises:
            LocationUnknown: never a default place instead.
        """
        return location_facts(await places.find_place(self._db, self._tenant_id, service_location))

    async def plan(self, name: str) -> PlanFacts:
        """What a commercial plan needs from the network.

        Raises:
            PlanUnknown: there is no address plan of that name.
        """
        return plan_facts(await places.find_plan(self._db, self._tenant_id, name))

    async def active_service_ids(self) -> list[int]:
        """The services that hold resources now."""
        found = await self._db.scalars(
            select(Service.service_id)
            .where(Service.tenant_id == self._tenant_id, Service.state == "active")
            .order_by(Service.service_id)
        )
        return list(found)

    async def all_resources(self) -> list[AllocatedResources]:
        """What each live service holds: to be compared with what others believe.

        One that lacks a part of what its plan needs is left out: ``resources`` of it tells which, and the invariant
        ``incomplete`` of all of these.
        """
        return await holdings.resources_of_all(self._db, self._tenant_id)

    async def kea_reservations(self) -> KeaExport:
        """Host reservations for Kea, of the live services whose plan gets its addresses by DHCP."""
        return await kea.reservations(self._db, self._tenant_id)

    async def utilisation(self) -> list[PoolUsage]:
        """How full each pool is; what is in quarantine counts as used."""
        return await usage.read(self._db, self._tenant_id, at=self._now())

    async def outlook(self) -> list[PoolOutlook]:
        """How bad it is with each pool, and in how many days it will be full if it goes on like this."""
        return await sampling.outlook(self._db, tenant_id=self._tenant_id, at=self._now())

    async def levels_since(self, pools: Sequence[PoolOutlook]) -> dict[str, datetime]:
        """Since when each of these pools that are not ok has been at its level, as the clock wrote it down; one that
        the clock has not seen at it is left out."""
        return await sampling.levels_since(
            self._db, tenant_id=self._tenant_id, levels={each["pool"]: each["level"] for each in pools}
        )

    async def samples(self, *, since: datetime) -> dict[str, list[PoolSampleAt]]:
        """How full each pool was since then, as the clock wrote it down, the oldest first."""
        return await sampling.samples_since(self._db, tenant_id=self._tenant_id, since=since)

    async def service_at(self, *, address: str, at: datetime | None = None, vrf: str | None = None) -> ServiceAt | None:
        """Who had this address or prefix (or a prefix it lies in) at that time, or has it now. None: nobody.

        Raises:
            RequestInvalid: neither, or one that several VRFs have and ``vrf`` doesn't say which, or a prefix of which
                several may have had parts; or a time that is yet to come.
            NameUnknown: there is no such VRF.
        """
        return await history.service_at(
            self._db, tenant_id=self._tenant_id, address=address, at=by_then(at, self._now()), vrf=vrf
        )

    async def _refuse_faults(self, **parts: Unpack[RequestParts]) -> None:
        await refuse_faults(self._db, self._tenant_id, parts)

    def _holder(self, service_id: int, customer_id: int, place: Place, takes: bool | None) -> Holder:
        subject = holdings.subject_of(customer_id, place.location_id)
        return Holder(self._tenant_id, service_id, subject, self._now(), takes)

    async def _live_line(self, service_id: int, *going_to: str) -> Line:
        """The service, which nobody else changes meanwhile.

        Raises:
            ServiceUnknown, ServiceReleased: it holds nothing.
        """
        line = await holdings.hold_service(self._db, self._tenant_id, service_id, *going_to)
        if line.released_at is not None:
            raise ServiceReleased(service_id, line.released_at)
        return line


def _numbers(static: StaticResources | None) -> dict[str, Any]:
    return asdict(static) if static else {}
