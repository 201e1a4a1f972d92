"""The door for what is done by hand, or by another system, to a subscriber that is served.

What is decided here is committed with what open sessions are still to be told. The worker carries that over, and a
command does so at once.

ProvisioningError
`-- RunLooksAfter    what is asked for is a run's to do
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from typing_extensions import TypedDict

from ipam import NetworkService, NetworkUpkeep, ServiceUnknown
from provisioning.errors import ProvisioningError
from provisioning.subscriber_cpes import SubscriberCpes
from provisioning.subscriber_looks import SubscriberLooks, SubscriberNumber, Who
from radius import (
    CapPeriod,
    LineIdentity,
    RadiusService,
    SessionChangeView,
    SubscriberUnknown,
    SubscriberVerbs,
    SubscriberView,
)

ANY_CUSTOMER = "the customers are another system's, and any number will do"
"""What ``customers_elsewhere`` says, at every door."""
_OF_PLANS = frozenset({"plan", "garden"})
"""Parts of what is asked of a subscriber that are wrong whoever it is."""


class ChangedSubscriber(TypedDict):
    """What is committed, and how far the sessions that are open have followed.

    ``billed_as`` is the plan that its bill goes on for, and ``addressed_as`` the one that its addresses were given for,
    each where that is another one than it is served by now.
    ``cpes_to_be_told`` are the serials of CPEs whose settings were written down anew, and have yet to be applied;
    ``cpes_held_back`` those of them that get nothing before their campaign goes on, or its window opens.
    """

    subscriber: SubscriberView
    change: SessionChangeView
    billed_as: str | None
    addressed_as: str | None
    cpes_to_be_told: list[str]
    cpes_held_back: list[str]


class Unregistered(Protocol):
    """As ``commercial.unregistered``, of the desk's own ISP."""

    def __call__(self, numbers: Collection[int], /, *, elsewhere: bool) -> Awaitable[Mapping[int, str]]: ...


class RunLooksAfter(ProvisioningError):
    """A run lets this subscriber in and ends it, with its bill, CPE and line."""

    code = "subscriber.run_looks_after"

    def __init__(self, username: str, service_id: int) -> None:
        self.username = username
        super().__init__(
            f"{username} belongs to service {service_id}, which runs bring into service and end with its bill, CPE and"
            " line; nothing was changed. `firstlight subscribers terminate` with a day, or --now, begins its end."
        )


def ends_by_hand(subscriber: SubscriberView) -> bool:
    """Whether no run looks after its beginning and its end."""
    return subscriber["service_id"] is None or subscriber["origin"] == "imported"


def was_so_already(before: SubscriberView | None, done: ChangedSubscriber) -> bool:
    """An act has left its subscriber, whose ``version`` counts what is changed of it, as it was ``before``, and no CPE
    is told anything of it. Ending sessions and setting right are something whatever the subscriber shall be."""
    is_told = done["change"]["act"] in ("disconnect", "set_right") or bool(done["cpes_to_be_told"])
    return done["subscriber"] == before and not is_told


class SubscriberDesk(SubscriberLooks):
    """Changes what a subscriber is served by and who it is, within the caller's transaction.

    Each raises ServiceUnderWay while the subscriber's installation has more to do: it would lift a suspension, or fail
    to take itself back.
    """

    def __init__(  # noqa: PLR0913 - each is asked for one thing
        self,
        *,
        radius: RadiusService,
        verbs: SubscriberVerbs,
        cpes: SubscriberCpes,
        network: NetworkUpkeep,
        addresses: NetworkService,
        period_of: Callable[[int | None], Awaitable[CapPeriod]],
        used_of: Callable[[int], Awaitable[int]],
        tell_lifted: Callable[[ChangedSubscriber], Awaitable[None]],
        billed_plan: Callable[[int], Awaitable[str | None]],
        addressed_plan: Callable[[int], Awaitable[str | None]],
        unregistered: Unregistered,
    ) -> None:
        """``period_of`` says the billing month that goes on for a service, ``used_of`` how many octets a subscriber has
        used of its data cap in it; ``tell_lifted`` tells others of a data cap that serves nobody otherwise any more;
        ``billed_plan`` says for which plan a service is billed, ``addressed_plan`` for which one it has addresses."""
        super().__init__(radius=radius)
        self._verbs = verbs
        self._cpes = cpes
        self._network = network
        self._addresses = addresses
        self._period_of = period_of
        self._used_of = used_of
        self._tell_lifted = tell_lifted
        self._billed_plan = billed_plan
        self._addressed_plan = addressed_plan
        self._unregistered = unregistered

    async def create(
        self,
        username: str,
        *,
        customer_id: int,
        plan: str,
        ipv4_pool: str | None = None,
        external_id: str | None = None,
        customers_elsewhere: bool = False,
    ) -> SubscriberView:
        """One without a service, for whom no run looks: pending until it is let in by ``activate``. The same again is
        the same subscriber; one that was ended since is pending anew. ``customers_elsewhere``: the numbers of customers
        are another system's, and any will do.

        Raises: as ``RadiusService.create_by_hand``; RequestRefused also of a customer who is not registered here.
        """
        unknown = await self._unregistered([customer_id], elsewhere=customers_elsewhere)
        made = await self._radius.create_by_hand(
            customer_id=customer_id,
            username=username,
            plan=plan,
            ipv4_pool=ipv4_pool,
            external_id=external_id,
            also_wrong=list(unknown.values()),
        )
        return await self._radius.subscriber(subscriber_id=made["subscriber_id"])

    async def faults_in(self, said: Mapping[str, Any]) -> list[tuple[str, str]]:
        """What is wrong with the parts of a new subscriber that are known, each with its name."""
        faults = await self._radius.faults_by_part(said)
        if (customer_id := said.get("customer_id")) is not None:
            elsewhere = said.get("customers_elsewhere", False)
            unknown = await self._unregistered([customer_id], elsewhere=elsewhere)
            faults += [("customer_id", what) for what in unknown.values()]
        return faults

    async def faults_in_change(self, who: Who, said: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The same of what is asked of a subscriber; that there is none is a fault of the path."""
        try:
            found = await self.to_be_renamed(who, said.get("username", ""))
        except SubscriberUnknown as unknown:
            of_plans = {part: value for part, value in said.items() if part in _OF_PLANS}
            return [("path.username", str(unknown)), *await self._radius.faults_by_part(of_plans)]
        number = found["subscriber_id"]
        return await self._radius.faults_by_part({**said, "customer_id": found["customer_id"]}, subscriber_id=number)

    async def change_plan(self, who: Who, *, plan: str, request_id: str | None = None) -> ChangedSubscriber:
        """What FreeRADIUS and the sessions are told; bill and addresses stay as they are, and ``billed_as`` and
        ``addressed_as`` say so. What CPEs of the plan have otherwise than their templates say is written down for those
        of its service.

        Raises: as ``SubscriberVerbs.change_plan`` and ``GenieAcsService.plan_changed``.
        """
        before = await self.named(who)
        changed = await self._done(
            who, lambda number: self._verbs.change_plan(subscriber_id=number, plan=plan, request_id=request_id)
        )
        await self._tell_if_lifted(before, changed)
        service_id = changed["subscriber"]["service_id"]
        if service_id is None:
            return changed
        told = await self._cpes.plan_changed(service_id, plan=changed["subscriber"]["plan"])
        return await self._telling(changed, told)

    async def suspend(self, who: Who, *, garden: str | None = None, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.suspend``."""
        return await self._done(
            who, lambda number: self._verbs.suspend(subscriber_id=number, garden=garden, request_id=request_id)
        )

    async def resume(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.resume``."""
        return await self._done(who, lambda number: self._verbs.resume(subscriber_id=number, request_id=request_id))

    async def disconnect(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.disconnect``."""
        return await self._done(who, lambda number: self._verbs.disconnect(subscriber_id=number, request_id=request_id))

    async def set_right(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.set_right``."""
        return await self._done(who, lambda number: self._verbs.set_right(subscriber_id=number, request_id=request_id))

    async def lift_cap(
        self, who: Who, *, octets: int | None = None, request_id: str | None = None
    ) -> ChangedSubscriber:
        """Raises: RadiusDatabaseUnavailable, RadiusDatabaseUnfit: whether that is enough is not known; and as
        ``SubscriberVerbs.lift_cap``."""
        before = await self.named(who)
        period = await self._period_of(before["service_id"])
        used_octets = await self._used_of(before["subscriber_id"])
        done = await self._done(
            who,
            lambda number: self._verbs.lift_cap(
                subscriber_id=number, period=period, used_octets=used_octets, octets=octets, request_id=request_id
            ),
        )
        await self._tell_if_lifted(before, done)
        return done

    async def _tell_if_lifted(self, before: SubscriberView, done: ChangedSubscriber) -> None:
        if before["capped"] is not None and done["subscriber"]["capped"] is None:
            await self._tell_lifted(done)

    async def activate(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """Let in whom no run lets in. Raises: RunLooksAfter, and as ``SubscriberVerbs.activate``."""
        checked = SubscriberNumber((await self._by_hand(who))["subscriber_id"])
        return await self._done(
            checked, lambda number: self._verbs.activate(subscriber_id=number, request_id=request_id)
        )

    async def end(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """End at once whom no run ends, take its CPEs from it and give back the addresses that are held for it.

        Raises: RunLooksAfter, and as ``SubscriberVerbs.terminate``.
        """
        found = await self._held(await self._by_hand(who))
        checked = SubscriberNumber(found["subscriber_id"])  # a name or an id may be somebody else's meanwhile
        done = await self._done(
            checked, lambda number: self._verbs.terminate(subscriber_id=number, request_id=request_id)
        )
        service_id = found["service_id"]
        if service_id is not None and found["state"] != "terminated":  # else it may be somebody else's by now
            await self._cpes.withdraw(service_id)
            await self._addresses.release_resources(service_id=service_id)
        return done

    async def _by_hand(self, who: Who) -> SubscriberView:
        """
        Raises: RunLooksAfter, SubscriberUnknown
        """
        found = await self.named(who)
        if not ends_by_hand(found):
            raise RunLooksAfter(found["username"], found["service_id"] or 0)
        return found

    async def rotate_password(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """A new password, also among the settings of the CPEs that log in by it, which are to be applied then.

        Raises: as ``SubscriberVerbs.rotate_password``.
        """
        number = (await self.named(who))["subscriber_id"]
        newest = await self._verbs.changes(subscriber_id=number, limit=1)
        changed = await self._done(
            who, lambda number: self._verbs.rotate_password(subscriber_id=number, request_id=request_id)
        )
        found, is_new = changed["subscriber"], not newest or changed["change"]["change_id"] > newest[0]["change_id"]
        if not is_new or found["service_id"] is None:
            return changed
        told = await self._cpes.password_changed(found["service_id"], ref=found["password"])
        return await self._telling(changed, told)

    async def rename(
        self,
        who: Who,
        *,
        username: str,
        end_sessions: bool = False,
        cpe_by_hand: bool = False,
        request_id: str | None = None,
    ) -> ChangedSubscriber:
        """Another name, also where its addresses are kept, and among the settings of a CPE that logs in by it, which
        are to be applied then. ``cpe_by_hand``: whoever asks tells the CPE.

        Raises:
            CpeHoldsUsername: the settings of such a CPE can't be written anew.
            UsernameTaken (of ``radius`` or ``ipam``), and as ``SubscriberVerbs.rename``.
        """
        before = await self._held(await self.to_be_renamed(who, username))
        number, service_id = before["subscriber_id"], before["service_id"]
        told: list[str] = []
        if service_id is not None and not cpe_by_hand and before["username"] != username:
            told = await self._cpes.renamed(service_id, former=before["username"], username=username)
        change = await self._verbs.rename(
            subscriber_id=number, username=username, end_sessions=end_sessions, request_id=request_id
        )
        after = await self._radius.subscriber(subscriber_id=number)
        if service_id is not None:
            await self._network.rename_service(service_id=service_id, username=after["username"])
        return await self._telling(await self._changed(after, change), told)

    async def bind(
        self, who: Who, *, line: LineIdentity, logs_in: bool = False, request_id: str | None = None
    ) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.bind``."""
        return await self._done(
            who,
            lambda number: self._verbs.bind(subscriber_id=number, line=line, logs_in=logs_in, request_id=request_id),
        )

    async def unbind(self, who: Who, *, request_id: str | None = None) -> ChangedSubscriber:
        """Raises: as ``SubscriberVerbs.unbind``."""
        return await self._done(who, lambda number: self._verbs.unbind(subscriber_id=number, request_id=request_id))

    async def identify(self, who: Who, *, external_id: str | None) -> SubscriberView:
        """Let it be known by this number of the ISP's own, or by none. Raises: as ``RadiusService.give_external_id``"""
        number = (await self.named(who))["subscriber_id"]
        return await self._radius.give_external_id(subscriber_id=number, external_id=external_id)

    async def _held(self, found: SubscriberView) -> SubscriberView:
        """The subscriber as it stands when nobody else changes it. Its service comes first, as for whoever changes the
        addresses of both, so that nobody waits in a circle; who was imported may have another system's."""
        if found["service_id"] is not None:
            with suppress(ServiceUnknown):
                await self._network.hold_service(service_id=found["service_id"])
        return await self._radius.hold(subscriber_id=found["subscriber_id"])

    async def _done(self, who: Who, act: Callable[[int], Awaitable[SessionChangeView]]) -> ChangedSubscriber:
        number = (await self.named(who))["subscriber_id"]
        change = await act(number)
        return await self._changed(await self._radius.subscriber(subscriber_id=number), change)

    async def _changed(self, subscriber: SubscriberView, change: SessionChangeView) -> ChangedSubscriber:
        service_id = subscriber["service_id"]
        plan = subscriber["plan"]
        billed = None if service_id is None else await self._billed_plan(service_id)
        addressed = None if service_id is None else await self._addressed_plan(service_id)
        return ChangedSubscriber(
            subscriber=subscriber,
            change=change,
            billed_as=None if billed == plan else billed,
            addressed_as=None if addressed == plan else addressed,
            cpes_to_be_told=[],
            cpes_held_back=[],
        )

    async def _telling(self, changed: ChangedSubscriber, serials: Sequence[str]) -> ChangedSubscriber:
        """The same, and of which CPEs the settings were written down anew by it."""
        changed["cpes_to_be_told"] = list(serials)
        changed["cpes_held_back"] = await self._cpes.held_back(serials)
        return changed
