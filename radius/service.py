"""The face of this package towards the journeys: what a subscriber, a plan and a NAS shall be.

Made for one transaction. Nothing here commits, and nothing here talks to FreeRADIUS: ``RadiusProjector`` carries the
wish there afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import or_, select

from radius.coa.namesakes import SessionMark, owners_of
from radius.definitions import Definitions
from radius.encoder import encode
from radius.errors import SubscriberRenamed, SubscriberUnknown
from radius.lists import among
from radius.projection.projection import FramedAddresses
from radius.results import CreatedSubscriber, SubscriberView
from radius.states import State
from radius.subscribers import external_ids, former_names, parts, subscribers
from radius.subscribers.name_holders import HeldName, names_of_each
from radius.subscribers.requests import SubscriberRequest
from radius.subscribers.views import PLAN, SUBSCRIBER, VIEWS, subscriber_view
from radius.tables import Plan, Subscriber


class RadiusService(Definitions):
    """Subscribers, plans and NASes of one tenant, in the caller's transaction."""

    async def create_subscriber(
        self,
        *,
        customer_id: int,
        username: str,
        bandwidth_profile: str,
        service_id: int | None = None,
        addresses: FramedAddresses | None = None,
        external_id: str | None = None,
        request_id: str | None = None,
    ) -> CreatedSubscriber:
        """Make a subscriber in state pending, with a random password that is sealed in the same transaction.

        ``bandwidth_profile`` is the name of a plan. ``radacct_id`` in the answer is our subscriber's id: no accounting
        row exists before the first login, and none is ever faked.

        The same request again gives the same subscriber, in the state it has by now. One that was terminated since is
        pending again, with a new password and the addresses of this request.

        Raises:
            RequestRefused: a number or the request id cannot be kept, or more than one thing is wrong: it names all.
            UsernameTaken: the name belongs to somebody else, or did.
            ExternalIdTaken: the ISP's own number of it belongs to another one.
            UsernameRefused, ValueRefused, AddressConflict: FreeRADIUS could not carry it.
            PlanUnknown
            RequestConflict: ``request_id`` was used before with other input.
        """
        request = SubscriberRequest(
            customer_id=customer_id,
            username=username,
            plan=bandwidth_profile,
            service_id=service_id,
            addresses=addresses or FramedAddresses(),
            external_id=external_id,
        )
        return await self._create(request, request_id)

    async def create_by_hand(
        self,
        *,
        customer_id: int,
        username: str,
        plan: str,
        ipv4_pool: str | None,
        external_id: str | None,
        also_wrong: Sequence[str],
    ) -> CreatedSubscriber:
        """The same without a service. ``also_wrong`` is what the caller has found wrong with it, which is told with all
        the rest.

        Raises: as ``create_subscriber``.
        """
        addresses = FramedAddresses(ipv4_pool=ipv4_pool)
        request = SubscriberRequest(customer_id, username, plan, None, addresses, external_id)
        return await self._create(request, None, also_wrong)

    async def faults_by_part(
        self, said: Mapping[str, Any], *, subscriber_id: int | None = None
    ) -> list[tuple[str, str]]:
        """What is wrong with some parts of what is asked of a subscriber, or of a new one, each with its name."""
        return await parts.faults_by_part(self._db, self._tenant_id, said, asker=subscriber_id)

    async def _create(
        self, request: SubscriberRequest, request_id: str | None, also_wrong: Sequence[str] = ()
    ) -> CreatedSubscriber:
        subscriber = await subscribers.create(
            self._db,
            self._tenant_id,
            request,
            request_id,
            secrets=self._secrets,
            now=self._now(),
            also_wrong=also_wrong,
        )
        return CreatedSubscriber(
            radacct_id=subscriber.id,
            subscriber_id=subscriber.id,
            username=subscriber.username,
            password=subscriber.password_ref,
            state=subscriber.state,
        )

    async def begin_testing(self, *, subscriber_id: int, until: datetime) -> SubscriberView:
        """Give the full plan until a moment; after it FreeRADIUS refuses by itself. Again with another moment moves it.

        Raises:
            IllegalMove: it is active, suspended or terminated.
            TestingWindowOver: ``until`` is over.
            ValueRefused: it lies behind what RADIUS can say.
            SubscriberUnknown
        """
        encode("Expiration", until, place="check")
        # whole seconds: finer ones do not reach FreeRADIUS
        return await self._move(subscriber_id, "testing", until=until.astimezone(UTC).replace(microsecond=0))

    async def return_to_pending(self, *, subscriber_id: int) -> SubscriberView:
        """Refuse service again and keep everything: the undo of testing and of activation.

        Raises:
            IllegalMove: it is suspended or terminated.
            SubscriberUnknown
        """
        return await self._move(subscriber_id, "pending")

    async def activate(self, *, subscriber_id: int) -> SubscriberView:
        """Give the full plan for good.

        Raises:
            IllegalMove: it is suspended, which only its resumption ends, or terminated.
            SubscriberUnknown
        """
        return await self._move(subscriber_id, "active")

    async def terminate(self, *, subscriber_id: int) -> SubscriberView:
        """End the subscriber. Its password is forgotten, its name free for the same customer only.

        Raises:
            SubscriberUnknown
        """
        view = await self._move(subscriber_id, "terminated")
        await subscribers.forget_password(self._db, subscriber_id, secrets=self._secrets)
        return view

    async def give_addresses(self, *, subscriber_id: int, addresses: FramedAddresses) -> SubscriberView:
        """What the line is given from its next login on; a session that is open keeps what it was given.

        Raises:
            ValueRefused, AddressConflict: FreeRADIUS could not carry it.
            SubscriberUnknown
        """
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        await subscribers.give_addresses(self._db, subscriber, addresses, self._now())
        return await self._view(subscriber)

    async def hold(self, *, subscriber_id: int) -> SubscriberView:
        """The subscriber as it stands now, whom nobody else changes until the transaction ends. Raises:
        SubscriberUnknown."""
        return await self._view(await subscribers.locked(self._db, self._tenant_id, subscriber_id))

    async def subscriber(self, *, subscriber_id: int) -> SubscriberView:
        """The subscriber as it shall be, or ``SubscriberUnknown``."""
        return await self._view(await subscribers.found(self._db, self._tenant_id, subscriber_id))

    async def subscriber_named(self, *, username: str) -> SubscriberView:
        """The subscriber whose rows stand under this name, of those that had it one after the other the present one.

        Raises:
            SubscriberRenamed: nobody has it any more, and this says which name who gave it up last has now.
            SubscriberUnknown
        """
        try:
            return await self._view(await subscribers.owner_of(self._db, self._tenant_id, username))
        except SubscriberUnknown:
            number = await former_names.who_was(self._db, self._tenant_id, username)
            if number is None:
                raise
        renamed = await subscribers.found(self._db, self._tenant_id, number)
        raise SubscriberRenamed(username, renamed.username)

    async def former_names(self, *, subscriber_id: int) -> list[str]:
        """The names that a subscriber gave up and that nobody has taken since, the latest first."""
        return list(await former_names.nobody_elses(self._db, self._tenant_id, subscriber_id))

    async def held_names(self, *, subscriber_id: int) -> list[HeldName]:
        """The name of a subscriber and then all that it gave up, the latest first, each with all who have or had it."""
        return list((await names_of_each(self._db, self._tenant_id, [subscriber_id]))[subscriber_id])

    async def owners(self, marks: Sequence[SessionMark]) -> list[tuple[int, str] | None]:
        """Of each of these sessions the number and present name of the subscriber whose it is; None: nobody here."""
        numbers = await owners_of(self._db, self._tenant_id, marks)
        theirs = {number for number in numbers if number is not None}
        present = select(Subscriber.id, Subscriber.username).where(among(self._db, Subscriber.id, theirs))
        names = {number: name for number, name in await self._db.execute(present)}
        return [None if number is None else (number, names[number]) for number in numbers]

    async def subscriber_known_as(self, *, external_id: str) -> SubscriberView:
        """The subscriber that has this number of the ISP's own, and is not terminated; or ``SubscriberUnknown``."""
        return await self._view(await external_ids.known_as(self._db, self._tenant_id, external_id))

    async def subscriber_last_known_as(self, *, external_id: str) -> SubscriberView:
        """The same; where there is none, the last one that had it and was terminated. ``SubscriberUnknown``: nobody had
        it ever."""
        return await self._view(await external_ids.last_known_as(self._db, self._tenant_id, external_id))

    async def refuse_taken_external_id(self, external_id: str) -> None:
        """Raises: RequestRefused, ExternalIdTaken when no subscriber could be given that number."""
        await external_ids.refuse_taken_number(self._db, self._tenant_id, external_id)

    async def give_external_id(self, *, subscriber_id: int, external_id: str | None) -> SubscriberView:
        """Let it be known by the ISP's own number of it; None: by none. Nothing happens when it is.

        Raises:
            RequestRefused: such a number cannot be kept.
            ExternalIdTaken, SubscriberTerminated, SubscriberUnknown
        """
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        await external_ids.give_external_id(self._db, subscriber, external_id, self._now())
        return await self._view(subscriber)

    async def subscribers(
        self,
        *,
        external_id: str | None = None,
        plan: str | None = None,
        customer_id: int | None = None,
        state: State | None = None,
        only_hash: bool = False,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[SubscriberView]:
        """Subscribers of any state, the newest first, a page at a time (``before_id``).

        ``only_hash``: of whose password no more than a hash is known; of who is terminated not even that.
        """
        query = VIEWS.where(SUBSCRIBER.tenant_id == self._tenant_id).order_by(SUBSCRIBER.id.desc()).limit(limit)
        if customer_id is not None:
            query = query.where(SUBSCRIBER.customer_id == customer_id)
        if state is not None:
            query = query.where(SUBSCRIBER.state == state)
        if plan is not None:
            query = query.where(PLAN.name == plan)
        if external_id is not None:
            query = query.where(SUBSCRIBER.external_id == external_id)
        if only_hash:
            query = query.where(SUBSCRIBER.password_hash_kind.is_not(None), SUBSCRIBER.state != "terminated")
        if before_id is not None:
            query = query.where(SUBSCRIBER.id < before_id)
        return [subscriber_view(row, row.plan, row.garden, row.capped) for row in await self._db.execute(query)]

    async def subscriber_ids(self, *, unprojected: bool = False) -> dict[str, int]:
        """By username the subscriber whose rows stand under it; ``unprojected``: where FreeRADIUS still shows an
        earlier wish."""
        return await subscribers.owners(self._db, self._tenant_id, unprojected=unprojected)

    async def live_service_ids(self, *, in_service: bool = False) -> list[int]:
        """The services that have a subscriber who was not terminated; ``in_service``: who is active or suspended, or
        was brought in."""
        not_these = ("pending", "testing", "terminated") if in_service else ("terminated",)
        found = await self._db.scalars(
            select(Subscriber.service_id)
            .where(
                Subscriber.tenant_id == self._tenant_id,
                Subscriber.state != "terminated",
                or_(Subscriber.state.not_in(not_these), Subscriber.origin == "imported"),
                Subscriber.service_id.is_not(None),
            )
            .order_by(Subscriber.service_id)
        )
        return [service_id for service_id in found if service_id is not None]

    async def _move(
        self,
        subscriber_id: int,
        wanted: State,
        *,
        until: datetime | None = None,
    ) -> SubscriberView:
        subscriber = await subscribers.locked(self._db, self._tenant_id, subscriber_id)
        await subscribers.move(self._db, subscriber, wanted, now=self._now(), until=until)
        return await self._view(subscriber)

    async def _view(self, subscriber: Subscriber) -> SubscriberView:
        plan = await self._db.get_one(Plan, subscriber.plan_id)
        garden, capped = [
            None if number is None else (await self._db.get_one(Plan, number)).name
            for number in (subscriber.garden_plan_id, subscriber.capped_plan_id)
        ]
        return subscriber_view(subscriber, plan.name, garden, capped)
