"""Looking at addresses, services and pools as people ask for them; nothing is written or locked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import Unpack

from ipam import holdings
from ipam.addresses import spelt
from ipam.errors import Fault
from ipam.lookup import address_facts, held_vrfs, history, places
from ipam.lookup.answers import (
    AddressFacts,
    KnownElsewhere,
    Occupation,
    PlaceKind,
    PlaceUsage,
    ServiceFacts,
    UnitState,
    service_facts,
)
from ipam.lookup.asked import looked_for
from ipam.lookup.places import Behind, LinePlace
from ipam.nat.port_blocks import PortBlocks
from ipam.tables import AccessNode, AddressPlan, Bng, Pool, Service
from ipam.upkeep import request_parts
from ipam.upkeep.pool_units import find_pool
from ipam.upkeep.request_parts import RequestParts
from ipam.usage import occupation, place_usage, usage


class AddressLookup:
    """What one tenant's operators ask about addresses, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def find(self, address: str, *, vrf: str | None = None) -> AddressFacts:
        """An address or prefix: its pool and state, who has it, its history, and its ports behind a CGNAT.

        Raises:
            RequestInvalid: neither, or one that several VRFs have and ``vrf`` doesn't say which.
            NameUnknown: there is no such VRF.
        """
        facts = await address_facts.facts_of(self._db, self._tenant_id, address, at=self._now(), vrf=vrf)
        if facts["kind"] == "ipv4" and facts["state"] != "several":
            blocks = PortBlocks(self._db, tenant_id=self._tenant_id, now=self._now)
            facts["outside"] = await blocks.blocks_of(inside=facts["value"], vrf=facts["vrf"])
        return facts

    async def known_elsewhere(
        self, address: str, *, at: datetime | None = None, vrf: str | None = None
    ) -> KnownElsewhere | None:
        """What knows who has an address that no service of ours has, or had then; None: nobody has it.

        Raises:
            As ``NetworkService.service_at``.
        """
        then = at or self._now()
        unit = await history.unit_at(self._db, tenant_id=self._tenant_id, address=address, at=then, vrf=vrf)
        if unit is not None and await self._db.scalar(select(Pool.framed_pool).where(Pool.id == unit.pool_id)):
            return "bng"
        asked = looked_for(address)
        if asked.family == 4 and asked.length == asked.bits:
            blocks = PortBlocks(self._db, tenant_id=self._tenant_id, now=self._now)
            if (await blocks.is_known(outside=spelt(asked), at=at))["known"]:
                return "port"
        return None

    async def find_each(self, address: str) -> list[AddressFacts]:
        """The same in every VRF that has it, by their names; of what lies nowhere, that it does.

        Raises:
            RequestInvalid: neither an address nor a prefix, or it lies nowhere now, and the CGNAT's log has had it
                inside of several VRFs.
        """
        vrfs = await address_facts.vrfs_of(self._db, self._tenant_id, address)
        return [await self.find(address, vrf=vrf) for vrf in (vrfs if len(vrfs) > 1 else [None])]

    async def state_of(self, *, pool: str, value: str) -> UnitState:
        """How something stands now that the pool handed out once; of a pool that is gone by now, too."""
        return await address_facts.state_of(self._db, self._tenant_id, pool, value, at=self._now())

    async def service(self, service_id: int) -> ServiceFacts:
        """A service, also one that was released.

        Raises:
            ServiceUnknown
        """
        return service_facts(await holdings.find_service(self._db, self._tenant_id, service_id))

    async def plan_of(self, service_id: int) -> str | None:
        """The plan that an active service was given its addresses for; None: no such service is active."""
        of_service = (Service.tenant_id == self._tenant_id, Service.service_id == service_id)
        plan: str | None = await self._db.scalar(
            select(AddressPlan.name)
            .join(Service, Service.plan_id == AddressPlan.id)
            .where(*of_service, Service.state == "active")
        )
        return plan

    async def faults_in(self, parts: RequestParts) -> tuple[Fault, ...]:
        """All that speaks against a request of which these parts are known.

        Raises:
            TypeError: a request has no such part.
        """
        return (await request_parts.faults_in(self._db, self._tenant_id, parts)).all

    async def refuse_faults(self, **parts: Unpack[RequestParts]) -> None:
        """
        Raises:
            RequestInvalid: with all that ``faults_in`` finds; where that is one thing alone, its own error, such as
                LocationUnknown.
            TypeError: a request has no such part.
        """
        await request_parts.refuse_faults(self._db, self._tenant_id, parts)

    async def services_of_requests(self, prefix: str) -> list[int]:
        """The services that hold resources now and were asked for under a request id that begins like this."""
        found = await self._db.scalars(
            select(Service.service_id)
            .where(
                Service.tenant_id == self._tenant_id,
                Service.state == "active",
                Service.request_id.startswith(prefix, autoescape=True),
            )
            .order_by(Service.service_id)
        )
        return list(found)

    async def occupation(self, pool: str) -> Occupation:
        """Where in the pool its units are used, cell by cell: what a picture of it is drawn from.

        Raises:
            NameUnknown: there is no such pool.
            RequestInvalid: the BNG hands it out.
        """
        known = await find_pool(self._db, self._tenant_id, pool)
        return await occupation.occupation(self._db, known, self._now())

    async def bngs_of(self, access_nodes: Sequence[str]) -> dict[str, str]:
        """Behind which BNG each of these access nodes is; those that there are."""
        found = await self._db.execute(
            select(AccessNode.name, Bng.name)
            .join(Bng, Bng.id == AccessNode.bng_id)
            .where(AccessNode.tenant_id == self._tenant_id, AccessNode.name.in_(access_nodes))
        )
        return {node: bng for node, bng in found}

    async def places_of(self, usernames: Sequence[str]) -> list[LinePlace]:
        """Where the lines of these usernames are; those that have an active service."""
        return await places.places_of(self._db, self._tenant_id, usernames)

    async def vrfs_of(self, usernames: Sequence[str]) -> dict[str, dict[str, str]]:
        """By username, of those that have a live service, the VRF of each prefix that it holds; an address is a prefix
        of its whole length."""
        return await held_vrfs.vrfs_of_held(self._db, self._tenant_id, usernames)

    async def access_nodes(self, *, after: str = "", limit: int = 50) -> list[tuple[str, str]]:
        """Access nodes by their names, each with its BNG; ``after`` the last one of the page before."""
        return await places.access_nodes(self._db, self._tenant_id, after=after, limit=limit)

    async def services_behind(self, place: Sequence[str | None], *, most: int) -> int:
        """How many services are active behind a BNG, an access node or a port, counted up to ``most``."""
        return await places.services_behind(self._db, self._tenant_id, place, most=most)

    async def service_ids_behind(self, access_node: str) -> list[int]:
        """The services that are active behind an access node, by their numbers."""
        return await places.service_ids_behind(self._db, self._tenant_id, access_node)

    async def places_of_locations(self, locations: Collection[str]) -> dict[str, Behind]:
        """Where these premises are connected; those that there are."""
        return await places.places_of_locations(self._db, self._tenant_id, locations)

    async def usage_by_place(self, of: PlaceKind) -> list[PlaceUsage]:
        """How full the pools are that are bound to each BNG, site or access node, or inside of it."""
        used = await usage.read(self._db, self._tenant_id, at=self._now())
        return await place_usage.by_place(self._db, self._tenant_id, used, of)
