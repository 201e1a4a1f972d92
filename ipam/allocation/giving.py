"""Giving a new service all that it needs, in one attempt after the other until nobody is in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.allocation.at_once import give_at_once
from ipam.allocation.candidates import Candidate, Holder, bound
from ipam.allocation.chains import chains_of
from ipam.allocation.given import Given
from ipam.allocation.orders import Order
from ipam.allocation.patience import patiently
from ipam.allocation.places import Plan, hold_places
from ipam.allocation.service_rows import named_only, service_row, username_of
from ipam.allocation.static_requests import takes_reserved
from ipam.allocation.wishes import Wish, number_after, resolve
from ipam.allocator import begin, choose, take
from ipam.answers import Allocated, HowAllocated
from ipam.errors import RequestConflict, UsernameTaken
from ipam.holdings import Line
from ipam.kinds import wanted
from ipam.tables import Location, Service, ServiceMove, table_of

log = structlog.get_logger(__name__)

_SERVICE = table_of(Service)

MOST_NUMBERS = 8
"""So many services' numbers are tried where somebody has the usernames that follow from them: they were imported."""


class Giving:
    """Gives resources to new services of one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Callable[[], datetime], realm: str) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._realm = realm

    async def give(self, order: Order) -> Allocated:
        """All of it or nothing; the same request again gets the same answer. The order has been checked.

        Raises:
            As ``NetworkService.allocate_resources`` says.
        """
        given = await give_at_once(self._db, order, tenant_id=self._tenant_id, realm=self._realm, at=self._now())
        return await self._in_steps(order) if given is None else _told(given)

    async def _in_steps(self, order: Order) -> Allocated:
        """Ask, and take what was seen: as often as it takes, or until it is known why not."""
        wish = await self._resolved(order)
        seen: list[Sequence[Candidate]] = [wish.bound]
        for _ in range(MOST_NUMBERS - 1):
            with suppress(UsernameTaken):
                return await self._once(order, wish, seen)
            number = await number_after(
                self._db, wish.next_service_id, customer_id=order.customer_id, realm=self._realm
            )
            wish = replace(wish, next_service_id=number)
        return await self._once(order, wish, seen)

    async def _resolved(self, order: Order) -> Wish:
        """What is wished for, at a premise that is held."""
        premise, plan = order.service_location, order.bandwidth_plan
        while True:
            held = await hold_places(self._db, self._tenant_id, premise, plan=plan, request_id=order.request_id)
            wish = await resolve(
                self._db,
                tenant_id=self._tenant_id,
                customer_id=order.customer_id,
                service_location=premise,
                plan=plan,
                request_id=order.request_id,
                at=self._now(),
            )
            if held is None or wish.place.location_id in held:
                return wish

    async def _once(self, order: Order, wish: Wish, seen: list[Sequence[Candidate]]) -> Allocated:
        """With the service's number as it is in the wish. Raises: UsernameTaken, which leaves nothing of it."""
        attempt = partial(self._attempt, order, wish, seen)
        return await patiently(self._db, attempt, leaves_nothing=self._leaves_nothing(order, wish))

    def _leaves_nothing(self, order: Order, wish: Wish) -> bool:
        """On SQLite nobody else is at it: when the service's row, which comes first, could be written, and no unit has
        been asked for by its number, nothing of ours refuses the rest."""
        is_plain = wish.earlier_service_id is None and order.static is None
        is_computed = any(candidate.cvlan_formula is not None for candidate in wish.bound)
        return is_plain and not is_computed and self._db.get_bind().dialect.name == "sqlite"

    async def _attempt(
        self, order: Order, wish: Wish, seen: list[Sequence[Candidate]], locked: frozenset[str]
    ) -> Allocated:
        """``seen``: what is bound there, for the first attempt; each later one looks again."""
        if wish.earlier_service_id is not None:
            return await self._repeat(order, wish, locked)
        holder = self._holder(order, wish, wish.next_service_id)
        chosen = await self._choose(order, wish, holder, locked, seen.pop() if seen else None)
        username = username_of(order.customer_id, holder.service_id, self._realm)
        row = service_row(order, wish.place, wish.plan, holder, chosen, username)
        try:
            held = await begin(self._db, row, chosen, holder)
        except IntegrityError as exc:
            if "username" not in str(exc.orig):
                raise
            raise UsernameTaken(username, customer_id=order.customer_id) from exc
        if held is None:
            return await self._repeat(order, wish, locked)
        return _told(Given(holder.service_id, username, wish.place, wish.plan, held))

    async def _repeat(self, order: Order, wish: Wish, locked: frozenset[str]) -> Allocated:
        """The request has a service already."""
        seen = await holdings.find_line(self._db, self._tenant_id, Service.request_id == order.request_id)
        assert seen is not None  # rows of services are never deleted
        line = await holdings.hold_service(self._db, self._tenant_id, seen.service_id)
        await self._check_same(order, wish, line)
        if not line.released:
            return Allocated(await holdings.resources_of(self._db, line), "held", line.place.location)
        wish = replace(wish, place=line.place)  # a move may have taken it elsewhere since, where it belongs still
        holder = self._holder(order, wish, line.service_id)
        chosen = await self._choose(order, wish, holder, locked)
        await self._db.execute(
            update(_SERVICE)
            .where(_SERVICE.c.service_id == line.service_id)
            .values(state="active", released_at=None, **named_only(chosen))
        )
        held = await take(self._db, chosen, holder)
        return _told(Given(line.service_id, line.username, wish.place, wish.plan, held), "back")

    async def _check_same(self, order: Order, wish: Wish, line: Line) -> None:
        """Whether the request says what it said first; for the premise also where its service has been moved to since.

        Raises:
            RequestConflict: it doesn't.
        """
        first = (
            select(Location.id, Location.name)
            .join(ServiceMove, ServiceMove.from_location_id == Location.id)
            .where(ServiceMove.service_id == line.service_id)
            .order_by(ServiceMove.id)
            .limit(1)
        )
        moved = (await self._db.execute(first)).first()
        location_id, location = moved or (line.place.location_id, line.place.location)
        given = (order.customer_id, wish.place.location_id, wish.plan.plan_id, order.static_text)
        premises = {location_id, line.place.location_id}
        if given not in {(line.customer_id, each, line.plan.plan_id, line.static_request) for each in premises}:
            since = "" if line.place.location_id == location_id else f", now at {line.place.location}"
            raise RequestConflict(
                str(order.request_id),
                service_id=line.service_id,
                recorded=_in_words(line.customer_id, location, line.plan, line.static_request) + since,
                given=_in_words(order.customer_id, wish.place.location, wish.plan, order.static_text),
            )

    async def _choose(
        self,
        order: Order,
        wish: Wish,
        holder: Holder,
        locked: frozenset[str],
        seen: Sequence[Candidate] | None = None,
    ) -> list[Candidate]:
        found = await bound(self._db, wish.place, wish.plan, holder) if seen is None else seen
        by_number = order.static.by_kind() if order.static else {}
        chains = chains_of(found, wish.place, wish.plan, wanted(wish.plan, wish.place), by_number)
        return await choose(self._db, chains, holder.at, locked)

    def _holder(self, order: Order, wish: Wish, service_id: int) -> Holder:
        subject = holdings.subject_of(order.customer_id, wish.place.location_id)
        return Holder(self._tenant_id, service_id, subject, self._now(), takes_reserved(order.static))


def _told(given: Given, how: HowAllocated = "new") -> Allocated:
    # Not yet committed, and so not yet true: the caller's own record tells the operator.
    log.debug("resources taken", service_id=given.service_id, username=given.username, place=given.place.location)
    return Allocated(given.described(), how, given.place.location)


def _in_words(customer_id: int, location: str, plan: Plan, static: str | None) -> str:
    return f"customer {customer_id} at {location} on {plan.name}" + (f" with {static}" if static else "")
