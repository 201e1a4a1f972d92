"""The contract's network service: what a subscriber line needs from the network, given and taken back."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import history, holdings, places, usage
from ipam.allocator import OthersWereQuicker, choose, take
from ipam.answers import (
    AllocatedResources,
    LocationFacts,
    PlanFacts,
    PoolUsage,
    ReleasedResources,
    ServiceAt,
    describe,
    location_facts,
    plan_facts,
)
from ipam.candidates import Candidate, Holder, find_chains
from ipam.errors import PoolBusy, RequestConflict, RequestInvalid, ServiceReleased, ServiceUnknown, UsernameTaken
from ipam.holdings import Line
from ipam.places import Wish
from ipam.tables import Service, table_of

log = structlog.get_logger(__name__)

PATIENCE_SECONDS = 5.0
"""How long others may hold the last units of a pool. Meanwhile the caller's locks are held, so this is short."""
SHORTEST_PAUSE_SECONDS = 0.002
LONGEST_PAUSE_SECONDS = 0.03
LONGEST_REALM = 40
LONGEST_REQUEST_ID = 200
_SERVICE = table_of(Service)
_INSERT = {
    # The count of rows, not RETURNING: for that SQLite looks through all that refers to services.
    dialect.dialect.name: dialect.insert(_SERVICE)
    .on_conflict_do_nothing(index_elements=["tenant_id", "request_id"])
    .execution_options(preserve_rowcount=True)
    for dialect in (postgresql, sqlite)
}


@dataclass(frozen=True)
class Order:
    """What was asked for."""

    customer_id: int
    service_location: str
    bandwidth_plan: str
    request_id: str | None


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
        self._realm = username_realm

    async def allocate_resources(
        self, *, customer_id: int, service_location: str, bandwidth_plan: str, request_id: str | None = None
    ) -> AllocatedResources:
        """Give a new service its address, prefixes, VLANs and username.

        The same ``request_id`` gives the same answer again. When its service has been released meanwhile, the same
        service comes back to life, with its former addresses as far as nobody else was given them.

        Raises:
            RequestInvalid, RequestConflict, LocationUnknown, PlanUnknown, NoPoolBound, GatewayMissing, UsernameTaken:
                nothing helps but to change the request or the network.
            PoolExhausted: with the numbers of the pool.
            PoolBusy: transient; others held the pool's last rows for too long.
        """
        order = Order(customer_id, service_location, bandwidth_plan, request_id)
        _check(order)
        wish = await places.resolve(
            self._db,
            tenant_id=self._tenant_id,
            service_location=service_location,
            plan=bandwidth_plan,
            request_id=request_id,
        )
        waited_seconds, locked = 0.0, frozenset[str]()
        while True:
            try:
                async with self._db.begin_nested():
                    return await self._attempt(order, wish, locked)
            except OthersWereQuicker as late:
                locked |= frozenset(late.pools)
                if waited_seconds > PATIENCE_SECONDS:
                    raise PoolBusy(" and ".join(late.pools), waited_seconds=round(waited_seconds)) from late
                pause_seconds = random.uniform(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(pause_seconds)
                waited_seconds += pause_seconds

    async def release_resources(self, *, service_id: int) -> ReleasedResources:
        """Take back all that a service holds, into its pools' quarantine. Again: the same answer.

        Raises:
            ServiceUnknown: there never was such a service.
        """
        line = await self._line(service_id, to_change=True)
        if line.released_at is not None:
            return await history.released(self._db, service_id=service_id, at=line.released_at)
        at = self._now()
        await history.release(self._db, tenant_id=self._tenant_id, service_id=service_id, at=at)
        log.debug("resources released", service_id=service_id, customer_id=line.customer_id, username=line.username)
        return await history.released(self._db, service_id=service_id, at=at)

    async def resources(self, service_id: int) -> AllocatedResources:
        """All that a live service holds.

        Raises:
            ServiceUnknown, ServiceReleased: there is nothing to tell.
            ServiceIncomplete: somebody took part of it away behind our back.
        """
        line = await self._line(service_id)
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
        """What each live service holds: to be compared with what others believe."""
        return await holdings.resources_of_all(self._db, self._tenant_id)

    async def utilisation(self) -> list[PoolUsage]:
        """How full each pool is; what is in quarantine counts as used."""
        return await usage.read(self._db, self._tenant_id)

    async def service_at(self, *, address: str, at: datetime | None = None, vrf: str | None = None) -> ServiceAt | None:
        """Who had this address (or a prefix it lies in) at that time, or has it now. None: nobody.

        Raises:
            RequestInvalid: no address, or one that several VRFs have and ``vrf`` doesn't say which.
        """
        return await history.service_at(
            self._db, tenant_id=self._tenant_id, address=address, at=at or self._now(), vrf=vrf
        )

    async def _attempt(self, order: Order, wish: Wish, locked: frozenset[str]) -> AllocatedResources:
        if wish.earlier_service_id is not None:
            return await self._repeat(order, wish, locked)
        holder = self._holder(order, wish, wish.next_service_id)
        chosen = await self._choose(wish, holder, locked)
        username = self._username(order.customer_id, holder.service_id)
        if not await self._insert_service(order, wish, holder, chosen, username):
            return await self._repeat(order, wish, locked)
        return await self._take(wish, holder, chosen, username)

    async def _repeat(self, order: Order, wish: Wish, locked: frozenset[str]) -> AllocatedResources:
        """The request has a service already."""
        line = await holdings.find_line(
            self._db, self._tenant_id, Service.request_id == order.request_id, to_change=True
        )
        assert line is not None  # rows of services are never deleted
        _check_same(order, wish, line)
        if not line.released:
            return await holdings.resources_of(self._db, line)
        holder = self._holder(order, wish, line.service_id)
        chosen = await self._choose(wish, holder, locked)
        await self._db.execute(
            update(_SERVICE)
            .where(_SERVICE.c.service_id == line.service_id)
            .values(state="active", released_at=None, **_named_only(chosen))
        )
        return await self._take(wish, holder, chosen, line.username)

    async def _choose(self, wish: Wish, holder: Holder, locked: frozenset[str]) -> list[Candidate]:
        chains = await find_chains(self._db, place=wish.place, plan=wish.plan, holder=holder)
        return await choose(self._db, chains, holder.at, locked)

    async def _take(self, wish: Wish, holder: Holder, chosen: list[Candidate], username: str) -> AllocatedResources:
        held = await take(self._db, chosen, holder)
        # Not yet committed, and so not yet true: the caller's own record tells the operator.
        log.debug("resources taken", service_id=holder.service_id, username=username, subject=holder.subject)
        return describe(service_id=holder.service_id, username=username, place=wish.place, plan=wish.plan, held=held)

    async def _insert_service(
        self, order: Order, wish: Wish, holder: Holder, chosen: list[Candidate], username: str
    ) -> bool:
        """False: the same request was made by somebody else just now; PostgreSQL has waited for its outcome."""
        row = {
            "tenant_id": self._tenant_id,
            "service_id": holder.service_id,
            "request_id": order.request_id,
            "customer_id": order.customer_id,
            "location_id": wish.place.location_id,
            "plan_id": wish.plan.plan_id,
            "username": username,
            "state": "active",
            "created_at": holder.at,
            **_named_only(chosen),
        }
        try:
            inserted = await self._db.execute(_INSERT[self._db.get_bind().dialect.name], row)
            return cast(CursorResult[Any], inserted).rowcount == 1
        except IntegrityError as exc:
            if "username" not in str(exc.orig):
                raise
            raise UsernameTaken(username, customer_id=order.customer_id) from exc

    async def _line(self, service_id: int, *, to_change: bool = False) -> Line:
        line = await holdings.find_line(
            self._db, self._tenant_id, Service.service_id == service_id, to_change=to_change
        )
        if line is None:
            raise ServiceUnknown(service_id)
        return line

    def _holder(self, order: Order, wish: Wish, service_id: int) -> Holder:
        subject = holdings.subject_of(order.customer_id, wish.place.location_id)
        return Holder(self._tenant_id, service_id, subject, self._now())

    def _username(self, customer_id: int, service_id: int) -> str:
        name = f"c{customer_id}-s{service_id}"
        return f"{name}@{self._realm}" if self._realm else name


def _named_only(chosen: list[Candidate]) -> dict[str, int | None]:
    """What a service refers to without taking a unit of it."""
    by_kind = {candidate.kind: candidate for candidate in chosen}
    shared, framed = by_kind.get("svlan"), by_kind.get("framed_pool")
    return {"svlan_id": shared.svlan_id if shared else None, "framed_pool_id": framed.pool_id if framed else None}


def _check(order: Order) -> None:
    if order.customer_id < 1:
        raise RequestInvalid("customer_id", f"is {order.customer_id}; customers are numbered from 1")
    if order.request_id is not None and not 0 < len(order.request_id) <= LONGEST_REQUEST_ID:
        raise RequestInvalid(
            "request_id", f"has {len(order.request_id)} characters; it takes 1 to {LONGEST_REQUEST_ID}"
        )


def _check_same(order: Order, wish: Wish, line: Line) -> None:
    given = (order.customer_id, wish.place.location_id, wish.plan.plan_id)
    recorded = (line.customer_id, line.place.location_id, line.plan.plan_id)
    if given != recorded:
        raise RequestConflict(
            str(order.request_id),
            service_id=line.service_id,
            recorded=f"customer {line.customer_id} at {line.place.location} on {line.plan.name}",
            given=f"customer {order.customer_id} at {wish.place.location} on {wish.plan.name}",
        )
