"""The door for what changes a live service's addresses: whatever rests on them follows in the same transaction.

FreeRADIUS is told by whoever projects next (the worker does it by itself): the subscriber's wish is part of the change.
A session that is open is ended where the service moves, since it could not be given another address; where only what
is routed to it changes, it keeps what it was given until it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from ipam import (
    LONGEST_REQUEST_ID,
    AddressLookup,
    Allocated,
    AllocatedResources,
    Fault,
    MovedService,
    NetworkUpkeep,
    Rehomed,
    ReleasedResources,
    RequestConflict,
    RequestInvalid,
    ServiceIncomplete,
    StaticResources,
    UnitState,
)
from provisioning.address_errors import LineOnOlt, LinesOnOlt, ServiceServed, ServicesInTheWay
from provisioning.carried_lines import carried_otherwise, carried_still
from provisioning.intake import Clock
from provisioning.line import LineOrderRecord, live_line_orders
from provisioning.projections import ALLOCATION, ENDING
from provisioning.signals import TOLD_FROM_OUTSIDE
from provisioning.under_way import ServiceUnderWay, refuse_under_way
from radius import SessionChangeView, SubscriberUnknown, SubscriberVerbs, SubscriberView
from workflows import Services, framed_addresses

IN_SERVICE = ("active", "suspended")

LONGEST_REQUEST = LONGEST_REQUEST_ID - len(TOLD_FROM_OUTSIDE)
"""So many characters a request id may have that another system chooses."""

_Seen = tuple[str, AllocatedResources | None]
"""Where a service is and what it holds; None: not all that its plan needs."""


class ChangedService(TypedDict):
    """What a service holds now. ``changed``: whether it held something else before, or elsewhere. ``projected``:
    whether FreeRADIUS shows it by now; None: it has no subscriber. ``change`` is what its open sessions are to follow;
    None: they keep what they have."""

    resources: AllocatedResources
    changed: bool
    projected: bool | None
    change: SessionChangeView | None


class ReleasedService(ReleasedResources):
    """What a service gave back. ``changed``: whether that was just now. ``now``: how what was given back earlier stands
    by now; empty where it was just now."""

    changed: bool
    now: list[UnitState]


class AddressDesk:
    """Moves, routes, re-homes and releases within the caller's transaction: all of it or nothing."""

    def __init__(
        self, db: AsyncSession, *, services: Services, verbs: SubscriberVerbs, tenant_id: str, now: Clock
    ) -> None:
        self._db = db
        self._verbs = verbs
        self._network = services.network_service
        self._radius = services.radius_service
        self._lookup = AddressLookup(db, tenant_id=tenant_id, now=now)
        self._upkeep = NetworkUpkeep(db, tenant_id=tenant_id, now=now)
        self._tenant_id = tenant_id

    async def allocate(
        self,
        *,
        customer_id: int,
        service_location: str,
        bandwidth_plan: str,
        request_id: str,
        static: StaticResources | None = None,
    ) -> Allocated:
        """A service that another system looks after: no journey of ours puts it into service or takes it back.

        The same request id is the same service: after it was released it comes back, with its former addresses as far
        as nobody else was given them.

        Raises:
            As ``NetworkService.allocate_resources``.
        """
        try:
            return await self._network.allocate(
                customer_id=customer_id,
                service_location=service_location,
                bandwidth_plan=bandwidth_plan,
                request_id=TOLD_FROM_OUTSIDE + request_id if request_id.strip() else "",
                static=static,
            )
        except RequestInvalid as refused:
            raise _as_named(refused, request_id) from refused
        except RequestConflict as other:  # told by the name that whoever asked has given it
            raise RequestConflict(
                request_id, service_id=other.service_id, recorded=other.recorded, given=other.given
            ) from other

    async def move(
        self,
        *,
        service_id: int,
        service_location: str,
        note: str,
        request_id: str | None = None,
        static: StaticResources | None = None,
    ) -> ChangedService:
        """The service goes on at another premise, or, named again, out of what is being drained where it is.

        Raises:
            ServiceUnderWay: a run goes on with what the service holds.
            LineOnOlt: its line would need another VLAN, node or port than its OLT was told.
            As ``NetworkService.move_service``.
        """
        await self._lookup.refuse_faults(
            live_service_id=service_id,
            service_location=service_location,
            note=note,
            request_id=request_id,
            **(asdict(static) if static else {}),
        )
        before = await self._hold(service_id, going_to=service_location)
        async with self._db.begin_nested():
            given = await self._network.move_service(
                service_id=service_id,
                service_location=service_location,
                note=note,
                request_id=request_id,
                static=static,
            )
            return await self._followed(before, given, ends=True)

    async def route(
        self,
        *,
        service_id: int,
        pool: str,
        reason: str,
        prefix: str | None = None,
        count: int = 1,
        take_reserved: bool = False,
    ) -> ChangedService:
        """Prefixes of the pool are routed to the service besides; again: the same. The reason is for whoever audits it.

        Raises:
            ServiceUnderWay
            As ``NetworkService.route_prefix``.
        """
        asked: dict[str, Any] = {"pool": pool, "prefix": prefix, "count": count, "take_reserved": take_reserved}
        await self._lookup.refuse_faults(live_service_id=service_id, reason=reason, **asked)
        before = await self._hold(service_id)
        async with self._db.begin_nested():
            given = await self._network.route_prefix(service_id=service_id, **asked)
            return await self._followed(before, given)

    async def withdraw(self, *, service_id: int, prefix: str, reason: str) -> ChangedService:
        """A routed prefix goes back into its pool's quarantine; one that did already stays there. The reason is for
        whoever audits it.

        Raises:
            ServiceUnderWay
            As ``NetworkService.withdraw_prefix``.
        """
        await self._lookup.refuse_faults(live_service_id=service_id, prefix=prefix, reason=reason)
        before = await self._hold(service_id)
        async with self._db.begin_nested():
            given = await self._network.withdraw_prefix(service_id=service_id, prefix=prefix)
            return await self._followed(before, given)

    async def rehome(self, *, access_nodes: Sequence[str], bng: str, note: str) -> list[MovedService]:
        """Access nodes go behind another BNG, and their services get what is served there.

        Raises:
            ServiceUnderWay: with all services behind them of which a run has more to do.
            LineOnOlt, LinesOnOlt: for all services whose lines would need another VLAN.
            ServicesInTheWay: with all of these, and with what services need that can't be had there.
            NotServed: with each service that lacks something there, where only that stands against it.
        """
        async with self._db.begin_nested():
            done = await self._upkeep.rehome(access_nodes=access_nodes, bng=bng, note=note)
            moved = list(done.moved)
            under_way = await self._under_way([*(each["service_id"] for each in moved), *done.not_served])
            held = {each["service_id"]: each for each in await self._network.all_resources()} if moved else {}
            lines = await self._lines([each["service_id"] for each in moved])
            in_the_way = [
                otherwise
                for each in moved
                if (line := lines.get(each["service_id"])) is not None
                and (otherwise := carried_otherwise(line, held[each["service_id"]])) is not None
            ]
            _refuse_to_rehome(done, under_way, in_the_way)
            given = (held[each["service_id"]] for each in moved)
            await self._verbs.readdress_lines(
                {each["service_id"]: (each["username"], framed_addresses(each)) for each in given}
            )
        return moved

    async def release(self, *, service_id: int, reason: str) -> ReleasedService:
        """What a service holds of which nobody makes use any more goes into quarantine; again: it is there already.

        A journey releases what it has taken itself. This is for what another system has asked for, and for what a run
        that an operator has ended has left behind: a subscriber that never got into service ends in the same act.

        Raises:
            ServiceServed: its subscriber is in service.
            ServiceUnderWay, LineOnOlt
            ServiceUnknown: there never was such a service.
        """
        await self._lookup.refuse_faults(service_id=service_id, reason=reason)
        facts = await self._upkeep.hold_service(service_id=service_id)
        if facts["released_at"] is None:
            await self._refuse_under_way([service_id])
            subscriber = await self._subscriber(facts["username"], service_id)
            if subscriber is not None and subscriber["state"] in IN_SERVICE:
                raise ServiceServed(service_id, username=facts["username"], state=subscriber["state"])
            if (line := (await self._lines([service_id])).get(service_id)) is not None:
                raise carried_still(line)
            if subscriber is not None:
                await self._radius.terminate(subscriber_id=subscriber["subscriber_id"])
        given_back = await self._network.release_resources(service_id=service_id)
        if facts["released_at"] is None:
            return ReleasedService(**given_back, changed=True, now=[])
        units = given_back["released"]
        now = [await self._lookup.state_of(pool=each["pool"], value=each["value"]) for each in units]
        return ReleasedService(**given_back, changed=False, now=now)

    async def numbers_of(self, pool: str) -> dict[str, int] | None:
        """How many of the pool are in which state, for the audit to tell what was there before; None: no such pool."""
        for used in await self._network.utilisation():
            if used["pool"] == pool:
                return {name: value for name, value in used.items() if isinstance(value, int)}
        return None

    async def bngs_of(self, access_nodes: Sequence[str]) -> dict[str, str]:
        """Behind which BNG each of these access nodes is; those that there are."""
        return await self._lookup.bngs_of(access_nodes)

    async def _followed(self, before: _Seen, given: AllocatedResources, *, ends: bool = False) -> ChangedService:
        line = (await self._lines([given["service_id"]])).get(given["service_id"])
        projected, change = await self._follow(given, line, ends=ends)
        facts = await self._lookup.service(given["service_id"])
        changed = (facts["location"], given) != before
        return ChangedService(resources=given, changed=changed, projected=projected, change=change)

    async def _follow(
        self, given: AllocatedResources, line: LineOrderRecord | None, *, ends: bool
    ) -> tuple[bool | None, SessionChangeView | None]:
        """What rests on the addresses says the same as they do; it ``ends`` the sessions that have others."""
        if line is not None and (otherwise := carried_otherwise(line, given)) is not None:
            raise otherwise
        subscriber = await self._subscriber(given["username"], given["service_id"])
        if subscriber is None:
            return None, None
        number, addresses = subscriber["subscriber_id"], framed_addresses(given)
        change = await self._verbs.readdress(subscriber_id=number, addresses=addresses) if ends else None
        after = await self._radius.give_addresses(subscriber_id=number, addresses=addresses)
        return after["projected"], change

    async def _subscriber(self, username: str, service_id: int) -> SubscriberView | None:
        """Who is, or is to be, served with what the service holds."""
        try:
            found = await self._radius.subscriber_named(username=username)
        except SubscriberUnknown:
            return None
        return found if found["service_id"] == service_id and found["state"] != "terminated" else None

    async def _lines(self, service_ids: Collection[int]) -> Mapping[int, LineOrderRecord]:
        return await live_line_orders(self._db, self._tenant_id, service_ids)

    async def _hold(self, service_id: int, *, going_to: str | None = None) -> _Seen:
        """The service is locked before it is asked whether a run is at it: a step that began since waits.

        Raises: ServiceUnknown, ServiceUnderWay
        """
        facts = await self._upkeep.hold_service(service_id=service_id, going_to=going_to)
        await self._refuse_under_way([service_id])
        try:
            return facts["location"], await self._network.resources(service_id)
        except ServiceIncomplete:  # a move may give it what it lacks
            return facts["location"], None

    async def _under_way(self, service_ids: Collection[int]) -> ServiceUnderWay | None:
        try:
            await self._refuse_under_way(service_ids)
        except ServiceUnderWay as runs:
            return runs
        return None

    async def _refuse_under_way(self, service_ids: Collection[int]) -> None:
        """
        Raises:
            ServiceUnderWay: a run has more to do with one of them.
        """
        await refuse_under_way(self._db, self._tenant_id, service_ids, steps=(ALLOCATION, ENDING))


def _as_named(refused: RequestInvalid, request_id: str) -> RequestInvalid:
    """The same, with the length that a request id may have at this door."""
    length = len(request_id) if request_id.strip() else 0
    why = f"has {length} characters; it takes 1 to {LONGEST_REQUEST}"
    (where, what), *others = [
        Fault(fault.where, why) if fault.where == "request_id" else fault for fault in refused.faults
    ]
    return RequestInvalid(where, what, *others)


def _refuse_to_rehome(done: Rehomed, under_way: ServiceUnderWay | None, lines: Sequence[LineOnOlt]) -> None:
    """
    Raises:
        NotServed, ..., ServiceUnderWay, LineOnOlt, LinesOnOlt: where only that stands against it.
        ServicesInTheWay: with all of it.
    """
    runs = under_way.runs if under_way is not None else {}
    others = [line for line in lines if line.service_id not in runs]  # a run takes its own line back
    olts = None if not others else LinesOnOlt(others) if len(others) > 1 else others[0]
    against = [each for each in (done.refusal, under_way, olts) if each is not None]
    if len(against) > 1:
        raise ServicesInTheWay(done.faults, runs, others, exhausted=done.exhausted)
    if against:
        raise against[0]
